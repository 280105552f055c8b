# SPDX-License-Identifier: Apache-2.0
"""Java's classes and the AAR's very library in Android's own TensorFlow Lite, on this machine's virtual machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import tfprune as tp
from tests.android.conftest import Java
from tests.models.builder import conv_model, fully_connected_model, pruned
from tfprune.formats.header import FORMAT_VERSION, MAGIC
from tfprune.runtime.library import load_library

BIAS = np.linspace(-1, 1, 64, dtype=np.float32)
CASES = {
    "3x3": (conv_model(pruned((64, 3, 3, 16)), BIAS, size=(1, 9, 7)), (1, 9, 7, 16)),
    "fully connected": (fully_connected_model(pruned((64, 256)), BIAS, shape=[4, 256]), (4, 256)),
}

Run = Callable[..., tuple[np.ndarray, str]]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A converted model, as a file."""
    path = tmp_path / "model.tflite"
    path.write_bytes(tp.convert(CASES["3x3"][0], min_speedup=0.01).tflite)
    return path


@pytest.fixture
def run(java: Java, tmp_path: Path) -> Run:
    """``run(model, x, "option=value", ...)``: the output as numbers, and what was printed."""

    def run(content: bytes, x: np.ndarray, *options: str) -> tuple[np.ndarray, str]:
        path, source, target = (tmp_path / name for name in ("run.tflite", "x", "y"))
        path.write_bytes(content)
        source.write_bytes(x.tobytes())
        done = java("RunModel", path, source, target, *options)
        assert done.returncode == 0, done.stdout + done.stderr
        return np.frombuffer(target.read_bytes(), np.float32), done.stdout

    return run


def _input(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(5).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("threads", ["1", "2"])
def test_a_converted_model_equals_the_dense_one(run: Run, name: str, threads: str) -> None:
    dense, shape = CASES[name]
    x = _input(shape)
    expected, nothing = run(dense, x)
    found, layers = run(tp.convert(dense, min_speedup=0.01).tflite, x, f"threads={threads}", "profiling=true")
    assert nothing == ""
    assert layers.startswith("node 0: ")
    assert load_library().detected_arch.split("_")[0] in layers
    assert layers.endswith(", runs 1\n")
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_the_comparison_sees_one_changed_weight(run: Run) -> None:
    weights = pruned((64, 3, 3, 16))
    x = _input((1, 9, 7, 16))
    expected, _ = run(CASES["3x3"][0], x)
    weights.flat[np.argmax(np.abs(weights))] *= 1.01
    found, _ = run(tp.convert(conv_model(weights, BIAS, size=(1, 9, 7)), min_speedup=0.01).tflite, x)
    assert np.abs(found - expected).max() > 1e-4 * np.abs(expected).max()


def test_placement_says_why_no_gpu_is_used(run: Run) -> None:
    dense, shape = CASES["3x3"]
    _, printed = run(tp.convert(dense, min_speedup=0.01).tflite, _input(shape), "backend=AUTO")
    assert ("device: " in printed) != ("problem: " in printed), printed


def test_a_gpu_runs_the_model_and_its_programs_are_kept(run: Run, tmp_path: Path) -> None:
    dense, shape = CASES["3x3"]
    x = _input(shape)
    expected, _ = run(dense, x)
    found, printed = run(tp.convert(dense, min_speedup=0.01).tflite, x, "backend=GPU", f"cache={tmp_path / 'cache'}")
    assert "device: " in printed
    assert printed.endswith("node 0: GPU\n")
    assert list((tmp_path / "cache" / "tfprune_programs").glob("*.clprogram"))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_an_app_without_the_library_is_told_so(java: Java, libraries: Path, model: Path) -> None:
    library = libraries / "libtfprune.so"
    library.rename(libraries / "other.so")
    try:
        done = java("RunModel", model, "/dev/null", "/dev/null")
    finally:
        (libraries / "other.so").rename(library)
    assert done.returncode == 1
    assert "TfpruneException: tfprune: libtfprune.so cannot be loaded on this processor, " in done.stdout + done.stderr


def test_tuning_is_kept_in_the_cache_directory(run: Run, tmp_path: Path) -> None:
    dense = conv_model(pruned((64, 1, 1, 64)), BIAS, size=(1, 28, 28))
    cache, x = tmp_path / "cache", _input((1, 28, 28, 64))
    run(tp.convert(dense, min_speedup=0.01).tflite, x, f"cache={cache}", "tuning=true")
    assert (cache / "tfprune_tuning.txt").read_text().startswith("tfprune tuning ")


def test_tuning_that_cannot_be_kept_is_told(run: Run, tmp_path: Path) -> None:
    dense = conv_model(pruned((64, 1, 1, 64)), BIAS, size=(1, 28, 28))
    (tmp_path / "cache" / "tfprune_tuning.txt").mkdir(parents=True)
    x = _input((1, 28, 28, 64))
    _, printed = run(tp.convert(dense, min_speedup=0.01).tflite, x, f"cache={tmp_path / 'cache'}", "tuning=true")
    assert "tuning problem: " in printed
    assert "tfprune_tuning.txt" in printed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["threads=0"], "IllegalArgumentException: TfpruneDelegate: the number of threads must be from 1 to 64, got 0"),
        (["tuning=true"], "IllegalArgumentException: TfpruneDelegate: tuning needs a directory"),
        (["cache=/proc/none"], "TfpruneException: TfpruneDelegate: the cache directory must be one that this app can"),
    ],
)
def test_bad_options_are_exceptions(java: Java, model: Path, options: list[str], message: str) -> None:
    done = java("RunModel", model, "/dev/null", "/dev/null", *options)
    assert done.returncode == 1
    assert message in done.stdout + done.stderr


