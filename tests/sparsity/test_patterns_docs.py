# SPDX-License-Identifier: Apache-2.0
"""Every code block of ``docs/patterns.md`` runs, and its table is what `measure` says."""

from __future__ import annotations

import re
import runpy
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tfprune import patterns, select
from tfprune.sparsity.measure import measure
from tfprune.sparsity.patterns import Pattern
from tfprune.sparsity.patterns.base import _REGISTRY

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "patterns.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
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


@pytest.fixture
def _registry() -> Iterator[None]:
    """Patterns that a block registers go again."""
    before = dict(_REGISTRY._classes)
    yield
    _REGISTRY._classes.clear()
    _REGISTRY._classes.update(before)


@pytest.mark.usefixtures("_registry")
@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_block(block: str) -> None:
    exec(compile(block, "patterns.md", "exec"), {"__name__": "docs"})


def test_every_pattern_has_its_place() -> None:
    assert len(BLOCKS) >= 6
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


def test_links_and_pictures_exist() -> None:
    targets = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", TEXT)
    assert {"pictures/patterns.png", "pictures/masks.png", "formats.md", "channels.md"} <= {*targets}
    for target in targets:
        assert (DOCS / target).exists(), target
        assert (DOCS / target).stat().st_size < 60_000
