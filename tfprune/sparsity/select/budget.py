# SPDX-License-Identifier: Apache-2.0
"""Spending one budget on the cells of several layers: the search for the price of the model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np

from tfprune.errors import PatternError
from tfprune.sparsity.patterns.base import exact_fraction
from tfprune.sparsity.select.curves import Curve, HullCurve, PricedCurve, RankedCurve
from tfprune.sparsity.select.prices import Guess, find_price
from tfprune.sparsity.select.rank import top_cells

# Counts at which a cost function is looked at.
_SAMPLES = 33
# Costs that are not whole numbers become parts of this many that all layers cost together.
_COST_UNITS = 2**60
# Scores of a layer that the first guess looks at.
_SAMPLE = 16384


class Costs(Protocol):
    """What the cells of a layer cost."""

    @property
    def is_linear(self) -> bool:
        """Whether every cell costs the same."""

    def cost(self, count: int) -> Fraction:
        """Cost of some cells."""

    def dense_cost(self) -> Fraction:
        """Cost of the whole layer."""


@dataclass(frozen=True)
class Spending:
    """What each layer keeps.

    Args:
        curves: Curve of each layer; of one whose cost is a function, the curve over costs.
        counts: Count of each curve.
        budget: The budget.
        gap: By how much the best choice may be better.
    """

    curves: dict[str, Curve]
    counts: dict[str, int]
    budget: Fraction
    gap: int


def spend(layers: Mapping[str, tuple[Curve, Costs]], sparsity: float) -> Spending:
    """Chooses how many cells each layer keeps.

    Args:
        layers: Curve and costs of each layer. Curves of floats must all be `RankedCurve`, with one cost for all cells.
        sparsity: Share of the dense cost to remove.

    Returns:
        The `Spending`.

    Raises:
        PatternError: What must be kept costs more than the budget.
    """
    dense = sum((costs.dense_cost() for _, costs in layers.values()), Fraction(0))
    budget = (1 - exact_fraction(sparsity)) * dense
    linear = {name: costs.cost(1) for name, (_, costs) in layers.items() if costs.is_linear}
    scale, whole = _scale(list(linear.values()), dense, len(linear) == len(layers))
    # Costs are rounded up and the budget down, so that what fits in whole units fits.
    units = {name: math.ceil(cost * scale) for name, cost in linear.items()}
    limit = math.floor(budget * scale)
    unit = max(units.values(), default=0) or _typical_cost(layers, scale)
    priced = {}
    for name, (curve, costs) in layers.items():
        if name in units:
            priced[name] = PricedCurve(curve, units[name], Fraction(units[name], unit))
        else:
            points = [(math.ceil(costs.cost(count) * scale), score, count) for count, score in curve.points(_SAMPLES)]
            hull = HullCurve(curve, points, unit)
            priced[name] = PricedCurve(hull, 1, Fraction(1))
    least = sum(each.curve.least * each.cost for each in priced.values())
    if least > limit:
        raise PatternError(
            f"What must be kept at `max_sparsity` must not cost more than the budget, {float(budget):.6g}. Received: "
            f"sparsity={sparsity}, and layers that cost at least {float(least / scale):.6g}. Raise `max_sparsity` or "
            "lower `sparsity`."
        )
    curves = {name: each.curve for name, each in priced.items()}
    if sum(each.curve.most * each.cost for each in priced.values()) <= limit:
        return Spending(curves, {name: curve.most for name, curve in curves.items()}, budget, 0)
    if least == limit:
        return Spending(curves, {name: curve.least for name, curve in curves.items()}, budget, 0)
    if any(isinstance(curve, RankedCurve) and curve.is_float for curve in curves.values()):
        return Spending(curves, _merge(curves, limit // next(iter(units.values()))), budget, 0)
    if len({each.cost for each in priced.values()}) == 1:
        limit -= limit % unit if linear else 0
    rounding = 0 if whole else 1 + sum(1 if name not in units else layers[name][0].most for name in layers)
    counts, gap = _search(priced, limit, unit, rounding)
    return Spending(curves, counts, budget, gap)


def _scale(costs: list[Fraction], dense: Fraction, is_linear: bool) -> tuple[Fraction, bool]:
    """Units of cost in a cost of 1, and whether all costs are whole numbers of them."""
    if is_linear and len(set(costs)) == 1:
        return 1 / costs[0], True
    shared = math.lcm(*(cost.denominator for cost in costs))
    if is_linear and dense * shared < _COST_UNITS:
        return Fraction(shared), True
    return _COST_UNITS / dense, False


def _typical_cost(layers: Mapping[str, tuple[Curve, Costs]], scale: Fraction) -> int:
    """Mean cost of a cell, in units."""
    cells = sum(curve.most for curve, _ in layers.values())
    dense = sum((costs.dense_cost() for _, costs in layers.values()), Fraction(0))
    return max(1, math.ceil(dense * scale / max(1, cells)))


def _merge(curves: Mapping[str, Curve], count: int) -> dict[str, int]:
    """Counts of layers that together keep their best `count` single weights, within their bounds."""
    missing = count - sum(curve.least for curve in curves.values())
    open_values = []
    for curve in curves.values():
        assert isinstance(curve, RankedCurve)
        # Between the least and the most, best first, so that of equal weights those of earlier layers stay.
        open_values.append(curve.rising[::-1][curve.least : curve.most])
    taken = top_cells(np.concatenate(open_values), missing)
    ends = np.cumsum([0, *(values.size for values in open_values)])
    return {
        name: curve.least + int(np.count_nonzero(taken[first:last]))
        for (name, curve), first, last in zip(curves.items(), ends, ends[1:], strict=False)
    }


def _search(priced: Mapping[str, PricedCurve], limit: int, unit: int, rounding: int) -> tuple[dict[str, int], int]:
    """Counts by one price for all layers, and how much the best choice may be better.

    Args:
        priced: The layers.
        limit: Budget in units of cost.
        unit: Cost of a cell that sees the price of the model.
        rounding: Units of cost by which the costs of a choice may have been rounded.
    """
    parts = list(priced.values())
    low = min(math.floor(part.curve.low / part.ratio) for part in parts)
    high = max(math.ceil(part.curve.high / part.ratio) for part in parts)
    price, exact = find_price(parts, limit, low, high, _guess(parts, limit))
    for part in parts:
        part.curve.reset()
    counts = {name: int(part.curve.counts([part.own(price)])[0]) for name, part in priced.items()}
    left = limit - sum(counts[name] * part.cost for name, part in priced.items())
    # By duality: at this price nothing is better, but for what the rest of the budget would buy.
    gap = Fraction(price * (left + rounding), unit)
    if not exact:
        for name, part in priced.items():
            more = int(part.curve.counts([part.own(price - 1)])[0])
            added = part.curve.fitting(min(more, counts[name] + left // part.cost)) - counts[name]
            counts[name] += added
            left -= added * part.cost
            # What was added pays at the price below.
            is_hull = isinstance(part.curve, HullCurve)
            gap -= added * (Fraction(price - 1, unit) if is_hull else part.own(price - 1) + 1)
    return counts, max(0, math.floor(gap))


def _guess(parts: list[PricedCurve], limit: int) -> Guess:
    """The price at which some cells of every layer would fit the budget, if they stood for all."""
    values, costs = [], []
    for part in parts:
        found, each = part.curve.sample()
        stride = max(1, found.size // _SAMPLE)
        sample = found.reshape(-1)[::stride]
        values.append(sample / float(part.ratio))
        costs.append(np.full(sample.size, each * stride * part.cost, np.float64))
    value, cost = np.concatenate(values), np.concatenate(costs)
    order = np.argsort(-value)
    spent = np.cumsum(cost[order])
    places = np.minimum(np.searchsorted(spent, [limit * 0.9, limit, limit * 1.1]), order.size - 1)
    fewer, same, more = value[order][places]
    return Guess(float(same), 0.2 * limit / max(1.0, float(fewer - more)))
