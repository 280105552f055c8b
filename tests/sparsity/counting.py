# SPDX-License-Identifier: Apache-2.0
"""Cells of a mask, counted by taking them off: what a pattern's counts are compared with."""

from __future__ import annotations

import numpy as np

from tfprune.sparsity.layouts import MatrixShape
from tfprune.sparsity.patterns import BlockRowsColumns, Groups, KernelPatterns, Pattern


def crosses_a_cut(region: np.ndarray, unit_rows: int) -> bool:
    """Whether weights lie in several units of rows."""
    return len({*(np.flatnonzero(region.any(axis=(1, 2))) // unit_rows).tolist()}) > 1


def count_cells(pattern: Pattern, mask: np.ndarray, scores: np.ndarray) -> int:
    """Cells of a mask, which must consist of whole cells."""
    if isinstance(pattern, Groups):
        return count_windows(pattern, mask)
    if isinstance(pattern, BlockRowsColumns):
        for block in pattern.blocks(mask.astype(np.int64)).reshape(-1, *pattern.clipped(MatrixShape(*mask.shape))):
            assert np.array_equal(block, np.outer(block.any(axis=1), block.any(axis=0)))
        return int(mask.sum())
    fitted = pattern.fitted(scores)
    if isinstance(fitted, KernelPatterns):
        shapes = {
            tuple(np.flatnonzero(kernel).tolist()) for kernel in mask.transpose(0, 2, 1).reshape(-1, mask.shape[1])
        }
        assert isinstance(fitted.library, tuple)
        assert shapes <= {(), *fitted.library}
        return int(mask.any(axis=1).sum())
    sizes, kept = fitted.pool(np.ones(mask.shape, np.int64)), fitted.pool(mask.astype(np.int64))
    real = sizes > 0
    assert np.isin(kept[real] / sizes[real], (0, 1)).all()
    if fitted.kept_per_unit is not None:
        units = np.where(real, kept == sizes, False).sum(axis=-1)
        assert (units == np.minimum(fitted.kept_per_unit, real.sum(axis=-1))).all()
    return int((kept[real] > 0).sum())


def count_windows(pattern: Groups, mask: np.ndarray) -> int:
    """Groups of all units; balanced units of one height must have as many."""
    found: dict[int, list[int]] = {}
    for unit in pattern.units(MatrixShape(*mask.shape)):
        count = count_in_unit(pattern, mask[unit])
        assert count is not None, "groups overlap, are cut or stand beside the grid"
        found.setdefault(unit.stop - unit.start, []).append(count)
    if pattern.balanced:
        assert all(len({*counts}) == 1 for counts in found.values()), found
    return sum(map(sum, found.values()))


def count_in_unit(pattern: Groups, mask: np.ndarray) -> int | None:
    """Groups taken off one by one, first row and column first; None if that leaves something."""
    left = mask.copy()
    free_rows, free_cols = pattern.free_axes()
    rows, cols = pattern.clipped(MatrixShape(*left.shape))
    count = 0
    for row, segment, col in np.ndindex(left.shape):
        if not left[row, segment, col]:
            continue
        block = left[row : row + rows, segment, col : col + cols]
        on_grid = (free_rows or row % rows == 0) and (free_cols or col % cols == 0)
        whole = (not free_rows or block.shape[0] == rows) and (not free_cols or block.shape[1] == cols)
        if not (on_grid and whole and block.all()):
            return None
        block[...] = False
        count += 1
    return count
