# SPDX-License-Identifier: Apache-2.0
"""What training costs: the scripts run, and the page says what the committed results say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.conftest import Script

REPOSITORY = Path(__file__).resolve().parents[2]


def results(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((REPOSITORY / "benchmarks" / "results" / f"{name}.json").read_text())
    return found


def test_the_page_has_the_numbers_of_the_results() -> None:
    page = (REPOSITORY / "docs" / "pruning.md").read_text(encoding="utf-8")
    text = page[page.index("## What it costs") :]
    for name, row in results("training_cost")["penalties"]["rows"].items():
        penalty, _, groups = name.partition(", ")
        label = f"`{penalty}`" + (f", {groups} groups of four" if groups else "")
        assert f"| {label} | {row['ratio of core seconds']:.3f} | {row['median of ratios']:.3f} |" in text
    boxes = [results("group_norms")[backend]["rows"]["groups of four"] for backend in ("tensorflow", "jax")]
    times = [f"{row['median of ratios']:.2f} times on" for row in boxes]
    assert f"{times[0]} TensorFlow and {times[1]} JAX" in text


def test_norms_of_groups_are_compared(script: Script, tmp_path: Path) -> None:
    output = tmp_path / "norms.json"
    script("group_norms", "--size", "8", "--rounds", "1", "--output", output)
    rows = json.loads(output.read_text())["tensorflow"]["rows"]
    assert all(value > 0 for row in rows.values() for value in row.values())


@pytest.mark.slow
def test_parts_are_measured_and_kept_apart(script: Script, tmp_path: Path) -> None:
    output = tmp_path / "cost.json"
    output.write_text('{"callback": {"rows": {}}}')
    script("training_cost", "--part", "penalties", "--steps", "1", "--batch", "2", "--width", "4", "--output", output)
    content = json.loads(output.read_text())
    assert content["callback"] == {"rows": {}}
    assert len(content["penalties"]["rows"]) == 4
    assert all(row["seconds with"] > 0 for row in content["penalties"]["rows"].values())
