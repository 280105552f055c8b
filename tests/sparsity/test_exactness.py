# SPDX-License-Identifier: Apache-2.0
"""Every exact selection against all masks that its pattern allows, on thousands of tiny weights.

The quick part runs 2,000 cases a selection, the slow one 20,000. Weights hold zeros, negative zeros, ties, one value
only, nothing but zeros, or random numbers; sparsities reach from keeping every cell to keeping none.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tests.sparsity.enumeration import (
    Size,
    integer_scores,
    masks,
    most_windows,
    row_column_masks,
    wanted_cells,
    window_masks,
)
from tfprune.sparsity.layouts import from_matrix
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
from tfprune.sparsity.select import select

QUICK, FULL = 2_000, 20_000
# Cases that share a pattern and a shape: their masks are enumerated once.
SHARED = 25
Random = np.random.Generator
SHARES = ("kernel", "channel", "filter", "layer", 2)


def number(random: Random, low: int, high: int) -> int:
    """A whole number, both ends included."""
    return int(random.integers(low, high + 1))


def blocks(random: Random, most: int = 10) -> tuple[int, int, Size]:
    """Rows and columns of a block, larger than the matrix at times, and a matrix of at most `most` blocks."""
    while True:
        rows, cols = number(random, 1, 3), number(random, 1, 3)
        size = (number(random, 1, 6), number(random, 1, 3), number(random, 1, 5))
        if math.ceil(size[0] / min(rows, size[0])) * size[1] * math.ceil(size[2] / min(cols, size[2])) <= most:
            return rows, cols, size


def unstructured(random: Random) -> tuple[Pattern, Size]:
    while True:
        size = (number(random, 1, 5), number(random, 1, 3), number(random, 1, 5))
        if math.prod(size) <= 10:
            return Unstructured(), size


def aligned(random: Random) -> tuple[Pattern, Size]:
    rows, cols, size = blocks(random)
    return Groups(rows, cols, aligned=True), size


def block_punched(random: Random) -> tuple[Pattern, Size]:
    rows, cols, size = blocks(random)
    return BlockPunched(rows, cols), size


def kernel_elements(random: Random) -> tuple[Pattern, Size]:
    while True:
        share = SHARES[number(random, 0, 4)]
        size = (number(random, 1, 4), number(random, 2, 5), number(random, 1, 3))
        units = {"kernel": size[0] * size[2], "channel": size[2], "filter": size[0], "layer": 1, 2: -(-size[0] // 2)}
        if units[share] * size[1] <= 12:
            return KernelElements(share=share), size


def kernel_elements_keep(random: Random) -> tuple[Pattern, Size]:
    pattern, size = kernel_elements(random)
    return KernelElements(keep=number(random, 1, size[1] - 1), share=pattern.share), size  # type: ignore[attr-defined]


def n_of_m(random: Random) -> tuple[Pattern, Size]:
    of = number(random, 2, 4)
    keep = number(random, 1, of - 1)
    lines = (number(random, 1, 2), number(random, 1, 2))
    return NofM(keep, of), (*lines, number(random, keep + 1, 6 if math.prod(lines) < 4 else 4))


def filters(random: Random) -> tuple[Pattern, Size]:
    return Filters(), (number(random, 1, 10), number(random, 1, 2), number(random, 1, 3))


def channels(random: Random) -> tuple[Pattern, Size]:
    return Channels(), (number(random, 1, 3), number(random, 1, 2), number(random, 1, 10))


def kernel_patterns(random: Random) -> tuple[Pattern, Size]:
    size = (number(random, 1, 2), number(random, 2, 4), number(random, 1, 2))
    keep = number(random, 1, size[1] - 1)
    shapes = {tuple(sorted(random.choice(size[1], keep, replace=False).tolist())) for _ in range(number(random, 1, 3))}
    order = sorted(shapes)
    random.shuffle(order)
    return KernelPatterns(keep, tuple(order)), size


EXACT: dict[str, Callable[[Random], tuple[Pattern, Size]]] = {
    "unstructured": unstructured,
    "aligned groups": aligned,
    "block-punched": block_punched,
    "kernel elements": kernel_elements,
    "kernel elements with keep": kernel_elements_keep,
    "n of m": n_of_m,
    "filters": filters,
    "channels": channels,
    "kernel patterns": kernel_patterns,
}


def some_weights(random: Random, size: Size) -> np.ndarray:
    """A matrix of one of the kinds that go wrong first."""
    kind = number(random, 0, 6)
    if kind == 0:
        return np.full(size, random.choice([0.0, -0.0, 1.0, -3.5, 1e-30]))
    if kind == 1:
        return random.standard_normal(size).astype(np.float32)
    if kind == 2:
        return random.standard_normal(size) * (random.random(size) < 0.5)
    if kind == 3:
        return random.integers(-9, 10, size).astype(random.choice([np.int8, np.int32, np.float16]))
    # Few values: ties are the rule. A zero times -1 is a negative zero.
    values = random.integers(0, random.integers(2, 5), size) * random.choice([-1.0, 1.0], size)
    return values * 3.7 if kind == 4 else values


def some_sparsity(random: Random, pattern: Pattern, kernel: tuple[int, ...]) -> float | None:
    """A sparsity that the pattern reaches; None where it has one of its own."""
    least = pattern.min_sparsity(kernel)
    if pattern.kept_per_unit is not None:
        return None if random.random() < 0.5 else least
    kind = number(random, 0, 5)
    if kind == 0:
        return max(least, 1e-9)
    if kind == 1:
        return max(least, 0.999999)
    return max(least, round(float(random.random()), number(random, 1, 4)), 1e-4) % 1 or least or 0.5


def some_kernel(random: Random, size: Size) -> tuple[int, ...]:
    """A kernel shape whose matrix has this size."""
    rows, segments, cols = size
    if segments == 1 and random.random() < 0.5:
        return (cols, rows)
    if random.random() < 0.5:
        return (segments, cols, rows)
    return (2, segments // 2, cols, rows) if segments % 2 == 0 else (1, segments, cols, rows)


def check(family: str, cases: int) -> None:
    random = np.random.default_rng(sum(family.encode()))
    empty = full = 0
    for case in range(cases):
        if case % SHARED == 0:
            pattern, size = EXACT[family](random)
        kernel = some_kernel(random, size)
        sparsity = some_sparsity(random, pattern, kernel)
        matrix = some_weights(random, size)
        allowed = masks(pattern, size, pattern.min_sparsity(kernel) if sparsity is None else sparsity)
        # Single weights are compared as they are, everything else as integers.
        if pattern.single_weights:
            scores = np.abs(matrix.astype(np.float64)).reshape(-1)
            values = np.array([math.fsum(scores[row.astype(bool)]) for row in allowed])
        else:
            values = allowed @ integer_scores(matrix).reshape(-1)
        best = allowed[int(values.argmax())].reshape(size).astype(bool)
        mask = select(from_matrix(matrix, kernel), pattern, sparsity)
        assert np.array_equal(mask, from_matrix(best, kernel)), (pattern, kernel, sparsity, matrix.tolist())
        empty += not best.any()
        full += bool(best.all())
    if EXACT[family] not in (kernel_elements_keep, n_of_m):
        assert empty > cases / 50
        # Shapes of kernels never cover everything.
        assert full > cases / 50 or family == "kernel patterns"


@pytest.mark.parametrize("family", EXACT)
def test_exact(family: str) -> None:
    check(family, QUICK)


@pytest.mark.slow
@pytest.mark.parametrize("family", EXACT)
def test_exact_in_full(family: str) -> None:
    check(family, FULL)


def check_balanced(along: str, cases: int) -> None:
    """Every unit on its own is optimal with its count, and units of one height keep the same number of groups."""
    random = np.random.default_rng(len(along))
    several = 0
    for case in range(cases):
        if case % SHARED == 0:
            pattern, size = balanced_case(random, along)
        kernel = some_kernel(random, size)
        least = pattern.min_sparsity(kernel)
        sparsity = max(least, round(float(random.random()), 3), 1e-3) if case % 7 else max(least, 1e-9)
        sparsity = min(sparsity, 0.999)
        if not pattern.reaches(sparsity, kernel):
            continue
        matrix = some_weights(random, size)
        kept = matrix_of(select(from_matrix(matrix, kernel), pattern, sparsity), size)
        unit = pattern.unit_rows or 8 * pattern.rows
        counts = []
        for top in range(0, size[0], unit):
            part = slice(top, min(top + unit, size[0]))
            within = (part.stop - top, *size[1:])
            count = unit_groups(pattern, within, sparsity)
            rows, cols = min(pattern.rows, within[0]), min(pattern.cols, within[2])
            if along == "aligned":
                allowed = masks(replace(pattern, balanced=False, unit_rows=None), within, sparsity)
            else:
                allowed = window_masks(within, rows, cols, along, count)
            found = kept[part].reshape(-1)
            # Every unit is rounded by its own largest weight.
            scores = integer_scores(matrix[part]).reshape(-1)
            where = (pattern, kernel, sparsity, matrix.tolist())
            assert (allowed == found).all(axis=1).any(), where
            assert int(scores @ found) == int((allowed @ scores).max()), where
            counts += [count] if within[0] == unit else []
        assert len({*counts}) <= 1
        several += len(counts) > 1
    assert several > cases / 3


def balanced_case(random: Random, along: str) -> tuple[Groups, Size]:
    while True:
        rows, cols = number(random, 1, 3), number(random, 1, 2)
        unit = number(random, rows, 4)
        if along == "input":
            rows, cols = cols, rows
            unit = number(random, rows, 3)
        if along == "aligned":
            unit = rows * number(random, 1, 2)
        size = (number(random, unit, 9), number(random, 1, 2), number(random, 1, 4))
        if unit * size[1] * size[2] <= 12:
            option = {"aligned": True} if along == "aligned" else {"along": along}
            return Groups(rows, cols, balanced=True, unit_rows=unit, **option), size


def unit_groups(pattern: Groups, unit: Size, sparsity: float) -> int:
    """A unit's share of the groups, as far as it has room."""
    rows, cols = min(pattern.rows, unit[0]), min(pattern.cols, unit[2])
    wanted = wanted_cells(sparsity, math.prod(unit), rows * cols)
    if pattern.aligned:
        return wanted
    return min(wanted, most_windows(unit, rows, cols, pattern.along))


