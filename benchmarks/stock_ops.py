# SPDX-License-Identifier: Apache-2.0
"""Stock ops that a sparse layer can stand for or needs round it, as one-op models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from integers import INTEGERS
from one_op import Layer, dense_model, op_model
from tfprune.converter.graph import Graph
from tfprune.converter.stock.editor import Editor
from tfprune.converter.stock.fully_connected import encode_weights
from tfprune.converter.stock.sparse_encoding import BLOCK
from tfprune.costs import StockOp

OPERATORS = schema.BuiltinOperator
#: FULLY_CONNECTED over weights in TFLite's sparse encoding, with one row of input and with several.
SPARSE = ("sparse_fully_connected_single", "sparse_fully_connected_batch")
Shape = tuple[int, ...]
Array = npt.NDArray[Any]


class StockLayer(NamedTuple):
    """A line of ``benchmarks/shapes/stock_ops.txt``; padding is SAME.

    Attributes:
        name: as the cost tables name the op.
        in_shape: shape of the input.
        out_channels: last dimension of the output; of a concatenation that of a piece.
        kernel: rows, columns and, in three dimensions, slices; twice how far a PAD or SLICE reaches, and 1 more.
        stride: in every direction; the block of DEPTH_TO_SPACE.
        groups: of a convolution; pieces of a concatenation; of so many 1x4 blocks of a sparse FULLY_CONNECTED one holds
            weights.
    """

    name: str
    in_shape: Shape
    out_channels: int
    kernel: int
    stride: int
    groups: int

    def __str__(self) -> str:
        """What tells it from others."""
        size = "x".join(map(str, self.in_shape))
        return f"{self.name} {size} to {self.out_channels}, {self.kernel}/{self.stride}, {self.groups} groups"

    @property
    def out_shape(self) -> Shape:
        """Shape of the output."""
        batch, *image, channels = self.in_shape
        if self.name == "pad":
            return (batch, *(size + self.kernel - 1 for size in image), channels)
        if self.name == "slice":
            return (batch, *(size - self.kernel + 1 for size in image), channels)
        if self.name == "concatenation":
            return (*self.in_shape[:-1], self.groups * channels)
        if self.name == "transpose":
            return (batch, *image[1:], image[0], channels)
        if self.name in ("transpose_conv", "depth_to_space"):
            return (batch, *(size * self.stride for size in image), self.out_channels)
        return (batch, *(-(-size // self.stride) for size in image), self.out_channels)

    def costs(self) -> StockOp:
        """The op as the cost tables see it; positions outside the image count as multiplied."""
        in_positions, out_positions = (int(np.prod(shape[:-1])) for shape in (self.in_shape, self.out_shape))
        each = self.in_shape[-1] * self.out_channels
        macs = {
            "depthwise_conv_2d": out_positions * self.kernel**2 * self.out_channels,
            "grouped_conv_2d": out_positions * self.kernel**2 * each // self.groups,
            "transpose_conv": in_positions * self.kernel**2 * each,
            "conv_3d": out_positions * self.kernel**3 * each,
            "batch_matmul": out_positions * each,
            **dict.fromkeys(SPARSE, out_positions * each // self.groups),
        }
        return StockOp(self.name, macs.get(self.name, 0), int(np.prod(self.out_shape)))


def read_stock_layers(path: Path) -> list[StockLayer]:
    """Reads ``benchmarks/shapes/stock_ops.txt``."""
    rows = [line.split() for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return [StockLayer(row[0], tuple(map(int, row[1].split("x"))), *map(int, row[2:])) for row in rows]


def stock_model(layer: StockLayer, precision: str, seed: int = 0) -> bytes:
    """The op with random weights, in a precision of the cost tables."""
    if layer.name in _MOVES:
        return _move(layer, precision)
    if layer.name in SPARSE:
        return _sparse_fully_connected(layer, seed)
    shape, axis, code, options = _WEIGHTS[layer.name](layer)
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


Weights = tuple[Shape, int, int, Any]


def _convolution(layer: StockLayer, options: Any) -> Any:
    options.padding = schema.Padding.SAME
    options.strideH = options.strideW = layer.stride
    return options


def _depthwise(layer: StockLayer) -> Weights:
    options = _convolution(layer, schema.DepthwiseConv2DOptionsT())
    options.dilationHFactor = options.dilationWFactor = 1
    options.depthMultiplier = layer.out_channels // layer.in_shape[-1]
    return (1, layer.kernel, layer.kernel, layer.out_channels), 3, OPERATORS.DEPTHWISE_CONV_2D, options


def _grouped(layer: StockLayer) -> Weights:
    options = _convolution(layer, schema.Conv2DOptionsT())
    options.dilationHFactor = options.dilationWFactor = 1
    shape = (layer.out_channels, layer.kernel, layer.kernel, layer.in_shape[-1] // layer.groups)
    return shape, 0, OPERATORS.CONV_2D, options


def _transposed(layer: StockLayer) -> Weights:
    options = _convolution(layer, schema.TransposeConvOptionsT())
    shape = (layer.out_channels, layer.kernel, layer.kernel, layer.in_shape[-1])
    return shape, 0, OPERATORS.TRANSPOSE_CONV, options


def _conv_3d(layer: StockLayer) -> Weights:
    options = _convolution(layer, schema.Conv3DOptionsT())
    options.strideD = layer.stride
    options.dilationDFactor = options.dilationHFactor = options.dilationWFactor = 1
    return (*[layer.kernel] * 3, layer.in_shape[-1], layer.out_channels), 4, OPERATORS.CONV_3D, options


def _batch_matmul(layer: StockLayer) -> Weights:
    options = schema.BatchMatMulOptionsT()
    return (layer.in_shape[-1], layer.out_channels), 1, OPERATORS.BATCH_MATMUL, options


_WEIGHTS: dict[str, Callable[[StockLayer], Weights]] = {
    "depthwise_conv_2d": _depthwise,
    "grouped_conv_2d": _grouped,
    "transpose_conv": _transposed,
    "conv_3d": _conv_3d,
    "batch_matmul": _batch_matmul,
}
_MOVES = ("pad", "slice", "concatenation", "depth_to_space", "transpose")


def _sparse_fully_connected(layer: StockLayer, seed: int) -> bytes:
    """Random weights in TFLite's sparse encoding, in exactly the wanted number of blocks."""
    random = np.random.default_rng(seed)
    columns, rows = layer.in_shape[-1], layer.out_channels
    blocks = rows * columns // BLOCK
    kept = random.permutation(blocks) < blocks // layer.groups
    weights = random.normal(size=(blocks, BLOCK)) * kept[:, None]
    dense = dense_model(
        Layer("fc", 1, 1, columns, rows, 1, 1, layer.in_shape[0]), weights.reshape(rows, columns).astype(np.float32)
    )
    return sparse_encoded(dense)


