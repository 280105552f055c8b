# SPDX-License-Identifier: Apache-2.0
"""A study from its plan to its page: run, killed, run again."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tests.benchmarks.accuracy.test_table import row
from tests.benchmarks.conftest import BENCHMARKS, Script

SMOKE = BENCHMARKS / "accuracy/plans/smoke.yaml"
PLAN = """\
name: little
data: {name: fashion_mnist, train: 512, test: 250}
dense: {epochs: 1, rate: 0.003, batch: 64}
trainings:
  gradual: {epochs: 2, rate: 0.002, batch: 64, schedule: {PolynomialDecay: {frequency: 2}}}
studies:
  - name: little
    question: Does it run?
    networks: [{name: small}]
    trainings: [gradual]
    sparsities: [0.8]
    seeds: [0]
    methods:
      - {name: dense}
      - {name: free, pattern: {Groups: {rows: 4}}}
"""


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open() as file:
        return list(csv.DictReader(file))


def test_a_study_that_is_killed_goes_on_and_ends_with_its_page(tmp_path: Path, script: Script) -> None:
    table = tmp_path / "results.csv"
    options = ["--smoke", "--output", str(table), "--folder", str(tmp_path / "points"), "--workers", "1"]
    command = [sys.executable, str(BENCHMARKS / "accuracy_study.py"), "run", *options]
    environment = {**os.environ, "PYTHONPATH": str(BENCHMARKS.parent)}
    runner = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 240
    while not _rows(table) and runner.poll() is None and time.monotonic() < deadline:
        time.sleep(0.2)
    os.kill(runner.pid, signal.SIGKILL)
    _, printed = runner.communicate()
    first = _rows(table)
    assert len(first) == 1, printed
    assert "4 points, 4 of them to be trained, with 1 dense checkpoints: 9 epochs" in printed.replace("\n", " ")
    done = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    rows = _rows(table)
    assert rows[0] == first[0]
    assert [(row["method"], row["training"], row["sparsity"]) for row in rows] == [
        ("dense", "gradual", ""),
        ("unaligned", "gradual", "0.8"),
        ("unaligned", "gradual", "0.9"),
        ("unaligned with a penalty", "penalty", "0.9"),
    ]
    for each, left in zip(rows, (1, 0.22, 0.12, 0.12), strict=True):
        assert 0 < float(each["accuracy"]) <= 1
        assert float(each["weights"]) <= left
        assert each["test_images"] == "250"
    assert int(rows[2]["bytes"]) < int(rows[1]["bytes"]) < int(rows[0]["bytes"])
    assert float(rows[3]["kept_magnitude"]) == float(rows[2]["kept_magnitude"])
    assert float(rows[2]["kept_magnitude"]) < float(rows[1]["kept_magnitude"]) < 1
    # Nothing is left to do, and nothing is kept that only an interrupted training needs.
    again = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, timeout=60, check=True)
    assert "0 of them to be trained" in again.stderr
    assert not list(tmp_path.glob("points/*/backup"))
    # The files whose accuracy the table says.
    for each in rows:
        sizes = [(tmp_path / "points" / each["key"] / f"{name}.tflite").stat().st_size for name in ("float32", "int8")]
        assert sizes == [int(each["bytes"]), int(each["int8_bytes"])]
    page = tmp_path / "page.md"
    page.write_text("Before\n<!-- study: smoke -->\nold\n<!-- end -->\nbehind\n")
    script("accuracy_study", "report", SMOKE, "--table", table, "--pictures", tmp_path / "pictures", "--page", page)
    text = page.read_text()
    assert text.startswith("Before\n<!-- study: smoke -->")
    assert text.endswith("<!-- end -->\nbehind\n")
    assert "old" not in text
    assert "![smoke](pictures/accuracy_smoke.png)" in text
    assert (tmp_path / "pictures/accuracy_smoke.png").exists()


@pytest.mark.slow
def test_networks_of_other_back_ends_are_run_in_litert_too(tmp_path: Path) -> None:
    plan, table = tmp_path / "plan.yaml", tmp_path / "results.csv"
    plan.write_text(PLAN)
    subprocess.run(
        [
            *(sys.executable, str(BENCHMARKS / "accuracy_study.py"), "run", str(plan)),
            *("--output", str(table), "--folder", str(tmp_path / "points"), "--workers", "1"),
        ],
        env={**os.environ, "PYTHONPATH": str(BENCHMARKS.parent), "KERAS_BACKEND": "jax"},
        timeout=400,
        check=True,
    )
    dense, pruned = _rows(table)
    assert (dense["backend"], pruned["backend"]) == ("jax", "jax")
    assert int(pruned["bytes"]) < 0.4 * int(dense["bytes"])
    assert 0 < float(pruned["accuracy"]) <= 1


def test_what_the_process_of_a_killed_runner_has_ended_is_not_trained_again(
    tmp_path: Path, load: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(PLAN)
    worker = load("accuracy.worker")
    monkeypatch.setattr(worker, "limit_threads", lambda threads: None)
    job = worker.Job(load("accuracy.plan").read_plan(plan, "").points[0], False, str(tmp_path), "", "", 1)
    job.place.mkdir()
    (job.place / worker.ROW_FILE).write_text("{}")
    job.log.write_text("what the other process printed")
    worker.work(job, None, 0)
    assert job.log.read_text() == "what the other process printed"


def test_a_table_holds_rows_of_one_framework_for_a_plan(
    tmp_path: Path, script: Script, load: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, path = tmp_path / "plan.yaml", tmp_path / "results.csv"
    plan.write_text(PLAN)
    module = load("accuracy.table")
    dense, _ = load("accuracy.plan").read_plan(plan, "").points
    module.ResultTable(path).add(row(module, dense.key, backend="jax"))
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    said = script("accuracy_study", "run", plan, "--output", path, "--folder", tmp_path / "points", code=1)
    assert "It has some of jax, this run would add some of tensorflow" in said


def test_a_point_that_fails_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    plan, table = tmp_path / "plan.yaml", tmp_path / "results.csv"
    # Of no layer of the network: known only when it is pruned.
    broken = "{name: broken, recipe: broken.yaml}"
    plan.write_text(PLAN.replace("{name: free, pattern: {Groups: {rows: 4}}}", broken))
    (tmp_path / "broken.yaml").write_text("rules:\n  - {layers: nowhere, pattern: Filters, sparsity: 0.5}\n")
    done = subprocess.run(
        [
            *(sys.executable, str(BENCHMARKS / "accuracy_study.py"), "run", str(plan)),
            *("--output", str(table), "--folder", str(tmp_path / "points"), "--workers", "2"),
        ],
        env={**os.environ, "PYTHONPATH": str(BENCHMARKS.parent)},
        stderr=subprocess.PIPE,
        text=True,
        timeout=240,
        check=False,
    )
    said = " ".join(done.stderr.split())
    assert done.returncode == 1, said
    assert "failed small 1, broken, gradual, seed 0: tfprune.errors.RecipeError: " in said
    assert "'nowhere'" in said
    assert [row["method"] for row in _rows(table)] == ["dense"]


def test_a_plan_says_what_its_methods_will_leave(tmp_path: Path, script: Script) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(PLAN.replace("sparsities: [0.8]", "sparsities: [0.5, 0.75]"))
    shown = script("accuracy_study", "preview", plan)
    assert "### little" in shown
    lines = [[cell.strip() for cell in line.split("|")[2:-1]] for line in shown.splitlines() if "small 1" in line]
    assert [line[:3] for line in lines] == [
        ["dense", "-", "0 of 4"],
        ["free", "50%", "2 of 4"],
        ["free", "75%", "2 of 4"],
    ]
    assert lines[0][3:] == ["100.0%"] * 3
    half, quarter = ([float(cell.rstrip("%")) for cell in line[3:]] for line in lines[1:])
    assert all(25 < less < more < 60 for less, more in zip(quarter, half, strict=True))
    broken = plan.read_text().replace("pattern: {Groups: {rows: 4}}", "pattern: {Groups: {rows: 4}}, layers: nowhere")
    plan.write_text(broken)
    assert "study 'little': " in script("accuracy_study", "preview", plan, code=1)


def test_files_that_are_no_plan_are_refused_in_words(tmp_path: Path, script: Script) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(PLAN.replace("name: small", "name: smal"))
    assert "line 9" in script("accuracy_study", "run", plan, "--output", tmp_path / "t.csv", code=1)
    assert "must be a study of the plan" in script("accuracy_study", "run", SMOKE, "--study", "other", code=2)
    assert "must have names of their own" in script("accuracy_study", "report", SMOKE, SMOKE, code=2)
    for arguments in ([], [SMOKE, "--smoke"]):
        assert "give either files of plans or --smoke" in script("accuracy_study", "run", *arguments, code=2)
