# SPDX-License-Identifier: Apache-2.0
"""Patterns: validation, counts, least sparsity, round trips."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tfprune.errors import PatternError
from tfprune.sparsity import patterns
from tfprune.sparsity.patterns import (
    BlockPunched,
    BlockRowsColumns,
    Channels,
    Filters,
    Groups,
    KernelElements,
    KernelPatterns,
    NofM,
    Pattern,
    Unstructured,
)


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        (Groups, {"rows": 0}, "`rows` of `Groups` must be a whole number of at least 1. Received: rows=0"),
        (Groups, {"cols": 1.5}, "Received: cols=1.5"),
        (Groups, {"rows": True}, "Received: rows=True"),
        (Groups, {"rows": None}, "Received: rows=None"),
        (Groups, {"along": "rows"}, "must be one of .*'both'.* Received: along='rows'"),
        (Groups, {"aligned": 1}, "True or False. Received: aligned=1"),
        (Groups, {"balanced": "yes"}, "True or False. Received: balanced='yes'"),
        (Groups, {"unit_rows": 8}, "needs balanced=True"),
        (Groups, {"rows": 4, "balanced": True, "unit_rows": 3}, "at least 4"),
        (Groups, {"rows": 4, "balanced": True, "unit_rows": 6, "aligned": True}, "a multiple of `rows`"),
        (BlockPunched, {"rows": -1}, "`rows` of `BlockPunched`"),
        (BlockPunched, {"cols": 0}, "`cols` of `BlockPunched`"),
        (BlockRowsColumns, {"rows": 0}, "`rows` of `BlockRowsColumns`"),
        (BlockRowsColumns, {"cols": "4"}, "Received: cols='4'"),
        (KernelPatterns, {"keep": 0}, "`keep` of `KernelPatterns`"),
        (KernelPatterns, {"library": 0}, "`library` of `KernelPatterns`"),
        (KernelPatterns, {"library": []}, "different lists of keep=4"),
        (KernelPatterns, {"keep": 2, "library": [[0, 1], [0, 1]]}, "different lists"),
        (KernelPatterns, {"keep": 2, "library": [[1, 0]]}, "in rising order"),
        (KernelPatterns, {"keep": 2, "library": [[0, 1, 2]]}, "different lists of keep=2"),
        (KernelPatterns, {"keep": 2, "library": [[-1, 1]]}, "in rising order"),
        (KernelPatterns, {"keep": 2, "library": [["a", "b"]]}, "Received: library="),
        (KernelPatterns, {"keep": 2, "library": [3]}, "Received: library="),
        (KernelPatterns, {"keep": 2, "library": [[0, 1.7]]}, "different lists of keep=2"),
        (KernelPatterns, {"keep": 2, "library": ["01"]}, "different lists of keep=2"),
        (KernelElements, {"keep": 0}, "`keep` of `KernelElements`"),
        (KernelElements, {"share": "rows"}, "'layer'.* or a number of filters. Received: share='rows'"),
        (KernelElements, {"share": 0}, "`share` of `KernelElements`"),
        (NofM, {"keep": 4, "of": 4}, "fewer than `of`"),
        (NofM, {"keep": 0}, "`keep` of `NofM`"),
    ],
)
def test_wrong_arguments(kind: type[Pattern], arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(PatternError, match=message):
        kind(**arguments)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (Unstructured(), "Unstructured"),
        (Groups(4), "Groups 4x1, unaligned along output"),
        (Groups(1, 4, along="input"), "Groups 1x4, unaligned along input"),
        (Groups(4, aligned=True, balanced=True, unit_rows=16), "Groups 4x1, aligned, units of 16"),
        (Groups(4, balanced=True), "Groups 4x1, unaligned along output, units of 32"),
        (BlockPunched(), "BlockPunched 8x4"),
        (BlockRowsColumns(), "BlockRowsColumns 16x16"),
        (KernelPatterns(), "KernelPatterns keep 4, library of 8"),
        (KernelPatterns(1, [[0], [2]]), "KernelPatterns keep 1, library of 2"),
        (KernelElements(), "KernelElements a filter"),
        (KernelElements(4, 8), "KernelElements keep 4, a unit of 8 filters"),
        (NofM(), "2 of 4"),
        (Filters(), "Filters"),
        (Channels(), "Channels"),
    ],
)
def test_texts(pattern: Pattern, text: str) -> None:
    assert str(pattern) == text


def test_patterns_are_values() -> None:
    assert Groups(4) == Groups(rows=4, cols=1)
    assert len({Groups(4), Groups(4), Unstructured()}) == 2
    with pytest.raises(AttributeError):
        Groups(4).rows = 5  # type: ignore[misc]


@pytest.mark.parametrize(
    ("pattern", "shape", "expected"),
    [
        (Unstructured(), (3, 10), 0.0),
        (Groups(4, aligned=True), (3, 10), 0.0),
        (Groups(4), (3, 8), 0.0),
        (Groups(4), (3, 10), 0.2),
        (Groups(4), (3, 3, 2, 6), 1 / 3),
        (Groups(1, 4, along="input"), (3, 10), 0.0),  # clipped to 3
        (Groups(1, 4, along="input"), (2, 2, 7, 5), 3 / 7),
        (Groups(4, 4), (5, 10), 0.2),
        (Groups(4, balanced=True, unit_rows=6), (3, 12), 1 / 3),
        (BlockPunched(8, 4), (3, 3, 5, 7), 0.0),
        (BlockRowsColumns(), (5, 7), 0.0),
        (KernelPatterns(4), (3, 3, 2, 2), 5 / 9),
        (KernelElements(), (3, 3, 2, 2), 0.0),
        (KernelElements(2), (3, 3, 2, 2), 7 / 9),
        (NofM(2, 4), (8, 3), 0.5),
        (NofM(2, 4), (7, 3), 3 / 7),  # of the last three, two stay
        (NofM(1, 4), (9, 3), 6 / 9),
        (Filters(), (5, 7), 0.0),
        (Channels(), (5, 7), 0.0),
    ],
)
def test_min_sparsity(pattern: Pattern, shape: tuple[int, ...], expected: float) -> None:
    assert pattern.min_sparsity(shape) == pytest.approx(expected)
    assert pattern.reaches(0.0, shape)
    assert pattern.reaches(pattern.min_sparsity(shape), shape)


@pytest.mark.parametrize(
    ("pattern", "shape", "sparsity", "expected"),
    [
        (Unstructured(), (5, 5), 0.5, 13),  # 12.5 rounds up
        (Unstructured(), (2, 5), 0.85, 2),  # exactly 1.5, which floats put below
        (Groups(4), (1, 10), 0.8, 1),  # exactly 0.5
        (Groups(4), (1, 10), 0.81, 0),
        (Groups(4, 4), (3, 8), 0.5, 1),  # clipped to 4x3
        (Groups(2, balanced=True, unit_rows=4), (1, 12), 0.5, 3),  # one in each unit
        (Groups(2, balanced=True, unit_rows=4), (1, 12), 0.7, 3),  # 1.8 in all; 0.6 a unit rounds to 1
        (Groups(2, balanced=True, unit_rows=5), (1, 11), 0.4, 5),  # 1.5 is 2 in a unit of five; the last is one row
        (BlockPunched(2, 3), (3, 3, 5, 4), 0.5, 15),
        (KernelPatterns(4), (3, 3, 5, 4), 0.9, 5),  # 18 weights are 4.5 kernels
        (KernelElements(), (3, 3, 5, 4), 0.5, 18),
        (KernelElements(2), (3, 3, 5, 4), 7 / 9, 8),
        (KernelElements(2, 3), (3, 3, 5, 4), 0.777778, 4),  # units of three filters and of one
        (NofM(2, 4), (7, 3), 3 / 7, 12),
        (Filters(), (3, 3, 5, 4), 0.6, 2),
        (Channels(), (3, 3, 5, 4), 0.6, 2),
    ],
)
def test_kept_cells(pattern: Pattern, shape: tuple[int, ...], sparsity: float, expected: int) -> None:
    assert pattern.kept_cells(sparsity, shape) == expected


@pytest.mark.parametrize(
    ("pattern", "bits"),
    [
        (Unstructured(), 16 * 36 + 32 * 4),
        (Groups(2), 16 * 18 + 32 * 3),
        (Groups(2, aligned=True), 16 * 18 + 32 * 2),
        (Groups(1, 2, along="input"), 16 * 18 + 32 * 4),
        (BlockPunched(2, 2), 9 * 2 * 1),
        (BlockRowsColumns(2, 2), 9 * 2 * (2 + 2)),
        (KernelPatterns(4, 8), 16 * 8 + 32 * 4 + 3 * 8 + 8 * 9),
        (KernelPatterns(4, [[0, 1, 2, 3]]), 16 * 8 + 32 * 4 + 9),
        (KernelElements(), 9 * 4),
        (KernelElements(2), 6 * 4),  # 36 sets of 2 of 9
        (KernelElements(8), 4 * 4),  # 9 sets
        (KernelElements(2, "kernel"), 6 * 8),
        (KernelElements(2, "channel"), 6 * 2),
        (KernelElements(2, 3), 6 * 2),
        (KernelElements(2, "layer"), 6),
        (NofM(1, 2), 36 * 1),
        (NofM(1, 4), 36 * 2),
        (NofM(1, 5), 36 * 3),
        (Filters(), 4),
        (Channels(), 2),
    ],
    ids=str,
)
def test_index_bits_of_a_mask_without_its_second_half(pattern: Pattern, bits: int) -> None:
    """Four filters, nine positions, two channels; the first two filters keep everything."""
    mask = np.zeros((4, 9, 2), np.bool_)
    mask[:2] = True
    if isinstance(pattern, KernelPatterns):
        mask[...] = True
    assert pattern.index_bits(mask) == bits


def test_places_that_cross_a_cut_are_none() -> None:
    scores = np.arange(1, 12)[:, None, None]
    pattern = Groups(3, balanced=True, unit_rows=4)
    assert pattern.pool(scores).ravel().tolist() == [6, 9, -1, -1, 18, 21, -1, -1, 30]
    assert Groups(3).pool(scores).ravel().tolist() == [6, 9, 12, 15, 18, 21, 24, 27, 30]
    # A last unit of two rows has no room for three.
    assert pattern.pool(scores[:10]).ravel().tolist() == [6, 9, -1, -1, 18, 21, -1, -1]


@pytest.mark.parametrize(
    "data",
    [
        {"class_name": "Nothing", "config": {}},
        {"class_name": "Groups", "config": {"height": 3}},
        {"class_name": "Groups"},
        "Groups",
    ],
)
def test_what_cannot_be_deserialized(data: Any) -> None:
    with pytest.raises(PatternError):
        patterns.deserialize(data)


def test_unregistered_class_is_refused() -> None:
    class Mine(Unstructured):
        pass

    with pytest.raises(PatternError, match="not a registered pattern"):
        patterns.serialize(Mine())
    with pytest.raises(PatternError, match="already registered"):
        patterns.register(type("Groups", (Unstructured,), {}))
    assert Groups(rows=2**31 - 1).rows == 2**31 - 1
    with pytest.raises(PatternError, match=r"`cols` of `Groups` must be at most 2147483647\. Rec"):
        Groups(cols=2**31)
    with pytest.raises(PatternError, match="no argument 'height'"):
        Groups.from_config({"height": 3})
