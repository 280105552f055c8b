# SPDX-License-Identifier: Apache-2.0
"""What the rewrites to sparse ops share: packed weights and geometry take the place of dense weights."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.converter.capability import CUSTOM_CODES, Layer
from tfprune.converter.expand.grouped import Depthwise, Grouped
from tfprune.converter.finding import Finding
from tfprune.converter.graph import Graph
from tfprune.converter.options import op_options
from tfprune.converter.passes.densify import plain_version
from tfprune.converter.passes.idle import drop_idle_writer
from tfprune.converter.plan import Plan
from tfprune.converter.schema import TensorType, flexbuffer_map, text, tfl
from tfprune.formats import Op, encode, read

#: Packed weights already in the file, by dense buffer, meaning and encoding: its buffer.
PackedBuffers = dict[tuple[Any, ...], int]

_BIAS_TYPES: dict[int, npt.DTypeLike] = {
    TensorType.FLOAT16: np.float16,
    TensorType.FLOAT32: np.float32,
    TensorType.INT32: np.int32,
    TensorType.INT64: np.int64,
}
# Versions under which TFLite knows these precisions of a CONV_2D; without bias a FULLY_CONNECTED has version 6.
_CONV_2D_VERSIONS = {"float32": 1, "float16": 1, "weight_only": 1, "uint8": 1, "int8": 3, "int16": 4, "dynamic": 5}
_FULLY_CONNECTED_VERSION = 6


def pack_operators(graph: Graph, findings: list[Finding], packed: PackedBuffers, op: Op) -> None:
    """Rewrites the operators of kind ``op`` that have a plan."""
    for finding in findings:
        if isinstance(finding.outcome, Plan) and finding.layer is not None and finding.layer.spec.op == op:
            _pack(graph, finding.layer, finding.outcome, packed)


def _pack(graph: Graph, layer: Layer, plan: Plan, packed: PackedBuffers) -> None:
    op = graph.model.subgraphs[layer.subgraph].operators[layer.index]
    source = graph.tensor(layer.subgraph, layer.numbers.source)
    name = text(source.name)
    key = (int(source.buffer), layer.meaning(), plan.encoding_name)
    quantization = layer.numbers.quantization
    data = encode(layer.matrix(graph), layer.spec, plan.encoding, plan.rows, plan.cols, quantization=quantization)
    weights = _place(graph, op, layer, f"{name}/packed", data, packed.get(key))
    packed.setdefault(key, int(graph.tensor(layer.subgraph, weights).buffer))
    geometry = graph.add_zeros(layer.subgraph, f"{name}/geometry", layer.geometry)
    inputs = [int(op.inputs[layer.activation_input]), weights, geometry]
    if layer.bias is not None:
        inputs.append(_place_bias(graph, layer, layer.bias))
    options = {**op_options(read(data)), **_dense(graph, op, layer, math.prod(graph.shape(source)))}
    if getattr(op.builtinOptions, "asymmetricQuantizeInputs", False):
        options["asymmetric_quantize_inputs"] = 1
    former = [int(index) for index in op.inputs if index >= 0]
    graph.set_inputs(layer.subgraph, op, inputs)
    for index in set(former).difference(inputs):
        drop_idle_writer(graph, layer.subgraph, index)
    graph.set_custom(op, CUSTOM_CODES[layer.spec.op], flexbuffer_map(options))
    if layer.surround is not None:
        graph.replace_operator(layer.subgraph, layer.index, layer.surround(graph, op))


def _place(graph: Graph, op: Any, layer: Layer, name: str, data: npt.NDArray[np.uint8], buffer: int | None) -> int:
    """Tensor index of the packed weights, in ``buffer`` where an equal layer has packed them before."""
    source = layer.numbers.source
    place = (name, TensorType.UINT8, [len(data)])
    if source in map(int, op.inputs):
        if buffer is not None:
            return graph.reuse_constant(layer.subgraph, source, *place, buffer)
        return graph.replace_constant(layer.subgraph, source, *place, data)
    # The constant behind a DEQUANTIZE is dropped with that operator, when nothing else reads it.
    if buffer is not None:
        return graph.share_constant(layer.subgraph, *place, buffer)
    return graph.add_constant(layer.subgraph, *place, data)


def _place_bias(graph: Graph, layer: Layer, index: int) -> int:
    """The bias as a constant of the op's own type at an aligned place, as often as the matrix repeats it."""
    bias = graph.tensor(layer.subgraph, index)
    if bias.type != TensorType.FLOAT16 and layer.bias_repeats == 1:
        graph.align(bias)
        return index
    values = graph.constant(bias, _BIAS_TYPES[bias.type])
    assert values is not None, "the reader of the layer looked at it"
    values = np.tile(values, layer.bias_repeats)
    kind = bias.type
    if kind == TensorType.FLOAT16:
        kind, values = TensorType.FLOAT32, values.astype(np.float32)
    made = graph.add_constant(layer.subgraph, text(bias.name), kind, values.shape, values.view(np.uint8))
    graph.tensor(layer.subgraph, made).quantization = _repeated(bias.quantization, layer.bias_repeats)
    return made


def _repeated(quantization: Any, times: int) -> Any:
    """Parameters of a constant that is repeated along its one axis."""
    if quantization is None or quantization.scale is None or len(quantization.scale) < 2:
        return quantization
    made = tfl.QuantizationParametersT()
    made.scale, made.zeroPoint = np.tile(quantization.scale, times), np.tile(quantization.zeroPoint, times)
    return made


def _dense(graph: Graph, op: Any, layer: Layer, weights: int) -> dict[str, int | str]:
    """Options that say which dense op stood here, and which one `target="dense"` is to write."""
    name = graph.op_name(op)
    known: dict[str, int | str] = {"dense_op": name, "dense_version": graph.version(op)}
    if layer.expand is not None:
        known["dense_weights"] = weights
    if isinstance(layer.expand, (Depthwise, Grouped)):
        known["groups"] = layer.expand.channels if isinstance(layer.expand, Depthwise) else layer.expand.groups
    elif layer.spec.op == Op.CONV_2D and name != "CONV_2D":
        known["dense_version"] = _CONV_2D_VERSIONS[layer.precision]
    elif layer.spec.op == Op.FULLY_CONNECTED and name != "FULLY_CONNECTED":
        known["dense_version"] = _FULLY_CONNECTED_VERSION
    elif name == "FULLY_CONNECTED" and graph.tensor(layer.subgraph, layer.numbers.source).sparsity is not None:
        known["dense_version"] = plain_version(op)
    return known
