# SPDX-License-Identifier: Apache-2.0
"""``benchmarks/conversion.py`` on something tiny."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np

import tfprune
from tests.benchmarks.conftest import Script
from tests.converter.test_random_networks import check


def test_time_and_memory(script: Script, tmp_path: Path) -> None:
    output = tmp_path / "conversion.json"
    script("conversion", "--time-and-memory", "--network", "tiny", "--processes", "2", "--output", output)
    (row,) = json.loads(output.read_text())["rows"].values()
    assert row["same bytes"]
    assert row["layers"][1] == 4
    assert 0 < row["sparse by dense"] <= 1
    assert row["peak by file"] > 1
    assert row["seconds"] > 0
    assert "time-and-memory" in script("conversion", code=2)


def test_the_networks_compute_the_same_converted(load: Callable[[str], ModuleType]) -> None:
    converted = check(load("conversion_files").tiny(), 1e-4)
    assert sum(layer.verdict == "sparse" for layer in converted.report.layers) >= 2
    result = tfprune.Interpreter(converted.tflite).predict(np.ones((1, 16, 16, 8), np.float32))
    assert isinstance(result, np.ndarray)
    assert result.shape == (1, 4)
