# SPDX-License-Identifier: Apache-2.0
"""``docs/patterns.md`` has every pattern, and its tables are what `measure` and the benchmark say."""

from __future__ import annotations

import re
import runpy

import numpy as np
import pytest

from tests.docs.pages import DOCS
from tfprune import patterns, select
from tfprune.sparsity.measure import measure
from tfprune.sparsity.patterns import Pattern
from tfprune.sparsity.patterns.base import _REGISTRY

TEXT = (DOCS / "patterns.md").read_text(encoding="utf-8")
MEASURED: tuple[Pattern, ...] = (
    patterns.Unstructured(),
    patterns.Groups(4),
    patterns.Groups(4, aligned=True),
    patterns.Groups(1, 4, along="input"),
    patterns.Groups(4, 4),
    patterns.BlockPunched(8, 4),
    patterns.BlockRowsColumns(16, 16),
    patterns.KernelPatterns(4, 8),
    patterns.KernelElements(2, "kernel"),
    patterns.KernelElements(2, "filter"),
    patterns.KernelElements(),
    patterns.NofM(2, 8),
    patterns.Filters(),
    patterns.Channels(),
)


def test_every_pattern_has_its_place() -> None:
    for kind in _REGISTRY._classes:
        assert re.search(rf"`{kind}\(", TEXT), f"{kind} is not described"


@pytest.mark.parametrize("pattern", MEASURED, ids=str)
def test_the_table_is_measured(pattern: Pattern) -> None:
    weights = np.random.default_rng(0).laplace(size=(3, 3, 64, 128))
    found = measure(weights, select(weights, pattern, None if pattern.kept_per_unit else 7 / 9), pattern)
    numbers = (f"{found.sparsity:.1%}", f"{found.index_bytes:,}", f"{found.against_unstructured:.1%}")
    row = " | ".join((str(pattern), *numbers)).replace("%", " %")
    assert f"| {row} |" in TEXT


def test_the_results_of_the_benchmark_are_shown_as_they_are() -> None:
    benchmarks = DOCS.parent / "benchmarks"
    tables = runpy.run_path(str(benchmarks / "selection_tables.py"))["tables"](benchmarks / "results/selection.json")
    assert len(tables) == 9
    for name, table in tables.items():
        assert f"\n\n{table}\n\n" in TEXT, name


def test_pictures_are_there_and_small() -> None:
    pictures = re.findall(r"\]\((pictures/[^)]+)\)", TEXT)
    assert {"pictures/patterns.png", "pictures/masks.png"} <= {*pictures}
    for picture in pictures:
        assert (DOCS / picture).stat().st_size < 60_000
