# SPDX-License-Identifier: Apache-2.0
"""What layers cost over their rate: predicted at few rates, and on straight lines between them."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tfprune.costs import CostTable, LayerShape
from tfprune.errors import PatternError
from tfprune.mapping.budget import Budget
from tfprune.mapping.choice import Choice
from tfprune.mapping.latency import LatencyModel, LayerPrediction, Prediction
from tfprune.mapping.network import NetworkLayer
from tfprune.mapping.other_operators import dense_time
from tfprune.sparsity.layouts import Layout, matrix_shape
from tfprune.sparsity.patterns import Pattern

#: Predicted times are linear in the number of groups, so that few rates do.
ANCHORS = (0.3, 0.6, 0.8, 0.95)
#: Rates are whole numbers of percent: what the layers of one shape share is predicted once.
PERCENT = 100


class Cost(NamedTuple):
    """What a layer costs.

    Attributes:
        time: predicted, in the table's unit.
        amount: of what the budget limits.
        sparse: whether the converter would make it sparse.
    """

    time: float
    amount: float
    sparse: bool


class RateRange(NamedTuple):
    """The shares of zeros that a pattern can have on a layer: whole percents, or a rate of the pattern's own."""

    least: float
    most: float

    def clip(self, rate: float) -> float:
        """The nearest rate that there is."""
        return min(max(rate, self.least), self.most)


class Curves:
    """Costs of layers over the rate.

    Layers are predicted inside the whole model, each beside others that are sparse too: what they save by handing
    values on as they are is in the numbers.

    Args:
        latency: predicts the model.
        budget: says which amount counts.
    """

    def __init__(self, latency: LatencyModel, budget: Budget) -> None:
        self._latency = latency
        self._amount = {"size_bytes": "stored_bytes", "mac_ratio": "macs"}.get(budget.kind, "time")
        self._samples: dict[tuple[str, Pattern], list[tuple[float, LayerPrediction]]] = {}

    def knows(self, name: str, pattern: Pattern) -> bool:
        """Whether a layer was predicted with a pattern."""
        return (name, pattern) in self._samples

    def sample(self, patterns: Mapping[str, Pattern]) -> None:
        """Predicts the model at every anchor.

        Args:
            patterns: one for each layer that is to be sparse, by name; those that are known are there for the others.
        """
        new = {name: pattern for name, pattern in patterns.items() if not self.knows(name, pattern)}
        if not new:
            return
        rates = {name: _anchors(self._latency.network.layer(name), pattern) for name, pattern in patterns.items()}
        for name, pattern in new.items():
            self._samples[name, pattern] = []
        for index in range(max(map(len, rates.values()))):
            found = self._latency.predict(
                {
                    name: Choice(pattern, rates[name][min(index, len(rates[name]) - 1)])
                    for name, pattern in patterns.items()
                }
            )
            for name, pattern in new.items():
                if index < len(rates[name]):
                    self._samples[name, pattern].append((rates[name][index], found.layers[name]))

    def at(self, name: str, pattern: Pattern, rate: float) -> Cost:
        """What a layer costs with a pattern that was sampled, at any rate."""
        sparse = [(each, found) for each, found in self._samples[name, pattern] if found.sparse]
        dense = self.dense(name)
        if not sparse or (len(sparse) == 1 and rate < sparse[0][0]):
            return dense
        rates = [each for each, _ in sparse]
        time = _on_lines(rate, rates, [found.time for _, found in sparse])
        if time * self._latency.min_speedup > dense.time:
            return dense
        amount = _on_lines(rate, rates, [float(getattr(found, self._amount)) for _, found in sparse])
        return Cost(time, amount, True)

    def dense(self, name: str) -> Cost:
        """What a layer costs without zeros."""
        found = self._latency.dense.layers[name]
        return Cost(found.time, float(getattr(found, self._amount)), False)

    def verdict(self, name: str, pattern: Pattern) -> str:
        """What the converter says of the layer at the highest rate that was predicted; ``""`` where it is sparse."""
        return self._samples[name, pattern][-1][1].reason

    def rate_at(self, name: str, pattern: Pattern, bound: Cost, most: float) -> float | None:
        """The least rate up to ``most`` at which a layer is sparse and costs no more than a bound; None: at none."""
        bounds = rate_range(self._latency.network.layer(name), pattern)
        rates = [rate for rate in percents(most) if bounds.least <= rate <= bounds.most] or [bounds.least]
        first, last = 0, len(rates)
        while first < last:
            middle = (first + last) // 2
            cost = self.at(name, pattern, rates[middle])
            enough = cost.sparse and cost.time <= bound.time and cost.amount <= bound.amount
            first, last = (first, middle) if enough else (middle + 1, last)
        return rates[first] if first < len(rates) and rates[first] <= most else None

    def used(self, prediction: Prediction) -> float:
        """The amount that a whole model costs."""
        return float(getattr(prediction, self._amount))


