# SPDX-License-Identifier: Apache-2.0
"""Groups on a grid: sum each block, keep the best blocks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tfprune.sparsity.scores import Integers
from tfprune.sparsity.select.rank import top_cells


def block_sums(cells: Integers, size: int, axis: int) -> Integers:
    """Sums neighbouring cells along one axis, `size` at a time; the last block may be shorter.

    Args:
        cells: Integer scores.
        size: Cells in a block, at least 1.
        axis: The axis.

    Returns:
        Array whose `axis` has ``ceil(length / size)`` blocks.
    """
    if size == 1:
        return cells
    return np.add.reduceat(cells, np.arange(0, cells.shape[axis], size), axis=axis)


def spread(blocks: npt.NDArray[np.bool_], size: int, axis: int, length: int) -> npt.NDArray[np.bool_]:
    """Undoes `block_sums` for a mask: repeats every block `size` times, cut at `length`.

    Args:
        blocks: Mask of blocks.
        size: Cells in a block.
        axis: The axis.
        length: Its length in cells.

    Returns:
        Mask of cells.
    """
    if size == 1:
        return blocks
    return np.take(blocks, np.arange(length) // size, axis=axis)


def keep_aligned(cells: Integers, rows: int, cols: int, count: int) -> npt.NDArray[np.bool_]:
    """Keeps the `count` best groups of a grid.

    Args:
        cells: Integer scores ``[R, segments, C]``.
        rows: Rows of a group.
        cols: Columns of a group.
        count: Groups to keep.

    Returns:
        Mask ``[R, segments, C]``; of groups with equal sums, those first in C order are kept.
    """
    kept = top_cells(block_sums(block_sums(cells, rows, 0), cols, 2), count)
    return spread(spread(kept, rows, 0, cells.shape[0]), cols, 2, cells.shape[2])
