# SPDX-License-Identifier: Apache-2.0
"""What the committed results say of KEP's penalty, and that the tables of the page are those results."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = (REPOSITORY / "docs" / "pruning.md").read_text(encoding="utf-8")


def results(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((REPOSITORY / "benchmarks" / "results" / f"{name}.json").read_text())
    return found


def table_after(heading: str) -> list[list[str]]:
    """Cells of the first table below a heading, without its own heading."""
    lines = PAGE[PAGE.index(heading) :].splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("|---"))
    rows = []
    for line in lines[start + 1 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def test_what_the_source_says_of_the_penalty_holds() -> None:
    content = results("kep_penalty")
    seeds = {re.fullmatch(r"strength (.+), seed (.+)", name).groups()[1] for name in content["rows"]}  # type: ignore[union-attr]
    assert len(seeds) >= 3
    for seed in seeds:
        shares, costs = [], []
        for line in content["summary"]:
            row = content["rows"][f"strength {line['strength']:g}, seed {seed}"]
            shares.append(row["share"])
            costs.append(row["before"] - row["after"])
        assert shares == sorted(shares, reverse=True)
        strong = [cost for share, cost in zip(shares, costs, strict=True) if share <= 0.05]
        assert strong
        assert all(cost <= costs[0] / 3 for cost in strong)


def test_the_page_shows_the_results() -> None:
    summary = results("kep_penalty")["summary"]
    shown = [
        [
            f"{line['strength']:g}",
            f"{line['share']:.1%}".replace("%", " %"),
            f"{line['before']:.1%}".replace("%", " %"),
            f"{line['after']:.1%}".replace("%", " %"),
        ]
        for line in summary
    ]
    assert table_after("### What is left for the cut") == shown
    by_key = {
        (row["penalty"], row["optimizer"], f"{row['strength']:g}", row["way"]): row
        for row in results("penalty_steps")["rows"]
    }
    table = table_after("### Gradient or proximal step")
    assert len(table) >= 10
    for penalty, optimizer, strength, *cells in table:
        for way, cell in zip(("gradient", "proximal step"), cells, strict=True):
            row = by_key[penalty.strip("`"), optimizer, strength, way]
            assert cell == ("diverged" if "diverged" in row else f"{row['share']:.3f}, {row['after']:.3f}")


def test_the_summary(load: Callable[[str], ModuleType]) -> None:
    rows = {
        "strength 0, seed 0": {"share": 0.5, "before": 0.9, "after": 0.1},
        "strength 0, seed 1": {"share": 0.7, "before": 0.8, "after": 0.4},
        "strength 3, seed 0": {"share": 0.1, "before": 0.8, "after": 0.6},
        "strength 3, seed 1": {"share": 0.2, "before": 0.8, "after": 0.7},
    }
    found = load("kep_penalty").summary(rows, [0.0, 3.0], 2)
    assert [line["share"] for line in found] == [0.6, 0.15]
    assert [line["cost of the cut"] for line in found] == [0.6, 0.15]
    assert [line["largest cost against without"] for line in found] == [1.0, 0.25]


@pytest.mark.slow
def test_the_scripts_run(script: Callable[..., str], tmp_path: Path) -> None:
    short = ["--images", 128, "--test-images", 100, "--epochs", 1]
    output = tmp_path / "kep.json"
    arguments = [*short, "--strengths", "0,30", "--seeds", 1, "--penalty-epochs", 1, "--width", 4]
    assert "share" in script("kep_penalty", *arguments, "--models", tmp_path, "--output", output)
    assert len(json.loads(output.read_text())["rows"]) == 2
    assert "diverged" not in script("penalty_steps", *short, "--steps", 2, "--output", tmp_path / "steps.json")
