# SPDX-License-Identifier: Apache-2.0
"""The priced search against the textbook table, with many ties and several lines."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.sparsity.oracle import best_total, brute_force_total, split_into_windows
from tfprune.sparsity.scores import integer_roots
from tfprune.sparsity.select import unaligned
from tfprune.sparsity.select.unaligned import find_price, keep_windows


def window_sums(cells: np.ndarray, window: int) -> np.ndarray:
    return np.lib.stride_tricks.sliding_window_view(cells, window, axis=0).sum(axis=-1)


def total_of(kept: np.ndarray, scores: np.ndarray, window: int) -> int:
    """Score of a mask whose kept runs are cut into windows in the best way (roots depend on the cut only there)."""
    total = 0
    for line in range(kept.shape[1]):
        starts = split_into_windows(kept[:, line], window)
        assert starts is not None, "kept cells do not form whole windows"
        total += sum(int(scores[start, line]) for start in starts)
    return total


@st.composite
def problems(draw: st.DrawFn) -> tuple[np.ndarray, int, int]:
    length, lines = draw(st.integers(2, 14)), draw(st.integers(1, 5))
    window = draw(st.integers(1, min(5, length)))
    # Few distinct values make ties the rule.
    largest = draw(st.sampled_from([0, 1, 2, 7, 2**30]))
    cells = draw(hnp.arrays(np.int64, (length, lines), elements=st.integers(0, largest)))
    return cells, window, draw(st.integers(0, lines * (length // window)))


@settings(max_examples=1500, deadline=None)
@given(problems())
def test_optimal_and_exact(problem: tuple[np.ndarray, int, int]) -> None:
    cells, window, count = problem
    kept = keep_windows(cells.copy(), window, count)
    scores = window_sums(cells, window)
    assert kept.shape == cells.shape
    assert kept.sum() == count * window
    assert total_of(kept, scores, window) == best_total(scores, window, count)


def test_thousands_of_small_cases_with_ties() -> None:
    random = np.random.default_rng(7)
    for _ in range(2500):
        length, lines = random.integers(2, 12), random.integers(1, 4)
        window = int(random.integers(2, min(5, length) + 1))
        cells = random.integers(0, random.integers(1, 5), (length, lines)).astype(np.int64)
        count = int(random.integers(0, lines * (length // window) + 1))
        kept = keep_windows(cells, window, count)
        scores = window_sums(cells, window)
        assert kept.sum() == count * window
        assert total_of(kept, scores, window) == best_total(scores, window, count)


def test_oracle_equals_brute_force() -> None:
    random = np.random.default_rng(3)
    for _ in range(150):
        length, lines = random.integers(2, 7), random.integers(1, 3)
        window = int(random.integers(2, min(3, length) + 1))
        scores = random.integers(0, 4, (length - window + 1, lines))
        for count in range(lines * (length // window) + 1):
            assert best_total(scores, window, count) == brute_force_total(scores, window, count)


def test_roots_are_optimal_where_more_windows_score_less() -> None:
    random = np.random.default_rng(5)
    falling = 0
    for _ in range(600):
        length, lines = int(random.integers(4, 12)), int(random.integers(1, 4))
        window = int(random.integers(2, min(4, length) + 1))
        cells = random.choice([0, 0, 1, 2**28, 2**30], (length, lines)).astype(np.int64)
        scores = integer_roots(window_sums(cells, window))
        capacity = lines * (length // window)
        best = [best_total(scores, window, count) for count in range(capacity + 1)]
        falling += any(after < before for before, after in itertools.pairwise(best))
        for count in range(capacity + 1):
            starts = unaligned._choose_starts(scores.copy(), window, count, 10**9, True) if count else None
            value = int(scores[starts].sum()) if count else 0
            assert value == best[count]
            assert keep_windows(cells, window, count, root=True).sum() == count * window
    assert falling > 5, "the case this test is for did not occur"


def test_long_lines_need_coarser_scores_and_stay_exact() -> None:
    cells = np.full((40_000, 1), 2**30, np.int64)
    cells[::7] = 0
    kept = keep_windows(cells, 2, 15_000, root=True)
    assert kept.sum() == 30_000


def test_equal_scores_fill_lines_in_order() -> None:
    kept = keep_windows(np.ones((7, 3), np.int64), 3, 4)
    assert kept.T.astype(int).tolist() == [[1, 1, 1, 1, 1, 1, 0], [1, 1, 1, 1, 1, 1, 0], [0, 0, 0, 0, 0, 0, 0]]


def test_literal_case() -> None:
    cells = np.array([[1, 5, 6, 0, 9, 9, 0, 2]], np.int64).T
    assert keep_windows(cells, 2, 2).T.astype(int).tolist() == [[0, 1, 1, 0, 1, 1, 0, 0]]
    assert keep_windows(cells, 2, 3).T.astype(int).tolist() == [[0, 1, 1, 0, 1, 1, 1, 1]]
    assert keep_windows(cells, 2, 4).all()


@given(st.lists(st.integers(0, 40), max_size=60), st.integers(-3, 45))
def test_find_price_does_not_depend_on_the_guess(slopes: list[int], guess: int) -> None:
    def count_at(price: int) -> int:
        return sum(slope > price for slope in slopes)

    for target in range(1, len(slopes)):
        price, exact = find_price(count_at, target, -1, max(slopes) + 1, guess)
        if exact:
            assert count_at(price) == target
        elif target < count_at(-1):
            assert count_at(price) < target < count_at(price - 1)


def test_tie_path_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    original = unaligned._swap_chains
    monkeypatch.setattr(unaligned, "_swap_chains", lambda *args: calls.append(1) or original(*args))
    keep_windows(np.ones((6, 2), np.int64), 2, 3)
    assert calls
