# SPDX-License-Identifier: Apache-2.0
"""Constants that enter a loop or a branch from outside and never change there become constants of its subgraphs.

Converters differ: weights of a recurrent layer lie in the loop's body, or are loop variables that every step hands on
as they came; those of a branch lie in it, or are arguments of ``IF``. Only a constant can be packed, so the second form
is made the first; the meaning is the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tfprune.converter.graph import Graph

_SUBGRAPH_OPTIONS = ("condSubgraphIndex", "bodySubgraphIndex", "thenSubgraphIndex", "elseSubgraphIndex", "subgraph")


def sink_invariant_constants(graph: Graph) -> int:
    """Moves invariant constants into the loops and branches they enter; through nested ones too.

    A loop variable is moved where the body hands on its own input, the value that enters is a constant of the file,
    nothing reads it behind the loop, and no other operator runs the loop's subgraphs. An argument of a branch is moved
    where it is a constant of the file, no branch returns it, and no other operator runs the branches.

    Args:
        graph: the model, changed in place. Tensors and operators keep their numbers.

    Returns:
        How many loop variables and arguments were moved.
    """
    moved = 0
    pending = True
    while pending:
        pending = False
        for number, op in _own_subgraphs(graph):
            is_loop = graph.op_name(op) == "WHILE"
            may_sink, sink = (_is_invariant, _sink_variable) if is_loop else (_is_argument, _sink_argument)
            for place in reversed(range(len(op.inputs))):
                if _is_constant(graph, number, int(op.inputs[place])) and may_sink(graph, number, op, place):
                    sink(graph, number, op, place)
                    moved += 1
                    pending = True
    return moved


def _own_subgraphs(graph: Graph) -> Iterator[tuple[int, Any]]:
    """Subgraph and operator of every ``WHILE`` and ``IF`` that is in order and whose subgraphs are its own."""
    runs = [run for _, _, op in graph.operators() for run in _subgraphs_of(op)]
    runs += [int(signature.subgraphIndex) for signature in graph.model.signatureDefs or []]
    runs.append(0)
    count = len(graph.model.subgraphs)
    for number, _, op in graph.operators():
        name, inside = graph.op_name(op), _subgraphs_of(op)
        if name not in ("WHILE", "IF") or len(set(inside)) != 2:
            continue
        if not all(0 < index < count and runs.count(index) == 1 for index in inside):
            continue
        first, second = (graph.model.subgraphs[index] for index in inside)
        if name == "WHILE":
            lengths = {len(op.inputs), len(op.outputs), len(first.inputs), len(second.inputs), len(second.outputs)}
        else:
            lengths = {len(op.inputs) - 1, len(first.inputs), len(second.inputs)}
        if len(lengths) == 1:
            yield number, op


def _subgraphs_of(op: Any) -> list[int]:
    options = op.builtinOptions
    return [int(getattr(options, name)) for name in _SUBGRAPH_OPTIONS if hasattr(options, name)]


def _is_constant(graph: Graph, number: int, index: int) -> bool:
    return (
        index >= 0 and graph.raw(graph.tensor(number, index)) is not None and not graph.tensor(number, index).isVariable
    )


def _is_invariant(graph: Graph, number: int, op: Any, variable: int) -> bool:
    body = graph.model.subgraphs[int(op.builtinOptions.bodySubgraphIndex)]
    inner, result = int(body.inputs[variable]), int(op.outputs[variable])
    if inner != int(body.outputs[variable]) or min(inner, result) < 0:
        return False
    if list(body.inputs).count(inner) != 1 or list(body.outputs).count(inner) != 1:
        return False
    # What a loop hands on is used once: as the output of the loop itself.
    return graph.tensor_uses(number, result) == 1


def _is_argument(graph: Graph, number: int, op: Any, place: int) -> bool:
    """Whether an input of ``IF`` behind the condition is an argument that both branches only read."""
    if place == 0:
        return False
    branches = [graph.model.subgraphs[index] for index in _subgraphs_of(op)]
    inner = [int(branch.inputs[place - 1]) for branch in branches]
    return all(
        index >= 0 and list(branch.inputs).count(index) == 1 and index not in branch.outputs
        for branch, index in zip(branches, inner, strict=True)
    )


def _sink_variable(graph: Graph, number: int, op: Any, variable: int) -> None:
    _give(graph, graph.tensor(number, int(op.inputs[variable])), op, variable)
    body = int(op.builtinOptions.bodySubgraphIndex)
    for subgraph, owner in ((number, op), (body, graph.model.subgraphs[body])):
        graph.drop_entry(subgraph, owner, "outputs", variable)
    graph.drop_entry(number, op, "inputs", variable)


def _sink_argument(graph: Graph, number: int, op: Any, place: int) -> None:
    _give(graph, graph.tensor(number, int(op.inputs[place])), op, place - 1)
    graph.drop_entry(number, op, "inputs", place)


def _give(graph: Graph, source: Any, op: Any, place: int) -> None:
    """Makes the input at ``place`` of an operator's subgraphs the constant ``source`` of their own."""
    for inside in _subgraphs_of(op):
        subgraph = graph.model.subgraphs[inside]
        graph.make_constant(inside, int(subgraph.inputs[place]), source)
        graph.drop_entry(inside, subgraph, "inputs", place)
