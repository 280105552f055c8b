# SPDX-License-Identifier: Apache-2.0
"""The way back: tfprune ops become ``CONV_2D`` and ``FULLY_CONNECTED`` with ordinary weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.converter.analysis import packed_operators
from tfprune.converter.capability import WEIGHTS_INPUT
from tfprune.converter.graph import Graph
from tfprune.converter.packed_report import packed_report
from tfprune.converter.report import LayerReport
from tfprune.converter.schema import BuiltinOperator, TensorType, read_flexbuffer_map, text, tfl
from tfprune.errors import ModelError, PackedFormatError
from tfprune.formats import Op, OpSpec, PackedWeights, ValueType

_BIAS_INPUT = 3
_SUFFIX = "/packed"
# Float16 weights are what version 3 of DEQUANTIZE added.
_DEQUANTIZE_VERSION = 3
_STORED = {
    ValueType.FLOAT32: (np.float32, TensorType.FLOAT32),
    ValueType.FLOAT16: (np.float16, TensorType.FLOAT16),
    ValueType.INT8: (np.int8, TensorType.INT8),
}
_DENSE_OPS = {
    Op.CONV_2D: (BuiltinOperator.CONV_2D, tfl.BuiltinOptions.Conv2DOptions),
    Op.FULLY_CONNECTED: (BuiltinOperator.FULLY_CONNECTED, tfl.BuiltinOptions.FullyConnectedOptions),
}


def rewrite(graph: Graph) -> list[LayerReport]:
    """Makes every tfprune op of ``graph`` a stock one again.

    The weights are those that were packed, bit by bit; only the sign of a zero is lost.

    Raises:
        ModelError: packed weights that break a rule of the format.
    """
    reports = []
    restored: dict[int, int] = {}
    for subgraph, index, op, packed in packed_operators(graph):
        reports.append(packed_report(graph, subgraph, index, op, packed, "restored"))
        _restore(graph, (subgraph, index), op, packed, restored)
    return reports


def _restore(graph: Graph, place: tuple[int, int], op: Any, packed: PackedWeights, restored: dict[int, int]) -> None:
    subgraph, index = place
    spec = packed.header.spec
    weights = _restore_weights(graph, subgraph, op, packed, restored)
    before = []
    if packed.header.value_type == ValueType.FLOAT16:
        before.append(_dequantize(graph, subgraph, weights))
        weights = int(before[0].outputs[0])
    inputs = [int(op.inputs[0]), weights]
    if len(op.inputs) > _BIAS_INPUT and op.inputs[_BIAS_INPUT] >= 0:
        inputs.append(int(op.inputs[_BIAS_INPUT]))
    known = read_flexbuffer_map(op.customOptions)
    graph.set_inputs(subgraph, op, inputs)
    number, options_type = _DENSE_OPS[spec.op]
    options = _conv_options(spec) if spec.op == Op.CONV_2D else _fully_connected_options(spec, known)
    version = known.get("dense_version")
    if not isinstance(version, int):
        raise ModelError(
            f"operator {index} of subgraph {subgraph}: its options lack the version of the dense op; "
            "convert the model again"
        )
    graph.set_builtin(op, number, version, options_type, options)
    if before:
        graph.replace_operator(subgraph, index, [*before, op])


def _restore_weights(graph: Graph, subgraph: int, op: Any, packed: PackedWeights, restored: dict[int, int]) -> int:
    """Tensor index of the dense weights in the type in which they were packed."""
    spec = packed.header.spec
    shape = [spec.out_channels, spec.in_channels]
    if spec.op == Op.CONV_2D:
        shape[1:1] = [spec.kernel_h, spec.kernel_w]
    dtype, kind = _STORED[ValueType(packed.header.value_type)]
    slot = int(op.inputs[WEIGHTS_INPUT])
    tensor = graph.tensor(subgraph, slot)
    place = (subgraph, slot, text(tensor.name).removesuffix(_SUFFIX), kind, shape)
    # Ops of several subgraphs may share packed weights: they share the dense ones again.
    key = int(tensor.buffer)
    if key in restored:
        weights = graph.reuse_constant(*place, restored[key])
    else:
        try:
            matrix = packed.stored_matrix()
        except PackedFormatError as error:
            raise ModelError(f"{text(tensor.name)}: {error}") from error
        weights = graph.replace_constant(*place, matrix.astype(dtype, copy=False).reshape(-1).view(np.uint8))
        restored[key] = int(graph.tensor(subgraph, weights).buffer)
    if packed.header.value_type == ValueType.INT8:
        graph.tensor(subgraph, weights).quantization = _quantization(packed.scales)
    return weights


def _dequantize(graph: Graph, subgraph: int, halves: int) -> Any:
    tensor = graph.tensor(subgraph, halves)
    widened = graph.add_activation(subgraph, f"{text(tensor.name)}/float32", tensor, graph.shape(tensor))
    graph.tensor(subgraph, widened).type = TensorType.FLOAT32
    options = tfl.DequantizeOptionsT()
    kind = tfl.BuiltinOptions.DequantizeOptions
    return graph.new_builtin(
        BuiltinOperator.DEQUANTIZE, _DEQUANTIZE_VERSION, kind, options, inputs=[halves], outputs=[widened]
    )


def _quantization(scales: npt.NDArray[np.float32]) -> Any:
    """Scales along the output channels; one where all are equal."""
    quantization = tfl.QuantizationParametersT()
    quantization.scale = scales[:1] if np.all(scales == scales[0]) else scales
    quantization.zeroPoint = np.zeros(len(quantization.scale), np.int64)
    return quantization


def _conv_options(spec: OpSpec) -> Any:
    options = tfl.Conv2DOptionsT()
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
