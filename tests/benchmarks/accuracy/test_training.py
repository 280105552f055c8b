# SPDX-License-Identifier: Apache-2.0
"""Dense checkpoints and estimates that are not what they should be; how long several jobs take."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import numpy as np
import pytest

from tests.benchmarks.accuracy.test_plan import PLAN, read

Load = Callable[[str], ModuleType]


@pytest.fixture
def data(load: Load) -> Any:
    images = np.zeros((4, 28, 28, 1), np.float32)
    return load("accuracy.data_sets").DataSet(
        (28, 28, 1), 10, 4, lambda batch: {}, lambda: iter(()), lambda count: images
    )


def test_checkpoints_that_do_not_fit_are_named(load: Load, data: Any, tmp_path: Path) -> None:
    training = load("accuracy.training")
    vgg = next(point for point in read(load, tmp_path, PLAN).points if (point.network, point.width) == ("vgg", 8))
    small = dataclasses.replace(vgg, network="small", width=1.0)
    path, other, cut, empty = (tmp_path / f"{name}.weights.h5" for name in ("own", "other", "cut", "empty"))
    model = training.untrained(small, data)
    model.save_weights(path)
    training.untrained(vgg, data).save_weights(other)
    cut.write_bytes(path.read_bytes()[:-1000])
    empty.touch()
    found = training.dense(small, data, path)
    assert all(np.array_equal(*pair) for pair in zip(found.get_weights(), model.get_weights(), strict=True))
    for each in (other, cut, empty):
        with pytest.raises(click.ClickException, match=rf"{each.name}: must hold the weights of small 1: .*anew$"):
            training.dense(small, data, each)


def test_more_processes_than_cores_are_no_faster(load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    estimate, running = load("accuracy.estimate"), load("accuracy.running")
    plan = read(load, tmp_path, PLAN)
    jobs = [job for job in running.jobs_of(plan, tmp_path, "", "", 1) if not job.dense_only]
    monkeypatch.setattr(estimate, "cores", lambda: 2)
    monkeypatch.setattr(estimate, "_measured", lambda *_: 0.5)
    found = estimate.Estimate(tmp_path / "step_seconds.json", lambda spec: 1280)
    # Ten steps of half a second each.
    assert found.seconds(jobs[:8], 1) == 8 * 5
    assert found.seconds(jobs[:8], 2) == found.seconds(jobs[:8], 99) == 4 * 5
    assert found.seconds(jobs[:1], 2) == 5
    monkeypatch.setattr(estimate, "_measured", lambda *_: pytest.fail("measured twice"))
    again = estimate.Estimate(tmp_path / "step_seconds.json", lambda spec: 1280)
    assert again.seconds(jobs[:1], 1) == 5


@pytest.mark.parametrize("content", ["", "[1]", '{"a": "much"}'])
def test_damaged_estimates_are_named(content: str, load: Load, tmp_path: Path) -> None:
    path = tmp_path / "step_seconds.json"
    path.write_text(content)
    with pytest.raises(click.ClickException, match=r"step_seconds\.json: must hold seconds of steps: .*; remove it"):
        load("accuracy.estimate").Estimate(path, lambda spec: 1)
