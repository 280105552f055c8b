# SPDX-License-Identifier: Apache-2.0
"""The script that compares one-shot pruning with and without data runs, and the page shows what it measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from tests.benchmarks.conftest import BENCHMARKS, Script

FEW = ("--calibration", 32, "--test", 32, "--pattern", "Groups(4)", "--pattern", "NofM(1, 4)")


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network for images of Fashion-MNIST."""
    import keras

    keras.utils.set_random_seed(0)
    path = tmp_path_factory.mktemp("one_shot") / "untrained.keras"
    keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Conv2D(8, 3, strides=4, activation="relu"),
            keras.layers.Conv2D(32, 3, strides=2, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(10),
        ]
    ).save(path)
    return path


def test_patterns_are_compared_and_kept(script: Script, tmp_path: Path, untrained: Path) -> None:
    output = tmp_path / "one_shot.json"
    script("one_shot", "--fashion", untrained, *FEW, "--json", output)
    network = json.loads(output.read_text())["rows"]["Fashion-MNIST"]
    assert 0 <= network["dense"] <= 1
    assert list(network["rows"]) == ["Groups(4)", "NofM(1, 4)"]
    for row in network["rows"].values():
        assert row["sparsity"] == pytest.approx(0.75, abs=0.01)
        assert row["error_after"] < row["error_before"]


def test_a_wheel_needs_pictures(script: Script, tmp_path: Path) -> None:
    wheel = tmp_path / "weights.whl"
    wheel.touch()
    assert "go together" in script("one_shot", "--wheel", wheel, code=2)


def test_pictures_are_squares_on_white(load: Callable[[str], ModuleType], tmp_path: Path) -> None:
    Image.new("RGBA", (200, 100), (0, 0, 0, 255)).save(tmp_path / "wide.png")
    Image.new("RGBA", (50, 50)).save(tmp_path / "small.png")
    (tmp_path / "cartoon").mkdir()
    Image.new("RGBA", (200, 200)).save(tmp_path / "cartoon" / "drawn.png")
    (picture,) = load("one_shot").photographs(tmp_path)
    assert picture.shape == (224, 224, 3)
    values = (picture * 128 + 127)[:, 112, 0]
    assert np.allclose(values[[0, 50, 174, 223]], 255)
    assert np.allclose(values[62:162], 0)


def test_the_page_shows_the_results() -> None:
    page = (BENCHMARKS.parent / "docs" / "one_shot.md").read_text(encoding="utf-8")
    networks = json.loads((BENCHMARKS / "results" / "one_shot.json").read_text())["rows"]
    assert list(networks) == ["Fashion-MNIST", "EfficientNet-Lite0"]
    rows = [item for network in networks.values() for item in network["rows"].items() if "reason" not in item[1]]
    assert len(rows) > 15
    for key, row in rows:
        numbers = [row[name] for name in ("sparsity", "magnitude", "reconstructed", "error_before", "error_after")]
        pattern = key.split(" at ")[0]
        assert f"| `{pattern}` | {' | '.join(f'{number:.3f}' for number in numbers)} |" in page
        assert row["error_after"] < row["error_before"]
        assert row["reconstructed"] > row["magnitude"]
