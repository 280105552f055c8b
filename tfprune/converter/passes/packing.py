# SPDX-License-Identifier: Apache-2.0
"""What the rewrites to sparse ops share: packed weights and geometry take the place of dense weights."""

from __future__ import annotations

import dataclasses

from tfprune.converter.analysis import Finding
from tfprune.converter.capability import CUSTOM_CODES, Layer
from tfprune.converter.graph import Graph
from tfprune.converter.plan import Plan
from tfprune.converter.schema import TensorType, flexbuffer_map, text
from tfprune.formats import FORMAT_VERSION, Op, OpSpec, encode, read

#: Packed weights already in the file, by dense buffer, meaning and encoding: its buffer.
PackedBuffers = dict[tuple[int, OpSpec, str], int]


def pack_operators(graph: Graph, findings: list[Finding], packed: PackedBuffers, op: Op) -> None:
    """Rewrites the operators of kind ``op`` that have a plan."""
    for finding in findings:
        if isinstance(finding.outcome, Plan) and finding.layer is not None and finding.layer.spec.op == op:
            _pack(graph, finding.layer, finding.outcome, packed)


def _pack(graph: Graph, layer: Layer, plan: Plan, packed: PackedBuffers) -> None:
    op = graph.model.subgraphs[layer.subgraph].operators[layer.index]
    dense = graph.tensor(layer.subgraph, layer.weights)
    name = text(dense.name)
    key = (int(dense.buffer), layer.spec, plan.encoding_name)
    data = encode(layer.matrix(graph), layer.spec, plan.encoding, plan.rows, plan.cols)
    header = read(data).header
    place = (layer.subgraph, layer.weights, f"{name}/packed", TensorType.UINT8, [len(data)])
    if key in packed:
        weights = graph.reuse_constant(*place, packed[key])
    else:
        weights = graph.replace_constant(*place, data)
        packed[key] = int(graph.tensor(layer.subgraph, weights).buffer)
    geometry = graph.add_zeros(layer.subgraph, f"{name}/geometry", layer.geometry)
    inputs = [int(op.inputs[0]), weights, geometry]
    if layer.bias is not None:
        inputs.append(layer.bias)
        graph.align(graph.tensor(layer.subgraph, layer.bias))
    graph.set_inputs(layer.subgraph, op, inputs)
    options = {"version": FORMAT_VERSION, **dataclasses.asdict(header)}
    graph.set_custom(op, CUSTOM_CODES[layer.spec.op], flexbuffer_map(options))
