# SPDX-License-Identifier: Apache-2.0
"""The scripts for OpenCL devices run on something tiny, check answers, and the page shows what they found."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests.benchmarks.conftest import BENCHMARKS, Script
from tfprune.mapping.profiling.layer_sizes import LayerSizes
from tfprune.mapping.profiling.one_op import dense_model

Load = Callable[[str], ModuleType]
RESULTS = BENCHMARKS / "results"
# The first pointwise convolution of MobileNetV1.
TINY = ("--network", "mobilenet_v1", "--limit", "1", "--seconds", "0.001")


def test_layers_are_checked_and_resumed(script: Script, tmp_path: Path) -> None:
    output = tmp_path / "layers.json"
    patterns = ("--pattern", "groups4-aligned", "--pattern", "groups4-balanced", "--pattern", "single")
    shown = script("gpu_layers", *TINY, "--sparsity", "0.75", *patterns, "--output", output)
    content = json.loads(output.read_text())
    rows = list(content["rows"].values())
    first = shown.splitlines()[0]
    assert rows[0]["device"] in first
    assert ("times mean nothing" in first) != rows[0]["is gpu"]
    assert {(row["pattern"], row["storage"]) for row in rows} == {
        (pattern, storage) for pattern in patterns[1::2] for storage in ("f32", "f16")
    }
    for row in rows:
        assert row["encoding"]
        assert row["kernels"][0] == "Conv"
        assert row["error"] <= (1e-4 if row["storage"] == "f32" else 2e-3)
        # Halves that are as good as floats were no halves.
        assert (row["error"] > 1e-5) == (row["storage"] == "f16")
        assert row["share"] == pytest.approx(row["speedup"] * (1 - row["sparsity"]))
    script("gpu_layers", *TINY, "--sparsity", "0.9", *patterns[:2], "--output", output)
    again = json.loads(output.read_text())["rows"]
    assert {key: again[key] for key in content["rows"]} == content["rows"]
    assert len(again) == len(rows) + 2


def test_a_wrong_answer_stops_the_script(script: Script, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load("gpu_measure").GpuModel
    right = model.answer
    monkeypatch.setattr(model, "answer", lambda self: right(self) * np.float32(1.001))
    assert "are off by" in script("gpu_layers", *TINY, "--storage", "f32", "--pattern", "groups4-aligned", code=1)


def test_layers_run_by_the_drivers_clock(load: Load) -> None:
    measure = load("gpu_measure")
    layer = LayerSizes("conv", 8, 8, 16, 16, 1, 1, 1)
    models = [measure.GpuModel(dense_model(layer, np.ones((16, 16), np.float32))) for _ in range(2)]
    assert models[0].kernels() == ["gpu/FromNhwc", "gpu/Conv", "gpu/ToNhwc"]
    rounds = measure.device_rounds(models, 0.001, measure.Device("made", True))
    assert rounds.launches.shape == rounds.wall.shape
    assert 7 <= len(rounds.wall) <= 101
    # A launch lies within the call that started it.
    assert (rounds.launches > 0).all()
    assert (rounds.launches < rounds.wall).all()
    assert len(measure.device_rounds(models, 0.001, measure.Device("made", False)).wall) == 1


# The AI Edge Quantizer calibrates so.
@pytest.mark.filterwarnings("ignore:.*experimental_preserve_all_tensors")
def test_models_are_checked(script: Script, load: Load, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # The setting would stay for the tests behind this one.
    monkeypatch.setattr(load("gpu_models"), "without_driver_caches", lambda: None)
    output = tmp_path / "models.json"
    small = ("--network", "resnet20", "--cache", tmp_path, "--seconds", "0.01", "--output", output)
    shown = script("gpu_models", *small, "--precision", "float32", "--precision", "int8")
    floats, integers = json.loads(output.read_text())["rows"].values()
    assert (floats["precision"], integers["precision"]) == ("float32", "int8")
    assert floats["device"] in shown.splitlines()[0]
    assert floats["sparse layers"] == integers["sparse layers"] == 20
    for row in (floats, integers):
        for name in ("dense", "sparse"):
            assert row[name]["gpu operators"] > 20
            assert (row[name]["cpu operators"], row[name]["reasons"]) == (0, {})
            assert row[name]["launches"] == sum(row[name]["kernels"].values())
            assert row[name]["programs"] > 3
            assert row[name]["start-up ratio"] > 0
        assert row["sparse"]["constant bytes"] < 0.5 * row["dense"]["constant bytes"]
    assert floats["int8 costs"] is None
    assert max(floats[name]["error"] for name in ("dense", "sparse")) <= 1e-4
    assert max(integers[name]["error against float32"] for name in ("dense", "sparse")) <= 1.25 * integers["int8 costs"]


def test_the_rival_answers_or_says_why_not(script: Script, tmp_path: Path) -> None:
    output = tmp_path / "rival.json"
    script("rival_litert_gpu", *TINY, "--storage", "f32", "--output", output)
    (row,) = json.loads(output.read_text())["rows"].values()
    if "failure" in row:
        assert "WebGPU" in row["failure"]
    else:
        assert max(row["error"], row["rival error"]) <= 1e-4
        assert row["rival by own"] > 0


def result(**fields: Any) -> dict[str, Any]:
    found = {"gpu operators": 9, "cpu operators": 0, "launches": 7, "constant bytes": 2e6, "error": 1e-6}
    found |= {"error against float32": 0.125}
    starts = {"programs": 4, "compiled seconds": 2.0, "cached seconds": 0.05, "start-up ratio": 40.0}
    row = {"network": "net", "size": 96, "precision": "int8", "is gpu": True, "int8 costs": 0.25, "speedup": 2.5}
    row |= {"dense": {**found, "constant bytes": 8e6}, "sparse": {**found, **starts}}
    return {"rows": {"net": {**row, **fields}}}


def test_times_are_shown_of_gpus_only(load: Load) -> None:
    tables = load("gpu_tables")
    shown = "| net | 96 | int8 | 9, 0 | 7 | 8.00 / 2.00 | 1.0e-06; 1.2e-01, LiteRT 2.5e-01 |"
    assert tables.models(result()).splitlines()[-1] == f"{shown} 2.50x |"
    assert tables.models(result(**{"is gpu": False})).splitlines()[-1] == f"{shown} not measured |"
    assert tables.starts(result()).splitlines()[-1] == "| net | 96 | int8 | 4 | 2.0 s | 50 ms | 40x |"


def test_a_rival_that_does_not_run_is_a_line(load: Load) -> None:
    row = {"vulkan devices": "none", "layers": 0, "is gpu": False}
    rows = [{**row, "storage": "f32", "failures": ["why; no", "no"]}, {**row, "storage": "f16", "failures": ["no"]}]
    ran = {**row, "vulkan devices": "card", "storage": "f32", "layers": 3, "error": 0.0, "rival error": 2e-6}
    lines = load("gpu_tables").rival({"summary": [*rows, {**ran, "rival by own": 1.5, "is gpu": True}]}).splitlines()
    assert lines[2:] == [
        "| none | f32 | 0 |  | does not run: `why` |  |",
        "| card | f32 | 3 | equal bits | 2.0e-06 | 1.50x |",
    ]


def test_the_documents_tables_are_those_of_the_results(load: Load) -> None:
    text = (BENCHMARKS.parent / "docs/gpu.md").read_text()
    for name, table in load("gpu_tables").tables(RESULTS).items():
        assert f"<!-- table: {name} -->\n\n{table}\n" in text


def test_whole_networks_ran_on_the_device(load: Load) -> None:
    rows = json.loads((RESULTS / "gpu_models.json").read_text())["rows"].values()
    networks, precisions = load("pruned_networks").WITH_SMALL, load("gpu_models").PRECISIONS
    wanted = {(network, precision) for network in networks for precision in precisions}
    assert {(row["network"], row["precision"]) for row in rows} == wanted
    for row in rows:
        assert all(row[name]["cpu operators"] == 0 for name in ("dense", "sparse")), row["network"]
        assert row["sparse"]["start-up ratio"] >= 5