def sparse_encoded(dense: bytes) -> bytes:
    """A model of one float32 FULLY_CONNECTED with its weights in TFLite's sparse encoding."""
    graph = Graph(dense)
    editor = Editor(graph, 0)
    encode_weights(editor, editor.operators[0])
    return graph.to_bytes()


def _move(layer: StockLayer, precision: str) -> bytes:
    """An op that only moves values; those of the dynamic range are float32."""
    constants: list[Array] = []
    order = None
    if layer.name == "pad":
        options, code, reach = schema.PadOptionsT(), OPERATORS.PAD, layer.kernel // 2
        constants = [np.array([[0, 0], *[[reach, reach]] * (len(layer.in_shape) - 2), [0, 0]], np.int32)]
    elif layer.name == "slice":
        options, code, reach = schema.SliceOptionsT(), OPERATORS.SLICE, layer.kernel // 2
        begin = [0, *[reach] * (len(layer.in_shape) - 2), 0]
        constants = [np.array(each, np.int32) for each in (begin, layer.out_shape)]
    elif layer.name == "concatenation":
        options, code, order = schema.ConcatenationOptionsT(), OPERATORS.CONCATENATION, [0] * layer.groups
        options.axis = len(layer.in_shape) - 1
    elif layer.name == "depth_to_space":
        options, code = schema.DepthToSpaceOptionsT(), OPERATORS.DEPTH_TO_SPACE
        options.blockSize = layer.stride
    else:
        options, code = schema.TransposeOptionsT(), OPERATORS.TRANSPOSE
        constants = [np.array([0, 2, 3, 1, 4], np.int32)]
    integers = INTEGERS.get(precision)
    scales: list[Array | None] = []
    if integers is not None and integers.activations is not None:
        scale = np.array([integers.input_scale])
        scales = [scale, *[None] * len(constants), scale]
    return op_model(
        (layer.in_shape, layer.out_shape), constants, code, options, scales=scales, order=order, precision=precision
    )


def measurable(layer: StockLayer, precision: str) -> bool:
    """Whether LiteRT has the op in the precision: some lack some types."""
    return precision == "float32" or layer.name not in (*_FLOAT_ONLY, *_LACKING.get(precision, ()))


_FLOAT_ONLY = ("conv_3d", *SPARSE)
_LACKING: dict[str, tuple[str, ...]] = {"uint8": ("batch_matmul",), "int16": ("depth_to_space",)}
