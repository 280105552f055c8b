# SPDX-License-Identifier: Apache-2.0
"""Times of trained files stand beside those of the plan, and say which file is not there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import keras
import pytest

import tfprune as tp
from tests.benchmarks.conftest import Script

Load = Callable[[str], ModuleType]

PLAN = """\
name: equal
data: {name: fashion_mnist, train: 100}
dense: {epochs: 2, rate: 0.003}
trainings:
  gradual: {epochs: 1, rate: 0.002}
studies:
  - name: first
    question: Which is better?
    networks: [{name: vgg, width: 8}]
    trainings: [gradual]
    seeds: [0, 1]
    methods:
      - {name: dense}
      - {name: free, pattern: {KernelElements: {keep: 2}}, costs: {time: 0.5, int8 time: 0.25}}
    compare: [[free, dense]]
"""


@pytest.fixture
def module(load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    found = load("trained_times")
    (tmp_path / "plan.yaml").write_text(PLAN)
    monkeypatch.setattr(found, "PLAN", tmp_path / "plan.yaml")
    monkeypatch.setattr(found, "_ROUNDS", 5)
    return found


def test_trained_files_stand_beside_the_plan(module: ModuleType, script: Script, load: Load, tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((1024,)), keras.layers.Dense(1024, name="hidden")])
    pruned = tp.prune(model, tp.Rule("hidden", tp.patterns.Groups(rows=4), 0.9)).model
    files = {"dense": tp.convert(model).dense, "free": tp.convert(pruned).tflite}
    for point in load("accuracy.plan").read_plan(module.PLAN).points:
        folder = tmp_path / "points" / point.key
        folder.mkdir(parents=True)
        for name in ("float32", "int8"):
            (folder / f"{name}.tflite").write_bytes(files[point.method])
    output = tmp_path / "times.json"
    arguments = ("--study", "first", "--folder", tmp_path / "points", "--output", output)
    assert "| free | 0.500 | " in script("trained_times", *arguments, "--seed", "1")
    (row,) = json.loads(output.read_text())["rows"].values()
    assert row["plan"] == {"time": 0.5, "int8 time": 0.25}
    assert all(share > 0 for share in row["trained"].values())
    script("trained_times", *arguments)
    assert list(json.loads(output.read_text())["rows"]) == ["first, free, seed 1", "first, free, seed 0"]


def test_what_is_not_there_is_said(module: ModuleType, script: Script, tmp_path: Path) -> None:
    assert "must be one of first, is 'other'" in script("trained_times", "--study", "other", code=1)
    assert "has none of 2" in script("trained_times", "--study", "first", "--seed", "2", code=1)
    said = script("trained_times", "--study", "first", "--folder", tmp_path, code=1).replace("\n", " ")
    assert "vgg 8, free, gradual, seed 0: its file must be there" in said
