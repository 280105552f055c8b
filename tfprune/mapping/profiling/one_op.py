# SPDX-License-Identifier: Apache-2.0
"""Models of one op, or of several alike, for measuring: a layer, dense and in any encoding, whatever suits it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.converter.schema import OP_ALIGNMENT, AlignedBuffer, tfl, write_model
from tfprune.formats import Encoding, Op, OpSpec, Padding, encode
from tfprune.mapping.profiling.integers import INTEGERS, Integers, Matrix, zero_point
from tfprune.mapping.profiling.layer_sizes import LayerSizes


def dense_model(layer: LayerSizes, weights: Matrix, precision: str = "float32") -> bytes:
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
        options: Any = tfl.FullyConnectedOptionsT()
        options.asymmetricQuantizeInputs = precision == "dynamic"  # as the TFLite converter writes it
        return op_model(
            layer.ends,
            [values, bias],
            tfl.BuiltinOperator.FULLY_CONNECTED,
            options,
            scales=scales,
            precision=precision,
        )
    depthwise = layer.kind == "depthwise"
    options = tfl.DepthwiseConv2DOptionsT() if depthwise else tfl.Conv2DOptionsT()
    options.padding = tfl.Padding.SAME
    options.strideH = options.strideW = layer.stride
    options.dilationHFactor = options.dilationWFactor = 1
    if depthwise:
        options.depthMultiplier = layer.out_channels // layer.in_channels
        kernel = values.T.reshape(1, layer.kernel, layer.kernel, layer.out_channels)
        return op_model(
            layer.ends,
            [kernel, bias],
            tfl.BuiltinOperator.DEPTHWISE_CONV_2D,
            options,
            scales=scales,
            precision=precision,
        )
    kernel = values.reshape(layer.out_channels, layer.kernel, layer.kernel, layer.in_channels)
    return op_model(
        layer.ends, [kernel, bias], tfl.BuiltinOperator.CONV_2D, options, scales=scales, precision=precision
    )


def sparse_model(
    layer: LayerSizes, weights: Matrix, encoding: Encoding, rows: int, cols: int = 1, precision: str = "float32"
) -> bytes:
    """The layer as a tfprune op in the given encoding.

    Args:
        layer: a convolution or a fully-connected layer.
        weights: ``[out, columns]``.
        encoding: how they are packed.
        rows: group rows.
        cols: group columns.
        precision: ``"float32"``, ``"float16"`` (weights) or one of :data:`tfprune.mapping.profiling.integers.INTEGERS`.
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
        layer.ends, [packed, geometry, bias], tfl.BuiltinOperator.CUSTOM, None, name, scales, precision=precision
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
_TYPES = {name: getattr(tfl.TensorType, name.upper()) for name in _NAMES}


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
    model, graph, op, opcode = tfl.ModelT(), tfl.SubGraphT(), tfl.OperatorT(), tfl.OperatorCodeT()
    model.version, model.description, model.buffers = 3, b"", [AlignedBuffer()]

    activations = INTEGERS[precision].activations if precision in INTEGERS else None

    def tensor(name: str, shape: tuple[int, ...], data: npt.NDArray[Any] | None) -> Any:
        made = tfl.TensorT()
        made.shape, made.name, made.buffer = np.array(shape, np.int32), name.encode(), 0
        made.type = _TYPES[np.dtype(activations or np.float32).name]
        if data is not None:
            made.type = _TYPES[data.dtype.name]
            model.buffers.append(AlignedBuffer(np.frombuffer(data.tobytes(), np.uint8), OP_ALIGNMENT))
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
            zero = zero_point(np.uint8) if made.type == tfl.TensorType.UINT8 else 0
            made.quantization = _quantization(scale, made.shape, zero)
    graph.inputs, graph.outputs = np.array([0], np.int32), np.array([last], np.int32)
    op.opcodeIndex, op.inputs, op.outputs = 0, np.array(order or range(last), np.int32), graph.outputs
    if options is not None:
        op.builtinOptions = options
        op.builtinOptionsType = getattr(tfl.BuiltinOptions, type(options).__name__[:-1])
    opcode.builtinCode, opcode.deprecatedBuiltinCode, opcode.version = code, min(code, 127), 1
    if custom is not None:
        opcode.customCode = custom.encode()
    graph.operators, model.operatorCodes, model.subgraphs = [op], [opcode], [graph]
    return write_model(model)


def _quantization(scale: npt.NDArray[Any], shape: npt.NDArray[np.int32], zero: int) -> Any:
    """Several scales lie along the last axis of depthwise weights and biases, else along the first."""
    found = tfl.QuantizationParametersT()
    found.scale, found.zeroPoint = scale.astype(np.float32), np.full(len(scale), zero, np.int64)
    found.quantizedDimension = len(shape) - 1 if len(scale) > 1 and shape[0] != len(scale) else 0
    return found
