# SPDX-License-Identifier: Apache-2.0
"""Each script of ``make bench`` runs on something tiny and says what it should."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tests.benchmarks.conftest import BENCHMARKS, Script
from tfprune.mapping.profiling.layer_sizes import LayerSizes, count_layers
from tfprune.mapping.profiling.timing import Model

# The smallest convolution of MobileNetV2 that is pruned; a short timing says nothing, but it runs.
TINY = ("--network", "mobilenet_v2", "--min-macs", "0", "--limit", "2", "--seconds", "0.001")


def test_layers_are_measured_and_resumed(script: Script, tmp_path: Path) -> None:
    output = tmp_path / "cpu_layers.json"
    arguments = (*TINY, "--pattern", "groups4", "--output", output)
    shown = script("cpu_layers", *arguments, "--sparsity", "0.75")
    assert "112x112x32 to 16" in shown
    first = json.loads(output.read_text())
    rows = [row for row in first["rows"].values() if row["encoding"]]
    assert rows, "every layer stayed dense"
    for row in rows:
        assert row["stored by kept"] == pytest.approx(1, abs=0.02)
        assert row["share"] == pytest.approx(row["speedup"] * (1 - row["sparsity"]))
        assert row["error"] <= 1e-4
        assert row["kernel"]
    assert {mean["network"] for mean in first["summary"]} >= {"mobilenet_v2", "all"}
    script("cpu_layers", *arguments, "--sparsity", "0.9")
    second = json.loads(output.read_text())
    assert {key: second["rows"][key] for key in first["rows"]} == first["rows"]
    assert len(second["rows"]) == 2 * len(first["rows"])
    assert first["commands"] == second["commands"][:1]
    assert "| groups4 | mobilenet_v2 |" in script("speed_tables", "--folder", tmp_path)


@pytest.mark.parametrize("name", ["cpu_layers", "cpu_models", "arm64_instructions", "avx2_instructions", "break_even"])
def test_sparsities_are_shares(script: Script, name: str) -> None:
    for value in ("1.5", "1", "-0.1", "many"):
        assert "'--sparsity'" in script(name, "--sparsity", value, code=2)


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("cpu_layers", "--threads", "0"),
        ("cpu_layers", "--threads", "999999999999"),
        ("cpu_layers", "--seconds", "-5"),
        ("cpu_layers", "--seed", "-1"),
        ("break_even", "--seconds", "0"),
        ("fc_bandwidth", "--sparsity", "1.5"),
        ("fc_bandwidth", "--inputs", "0"),
        ("fc_bandwidth", "--pattern", "none"),
        ("rival_mnn", "--sparsity", "1.5"),
    ],
)
def test_numbers_out_of_range_are_refused_in_words(script: Script, name: str, option: str, value: str) -> None:
    assert f"Invalid value for '{option}'" in script(name, option, value, code=2)


def test_a_forced_instruction_set_is_what_runs(script: Script, tmp_path: Path) -> None:
    output = tmp_path / "layers.json"
    script("cpu_layers", *TINY, "--sparsity", "0.75", "--arch", "reference", "--output", output)
    kernels = [row["kernel"] for row in json.loads(output.read_text())["rows"].values() if row["encoding"]]
    assert kernels
    assert all(kernel.endswith("reference") for kernel in kernels)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that keeps the small networks from test to test."""
    return tmp_path_factory.mktemp("networks")


def small(cache: Path) -> tuple[object, ...]:
    """Options for one small network."""
    return ("--network", "mobilenet_v1", "--sparsity", "0.9", "--size", "32", "--cache", cache)


def test_models_are_measured(script: Script, cache: Path, tmp_path: Path) -> None:
    output = tmp_path / "models.json"
    script("cpu_models", *small(cache), "--threads", "1", "--seconds", "0.01", "--output", output)
    (row,) = json.loads(output.read_text())["rows"].values()
    assert row["sparse layers"] > 0
    assert row["sparse bytes"] < row["dense bytes"]
    assert row["threads"]["1"]["speedup"] > 0


def test_memory_is_measured_in_processes_of_their_own(script: Script, cache: Path, tmp_path: Path) -> None:
    output = tmp_path / "memory.json"
    script("peak_memory", *small(cache), "--threads", "2", "--processes", "1", "--output", output)
    (row,) = json.loads(output.read_text())["rows"].values()
    found = row["threads"]["2"]
    # XNNPACK packs the dense file's weights once more, 16 MB of them; those of the sparse file stay where they are.
    assert found["dense peak MB"] > row["dense file MB"]
    assert found["sparse peak MB"] < found["dense peak MB"]
    assert found["sparse anonymous MB"] > 0


def test_costs_of_chains_are_measured_layer_by_layer(
    script: Script, load: Callable[[str], ModuleType], cache: Path, tmp_path: Path
) -> None:
    output = tmp_path / "partition.json"
    script("fit_partition", *small(cache), "--runs", "3", "--output", output)
    content = json.loads(output.read_text())
    assert set(content["summary"]) >= {"kMove", "kFillPlanes", "kTapThere", "kTapHere", "kAddThere", "kPadThere"}
    assert {"kMove", "kTapThere", "kTapHere", "copies", "nanoseconds"} <= set(content["rows"]["mobilenet_v1"])


