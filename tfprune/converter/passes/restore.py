# SPDX-License-Identifier: Apache-2.0
"""The way back: tfprune ops become stock ones with ordinary weights.

Grouped and depthwise convolutions get their own weights back. What became another operator with stock ops round it (a
transposed or 3D convolution, a product with a constant) stays so: those ops remain, and the kernel is the expanded one.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.converter.analysis import packed_operators
from tfprune.converter.capability import LSTM_CODE, WEIGHTS_INPUT
from tfprune.converter.capability.numbers import NO_BIAS_SCALES, is_scaled
from tfprune.converter.expand.grouped import Depthwise, Grouped
from tfprune.converter.graph import Graph
from tfprune.converter.packed_report import packed_report
from tfprune.converter.passes import left_open, restore_lstm
from tfprune.converter.passes.dequantize import dequantize
from tfprune.converter.report import LayerReport
from tfprune.converter.schema import BuiltinOperator, TensorType, read_flexbuffer_map, text, tfl
from tfprune.errors import ModelError, PackedFormatError
from tfprune.formats import ActivationType, Op, OpSpec, PackedWeights, Rounding, ValueType

_BIAS_INPUT = 3
_SUFFIX = "/packed"
_BIAS_TYPES = {
    ActivationType.FLOAT32: TensorType.FLOAT32,
    ActivationType.INT8: TensorType.INT32,
    ActivationType.UINT8: TensorType.INT32,
    ActivationType.INT16: TensorType.INT64,
}
_STORED = {
    ValueType.FLOAT32: (np.float32, TensorType.FLOAT32),
    ValueType.FLOAT16: (np.float16, TensorType.FLOAT16),
    ValueType.INT8: (np.int8, TensorType.INT8),
    ValueType.UINT8: (np.uint8, TensorType.UINT8),
}
_DEPTHWISE = "DEPTHWISE_CONV_2D"
_DENSE_NAMES = {Op.CONV_2D: "CONV_2D", Op.FULLY_CONNECTED: "FULLY_CONNECTED"}
# Dense weights already in the file, by the buffer of the packed ones and how they were expanded: their buffer.
_RestoredBuffers = dict[tuple[Any, ...], int]
# Dense ops that may lack a bias, while the convolution that they became may not.
_WITHOUT_BIAS = ("TRANSPOSE_CONV", "CONV_3D", "CONV_3D_TRANSPOSE")


def rewrite(graph: Graph) -> list[LayerReport]:
    """Makes every tfprune op of ``graph`` a stock one again.

    The weights are those that were packed, bit by bit; only the sign of a zero is lost.

    Raises:
        ModelError: packed weights that break a rule of the format.
    """
    reports = []
    restored: _RestoredBuffers = {}
    lstms: dict[tuple[int, int], tuple[Any, list[PackedWeights]]] = {}
    for subgraph, index, op, packed in packed_operators(graph):
        report = packed_report(graph, subgraph, index, op, packed, "restored")
        if graph.op_name(op) == LSTM_CODE:
            lstms.setdefault((subgraph, index), (op, []))[1].append(packed)
        else:
            written = _restore(graph, (subgraph, index), op, packed, restored)
            # An expanded matrix stays one.
            report = dataclasses.replace(report, dense_bytes=written)
        reports.append(report)
    for place, (op, both) in lstms.items():
        restore_lstm.restore(graph, place, op, both)
    left_open.drop(graph)
    return reports


def _restore(graph: Graph, place: tuple[int, int], op: Any, packed: PackedWeights, restored: _RestoredBuffers) -> int:
    """Makes one operator a stock one; returns the bytes of its dense weights."""
    subgraph, index = place
    spec = packed.header.spec
    known = read_flexbuffer_map(op.customOptions)
    where = f"operator {index} of subgraph {subgraph}"
    name = known.get("dense_op", _DENSE_NAMES[spec.op])
    weights = _restore_weights(graph, subgraph, op, packed, _grouping(spec, name, known, where), restored)
    stored = graph.raw(graph.tensor(subgraph, weights))
    before = []
    if packed.header.value_type == ValueType.FLOAT16:
        before.append(dequantize(graph, subgraph, weights))
        weights = int(before[0].outputs[0])
    inputs = [int(op.inputs[0]), weights]
    if len(op.inputs) > _BIAS_INPUT and op.inputs[_BIAS_INPUT] >= 0:
        inputs.append(int(op.inputs[_BIAS_INPUT]))
        if packed.header.rounding == Rounding.XNNPACK and not is_scaled(graph.tensor(subgraph, inputs[-1])):
            raise ModelError(f"{where}: {NO_BIAS_SCALES}, as this one has not; convert the model again")
    elif name in _WITHOUT_BIAS:
        inputs.append(_no_bias(graph, subgraph, text(graph.tensor(subgraph, weights).name), packed))
    graph.set_inputs(subgraph, op, inputs)
    version = known.get("dense_version")
    if not isinstance(version, int):
        raise ModelError(f"{where}: its options lack the version of the dense op; convert the model again")
    if spec.op == Op.FULLY_CONNECTED:
        options, number = _fully_connected_options(spec, known), BuiltinOperator.FULLY_CONNECTED
    elif name == _DEPTHWISE:
        options, number = _depthwise_options(spec), BuiltinOperator.DEPTHWISE_CONV_2D
    else:
        options, number = _with_window(tfl.Conv2DOptionsT(), spec), BuiltinOperator.CONV_2D
    if _declined(packed, name):
        options.fusedActivationFunction = tfl.ActivationFunctionType.TANH
    graph.set_builtin(op, number, version, getattr(tfl.BuiltinOptions, type(options).__name__[:-1]), options)
    if before:
        graph.replace_operator(subgraph, index, [*before, op])
    return 0 if stored is None else len(stored)


def _declined(packed: PackedWeights, name: Any) -> bool:
    """Whether the dense op had an activation for which XNNPACK leaves it to a builtin kernel, and nothing else."""
    kind, rounding = ActivationType(packed.header.activation_type), Rounding(packed.header.rounding)
    if kind not in (ActivationType.INT8, ActivationType.UINT8) or rounding == Rounding.XNNPACK:
        return False
    return name in ("CONV_2D", _DEPTHWISE)


def _grouping(spec: OpSpec, name: Any, known: dict[str, Any], where: str) -> Depthwise | Grouped | None:
    """How the matrix was expanded; None where it was not."""
    groups = known.get("groups", 1)
    fits = isinstance(groups, int) and groups > 0 and spec.in_channels % groups == spec.out_channels % groups == 0
    fits = fits and (groups == 1 or spec.op == Op.CONV_2D)
    if not fits or (name == _DEPTHWISE) > (groups == spec.in_channels):
        raise ModelError(f"{where}: its options say {groups!r} groups, which do not fit; convert the model again")
    if name == _DEPTHWISE:
        return Depthwise(groups)
    return Grouped(groups) if groups > 1 else None


def _dense_weights(packed: PackedWeights, grouping: Depthwise | Grouped | None, where: str) -> npt.NDArray[Any]:
    """The weights as the dense op takes them, in the type in which they were packed."""
    spec = packed.header.spec
    try:
        matrix = packed.stored_matrix()
    except PackedFormatError as error:
        raise ModelError(f"{where}: {error}") from error
    if grouping is None:
        weights = matrix.reshape(_shape(spec, grouping))
    else:
        weights = grouping.dense(matrix, (spec.kernel_h, spec.kernel_w))
        if np.count_nonzero(weights) != np.count_nonzero(matrix):
            raise ModelError(
                f"{where}: it has weights between groups that its options keep apart; convert the model again"
            )
    if packed.header.weight_zero_point:
        weights = weights + np.float32(packed.header.weight_zero_point)
    return weights.astype(_STORED[ValueType(packed.header.value_type)][0], copy=False)


def _shape(spec: OpSpec, grouping: Depthwise | Grouped | None) -> tuple[int, ...]:
    kernel = (spec.kernel_h, spec.kernel_w) if spec.op == Op.CONV_2D else ()
    if isinstance(grouping, Depthwise):
        return (1, *kernel, spec.out_channels)
    return (spec.out_channels, *kernel, spec.in_channels // (1 if grouping is None else grouping.groups))


def _restore_weights(
    graph: Graph,
    subgraph: int,
    op: Any,
    packed: PackedWeights,
    grouping: Depthwise | Grouped | None,
    restored: _RestoredBuffers,
) -> int:
    """Tensor index of the dense weights in the type in which they were packed."""
    kind = _STORED[ValueType(packed.header.value_type)][1]
    slot = int(op.inputs[WEIGHTS_INPUT])
    tensor = graph.tensor(subgraph, slot)
    place = (subgraph, slot, text(tensor.name).removesuffix(_SUFFIX), kind, _shape(packed.header.spec, grouping))
    # Ops of several subgraphs may share packed weights: they share the dense ones again.
    key = (int(tensor.buffer), grouping)
    if key in restored:
        weights = graph.reuse_constant(*place, restored[key])
    else:
        dense = _dense_weights(packed, grouping, text(tensor.name))
        weights = graph.replace_constant(*place, dense.reshape(-1).view(np.uint8))
        restored[key] = int(graph.tensor(subgraph, weights).buffer)
    if ValueType(packed.header.value_type).quantized:
        zero_point = packed.header.weight_zero_point
        graph.tensor(subgraph, weights).quantization = _quantization(
            packed.scales, isinstance(grouping, Depthwise), zero_point
        )
    return weights


def _no_bias(graph: Graph, subgraph: int, name: str, packed: PackedWeights) -> int:
    """A bias of zeros, without which stock LiteRT refuses a convolution."""
    header = packed.header
    kind = _BIAS_TYPES[ActivationType(header.activation_type)]
    zeros = np.zeros((8 if kind == TensorType.INT64 else 4) * header.out_channels, np.uint8)
    bias = graph.add_constant(subgraph, f"{name}/bias", kind, [header.out_channels], zeros)
    if kind != TensorType.FLOAT32:
        graph.tensor(subgraph, bias).quantization = _quantization(packed.scales * np.float32(header.input_scale))
    return bias


def _quantization(scales: npt.NDArray[np.float32], depthwise: bool = False, zero_point: int = 0) -> Any:
    """Scales along the output channels; one where all are equal."""
    quantization = tfl.QuantizationParametersT()
    quantization.scale = scales[:1] if np.all(scales == scales[0]) else scales
    quantization.zeroPoint = np.full(len(quantization.scale), zero_point, np.int64)
    quantization.quantizedDimension = 3 if depthwise and len(quantization.scale) > 1 else 0
    return quantization


def _depthwise_options(spec: OpSpec) -> Any:
    options = _with_window(tfl.DepthwiseConv2DOptionsT(), spec)
    options.depthMultiplier = spec.out_channels // spec.in_channels
    return options


def _with_window(options: Any, spec: OpSpec) -> Any:
    options.padding = int(spec.padding)
    options.strideH, options.strideW = spec.stride_h, spec.stride_w
    options.dilationHFactor, options.dilationWFactor = spec.dilation_h, spec.dilation_w
    options.fusedActivationFunction = int(spec.activation)
    return options


def _fully_connected_options(spec: OpSpec, known: dict[str, Any]) -> Any:
    options = tfl.FullyConnectedOptionsT()
    options.fusedActivationFunction = int(spec.activation)
    options.keepNumDims = spec.keep_num_dims
    options.asymmetricQuantizeInputs = bool(known.get("asymmetric_quantize_inputs", 0))
    return options
