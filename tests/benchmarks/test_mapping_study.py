# SPDX-License-Identifier: Apache-2.0
"""The plan at equal latency is what was measured, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tests.benchmarks.conftest import BENCHMARKS

Load = Callable[[str], ModuleType]

PLANS = BENCHMARKS / "accuracy/plans"
MEASURED = BENCHMARKS / "results/mapping_plans.json"


def test_the_plan_of_the_repository_is_that_of_the_measured_choices(load: Load, tmp_path: Path) -> None:
    rows = json.loads(MEASURED.read_text())["rows"]
    written = load("mapping_study").write(rows, tmp_path)
    made = {path.relative_to(tmp_path): path.read_text() for path in tmp_path.rglob("*.yaml")}
    kept = [PLANS / written.name, *(PLANS / written.stem).glob("*.yaml")]
    assert made == {path.relative_to(PLANS): path.read_text() for path in kept}


def test_only_what_reached_the_latency_is_trained(load: Load, tmp_path: Path) -> None:
    rows = json.loads(MEASURED.read_text())["rows"]
    slow = {**rows["vgg, wide, Filters"], "measured ratio": 1 / 1.7 * 1.06}
    plan = load("accuracy.plan").read_plan(load("mapping_study").write({**rows, "vgg, wide, Filters": slow}, tmp_path))
    methods = {study.name: {point.method for point in study.points} for study in plan.studies}
    known = load("accuracy.plan").read_plan(PLANS / "equal_latency.yaml").studies
    assert "Filters" in {point.method for study in known for point in study.points}
    assert "Filters" not in methods["VGG at equal latency"]
    assert {"dense", "mapped by rules, 1.7x"} <= methods["VGG at equal latency"]


def test_networks_are_those_that_were_measured(load: Load) -> None:
    networks, study = load("accuracy.networks"), load("mapping_study")
    plan = load("accuracy.plan").read_plan(PLANS / "equal_latency.yaml")
    widths = {(point.network, point.width) for each in plan.studies for point in each.points}
    cases = load("mapping_networks").CASES
    assert {name for name, _ in widths} == set(cases) == set(study._WIDTHS)
    for name, width in widths:
        multiplier = width / study._WIDTHS[name]
        made = networks.NETWORKS[name](width, (28, 28, 1), 10)
        assert made.count_params() == pytest.approx(cases[name].make(multiplier).count_params())
