# SPDX-License-Identifier: Apache-2.0
"""How much a weight, and a cell of weights, is worth keeping.

`select` takes the name of a rule that needs the weights alone (``"l1"``, ``"l2"``, ``"squared"``, ``"plane_share"``), a
function of the weights, or an array. Arrays come from the functions below, which need gradients or second derivatives::

    select(w, pattern, 0.8, scores=taylor(w, gradients))

Cells are compared by sums of integers: each weight's score is rounded to a multiple of ``2 ** -30`` of the largest one.
Integer sums do not depend on their order, so a mask is the same on every machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tfprune.errors import PatternError
from tfprune.sparsity.layouts import LayoutLike, to_matrix

Floats: TypeAlias = npt.NDArray[np.floating[Any]]
Integers: TypeAlias = npt.NDArray[np.int64]
Scores: TypeAlias = str | npt.NDArray[Any] | Callable[[npt.NDArray[Any]], npt.ArrayLike]

SCORE_BITS = 30
# Rows converted to integers at a time: whole cache lines of kernels whose rows are the fastest axis.
_CHUNK_ROWS = 32


@dataclass(frozen=True)
class ScoreRule:
    """A scoring rule: weight scores are summed over a cell, then possibly square-rooted.

    Args:
        name: Name for reports.
        weight_score: Elementwise score, or any function of the whole array.
        root: Whether a cell's score is the square root of its sum.
        on_matrix: Whether `weight_score` takes the matrix ``[rows, segments, cols]`` in place of the kernel.
    """

    name: str
    weight_score: Callable[[npt.NDArray[Any]], npt.ArrayLike]
    root: bool = False
    on_matrix: bool = False


def plane_share(matrix: npt.ArrayLike) -> Floats:
    """Share of each element in the magnitude of its kernel plane: ``|w[r, p, c]| / sum_p |w[r, p, c]|``.

    The importance of kernel elements in KEP: every plane has one vote, however large its weights are.

    Args:
        matrix: Weights ``[rows, segments, cols]``; segments are the elements of a plane.

    Returns:
        Shares of the same shape, in [0, 1]; 0 in planes without magnitude.

    Raises:
        PatternError: Not real numbers, or not three axes.

    Example:
        >>> plane_share([[[1.0], [3.0]]]).ravel()
        array([0.25, 0.75])
    """
    size = np.abs(_real(matrix, "matrix"))
    if size.ndim != 3 or not size.size:
        raise PatternError(
            f"`matrix` of `plane_share` must be [rows, segments, cols], not empty. Received: shape {size.shape}."
        )
    # By a power of two a plane, which loses nothing, so that no sum overflows.
    size = np.ldexp(size, -np.frexp(size.max(axis=1, keepdims=True))[1])
    total = size.sum(axis=1, keepdims=True)
    shares: Floats = np.divide(size, total, out=np.zeros_like(size), where=total > 0)
    return shares


def taylor(weights: npt.ArrayLike, gradients: npt.ArrayLike) -> Floats:
    """First-order change of the loss when a weight is removed: ``|w * g|`` (Molchanov et al. 2019).

    Args:
        weights: Weights.
        gradients: Gradient of the loss by the weights, same shape; averaged over a few batches.

    Returns:
        Scores of the same shape, at least 0.

    Raises:
        PatternError: Shapes differ.

    Example:
        >>> taylor([2.0, -1.0], [0.5, 3.0])
        array([1., 3.])
    """
    values, slopes = _same_shape(weights, gradients, "gradients")
    return np.abs(values * slopes)


def movement(weights: npt.ArrayLike, gradients: npt.ArrayLike) -> Floats:
    """Movement away from zero: ``-w * g``, moved up so that the least is 0 (Sanh et al. 2020).

    Where descent makes a weight larger, the score is high; where it shrinks it, low. Cells of one size are ranked alike
    whatever is added to all weights; shorter last cells lose a little by the move. Every layer is moved by a least of
    its own, so scores of different layers do not compare: not for `select_global`.

    Args:
        weights: Weights.
        gradients: Gradient of the loss by the weights, same shape; for the movement over many steps pass the sum of
            ``w * g`` over the steps as `gradients` and ones as `weights`.

    Returns:
        Scores of the same shape, at least 0.

    Raises:
        PatternError: Shapes differ.

    Example:
        >>> movement([1.0, 1.0, -1.0], [0.5, -0.5, -0.25])   # shrinks, grows, shrinks
        array([0.  , 1.  , 0.25])
    """
    values, slopes = _same_shape(weights, gradients, "gradients")
    moved = -values * slopes
    return moved - moved.min(initial=np.inf) if moved.size else moved


def fisher(weights: npt.ArrayLike, gradients: npt.ArrayLike) -> Floats:
    """Second-order change of the loss by the diagonal of the Fisher matrix: ``w ** 2 * mean(g ** 2) / 2``.

    Args:
        weights: Weights.
        gradients: Gradients of single samples (or batches), ``[samples, *weights.shape]``, at least one.

    Returns:
        Scores of the shape of the weights, at least 0.

    Raises:
        PatternError: Shapes do not fit.

    Example:
        >>> fisher([2.0, 1.0], [[1.0, 0.0], [3.0, 2.0]])
        array([10.,  1.])
    """
    slopes = _real(gradients, "gradients")
    if slopes.ndim < 1 or slopes.shape[0] < 1:
        raise PatternError(
            "`gradients` of `fisher` must hold one gradient a sample, [samples, *weights.shape], and at least one. "
            f"Received: shape {slopes.shape}."
        )
    return diagonal_hessian(weights, np.square(slopes).mean(axis=0))


def diagonal_hessian(weights: npt.ArrayLike, curvature: npt.ArrayLike) -> Floats:
    """Second-order change of the loss by a diagonal Hessian: ``h * w ** 2 / 2`` (optimal brain damage, LeCun 1989).

    Args:
        weights: Weights.
        curvature: Diagonal of the Hessian, same shape. Negative entries, which promise a better loss without the
            weight, count as 0.

    Returns:
        Scores of the same shape, at least 0.

    Raises:
        PatternError: Shapes differ.

    Example:
        >>> diagonal_hessian([2.0, 1.0], [1.0, 6.0])
        array([2., 3.])
    """
    values, bend = _same_shape(weights, curvature, "curvature")
    return np.maximum(bend, 0) * np.square(values) / 2


def _same_shape(weights: npt.ArrayLike, other: npt.ArrayLike, name: str) -> tuple[Floats, Floats]:
    """Both as float64 arrays of one shape."""
    values, others = _real(weights, "weights"), _real(other, name)
    if values.shape != others.shape:
        raise PatternError(f"`{name}` must have the shape of the weights, {values.shape}. Received: {others.shape}.")
    return values, others


def _real(values: npt.ArrayLike, name: str) -> Floats:
    """Real numbers as float64."""
    return _array(values, name, "fiub").astype(np.float64, copy=False)


def _array(values: npt.ArrayLike, name: str, kinds: str) -> npt.NDArray[Any]:
    """An array of real numbers."""
    try:
        array = np.asarray(values)
    except (TypeError, ValueError) as error:  # rows of different lengths
        raise PatternError(f"`{name}` must be an array of real numbers. Received: {error}") from error
    if array.dtype.kind not in kinds:
        raise PatternError(f"`{name}` must be real numbers. Received: dtype {array.dtype}.")
    return array


_RULES = {
    "l1": ScoreRule("l1", np.abs),
    "l2": ScoreRule("l2", np.square, root=True),
    "plane_share": ScoreRule("plane_share", plane_share, on_matrix=True),
    "squared": ScoreRule("squared", np.square),
}


def resolve_scores(scores: Scores) -> ScoreRule:
    """Finds a scoring rule.

    Args:
        scores: ``"l1"``: a cell is worth ``sum(|w|)``. ``"squared"``: ``sum(w ** 2)``. ``"l2"``: ``sqrt(sum(w ** 2))``.
            ``"plane_share"``: the sum of `plane_share`. Or one non-negative score a weight, which cells sum: an array
            of the shape of the weights, or a callable that takes the weights and returns one.

    Returns:
        The rule.

    Raises:
        PatternError: Neither a known name, nor an array, nor callable.
    """
    if isinstance(scores, str) and scores in _RULES:
        return _RULES[scores]
    if isinstance(scores, np.ndarray):
        return ScoreRule("array", lambda _: scores)
    if callable(scores):
        return ScoreRule(getattr(scores, "__name__", type(scores).__name__), scores)
    raise PatternError(
        f"`scores` must be one of {sorted(_RULES)}, an array or a callable. Received: scores={scores!r}."
    )


def matrix_scores(weights: npt.NDArray[Any], rule: ScoreRule, layout: LayoutLike = None) -> Floats:
    """Scores of the weights of a kernel as a matrix, checked.

    Args:
        weights: Kernel.
        rule: The rule.
        layout: Name of a layout, a `Layout`, or None to go by rank.

    Returns:
        Non-negative finite scores ``[rows, segments, cols]``.

    Raises:
        PatternError: Not a kernel shape; the rule gives another shape, or values that are negative or not finite.
    """
    if rule.on_matrix:
        return weight_scores(to_matrix(weights, layout), rule)
    return to_matrix(weight_scores(weights, rule), layout)


def checked_weights(weights: npt.ArrayLike) -> npt.NDArray[Any]:
    """The weights as an array of real, finite numbers.

    Args:
        weights: Weights of any shape.

    Returns:
        The array.

    Raises:
        PatternError: Other numbers, or none.
    """
    array = _array(weights, "weights", "fiu")
    bad = array.size - int(np.count_nonzero(np.isfinite(array)))
    if bad:
        raise PatternError(f"`weights` must be finite. Received: {bad} of {array.size} weights are NaN or infinite.")
    return array


def weight_scores(weights: npt.NDArray[Any], rule: ScoreRule) -> Floats:
    """Scores of single weights, checked.

    Args:
        weights: Weights of any shape.
        rule: The rule.

    Returns:
        Non-negative finite scores of the same shape: ``float32`` where the rule keeps the precision of ``float32``
        weights without a loss (``"l1"``), else ``float64``.

    Raises:
        PatternError: The rule gives another shape, or values that are negative or not finite.
    """
    lossless = rule.weight_score is np.abs and weights.dtype == np.float32
    # What overflows is infinite, and refused below.
    with np.errstate(over="ignore"):
        result = np.asarray(rule.weight_score(weights if lossless else weights.astype(np.float64)))
    if result.shape != weights.shape or result.dtype.kind not in "fiub":
        raise PatternError(
            f"`scores` must be one number a weight. Received from {rule.name!r}: shape {result.shape}, dtype "
            f"{result.dtype} for weights of shape {weights.shape}."
        )
    found = result if lossless else result.astype(np.float64, copy=False)
    # A NaN is neither the least nor the greatest of anything: both sides notice it.
    if found.size and not (found.min() >= 0 and found.max() < np.inf):
        raise PatternError(f"`scores` must be finite and at least 0. Received other values from {rule.name!r}.")
    return found


def to_integers(scores: Floats, largest: float | None = None) -> Integers:
    """Rounds scores to multiples of ``2 ** -30`` of the largest.

    Args:
        scores: Non-negative finite scores, at least one axis.
        largest: The score that becomes ``2 ** 30``, none above it; None (default): the largest of `scores`.

    Returns:
        ``int64`` scores in ``[0, 2 ** 30]`` of the same shape, C-contiguous.
    """
    integers: Integers = np.zeros(scores.shape, np.int64)
    unit = float(scores.max(initial=0.0)) if largest is None else largest
    if unit == 0:
        return integers
    # A few rows at a time: the scores may be a transposed view, and float copies of all of them are not needed.
    for first in range(0, scores.shape[0], _CHUNK_ROWS):
        scaled = np.divide(scores[first : first + _CHUNK_ROWS], unit, dtype=np.float64)
        scaled *= float(2**SCORE_BITS)
        integers[first : first + _CHUNK_ROWS] = np.rint(scaled, out=scaled)
    return integers


def integer_roots(sums: Integers) -> Integers:
    """Integer cell norms of integer cell sums: ``rint(sqrt(sum) * 2 ** (SCORE_BITS / 2))``.

    The square root of IEEE doubles is correctly rounded everywhere, so the result is machine independent too.

    Args:
        sums: Non-negative sums below ``2 ** 53``.

    Returns:
        ``int64`` norms of the same shape.
    """
    return np.rint(np.sqrt(sums.astype(np.float64)) * float(2 ** (SCORE_BITS // 2))).astype(np.int64)
