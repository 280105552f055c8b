# SPDX-License-Identifier: Apache-2.0
"""The command as a process of its own: streams, exit codes, and no chatter of the libraries below."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.models.builder import conv_model, pruned


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tfprune", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "pruned.tflite"
    path.write_bytes(conv_model(pruned((64, 3, 3, 64), 0.9), np.zeros(64, np.float32), (1, 16, 16)))
    return path


def test_json_is_all_there_is_on_both_streams(model: Path, tmp_path: Path) -> None:
    sparse = tmp_path / "sparse.tflite"
    done = run("convert", model, "-o", sparse, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    json.loads(done.stdout)
    done = run("verify", model, sparse, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["ok"] is True


def test_keras_model_converts_without_tensorflow_chatter(tmp_path: Path) -> None:
    network = keras.Sequential([keras.Input((64,)), keras.layers.Dense(256, name="hidden"), keras.layers.Dense(4)])
    hidden = network.get_layer("hidden")
    hidden.set_weights([np.ascontiguousarray(pruned((256, 64), 0.9).T), np.zeros(256)])
    network.save(tmp_path / "network.keras")
    done = run("convert", tmp_path / "network.keras", "--json")
    assert done.stderr == ""
    assert json.loads(done.stdout)["output"] == str(tmp_path / "network.sparse.tflite")
    assert (tmp_path / "network.sparse.tflite").is_file()


def test_error_is_one_message_on_stderr(tmp_path: Path) -> None:
    done = run("inspect", tmp_path / "missing.tflite")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("Error: ")
    assert "missing.tflite" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_is_quick_and_loads_neither_tensorflow_nor_litert() -> None:
    code = (
        "import sys\n"
        "from tfprune.cli import main\n"
        "loaded = {name.split('.')[0] for name in sys.modules}\n"
        "print(sorted(loaded & {'tensorflow', 'keras', 'ai_edge_litert'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
