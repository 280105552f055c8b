# SPDX-License-Identifier: Apache-2.0
"""Random small networks: operators, subgraphs, shared weights and buffers, residuals, open sizes, precisions.

Every choice is asked of a function ``choose(low, high)``, so that hypothesis, a fuzzer and a seeded generator can all
make them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from tests.models.builder import NONE, RELU, RELU6, SAME, VALID, ModelBuilder, pruned

Choose = Callable[[int, int], int]
PRECISIONS = ("float32", "float16", "int8", "dynamic", "uint8", "int16")
# Integers that weights are stored as, and those of activations with their scale; others are float32.
_STORED = {"int8": "int8", "dynamic": "int8", "uint8": "uint8", "int16": "int8"}
_SCALES = {"int8": 0.05, "uint8": 0.05, "int16": 0.0002}
_WEIGHT_ZERO_POINTS = {"uint8": 120}
# Under which TFLite's own converter writes them; 1 for others.
_CONV_VERSIONS = {"int8": 3, "dynamic": 5, "int16": 4}
_DENSE_VERSIONS = {"int16": 7}
_ADD_VERSIONS = {"int8": 2, "int16": 3}


class RandomNetwork:
    """One network; :meth:`build` gives the file."""

    def __init__(self, choose: Choose, precision: str = "float32") -> None:
        """Draws a network of up to six operators a subgraph, and up to two subgraphs."""
        self._choose = choose
        self._precision = precision
        self._builder = ModelBuilder()
        # Constants that may be used again: number of the buffer by shape.
        self._known: dict[tuple[int, ...], int] = {}
        middle = {"int8": 0, "uint8": 128}.get(precision)
        self._zero_point = 0 if middle is None else middle + self._choose(-20, 20)
        self._subgraph(0)
        if self._flag():
            self._subgraph(self._builder.subgraph())

    def build(self) -> bytes:
        """The file, with the weights inside or behind the FlatBuffer."""
        return self._builder.build_with_outside_buffers() if self._flag() else self._builder.build()

    def _flag(self) -> bool:
        return bool(self._choose(0, 1))

    def _subgraph(self, graph: int) -> None:
        self._graph = graph
        self._open = self._flag()
        channels = 4 * self._choose(1, 6)
        x = first = self._activation("x", (self._choose(1, 2), self._choose(4, 9), self._choose(4, 9), channels))
        for number in range(self._choose(1, 4)):
            y = self._convolution(x, f"g{graph}/conv{number}")
            if self._shape(y) == self._shape(x) and self._flag():
                y = self._add(x, y, f"g{graph}/add{number}")
            x = y
        outputs = [x]
        if not self._open and self._flag():
            outputs.append(self._fully_connected(x, f"g{graph}/head"))
        self._builder.io([first], outputs, graph)
        if graph or self._flag():
            names = {f"y{number}": tensor for number, tensor in enumerate(outputs)}
            self._builder.signature(f"s{graph}", {"x": first}, names, graph)
            if graph:
                # With signatures in one subgraph, the others are reachable only with their own.
                main = self._builder.model.subgraphs[0]
                if not any(signature.subgraphIndex == 0 for signature in self._builder.model.signatureDefs):
                    named = {f"y{number}": int(tensor) for number, tensor in enumerate(main.outputs)}
                    self._builder.signature("s0", {"x": int(main.inputs[0])}, named)

    def _convolution(self, x: int, name: str) -> int:
        n, height, width, channels = self._shape(x)
        outputs = channels if self._flag() else 4 * self._choose(1, 8)
        kernel = (1, 3)[self._choose(0, 1)]
        stride, dilation = ((1, 1), (2, 1), (1, 2))[self._choose(0, 2)]
        reach = (kernel - 1) * dilation + 1
        padding = VALID if min(height, width) > reach and self._flag() else SAME
        sizes = [-(-size // stride) if padding == SAME else (size - reach) // stride + 1 for size in (height, width)]
        options = tfl.Conv2DOptionsT()
        options.padding, options.strideH, options.strideW = padding, stride, stride
        options.dilationHFactor = options.dilationWFactor = dilation
        options.fusedActivationFunction = self._fused()
        y = self._activation(name, (n, *sizes, outputs))
        weights = self._weights((outputs, kernel, kernel, channels), name)
        # LiteRT's own convolution wants a bias, and reads one of int16 activations as int64.
        inputs = [x, weights, self._bias(outputs, weights, name, wide=True)]
        code = self._builder.opcode(tfl.BuiltinOperator.CONV_2D, version=_CONV_VERSIONS.get(self._precision, 1))
        self._builder.operator(code, inputs, [y], options, tfl.BuiltinOptions.Conv2DOptions, self._graph)
        return y

    def _fully_connected(self, x: int, name: str) -> int:
        n, *sizes = self._shape(x)
        outputs = self._choose(1, 40)
        options = tfl.FullyConnectedOptionsT()
        options.fusedActivationFunction = self._fused()
        y = self._activation(name, (n, outputs))
        weights = self._weights((outputs, int(np.prod(sizes))), name)
        without = self._precision != "int8" and self._flag()
        bias = -1 if without else self._bias(outputs, weights, name, wide=self._flag())
        inputs = [x, weights, bias]
        version = _DENSE_VERSIONS.get(self._precision, 6)
        code = self._builder.opcode(tfl.BuiltinOperator.FULLY_CONNECTED, version=version)
        self._builder.operator(code, inputs, [y], options, tfl.BuiltinOptions.FullyConnectedOptions, self._graph)
        return y

    def _add(self, a: int, b: int, name: str) -> int:
        y = self._activation(name, self._shape(a))
        code = self._builder.opcode(tfl.BuiltinOperator.ADD, version=_ADD_VERSIONS.get(self._precision, 1))
        options = tfl.AddOptionsT()
        # Else int16 scales must be powers of two.
        options.potScaleInt16 = False
        self._builder.operator(code, [a, b], [y], options, tfl.BuiltinOptions.AddOptions, self._graph)
        return y

    def _weights(self, shape: tuple[int, ...], name: str) -> int:
        """Tensor of weights, perhaps with the buffer of others of their shape."""
        again = shape in self._known and self._flag()
        if not again:
            values = pruned(shape, self._choose(0, 10) / 10, self._choose(1, 5), self._choose(0, 3))
            values *= np.float32(np.prod(shape[1:]) ** -0.5)
            if len(shape) == 4 and self._flag():
                # Zeros that stock operators can leave out: filters, and the outer row of a larger kernel.
                values[:: self._choose(2, 4)] = 0
                values[:, : shape[1] // 2] = 0
            stored = values.astype(np.float16) if self._precision == "float16" else values
            if self._precision in _STORED:
                integers = np.clip(np.rint(values * 200), -119, 127) + _WEIGHT_ZERO_POINTS.get(self._precision, 0)
                stored = integers.astype(_STORED[self._precision])
            self._known[shape] = self._builder.buffer(stored)
        kind = "float16" if self._precision == "float16" else _STORED.get(self._precision, "float32")
        tensor = self._builder.tensor(f"{name}/kernel", shape, kind, self._known[shape], graph=self._graph)
        if self._precision in _STORED:
            scales = np.full(shape[0], 0.005, np.float32)
            scales[: shape[0] // 2] *= 2
            each = kind == "int8" and len(shape) == 4 and self._flag()
            self._quantize(tensor, scales if each else scales[-1:], _WEIGHT_ZERO_POINTS.get(self._precision, 0))
        if kind != "float16":
            return tensor
        widened = self._builder.tensor(f"{name}/widened", shape, graph=self._graph)
        code = self._builder.opcode(tfl.BuiltinOperator.DEQUANTIZE, version=3)
        kind_of_options = tfl.BuiltinOptions.DequantizeOptions
        self._builder.operator(code, [tensor], [widened], tfl.DequantizeOptionsT(), kind_of_options, self._graph)
        return widened

    def _bias(self, outputs: int, weights: int, name: str, wide: bool) -> int:
        """A bias; that of int16 activations is int64 where ``wide`` is True."""
        values = np.linspace(-1, 1, outputs).astype(np.float32)
        if self._precision not in _SCALES:
            return self._builder.constant(f"{name}/bias", values, self._graph)
        scales = self._tensors()[weights].quantization.scale * np.float32(_SCALES[self._precision])
        kind = np.int64 if wide and self._precision == "int16" else np.int32
        bias = self._builder.constant(f"{name}/bias", np.rint(values / scales).astype(kind), self._graph)
        self._quantize(bias, scales, 0)
        return bias

    def _activation(self, name: str, shape: tuple[int, ...]) -> int:
        quantized = self._precision in _SCALES
        kind = self._precision if quantized else "float32"
        tensor = self._builder.tensor(name, shape, kind, batch=self._open, graph=self._graph)
        if quantized:
            self._quantize(tensor, np.array([_SCALES[self._precision]], np.float32), self._zero_point)
        return tensor

    def _quantize(self, tensor: int, scales: np.ndarray, zero_point: int) -> None:
        found = tfl.QuantizationParametersT()
        found.scale, found.zeroPoint = scales, np.full(len(scales), zero_point, np.int64)
        self._tensors()[tensor].quantization = found

    def _fused(self) -> int:
        return (NONE, RELU, RELU6)[self._choose(0, 2)]

    def _tensors(self) -> list[Any]:
        return self._builder.model.subgraphs[self._graph].tensors

    def _shape(self, tensor: int) -> tuple[int, ...]:
        return tuple(int(size) for size in self._tensors()[tensor].shape)
