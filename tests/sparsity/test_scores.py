# SPDX-License-Identifier: Apache-2.0
"""Scores: formulas against finite differences and literal numbers, integers, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tfprune.errors import PatternError
from tfprune.sparsity.patterns import Filters, Groups, KernelElements, Unstructured
from tfprune.sparsity.scores import (
    diagonal_hessian,
    fisher,
    integer_roots,
    movement,
    plane_share,
    resolve_scores,
    taylor,
    to_integers,
    weight_scores,
)
from tfprune.sparsity.select import select

W = np.array([[3.0, -1.0], [0.5, -4.0]])


def quadratic(weights: np.ndarray) -> float:
    """A loss with a gradient and a diagonal Hessian that are known."""
    return float((np.array([[1.0, 2.0], [8.0, 0.5]]) * weights**2 / 2 + np.array([[1.0, 0], [0, -3]]) * weights).sum())


def without(weights: np.ndarray, index: tuple[int, ...]) -> np.ndarray:
    less = weights.copy()
    less[index] = 0
    return less


def test_taylor_is_the_first_order_change() -> None:
    gradients = np.array([[1.0, 2.0], [8.0, 0.5]]) * W + np.array([[1.0, 0], [0, -3]])
    assert np.array_equal(taylor(W, gradients), np.abs(W * gradients))
    # For a tiny weight it is the change itself.
    small = W * 1e-6
    slopes = np.array([[1.0, 2.0], [8.0, 0.5]]) * small + np.array([[1.0, 0], [0, -3]])
    change = abs(quadratic(without(small, (0, 0))) - quadratic(small))
    assert taylor(small, slopes)[0, 0] == pytest.approx(change, rel=1e-4)


def test_second_order_is_the_change_at_a_minimum() -> None:
    hessian = np.array([[1.0, 2.0], [8.0, 0.5]])
    # Without the linear part the gradient at `W` does not count: loss around a minimum moved to W.
    for index in np.ndindex(W.shape):
        change = float((hessian * (without(W, index) - W) ** 2 / 2).sum())
        assert diagonal_hessian(W, hessian)[index] == pytest.approx(change)


def test_negative_curvature_counts_as_none() -> None:
    assert diagonal_hessian([2.0, 1.0], [-1.0, 2.0]).tolist() == [0.0, 1.0]


def test_fisher_averages_squares_of_gradients() -> None:
    gradients = np.stack([W, -2 * W, np.zeros_like(W)])
    assert np.allclose(fisher(W, gradients), W**2 * (5 / 3 * W**2) / 2)
    # Gradients that cancel still tell of curvature.
    assert (fisher(W, np.stack([W, -W])) > 0).all()


def test_movement_prefers_what_grows() -> None:
    # Descent moves a weight by -gradient: the first two grow away from zero, the others shrink.
    scores = movement([1.0, -1.0, 1.0, -1.0], [-0.5, 0.25, 0.5, -0.25])
    assert scores.tolist() == [1.0, 0.75, 0.0, 0.25]
    assert movement(np.zeros((0,)), np.zeros((0,))).size == 0


def test_plane_share() -> None:
    matrix = np.array([[[1.0, 0.0], [3.0, 0.0]], [[100.0, -5.0], [100.0, 5.0]]])
    shares = plane_share(matrix)
    assert np.allclose(shares, [[[0.25, 0], [0.75, 0]], [[0.5, 0.5], [0.5, 0.5]]])
    assert np.allclose(shares.sum(axis=1), [[1, 0], [1, 1]])


def test_plane_share_gives_every_plane_one_vote() -> None:
    kernel = np.zeros((2, 1, 3, 1))  # two positions, three channels of one filter
    kernel[:, 0, :, 0] = [[100.0, 1.0, 1.0], [90.0, 3.0, 3.0]]
    loud = select(kernel, KernelElements(keep=1, share="filter"))
    fair = select(kernel, KernelElements(keep=1, share="filter"), scores="plane_share")
    assert loud[:, 0, 0, 0].tolist() == [True, False]
    assert fair[:, 0, 0, 0].tolist() == [False, True]


@pytest.mark.parametrize("rule", [taylor, movement, diagonal_hessian], ids=lambda rule: rule.__name__)
def test_shapes_must_agree(rule: Callable[..., Any]) -> None:
    with pytest.raises(PatternError, match=r"shape of the weights, \(2, 2\). Received: \(2,\)"):
        rule(W, np.ones(2))


@pytest.mark.parametrize("gradients", [np.float64(1), np.ones((0, 2, 2)), np.ones((3, 2))])
def test_fisher_needs_one_gradient_a_sample(gradients: Any) -> None:
    with pytest.raises(PatternError, match="Received: "):
        fisher(W, gradients)


@pytest.mark.parametrize(
    ("scores", "kept"),
    [
        ("l1", [[1, 0], [0, 1]]),
        (taylor(W, np.array([[0.1, 9.0], [9.0, 0.1]])), [[0, 1], [1, 0]]),
        (lambda w: w + 5, [[1, 0], [1, 0]]),
        (np.array([[1, 0], [0, 7]], np.uint8), [[1, 0], [0, 1]]),
        (np.array([[True, True], [False, False]]), [[1, 1], [0, 0]]),
        (movement(W, W), [[0, 1], [1, 0]]),
    ],
    ids=["l1", "taylor", "callable", "uint8", "bool", "movement"],
)
def test_select_takes_arrays_and_functions(scores: Any, kept: list[list[int]]) -> None:
    assert select(W, Unstructured(), 0.5, scores=scores).astype(int).tolist() == kept


def test_scores_follow_the_layout() -> None:
    kernel = np.ones((3, 3, 4, 2))
    scores = np.zeros(kernel.shape)
    scores[:, :, :, 1] = 1.0
    mask = select(kernel, Filters(), 0.5, scores=scores)
    assert mask[..., 1].all()
    assert not mask[..., 0].any()


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (np.ones((2, 3)), "one number a weight"),
        (np.ones((2, 2), complex), "one number a weight"),
        (np.array([[1.0, np.nan], [1, 1]]), "finite and at least 0"),
        (np.array([[1.0, np.inf], [1, 1]]), "finite and at least 0"),
        (np.array([[1.0, -1e-9], [1, 1]]), "finite and at least 0"),
        ([[1.0, 1.0], [1.0, 1.0]], "an array or a callable"),
        ("taylor", "must be one of"),
        (None, "must be one of"),
    ],
    ids=str,
)
@pytest.mark.parametrize("pattern", [Unstructured(), Groups(2)], ids=str)
def test_scores_that_are_none(pattern: Any, scores: Any, message: str) -> None:
    with pytest.raises(PatternError, match=message):
        select(W, pattern, 0.5, scores=scores)


@given(hnp.arrays(np.float64, (3, 4), elements=st.floats(0, 1e300)))
def test_integers_keep_the_order(scores: np.ndarray) -> None:
    integers = to_integers(scores)
    assert integers.dtype == np.int64
    assert integers.min() >= 0
    assert integers.max() == (2**30 if scores.any() else 0)
    order = np.argsort(scores, axis=None)
    assert (np.diff(integers.reshape(-1)[order]) >= 0).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: taylor("a", "b"), "`weights` must be real numbers. Received: dtype <U1"),
        (lambda: taylor([1.0], [1j]), "`gradients` must be real numbers. Received: dtype complex128"),
        (lambda: movement("z", "x"), "`weights` must be real numbers"),
        (lambda: movement([[1], [2, 3]], [1]), "`weights` must be an array of real numbers. Received: .*inhomogeneous"),
        (lambda: fisher([1.0], ["a"]), "`gradients` must be real numbers"),
        (lambda: diagonal_hessian([1.0], [None]), "`curvature` must be real numbers. Received: dtype object"),
        (lambda: plane_share([]), r"must be \[rows, segments, cols\], not empty. Received: shape \(0,\)"),
        (lambda: plane_share([[1.0]]), r"must be \[rows, segments, cols\].*Received: shape \(1, 1\)"),
        (lambda: plane_share("abc"), "`matrix` must be real numbers"),
    ],
)
def test_what_no_score_is_computed_from(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(PatternError, match=message):
        call()


def test_shares_of_huge_and_tiny_planes() -> None:
    for scale in (1e308, 1e-308, 5e-324):
        assert plane_share([[[scale], [scale]]]).ravel().tolist() == [0.5, 0.5]


def test_squares_that_overflow_are_refused() -> None:
    with pytest.raises(PatternError, match=r"`scores` must be finite .* other values from 'squared'"):
        select(np.full((4, 8), 1e200), Groups(2), 0.5, scores="squared")


def test_integers_follow_the_formula_in_any_memory_order() -> None:
    scores = np.random.default_rng(2).random((100, 7)).astype(np.float32)
    expected = np.rint(scores.astype(np.float64) / float(scores.max()) * 2**30)
    assert np.array_equal(to_integers(scores), expected)
    assert np.array_equal(to_integers(np.asfortranarray(scores)), expected)


def test_integer_roots_are_exact_on_squares() -> None:
    roots = integer_roots(np.array([0, 1, 4, 2**30, 2**50]))
    assert roots.tolist() == [0, 2**15, 2**16, 2**30, 2**40]


def test_float32_magnitudes_stay_float32() -> None:
    weights = W.astype(np.float32)
    assert weight_scores(weights, resolve_scores("l1")).dtype == np.float32
    assert weight_scores(weights, resolve_scores("squared")).dtype == np.float64
    assert weight_scores(W.astype(np.float16), resolve_scores("l1")).dtype == np.float64
