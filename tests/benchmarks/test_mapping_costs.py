# SPDX-License-Identifier: Apache-2.0
"""What methods cost in int8 is measured on the files that they become."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import keras
import pytest

import tfprune as tp
from tfprune.costs import CostTable, load_table

Load = Callable[[str], ModuleType]


def _network(width: float) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Flatten(),
            layers.Dense(round(width * 512), activation="relu", name="hidden"),
            layers.Dense(10, name="logits"),
        ]
    )


@pytest.fixture
def costs(load: Load, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setitem(load("mapping_networks").CASES, "net", load("mapping_networks").Case("", _network, {}))
    return load("mapping_costs")


@pytest.fixture
def pruned(load: Load) -> dict[str, Any]:
    choice = load("tfprune.mapping.choice").Choice
    return {"choices": load("mapping_compare").written({"hidden": choice(tp.patterns.Groups(rows=4), 0.9)})}


@pytest.fixture
def table() -> CostTable:
    return load_table("host")


def test_files_are_those_of_the_method(costs: ModuleType, pruned: dict[str, Any], table: CostTable) -> None:
    dense, narrower, sparse = (costs.files("net", row, table) for row in ({}, {"width": 0.5}, pruned))
    for single, whole in (dense, narrower, sparse):
        assert len(whole) < len(single)
    for place in (0, 1):
        assert len(sparse[place]) < len(narrower[place]) < len(dense[place])


def test_times_are_shares_of_the_dense_one(costs: ModuleType, pruned: dict[str, Any], table: CostTable) -> None:
    found = costs.times("net", pruned, table)
    assert list(found) == [costs.INT8_TIME]
    assert 0 < found[costs.INT8_TIME] < 1


def test_instructions_are_shares_of_the_dense_ones(
    costs: ModuleType, pruned: dict[str, Any], table: CostTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def counted(groups: Any, **options: Any) -> list[tuple[float, ...]]:
        return [tuple(map(len, models)) for models in groups]

    monkeypatch.setattr(costs, "aarch64_instructions", counted)
    dense, (single, whole) = costs.files("net", {}, table)[0], costs.files("net", pruned, table)
    assert costs.instructions("net", pruned, table) == {
        costs.INSTRUCTIONS: round(len(single) / len(dense), 4),
        costs.INT8_INSTRUCTIONS: round(len(whole) / len(dense), 4),
    }
