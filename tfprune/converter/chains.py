# SPDX-License-Identifier: Apache-2.0
"""Layers that stand between planar ones: in a chain of the delegate nothing is moved into or out of planar form."""

from __future__ import annotations

import dataclasses
from collections import defaultdict

from tfprune.converter.capability import Layer
from tfprune.converter.graph import Graph
from tfprune.converter.plan import Study
from tfprune.costs import CostTable, kind_costs, predict_moves

#: Ops that the delegate runs between sparse convolutions, see docs/architecture.md.
PLANAR_OPS = {"DEPTHWISE_CONV_2D", "ADD", "AVERAGE_POOL_2D", "MAX_POOL_2D"}
#: A place in the model: subgraph and number of the operator.
Place = tuple[int, int]


class Neighbours:
    """Which operators write and read each activation."""

    def __init__(self, graph: Graph) -> None:
        """Reads the whole model once."""
        self._graph = graph
        self._names: dict[Place, str] = {}
        self._writer: dict[tuple[int, int], Place] = {}
        self._readers: dict[tuple[int, int], list[Place]] = defaultdict(list)
        for subgraph, index, op in graph.operators():
            place = (subgraph, index)
            self._names[place] = graph.op_name(op)
            for tensor in map(int, op.outputs):
                self._writer[subgraph, tensor] = place
            for tensor in map(int, op.inputs):
                self._readers[subgraph, tensor].append(place)

    def planar_sides(self, layer: Layer, sparse: set[Place]) -> tuple[bool, bool]:
        """Whether what writes the layer's input is planar, and whether everything that reads its output is.

        Args:
            layer: a convolution.
            sparse: places of the convolutions that become sparse.
        """
        op = self._graph.model.subgraphs[layer.subgraph].operators[layer.index]
        writer = self._writer.get((layer.subgraph, int(op.inputs[0])))
        readers = self._readers[layer.subgraph, int(op.outputs[0])]
        outputs = {int(tensor) for tensor in self._graph.model.subgraphs[layer.subgraph].outputs}
        inside = bool(readers) and int(op.outputs[0]) not in outputs
        return (
            writer is not None and self._planar(writer, sparse),
            inside and all(self._planar(reader, sparse) for reader in readers),
        )

    def _planar(self, place: Place, sparse: set[Place]) -> bool:
        return place in sparse or self._names[place] in PLANAR_OPS


def without_moves(known: Study, layer: Layer, table: CostTable, sides: tuple[bool, bool]) -> Study:
    """The study with times that leave out what the sides in planar form do not cost."""
    moves = predict_moves(kind_costs(table, layer.cost_shape), layer.cost_shape)
    saved = sum(planar * move for planar, move in zip(sides, moves, strict=True))
    plans = (dataclasses.replace(plan, sparse_time=plan.sparse_time - saved) for plan in known.candidates)
    return dataclasses.replace(known, candidates=tuple(plans))
