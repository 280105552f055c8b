# SPDX-License-Identifier: Apache-2.0
"""Greedy, BED and the textbook: the same masks as their plain forms, and never better than the optimum."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import numpy as np
import pytest

from tests.sparsity.oracle import best_totals, split_into_windows
from tfprune.errors import PatternError
from tfprune.sparsity.scores import integer_roots
from tfprune.sparsity.select.bed import keep_windows_by_expansion
from tfprune.sparsity.select.greedy import keep_windows_greedily
from tfprune.sparsity.select.textbook import keep_windows_by_table
from tfprune.sparsity.select.unaligned import keep_windows

ALGORITHMS = (keep_windows, keep_windows_by_expansion, keep_windows_greedily, keep_windows_by_table)
CASES = 2500


def sums(cells: np.ndarray, window: int) -> np.ndarray:
    return np.lib.stride_tricks.sliding_window_view(cells, window, axis=0).sum(axis=-1)


def small_case(random: np.random.Generator) -> tuple[np.ndarray, int, int]:
    length, lines = int(random.integers(1, 14)), int(random.integers(1, 5))
    window = int(random.integers(1, min(5, length) + 1))
    cells = random.integers(0, random.choice([1, 2, 4, 100, 2**30]), (length, lines))
    return cells, window, int(random.integers(0, lines * (length // window) + 1))


def one_after_the_other(scores: np.ndarray, window: int, count: int) -> np.ndarray | None:
    """Greedy as it is told: first cells; None if they find no place."""
    left, starts = scores.T.astype(float).copy(), np.zeros(scores.T.shape, bool)
    for _ in range(count):
        line, place = divmod(int(left.argmax()), left.shape[1])
        if left[line, place] < 0:
            return None
        starts[line, place] = True
        left[line, max(0, place - window + 1) : place + window] = -1
    return starts.T


def bed_one_after_the_other(cells: np.ndarray, window: int, count: int) -> np.ndarray:
    """BED as it is told: lists of remaining cells."""
    kept = np.zeros(cells.shape, bool)
    remaining = [list(range(cells.shape[0])) for _ in range(cells.shape[1])]
    for _ in range(count):
        _, line, first = max(
            (int(cells[left[first : first + window], line].sum()), -line, -first)
            for line, left in enumerate(remaining)
            for first in range(len(left) - window + 1)
        )
        line, first = -line, -first
        kept[remaining[line][first : first + window], line] = True
        del remaining[line][first : first + window]
    return kept


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_one_signature(algorithm: Callable[..., np.ndarray]) -> None:
    names = list(inspect.signature(algorithm).parameters)
    assert names[:4] == ["cells", "window", "count", "root"]
    cells = np.random.default_rng(0).integers(0, 100, (12, 5))
    for window, count in ((1, 7), (3, 0), (3, 9), (4, 5)):
        for root in (False, True):
            kept = algorithm(cells, window, count, root=root)
            assert kept.dtype == bool
            assert kept.shape == cells.shape
            assert kept.sum() == window * count
            assert all(split_into_windows(line, window) is not None for line in kept.T)


def test_greedy_in_rounds_is_greedy_one_after_the_other() -> None:
    random, without_room = np.random.default_rng(1), 0
    for _ in range(CASES):
        cells, window, count = small_case(random)
        root = bool(random.integers(2))
        scores = integer_roots(sums(cells, window)) if root else sums(cells, window)
        starts = one_after_the_other(scores, window, count)
        if starts is None:
            without_room += 1
            with pytest.raises(PatternError, match="find a place"):
                keep_windows_greedily(cells, window, count, root=root)
            continue
        expected = np.zeros(cells.shape, bool)
        for place, line in np.argwhere(starts):
            expected[place : place + window, line] = True
        assert (keep_windows_greedily(cells, window, count, root=root) == expected).all()
    assert without_room > 20


def test_bed_on_all_lines_is_bed_one_after_the_other() -> None:
    random = np.random.default_rng(2)
    for _ in range(CASES):
        cells, window, count = small_case(random)
        kept = keep_windows_by_expansion(cells, window, count)
        expected = bed_one_after_the_other(cells, window, count)
        if cells.max(initial=0) > 1000:
            assert (kept == expected).all()
        assert int(cells[kept].sum()) <= best_totals(sums(cells, window), window)[count] if cells.size < 14 else True
        assert kept.sum() == count * window
        assert all(split_into_windows(line, window) is not None for line in kept.T)


def test_textbook_equals_brute_force() -> None:
    random = np.random.default_rng(3)
    for _ in range(400):
        lines = int(random.integers(1, 4))
        length = int(random.integers(1, (12, 7, 5)[lines - 1]))
        window = int(random.integers(1, min(4, length) + 1))
        cells = random.integers(0, random.choice([1, 2, 5, 2**30]) + 1, (length, lines))
        for count, best in enumerate(best_totals(sums(cells, window), window)):
            assert int(cells[keep_windows_by_table(cells, window, count)].sum()) == best


@pytest.mark.parametrize("sparsity", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("window", [2, 4, 8])
def test_order_of_quality_on_random_weights(window: int, sparsity: float) -> None:
    cells = np.abs(np.random.default_rng(window).standard_normal((128, 96)) * 2**27).astype(np.int64)
    count = round(cells.size * (1 - sparsity) / window)
    exact, bed, greedy = (int(cells[keep(cells, window, count)].sum()) for keep in ALGORITHMS[:3])
    assert exact >= bed > 0.99 * exact
    assert bed > greedy if sparsity < 0.9 else bed >= greedy
    # With two cells, expansion is an augmenting path, and BED is exact.
    assert (exact > bed) == (window > 2 and sparsity < 0.9)


def test_bed_spans_a_hole() -> None:
    # The best window is in the middle; with its cells gone, 6 and 5 are neighbours.
    cells = np.array([[0, 6, 9, 9, 5, 0]]).T
    assert keep_windows_by_expansion(cells, 2, 2).T.astype(int).tolist() == [[0, 1, 1, 1, 1, 0]]
    assert keep_windows_greedily(cells, 2, 2).T.astype(int).tolist() == [[1, 1, 1, 1, 0, 0]]


@pytest.mark.parametrize("algorithm", ALGORITHMS[1:])
def test_too_many_windows(algorithm: Callable[..., np.ndarray]) -> None:
    with pytest.raises(PatternError, match=r"hold 2 windows of 3 each, 4 on 2 lines\. Received: count=5"):
        algorithm(np.ones((7, 2), np.int64), 3, 5)
