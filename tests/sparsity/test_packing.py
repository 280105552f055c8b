# SPDX-License-Identifier: Apache-2.0
"""Rectangles anywhere: valid, no worse than the reductions to one axis, and below the bound."""

from __future__ import annotations

import numpy as np
import pytest

from tfprune.errors import PatternError
from tfprune.sparsity.blocks import tile
from tfprune.sparsity.patterns import Groups
from tfprune.sparsity.scores import integer_roots, to_integers
from tfprune.sparsity.select import packing, select
from tfprune.sparsity.select.packing import keep_rectangles, upper_bound


def rectangle_scores(scores: np.ndarray, rows: int, cols: int, root: bool = False) -> np.ndarray:
    views = np.lib.stride_tricks.sliding_window_view(scores, (rows, cols), axis=(0, 2))
    sums = views.sum(axis=(-2, -1))
    return integer_roots(sums) if root else sums


def overlaps(one: tuple[int, ...], other: tuple[int, ...], rows: int, cols: int) -> bool:
    return one[1] == other[1] and abs(one[0] - other[0]) < rows and abs(one[2] - other[2]) < cols


def best_score(places: np.ndarray, rows: int, cols: int, count: int) -> int:
    """By trying every choice of rectangles."""
    every = list(np.ndindex(places.shape))

    def best(first: int, chosen: list[tuple[int, ...]], score: int) -> int:
        if len(chosen) == count:
            return score
        return max(
            (
                best(index + 1, [*chosen, every[index]], score + int(places[every[index]]))
                for index in range(first, len(every))
                if not any(overlaps(every[index], other, rows, cols) for other in chosen)
            ),
            default=-1,
        )

    return best(0, [], 0)


def tiles(kept: np.ndarray, rows: int, cols: int) -> bool:
    """Whether a mask of one segment can be cut into rectangles."""
    place = np.argwhere(kept)
    if not place.size:
        return True
    row, col = place[0]
    # The first kept cell is a corner of some rectangle; it may start to the left only if the corner were not first.
    block = kept[row : row + rows, col : col + cols]
    if block.shape != (rows, cols) or not block.all():
        return False
    rest = kept.copy()
    rest[row : row + rows, col : col + cols] = False
    return tiles(rest, rows, cols)


def small_case(random: np.random.Generator) -> tuple[np.ndarray, int, int, int]:
    shape = tuple(int(random.integers(1, high)) for high in (6, 3, 6))
    rows, cols = int(random.integers(1, min(shape[0], 3) + 1)), int(random.integers(1, min(shape[2], 3) + 1))
    scores = random.integers(0, random.choice([1, 3, 100, 2**30]), shape)
    return scores, rows, cols, int(random.integers(0, min(4, shape[0] // rows * shape[1] * (shape[2] // cols)) + 1))


@pytest.mark.parametrize("root", [False, True])
def test_bound_optimum_and_result_stand_in_order(root: bool) -> None:
    random, optimal = np.random.default_rng(0), 0
    for _ in range(600):
        scores, rows, cols, count = small_case(random)
        kept = keep_rectangles(scores, rows, cols, count, root=root)
        assert kept.sum() == count * rows * cols
        assert all(tiles(kept[:, segment], rows, cols) for segment in range(scores.shape[1]))
        best = best_score(rectangle_scores(scores, rows, cols, root), rows, cols, count)
        assert upper_bound(scores, rows, cols, count, root=root) >= best
        if not root:
            assert int(scores[kept].sum()) <= best
            optimal += int(scores[kept].sum()) == best
    assert root or optimal > 500


def test_greedy_in_rounds_is_greedy_one_after_the_other() -> None:
    random = np.random.default_rng(1)
    for _ in range(600):
        scores, rows, cols, count = small_case(random)
        places = rectangle_scores(scores, rows, cols)
        left, expected = places.astype(float).copy(), np.zeros(places.shape, bool)
        for _ in range(count):
            row, segment, col = np.unravel_index(int(left.argmax()), left.shape)
            if left[row, segment, col] < 0:
                break
            expected[row, segment, col] = True
            left[max(0, row - rows + 1) : row + rows, segment, max(0, col - cols + 1) : col + cols] = -1
        found = packing._greedy(places, rows, cols, count)
        if expected.sum() < count:
            assert found is None
        else:
            assert found is not None
            assert (found == expected).all()


@pytest.mark.parametrize("sparsity", [0.5, 0.8, 0.95])
def test_no_worse_than_the_reductions(sparsity: float) -> None:
    weights = np.random.default_rng(2).standard_normal((3, 3, 16, 32)).astype(np.float32)
    kept = {
        along: float(np.abs(weights[select(weights, Groups(4, 4, along=along), sparsity)]).sum())
        for along in ("output", "input", "both")
    }
    assert kept["both"] >= max(kept["output"], kept["input"])
    assert kept["both"] > 1.01 * max(kept["output"], kept["input"]), "free on both axes should pay on random weights"


def test_a_reduction_wins_where_greedy_finds_no_place() -> None:
    # The best rectangle lies in the middle and leaves no room for the four that fit.
    scores = np.ones((4, 1, 4), np.int64)
    scores[1:3, 0, 1:3] = 9
    assert packing._greedy(rectangle_scores(scores, 2, 2), 2, 2, 4) is None
    assert keep_rectangles(scores, 2, 2, 4).all()
    assert keep_rectangles(scores, 2, 2, 1)[1:3, 0, 1:3].all()


def test_sides_of_one_are_windows() -> None:
    scores = to_integers(np.abs(np.random.default_rng(3).standard_normal((8, 2, 9))))
    for rows, cols in ((1, 3), (4, 1), (1, 1)):
        kept = keep_rectangles(scores, rows, cols, 5)
        assert int(scores[kept].sum()) == upper_bound(scores, rows, cols, 5)


def test_too_many_rectangles() -> None:
    for function in (keep_rectangles, upper_bound):
        with pytest.raises(PatternError, match=r"room for 8 of 2 x 2\. Received: count=9"):
            function(np.ones((4, 2, 5), np.int64), 2, 2, 9)


def test_rectangles_that_would_overlap_are_no_tiling() -> None:
    # Seven cells a segment: a square, and three cells that only a second square across the first would cover.
    plane = np.array([[0, 1, 1], [1, 1, 1], [1, 1, 0]])
    scores = np.stack([9 * plane] + [plane] * 3, axis=1).astype(np.int64)
    assert tile(scores > 0, 2, 2) is None
    assert keep_rectangles(scores, 2, 2, 4).sum() == 16
