# SPDX-License-Identifier: Apache-2.0
"""The demo app on this machine: its logic, and its screens with real inference behind them."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

import tfprune as tp
from examples.fashion import network
from tests.android.app.conftest import JARS, JUnit
from tests.android.conftest import JSIG, REPOSITORY
from tfprune.costs import load_table
from tfprune.costs.table import KINDS
from tfprune.mapping.latency import LatencyModel
from tfprune.mapping.network import Network
from tfprune.mapping.profiling import check_table

SOURCES = REPOSITORY / "android_demo/app/src/test/java/io/tfprune/demo"
LOGIC = [f"{path.parent.name}.{path.stem}" for path in sorted(SOURCES.glob("*/*Test.java"))]
SCREENS = [path.stem for path in sorted(SOURCES.glob("*Test.java"))]


def _passed(done: subprocess.CompletedProcess[str]) -> int:
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    found = re.search(r"^OK \((\d+) tests?\)$", done.stdout, re.MULTILINE)
    assert found, done.stdout
    return int(found[1])


def test_logic(junit: JUnit) -> None:
    assert _passed(junit(*LOGIC)) > 30


@pytest.fixture(scope="module")
def clicked_through(junit: JUnit, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of pictures and of the profile that the screens wrote, and what was printed."""
    folder = tmp_path_factory.mktemp("screens")
    done = junit(*SCREENS, pictures=folder, profile=folder / "profile.json")
    assert _passed(done) >= 14
    return folder, done.stdout + done.stderr


def test_screens_are_drawn(clicked_through: tuple[Path, str]) -> None:
    folder, _ = clicked_through
    pictures = {path.stem: path.read_bytes() for path in folder.glob("*.png")}
    assert set(pictures) == {"android_classify", "android_night", "android_no_gpu", "android_benchmark"}
    # An empty screen compresses to next to nothing.
    assert min(map(len, pictures.values())) > 20_000


def test_dense_layers_run_in_xnnpack_and_sparse_ones_in_the_delegate(clicked_through: tuple[Path, str]) -> None:
    _, printed = clicked_through
    assert re.search(r"Replacing 32 out of 32 node\(s\) with delegate \(TfLiteXNNPackDelegate\)", printed)
    assert re.search(r"Replacing \d+ out of \d+ node\(s\) with delegate \(Tfprune", printed)


def test_the_profile_is_one_that_mappings_take(clicked_through: tuple[Path, str]) -> None:
    folder, _ = clicked_through
    table = load_table(folder / "profile.json")
    assert table.unit == "microseconds"
    assert not table.general
    assert table.device.target == "app"
    assert table.device.libtfprune == tp.__version__
    assert table.device.num_threads == 1
    (note,) = check_table(table)
    assert "is of another device" in note
    # On one and the same machine; the table of the app's few layers is rough.
    model = Network(network.resnet20(16))
    found, known = (LatencyModel(model, each).dense.time for each in (table, load_table("host")))
    assert known / 8 < found < known * 8


def test_the_profile_is_the_packaged_table_part_by_part(clicked_through: tuple[Path, str]) -> None:
    folder, _ = clicked_through
    scaled, packaged = load_table(folder / "profile.json").costs("float32"), load_table("arm64").costs("float32")
    for kind in KINDS:
        mine, theirs = scaled.kinds[kind], packaged.kinds[kind]
        sparse = {rows: cost / theirs.step["row_band"][rows] for rows, cost in mine.step["row_band"].items()}
        assert max(sparse.values()) == pytest.approx(min(sparse.values()), rel=1e-2)
        assert mine.dense_mac > 0
    assert set(scaled.stock_ops) == set(packaged.stock_ops)


def test_both_models_run_on_a_gpu(
    models: Path, classes_of_apk: Path, libraries: Path, android_libc: Path, tmp_path: Path
) -> None:
    # OpenCL on this machine's processor, which the screens' tests go without: an app takes it for no GPU.
    jars = [classes_of_apk, next(JARS.glob("android-all-7*.jar"))]
    command: list[str | Path] = ["java", f"-Djava.library.path={libraries}", "-cp", ":".join(map(str, jars))]
    command += [Path(__file__).with_name("RunPair.java"), models / "dense.tflite", models / "pruned.tflite", tmp_path]
    environment = {**os.environ, "LD_LIBRARY_PATH": str(android_libc), "LD_PRELOAD": str(JSIG)}
    done = subprocess.run(
        [*command, "784", "10"], env=environment, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.findall(r"^(CPU, 2 threads|GPU): runs 5, same class 1, worst (\S+)$", done.stdout, re.MULTILINE)
    assert [where for where, _ in found] == ["CPU, 2 threads", "GPU"]
    assert max(float(worst) for _, worst in found) < 1e-4
    assert list(tmp_path.glob("tfprune_programs/*.clprogram"))


def test_models_are_named_with_their_hashes(models: Path) -> None:
    catalog = json.loads((models / "models.json").read_text())
    plan = json.loads((models / "profile.json").read_text())
    entries = [catalog["dense"], catalog["pruned"], *catalog["samples"]]
    entries += [each[part] for each in plan["layers"] for part in ("dense", "sparse")]
    entries += [each[part] for each in [plan["call"], *plan["operators"]] for part in ("one", "row")]
    for entry in entries:
        content = (models / entry["file"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == entry["sha256"]
        assert len(content) == entry["bytes"]
    named = {entry["file"] for entry in entries} | {"models.json", "profile.json"}
    assert {path.name for path in models.iterdir()} == named
    assert {layer["kind"] for layer in plan["layers"]} == set(KINDS)
    assert catalog["pruned"]["bytes"] < catalog["dense"]["bytes"]