def test_costs_of_chains_are_sums_over_sums(load: Callable[[str], ModuleType]) -> None:
    sums = {
        "kMove": [(3.0, 10.0), (1.0, 10.0)],  # 0.2 us a value
        "kTapHere": [(4.0, 40.0)],
        "window": [(5.0, 50.0)],  # half of its moves were saved
        "window inputs": [(0.0, 20.0)],
    }
    found = load("fit_partition").fit(sums)
    assert found == pytest.approx({"nanoseconds": 200, "kMove": 1, "kTapHere": 0.5, "kFillPlanes": 1.25})


def test_shapes_are_those_of_the_networks(load: Callable[[str], ModuleType]) -> None:
    shapes = load("network_shapes")
    for name in shapes.NETWORKS:
        assert (BENCHMARKS / "shapes" / f"{name}.txt").read_text() == shapes.shapes_file(name), name


def test_networks_have_their_published_sizes() -> None:
    # Millions of multiply-adds: the papers', and for EfficientNet-Lite0 its model card.
    published = {"mobilenet_v1": 569, "mobilenet_v2": 300, "resnet50": 3860, "efficientnet_lite0": 407}
    for name, millions in published.items():
        layers = count_layers(BENCHMARKS / "shapes" / f"{name}.txt")
        found = sum(layer.macs * count for layer, count in layers.items()) / 1e6
        assert found == pytest.approx(millions, rel=0.06), name


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("kind", ["conv", "depthwise", "fc"])
def test_every_kind_of_layer_is_built(load: Callable[[str], ModuleType], kind: str, precision: str) -> None:
    cases = load("layer_cases")
    size, kernel = (1, 1) if kind == "fc" else (6, 3)
    layer = LayerSizes(kind, size, size, 16, 16, kernel, 1, 1)
    case = cases.Case(layer, "groups4-aligned" if kind != "depthwise" else "elements-filter", 0.5, 0, precision)
    model = Model(case.dense())
    assert model.answer().shape == layer.out_shape
    answer = model.answer().astype(np.float64)
    assert model.answer().dtype == precision
    if precision == "int8":
        # The output's scale fits: neither saturated nor a handful of steps.
        assert 10 < answer.std() < 60
    assert np.abs(answer).max() > 0
    assert case.achieved == pytest.approx(0.5, abs=0.06)


def test_every_pattern_has_a_layer_and_stores_what_it_keeps(load: Callable[[str], ModuleType]) -> None:
    cases = load("layer_cases")
    layers = [LayerSizes("conv", 6, 6, 32, 64, kernel, 1, 1) for kernel in (1, 3)]
    for name in cases.PATTERNS:
        found = cases.cases(layers, [name], [0.75, 0.9], seed=0)
        assert found, name
        for case in found:
            sparse = case.sparse("host")
            assert sparse is not None, case.key
            # No pattern is padded with zeros by the encoding that is chosen for it.
            assert 1 <= sparse.stored / case.kept <= 1.02, f"{case.key}: {sparse.encoding}"


def test_without_mnn_the_rival_says_what_to_install(script: Script, tmp_path: Path) -> None:
    shown = script("rival_mnn", *TINY, "--sparsity", "0.75", "--package", tmp_path, code=1)
    assert f"pip install --no-deps --target {tmp_path} MNN" in shown


