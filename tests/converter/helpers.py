# SPDX-License-Identifier: Apache-2.0
"""What several converter tests look at in a file."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np

import tfprune
from tfprune.converter.graph import Graph
from tfprune.converter.schema import tfl
from tfprune.formats import PackedWeights, decode, read

STEADY_COSTS = Path(__file__).with_name("steady_costs.json")

#: ``tfprune.convert`` with a cost table that no new fit changes.
convert = functools.partial(tfprune.convert, device=STEADY_COSTS)


def operators(data: bytes) -> list[tuple[Graph, int, Any]]:
    graph = Graph(data)
    return [(graph, subgraph, op) for subgraph, _, op in graph.operators()]


def names(data: bytes) -> list[str]:
    return [graph.op_name(op) for graph, _, op in operators(data)]


def packed_weights(data: bytes, number: int = 0) -> PackedWeights:
    graph, subgraph, op = operators(data)[number]
    raw = graph.raw(graph.input_tensor(subgraph, op, 1))
    assert raw is not None
    return read(raw)


def matrix(data: bytes, number: int = 0) -> np.ndarray:
    """Weights of an operator as a matrix, packed or dense."""
    graph, subgraph, op = operators(data)[number]
    tensor = graph.input_tensor(subgraph, op, 1)
    raw = graph.raw(tensor)
    assert raw is not None
    if graph.is_custom(op):
        return decode(raw)
    return raw.view(np.float32).reshape(graph.shape(tensor)[0], -1)


def input_shapes(data: bytes, number: int = 0) -> list[tuple[int, ...]]:
    graph, subgraph, op = operators(data)[number]
    return [graph.shape(graph.input_tensor(subgraph, op, place)) for place in range(len(op.inputs))]


def data_offsets(data: bytes) -> list[int]:
    """Where each buffer's data start in the file; -1 for none."""
    model = tfl.Model.GetRootAs(data, 0)
    offsets = []
    for index in range(model.BuffersLength()):
        buffer = model.Buffers(index)
        field = buffer._tab.Offset(4)
        offsets.append(buffer._tab.Vector(field) if field and buffer.DataLength() else -1)
    return offsets
