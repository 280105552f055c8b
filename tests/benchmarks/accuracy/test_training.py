# SPDX-License-Identifier: Apache-2.0
"""Checkpoints, results and estimates that are not what they should be; processes that end; how long jobs take."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import click
import numpy as np
import pytest
from rich.console import Console

from tests.benchmarks.accuracy.test_plan import PLAN, read
from tfprune.errors import OutputError

Load = Callable[[str], ModuleType]

LONG = """
name: long
data: {name: fashion_mnist, train: 512, test: 250}
dense: {epochs: 1, rate: 0.003}
trainings: {gradual: {epochs: 4, rate: 0.002, schedule: {PolynomialDecay: {end_step: 11, frequency: 2}}}}
studies:
  - name: one
    question: Does it go on?
    networks: [{name: small}]
    trainings: [gradual]
    sparsities: [0.8]
    seeds: [0]
    methods: [{name: unaligned, pattern: {Groups: {rows: 4}}}]
"""


@pytest.fixture
def data(load: Load) -> Any:
    images = np.zeros((4, 28, 28, 1), np.float32)
    return load("accuracy.data_sets").DataSet(
        (28, 28, 1), 10, 4, lambda batch, seed: None, lambda: iter(()), lambda count: images
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


def test_backups_that_were_not_written_to_their_end_are_not_taken_up(load: Load, tmp_path: Path) -> None:
    import h5py

    training = load("accuracy.training")
    folder = tmp_path / "backup"
    weights, epoch = folder / "latest.weights.h5", folder / "training_metadata.json"

    def write(suffix: str, done: int, named: int) -> None:
        folder.mkdir(exist_ok=True)
        with h5py.File(f"{weights}{suffix}", "w") as file:
            file["optimizer/vars/0"] = done
            file["layers/conv/vars/0"] = np.full((64, 64), done)
        Path(f"{epoch}{suffix}").write_text(json.dumps({"epoch": named, "batch": 0}))

    def taken() -> int:
        training.check_backup(folder, 10)
        if not folder.exists():
            return 0
        with h5py.File(weights) as file:
            assert int(file["optimizer/vars/0"][()]) == 10 * json.loads(epoch.read_text())["epoch"]
            return int(file["layers/conv/vars/0"][0, 0])

    assert taken() == 0
    write("", 20, 2)
    assert taken() == 20
    weights.write_bytes(weights.read_bytes()[:3000])
    assert taken() == 0
    write(".bkp", 10, 1)
    write("", 20, 1)  # killed before the epoch was written
    assert taken() == 10
    write(".bkp", 10, 1)
    write("", 20, 2)
    epoch.write_text("")
    assert taken() == 10
    write("", 10, 1)
    epoch.unlink()
    Path(f"{epoch}.bkp").unlink()
    assert taken() == 0


@pytest.mark.parametrize("order", ["fashion_mnist", "fashion_mnist_augmented"])
def test_a_training_that_goes_on_ends_as_one_that_was_never_stopped(order: str, load: Load, tmp_path: Path) -> None:
    training, data_sets = load("accuracy.training"), load("accuracy.data_sets")
    text = LONG.replace("name: fashion_mnist", f"name: {order}")
    point = next(each for each in read(load, tmp_path, text).points if each.recipe)
    data = data_sets.load(point.data)
    weights = training.checkpoint(point, data, tmp_path, lambda: None)

    def run(folder: str, most: int) -> tuple[Any, int]:
        """The network, or None where it was stopped, and the steps that were told of."""
        steps = 0

        def step() -> None:
            nonlocal steps
            steps += 1
            if steps > most:
                raise SystemExit

        (tmp_path / folder).mkdir(exist_ok=True)
        try:
            return training.trained(point, data, weights, tmp_path / folder, step), steps
        except SystemExit:
            return None, steps

    whole, steps = run("whole", 99)
    assert steps == 16
    assert run("stopped", 9) == (None, 10)
    assert json.loads((tmp_path / "stopped/backup/training_metadata.json").read_text())["epoch"] == 2
    again, steps = run("stopped", 99)
    # Eight of them were done before.
    assert steps == 16
    for one, other in zip(whole.get_weights(), again.get_weights(), strict=True):
        assert np.array_equal(one == 0, other == 0)
        assert np.allclose(one, other, atol=1e-5)
    assert any(np.mean(each == 0) > 0.7 for each in whole.get_weights() if each.ndim == 4)


def test_more_processes_than_cores_are_no_faster(load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    estimate, running = load("accuracy.estimate"), load("accuracy.running")
    plan = read(load, tmp_path, PLAN)
    jobs = [job for job in running.jobs_of(plan, tmp_path, "", "", 1) if not job.dense_only]
    monkeypatch.setattr(estimate, "cores", lambda: 2)
    monkeypatch.setattr(estimate, "_measured", lambda *_: 0.5)
    found = estimate.Estimate(tmp_path / "step_seconds.json", lambda spec: 1280)
    # Ten steps of half a second each, and half as much for all else.
    assert found.seconds(jobs[:8], 1) == 8 * 7.5
    assert found.seconds(jobs[:8], 2) == found.seconds(jobs[:8], 99) == 4 * 7.5
    assert found.seconds(jobs[:1], 2) == 7.5
    monkeypatch.setattr(estimate, "_measured", lambda *_: pytest.fail("measured twice"))
    again = estimate.Estimate(tmp_path / "step_seconds.json", lambda spec: 1280)
    assert again.seconds(jobs[:1], 1) == 7.5


def test_a_process_that_a_signal_ended_is_told_with_the_room_it_had(load: Load, tmp_path: Path) -> None:
    running = load("accuracy.running")
    job = running.jobs_of(read(load, tmp_path, PLAN), tmp_path, "", "", 1)[0]
    reason = running._Running(job, SimpleNamespace(exitcode=-11), None).failure().reason
    assert re.fullmatch(r"its process was ended by signal 11, \d+ MB are free in its folder", reason)


def test_nothing_begins_without_room_for_it(load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    running, table = load("accuracy.running"), load("accuracy.table").ResultTable(tmp_path / "table.csv")
    jobs = running.jobs_of(read(load, tmp_path, PLAN), tmp_path, "", "", 1)
    monkeypatch.setattr(running.shutil, "disk_usage", lambda folder: SimpleNamespace(free=5_000_000))
    monkeypatch.setattr(running._Running, "begin", lambda job: pytest.fail("began"))
    with pytest.raises(
        click.ClickException, match=rf"must have 200 MB free .* has 5 MB; .*: {len(jobs)} trainings are"
    ):
        running.Runner(table, 2, Console(quiet=True)).run(jobs, lambda job: 1)


def test_results_of_another_version_are_named(load: Load, tmp_path: Path) -> None:
    """A result that a killed runner did not come to add, and columns that have changed since."""
    running, table = load("accuracy.running"), load("accuracy.table").ResultTable(tmp_path / "table.csv")
    jobs = [job for job in running.jobs_of(read(load, tmp_path, PLAN), tmp_path, "", "", 1) if not job.dense_only]
    for text in (f'{{"key": "{jobs[0].key}", "flops": 1}}', '{"key": "another"}', "[1]", "{"):
        jobs[0].place.mkdir(exist_ok=True)
        (jobs[0].place / "row.json").write_text(text)
        with pytest.raises(
            click.ClickException, match=r"row\.json: must be a result of this version: .*; remove it, to"
        ):
            running.Runner(table, 1, Console(quiet=True)).run(jobs, lambda job: 1)
    assert not table.path.exists()


def test_a_result_that_finds_no_room_in_the_table_is_kept(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, table = load("accuracy.running"), load("accuracy.table").ResultTable(tmp_path / "table.csv")
    jobs = [job for job in running.jobs_of(read(load, tmp_path, PLAN), tmp_path, "", "", 1) if not job.dense_only]
    point = jobs[0].point
    jobs[0].place.mkdir(exist_ok=True)
    path = jobs[0].place / "row.json"
    facts = {"key": jobs[0].key, "network": point.network, "width": point.width, "seed": point.seed}
    facts["backend"] = load("accuracy.worker").backend_name()
    path.write_text(json.dumps(facts))

    def full(row: Any) -> None:
        raise OutputError("table.csv: cannot be written: No space left on device")

    monkeypatch.setattr(table, "add", full)
    with pytest.raises(click.ClickException, match=r"No space left on device; make room, .*row\.json is kept"):
        running.Runner(table, 1, Console(quiet=True)).run(jobs, lambda job: 1)
    for name, other in (("seed", point.seed + 1), ("backend", "another")):
        path.write_text(json.dumps({**facts, name: other}))
        with pytest.raises(click.ClickException, match=rf"must be a result of this version: it is of .*'{name}': "):
            running.Runner(table, 1, Console(quiet=True)).run(jobs, lambda job: 1)


def test_a_process_that_leaves_no_result_of_use_is_told_and_the_others_go_on(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a training that diverged, which keeps no magnitude that is a number."""
    running, table = load("accuracy.running"), load("accuracy.table").ResultTable(tmp_path / "table.csv")
    jobs = [job for job in running.jobs_of(read(load, tmp_path, PLAN), tmp_path, "", "", 1) if not job.dense_only][:2]
    began = []

    def begin(job: Any) -> Any:
        began.append(job)
        job.place.mkdir(exist_ok=True)
        (job.place / "row.json").write_text(f'{{"key": "{job.key}", "kept_magnitude": NaN}}')
        process = SimpleNamespace(exitcode=0, is_alive=lambda: False, terminate=lambda: None, join=lambda: None)
        return running._Running(job, process, SimpleNamespace(value=0))

    monkeypatch.setattr(running._Running, "begin", begin)
    monkeypatch.setattr(running, "_has_checkpoint", lambda job: True)
    runner = running.Runner(table, 1, Console(quiet=True))
    runner.run(jobs, lambda job: 1)
    assert began == jobs
    assert [failure.job for failure in runner.failures] == jobs
    assert all("row.json: must be a result of this version" in failure.reason for failure in runner.failures)