@pytest.mark.skipif(not (BENCHMARKS.parent / "build/mnn/MNN").is_dir(), reason="MNN is not in build/mnn")
def test_mnn_runs_the_same_layers(tmp_path: Path) -> None:
    output = tmp_path / "mnn.json"
    # Beside TensorFlow, which other tests have loaded, MNN's converter crashes: a process of its own.
    command = [sys.executable, BENCHMARKS / "rival_mnn.py", *TINY, "--sparsity", "0.9", "--output", output]
    done = subprocess.run([str(each) for each in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = [row for row in json.loads(output.read_text())["rows"].values() if row["encoding"]]
    assert rows
    assert all(row["against mnn"] > 0 and row["mnn chose"] in ("dense", "sparse") for row in rows)


def test_break_even_is_found_between_two_sparsities(load: Callable[[str], ModuleType]) -> None:
    crossing = load("break_even").crossing
    assert crossing([0.1, 0.5, 0.9], [0.5, 0.5, 2.0]) == pytest.approx(0.7)
    assert crossing([0.1, 0.5], [1.1, 1.2]) == 0
    assert crossing([0.1, 0.5], [1.1, 0.9]) is None


def test_break_even_is_measured(script: Script, tmp_path: Path) -> None:
    output = tmp_path / "even.json"
    few = ("--kind", "fully connected", "--pattern", "groups8", "--sparsity", "0.2", "--sparsity", "0.9")
    script("break_even", *few, "--seconds", "0.01", "--output", output)
    (mean,) = json.loads(output.read_text())["summary"]
    assert mean["pattern"] == "groups8"
    assert mean["encodings"]


def test_fully_connected_layers_meet_the_bandwidth(script: Script, tmp_path: Path) -> None:
    output = tmp_path / "fc.json"
    small = ("--inputs", 256, "--outputs", 256, "--seconds", "0.01")
    script("fc_bandwidth", *small, "--precision", "float32", "--output", output)
    rows = list(json.loads(output.read_text())["rows"].values())
    assert [row["pattern"] for row in rows] == ["groups16", "groups4"]
    for row in rows:
        assert row["packed bytes"] > 256 * 256
        assert row["error"] < 1e-5
        # A layer of microseconds is above or below the bandwidth by chance; the real one is measured by `make bench`.
        assert row["GB/s"] > 0 < row["GB/s of reading"]


def test_fully_connected_layers_of_narrower_weights_are_measured(script: Script, tmp_path: Path) -> None:
    output = tmp_path / "fc.json"
    narrow = ("--pattern", "groups4x4", "--precision", "float16", "--precision", "dynamic")
    script("fc_bandwidth", "--inputs", 256, "--outputs", 256, *narrow, "--seconds", "0.01", "--output", output)
    halves, bytes_ = json.loads(output.read_text())["rows"].values()
    assert (halves["precision"], bytes_["precision"]) == ("float16", "dynamic")
    # A quarter of 65,536 weights of two bytes and of one, and one number for each group of sixteen.
    assert 32_768 < halves["packed bytes"] < 38_000
    assert 16_384 < bytes_["packed bytes"] < 22_000
    assert "_int8/" in bytes_["kernel"]


def test_int8_layers_are_packed_as_suits_their_pattern(script: Script, tmp_path: Path) -> None:
    output = tmp_path / "layers.json"
    patterns = ("--pattern", "groups4x4", "--pattern", "block-rows-columns")
    script("cpu_layers", *TINY, "--sparsity", "0.75", *patterns, "--precision", "int8", "--output", output)
    rows = list(json.loads(output.read_text())["rows"].values())
    encodings = {(row["pattern"], row["layer"].split()[0], row["encoding"]) for row in rows}
    assert encodings == {
        ("groups4x4", "conv", "row_band 4x4"),
        ("groups4x4", "depthwise", None),
        ("block-rows-columns", "conv", None),
        ("block-rows-columns", "depthwise", None),
    }
    # Bit for bit what the dense int8 layer answers.
    assert all(row["error"] == 0 for row in rows if row["encoding"])


def test_default_verdicts_are_the_converters_own(script: Script, tmp_path: Path) -> None:
    output = tmp_path / "layers.json"
    script("cpu_layers", *TINY, "--sparsity", "0.1", "--default-verdicts", "--output", output)
    rows = json.loads(output.read_text())["rows"].values()
    # A tenth of zeros in layers of few channels: no table promises a gain.
    assert [row["encoding"] for row in rows] == [None, None]


def test_avx2_instructions_are_counted(script: Script, tmp_path: Path) -> None:
    output = tmp_path / "avx2.json"
    layer = ("--network", "mobilenet_v2", "--min-macs", "0", "--limit", "2")
    script("avx2_instructions", *layer, "--sparsity", "0.9", "--output", output)
    rows = [row for row in json.loads(output.read_text())["rows"].values() if row["encoding"]]
    assert {row["layer"].split()[0] for row in rows} == {"conv", "depthwise"}
    assert all(0 < row["ratio"] < (1 if row["layer"].startswith("conv") else 1.2) for row in rows)


def test_the_stock_target_is_measured(script: Script, tmp_path: Path) -> None:
    output = tmp_path / "stock.json"
    shown = script("stock_runtime", "dense-layers", "--layer", "256x256", "--seconds", "0.001", "--output", output)
    assert "256x256 batch 16" in shown
    rows = json.loads(output.read_text())["rows"]
    assert len(rows) == 24
    # Half of the blocks with one byte each instead of none; a twentieth of them.
    assert rows["256x256 batch 1 sparsity 0.5"]["bytes"] == pytest.approx(0.54, abs=0.02)
    assert rows["256x256 batch 1 sparsity 0.95"]["bytes"] < 0.08
    assert all(row["error"] <= 1e-4 and row["time"] > 0 for row in rows.values())


@pytest.mark.slow
def test_networks_of_the_stock_target_are_built(load: Callable[[str], ModuleType]) -> None:
    """Half of the channels, chosen jointly, leave about a quarter of the multiply-adds."""
    pytest.importorskip("tensorflow")
    stock = load("stock_runtime")
    row, dense, small = stock.converted_pair(stock.PrunedFor("mobilenet_v1", "channels 50 %", 32, 0).tflite())
    assert row["macs"] == pytest.approx(0.265, abs=0.02)
    assert len(small) < 0.35 * len(dense)
