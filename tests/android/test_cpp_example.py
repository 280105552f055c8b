# SPDX-License-Identifier: Apache-2.0
"""The C++ example on TFLite's Android runtime, here on Linux: with the delegate, and with ops registered by name."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import tfprune as tp
from tests.android.conftest import RUNTIME
from tests.models.builder import conv_model, fully_connected_model, pruned
from tests.models.recurrent import LstmFile

TOOLS = RUNTIME.parent
Example = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def example(android_libc: Path) -> Example:
    """``example(*arguments)`` runs it."""

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(TOOLS / "main"), *map(str, arguments)],
            env={"LD_LIBRARY_PATH": f"{android_libc}:{TOOLS}"},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def models() -> dict[str, bytes]:
    dense = {
        "convolution": conv_model(pruned((32, 3, 3, 16), 0.8)),
        "fully connected": fully_connected_model(pruned((64, 48), 0.8)),
        "lstm": LstmFile().build(),
    }
    return {name: tp.convert(content, min_speedup=0.01).tflite for name, content in dense.items()}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("way", ["delegate", "ops"])
@pytest.mark.parametrize("name", ["convolution", "fully connected", "lstm"])
def test_both_ways_give_the_answers_of_the_interpreter(
    name: str, way: str, threads: int, example: Example, tmp_path: Path
) -> None:
    content = models()[name]
    interpreter = tp.Interpreter(content)
    assert len(interpreter.custom_ops) == 1
    (spec,) = interpreter.inputs()
    x = np.random.default_rng(0).normal(size=[max(1, each) for each in spec.shape]).astype(np.float32)
    paths = [tmp_path / name for name in ("model.tflite", "x", "y")]
    paths[0].write_bytes(content)
    x.tofile(paths[1])
    done = example(*paths, way, str(threads))
    assert done.returncode == 0, done.stderr
    expected = interpreter.predict(x)
    assert isinstance(expected, np.ndarray)
    found = np.fromfile(paths[2], np.float32).reshape(expected.shape)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6 * np.abs(expected).max())
    assert f"tfprune {tp.__version__}, " in done.stdout
    assert not done.stdout.endswith("last kernel \n")


def test_what_is_wrong_is_said(example: Example, tmp_path: Path) -> None:
    (tmp_path / "no").write_bytes(b"no model")
    assert "usage: main" in example().stderr
    assert "must be delegate or ops" in example("a", "b", "c", "other").stderr
    assert "the model cannot be read" in example(tmp_path / "no", "b", "c").stderr
    path = tmp_path / "model.tflite"
    path.write_bytes(models()["convolution"])
    assert "INPUT must hold exactly" in example(path, tmp_path / "no", "c").stderr


@pytest.mark.parametrize("way", ["delegate", "ops"])
def test_broken_weights_are_an_error_and_no_crash(way: str, example: Example, tmp_path: Path) -> None:
    content = bytearray(models()["convolution"])
    content[content.index(b"TFPK") + 8] ^= 0xFF
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    done = example(path, tmp_path / "x", tmp_path / "y", way)
    assert done.returncode == 1
    assert "packed weights" in done.stderr
