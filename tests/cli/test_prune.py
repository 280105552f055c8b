# SPDX-License-Identifier: Apache-2.0
"""``tfprune prune``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from tests.models.builder import conv_model
from tfprune.cli import main
from tfprune.converter.graph import Graph
from tfprune.one_shot.file_layers import read_layers

RECIPE = "rules:\n  - layers: CONV_2D\n    pattern: {Groups: {rows: 4}}\n    sparsity: 0.5\n    min_weights: 0\n"


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(main, ["prune", *(str(argument) for argument in arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A file, a recipe and data."""
    random = np.random.default_rng(0)
    weights = random.normal(size=(16, 3, 3, 8)).astype(np.float32)
    (tmp_path / "dense.tflite").write_bytes(conv_model(weights, np.zeros(16, np.float32), (1, 8, 8)))
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    mixed = random.normal(size=(20, 8, 8, 3)) @ random.normal(size=(3, 8)) + 0.1 * random.normal(size=(20, 8, 8, 8))
    np.save(tmp_path / "data.npy", mixed.astype(np.float32))
    return tmp_path


def test_a_file_is_pruned_with_data(folder: Path) -> None:
    output = folder / "pruned.tflite"
    arguments = (folder / "dense.tflite", "--recipe", folder / "recipe.yaml", "-o", output)
    result = run(*arguments, "--calibration", folder / "data.npy", "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    (layer,) = document["report"]["layers"]
    assert document["output"] == str(output)
    assert layer["achieved"] == pytest.approx(0.5, abs=0.01)
    assert layer["error_after"] < 0.5 * layer["error_before"]
    (found,) = read_layers(Graph(output.read_bytes()))
    assert float((found.values == 0).mean()) == layer["achieved"]
    # A second time: refused, unless it is asked for.
    again = run(*arguments)
    assert again.exit_code == 2
    assert "pass --overwrite" in again.output
    table = run(*arguments, "--overwrite")
    assert table.exit_code == 0
    assert "pruned by magnitude, without data" in table.output
    assert f"wrote {output}" in table.output


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"--recipe": "wrong.yaml"}, "line 2"),
        ({"--recipe": "missing.yaml"}, "cannot be read"),
        ({"--output": "pruned.keras"}, "must end in .tflite"),
        ({"--calibration": "recipe.yaml"}, "must be a .npy or .npz file"),
        ({"--calibration": "other.npy"}, "calibration for input"),
    ],
)
def test_mistakes_are_said_and_nothing_is_written(folder: Path, change: dict[str, str], message: str) -> None:
    (folder / "wrong.yaml").write_text("rules:\n  - layer: CONV_2D\n")
    np.save(folder / "other.npy", np.ones((2, 8, 8, 3), np.float32))
    before = sorted(path.name for path in folder.iterdir())
    options = {"--recipe": "recipe.yaml", "--output": "pruned.tflite"} | change
    result = run(folder / "dense.tflite", *(part for name, value in options.items() for part in (name, folder / value)))
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
    assert sorted(path.name for path in folder.iterdir()) == before


@pytest.mark.parametrize("option", ["--recipe", "--calibration"])
def test_no_input_is_overwritten(folder: Path, option: str) -> None:
    options = {"--recipe": folder / "recipe.yaml", option: folder / "mine.tflite"}
    (folder / "mine.tflite").write_text(RECIPE)
    named = [part for name, value in options.items() for part in (name, value)]
    result = run(folder / "dense.tflite", *named, "-o", folder / "mine.tflite", "--overwrite")
    assert result.exit_code == 2
    assert f"must be another file than {option}" in " ".join(result.output.split())
    assert (folder / "mine.tflite").read_text() == RECIPE


def test_a_recipe_and_an_output_are_needed(folder: Path) -> None:
    assert "--recipe" in run(folder / "dense.tflite", "-o", folder / "out.tflite").output
    assert "--output" in run(folder / "dense.tflite", "--recipe", folder / "recipe.yaml").output
