# SPDX-License-Identifier: Apache-2.0
"""What the README tells a newcomer to type works, in order, in one folder."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import keras
import pytest

import tfprune as tp
from tests.docs.pages import ROOT, fenced

README = ROOT / "README.md"
ENVIRONMENT = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
#: What makes the commands of a mapping quick, by a word of theirs.
QUICK = {"profile": ["--seconds", "60"], "train_with_recipe": ["--quick", "--epochs", "1"]}


def _console_blocks() -> tuple[list[str], list[str]]:
    """The commands on the files of the first example, and those of a mapping."""
    blocks = [block.text.splitlines() for block in fenced(README, "console")]
    known = [[line for line in block if line.startswith(("tfprune ", "python "))] for block in blocks]
    (mapping,) = (block for block in known if any("tfprune profile" in line for line in block))
    return [line for block in known if block is not mapping for line in block], mapping


def _run(program: str | Path, arguments: list[str], folder: Path) -> None:
    done = subprocess.run([program, *arguments], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, f"{program} {arguments}\n{done.stdout}\n{done.stderr[-3000:]}"


def _tfprune() -> Path:
    return Path(sys.executable).with_name("tfprune")


def test_the_readme_runs(tmp_path: Path) -> None:
    for block in fenced(README, "python"):
        _run(sys.executable, ["-c", block.text], tmp_path)
    assert (tmp_path / "pruned.tflite").stat().st_size < 0.6 * (tmp_path / "dense.tflite").stat().st_size
    commands, _ = _console_blocks()
    assert len(commands) == 4
    for command in commands:
        _run(_tfprune(), shlex.split(command)[1:], tmp_path)


@pytest.mark.slow
def test_the_commands_of_a_mapping_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    from fashion import network

    keras.utils.set_random_seed(0)
    trained = tmp_path / "build/fashion_mnist/trained.keras"
    trained.parent.mkdir(parents=True)
    network.resnet20(16).save(trained)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    _, commands = _console_blocks()
    assert len(commands) == 4
    for command in commands:
        program, *arguments = shlex.split(command)
        quick = next((extra for word, extra in QUICK.items() if word in arguments[0]), [])
        _run(sys.executable if program == "python" else _tfprune(), [*arguments, *quick], tmp_path)
    found = tp.inspect(tmp_path / "pruned.tflite")
    assert sum(layer.verdict == "sparse" for layer in found.layers) >= 10
    assert (tmp_path / "pruned.tflite").stat().st_size < 0.6 * 4 * keras.saving.load_model(trained).count_params()
    assert (tmp_path / "mapping.html").stat().st_size > 10_000
