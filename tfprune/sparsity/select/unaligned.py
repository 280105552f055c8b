# SPDX-License-Identifier: Apache-2.0
r"""Groups that start anywhere along a line: the optimum, by pricing.

``f(k)``, the best score of ``k`` disjoint windows on all lines together, is concave: the constraint matrix (windows
over positions, plus the count) has consecutive ones in every row, hence is totally unimodular. So with a price ``p`` on
each window the count that pays best falls step by step as ``p`` rises, and the price-only problem is easy::

    best(i) = max(best(i - 1), best(i - g) + score(i) - p)          # i: cells of the line used so far

It takes O(cells) a price, for all lines at once. A search over integer prices finds the one whose count fits.

*Counts.* Scores and prices are integers, so counts change only at integer prices. Everything is multiplied by
``scale > windows on a line`` and a window costs ``p * scale + 1``: a price just above ``p``, where the optimal count is
unique, and ``-best mod scale`` is that count.

*Ties.* Where the wanted count lies inside a step, the optimum with the smallest count (price just above ``p``) and the
one with the largest (just below) both score best. Laid over each other, overlapping windows form chains that alternate
between the two::

    few    [----]   [----]      [----]
    many [----][----]    [----] [----]
         \__ chain: +1 window _/ \ +0 /

A chain can be swapped on its own without losing score, or one of the two would not have been optimal. Chains that gain
one window are swapped, in order of lines and positions, until the count is right: exact, unique, the same on every
machine.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from tfprune.sparsity.scores import Integers, integer_roots
from tfprune.sparsity.select.rank import top_cells

Mask = npt.NDArray[np.bool_]

# Cells whose priced scores are computed at a time: they stay in a core's second-level cache.
_CHUNK_CELLS = 32768
_LIMIT = 2**62


def keep_windows(cells: Integers, window: int, count: int, *, root: bool = False) -> Mask:
    """Keeps `count` disjoint windows with the largest possible total score.

    Args:
        cells: Non-negative integer scores ``[length, lines]``, at most ``2 ** 30`` times the cells summed into each.
        window: Cells in a window, 1 .. length.
        count: Windows to keep on all lines together, 0 .. ``lines * (length // window)``.
        root: Score of a window: False, the sum of its cells; True, the square root of that sum.

    Returns:
        Mask of kept cells ``[length, lines]`` with exactly ``count * window`` true values.
    """
    if window == 1:
        # Single cells in line order, as the chains below are.
        return np.ascontiguousarray(top_cells(np.ascontiguousarray(cells.T), count).T)
    if count == 0:
        return np.zeros(cells.shape, np.bool_)
    starts = _choose_starts(_window_scores(cells, window, root), window, count, int(np.count_nonzero(cells)), root)
    kept = np.zeros(cells.shape, np.bool_)
    for offset in range(window):
        kept[offset : offset + starts.shape[0]] |= starts
    return kept


def _window_scores(cells: Integers, window: int, root: bool) -> Integers:
    """Scores of all windows, ``[length - window + 1, lines]``."""
    positions = cells.shape[0] - window + 1
    scores = cells[:positions].copy()
    for offset in range(1, window):
        scores += cells[offset : offset + positions]
    return integer_roots(scores) if root else scores


def _choose_starts(scores: Integers, window: int, count: int, nonzero: int, root: bool) -> Mask:
    """First cells of the chosen windows, ``[positions, lines]``. Overwrites `scores`."""
    per_line = (scores.shape[0] + window - 1) // window
    largest = int(scores.max())
    scale = 1 << per_line.bit_length()
    # Keys stay below `_LIMIT`: prices of summed scores are never negative; those of other scores are at
    # least -per_line * largest. Only lines of more than about 100,000 cells (4,000 for roots) need fewer bits.
    monotone = not root and largest * scale * per_line < _LIMIT
    shift = 0
    while not monotone and (largest >> shift) * scale * per_line * (per_line + 1) >= _LIMIT:
        shift += 1
    scores >>= shift
    largest >>= shift
    capacity = per_line * scores.shape[1]
    low = -1 if monotone else -per_line * largest - 1
    guess = 0 if nonzero <= count * window else _typical_price(scores, window, count)
    scores *= scale
    lines = _PricedLines(scores, window, scale)
    if count == capacity:
        return lines.solve(low)
    price, exact = find_price(lines.count, count, low, largest, guess)
    if exact:
        return lines.solve(price)
    return _swap_chains(lines.solve(price), lines.solve(price - 1), window, count)


def _typical_price(scores: Integers, window: int, count: int) -> int:
    """A first guess: the price that would keep `count` windows of a grid."""
    stride = max(1, scores.size // window // 65536)
    grid = scores[::window, ::stride]
    rank = min(grid.size - 1, count // stride)
    return int(np.partition(grid, grid.size - 1 - rank, axis=None)[grid.size - 1 - rank])


def find_price(count_at: Callable[[int], int], target: int, low: int, high: int, guess: int) -> tuple[int, bool]:
    """Searches the integer price at which a falling count meets a target.

    Bisection, sped up by interpolation: the result does not depend on `guess`, beyond which of several prices of equal
    count is returned.

    Args:
        count_at: Count at a price; never rises with the price.
        target: Wanted count.
        low: Price with a count above `target`.
        high: Price with a count below `target`.
        guess: Where to look first.

    Returns:
        ``(price, True)`` where the count equals `target`, else ``(price, False)`` for the least price with a count
        below `target` (the count at ``price - 1`` is then above it).
    """
    # Distances of the counts from the target; None: not computed yet.
    above: float | None = None
    below: float | None = None
    side = 0
    trial, stride = guess, max(1, abs(guess) // 16)
    while high - low > 1:
        trial = min(max(trial, low + 1), high - 1)
        found = count_at(trial) - target
        if found == 0:
            return trial, True
        if found > 0:
            low, above, side = trial, found, max(side, 0) + 1
        else:
            high, below, side = trial, -found, min(side, 0) - 1
        if above is None or below is None:
            trial, stride = trial + (stride if found > 0 else -stride), stride * 4
        elif abs(side) > 2:
            trial = (low + high) // 2
        else:
            # Illinois rule: an end that stayed twice counts half, so that it moves next time.
            above, below = (above, below / 2) if side == 2 else (above / 2, below) if side == -2 else (above, below)
            trial = low + int((high - low) * (above / (above + below)))
    return high, False


class _PricedLines:
    """The price-only problem on all lines.

    Args:
        keys: Window scores times `scale`, ``[positions, lines]``.
        window: Cells in a window, at least 2.
        scale: Power of two above the number of windows on a line.
    """

    def __init__(self, keys: Integers, window: int, scale: int) -> None:
        """Allocates the scratch rows."""
        self._keys = keys
        self._window = window
        self._scale = scale
        self._chunk = max(1, _CHUNK_CELLS // keys.shape[1])
        self._scratch = np.empty((self._chunk, keys.shape[1]), np.int64)

    def count(self, price: int) -> int:
        """Windows in the best solution at a price just above `price`."""
        return int((-self._best(price, None) & (self._scale - 1)).sum())

    def solve(self, price: int) -> Mask:
        """First cells of the best solution just above `price`; of equal ones, the one that leaves late cells free."""
        positions, lines = self._keys.shape
        starts: Mask = np.empty((positions, lines), np.bool_)
        self._best(price, starts)
        end = np.full(lines, positions + self._window, np.int32)
        for start in range(positions - 1, -1, -1):
            row = starts[start]
            np.logical_and(row, end >= start + self._window, out=row)
            np.copyto(end, start, where=row)
        return starts

    def _best(self, price: int, takes: Mask | None) -> Integers:
        """Best keys of whole lines; `takes` receives where ending a window here beats not doing so."""
        window, lines = self._window, self._keys.shape[1]
        charge = price * self._scale + 1
        ring = [np.zeros(lines, np.int64) for _ in range(window)]
        previous = ring[-1]
        for first in range(0, self._keys.shape[0], self._chunk):
            keys = self._keys[first : first + self._chunk]
            priced = np.subtract(keys, charge, out=self._scratch[: keys.shape[0]])
            for position, row in enumerate(priced, first):
                # The slot holds best(i - window) and becomes best(i).
                slot = ring[position % window]
                np.add(slot, row, out=slot)
                if takes is not None:
                    np.greater(slot, previous, out=takes[position])
                np.maximum(slot, previous, out=slot)
                previous = slot
        return previous


def _swap_chains(few: Mask, many: Mask, window: int, count: int) -> Mask:
    """Mixes two optimal solutions into one with `count` windows; see the module's description."""
    length = few.shape[0]  # start positions; the last ones of a line have room for their window
    few_lines: Mask = np.ascontiguousarray(few.T)
    many_lines: Mask = np.ascontiguousarray(many.T)
    # A cell continues its chain if some window covers it and the cell before.
    joined: Mask = np.zeros(few_lines.shape, np.bool_)
    for offset in range(1, min(window, length)):
        joined[:, offset:] |= (few_lines | many_lines)[:, : length - offset]
    joined[:, 0] = False
    chain = np.cumsum(~joined.reshape(-1), dtype=np.int64)
    gain = np.bincount(chain[many_lines.reshape(-1)], minlength=int(chain[-1]) + 1)
    gain -= np.bincount(chain[few_lines.reshape(-1)], minlength=gain.size)
    missing = count - int(np.count_nonzero(few_lines))
    swapped = np.zeros(gain.size, np.bool_)
    swapped[np.flatnonzero(gain == 1)[:missing]] = True
    mixed = np.where(swapped[chain].reshape(few_lines.shape), many_lines, few_lines)
    return np.ascontiguousarray(mixed.T)
