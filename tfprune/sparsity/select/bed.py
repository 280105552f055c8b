# SPDX-License-Identifier: Apache-2.0
"""Groups that start anywhere along a line, chosen by block expansion and division (BED): for comparison.

*Expansion*: take the best window of a line and delete its cells from the line, so that later windows may span the hole.
With ``S[b]`` the score of the window that starts at the line's remaining cell ``b``, taking ``b`` changes ``g - 1``
others::

    S[b - j] += S[b - j + g] - S[b]        # j = 1 .. g - 1

*Division*: in the end every run of kept cells is a multiple of ``g`` long, and is cut into windows.

Scores taken from one line never rise: a window that spans a hole is worth ``S[b - j] + S[b - j + g] - S[b]``, and both
terms are at most ``S[b]``. So every line goes its own way, all lines at once, and the best `count` of what they took
are kept. BED never gives a cell back, so it is close to the optimum, but not the optimum.

Source: Lee et al., 2024 (arXiv 2407.19644); the arrangement over lines is our own.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tfprune.sparsity.blocks import Mask
from tfprune.sparsity.scores import Integers
from tfprune.sparsity.select.rank import top_cells
from tfprune.sparsity.select.windows import capacity_error, window_scores

# Score of a window that runs over the end of its line.
_NONE = -(2**60)


def keep_windows_by_expansion(cells: Integers, window: int, count: int, *, root: bool = False) -> Mask:
    """Keeps `count` disjoint windows by block expansion and division.

    Args:
        cells: Non-negative integer scores ``[length, lines]``.
        window: Cells in a window, 1 .. length.
        count: Windows to keep on all lines together.
        root: Ignored: the window with the larger sum has the larger root, so the choice is the same.

    Returns:
        Mask of kept cells ``[length, lines]`` with exactly ``count * window`` true values.

    Raises:
        PatternError: More windows than fit.
    """
    length, lines = cells.shape
    if count > length // window * lines:
        raise capacity_error(count, window, cells.shape)
    if count == 0:
        return np.zeros(cells.shape, np.bool_)
    expansion = _Expansion(cells, window)
    taken: list[Integers] = []
    while True:
        taken.append(expansion.step())
        if len(taken) * lines < count:
            continue
        found = np.array(taken)
        least = np.partition(found, found.size - count, axis=None)[found.size - count]
        # What a line takes later is worth no more than what it took last.
        expansion.retire(found[-1] > least)
        if expansion.lines == 0:
            break
    chosen = top_cells(np.array(taken), count).sum(axis=0)
    return np.ascontiguousarray((expansion.turn <= chosen[:, np.newaxis]).T)


class _Expansion:
    """Lines of cells that windows are cut out of.

    Remaining cells are linked in both directions; cell 0 and cell ``length + 1`` are the ends of a line.

    Args:
        cells: Scores ``[length, lines]``.
        window: Cells in a window.
    """

    def __init__(self, cells: Integers, window: int) -> None:
        """Links the cells of every line."""
        length, lines = cells.shape
        self._window, self._width = window, length + 2
        sums = np.full((lines, self._width), _NONE, np.int64)
        sums[:, 1 : length - window + 2] = window_scores(cells, window, False).T
        self._sums = sums
        self._after = np.tile(np.minimum(np.arange(1, self._width + 1, dtype=np.int32), length + 1), (lines, 1))
        self._before = np.tile(np.maximum(np.arange(-1, self._width - 1, dtype=np.int32), 0), (lines, 1))
        self._line = np.arange(lines)
        self._steps = 0
        # Step at which a cell was taken, from 1.
        self._turn = np.full((lines, self._width), np.iinfo(np.int32).max, np.int32)

    @property
    def lines(self) -> int:
        """Lines that still take windows."""
        return self._line.size

    @property
    def turn(self) -> npt.NDArray[np.int32]:
        """Step at which each cell was taken, ``[lines, length]``; huge if it was not."""
        return self._turn[:, 1:-1]

    def step(self) -> Integers:
        """Takes the best window of every line.

        Returns:
            Scores taken on all lines; negative where there was none.
        """
        self._steps += 1
        window, rows = self._window, np.arange(self.lines) * self._width
        sums, after, before = self._sums.reshape(-1), self._after.reshape(-1), self._before.reshape(-1)
        first = self._sums.argmax(axis=1)
        score = sums[rows + first]
        result = np.full(self._turn.shape[0], -1, np.int64)
        result[self._line] = np.maximum(score, -1)
        members = [first]
        for _ in range(window - 1):
            members.append(after[rows + members[-1]])
        follower = after[rows + members[-1]]
        earlier = before[rows + first]
        after[rows + earlier] = follower
        before[rows + follower] = earlier
        for member in reversed(members[1:]):
            place = rows + earlier
            sums[place] = np.maximum(sums[place] + sums[rows + member] - score, _NONE)
            earlier = before[place]
        sums[rows] = _NONE
        turn = self._turn.reshape(-1)
        for member in members:
            sums[rows + member] = _NONE
            turn[self._line * self._width + member] = self._steps
        return result

    def retire(self, going_on: npt.NDArray[np.bool_]) -> None:
        """Lets lines stop.

        Args:
            going_on: Lines, of all, that may take another window.
        """
        still = going_on[self._line]
        # Taking rows out costs as much as a few steps.
        if np.count_nonzero(still) * 4 > 3 * still.size:
            return
        self._line = self._line[still]
        self._sums, self._after, self._before = self._sums[still], self._after[still], self._before[still]