def test_a_model_of_a_later_version_asks_for_a_newer_library(java: Java, model: Path) -> None:
    content = model.read_bytes()
    start = content.index(MAGIC) + len(MAGIC)
    assert content[start] == FORMAT_VERSION
    model.write_bytes(content[:start] + bytes([FORMAT_VERSION + 1]) + content[start + 1 :])
    done = java("RunModel", model, "/dev/null", "/dev/null")
    assert done.returncode == 1
    assert done.stdout.startswith("java.lang.IllegalStateException: ")
    assert f"this library reads version {FORMAT_VERSION}, got {FORMAT_VERSION + 1}" in done.stdout
    assert "use a newer libtfprune, in an app the AAR of the version that converted the model" in done.stdout


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.999])
def test_a_file_that_is_cut_off_is_an_exception(share: float, java: Java, model: Path) -> None:
    content = model.read_bytes()
    model.write_bytes(content[: int(share * len(content))])
    done = java("RunModel", model, "/dev/null", "/dev/null")
    assert done.returncode == 1
    assert done.stdout.startswith("java.lang.IllegalArgumentException: ")
    assert "valid TensorFlow Lite model" in done.stdout


def test_without_opencl_a_gpu_is_refused_and_auto_runs_on_the_cpu(
    run: Run, java: Java, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OCL_ICD_VENDORS", "/")
    done = java("RunModel", model, "/dev/null", "/dev/null", "backend=GPU")
    assert done.returncode == 1
    assert "TfpruneException: tfprune delegate: backend=gpu: OpenCL: " in done.stdout + done.stderr
    x = _input(CASES["3x3"][1])
    expected, _ = run(CASES["3x3"][0], x)
    found, printed = run(model.read_bytes(), x, "backend=AUTO")
    assert "problem: OpenCL: " in printed
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_closing_in_the_wrong_order_crashes_nothing(java: Java, model: Path) -> None:
    done = java("Misuse", model)
    assert done.returncode == 0, done.stdout + done.stderr
    said = dict(line.split(": ", 1) for line in done.stdout.splitlines() if ": " in line)
    assert said["closed delegate"].startswith(
        "java.lang.IllegalStateException: TfpruneDelegate: a closed delegate cannot serve an interpreter; make a new"
    )
    assert "Encountered unresolved custom op: TfpruneConv2D" in said["no delegate"]
    assert said["delegate closed first"] == said["resized after"] == said["second interpreter"] == "fine"
    assert said["two delegates"] == said["one delegate twice"] == "fine"


def test_a_thousand_rounds_leak_nothing(java: Java, model: Path) -> None:
    done = java("Rounds", model, 1000)
    assert done.returncode == 0, done.stderr
    grown = int(done.stdout.split()[1])
    # Without close() it is 22 MB.
    assert grown < 2e6
