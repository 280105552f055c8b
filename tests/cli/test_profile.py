# SPDX-License-Identifier: Apache-2.0
"""``tfprune profile`` through click's runner, on a device that is made up."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tests.mapping.profiling.devices import Abacus, use_small_shapes
from tests.models.builder import conv_model, pruned
from tfprune.cli import main
from tfprune.costs import load_table


@pytest.fixture(autouse=True)
def abacus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Abacus:
    """What every target is."""
    device = Abacus()
    use_small_shapes(tmp_path, monkeypatch)
    monkeypatch.setattr("tfprune.mapping.profiling.api.target_of", lambda *_: device.target())
    (tmp_path / "model.tflite").write_bytes(
        conv_model(pruned((32, 3, 3, 16), 0.9), np.zeros(32, np.float32), (1, 8, 8))
    )
    return device


def test_a_profile_is_written_and_shown_and_is_a_device(tmp_path: Path) -> None:
    model, output = tmp_path / "model.tflite", tmp_path / "abacus.json"
    result = CliRunner().invoke(main, ["profile", str(model), "--seconds", "0.01", "-o", str(output)])
    assert result.exit_code == 0, result.output
    for text in ("conv_kxk", "pad", "networks", "held-out", "an abacus", f"written to {output}"):
        assert text in result.stdout
    assert load_table(output).name == "abacus"
    shown = CliRunner().invoke(main, ["inspect", str(model), "--device", str(output)])
    assert "abacus" in shown.stdout


def test_json_is_one_document(tmp_path: Path) -> None:
    output = tmp_path / "abacus.json"
    result = CliRunner().invoke(main, ["profile", "--seconds", "0.01", "-o", str(output), "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["output"] == str(output)
    assert document["held_out"]["layers"]["count"] > 0
    assert "activation" in document["lacking"]


def test_bad_use_is_exit_2_before_anything_is_measured(tmp_path: Path, abacus: Abacus) -> None:
    there, model = tmp_path / "there.json", tmp_path / "model.tflite"
    there.write_text("{}")
    for arguments, words in (
        (["-o", there], "pass --overwrite"),
        ([model, "-o", model, "--overwrite"], "must be another file"),
        (["-o", tmp_path / "new.json", "--precision", "float64"], "precision must be one of"),
        (["-o", tmp_path / "new.json", "--seconds", "0"], "--seconds"),
        ([tmp_path / "nothing.keras", "-o", tmp_path / "new.json"], "nothing.keras"),
    ):
        result = CliRunner().invoke(main, ["profile", *map(str, arguments)])
        assert result.exit_code == 2, result.output
        assert words in result.output
    assert abacus.asked == 0
