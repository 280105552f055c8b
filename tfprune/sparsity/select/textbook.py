# SPDX-License-Identifier: Apache-2.0
"""Groups that start anywhere along a line, by the textbook: a table over cells and counts, then one over lines.

It is slow and plainly right: what `unaligned.keep_windows` is tested against. Take it for small layers only.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tfprune.sparsity.blocks import Mask, cover_windows
from tfprune.sparsity.scores import Integers
from tfprune.sparsity.select.windows import capacity_error, window_scores

# Score of what cannot be; sums of a few stay within 64 bits.
_IMPOSSIBLE = -(2**60)


def keep_windows_by_table(cells: Integers, window: int, count: int, *, root: bool = False) -> Mask:
    """Keeps `count` disjoint windows with the largest possible total score, by the dynamic programme over counts.

    ::

        best(i, k) = max(best(i - 1, k), best(i - g, k - 1) + score(i))
        total(l, k) = max over h of total(l - 1, k - h) + best_l(n, h)

    Time and memory grow with ``cells * count``. The total score equals that of `unaligned.keep_windows`; of equal
    solutions it may take another one.

    Args:
        cells: Non-negative integer scores ``[length, lines]``.
        window: Cells in a window, 1 .. length.
        count: Windows to keep on all lines together.
        root: Score of a window: False, the sum of its cells; True, the square root of that sum.

    Returns:
        Mask of kept cells ``[length, lines]`` with exactly ``count * window`` true values.

    Raises:
        PatternError: More windows than fit.
    """
    length, lines = cells.shape
    most = length // window
    if count > most * lines:
        raise capacity_error(count, window, cells.shape)
    scores = window_scores(cells, window, root)
    curves, takes = _line_tables(scores, window, most)
    counts = _distribute(curves, count)
    starts = np.zeros(scores.shape, np.bool_)
    every = np.arange(lines)
    left, end = counts.copy(), np.full(lines, length)
    while left.any():
        chosen = takes[end, left, every] & (left > 0)
        starts[end[chosen] - window, every[chosen]] = True
        end = np.where(chosen, end - window, np.maximum(end - 1, 0))
        left -= chosen
    return cover_windows(starts, window, 0)


def _line_tables(scores: Integers, window: int, most: int) -> tuple[Integers, npt.NDArray[np.bool_]]:
    """``best(n, k)`` as ``[k, lines]``, and at ``[i, k, lines]`` whether the best of k ends with a window at i."""
    positions, lines = scores.shape
    length = positions + window - 1
    best = np.full((length + 1, most + 1, lines), _IMPOSSIBLE, np.int64)
    takes = np.zeros((length + 1, most + 1, lines), np.bool_)
    best[:, 0] = 0
    for end in range(1, length + 1):
        best[end, 1:] = best[end - 1, 1:]
        if end >= window:
            with_window = best[end - window, :-1] + scores[end - window]
            np.greater(with_window, best[end, 1:], out=takes[end, 1:])
            np.maximum(best[end, 1:], with_window, out=best[end, 1:])
    return best[length], takes


def _distribute(curves: Integers, count: int) -> npt.NDArray[np.int64]:
    """Windows of each line so that the total is best."""
    most, lines = curves.shape[0] - 1, curves.shape[1]
    total = np.full(count + 1, _IMPOSSIBLE, np.int64)
    total[0] = 0
    share = np.zeros((lines, count + 1), np.int32)
    for line in range(lines):
        grown = total + curves[0, line]
        for here in range(1, min(most, count) + 1):
            other = total[: count + 1 - here] + curves[here, line]
            better = other > grown[here:]
            grown[here:][better] = other[better]
            share[line, here:][better] = here
        total = np.maximum(grown, _IMPOSSIBLE)
    counts = np.zeros(lines, np.int64)
    left = count
    for line in range(lines - 1, -1, -1):
        counts[line] = share[line, left]
        left -= int(counts[line])
    return counts