def matrix_of(mask: np.ndarray, size: Size) -> np.ndarray:
    return np.moveaxis(mask, -1, 0).reshape(size)


@pytest.mark.parametrize("along", ["output", "input", "aligned"])
def test_balanced(along: str) -> None:
    check_balanced(along, QUICK)


@pytest.mark.slow
@pytest.mark.parametrize("along", ["output", "input", "aligned"])
def test_balanced_in_full(along: str) -> None:
    check_balanced(along, FULL)


def row_column_gaps(cases: int) -> np.ndarray:
    """Kept magnitude of the greedy choice of rows and columns over that of the best one with no more weights."""
    random = np.random.default_rng(5)
    ratios = []
    for _ in range(cases):
        rows, cols, *size = [(3, 3, 3, 2, 3), (4, 4, 4, 1, 4), (2, 3, 4, 1, 3), (3, 2, 3, 2, 3)][number(random, 0, 3)]
        matrix = random.standard_normal(size)
        sparsity = round(float(random.uniform(0.1, 0.9)), 2)
        kernel = (size[1], size[2], size[0])
        kept = matrix_of(select(from_matrix(matrix, kernel), BlockRowsColumns(rows, cols), sparsity), tuple(size))
        scores = integer_scores(matrix).reshape(-1)
        allowed = row_column_masks(tuple(size), rows, cols)
        assert (allowed == kept.reshape(-1)).all(axis=1).any()
        most = wanted_cells(sparsity, matrix.size, 1)
        assert kept.sum() <= most
        best = int((allowed[allowed.sum(axis=1) <= most] @ scores).max())
        ratios.append(float(scores @ kept.reshape(-1)) / best if best else 1.0)
    return np.array(ratios)


def test_rows_and_columns_of_blocks_come_close_to_the_best() -> None:
    ratios = row_column_gaps(1_000)
    # Measured: 0.975 on average, a tenth below 0.904, the worst 0.668. One row more or less is much in such blocks.
    assert ratios.max() <= 1
    assert ratios.mean() > 0.965
    assert np.quantile(ratios, 0.1) > 0.88
    assert ratios.min() > 0.6
