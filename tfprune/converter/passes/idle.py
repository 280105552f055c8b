# SPDX-License-Identifier: Apache-2.0
"""Operators that computed a shape for an operator that no longer asks for it."""

from __future__ import annotations

from tfprune.converter.graph import Graph

# Without effects; what computes the output shape of a transposed convolution from the batch.
_SHAPE_OPS = ("SHAPE", "STRIDED_SLICE", "SLICE", "GATHER", "CAST", "PACK", "CONCATENATION", "ADD", "SUB", "MUL")


def drop_idle_writer(graph: Graph, subgraph: int, index: int) -> None:
    """Drops the operator that writes a tensor nothing reads any more, and those that only it read.

    Args:
        graph: the model.
        subgraph: number of the subgraph.
        index: the tensor.
    """
    writer = graph.writer(subgraph, index)
    inside = graph.model.subgraphs[subgraph]
    if writer is None or graph.op_name(writer) not in _SHAPE_OPS or index in map(int, inside.outputs):
        return
    if any(index in map(int, op.inputs) for op in inside.operators):
        return
    place = next(number for number, op in enumerate(inside.operators) if op is writer)
    read = [int(source) for source in writer.inputs]
    graph.set_inputs(subgraph, writer, [])
    graph.replace_operator(subgraph, place, [])
    for source in read:
        drop_idle_writer(graph, subgraph, source)
