# SPDX-License-Identifier: Apache-2.0
"""Errors of int8 files: how large, and how much of them is the same at every pixel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tests.benchmarks.conftest import Script
from tests.models.builder import conv_model, pruned

Load = Callable[[str], ModuleType]


@pytest.mark.parametrize(("common", "share"), [(0.1, "100%"), (0.0, "0%")])
def test_an_offset_is_told_from_noise(common: float, share: str, load: Load) -> None:
    module = load("int8_errors")
    values = np.random.default_rng(0).normal(size=(8, 10, 10, 4)).astype(np.float32)
    values[..., 0] = 3.1  # of many such numbers float32's standard deviation is not zero
    # Noise that adds up to nothing.
    noise = common or np.where(np.indices(values.shape).sum(axis=0) % 2, 0.1, -0.1)
    cells = module.line(module.Output("ADD", values), module.Output("ADD", values + noise))
    ratio = 10 * np.log10((values**2).mean() / 0.01)
    assert cells == ["ADD", "10x10x4", "-", f"{ratio:.1f}", share, "25%", "25%"]
    weights = np.array([0.5, -21.62])
    noise = values.copy()
    noise[..., 2] += 0.3
    noise[..., 1] -= 0.1
    cells = module.line(module.Output("CONV_2D", values, weights), module.Output("CONV_2D", noise, weights))
    assert (cells[2], cells[5]) == ("21.6", "90%")


def test_both_files_are_run(script: Script, load: Load, tmp_path: Path) -> None:
    dense = conv_model(pruned((8, 3, 3, 1), 0.5), np.ones(8, np.float32), (1, 28, 28))
    for name in ("float32", "int8"):
        (tmp_path / f"{name}.tflite").write_bytes(dense)
    largest = np.abs(pruned((8, 3, 3, 1), 0.5)).max()
    assert f"| CONV_2D | 28x28x8 | {largest:.1f} | inf |" in script("int8_errors", tmp_path)
    assert script("int8_errors", tmp_path, "--first", "1") == script("int8_errors", tmp_path)
    (tmp_path / "int8.tflite").write_bytes(conv_model(pruned((4, 3, 3, 1), 0.5), np.ones(4, np.float32), (1, 28, 28)))
    assert "must have the same operators" in script("int8_errors", tmp_path, code=1)
    (tmp_path / "int8.tflite").write_bytes(dense[:100])
    assert "int8.tflite`: must be a .tflite file" in script("int8_errors", tmp_path, code=1)
    (tmp_path / "int8.tflite").unlink()
    assert "int8.tflite`: must be there" in script("int8_errors", tmp_path, code=1)
