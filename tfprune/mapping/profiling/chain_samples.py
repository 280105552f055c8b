# SPDX-License-Identifier: Apache-2.0
"""What operators cost inside of chains, from measured networks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from tfprune.converter.capability import Layer, examine
from tfprune.converter.graph import Graph
from tfprune.costs.chains import ends
from tfprune.costs.facts import HeldOut
from tfprune.costs.predict import StockOp, predict_in_chain, predict_sparse, predict_stock
from tfprune.costs.table import CHAIN_OPS, CostTable
from tfprune.mapping.other_operators import stock_op
from tfprune.mapping.planar_chains import PlanarGraph, chained_op
from tfprune.mapping.profiling.chain_files import ChainCase, chain_models, in_series, pieces
from tfprune.mapping.profiling.fitting import relative_fit, rounded
from tfprune.mapping.profiling.held_out import held_out, spread
from tfprune.mapping.profiling.samples import Bench, Tell

_FORMS: dict[str, tuple[tuple[int, int, int], ...]] = {
    "basic": ((56, 16, 1), (28, 16, 2), (28, 64, 1), (14, 32, 3), (14, 128, 1), (7, 64, 2), (10, 24, 2), (20, 48, 1)),
    "down": ((56, 16, 1), (28, 32, 1), (28, 16, 2), (14, 64, 1), (16, 24, 2)),
    "inverted": ((28, 16, 2), (14, 32, 2), (14, 64, 1), (7, 96, 2), (7, 160, 1), (48, 8, 2), (4, 48, 3)),
    "inverted_down": ((56, 16, 1), (28, 24, 1), (14, 64, 1), (48, 8, 2)),
    "bottleneck": ((28, 128, 1), (14, 256, 1), (7, 256, 2), (28, 64, 2)),
    "pooled": ((28, 64, 1), (14, 128, 2), (56, 32, 1), (28, 48, 2)),
    "head": ((7, 64, 1), (14, 32, 1), (4, 96, 1)),
}
#: Every form in several sizes.
CASES = tuple(
    ChainCase(form, size, channels, repeats, seed)
    for form, sizes in _FORMS.items()
    for seed, (size, channels, repeats) in enumerate(sizes)
)
#: With fewer networks nothing is said of chains.
FEWEST_CHAINS = 20
#: Coefficients that are fitted: operator and scalar of it.
COEFFICIENTS = (
    ("chain_convolution", "layer"),
    ("chain_convolution", "value"),
    ("chain_window", "mac"),
    ("chain_window", "value"),
    ("chain_strided_window", "mac"),
    ("chain_strided_window", "value"),
    ("chain_depthwise", "layer"),
    ("chain_depthwise", "mac"),
    ("chain_depthwise", "value"),
    ("chain_strided_depthwise", "mac"),
    ("chain_strided_depthwise", "value"),
    ("chain_add", "layer"),
    ("chain_add", "value"),
    ("chain_pooling", "mac"),
    ("chain_reduction", "value"),
    ("chain_ends", "layer"),
    ("chain_ends", "value"),
)


class ChainSample(NamedTuple):
    """A measured network.

    Attributes:
        case: what it is.
        dense: time of the dense file.
        sparse: time of the sparse one.
    """

    case: ChainCase
    dense: float
    sparse: float


def measure_chains(bench: Bench, tell: Tell) -> list[ChainSample]:
    """Measures :data:`CASES`; networks that the device's LiteRT refuses are left out."""
    wanted = {str(case): partial(chain_models, case) for case in CASES}
    rows = bench.times(wanted, ("dense", "sparse"), tell)
    found = [ChainSample(case, **rows[str(case)]) for case in CASES]
    return [sample for sample in found if sample.sparse > 0]


def chain_errors(samples: Sequence[ChainSample], table: CostTable, call: float) -> HeldOut:
    """Errors of the predicted times of networks that the fit did not see."""
    kept, held = held_out(samples)
    fitted = fit_chains(kept, table, call)
    costs = np.array([fitted[name][scalar] for name, scalar in COEFFICIENTS])
    errors = []
    for sample in held:
        known, work = chain_work(sample.case, table)
        errors.append(abs((call + known + float(costs @ _features(work))) / sample.sparse - 1))
    return spread(np.array(errors))


def chain_work(case: ChainCase, table: CostTable) -> tuple[float, list[StockOp]]:
    """Predicted time of what a network does outside of chains and of its multiplications, and the rest of its work."""
    made = pieces(case)
    graph = Graph(in_series([piece.dense for piece in made], [piece.skip for piece in made]))
    operators = list(graph.operators())
    found = (examine(graph, subgraph, index, op) for subgraph, index, op in operators)
    layers = [each for each in found if isinstance(each, Layer)]
    convolutions = {(each.subgraph, each.index) for each in layers if each.expand is None}
    chains = list(PlanarGraph(graph, layers).chains(convolutions))
    inside = {node.place[1] for chain in chains for node in chain.nodes}
    known = 0.0
    for place, piece in enumerate(made):
        if piece.layer is not None and piece.packed is not None:
            shape = piece.layer.costs()
            alone = predict_sparse(table, shape, piece.packed)
            known += predict_in_chain(table, shape, alone) if place in inside else alone
        elif place not in inside:
            known += predict_stock(table, "float32", stock_op(graph, 0, operators[place][2]))
    work = [each for chain in chains for node in chain.nodes for each in chained_op(node).work()]
    return known, [*work, *(each for chain in chains for each in ends(chain.entering, chain.leaving))]


def fit_chains(samples: Sequence[ChainSample], table: CostTable, call: float) -> dict[str, dict[str, float]]:
    """Coefficients of :data:`tfprune.costs.table.CHAIN_OPS`.

    Args:
        samples: measured networks.
        table: coefficients of single layers.
        call: what the call of a model takes.
    """
    rows, times, known = [], [], []
    for sample in samples:
        multiplying, work = chain_work(sample.case, table)
        rows.append([*_features(work)])
        known.append(multiplying)
        times.append(sample.sparse - call)
    features, target = np.array(rows), np.array(times)
    # The multiplications are a feature with the coefficient 1, so that errors are relative to the whole network.
    least = np.array([1.0, *[0.0] * len(COEFFICIENTS)])
    whole = np.column_stack([known, features])
    costs = relative_fit(whole, target, least)
    found: dict[str, dict[str, float]] = {name: {"layer": 0.0, "mac": 0.0, "value": 0.0} for name in CHAIN_OPS}
    for (name, scalar), cost in zip(COEFFICIENTS, costs[1:], strict=True):
        found[name][scalar] = rounded(cost)
    return found


def _features(work: Sequence[StockOp]) -> list[float]:
    counts = {pair: 0.0 for pair in COEFFICIENTS}
    for op in work:
        for scalar, count in (("layer", 1), ("mac", op.macs), ("value", op.values)):
            if (op.name, scalar) in counts:
                counts[op.name, scalar] += count
    return list(counts.values())
