# SPDX-License-Identifier: Apache-2.0
"""The script that maps the networks of keras.applications runs, goes on, and its networks meet their budget."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import keras
import pytest

from tests.benchmarks.conftest import BENCHMARKS, Script

SMALL = ("--network", "transformer encoder")
#: Families that the rules meet other layers in; at their least size.
FAMILIES = ("MobileNetV3Small", "MobileNetV2", "EfficientNetB0", "DenseNet121", "ResNet50", "ConvNeXtTiny")


def test_a_transformer_is_mapped_once(script: Script, tmp_path: Path) -> None:
    output = tmp_path / "mapping.json"
    shown = script("mapping_applications", *SMALL, "--json", output)
    first = json.loads(output.read_text())
    (row,) = first["rows"].values()
    assert row["met"] is True
    assert row["predicted share"] <= 0.7
    assert row["sparse"] > 0
    assert "transformer encoder" in shown
    # What is there is not mapped again.
    script("mapping_applications", *SMALL, "--json", output)
    assert json.loads(output.read_text())["rows"] == first["rows"]


def test_every_convolutional_application_is_listed(load: Callable[[str], ModuleType]) -> None:
    found = {name for name in dir(keras.applications) if name[0].isupper()}
    assert set(load("mapping_applications").APPLICATIONS) == found


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_applications_meet_their_budget(load: Callable[[str], ModuleType], name: str) -> None:
    row = load("mapping_applications").mapped(name, 96, "arm64", 0.75, "hard")
    assert row["met"], row
    assert row["predicted share"] <= 0.75


def test_the_kept_results_meet_their_budgets_and_are_in_the_docs(load: Callable[[str], ModuleType]) -> None:
    rows = json.loads((BENCHMARKS / "results" / "mapping_applications.json").read_text())["rows"]
    assert rows
    for key, row in rows.items():
        assert row["met"], key
        assert row["used"] <= 1, key
    assert load("mapping_applications").table(rows) in (BENCHMARKS.parent / "docs" / "mapping.md").read_text()
