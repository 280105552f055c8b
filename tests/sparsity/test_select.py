# SPDX-License-Identifier: Apache-2.0
"""`select`: literal masks, exact counts, layouts, errors, determinism."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sparsity.oracle import best_total
from tfprune.errors import PatternError
from tfprune.sparsity.layouts import from_matrix, to_matrix
from tfprune.sparsity.patterns import Groups, Pattern, Unstructured
from tfprune.sparsity.scores import to_integers
from tfprune.sparsity.select import select

RANDOM = np.random.default_rng(11)
UNALIGNED_OUT = Groups(rows=4)
UNALIGNED_IN = Groups(rows=1, cols=4, along="input")


def as_lists(mask: np.ndarray) -> list[list[int]]:
    return mask.astype(int).tolist()


def test_unstructured_keeps_the_largest_magnitudes() -> None:
    weights = np.array([[0.1, -4.0], [3.0, -0.2]], np.float32)
    assert as_lists(select(weights, Unstructured(), 0.5)) == [[0, 1], [1, 0]]


def test_unstructured_tells_apart_what_integers_would_not() -> None:
    weights = np.array([[1.0, 1e-12, 2e-12, 3e-12]])
    assert as_lists(select(weights, Unstructured(), 0.5)) == [[1, 0, 0, 1]]


def test_unstructured_ties_go_by_output_channel_first() -> None:
    assert as_lists(select(np.ones((2, 3)), Unstructured(), 0.5)) == [[1, 1, 0], [1, 0, 0]]


def test_aligned_rows_with_a_shorter_last_group() -> None:
    weights = np.array([[1.0, 1.0, 5.0, 0.0, 3.0]])
    pattern = Groups(rows=2, aligned=True)
    # 5 weights of cells of 2 at 60 %: one cell. At 20 %: two, the short one of score 3 among them.
    assert as_lists(select(weights, pattern, 0.6)) == [[0, 0, 1, 1, 0]]
    assert as_lists(select(weights, pattern, 0.2)) == [[0, 0, 1, 1, 1]]


def test_aligned_two_dimensional() -> None:
    weights = np.array([[9.0, 0, 1, 1], [0, 0, 1, 1], [5, 5, 0, 0], [0, 0, 0, 3]])
    mask = select(weights, Groups(rows=2, cols=2, aligned=True), 0.5)
    assert as_lists(mask) == [[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0]]


def test_unaligned_two_dimensional_sums_the_aligned_axis_first() -> None:
    weights = np.array([[0.0, 7, 1, 0], [0, 1, 7, 0], [1, 0, 0, 1], [1, 0, 0, 1]])  # [in, out]
    mask = select(weights, Groups(rows=2, cols=2), 0.75)
    assert as_lists(mask) == [[0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    mask = select(weights.T, Groups(rows=2, cols=2, along="input"), 0.75)
    assert as_lists(mask.T) == [[0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]


def test_input_groups_never_cross_a_kernel_position() -> None:
    weights = np.zeros((1, 2, 4, 1))
    weights[0, 0, 3, 0] = weights[0, 1, 0, 0] = 5.0  # neighbours in OHWI order, in different positions
    mask = select(weights, Groups(rows=1, cols=2, along="input"), 0.5)
    assert mask[0, 0, :, 0].tolist() == [False, False, True, True]
    assert mask[0, 1, :, 0].tolist() == [True, True, False, False]


def test_sizes_are_clipped_to_the_axis() -> None:
    weights = np.array([[1.0, 5.0], [1.0, 1.0], [1.0, 1.0]])  # 3 inputs
    mask = select(weights, Groups(rows=1, cols=4, aligned=True), 0.5)
    assert as_lists(mask) == [[0, 1], [0, 1], [0, 1]]


def test_l2_and_squared_differ_from_l1() -> None:
    weights = np.array([[3.0, 3.0, 5.0, 0.0]])
    pattern = Groups(rows=2, aligned=True)
    assert as_lists(select(weights, pattern, 0.5, scores="l1")) == [[1, 1, 0, 0]]
    assert as_lists(select(weights, pattern, 0.5, scores="squared")) == [[0, 0, 1, 1]]
    assert as_lists(select(weights, pattern, 0.5, scores="l2")) == [[0, 0, 1, 1]]


def test_callable_scores() -> None:
    weights = np.array([[3.0, 1.0], [2.0, 4.0]])
    mask = select(weights, Unstructured(), 0.5, scores=lambda w: 10 - w)
    assert as_lists(mask) == [[0, 1], [1, 0]]


@pytest.mark.parametrize("pattern", [Unstructured(), UNALIGNED_OUT, UNALIGNED_IN, Groups(8, 4, aligned=True)], ids=str)
def test_sparsity_zero_keeps_everything(pattern: Pattern) -> None:
    assert select(np.zeros((5, 7)), pattern, 0.0).all()


PATTERNS = st.builds(
    Groups,
    st.integers(1, 5),
    st.integers(1, 5),
    along=st.sampled_from(["output", "input"]),
    aligned=st.booleans(),
)


def expected_cells(sparsity: float, size: int, cell: int) -> int:
    exact = (1 - Fraction(str(sparsity))) * size / cell
    return int(exact + Fraction(1, 2))


@settings(max_examples=400, deadline=None)
@given(st.data(), PATTERNS, st.integers(1, 99), st.integers(0, 2**32 - 1))
def test_counts_and_shape_of_groups(data: st.DataObject, pattern: Groups, percent: int, seed: int) -> None:
    shape = data.draw(st.tuples(*[st.integers(1, high) for high in (2, 2, 9, 9)]))
    random = np.random.default_rng(seed)
    weights = random.integers(-2, 3, shape).astype(np.float32)
    sparsity = percent / 100
    if not pattern.reaches(sparsity, shape):
        with pytest.raises(PatternError, match="cannot keep"):
            select(weights, pattern, sparsity)
        return
    matrix = to_matrix(select(weights, pattern, sparsity))
    rows, cols = min(pattern.rows, shape[3]), min(pattern.cols, shape[2])
    cells = expected_cells(sparsity, weights.size, rows * cols)
    step_rows = 1 if not pattern.aligned and pattern.along == "output" else rows
    step_cols = 1 if not pattern.aligned and pattern.along == "input" else cols
    assert count_groups(matrix, rows, cols, step_rows, step_cols) == cells


def count_groups(matrix: np.ndarray, rows: int, cols: int, step_rows: int, step_cols: int) -> int:
    """Takes groups out of a mask greedily, first row and column first; fails on what is left."""
    left, found = matrix.copy(), 0
    for row, segment, col in np.ndindex(matrix.shape):
        if left[row, segment, col]:
            assert row % step_rows == 0
            assert col % step_cols == 0
            height = rows if step_rows == 1 else min(rows, matrix.shape[0] - row)
            width = cols if step_cols == 1 else min(cols, matrix.shape[2] - col)
            block = left[row : row + height, segment, col : col + width]
            assert block.shape == (height, width)
            assert block.all()
            block[...] = False
            found += 1
    return found


@pytest.mark.parametrize("along", ["output", "input"])
@pytest.mark.parametrize("sparsity", [0.5, 0.75, 0.9])
def test_unaligned_keeps_at_least_what_aligned_keeps(along: str, sparsity: float) -> None:
    size = {"rows": 4, "cols": 1} if along == "output" else {"rows": 1, "cols": 4}
    for shape in ((64, 64), (3, 3, 16, 32)):
        weights = RANDOM.standard_normal(shape).astype(np.float32)
        free = select(weights, Groups(**size, along=along), sparsity)
        grid = select(weights, Groups(**size, along=along, aligned=True), sparsity)
        assert free.sum() == grid.sum()
        assert np.abs(weights[free]).sum() > np.abs(weights[grid]).sum()


def test_groups_across_a_whole_layer_are_optimal() -> None:
    weights = RANDOM.standard_normal((2, 2, 3, 10)).astype(np.float32)
    mask = select(weights, Groups(rows=3), 0.6)
    cells = to_integers(np.abs(to_matrix(weights)).astype(np.float64)).reshape(10, -1)
    sums = np.lib.stride_tricks.sliding_window_view(cells, 3, axis=0).sum(axis=-1)
    assert cells[to_matrix(mask).reshape(10, -1)].sum() == best_total(sums, 3, 16)


def test_same_answer_whatever_the_memory_order_or_dtype() -> None:
    weights = RANDOM.standard_normal((3, 3, 16, 24)).astype(np.float32)
    wide = select(weights.astype(np.float64), UNALIGNED_OUT, 0.7)
    assert np.array_equal(select(np.asfortranarray(weights), UNALIGNED_OUT, 0.7), wide)
    assert np.array_equal(select(weights, UNALIGNED_OUT, 0.7), wide)


def test_pruning_what_is_pruned_changes_nothing() -> None:
    weights = RANDOM.standard_normal((32, 64)).astype(np.float32)
    mask = select(weights, UNALIGNED_OUT, 0.8)
    assert np.array_equal(select(weights * mask, UNALIGNED_OUT, 0.8), mask)


def test_the_weights_are_not_changed() -> None:
    weights = RANDOM.standard_normal((8, 8))
    before = weights.copy()
    for pattern in (Unstructured(), UNALIGNED_OUT, UNALIGNED_IN, Groups(2, 2, aligned=True)):
        select(weights, pattern, 0.5)
    assert np.array_equal(weights, before)


def test_matrix_view_round_trip() -> None:
    kernel = np.arange(24).reshape(1, 2, 3, 4)
    matrix = to_matrix(kernel)
    assert matrix.shape == (4, 2, 3)
    assert matrix[3, 1, 2] == kernel[0, 1, 2, 3]
    assert np.array_equal(from_matrix(matrix, kernel.shape), kernel)


W = np.ones((4, 8), np.float32)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((W, Unstructured()), "`sparsity` is needed"),
        ((W, Unstructured(), 80), "write 0.8 for 80 %"),
        ((W, Unstructured(), 1.0), r"\[0, 1\)"),
        ((W, Unstructured(), float("nan")), r"\[0, 1\)"),
        ((W, Unstructured(), True), r"\[0, 1\)"),
        ((W, "Groups", 0.5), "must be a pattern"),
        ((W[0], Unstructured(), 0.5), "rank 2"),
        ((W[:0], Unstructured(), 0.5), "not be empty"),
        ((W * np.nan, Unstructured(), 0.5), "32 of 32 weights"),
        ((W.astype(complex), Unstructured(), 0.5), "real numbers"),
        ((W > 0, Unstructured(), 0.5), "real numbers"),
        ((np.ones((3, 10)), Groups(4), 0.1), "at least 0.2"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_arguments(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(PatternError, match=message):
        select(*arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layout": "conv2d"}, "rank 4"),
        ({"layout": "hwio"}, "must be one of"),
        ({"scores": "l3"}, "must be one of"),
        ({"scores": lambda w: w[0]}, "one number a weight"),
        ({"scores": lambda w: -np.abs(w)}, "at least 0"),
        ({"scores": lambda w: w * np.inf}, "finite"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(PatternError, match=message):
        select(W, Unstructured(), 0.5, **options)


@pytest.mark.parametrize("weights", [[[1, 2], [3]], [[1.0], ["a", 2.0]]], ids=str)
def test_weights_of_uneven_rows(weights: Any) -> None:
    with pytest.raises(PatternError, match=r"`weights` must be an array of real numbers\. Received: .*inhomogeneous"):
        select(weights, Groups(2), 0.5)


def test_prices_are_a_memory() -> None:
    with pytest.raises(PatternError, match=r"`prices` must be a `PriceMemory`, or None\. Received: prices=3"):
        select(np.ones((4, 8)), Groups(2), 0.5, prices=3)  # type: ignore[arg-type]
