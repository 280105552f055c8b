# SPDX-License-Identifier: Apache-2.0
"""The partition into chains as Python predicts it is the one that the delegate makes."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

import tfprune as tp
from tfprune.converter.capability import Layer, examine
from tfprune.converter.graph import Graph
from tfprune.mapping.planar_chains import PlanarGraph
from tfprune.mapping.profiling.chain_files import ChainCase, Piece, in_series, pieces
from tfprune.runtime.layers import delegate_layers

FORMS = ("basic", "down", "inverted", "inverted_down", "bottleneck", "pooled")


def _delegate_chains(content: bytes) -> list[list[int]]:
    delegate = tp.delegate()
    interpreter = Interpreter(model_content=content, experimental_delegates=[delegate])
    interpreter.allocate_tensors()
    found: dict[int, set[int]] = {}
    for layer in delegate_layers(delegate):
        if layer.chained and layer.kernel not in ("import", "export"):
            found.setdefault(layer.op, set()).add(layer.node)
    return sorted(sorted(nodes) for nodes in found.values())


def _predicted_chains(dense: bytes, sparse_places: set[int]) -> list[list[int]]:
    graph = Graph(dense)
    layers = [each for each in (examine(graph, *place) for place in graph.operators()) if isinstance(each, Layer)]
    chains = PlanarGraph(graph, layers).chains({(0, place) for place in sparse_places})
    return sorted([node.place[1] for node in chain.nodes] for chain in chains)


def _network(seed: int) -> list[Piece]:
    """One form three times."""
    random = np.random.default_rng(seed)
    form = FORMS[seed % len(FORMS)]
    return pieces(ChainCase(form, int(random.choice([7, 14, 20])), int(random.choice([8, 16, 24])), 3, seed))


@pytest.mark.parametrize("seed", range(18))
def test_chains_are_those_of_the_delegate(seed: int) -> None:
    random = np.random.default_rng(seed + 100)
    made = _network(seed)
    kept_dense = {place for place, piece in enumerate(made) if piece.layer is None or random.random() < 0.25}
    skips = [piece.skip for piece in made]
    dense = in_series([piece.dense for piece in made], skips)
    mixed = in_series([piece.dense if place in kept_dense else piece.sparse for place, piece in enumerate(made)], skips)

    predicted = _predicted_chains(dense, {place for place in range(len(made)) if place not in kept_dense})

    assert predicted == _delegate_chains(mixed)


def test_some_networks_have_several_chains() -> None:
    """Or the comparison above would say little."""
    counts = set()
    for seed in range(18):
        random = np.random.default_rng(seed + 100)
        made = _network(seed)
        sparse = {place for place, piece in enumerate(made) if piece.layer is not None and random.random() >= 0.25}
        counts.add(
            len(_predicted_chains(in_series([each.dense for each in made], [each.skip for each in made]), sparse))
        )
    assert len(counts) > 1
