# SPDX-License-Identifier: Apache-2.0
"""``tfprune inspect --masks``: the picture beside the table."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from tests.models.builder import ModelBuilder, pruned
from tfprune.cli import main


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    # An exception that is no exit would be a traceback for the user.
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture
def model(tmp_path: Path) -> Path:
    builder = ModelBuilder()
    x = builder.tensor("x", (1, 8, 8, 16))
    y = builder.conv_2d(x, pruned((16, 3, 3, 16), 0.8), np.zeros(16, np.float32), name="first")
    z = builder.conv_2d(y, pruned((32, 1, 1, 16), 0.5), np.zeros(32, np.float32), name="second")
    builder.io([x], [z])
    path = tmp_path / "model.tflite"
    path.write_bytes(builder.build())
    return path


def test_picture_and_table(model: Path, tmp_path: Path) -> None:
    picture = tmp_path / "masks.png"
    result = run("inspect", model, "--masks", picture)
    assert result.exit_code == 0
    assert "16x3x3x16" in result.stdout
    assert f"wrote {picture}" in result.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_json_stays_one_document(model: Path, tmp_path: Path) -> None:
    picture = tmp_path / "masks.svg"
    result = run("inspect", model, "--masks", picture, "--json", "--layer", "second")
    assert json.loads(result.stdout)["action"] == "inspect"
    text = picture.read_text()
    assert text.startswith("<?xml")
    assert "1x1x16x32" in text
    assert "3x3x16x16" not in text


def test_patterns_are_compared_at_the_sparsity_asked_for(model: Path, tmp_path: Path) -> None:
    picture = tmp_path / "masks.svg"
    for options, titles in (([], ("77.8%", "53.9%")), (["--sparsity", "0.65"], ("65.0%", "65.0%"))):
        assert run("inspect", model, "--masks", picture, "--overwrite", *options).exit_code == 0
        # Texts are drawn as outlines, and named in comments.
        found = re.findall(r"Magnitude that patterns keep at (\S+) zeros", picture.read_text())
        assert tuple(found) == titles


def test_layers_are_chosen_by_name(model: Path, tmp_path: Path) -> None:
    sizes = {}
    for names in (["first"], ["first", "second"], ["*"]):
        picture = tmp_path / "masks.png"
        options = [part for name in names for part in ("--layer", name)]
        assert run("inspect", model, "--masks", picture, "--overwrite", *options).exit_code == 0
        width_height = picture.read_bytes()[16:24]
        sizes[tuple(names)] = int.from_bytes(width_height[4:], "big")
    assert sizes["first",] < sizes["first", "second"] == sizes["*",]


def test_pictures_are_not_replaced_unasked(model: Path, tmp_path: Path) -> None:
    picture = tmp_path / "masks.png"
    picture.write_text("mine")
    result = run("inspect", model, "--masks", picture)
    assert result.exit_code == 2
    assert "exists already; give another path, or pass --overwrite" in result.stderr
    assert result.stdout == ""
    assert picture.read_text() == "mine"
    assert run("inspect", model, "--masks", picture, "--overwrite").exit_code == 0
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_model_is_not_the_picture(model: Path) -> None:
    before = model.read_bytes()
    renamed = model.with_suffix(".png")
    renamed.write_bytes(before)
    result = run("inspect", renamed, "--masks", renamed)
    assert result.exit_code == 2
    assert "--masks: must be another file than MODEL" in result.stderr
    assert renamed.read_bytes() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--masks", "masks.gif"], "must end in one of .pdf, .png, .svg"),
        (["--masks", "/nowhere/masks.png"], "cannot be written"),
        (["--masks", "masks.png", "--layer", "third"], "Received: 'third'. The model has first, second."),
        (["--masks", "masks.png", "--sparsity", "80"], "write 0.8 for 80 %"),
        (["--masks", "masks.png", "--sparsity", "0"], "must be above 0"),
        (["--masks", "masks.png", "--sparsity", "much"], "not a valid float"),
        (["--sparsity", "0.8"], "give --masks FILE too"),
        (["--layer", "first"], "give --masks FILE too"),
        (["--overwrite"], "give --masks FILE or --html FILE too"),
    ],
)
def test_bad_use(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("inspect", model, *options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""
    assert [path.name for path in tmp_path.iterdir()] == ["model.tflite"]
