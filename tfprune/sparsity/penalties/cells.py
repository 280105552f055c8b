# SPDX-License-Identifier: Apache-2.0
"""The groups that a group penalty acts on: the cells of a pattern, or what a choice drops where cells overlap."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt

from tfprune.sparsity.blocks import Mask
from tfprune.sparsity.layouts import MatrixShape
from tfprune.sparsity.patterns import Groups, Pattern


@dataclass(frozen=True)
class PenaltyCells:
    """Disjoint groups of the weights of a matrix.

    Args:
        ids: ``int32 [rows, segments, cols]``: the group of every weight, or `count` for those that are in none.
        count: Number of groups.
    """

    ids: npt.NDArray[np.int32]
    count: int

    def norms(self, weights: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Euclidean norms of the groups.

        Args:
            weights: ``[rows, segments, cols]``.

        Returns:
            ``float64 [count]``.
        """
        squares = np.square(weights.astype(np.float64)).ravel()
        sums = np.bincount(self.ids.ravel(), squares, minlength=self.count + 1)[: self.count]
        result: npt.NDArray[np.float64] = np.sqrt(sums)
        return result


def pattern_cells(pattern: Pattern, shape: MatrixShape) -> PenaltyCells | None:
    """The cells of a pattern as groups.

    Args:
        pattern: The pattern; with everything filled in that it finds from weights, see `Pattern.fitted`.
        shape: Size of the matrix.

    Returns:
        The groups; None where cells overlap, or leave weights out.

    Example:
        >>> from tfprune.sparsity.patterns import Groups
        >>> pattern_cells(Groups(rows=2, aligned=True), MatrixShape(5, 1, 1)).ids.ravel()
        array([0, 0, 1, 1, 2], dtype=int32)
        >>> pattern_cells(Groups(rows=2), MatrixShape(5, 1, 1)) is None
        True
    """
    size = (shape.rows, shape.segments, shape.cols)
    sizes = pattern.pool(np.ones(size, np.int64))
    real = sizes > 0
    if int(sizes[real].sum()) != shape.size:
        return None
    count = int(real.sum())
    numbers = np.zeros(sizes.shape, np.int64)
    numbers[real] = np.arange(count)
    ids = np.zeros(size, np.int32)
    # `expand` knows which weights a cell has; asked for the cells whose number has a bit set, it spells the number.
    for bit in range(count.bit_length()):
        ids |= pattern.expand(real & (numbers >> bit & 1 == 1), shape).astype(np.int32) << bit
    # A weight of two cells has the bits of both, so some cell then holds more than its own number.
    if not np.array_equal(pattern.pool(ids.astype(np.int64))[real], (numbers * sizes)[real]):
        return None
    return PenaltyCells(ids, count)


def box_sizes(cells: PenaltyCells) -> tuple[int, int, int] | None:
    """The size of the boxes that groups are, if they are the boxes of a grid over the whole matrix.

    Args:
        cells: Groups that leave no weight out.

    Returns:
        Rows, segments and columns of a box, the last of an axis may have fewer; None for groups of other forms.

    Example:
        >>> from tfprune.sparsity.patterns import Channels, Groups
        >>> box_sizes(pattern_cells(Groups(rows=4, aligned=True), MatrixShape(10, 9, 7)))
        (4, 1, 1)
        >>> box_sizes(pattern_cells(Channels(), MatrixShape(10, 9, 7)))
        (10, 9, 1)
    """
    sizes = []
    for axis, length in enumerate(cells.ids.shape):
        others = tuple(each for each in range(3) if each != axis)
        ends = np.flatnonzero((np.diff(cells.ids, axis=axis) != 0).any(axis=others)) + 1
        size = int(ends[0]) if ends.size else length
        if not np.array_equal(ends, np.arange(size, length, size)):
            return None
        sizes.append(size)
    boxes = [-(-length // size) for length, size in zip(cells.ids.shape, sizes, strict=True)]
    # Fewer groups than boxes: some group has several.
    return (sizes[0], sizes[1], sizes[2]) if math.prod(boxes) == cells.count else None


def most_dropped_runs(pattern: Pattern, shape: MatrixShape) -> int | None:
    """How many groups `dropped_cells` finds at most.

    Between two runs there is at least one group that is kept, which is as long as the longest piece; so the pieces of a
    line are never more than if all of it were dropped.

    Args:
        pattern: The pattern.
        shape: Size of the matrix.

    Returns:
        The bound; None where each dropped weight is a group.
    """
    if not _drops_runs(pattern):
        return None
    everything = np.zeros((shape.rows, shape.segments, shape.cols), np.bool_)
    return dropped_cells(pattern, everything).count


def dropped_cells(pattern: Pattern, mask: Mask) -> PenaltyCells:
    """What a choice drops, as groups.

    Args:
        pattern: The pattern.
        mask: A mask of it, ``[rows, segments, cols]``.

    Returns:
        The groups: for `Groups` with one free axis the runs of dropped weights along it, cut every group length from
        where a run begins; else single weights. Kept weights are in none.

    Example:
        >>> from tfprune.sparsity.patterns import Groups
        >>> kept = np.array([1, 1, 0, 0, 0, 1, 1, 0], bool).reshape(8, 1, 1)
        >>> dropped_cells(Groups(rows=2), kept).ids.ravel()   # 3: in none
        array([3, 3, 0, 0, 1, 3, 3, 2], dtype=int32)
    """
    keys = _run_keys(pattern, mask) if _drops_runs(pattern) else np.arange(mask.size).reshape(mask.shape)
    used = np.zeros(mask.size, np.bool_)
    used[keys[~mask]] = True
    numbers = np.cumsum(used, dtype=np.int32) - np.int32(1)
    count = int(used.sum())
    return PenaltyCells(np.where(mask, np.int32(count), numbers[keys]), count)


def _drops_runs(pattern: Pattern) -> TypeGuard[Groups]:
    return isinstance(pattern, Groups) and not pattern.aligned and pattern.along != "both"


def _run_keys(pattern: Groups, mask: Mask) -> npt.NDArray[np.int64]:
    """A number below their count for each weight, of dropped ones the same for those of one group."""
    shape = MatrixShape(*mask.shape)
    rows, cols = pattern.clipped(shape)
    axis, length = (0, rows) if pattern.along == "output" else (2, cols)
    dropped = np.moveaxis(~mask, axis, -1)
    place = np.arange(dropped.shape[-1])
    # Weights since the last one that stays.
    run = place - np.maximum.accumulate(np.where(dropped, -1, place), axis=-1)
    piece = np.cumsum(dropped & ((run - 1) % length == 0), axis=-1)
    # On the other axis a block is one cell; segments stay apart.
    row, segment, col = np.ogrid[: shape.rows, : shape.segments, : shape.cols]
    block = col // cols if axis == 0 else row // rows
    line = segment * (int(block.max()) + 1) + block
    # A line has at least as many weights as pieces; kept weights before the first piece may have its number too.
    keys: npt.NDArray[np.int64] = line * mask.shape[axis] + np.maximum(np.moveaxis(piece, -1, axis) - 1, 0)
    return keys
