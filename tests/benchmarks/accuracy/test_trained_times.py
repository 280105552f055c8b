# SPDX-License-Identifier: Apache-2.0
"""Trained files are measured against random ones of the same recipe, and what is not there is said."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

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
    networks: [{name: small}]
    trainings: [gradual]
    seeds: [1]
    methods:
      - {name: dense, costs: {time: 1, int8 time: 0.5}}
      - {name: free, pattern: {KernelElements: {keep: 2}}, costs: {time: 0.75, int8 time: 0.25}}
    compare: [[free, dense]]
"""


@pytest.fixture
def module(load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    found = load("trained_times")
    (tmp_path / "plan.yaml").write_text(PLAN)
    monkeypatch.setattr(found, "PLAN", tmp_path / "plan.yaml")
    monkeypatch.setattr(found, "ROUNDS", 5)
    return found


def test_trained_files_are_measured_against_random_ones(
    module: ModuleType, script: Script, load: Load, tmp_path: Path
) -> None:
    points = load("accuracy.plan").read_plan(module.PLAN).points
    files = [module.random_files(point) for point in points]
    assert all(len({each[precision] for each in files}) == len(files) for precision in ("float32", "int8"))
    for point, made in zip(points, files, strict=True):
        folder = tmp_path / "points" / point.key
        folder.mkdir(parents=True)
        for precision, content in made.items():
            (folder / f"{precision}.tflite").write_bytes(content)
    output = tmp_path / "times.json"
    arguments = ("--study", "first", "--folder", tmp_path / "points", "--output", output)
    assert re.search(r"\| free \| 0.750 \| .* \| 0.250 \| ", script("trained_times", *arguments, "--seed", "1"))
    rows = json.loads(output.read_text())["rows"]
    assert list(rows) == ["first, dense, seed 1", "first, free, seed 1"]
    for row in rows.values():
        assert [list(shares) for shares in row.values()] == [["random", "trained"]] * 2
        assert all(share > 0 for shares in row.values() for share in shares.values())
    (tmp_path / "points" / points[0].key / "int8.tflite").unlink()
    assert "its file must be there" in script("trained_times", *arguments, "--seed", "1", code=1)


def test_what_is_not_there_is_said(module: ModuleType, script: Script, tmp_path: Path) -> None:
    assert "must be one of first, is 'other'" in script("trained_times", "--study", "other", code=1)
    for folder in (tmp_path, tmp_path / "not there"):
        said = script("trained_times", "--study", "first", "--folder", folder, code=1).replace("\n", " ")
        assert "must have files of first, seed 0; train them first" in said
