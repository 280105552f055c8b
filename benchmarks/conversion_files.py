# SPDX-License-Identifier: Apache-2.0
"""Whole networks as ``.tflite`` files of any size, written from layer shapes without TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from tfprune.converter.schema import AlignedBuffer, write_model

Array = npt.NDArray[Any]
_SAME, _RELU = 0, 1
#: Blocks, channels inside and stride of the stages of ResNet-50.
_STAGES = ((3, 64, 1), (4, 128, 2), (6, 256, 2), (3, 512, 2))


def grouped(shape: tuple[int, ...], sparsity: float, rows: int, random: np.random.Generator) -> Array:
    """Random float32 weights, output channels first, zeros in groups of ``rows`` output channels."""
    columns = math.prod(shape[1:])
    keep = random.random((-(-shape[0] // rows), columns), np.float32) >= sparsity
    weights = random.standard_normal((shape[0], columns), np.float32)
    weights *= np.repeat(keep, rows, axis=0)[: shape[0]]
    return weights.reshape(shape)


class Network:
    """Collects a network of one subgraph; every method that adds an operator returns its output tensor."""

    def __init__(self, sparsity: float, rows: int, seed: int) -> None:
        """Weights have ``sparsity`` zeros in groups of ``rows`` output channels."""
        self._model, self._graph = schema.ModelT(), schema.SubGraphT()
        self._model.version, self._model.description = 3, b"made by benchmarks/conversion_files.py"
        self._model.buffers, self._model.operatorCodes = [AlignedBuffer()], []
        self._graph.tensors, self._graph.operators, self._graph.name = [], [], b"main"
        self._sparsity, self._rows, self._random = sparsity, rows, np.random.default_rng(seed)

    def tensor(self, name: str, shape: tuple[int, ...], data: Array | None = None) -> int:
        """Adds a tensor, a constant if it has data."""
        tensor = schema.TensorT()
        tensor.name, tensor.shape = name.encode(), np.array(shape, np.int32)
        tensor.type = schema.TensorType.FLOAT32 if data is None or data.dtype == np.float32 else schema.TensorType.INT32
        tensor.buffer = 0
        if data is not None:
            self._model.buffers.append(AlignedBuffer(data.reshape(-1).view(np.uint8)))
            tensor.buffer = len(self._model.buffers) - 1
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def conv(self, x: int, channels: int, kernel: int, stride: int = 1, relu: bool = True) -> int:
        """Adds a SAME convolution with a bias."""
        batch, height, width, inputs = self._shape(x)
        options = schema.Conv2DOptionsT()
        options.padding, options.strideH, options.strideW = _SAME, stride, stride
        options.fusedActivationFunction = _RELU if relu else 0
        shape = (batch, -(-height // stride), -(-width // stride), channels)
        return self._weighted("CONV_2D", x, (channels, kernel, kernel, inputs), shape, options)

    def fully_connected(self, x: int, outputs: int) -> int:
        """Adds a fully-connected layer with a bias."""
        batch, features = self._shape(x)
        return self._weighted(
            "FULLY_CONNECTED", x, (outputs, features), (batch, outputs), schema.FullyConnectedOptionsT()
        )

    def max_pool(self, x: int) -> int:
        """Adds a SAME 3x3 pooling of stride 2."""
        batch, height, width, channels = self._shape(x)
        options = schema.Pool2DOptionsT()
        options.padding, options.strideH, options.strideW, options.filterHeight, options.filterWidth = _SAME, 2, 2, 3, 3
        return self._operator("MAX_POOL_2D", [x], (batch, -(-height // 2), -(-width // 2), channels), options)

    def add(self, a: int, b: int) -> int:
        """Adds a sum with RELU."""
        options = schema.AddOptionsT()
        options.fusedActivationFunction = _RELU
        return self._operator("ADD", [a, b], self._shape(a), options)

    def mean(self, x: int) -> int:
        """Adds a mean over height and width."""
        axes = self.tensor("axes", (2,), np.array([1, 2], np.int32))
        batch, *_, channels = self._shape(x)
        return self._operator("MEAN", [x, axes], (batch, channels), schema.ReducerOptionsT(), "ReducerOptions")

    def flatten(self, x: int) -> int:
        """Adds a reshape to one row of features for each image."""
        batch, *sizes = self._shape(x)
        options = schema.ReshapeOptionsT()
        options.newShape = np.array([batch, math.prod(sizes)], np.int32)
        return self._operator("RESHAPE", [x], (batch, math.prod(sizes)), options)

    def file(self, x: int, y: int) -> bytes:
        """The whole file with input ``x`` and output ``y``."""
        self._graph.inputs, self._graph.outputs = np.array([x], np.int32), np.array([y], np.int32)
        self._model.subgraphs = [self._graph]
        return write_model(self._model)

    def _weighted(self, name: str, x: int, weights: tuple[int, ...], shape: tuple[int, ...], options: Any) -> int:
        label = f"{name.lower()}_{len(self._graph.operators)}"
        values = grouped(weights, self._sparsity, self._rows, self._random)
        values *= np.float32(math.prod(weights[1:]) ** -0.5)
        bias = self._random.standard_normal(weights[0], np.float32)
        inputs = [x, self.tensor(f"{label}/kernel", weights, values), self.tensor(f"{label}/bias", bias.shape, bias)]
        return self._operator(name, inputs, shape, options)

    def _operator(
        self, name: str, inputs: list[int], shape: tuple[int, ...], options: Any, kind: str | None = None
    ) -> int:
        op, number = schema.OperatorT(), getattr(schema.BuiltinOperator, name)
        y = self.tensor(f"{name.lower()}_{len(self._graph.operators)}", shape)
        op.opcodeIndex, op.inputs, op.outputs = self._code(number), np.array(inputs, np.int32), np.array([y], np.int32)
        op.builtinOptions = options
        op.builtinOptionsType = getattr(schema.BuiltinOptions, kind or type(options).__name__[:-1])
        self._graph.operators.append(op)
        return y

    def _code(self, number: int) -> int:
        known = [code.builtinCode for code in self._model.operatorCodes]
        if number not in known:
            code = schema.OperatorCodeT()
            code.builtinCode = code.deprecatedBuiltinCode = number
            self._model.operatorCodes.append(code)
            known.append(number)
        return known.index(number)

    def _shape(self, tensor: int) -> tuple[int, ...]:
        return tuple(int(size) for size in self._graph.tensors[tensor].shape)


def resnet50(sparsity: float = 0.8, rows: int = 4, seed: int = 0) -> bytes:
    """ResNet-50 at 224 px: 53 convolutions, residuals, mean and a layer of 1000 classes; 102 MB."""
    network = Network(sparsity, rows, seed)
    image = network.tensor("image", (1, 224, 224, 3))
    x = network.max_pool(network.conv(image, 64, 7, 2))
    for blocks, inside, first_stride in _STAGES:
        for block in range(blocks):
            stride = first_stride if block == 0 else 1
            shortcut = network.conv(x, 4 * inside, 1, stride, relu=False) if block == 0 else x
            y = network.conv(network.conv(x, inside, 1, stride), inside, 3)
            x = network.add(network.conv(y, 4 * inside, 1, relu=False), shortcut)
    return network.file(image, network.fully_connected(network.mean(x), 1000))


def wide_layers(sparsity: float = 0.8, rows: int = 4, seed: int = 0) -> bytes:
    """Two fully-connected layers like VGG's first and second, 411 and 67 MB, and convolutions: 520 MB."""
    network = Network(sparsity, rows, seed)
    image = network.tensor("image", (1, 7, 7, 512))
    x = image
    for _ in range(4):
        x = network.conv(x, 512, 3)
    flat = network.flatten(x)
    return network.file(image, network.fully_connected(network.fully_connected(flat, 4096), 4096))


def tiny(sparsity: float = 0.8, rows: int = 4, seed: int = 0) -> bytes:
    """Every operator of the others in 0.2 MB: to see that a script runs."""
    network = Network(sparsity, rows, seed)
    image = network.tensor("image", (1, 16, 16, 8))
    x = network.max_pool(network.conv(image, 64, 3))
    x = network.add(network.conv(x, 64, 3), x)
    features = network.fully_connected(network.flatten(x), 4)
    scores = network.fully_connected(network.mean(x), 4)
    return network.file(image, network.add(features, scores))


#: Networks by name.
NETWORKS: dict[str, Callable[[], bytes]] = {"resnet50": resnet50, "wide_layers": wide_layers, "tiny": tiny}
#: Those that are measured unless others are named.
LARGE = ("resnet50", "wide_layers")
