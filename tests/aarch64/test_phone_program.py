# SPDX-License-Identifier: Apache-2.0
"""The very program, delegate and runtime that go to a phone, under qemu on libraries of the names of Android's."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import tfprune as tp
from tests.aarch64.conftest import REPOSITORY
from tests.mapping.phone.android_libc import make_android_libc
from tests.models.builder import conv_model, pruned
from tfprune.mapping.profiling.adb import DELEGATE, PROGRAM, RUNTIME

pytestmark = pytest.mark.aarch64
TOOLS = REPOSITORY / "build" / "phone" / "arm64-v8a"
LIBC = Path("/usr/aarch64-linux-gnu/lib")

Program = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    """``program(*arguments)``: the program under qemu."""
    assert TOOLS.is_dir(), f"{TOOLS} is missing: run these tests with `make test-aarch64`"
    libraries = tmp_path_factory.mktemp("android")
    make_android_libc(TOOLS / RUNTIME, libraries, "aarch64-linux-gnu-")
    # The program asks for Android's loader; glibc's runs it all the same.
    loader = ["qemu-aarch64", "-cpu", "cortex-a76", str(LIBC / "ld-linux-aarch64.so.1")]
    loader += ["--library-path", f"{libraries}:{LIBC}", str(TOOLS / PROGRAM)]

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [*loader, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)

    return run


def test_it_starts_without_start_files(program: Program) -> None:
    done = program("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{tp.__version__}\n", "")
    assert "--tolerance=R" in program("--help").stdout


def test_it_says_what_is_wrong(program: Program) -> None:
    done = program("--cpus=-1", "a.tflite")
    assert done.returncode == 2
    assert (
        done.stderr
        == "tfprune_benchmark: --cpus must be a hexadecimal mask with at least one CPU, such as f0, got '-1'\n"
    )
    done = program("--runtime=/missing.so", "a.tflite")
    assert done.returncode == 4
    assert "the runtime cannot be loaded: /missing.so" in done.stderr


@pytest.mark.parametrize("threads", [1, 2])
def test_it_measures_with_the_runtime_of_a_phone(program: Program, threads: int, tmp_path: Path) -> None:
    dense = conv_model(pruned((32, 3, 3, 16)), np.linspace(-1, 1, 32, dtype=np.float32), size=(1, 8, 8))
    (tmp_path / "dense.tflite").write_bytes(dense)
    (tmp_path / "sparse.tflite").write_bytes(tp.convert(dense, min_speedup=0.01).tflite)
    options = [f"--runtime={TOOLS / RUNTIME}", f"--delegate={TOOLS / DELEGATE}", f"--threads={threads}"]
    options += ["--seconds=0", "--warm_up=0", "--sample=1e-9"]
    done = program(*options, tmp_path / "dense.tflite", tmp_path / "sparse.tflite")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["runtime"], report["arch"], report["threads"]) == ("2.16.1", "neon_dotprod", threads)
    assert "neon" in report["models"][1]["kernel"]
    assert report["models"][1]["error"] < 1e-5
