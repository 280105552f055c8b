# SPDX-License-Identifier: Apache-2.0
"""What the script that makes the app's models refuses, and that it replaces a whole set or nothing."""

from __future__ import annotations

import importlib
from pathlib import Path

import click
import keras
import pytest
from click.testing import CliRunner

from tests.android.conftest import REPOSITORY


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> click.Command:
    """``main`` of the script, in this process."""
    monkeypatch.syspath_prepend(REPOSITORY / "tools")
    monkeypatch.syspath_prepend(REPOSITORY / "examples")
    found = importlib.import_module("make_app_models").main
    assert isinstance(found, click.Command)
    return found


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """The folder of an earlier run."""
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "models.json").write_text("earlier")
    return folder


def _network(size: int, scores: int) -> keras.Model:
    image = keras.Input((size, size, 1))
    return keras.Model(image, keras.layers.Dense(scores)(keras.layers.Flatten()(image)))


def _refusal(script: click.Command, *arguments: str | Path) -> str:
    done = CliRunner().invoke(script, [*map(str, arguments)])
    assert done.exit_code != 0
    assert isinstance(done.exception, SystemExit), done.exception
    return done.output


def test_a_file_that_is_no_network_is_refused(script: click.Command, earlier: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.keras"
    path.write_bytes(b"PK\x03\x04")
    assert "a .keras file is a ZIP archive, got something else" in _refusal(
        script, "--model", path, "--output-dir", earlier
    )


@pytest.mark.parametrize(("size", "scores"), [(32, 10), (28, 3)])
def test_a_network_for_other_images_is_refused(
    size: int, scores: int, script: click.Command, earlier: Path, tmp_path: Path
) -> None:
    path = tmp_path / "other.keras"
    _network(size, scores).save(path)
    said = _refusal(script, "--model", path, "--output-dir", earlier)
    assert "must map (None, 28, 28, 1) to (None, 10), as the networks of" in said
    assert f"got (None, {size}, {size}, 1) to (None, {scores})" in said


def test_a_network_that_is_not_pruned_is_refused_and_the_earlier_files_stay(
    script: click.Command, earlier: Path, tmp_path: Path
) -> None:
    path = tmp_path / "dense.keras"
    _network(28, 10).save(path)
    assert "no layer of the network is faster pruned" in _refusal(script, "--model", path, "--output-dir", earlier)
    assert [each.name for each in earlier.iterdir()] == ["models.json"]
    assert (earlier / "models.json").read_text() == "earlier"


def test_options_that_exclude_one_another_are_refused(script: click.Command) -> None:
    assert "--model, --quick and --untrained exclude one another" in _refusal(script, "--quick", "--untrained")
