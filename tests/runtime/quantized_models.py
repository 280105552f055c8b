# SPDX-License-Identifier: Apache-2.0
"""One-layer quantised ``.tflite`` files, dense and with a tfprune op, written without the converter."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from tests.models.builder import model_file
from tfprune.formats import (
    Activation,
    ActivationType,
    Encoding,
    Op,
    OpSpec,
    Padding,
    Quantization,
    Rounding,
    encode,
)
from tfprune.formats.header_checks import most_group_rows

Array = npt.NDArray[Any]
_TYPES = {
    "float32": schema.TensorType.FLOAT32,
    "int8": schema.TensorType.INT8,
    "int16": schema.TensorType.INT16,
    "int32": schema.TensorType.INT32,
    "int64": schema.TensorType.INT64,
    "uint8": schema.TensorType.UINT8,
}


@dataclasses.dataclass(frozen=True)
class QuantizedLayer:
    """A layer with integer weights: what both files compute."""

    spec: OpSpec
    matrix: npt.NDArray[np.int8] | npt.NDArray[np.uint8]
    quantization: Quantization
    bias: Array | None
    input_shape: tuple[int, ...]

    @property
    def input_type(self) -> str:
        """Type of input and output."""
        return ActivationType(self.quantization.activation_type).name.lower()

    @property
    def integer(self) -> bool:
        """Whether input and output are integers."""
        return self.input_type != "float32"

    def random_input(self, seed: int = 0) -> Array:
        """Values over the whole range; of float32 ones each image has a range of its own."""
        rng = np.random.default_rng(seed)
        if self.integer:
            limits = np.iinfo(self.input_type)
            return rng.integers(limits.min, limits.max + 1, self.input_shape).astype(self.input_type)
        x = rng.standard_normal(self.input_shape) + 0.3
        return (x * rng.uniform(0.1, 4, (len(x), *[1] * (x.ndim - 1)))).astype(np.float32)

    def packed(self, encoding: Encoding = Encoding.ROW_BAND, rows: int = 4, cols: int = 1) -> npt.NDArray[np.uint8]:
        """The packed weights."""
        rows = min(rows, most_group_rows(encoding, self.spec.out_channels))
        return encode(self.matrix, self.spec, encoding, rows, cols, quantization=self.quantization)

    def dense(self) -> bytes:
        """The file with a stock op."""
        spec = self.spec
        weights = self.matrix
        if spec.op == Op.CONV_2D:
            weights = weights.reshape(spec.out_channels, spec.kernel_h, spec.kernel_w, spec.in_channels)
            options: Any = schema.Conv2DOptionsT()
            options.padding = int(spec.padding)
            options.strideH, options.strideW = spec.stride_h, spec.stride_w
            options.dilationHFactor, options.dilationWFactor = spec.dilation_h, spec.dilation_w
            code = schema.BuiltinOperator.CONV_2D
        else:
            options = schema.FullyConnectedOptionsT()
            options.keepNumDims = spec.keep_num_dims
            code = schema.BuiltinOperator.FULLY_CONNECTED
        options.fusedActivationFunction = int(spec.activation)
        scales = self.quantization.scales
        # Weights of uint8 have one scale for all channels, which is what the stock op demands.
        file_scales = scales[:1] if weights.dtype == np.uint8 else scales
        constants = [(weights, file_scales, self.quantization.weight_zero_point)]
        if self.bias is not None:
            bias_scales = file_scales * np.float32(self.quantization.input_scale)
            constants.append((self.bias, bias_scales if self.integer else None, 0))
        return self._file(constants, code, options, None)

    def sparse(self, packed: Array | None = None) -> bytes:
        """The file with a tfprune op."""
        spec = self.spec
        name, geometry = "TfpruneFullyConnected", [spec.out_channels, 1, 1 + spec.keep_num_dims]
        if spec.op == Op.CONV_2D:
            extents = [(spec.kernel_h - 1) * spec.dilation_h + 1, (spec.kernel_w - 1) * spec.dilation_w + 1]
            name = "TfpruneConv2D"
            geometry = [spec.out_channels, spec.stride_h, spec.stride_w]
            geometry += [1, 1] if spec.padding == Padding.SAME else extents
        data = self.packed() if packed is None else packed
        constants = [(data, None, 0), (np.zeros(geometry, np.int8), None, 0)]
        if self.bias is not None:
            constants.append((self.bias, None, 0))
        return self._file(constants, schema.BuiltinOperator.CUSTOM, None, name)

    def _file(self, constants: list[tuple[Array, Any, int]], code: int, options: Any, custom: str | None) -> bytes:
        model, graph, operator = schema.ModelT(), schema.SubGraphT(), schema.OperatorT()
        opcode = schema.OperatorCodeT()
        model.version, model.buffers, graph.tensors = 3, [schema.BufferT()], []

        def tensor(shape: tuple[int, ...], dtype: str, scales: Any, zero_point: int, data: Array | None) -> None:
            made = schema.TensorT()
            made.shape, made.type, made.buffer = list(shape), _TYPES[dtype], 0
            made.name = f"tensor_{len(graph.tensors)}"
            if scales is not None:
                made.quantization = schema.QuantizationParametersT()
                made.quantization.scale = np.atleast_1d(np.asarray(scales, np.float32))
                made.quantization.zeroPoint = np.full(made.quantization.scale.shape, zero_point, np.int64)
            if data is not None:
                buffer = schema.BufferT()
                buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
                model.buffers.append(buffer)
                made.buffer = len(model.buffers) - 1
            graph.tensors.append(made)

        scales = self.quantization
        given = (scales.input_scale, scales.output_scale) if self.integer else (None, None)
        tensor(self.input_shape, self.input_type, given[0], scales.input_zero_point, None)
        for value, value_scales, zero_point in constants:
            tensor(value.shape, value.dtype.name, value_scales, zero_point, value)
        # Only a placeholder shape: LiteRT computes output shapes itself.
        shape = (1, 1, 1, self.spec.out_channels) if self.spec.op == Op.CONV_2D else (1, self.spec.out_channels)
        tensor(shape, self.input_type, given[1], scales.output_zero_point, None)
        last = len(graph.tensors) - 1
        graph.inputs, graph.outputs = [0], [last]
        operator.opcodeIndex, operator.inputs, operator.outputs = 0, list(range(last)), [last]
        if options is not None:
            operator.builtinOptions = options
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__[:-1])
        opcode.builtinCode, opcode.deprecatedBuiltinCode, opcode.customCode = code, min(code, 127), custom
        opcode.version = 1 if custom else 5
        graph.operators, model.operatorCodes, model.subgraphs = [operator], [opcode], [graph]
        return model_file(model)


def quantized_layer(
    spec: OpSpec,
    input_shape: tuple[int, ...],
    seed: int = 0,
    *,
    dynamic: bool = False,
    group: tuple[int, int] = (4, 4),
    kept: float = 0.25,
) -> QuantizedLayer:
    """Random int8 weights that keep about ``kept`` of their groups; output values spread over the int8 range."""
    rng = np.random.default_rng(seed)
    rows, columns = spec.out_channels, spec.columns
    blocks = rng.random((-(-rows // group[0]), -(-columns // group[1]))) < kept
    mask = np.repeat(np.repeat(blocks, group[0], axis=0), group[1], axis=1)[:rows, :columns]
    matrix = (rng.integers(-127, 128, (rows, columns)) * mask).astype(np.int8)
    scales = rng.uniform(0.001, 0.02, rows).astype(np.float32)
    if dynamic:
        bias = rng.standard_normal(rows).astype(np.float32)
        return QuantizedLayer(spec, matrix, Quantization(scales), bias, input_shape)
    input_scale = float(np.float32(rng.uniform(0.01, 0.05)))
    spread = 75 * 75 * np.sqrt(max(1.0, kept * columns)) * 0.01 * input_scale
    if spec.activation.bounds[1] < np.inf:
        scales *= np.float32(spec.activation.bounds[1] / 2 / spread)
        spread = spec.activation.bounds[1] / 3
    output_scale = float(np.float32(spread * 3 / 127))
    zeros = [int(zero) for zero in rng.integers(-100, 100, 2)]
    bias = rng.integers(-20_000, 20_000, rows).astype(np.int32)
    if spec.activation.bounds[0] == 0:
        zeros[1] = -128
    quantization = Quantization(scales, input_scale, zeros[0], output_scale, zeros[1])
    return QuantizedLayer(spec, matrix, quantization, bias, input_shape)


def wide_layer(
    spec: OpSpec,
    input_shape: tuple[int, ...],
    seed: int = 0,
    *,
    activations: str = "int16",
    bias: str | None = "int64",
    group: tuple[int, int] = (4, 4),
    kept: float = 0.25,
) -> QuantizedLayer:
    """A random layer with int16 or uint8 activations; output values spread over the whole range.

    Args:
        spec: what the op computes.
        input_shape: of the input.
        seed: of the random numbers.
        activations: ``"int16"``, whose weights are int8 with a scale for each channel, or ``"uint8"``, whose weights
            are uint8 with one scale and a zero point.
        bias: type of the bias, or None for none.
        group: rows and columns of the groups that are kept or zero.
        kept: share of them that is kept.
    """
    rng = np.random.default_rng(seed)
    rows, columns = spec.out_channels, spec.columns
    blocks = rng.random((-(-rows // group[0]), -(-columns // group[1]))) < kept
    mask = np.repeat(np.repeat(blocks, group[0], axis=0), group[1], axis=1)[:rows, :columns]
    limits = np.iinfo(activations)
    int16 = activations == "int16"
    weights = (rng.integers(-127, 128, (rows, columns)) if int16 else rng.integers(-140, 116, (rows, columns))) * mask
    lowest = 0 if spec.activation.bounds[0] == 0 else 100
    zeros = [0, 0] if int16 else [int(rng.integers(0, 256)), int(rng.integers(lowest, lowest + 50))]
    scales = rng.uniform(0.001, 0.02, rows).astype(np.float32)
    if not int16:
        scales[:] = scales[0]
    input_scale = float(np.float32(rng.uniform(0.0001, 0.0005) if int16 else rng.uniform(0.01, 0.05)))
    # Standard deviation of the sums, by that of weights and inputs.
    deviation = 74 * float(limits.max - limits.min) / 3.4 * np.sqrt(max(1.0, kept * columns))
    output_scale = float(np.float32(deviation * scales.mean() * input_scale * 6 / (limits.max - limits.min)))
    if spec.activation not in (Activation.NONE, Activation.RELU):
        output_scale = float(np.float32(0.0004 if int16 else 0.03))
        input_scale = float(np.float32(2.0 / (deviation * scales.mean())))
    offsets = rng.integers(-int(deviation), int(deviation) + 1, rows)
    quantization = Quantization(
        scales,
        input_scale,
        zeros[0],
        output_scale,
        zeros[1],
        ActivationType[activations.upper()],
        Rounding.BUILTIN if int16 else Rounding.XNNPACK,
        0 if int16 else 140,
    )
    matrix = weights.astype(np.int8) if int16 else (weights + 140).astype(np.uint8)
    return QuantizedLayer(spec, matrix, quantization, None if bias is None else offsets.astype(bias), input_shape)
