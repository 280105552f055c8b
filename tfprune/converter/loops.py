# SPDX-License-Identifier: Apache-2.0
"""Constants that enter a ``WHILE`` loop from outside and never change there become constants of its body.

Converters differ: weights of a recurrent layer lie in the loop's body, or are loop variables that every step hands on
as they came. Only a constant can be packed, so the second form is made the first; the meaning is the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tfprune.converter.graph import Graph

_SUBGRAPH_OPTIONS = ("condSubgraphIndex", "bodySubgraphIndex", "thenSubgraphIndex", "elseSubgraphIndex", "subgraph")


def sink_invariant_constants(graph: Graph) -> int:
    """Moves invariant constants into the loops they enter; through nested loops too.

    A loop variable is moved where the body hands on its own input, the value that enters is a constant of the file,
    nothing reads it behind the loop, and no other operator runs the loop's subgraphs.

    Args:
        graph: the model, changed in place. Tensors and operators keep their numbers.

    Returns:
        How many loop variables were moved.
    """
    moved = 0
    pending = True
    while pending:
        pending = False
        for number, op in _loops(graph):
            for variable in reversed(range(len(op.inputs))):
                if _is_invariant_constant(graph, number, op, variable):
                    _sink(graph, number, op, variable)
                    moved += 1
                    pending = True
    return moved


def _loops(graph: Graph) -> Iterator[tuple[int, Any]]:
    """Subgraph and operator of every loop that is in order and whose subgraphs are its own."""
    runs = [run for _, _, op in graph.operators() for run in _subgraphs_of(op)]
    runs += [int(signature.subgraphIndex) for signature in graph.model.signatureDefs or []]
    runs.append(0)
    count = len(graph.model.subgraphs)
    for number, _, op in graph.operators():
        if graph.op_name(op) != "WHILE" or op.builtinOptions is None:
            continue
        inside = _subgraphs_of(op)
        if len(set(inside)) != 2 or not all(0 < index < count and runs.count(index) == 1 for index in inside):
            continue
        condition, body = (graph.model.subgraphs[index] for index in inside)
        lengths = {len(op.inputs), len(op.outputs), len(condition.inputs), len(body.inputs), len(body.outputs)}
        if len(lengths) == 1:
            yield number, op


def _subgraphs_of(op: Any) -> list[int]:
    options = op.builtinOptions
    return [int(getattr(options, name)) for name in _SUBGRAPH_OPTIONS if hasattr(options, name)]


def _is_invariant_constant(graph: Graph, number: int, op: Any, variable: int) -> bool:
    body = graph.model.subgraphs[int(op.builtinOptions.bodySubgraphIndex)]
    inner = int(body.inputs[variable])
    outer, result = int(op.inputs[variable]), int(op.outputs[variable])
    if inner != int(body.outputs[variable]) or min(inner, outer, result) < 0:
        return False
    if list(body.inputs).count(inner) != 1 or list(body.outputs).count(inner) != 1:
        return False
    tensor = graph.tensor(number, outer)
    # What a loop hands on is used once: as the output of the loop itself.
    return graph.raw(tensor) is not None and not tensor.isVariable and graph.tensor_uses(number, result) == 1


def _sink(graph: Graph, number: int, op: Any, variable: int) -> None:
    source = graph.tensor(number, int(op.inputs[variable]))
    options = op.builtinOptions
    for inside in (int(options.condSubgraphIndex), int(options.bodySubgraphIndex)):
        subgraph = graph.model.subgraphs[inside]
        graph.make_constant(inside, int(subgraph.inputs[variable]), source)
    graph.drop_loop_variable(number, op, variable)
