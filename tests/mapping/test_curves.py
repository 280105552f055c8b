# SPDX-License-Identifier: Apache-2.0
"""Costs of layers over their rate, on lines between what was predicted."""

from __future__ import annotations

import pytest

from tests.mapping.models import convolutional
from tfprune.costs import load_table
from tfprune.mapping.budget import Budget
from tfprune.mapping.choice import Choice
from tfprune.mapping.curves import ANCHORS, Cost, Curves, applies, percents, rate_range
from tfprune.mapping.latency import LatencyModel
from tfprune.mapping.network import Network
from tfprune.sparsity.patterns import BlockPunched, Filters, Groups, KernelPatterns, NofM, Pattern

LAYERS = ("three", "pointwise", "larger")
GROUPS = Groups(rows=4)


@pytest.fixture(scope="module")
def latency() -> LatencyModel:
    return LatencyModel(Network(convolutional()), load_table("arm64"))


@pytest.fixture(scope="module")
def curves(latency: LatencyModel) -> Curves:
    found = Curves(latency, Budget("size_bytes", 1))
    found.sample(dict.fromkeys(LAYERS, GROUPS))
    return found


def test_lines_go_through_what_was_predicted(latency: LatencyModel, curves: Curves) -> None:
    for rate in ANCHORS:
        predicted = latency.predict(dict.fromkeys(LAYERS, Choice(GROUPS, rate))).layers
        for name in LAYERS:
            found = curves.at(name, GROUPS, rate)
            assert found == Cost(predicted[name].time, predicted[name].stored_bytes, True)


@pytest.mark.parametrize("rate", [0.2, 0.45, 0.7, 0.9, 0.97])
def test_lines_are_near_the_prediction_between(latency: LatencyModel, curves: Curves, rate: float) -> None:
    predicted = latency.predict(dict.fromkeys(LAYERS, Choice(GROUPS, rate))).layers
    for name in LAYERS:
        found = curves.at(name, GROUPS, rate)
        assert found.time == pytest.approx(predicted[name].time, rel=0.03)
        assert found.amount == pytest.approx(predicted[name].stored_bytes, rel=0.03)


def test_a_layer_that_gains_nothing_costs_what_the_dense_one_does(latency: LatencyModel, curves: Curves) -> None:
    curves.sample({"hidden": GROUPS, "three": GROUPS})
    assert curves.at("hidden", GROUPS, 0.9) == curves.dense("hidden")
    assert not curves.at("hidden", GROUPS, 0.9).sparse
    assert "below min_speedup" in curves.verdict("hidden", GROUPS)
    assert curves.verdict("three", GROUPS) == ""


@pytest.mark.parametrize("name", LAYERS)
def test_the_least_rate_within_a_bound_is_found(curves: Curves, name: str) -> None:
    bound = curves.at(name, GROUPS, 0.6)
    for each in (bound, Cost(bound.time, 1e12, True), Cost(1e12, bound.amount, True)):
        rate = curves.rate_at(name, GROUPS, each, 0.95)
        assert rate is not None
        found, before = (curves.at(name, GROUPS, at) for at in (rate, rate - 0.01))
        assert found.time <= each.time
        assert found.amount <= each.amount
        assert before.time > each.time or before.amount > each.amount
    assert curves.rate_at(name, GROUPS, bound, 0.5) is None
    assert curves.rate_at(name, GROUPS, Cost(0.0, 0.0, True), 0.95) is None


@pytest.mark.parametrize(
    ("pattern", "least", "most"),
    [
        # 5 of 9 positions must go.
        (KernelPatterns(keep=4), 0.56, 0.99),
        (NofM(keep=1, of=4), 0.75, 0.75),
        # Half of one of 48 filters counts as one.
        (Filters(), 0.01, 0.98),
        (Groups(rows=4, aligned=True), 0.01, 0.99),
    ],
    ids=str,
)
def test_the_range_of_rates_of_a_pattern(latency: LatencyModel, pattern: Pattern, least: float, most: float) -> None:
    layer = latency.network.layer("three")
    found = rate_range(layer, pattern)
    assert found == (least, most)
    assert found.clip(0.0) == least
    assert found.clip(1.0) == most
    for rate in {least, most}:
        assert pattern.count_cells(rate, layer.matrix_shape) >= 1
        assert pattern.reaches(rate, layer.weights.shape, layer.layout)


def test_patterns_apply_where_blocks_fit_and_a_rate_is_left(latency: LatencyModel) -> None:
    three = latency.network.layer("three")
    assert applies(three, BlockPunched(48, 32), 0.9)
    assert not applies(three, BlockPunched(48, 33), 0.9)
    assert not applies(three, KernelPatterns(keep=4), 0.5)
    assert not applies(latency.network.layer("pointwise"), KernelPatterns(keep=4), 0.9)


def test_percents_end_at_the_limit() -> None:
    assert percents(0.03) == [0.01, 0.02, 0.03]
    assert percents(0.29)[-1] == 0.29
    assert percents(0.295)[-1] == 0.29
