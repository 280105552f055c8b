# SPDX-License-Identifier: Apache-2.0
"""What the rewrites to sparse ops share: packed weights and geometry take the place of dense weights."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.converter.analysis import Finding
from tfprune.converter.capability import CUSTOM_CODES, WEIGHTS_INPUT, Layer
from tfprune.converter.graph import Graph
from tfprune.converter.plan import Plan
from tfprune.converter.schema import TensorType, flexbuffer_map, text
from tfprune.formats import FORMAT_VERSION, Op, encode, read

#: Packed weights already in the file, by dense buffer, meaning and encoding: its buffer.
PackedBuffers = dict[tuple[Any, ...], int]


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
    header = read(data).header
    weights = _place(graph, op, layer, f"{name}/packed", data, packed.get(key))
    packed.setdefault(key, int(graph.tensor(layer.subgraph, weights).buffer))
    geometry = graph.add_zeros(layer.subgraph, f"{name}/geometry", layer.geometry)
    inputs = [int(op.inputs[0]), weights, geometry]
    if layer.bias is not None:
        inputs.append(_place_bias(graph, layer.subgraph, layer.bias))
    options = {"version": FORMAT_VERSION, "dense_version": graph.version(op), **dataclasses.asdict(header)}
    if getattr(op.builtinOptions, "asymmetricQuantizeInputs", False):
        options["asymmetric_quantize_inputs"] = 1
    graph.set_inputs(layer.subgraph, op, inputs)
    graph.set_custom(op, CUSTOM_CODES[layer.spec.op], flexbuffer_map(options))
    if layer.surround is not None:
        graph.replace_operator(layer.subgraph, layer.index, layer.surround(graph, op))


def _place(graph: Graph, op: Any, layer: Layer, name: str, data: npt.NDArray[np.uint8], buffer: int | None) -> int:
    """Tensor index of the packed weights, in ``buffer`` where an equal layer has packed them before."""
    source = layer.numbers.source
    place = (name, TensorType.UINT8, [len(data)])
    if source == int(op.inputs[WEIGHTS_INPUT]):
        if buffer is not None:
            return graph.reuse_constant(layer.subgraph, source, *place, buffer)
        return graph.replace_constant(layer.subgraph, source, *place, data)
    # The constant behind a DEQUANTIZE is dropped with that operator, when nothing else reads it.
    if buffer is not None:
        return graph.share_constant(layer.subgraph, *place, buffer)
    return graph.add_constant(layer.subgraph, *place, data)


def _place_bias(graph: Graph, subgraph: int, index: int) -> int:
    """The bias as a constant of the op's own type at an aligned place."""
    bias = graph.tensor(subgraph, index)
    halves = graph.constant(bias, np.float16) if bias.type == TensorType.FLOAT16 else None
    if halves is None:
        graph.align(bias)
        return index
    data = halves.astype(np.float32).view(np.uint8)
    return graph.add_constant(subgraph, text(bias.name), TensorType.FLOAT32, [len(halves)], data)