def test_points_without_their_checkpoint_end_a_run(load: Load, tmp_path: Path) -> None:
    """One that was taken away while they waited."""
    running, table = load("accuracy.running"), load("accuracy.table").ResultTable(tmp_path / "table.csv")
    jobs = [job for job in running.jobs_of(read(load, tmp_path, PLAN), tmp_path, "", "", 1) if not job.dense_only]
    with pytest.raises(click.ClickException, match=rf"weights\.h5: must stay .*: {len(jobs)} trainings are left"):
        running.Runner(table, 1, Console(quiet=True)).run(jobs, lambda job: 1)


def test_a_commit_is_of_sources_and_not_of_what_a_study_writes(load: Load, tmp_path: Path) -> None:
    commit_of = load("accuracy.worker").commit_of
    assert commit_of(tmp_path) == "unknown"
    for name in ("code.py", "docs/page.md", "benchmarks/results/table.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("one")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *command], check=True)
    clean = commit_of(tmp_path)
    assert re.fullmatch("[0-9a-f]{10}", clean)
    for name in ("docs/page.md", "benchmarks/results/table.csv"):
        (tmp_path / name).write_text("two")
    assert commit_of(tmp_path) == clean
    (tmp_path / "code.py").write_text("two")
    assert commit_of(tmp_path) == f"{clean}+"


@pytest.mark.parametrize("content", ["", "[1]", '{"a": "much"}'])
def test_damaged_estimates_are_named(content: str, load: Load, tmp_path: Path) -> None:
    path = tmp_path / "step_seconds.json"
    path.write_text(content)
    with pytest.raises(click.ClickException, match=r"step_seconds\.json: must hold seconds of steps: .*; remove it"):
        load("accuracy.estimate").Estimate(path, lambda spec: 1)
