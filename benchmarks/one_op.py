# SPDX-License-Identifier: Apache-2.0
"""One-op models for measuring: a layer, dense and in any encoding, whatever the converter would choose."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from integers import INTEGERS, Integers, Matrix, zero_point
from tfprune.converter.schema import AlignedBuffer, write_model
from tfprune.costs.predict import LayerShape, PackedShape
from tfprune.formats import (
    Encoding,
    Op,
    OpSpec,
    Padding,
    ValueType,
    count_blocks,
    count_groups,
    cut,
    encode,
)
from tfprune.formats.blocks import BAND_SIZES

ALIGNMENT = 64


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer as a line of a file of ``benchmarks/shapes`` names it; padding is SAME.

    Attributes:
        kind: ``"conv"``, ``"depthwise"`` or ``"fc"``.
    """

    kind: str
    height: int
    width: int
    in_channels: int
    out_channels: int
    kernel: int
    stride: int
    batch: int

    @property
    def out_shape(self) -> tuple[int, ...]:
        """Shape of the output."""
        if self.kind == "fc":
            return (self.batch, self.out_channels)
        return (self.batch, -(-self.height // self.stride), -(-self.width // self.stride), self.out_channels)

    @property
    def in_shape(self) -> tuple[int, ...]:
        """Shape of the input."""
        shape = (self.batch, self.height, self.width, self.in_channels)
        return (self.batch, self.in_channels) if self.kind == "fc" else shape

    @property
    def ends(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Shapes of input and output."""
        return self.in_shape, self.out_shape

    @property
    def columns(self) -> int:
        """Columns of the weight matrix."""
        return self.kernel * self.kernel * (1 if self.kind == "depthwise" else self.in_channels)

    @property
    def pixels(self) -> int:
        """Output positions of one run, batch included."""
        return int(np.prod(self.out_shape[:-1]))

    @property
    def macs(self) -> int:
        """Multiply-adds of the dense layer in one run."""
        return self.out_channels * self.columns * self.pixels

    def fields(self) -> tuple[str | int, ...]:
        """The fields in the order of a line."""
        return dataclasses.astuple(self)

    def costs(self, precision: str = "float32") -> LayerShape:
        """The layer as the cost tables see it."""
        return LayerShape(
            fully_connected=self.kind == "fc",
            out_channels=self.out_channels,
            columns=self.columns,
            kernel_size=self.kernel * self.kernel,
            pixels=self.pixels,
            input_values=int(np.prod(self.in_shape)),
            precision=precision,
        )

    def __str__(self) -> str:
        """A short name."""
        size = "x".join(str(value) for value in self.in_shape)
        return f"{self.kind} {size} to {self.out_channels}, {self.kernel}x{self.kernel}/{self.stride}"


def read_layers(path: Path) -> list[Layer]:
    """Reads a file of ``benchmarks/shapes``, each layer once."""
    return list(count_layers(path))


def count_layers(path: Path) -> dict[Layer, int]:
    """Reads a file of ``benchmarks/shapes``: each layer and how often it occurs, once where the file does not say."""
    rows = [line.split() for line in path.read_text().splitlines() if line and not line.startswith("#")]
    fields = len(dataclasses.fields(Layer))
    return {Layer(row[0], *map(int, row[1:fields])): int(row[fields]) if len(row) > fields else 1 for row in rows}


def grouped_weights(layer: Layer, encoding: Encoding, rows: int, sparsity: float, seed: int, cols: int = 1) -> Matrix:
    """Random weights in groups of ``rows`` output channels, aligned for row-band and anywhere for sliding-row.

    Groups of several columns start at multiples of them, row bands with an odd seed anywhere.
    """
    random = np.random.default_rng(seed)
    shape = (layer.out_channels, layer.columns)
    blocks = -(-shape[1] // cols)
    if encoding == Encoding.SLIDING_ROW:
        mask = _runs((shape[0], blocks), rows, sparsity, random)
    else:
        bands = -(-shape[0] // rows)
        if cols > 1 and seed % 2:
            mask, cols = _runs((shape[1], bands), cols, sparsity, random).T, 1
        else:
            mask = random.random((bands, blocks)) >= sparsity
        mask = np.repeat(mask, rows, axis=0)[: shape[0]]
    mask = np.repeat(mask, cols, axis=1)[:, : shape[1]]
    return (random.normal(size=shape) * mask).astype(np.float32)


def _runs(shape: tuple[int, int], length: int, sparsity: float, random: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Runs of ``length`` along the first axis, anywhere."""
    mask = np.zeros(shape, bool)
    free = np.zeros(shape[1], np.int64)
    # A start at each free place with this probability makes gaps of mean length s / (1 - s) * length.
    start = (1 - sparsity) / ((1 - sparsity) + sparsity * length)
    for place in range(shape[0] - length + 1):
        begins = (free <= place) & (random.random(shape[1]) < start)
        mask[place : place + length, begins] = True
        free[begins] = place + length
    return mask


def block_weights(layer: Layer, encoding: Encoding, rows: int, sparsity: float, seed: int) -> Matrix:
    """Random weights in blocks of about ``rows`` rows: rows and columns of blocks, or few shapes of kernels."""
    random = np.random.default_rng(seed)
    shape = (layer.out_channels, layer.columns)
    mask = (_row_column_mask if encoding == Encoding.BLOCK_ROWS else _shape_mask)(layer, rows, sparsity, random)
    return (random.normal(size=shape) * mask).astype(np.float32)


def _row_column_mask(layer: Layer, rows: int, sparsity: float, random: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Blocks of 8, 32 or 256 columns that keep equal shares of their rows and columns."""
    share = (1 - sparsity) ** 0.5
    height = min(BAND_SIZES, key=lambda size: abs(size - rows / share))
    width = (8, 32, 256)[int(random.integers(3))]
    blocks = (-(-layer.out_channels // height), -(-layer.columns // width))
    kept_rows = np.repeat(random.random((blocks[0] * height, blocks[1])) < share, width, axis=1)
    kept_columns = np.repeat(random.random((blocks[0], blocks[1] * width)) < share, height, axis=0)
    mask: npt.NDArray[np.bool_] = (kept_rows & kept_columns)[: layer.out_channels, : layer.columns]
    return mask


def _shape_mask(layer: Layer, rows: int, sparsity: float, random: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Kernels of a few shapes of two to four positions; four neighbouring columns where a kernel has one position."""
    positions = layer.kernel**2 if layer.kernel > 1 else 4
    keep = int(random.integers(2, 5)) if positions > 4 else 2
    kernels = (layer.out_channels, -(-layer.columns // positions))
    kept = min(1.0, (1 - sparsity) * positions / keep)
    library = max(1, round(min(64, layer.out_channels) * kept / rows))
    shapes = random.permuted(np.arange(library * positions).reshape(library, positions) % positions < keep, axis=1)
    chosen = shapes[random.integers(library, size=kernels)] & (random.random(kernels) < kept)[..., None]
    if layer.kernel > 1:
        chosen = chosen.transpose(0, 2, 1)
    mask: npt.NDArray[np.bool_] = chosen.reshape(layer.out_channels, -1)[:, : layer.columns]
    return mask


def packed_shape(
    layer: Layer, weights: Matrix, encoding: Encoding, rows: int, cols: int = 1, precision: str = "float32"
) -> PackedShape:
    """The packed weights as the cost tables see them."""
    nonzero = weights != 0
    used = int(nonzero.any(axis=0).sum())
    if encoding.in_blocks:
        found = count_blocks([cut(nonzero, encoding, layer.in_channels)], encoding, rows)
        name = encoding.name.lower()
        return PackedShape(name, found.values / found.loads, 1, found.blocks, found.loads, used, found.visits)
    values = ValueType.INT8 if precision in INTEGERS else ValueType.FLOAT32
    groups = count_groups(nonzero, encoding, rows, cols, values, layer.in_channels)
    bands = -(-weights.shape[0] // rows)
    lines = bands if encoding == Encoding.ROW_BAND else weights.shape[0] - rows + 1
    name = "row_band" if encoding == Encoding.ROW_BAND else "sliding_row"
    return PackedShape(name, rows, cols, lines, groups.groups, used, filling=groups.filling)


def dense_model(layer: Layer, weights: Matrix, precision: str = "float32") -> bytes:
    """The layer as a stock op; a depthwise layer's weights are ``[channels, positions]`` as well.

    No weight but a zero becomes a zero of integer weights.
    """
    bias: npt.NDArray[Any] = np.zeros(layer.out_channels, np.float32)
    values: npt.NDArray[Any] = weights
    scales: list[npt.NDArray[Any] | None] = []
    integers = INTEGERS.get(precision)
    if integers is not None:
        values, scale = integers.quantized(weights)
        bias = bias.astype(integers.bias)
        scales = _scales(integers, weights, [integers.stored_scale(scale)], scale)
    if layer.kind == "fc":
        options: Any = schema.FullyConnectedOptionsT()
        options.asymmetricQuantizeInputs = precision == "dynamic"  # as the TFLite converter writes it
        return op_model(
            layer.ends,
            [values, bias],
            schema.BuiltinOperator.FULLY_CONNECTED,
            options,
            scales=scales,
            precision=precision,
        )
    depthwise = layer.kind == "depthwise"
    options = schema.DepthwiseConv2DOptionsT() if depthwise else schema.Conv2DOptionsT()
    options.padding = schema.Padding.SAME
    options.strideH = options.strideW = layer.stride
    options.dilationHFactor = options.dilationWFactor = 1
    if depthwise:
        options.depthMultiplier = layer.out_channels // layer.in_channels
        kernel = values.T.reshape(1, layer.kernel, layer.kernel, layer.out_channels)
        return op_model(
            layer.ends,
            [kernel, bias],
            schema.BuiltinOperator.DEPTHWISE_CONV_2D,
            options,
            scales=scales,
            precision=precision,
        )
    kernel = values.reshape(layer.out_channels, layer.kernel, layer.kernel, layer.in_channels)
    return op_model(
        layer.ends, [kernel, bias], schema.BuiltinOperator.CONV_2D, options, scales=scales, precision=precision
    )


def sparse_model(
    layer: Layer, weights: Matrix, encoding: Encoding, rows: int, cols: int = 1, precision: str = "float32"
) -> bytes:
    """The layer as a tfprune op in the given encoding.

    Args:
        layer: a convolution or a fully-connected layer.
        weights: ``[out, columns]``.
        encoding: how they are packed.
        rows: group rows.
        cols: group columns.
        precision: ``"float32"``, ``"float16"`` (weights) or one of :data:`integers.INTEGERS`.
    """
    values: npt.NDArray[Any] = weights.astype(np.float16) if precision == "float16" else weights
    bias: npt.NDArray[Any] = np.zeros(layer.out_channels, np.float32)
    scales: list[npt.NDArray[Any] | None] = []
    quantization = None
    integers = INTEGERS.get(precision)
    if integers is not None:
        values, scale = integers.quantized(weights)
        quantization, bias = integers.quantization(weights, scale), bias.astype(integers.bias)
        scales = _scales(integers, weights, [None, None], scale)
    conv = layer.kind == "conv"
    spec = OpSpec(
        op=Op.CONV_2D if conv else Op.FULLY_CONNECTED,
        out_channels=layer.out_channels,
        in_channels=layer.in_channels,
        kernel_h=layer.kernel,
        kernel_w=layer.kernel,
        stride_h=layer.stride,
        stride_w=layer.stride,
        padding=Padding.SAME if conv else Padding.VALID,
    )
    stride = layer.stride
    geometry = np.zeros((layer.out_channels, stride, stride, 1, 1) if conv else (layer.out_channels, 1, 1), np.int8)
    packed = encode(values, spec, encoding, rows, cols, quantization=quantization)
    name = "TfpruneConv2D" if conv else "TfpruneFullyConnected"
    return op_model(
        layer.ends, [packed, geometry, bias], schema.BuiltinOperator.CUSTOM, None, name, scales, precision=precision
    )


def _scales(
    integers: Integers, weights: Matrix, constants: list[npt.NDArray[Any] | None], scale: npt.NDArray[np.float32]
) -> list[npt.NDArray[Any] | None]:
    """Scales of input, constants, bias and output; float32 ones have none."""
    if integers.activations is None:
        return [None, *constants]
    bias = integers.stored_scale(scale) * np.float32(integers.input_scale)
    return [np.array([integers.input_scale]), *constants, bias, np.array([integers.output_scale(weights)])]


_NAMES = ("float32", "int8", "uint8", "int16", "int32", "int64")
_TYPES = {name: getattr(schema.TensorType, name.upper()) for name in _NAMES}


def op_model(
    ends: tuple[tuple[int, ...], tuple[int, ...]],
    constants: list[npt.NDArray[Any]],
    code: int,
    options: Any,
    custom: str | None = None,
    scales: Sequence[npt.NDArray[Any] | None] = (),
    order: Sequence[int] | None = None,
    precision: str = "float32",
) -> bytes:
    """A file of one op.

    Args:
        ends: shapes of input and output.
        constants: the op's other inputs.
        code: number of a stock op, or that of custom ones.
        options: the stock op's options.
        custom: name of a custom op.
        scales: of input, constants and output.
        order: the op's inputs, 0 being the input and ``n`` the n-th constant; default: in this order.
        precision: that of input and output.
    """
    model, graph, op, opcode = schema.ModelT(), schema.SubGraphT(), schema.OperatorT(), schema.OperatorCodeT()
    model.version, model.description, model.buffers = 3, b"", [AlignedBuffer()]

    activations = INTEGERS[precision].activations if precision in INTEGERS else None

    def tensor(name: str, shape: tuple[int, ...], data: npt.NDArray[Any] | None) -> Any:
        made = schema.TensorT()
        made.shape, made.name, made.buffer = np.array(shape, np.int32), name.encode(), 0
        made.type = _TYPES[np.dtype(activations or np.float32).name]
        if data is not None:
            made.type = _TYPES[data.dtype.name]
            model.buffers.append(AlignedBuffer(np.frombuffer(data.tobytes(), np.uint8), ALIGNMENT))
            made.buffer = len(model.buffers) - 1
        return made

    graph.tensors = [
        tensor("input", ends[0], None),
        *(tensor(f"constant{place}", c.shape, c) for place, c in enumerate(constants)),
        tensor("output", ends[1], None),
    ]
    last = len(graph.tensors) - 1
    for made, scale in zip(graph.tensors, scales, strict=False):
        if scale is not None:
            zero = zero_point(np.uint8) if made.type == schema.TensorType.UINT8 else 0
            made.quantization = _quantization(scale, made.shape, zero)
    graph.inputs, graph.outputs = np.array([0], np.int32), np.array([last], np.int32)
    op.opcodeIndex, op.inputs, op.outputs = 0, np.array(order or range(last), np.int32), graph.outputs
    if options is not None:
        op.builtinOptions = options
        op.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__[:-1])
    opcode.builtinCode, opcode.deprecatedBuiltinCode, opcode.version = code, min(code, 127), 1
    if custom is not None:
        opcode.customCode = custom.encode()
    graph.operators, model.operatorCodes, model.subgraphs = [op], [opcode], [graph]
    return write_model(model)


def _quantization(scale: npt.NDArray[Any], shape: npt.NDArray[np.int32], zero: int) -> Any:
    """Several scales lie along the last axis of depthwise weights and biases, else along the first."""
    found = schema.QuantizationParametersT()
    found.scale, found.zeroPoint = scale.astype(np.float32), np.full(len(scale), zero, np.int64)
    found.quantizedDimension = len(shape) - 1 if len(scale) > 1 and shape[0] != len(scale) else 0
    return found
