# SPDX-License-Identifier: Apache-2.0
"""Models of one stock op with weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.converter.graph import Graph
from tfprune.converter.schema import tfl
from tfprune.converter.stock.editor import Editor
from tfprune.converter.stock.fully_connected import encode_weights
from tfprune.converter.stock.sparse_encoding import BLOCK
from tfprune.mapping.profiling.integers import INTEGERS
from tfprune.mapping.profiling.layer_sizes import LayerSizes
from tfprune.mapping.profiling.one_op import dense_model, op_model
from tfprune.mapping.profiling.stock_sizes import StockLayer

OPERATORS = tfl.BuiltinOperator
Shape = tuple[int, ...]
Array = npt.NDArray[Any]
Weights = tuple[Shape, int, int, Any]


def weighted_model(layer: StockLayer, precision: str, seed: int) -> bytes:
    """The op with random weights."""
    shape, axis, code, options = WEIGHTED[layer.name](layer)
    weights: Array = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    # Rows of the matrix are output channels.
    matrix = np.moveaxis(weights, axis, 0).reshape(shape[axis], -1)
    bias: list[Array] = [] if layer.name == "batch_matmul" else [np.zeros(layer.out_channels, np.float32)]
    scales: list[Array | None] = []
    if precision in INTEGERS:
        integers, one = INTEGERS[precision], layer.name == "batch_matmul"  # one scale for all
        values, scale = integers.quantized(matrix.reshape(1, -1) if one else matrix)
        weights = np.moveaxis(values.reshape(np.moveaxis(weights, axis, 0).shape), 0, axis)
        scale, bias = integers.stored_scale(scale), [each.astype(integers.bias) for each in bias]
        scales = [None, scale]
        if integers.activations is not None:
            first = np.array([integers.input_scale])
            scales = [first, scale, *(first * scale for _ in bias), np.array([integers.output_scale(matrix)])]
    ends = (layer.in_shape, layer.out_shape)
    constants = [np.ascontiguousarray(weights), *bias]
    if layer.name != "transpose_conv":
        return op_model(ends, constants, code, options, scales=scales, precision=precision)
    constants = [*constants, np.array(layer.out_shape, np.int32)]
    scales = [*scales[:3], None, *scales[3:]]
    return op_model(ends, constants, code, options, scales=scales, order=(3, 1, 0, 2), precision=precision)


def _convolution(layer: StockLayer, options: Any) -> Any:
    options.padding = tfl.Padding.SAME
    options.strideH = options.strideW = layer.stride
    return options


def _depthwise(layer: StockLayer) -> Weights:
    options = _convolution(layer, tfl.DepthwiseConv2DOptionsT())
    options.dilationHFactor = options.dilationWFactor = 1
    options.depthMultiplier = layer.out_channels // layer.in_shape[-1]
    return (1, layer.kernel, layer.kernel, layer.out_channels), 3, OPERATORS.DEPTHWISE_CONV_2D, options


def _grouped(layer: StockLayer) -> Weights:
    options = _convolution(layer, tfl.Conv2DOptionsT())
    options.dilationHFactor = options.dilationWFactor = 1
    shape = (layer.out_channels, layer.kernel, layer.kernel, layer.in_shape[-1] // layer.groups)
    return shape, 0, OPERATORS.CONV_2D, options


def _transposed(layer: StockLayer) -> Weights:
    options = _convolution(layer, tfl.TransposeConvOptionsT())
    shape = (layer.out_channels, layer.kernel, layer.kernel, layer.in_shape[-1])
    return shape, 0, OPERATORS.TRANSPOSE_CONV, options


def _conv_3d(layer: StockLayer) -> Weights:
    options = _convolution(layer, tfl.Conv3DOptionsT())
    options.strideD = layer.stride
    options.dilationDFactor = options.dilationHFactor = options.dilationWFactor = 1
    return (*[layer.kernel] * 3, layer.in_shape[-1], layer.out_channels), 4, OPERATORS.CONV_3D, options


def _batch_matmul(layer: StockLayer) -> Weights:
    options = tfl.BatchMatMulOptionsT()
    return (layer.in_shape[-1], layer.out_channels), 1, OPERATORS.BATCH_MATMUL, options


WEIGHTED: dict[str, Callable[[StockLayer], Weights]] = {
    "depthwise_conv_2d": _depthwise,
    "grouped_conv_2d": _grouped,
    "transpose_conv": _transposed,
    "conv_3d": _conv_3d,
    "batch_matmul": _batch_matmul,
}


def sparse_fully_connected(layer: StockLayer, seed: int) -> bytes:
    """Random weights in TFLite's sparse encoding, in exactly the wanted number of blocks."""
    random = np.random.default_rng(seed)
    columns, rows = layer.in_shape[-1], layer.out_channels
    blocks = rows * columns // BLOCK
    kept = random.permutation(blocks) < blocks // layer.groups
    weights = random.normal(size=(blocks, BLOCK)) * kept[:, None]
    dense = dense_model(
        LayerSizes("fc", 1, 1, columns, rows, 1, 1, layer.in_shape[0]),
        weights.reshape(rows, columns).astype(np.float32),
    )
    return sparse_encoded(dense)


def sparse_encoded(dense: bytes) -> bytes:
    """A model of one float32 FULLY_CONNECTED with its weights in TFLite's sparse encoding."""
    graph = Graph(dense)
    editor = Editor(graph, 0)
    encode_weights(editor, editor.operators[0])
    return graph.to_bytes()
