# SPDX-License-Identifier: Apache-2.0
"""`select`: from weights, a pattern and a sparsity to a mask."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.errors import PatternError
from tfprune.sparsity.blocks import Mask
from tfprune.sparsity.layouts import LayoutLike, MatrixShape, from_matrix
from tfprune.sparsity.patterns import BlockRowsColumns, Groups, KernelPatterns, Pattern
from tfprune.sparsity.patterns.base import check_pattern
from tfprune.sparsity.scores import (
    Integers,
    ScoreRule,
    Scores,
    checked_weights,
    matrix_scores,
    resolve_scores,
    to_integers,
)
from tfprune.sparsity.select.kernel_shapes import keep_kernels
from tfprune.sparsity.select.lines import from_lines, to_lines
from tfprune.sparsity.select.packing import keep_rectangles
from tfprune.sparsity.select.prices import PriceHint, PriceMemory
from tfprune.sparsity.select.rank import top_cells, top_of_each
from tfprune.sparsity.select.rows_columns import keep_rows_columns
from tfprune.sparsity.select.unaligned import keep_windows


def select(
    weights: npt.ArrayLike,
    pattern: Pattern,
    sparsity: float | None = None,
    *,
    layout: LayoutLike = None,
    scores: Scores = "l1",
    prices: PriceMemory | None = None,
) -> Mask:
    """Chooses which weights stay so that their pattern holds and their total score is the largest possible.

    Exactly ``pattern.kept_cells(sparsity, shape)`` cells stay, also where scores are equal (those first in the order
    output channel, kernel position, input channel win, or lines in that order for unaligned groups). Cells are counted
    whole: where sizes do not divide the weight, a shorter last cell takes the place of a full one, and more weights go
    than the sparsity says. `BlockRowsColumns` counts weights and may keep fewer, by less than one row or column of a
    block; balanced groups round the count of every unit for itself. At sparsity 0 everything stays. The result is the
    same on every machine, and the optimum for every pattern but two whose optimum nobody knows how to find fast:
    `BlockRowsColumns` and ``Groups(along="both")``.

    Args:
        weights: Kernel; real and finite.
        pattern: Any of `tfprune.patterns`.
        sparsity: Fraction of weights to remove, in [0, 1). None (default) for patterns with a rate of their own
            (`NofM`, `KernelElements` with `keep`), which take no other.
        layout: ``"dense"`` (``[in, out]``), ``"conv1d"`` (``[k, in, out]``), ``"conv2d"``
            (``[kernel_h, kernel_w, in, out]``), ``"conv2d_transpose"``, ``"depthwise_conv1d"``, ``"depthwise_conv2d"``,
            a `tfprune.sparsity.layouts.Layout`, or None (default): dense, conv1d or conv2d by rank.
        scores: ``"l1"`` (default): a cell is worth ``sum(|w|)``; ``"squared"``: ``sum(w ** 2)``; ``"l2"``:
            ``sqrt(sum(w ** 2))``; ``"plane_share"``: ``|w|`` as a share of its kernel plane; an array of one
            non-negative number a weight, see `tfprune.sparsity.scores`; or a callable ``scores(weights) -> array``.
        prices: What the last choice on this layer learned, to be faster; read and updated. It never changes the result.

    Returns:
        Bool array of the shape of `weights`: True stays.

    Raises:
        PatternError: Weights, sparsity, layout or scores that break a rule above, a layer that the pattern cannot apply
            to, or a sparsity that it cannot reach there (see ``pattern.min_sparsity``).

    Example:
        >>> import numpy as np
        >>> from tfprune.sparsity.patterns import Groups
        >>> w = np.array([[1.0, 5.0, 6.0, 0.0, 9.0, 9.0, 0.0, 2.0]])
        >>> select(w, Groups(rows=2), 0.5).astype(int)
        array([[0, 1, 1, 0, 1, 1, 0, 0]])
    """
    check_pattern(pattern)
    if prices is not None and not isinstance(prices, PriceMemory):
        raise PatternError(f"`prices` must be a `PriceMemory`, or None. Received: prices={prices!r}.")
    rule = resolve_scores(scores)
    array = checked_weights(weights)
    wanted = pattern.resolve_sparsity(sparsity, array.shape, layout)
    if wanted == 0:
        return np.ones(array.shape, np.bool_)
    mask = _keep(matrix_scores(array, rule, layout), pattern, wanted, rule, prices or PriceMemory())
    return from_matrix(mask, array.shape, layout)


def _keep(
    matrix: npt.NDArray[np.floating[Any]], pattern: Pattern, sparsity: float, rule: ScoreRule, prices: PriceMemory
) -> Mask:
    """Mask ``[rows, segments, cols]`` for scores of that shape."""
    shape = MatrixShape(*matrix.shape)
    if pattern.single_weights:
        # Nothing is summed, so no rounding is needed and the finest differences count.
        return pattern.expand(_ranked(np.ascontiguousarray(matrix), pattern, sparsity, shape), shape)
    if isinstance(pattern, Groups) and pattern.balanced:
        return _keep_units(matrix, pattern, sparsity, rule.root, prices)
    cells = _group_integers(matrix, pattern) if isinstance(pattern, Groups) else to_integers(matrix)
    del matrix  # large, and not needed any more
    if isinstance(pattern, Groups):
        return _keep_unit(cells, pattern, pattern.unit_count(sparsity, shape), rule.root, prices.hint())
    fitted = pattern.fitted(cells)
    if isinstance(fitted, BlockRowsColumns):
        return fitted.expand(_rows_columns(cells, fitted, sparsity), shape)
    if isinstance(fitted, KernelPatterns):
        return fitted.expand(keep_kernels(fitted.pool(cells), fitted.count_cells(sparsity, shape)), shape)
    return fitted.expand(_ranked(cells, fitted, sparsity, shape), shape)


def _ranked(cells: npt.NDArray[Any], pattern: Pattern, sparsity: float, shape: MatrixShape) -> Mask:
    """The best cells of all, or of each unit. Equal cells: a root would not change their order."""
    pooled = pattern.pool(cells)
    if pattern.kept_per_unit is not None:
        return top_of_each(pooled, pattern.kept_per_unit)
    return top_cells(pooled, pattern.count_cells(sparsity, shape))


def _rows_columns(cells: Integers, pattern: BlockRowsColumns, sparsity: float) -> Mask:
    """Mask of rows and columns of every block."""
    lines = pattern.pool(cells)
    blocks = pattern.blocks(cells)
    most = pattern.count_cells(sparsity, MatrixShape(*cells.shape))
    flat = blocks.reshape(-1, *blocks.shape[3:])
    return keep_rows_columns(flat, (lines >= 0).reshape(len(flat), -1), most).reshape(lines.shape)


def _group_integers(matrix: npt.NDArray[np.floating[Any]], pattern: Groups) -> Integers:
    """`to_integers`; along the input with input channels slowest in memory, so that lines need no copy."""
    if pattern.along == "input" and not pattern.aligned:
        return to_integers(matrix.transpose(2, 0, 1)).transpose(1, 2, 0)
    return to_integers(matrix)


def _keep_units(
    matrix: npt.NDArray[np.floating[Any]], pattern: Groups, sparsity: float, root: bool, prices: PriceMemory
) -> Mask:
    """Balanced groups, unit by unit, each in integers of its own."""
    shape = MatrixShape(*matrix.shape)
    mask = np.empty(matrix.shape, np.bool_)
    for index, unit in enumerate(pattern.units(shape)):
        part = MatrixShape(unit.stop - unit.start, shape.segments, shape.cols)
        count = pattern.unit_count(sparsity, part)
        cells = _group_integers(matrix[unit], pattern)
        mask[unit] = _keep_unit(cells, pattern.in_unit(), count, root, prices.hint(index))
    return mask


def _keep_unit(cells: Integers, pattern: Groups, count: int, root: bool, hint: PriceHint) -> Mask:
    """`count` groups of a part of the matrix."""
    shape = MatrixShape(*cells.shape)
    if pattern.aligned:
        return pattern.expand(top_cells(pattern.pool(cells), count), shape)
    if pattern.along == "both":
        return keep_rectangles(cells, *pattern.clipped(shape), count, root=root)
    lines, window = to_lines(cells, pattern)
    return from_lines(keep_windows(lines, window, count, root=root, hint=hint), pattern, shape)
