# SPDX-License-Identifier: Apache-2.0
"""The aarch64 root and library that ``make test-aarch64`` makes, as fixtures."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
CACHE = REPOSITORY / ".cache" / "aarch64"
LIBRARY = CACHE / "libtfprune.so"

Guest = Callable[..., tuple[np.ndarray, str]]


@pytest.fixture
def library() -> Path:
    """The library that the guest loads; a module may name another."""
    return LIBRARY


@pytest.fixture
def guest(tmp_path: Path, library: Path) -> Guest:
    """``guest(model, x, delegate=True, **options)``: the first output under qemu, and the kernel that ran last."""
    for path in (CACHE / "root" / "recipe", library):
        assert path.exists(), f"{path} is missing: run these tests with `make test-aarch64`"

    def run(model: bytes, x: np.ndarray, *, delegate: bool = True, **options: str) -> tuple[np.ndarray, str]:
        (tmp_path / "model.tflite").write_bytes(model)
        np.save(tmp_path / "x.npy", x)
        command = [REPOSITORY / "tools" / "aarch64" / "run.sh", CACHE / "root", Path(__file__).parent / "guest_run.py"]
        command += [tmp_path / "model.tflite", tmp_path / "x.npy", tmp_path / "y.npy"]
        extra = [str(library), *(f"{key}={value}" for key, value in options.items())] if delegate else []
        done = subprocess.run([*map(str, command), *extra], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return np.load(tmp_path / "y.npy"), done.stdout.strip()

    return run
