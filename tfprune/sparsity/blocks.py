# SPDX-License-Identifier: Apache-2.0
"""Blocks of neighbouring cells along an axis; the last one may be shorter."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

#: True stays: a mask of weights or of cells.
Mask: TypeAlias = npt.NDArray[np.bool_]


def block_sums(cells: npt.NDArray[Any], size: int, axis: int) -> npt.NDArray[Any]:
    """Sums neighbouring cells along one axis, `size` at a time; the last block may be shorter.

    Args:
        cells: Scores.
        size: Cells in a block, at least 1.
        axis: The axis.

    Returns:
        Array whose `axis` has ``ceil(length / size)`` blocks.
    """
    if size == 1:
        return cells
    sums: npt.NDArray[Any] = np.add.reduceat(cells, np.arange(0, cells.shape[axis], size), axis=axis)
    return sums


def spread(blocks: Mask, size: int, axis: int, length: int) -> Mask:
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


def split(cells: npt.NDArray[Any], size: int, axis: int, fill: int = 0) -> npt.NDArray[Any]:
    """Splits an axis into ``(blocks, size)``, the last block filled up.

    Args:
        cells: Array.
        size: Cells in a block, at least 1.
        axis: The axis, not negative.
        fill: What the last block is filled up with.

    Returns:
        Array with one axis more: ``ceil(length / size)`` blocks of `size` in the place of `axis`.
    """
    missing = -cells.shape[axis] % size
    if missing:
        padding = [(0, 0)] * cells.ndim
        padding[axis] = (0, missing)
        cells = np.pad(cells, padding, constant_values=fill)
    return cells.reshape(*cells.shape[:axis], -1, size, *cells.shape[axis + 1 :])


def join(blocks: npt.NDArray[Any], axis: int, length: int) -> npt.NDArray[Any]:
    """Undoes `split`.

    Args:
        blocks: Array whose axes `axis` and ``axis + 1`` are blocks and the cells in them.
        axis: The axis, not negative.
        length: Cells along the joined axis.

    Returns:
        Array with one axis less.
    """
    joined = blocks.reshape(*blocks.shape[:axis], -1, *blocks.shape[axis + 2 :])
    return joined[(slice(None),) * axis + (slice(length),)]


def window_sums(cells: npt.NDArray[Any], size: int, axis: int) -> npt.NDArray[Any]:
    """Sums of every run of `size` cells along one axis.

    Args:
        cells: Scores.
        size: Cells in a window, 1 .. length.
        axis: The axis.

    Returns:
        Array whose `axis` has ``length - size + 1`` windows.
    """
    lines = np.moveaxis(cells, axis, 0)
    count = lines.shape[0] - size + 1
    sums = lines[:count].copy()
    for offset in range(1, size):
        sums += lines[offset : offset + count]
    return np.moveaxis(sums, 0, axis)


def cover_windows(starts: Mask, size: int, axis: int) -> Mask:
    """Cells that windows cover.

    Args:
        starts: True at the first cell of each window.
        size: Cells in a window.
        axis: The axis.

    Returns:
        Mask whose `axis` has ``size - 1`` cells more.
    """
    lines = np.moveaxis(starts, axis, 0)
    covered = np.zeros((lines.shape[0] + size - 1, *lines.shape[1:]), np.bool_)
    for offset in range(size):
        covered[offset : offset + lines.shape[0]] |= lines
    return np.moveaxis(covered, 0, axis)


def tile(filled: Mask, rows: int, cols: int) -> Mask | None:
    """First cells of the disjoint rectangles that filled cells consist of.

    The first filled cell that no rectangle covers yet, row by row, must be a corner; so within a row every run of such
    cells is cut every `cols`, and nothing is left to choose.

    Args:
        filled: Mask ``[rows, segments, cols]``.
        rows: Rows of a rectangle, 1 .. R.
        cols: Columns of a rectangle, 1 .. C; rectangles lie within one segment.

    Returns:
        Mask ``[R - rows + 1, segments, C - cols + 1]``; None if the cells do not consist of such rectangles.
    """
    left = filled.copy()
    corners = np.zeros((filled.shape[0] - rows + 1, filled.shape[1], filled.shape[2] - cols + 1), np.bool_)
    place = np.arange(filled.shape[2])
    for row, cells in enumerate(left):
        count = int(np.count_nonzero(cells))
        if not count:
            continue
        # Cells since the last one that is not filled, or covered already.
        run = place - np.maximum.accumulate(np.where(cells, -1, place), axis=1)
        corner = cells & ((run - 1) % cols == 0)
        whole = int(np.count_nonzero(corner)) * cols == count and row < len(corners)
        if not whole or not left[row : row + rows, cells].all():
            return None
        corners[row] = corner[:, : corners.shape[2]]
        left[row : row + rows, cells] = False
    return corners
