# SPDX-License-Identifier: Apache-2.0
"""The table of results, the plans and the page of the repository belong together."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from tests.benchmarks.conftest import BENCHMARKS

Load = Callable[[str], ModuleType]

ROOT = BENCHMARKS.parent
PAGE = ROOT / "docs/accuracy.md"


@pytest.fixture
def plan(load: Load) -> Any:
    """What ``make study`` trains."""
    names = re.search(r"^STUDY := .*?/plans/,(.+)\)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert names is not None
    files = tuple(BENCHMARKS / "accuracy/plans" / name for name in names.group(1).split())
    return load("accuracy_study")._plan(files, "", ())


@pytest.fixture
def rows(load: Load) -> dict[str, Any]:
    study, table = load("accuracy_study"), load("accuracy.table")
    return dict(table.ResultTable(study.RESULTS).rows)


def test_every_row_is_a_point_of_a_plan(plan: Any, rows: dict[str, Any]) -> None:
    """Keys are digests of all that a point is: another default of a recipe would make rows of nothing."""
    groups: dict[str, set[tuple[str, str]]] = {}
    for point in itertools.chain(*(study.points for study in plan.studies)):
        groups.setdefault(point.key, set()).add((point.method, point.phase))
    for key, row in rows.items():
        assert key in groups, f"{row['method']}, {row['training']}, seed {row['seed']} is of no plan"
        assert (row["method"], row["training"]) in groups[key]


def test_the_page_is_made_of_the_table(plan: Any, rows: dict[str, Any], load: Load) -> None:
    page = PAGE.read_text("utf-8")
    report = load("accuracy.report")
    assert report.with_sections(page, plan, rows, "images") == page
    assert not report.unmarked(page, plan)
    for picture in re.findall(r"\((images/accuracy_.+?)\)", page):
        assert (PAGE.parent / picture).exists()