def percents(most: float) -> list[float]:
    """The rates from 1 percent up to one."""
    return [percent / PERCENT for percent in range(1, math.floor(round(most * PERCENT, 6)) + 1)]


def rate_range(layer: NetworkLayer, pattern: Pattern) -> RateRange:
    """The rates at which a pattern removes something from a layer and leaves at least one of its cells.

    Raises:
        PatternError: the pattern does not apply to the layer.
    """
    return _rate_range(tuple(layer.weights.shape), layer.layout, pattern)


@functools.lru_cache(maxsize=4096)
def _rate_range(shape: tuple[int, ...], layout: Layout, pattern: Pattern) -> RateRange:
    matrix = matrix_shape(shape, layout)
    pattern.check(matrix)
    own = pattern.own_sparsity(matrix)
    if own is not None:
        return RateRange(own, own)
    least = math.ceil(round(pattern.min_sparsity(shape, layout) * PERCENT, 6))
    # Cells are counted to the nearest whole number: half of one is one.
    most = math.floor(round((1 - 0.5 * pattern.cell_size(matrix) / matrix.size) * PERCENT, 6))
    return RateRange(max(1, least) / PERCENT, min(PERCENT - 1, most) / PERCENT)


def applies(layer: NetworkLayer, pattern: Pattern, most: float) -> bool:
    """Whether a layer can have a pattern at some rate up to ``most``; blocks larger than the layer are none."""
    matrix, extent = layer.matrix_shape, pattern.extent
    if extent[0] > matrix.rows or extent[1] > matrix.cols:
        return False
    try:
        bounds = rate_range(layer, pattern)
    except PatternError:
        return False
    return bounds.least <= min(bounds.most, most)


def coarse_time(table: CostTable, layer: NetworkLayer, rate: float) -> float:
    """Predicted time of what coarse structured pruning leaves: a dense layer with that share of filters less."""
    return sum(dense_time(table, _with_filters(operator.cost_shape, 1 - rate)) for operator in layer.operators)


def _anchors(layer: NetworkLayer, pattern: Pattern) -> tuple[float, ...]:
    bounds = rate_range(layer, pattern)
    return tuple(sorted({bounds.clip(rate) for rate in ANCHORS}))


def _with_filters(shape: LayerShape, share: float) -> LayerShape:
    """The layer with a share of its filters."""
    fewer = dataclasses.replace(shape, out_channels=max(1, round(shape.out_channels * share)))
    if shape.dense_op is None:
        return fewer
    op = shape.dense_op
    smaller = dataclasses.replace(op, macs=round(op.macs * share), values=round(op.values * share))
    return dataclasses.replace(fewer, dense_op=smaller)


def _on_lines(rate: float, rates: list[float], values: list[float]) -> float:
    """On the straight lines through samples; beyond the outer ones on the last line, and never below 0."""
    if len(rates) == 1:
        return values[0]
    place = int(np.clip(np.searchsorted(rates, rate), 1, len(rates) - 1))
    part = (rate - rates[place - 1]) / (rates[place] - rates[place - 1])
    return max(0.0, values[place - 1] + part * (values[place] - values[place - 1]))
