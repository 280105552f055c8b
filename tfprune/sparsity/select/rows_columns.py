# SPDX-License-Identifier: Apache-2.0
"""Rows and columns of blocks: greedy removal, all blocks in step, merged by what a removal costs a weight.

In every block the row or column whose remaining weights score least on average goes next. What a removal costs a weight
is never counted lower than an earlier one of the same block, so sorting the removals of all blocks by it keeps their
order within a block; the cheapest are carried out until few enough weights are left.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tfprune.sparsity.scores import Integers


def keep_rows_columns(blocks: Integers, real: npt.NDArray[np.bool_], most: int) -> npt.NDArray[np.bool_]:
    """Chooses the rows and columns of blocks that stay.

    Args:
        blocks: Scores ``[blocks, rows, cols]``.
        real: False in rows and columns that only fill a block up, ``[blocks, rows + cols]``.
        most: Weights that may stay, 0 .. all real ones.

    Returns:
        Mask of rows, then columns, ``[blocks, rows + cols]``. At most `most` weights stay, and less than one row or
        column of one block fewer.
    """
    lines, prices, removed = _removals(blocks, real.copy())
    ranked = np.argsort(prices, axis=None, kind="stable")
    gone = np.cumsum(removed.reshape(-1)[ranked])
    missing = int(gone[-1]) - most
    steps = ranked[: int(np.searchsorted(gone, missing)) + 1 if missing > 0 else 0]
    kept = real.copy()
    kept[steps // lines.shape[1], lines.reshape(-1)[steps]] = False
    return kept


def _removals(
    blocks: Integers, alive: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """The lines of each block in the order they go, what each costs a weight, and the weights it removes.

    Once a block is empty its removals have the price infinity and remove nothing. Overwrites `alive`.
    """
    count, rows, cols = blocks.shape
    every = np.arange(count)
    sums = np.concatenate((blocks.sum(axis=2), blocks.sum(axis=1)), axis=1)
    lines = np.zeros(alive.shape, np.int64)
    prices = np.full(alive.shape, np.inf)
    removed = np.zeros(alive.shape, np.int64)
    dearest = np.zeros(count)
    for step in range(rows + cols):
        rows_left, cols_left = alive[:, :rows].sum(axis=1), alive[:, rows:].sum(axis=1)
        length = np.concatenate((np.repeat(cols_left[:, None], rows, 1), np.repeat(rows_left[:, None], cols, 1)), 1)
        cost = np.where(alive & (length > 0), sums / np.maximum(length, 1), np.inf)
        chosen = cost.argmin(axis=1)
        np.maximum(dearest, cost[every, chosen], out=dearest)
        going = np.isfinite(dearest)
        lines[:, step], prices[:, step] = chosen, dearest
        removed[going, step] = length[every, chosen][going]
        alive[every[going], chosen[going]] = False
        _subtract(sums, blocks, chosen)
    return lines, prices, removed


def _subtract(sums: Integers, blocks: Integers, chosen: npt.NDArray[np.intp]) -> None:
    """Takes the scores of one row or column a block out of the sums of the columns or rows that cross it."""
    rows = blocks.shape[1]
    by_row = np.flatnonzero(chosen < rows)
    sums[by_row, rows:] -= blocks[by_row, chosen[by_row], :]
    by_col = np.flatnonzero(chosen >= rows)
    sums[by_col, :rows] -= blocks[by_col, :, chosen[by_col] - rows]
