# SPDX-License-Identifier: Apache-2.0
"""`select`: from weights, a pattern and a sparsity to a mask."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.errors import PatternError
from tfprune.sparsity.layouts import MatrixShape, from_matrix, matrix_shape, to_matrix
from tfprune.sparsity.patterns import Groups, Pattern, Unstructured
from tfprune.sparsity.patterns.base import check_sparsity
from tfprune.sparsity.scores import ScoreRule, Scores, resolve_scores, to_integers, weight_scores
from tfprune.sparsity.select.aligned import block_sums, keep_aligned, spread
from tfprune.sparsity.select.rank import top_cells
from tfprune.sparsity.select.unaligned import keep_windows


def select(
    weights: npt.ArrayLike,
    pattern: Pattern,
    sparsity: float | None = None,
    *,
    layout: str | None = None,
    scores: Scores = "l1",
) -> npt.NDArray[np.bool_]:
    """Chooses which weights stay so that their pattern holds and their total score is the largest possible.

    Exactly ``pattern.kept_cells(sparsity, shape)`` cells stay, also where scores are equal (those first in the order
    output channel, kernel position, input channel win, or lines in that order for unaligned groups). At sparsity 0
    everything stays. The result is the optimum for every pattern, and the same on every machine.

    Args:
        weights: Kernel, ``[in, out]`` or ``[kernel_h, kernel_w, in, out]``; real and finite.
        pattern: `Unstructured` or `Groups`.
        sparsity: Fraction of weights to remove, in [0, 1). These patterns have no rate of their own, so it is needed.
        layout: ``"dense"``, ``"conv2d"``, or None (default) to go by rank.
        scores: ``"l1"`` (default): a cell is worth ``sum(|w|)``; ``"squared"``: ``sum(w ** 2)``; ``"l2"``:
            ``sqrt(sum(w ** 2))``; or a callable ``scores(weights) -> array`` of one non-negative number a weight.

    Returns:
        Bool array of the shape of `weights`: True stays.

    Raises:
        PatternError: Weights, sparsity, layout or scores that break a rule above, or a sparsity that the pattern cannot
            reach on this shape (see ``pattern.min_sparsity``).

    Example:
        >>> import numpy as np
        >>> from tfprune.sparsity.patterns import Groups
        >>> w = np.array([[1.0, 5.0, 6.0, 0.0, 9.0, 9.0, 0.0, 2.0]])
        >>> select(w, Groups(rows=2), 0.5).astype(int)
        array([[0, 1, 1, 0, 1, 1, 0, 0]])
    """
    if not isinstance(pattern, Pattern):
        raise PatternError(f"`pattern` must be a pattern, such as `Groups(rows=4)`. Received: pattern={pattern!r}.")
    rule = resolve_scores(scores)
    array = _checked_weights(weights)
    shape = matrix_shape(array.shape, layout)
    if sparsity is None:
        raise PatternError(f"`sparsity` is needed: {pattern!r} has no rate of its own. Received: sparsity=None.")
    if check_sparsity(sparsity) == 0:
        return np.ones(array.shape, np.bool_)
    count = pattern.kept_cells(sparsity, array.shape, layout)
    matrix = to_matrix(weight_scores(array, rule))
    return from_matrix(_keep(matrix, shape, pattern, count, rule), array.shape)


def _checked_weights(weights: npt.ArrayLike) -> npt.NDArray[Any]:
    """The weights as an array of real, finite numbers."""
    array = np.asarray(weights)
    if array.dtype.kind not in "fiu":
        raise PatternError(f"`weights` must be real numbers. Received: dtype {array.dtype}.")
    bad = array.size - int(np.count_nonzero(np.isfinite(array)))
    if bad:
        raise PatternError(f"`weights` must be finite. Received: {bad} of {array.size} weights are NaN or infinite.")
    return array


def _keep(
    matrix: npt.NDArray[np.floating[Any]], shape: MatrixShape, pattern: Pattern, count: int, rule: ScoreRule
) -> npt.NDArray[np.bool_]:
    """Mask ``[rows, segments, cols]``."""
    if isinstance(pattern, Unstructured):
        # Nothing is summed, so no rounding is needed and the finest differences count.
        return top_cells(np.ascontiguousarray(matrix), count)
    if not isinstance(pattern, Groups):
        raise PatternError(f"`select` knows no algorithm for {pattern!r}. Use `Unstructured` or `Groups`.")
    cells = to_integers(matrix)
    rows, cols = pattern.clipped(shape)
    if pattern.aligned:
        return keep_aligned(cells, rows, cols, count)
    if pattern.along == "output":
        blocks = block_sums(cells, cols, 2)
        lines = np.ascontiguousarray(blocks.reshape(shape.rows, -1))
        kept = keep_windows(lines, rows, count, root=rule.root)
        return spread(kept.reshape(blocks.shape), cols, 2, shape.cols)
    blocks = block_sums(cells, rows, 0)
    lines = np.ascontiguousarray(blocks.reshape(-1, shape.cols).T)
    kept = np.ascontiguousarray(keep_windows(lines, cols, count, root=rule.root).T)
    return spread(kept.reshape(blocks.shape), rows, 0, shape.rows)
