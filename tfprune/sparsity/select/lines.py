# SPDX-License-Identifier: Apache-2.0
"""A weight matrix as the lines that unaligned groups lie on, and back."""

from __future__ import annotations

import numpy as np

from tfprune.sparsity.blocks import Mask, block_sums, spread
from tfprune.sparsity.layouts import MatrixShape
from tfprune.sparsity.patterns import Groups
from tfprune.sparsity.scores import Integers


def to_lines(cells: Integers, pattern: Groups) -> tuple[Integers, int]:
    """Sums scores over the aligned axis and lays the free one down the lines.

    Args:
        cells: Scores ``[rows, segments, cols]``.
        pattern: Unaligned groups along the output or the input.

    Returns:
        Scores ``[length, lines]`` and the cells of a window.
    """
    rows, cols = pattern.clipped(MatrixShape(*cells.shape))
    if pattern.along == "output":
        return np.ascontiguousarray(block_sums(cells, cols, 2).reshape(cells.shape[0], -1)), rows
    return np.ascontiguousarray(block_sums(cells, rows, 0).reshape(-1, cells.shape[2]).T), cols


def from_lines(kept: Mask, pattern: Groups, shape: MatrixShape) -> Mask:
    """Undoes `to_lines` for a mask.

    Args:
        kept: Mask ``[length, lines]``.
        pattern: The pattern.
        shape: Matrix size.

    Returns:
        Mask ``[rows, segments, cols]``.
    """
    rows, cols = pattern.clipped(shape)
    if pattern.along == "output":
        return spread(kept.reshape(shape.rows, shape.segments, -1), cols, 2, shape.cols)
    return spread(np.ascontiguousarray(kept.T).reshape(-1, shape.segments, shape.cols), rows, 0, shape.rows)
