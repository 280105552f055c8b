# SPDX-License-Identifier: Apache-2.0
"""Groups that start anywhere along a line, chosen greedily: for comparison with the optimum.

Take the best window, forbid those that overlap it, repeat. A window that beats all windows it overlaps is taken
whatever happens elsewhere, so all such windows are taken at once, round by round, with the result of one after the
other. The scores taken in turn never rise; so the first `count` are the best `count` of all, and windows below the
last of them need not be looked at.

Source: the baseline of Lee et al., *Block Expansion and Division*, 2024 (arXiv 2407.19644).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tfprune.errors import PatternError
from tfprune.sparsity.blocks import Mask, cover_windows
from tfprune.sparsity.scores import Integers
from tfprune.sparsity.select.rank import top_cells
from tfprune.sparsity.select.windows import capacity_error, window_scores

Indices = npt.NDArray[np.int64]


def keep_windows_greedily(cells: Integers, window: int, count: int, *, root: bool = False) -> Mask:
    """Keeps `count` disjoint windows: the best, then the best that does not overlap it, and so on.

    Args:
        cells: Non-negative integer scores ``[length, lines]``.
        window: Cells in a window, 1 .. length.
        count: Windows to keep on all lines together.
        root: Score of a window: False, the sum of its cells; True, the square root of that sum (the same choice up to
            rounding, as the larger sum has the larger root).

    Returns:
        Mask of kept cells ``[length, lines]`` with exactly ``count * window`` true values. Of equal windows the one on
        the earlier line, then at the earlier cell, is taken first.

    Raises:
        PatternError: Fewer than `count` windows found a place: greedy windows leave gaps that none fits into.
    """
    length, lines = cells.shape
    if count > length // window * lines:
        raise capacity_error(count, window, cells.shape)
    if count == 0:
        return np.zeros(cells.shape, np.bool_)
    scores = np.ascontiguousarray(window_scores(cells, window, root).T).reshape(-1)
    positions = length - window + 1
    considered = min(scores.size, 3 * count)
    while True:
        least = np.partition(scores, scores.size - considered)[scores.size - considered]
        candidates = np.flatnonzero(scores >= least)
        # Places with a gap between lines, so that a distance tells whether two windows overlap.
        taken = candidates[_take_all(scores[candidates], candidates + candidates // positions * window, window)]
        # As long as it is whole, a prefix of the order of taking does not depend on worse candidates.
        if taken.size >= count:
            break
        if candidates.size == scores.size:
            raise PatternError(
                f"Greedy windows must leave room for {count} windows of {window} cells on {lines} lines of {length}. "
                f"Received: scores where only {taken.size} find a place. Ask for fewer, or choose them with "
                "`unaligned.keep_windows`."
            )
        considered = min(scores.size, 2 * candidates.size)
    starts = np.zeros(scores.size, np.bool_)
    starts[taken[top_cells(scores[taken], count)]] = True
    return cover_windows(np.ascontiguousarray(starts.reshape(lines, positions).T), window, 0)


def _take_all(scores: Integers, places: Indices, window: int) -> Mask:
    """Which of some windows greedy takes if it goes on for as long as it can.

    Args:
        scores: Scores.
        places: Rising places; windows closer than `window` overlap.
        window: Cells in a window.

    Returns:
        Mask of the windows.
    """
    taken = np.zeros(scores.size, np.bool_)
    left = np.arange(scores.size)
    while left.size:
        here, value = places[left], scores[left]
        beaten = np.zeros(left.size, np.bool_)
        overlaps = []
        for step in range(1, min(window, left.size)):
            close = here[step:] - here[:-step] < window
            later_wins = value[step:] > value[:-step]
            beaten[:-step] |= close & later_wins
            beaten[step:] |= close & ~later_wins
            overlaps.append(close)
        wins = ~beaten
        gone = wins.copy()
        for step, close in enumerate(overlaps, 1):
            gone[:-step] |= close & wins[step:]
            gone[step:] |= close & wins[:-step]
        taken[left[wins]] = True
        left = left[~gone]
    return taken
