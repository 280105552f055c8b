# SPDX-License-Identifier: Apache-2.0
r"""Groups that start anywhere along a line: the optimum, by pricing.

``f(k)``, the best score of ``k`` disjoint windows on all lines together, is concave: the constraint matrix (windows
over positions, plus the count) has consecutive ones in every row, hence is totally unimodular. So with a price ``p`` on
each window the count that pays best falls step by step as ``p`` rises, and the price-only problem is easy::

    best(i) = max(best(i - 1), best(i - g) + score(i) - p)          # i: cells of the line used so far

It takes O(cells) a price, for all lines at once. `find_price` finds the integer price whose count fits.

*Counts.* Scores and prices are integers, so counts change only at integer prices. Everything is multiplied by
``scale > windows on a line`` and a window costs ``p * scale + 1``: a price just above ``p``, where the optimal count is
unique, and ``-best mod scale`` is that count.

*One answer.* Of equal solutions of a line the one that leaves late cells free is taken. Prices of equal count have the
same solutions on every line, so the mask does not depend on the price that the search happened to find.

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

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tfprune.sparsity.blocks import Mask, cover_windows
from tfprune.sparsity.scores import Integers, integer_roots
from tfprune.sparsity.select.prices import Guess, PriceHint, find_price
from tfprune.sparsity.select.rank import top_cells
from tfprune.sparsity.select.recurrence import CHUNK_CELLS, SHORT_CALLS, best_keys
from tfprune.sparsity.select.windows import AnyIntegers

_LIMIT = 2**62
# Lines whose ties are resolved at a time: few enough for little memory, many enough for numpy.
_MIXED_LINES = 256
# Windows of a grid that the first guess looks at.
_SAMPLE = 16384


def keep_windows(
    cells: AnyIntegers, window: int, count: int, *, root: bool = False, hint: PriceHint | None = None
) -> Mask:
    """Keeps `count` disjoint windows with the largest possible total score.

    Args:
        cells: Non-negative integer scores ``[length, lines]``, at most ``2 ** 30`` times the cells summed into each.
        window: Cells in a window, 1 .. length.
        count: Windows to keep on all lines together, 0 .. ``lines * (length // window)``.
        root: Score of a window: False, the sum of its cells; True, the square root of that sum.
        hint: What the last choice on similar scores learnt, and receives what this one learns. It saves time and does
            not change the result.

    Returns:
        Mask of kept cells ``[length, lines]`` with exactly ``count * window`` true values.
    """
    if window == 1:
        # Single cells in line order, as the chains below are.
        return np.ascontiguousarray(top_cells(np.ascontiguousarray(cells.T), count).T)
    if count == 0:
        return np.zeros(cells.shape, np.bool_)
    return cover_windows(PricedLines(cells, window, root).choose(count, hint), window, 0)


class PricedLines:
    """The choice of windows on all lines, by price.

    Args:
        cells: Non-negative integer scores ``[length, lines]``.
        window: Cells in a window, 2 .. length.
        root: Whether a window's score is the square root of its sum.
        shift: Least number of low bits of the scores to drop. More are dropped only from lines of more than about
            100,000 cells (4,000 for roots), where sums would not fit 64 bits.
    """

    def __init__(self, cells: AnyIntegers, window: int, root: bool = False, shift: int = 0) -> None:
        """Computes the scores of all windows."""
        length, self.lines = cells.shape
        self._window = window
        self._per_line = length // window
        self._scale = 1 << self._per_line.bit_length()
        self.capacity = self._per_line * self.lines
        largest = window * int(cells.max())
        if root:
            largest = int(integer_roots(np.array([largest]))[0])
        # With cut-off bits a window's score is no sum of cells any more.
        self.shift, self.monotone = shift, not root and shift == 0
        while not self._fits(largest >> self.shift):
            # Sums never fall with another window. Where the prices they need do not fit, treat them as roots.
            self.shift, self.monotone = (self.shift, False) if self.monotone else (self.shift + 1, False)
        self.high = (largest >> self.shift) + 1
        self.low = -1 if self.monotone else -self._per_line * self.high - 1
        self._keys = self._window_keys(cells, root)
        self.reset()

    def _fits(self, largest: int) -> bool:
        """Whether best keys fit 64 bits: prices are never negative for sums, else at least -per_line * largest."""
        bound: int = (largest + 1) * self._scale * self._per_line
        return (bound if self.monotone else bound * (self._per_line + 2)) < _LIMIT

    def _window_keys(self, cells: AnyIntegers, root: bool) -> Integers:
        """Scores of all windows times the scale, ``[length - window + 1, lines]``."""
        window, positions = self._window, cells.shape[0] - self._window + 1
        keys = np.empty((positions, self.lines), np.int64)
        step = max(window, CHUNK_CELLS // self.lines)
        for first in range(0, positions, step):
            out = keys[first : first + step]
            part = cells[first : first + len(out) + window - 1].astype(np.int64)
            np.add(part[: len(out)], part[1 : 1 + len(out)], out=out)
            for offset in range(2, window):
                out += part[offset : offset + len(out)]
            if root:
                out[...] = integer_roots(out)
            if self.shift:
                out >>= self.shift
            out *= self._scale
        return keys

    def reset(self) -> None:
        """Forgets the bracket of a search: all lines are open between no window and as many as fit."""
        self._open: npt.NDArray[np.intp] = np.arange(self.lines)
        self._open_keys = self._keys
        self._low_counts = np.full(self.lines, self._per_line, np.int64)
        self._high_counts = np.zeros(self.lines, np.int64)
        self._settled = 0
        # Best keys at the ends of the bracket as counts and scores; those of the untried ends are only bounds.
        self._low_scores = self._high_scores = np.zeros(self.lines, np.int64)
        self._trial_counts = self._trial_scores = np.zeros((0, self.lines), np.int64)

    @property
    def width(self) -> int:
        """Lines whose counts are still open."""
        return self._open.size

    def totals(self, prices: Sequence[int]) -> Integers:
        """Windows on all lines in the best solutions at prices just above these."""
        best = self._best(self._open_keys, prices)
        self._trial_counts = -best & (self._scale - 1)
        charges = np.array(prices, np.int64)[:, np.newaxis] * self._scale + 1
        self._trial_scores = (best + self._trial_counts * charges) // self._scale
        totals: Integers = self._trial_counts.sum(axis=1) + self._settled
        return totals

    def narrow(self, low: int | None, high: int | None) -> None:
        """Takes trials of the last `totals` for the ends of the bracket; settles lines with equal counts there."""
        if low is not None:
            self._low_counts, self._low_scores = self._trial_counts[low], self._trial_scores[low]
        if high is not None:
            self._high_counts, self._high_scores = self._trial_counts[high], self._trial_scores[high]
        still = self._low_counts != self._high_counts
        # Taking the open lines out costs as much as a trial of them.
        if np.count_nonzero(still) * 2 > still.size:
            return
        self._settled += int(self._low_counts[~still].sum())
        self._open, self._open_keys = self._open[still], self._open_keys.compress(still, axis=1)
        self._low_counts, self._low_scores = self._low_counts[still], self._low_scores[still]
        self._high_counts, self._high_scores = self._high_counts[still], self._high_scores[still]

    def steps(self) -> tuple[Integers, Integers]:
        """Mean price of the windows that each line has more at the low end of the bracket, and how many they are."""
        more = self._low_counts - self._high_counts
        open_lines = more > 0
        amounts = more[open_lines]
        return (self._low_scores - self._high_scores)[open_lines] // amounts, amounts

    def choose(self, count: int, hint: PriceHint | None = None) -> Mask:
        """First cells of the best `count` windows.

        Args:
            count: 1 .. `capacity`.
            hint: Where the price may be; receives where it was. None: nothing is known.

        Returns:
            Mask ``[positions, lines]``.
        """
        if count == self.capacity:
            return self.solve(self.low)
        hint = hint or PriceHint()
        typical = self.typical(count)
        guess = Guess(typical.price * (hint.ratio if typical.price > 0 else 1.0), typical.slope)
        price, exact = find_price([self], count, self.low, self.high, guess)
        if typical.price > 0 and price > 0:
            hint.ratio = price / typical.price
        return self.solve_between(price, None if exact else count)

    def solve_between(self, price: int, count: int | None) -> Mask:
        """First cells of a best solution at a price found by `find_price`, by which the bracket stands.

        Args:
            price: The price.
            count: Windows to keep, more than at the price and fewer than at the one below; None: those at the price.

        Returns:
            Mask ``[positions, lines]``.
        """
        tied, more = self._open, self._low_counts - self._high_counts
        self.reset()
        starts = self.solve(price)
        if count is None:
            return starts
        missing = count - int(np.count_nonzero(starts))
        # Lines are mixed in their order, only as many as it takes, a few at a time.
        tied, more = tied[more > 0], more[more > 0]
        needed = int(np.searchsorted(np.cumsum(more), missing)) + 1
        for first in range(0, needed, _MIXED_LINES):
            lines = tied[first : min(first + _MIXED_LINES, needed)]
            few = starts[:, lines]
            mixed = swap_chains(few, self.solve(price - 1, lines), self._window, missing)
            missing -= int(np.count_nonzero(mixed)) - int(np.count_nonzero(few))
            starts[:, lines] = mixed
        return starts

    def score_of(self, starts: Mask) -> int:
        """Score of the windows with these first cells, ``[positions, lines]``; without the dropped bits."""
        return int((self._keys[starts] // self._scale).sum())

    def grid(self) -> tuple[Integers, float]:
        """Scores of some windows of a grid, ``[*, *]``, and how many windows each stands for."""
        stride = max(1, self._keys.size // self._window // _SAMPLE)
        return self._keys[:: self._window, ::stride] // self._scale, float(stride)

    def typical(self, count: int) -> Guess:
        """A first guess: the price that would keep `count` windows of a grid."""
        grid, stride = self.grid()
        ranks = [grid.size - 1 - min(grid.size - 1, int(count * share / stride)) for share in (0.9, 1.0, 1.1)]
        fewer, same, more = np.partition(grid, ranks, axis=None)[ranks]
        return Guess(float(same), 0.2 * count / max(1.0, float(fewer - more)))

    def score(self, count: int) -> int:
        """Score of the best `count` windows.

        Args:
            count: 0 .. `capacity`.

        Returns:
            The score, without the dropped bits.
        """
        if count in (0, self.capacity):
            return self.at(self.high if count == 0 else self.low)[1]
        self.reset()
        price, _ = find_price([self], count, self.low, self.high, self.typical(count))
        self.reset()
        found, score = self.at(price)
        # Windows between the counts of two neighbouring prices are worth the upper price each.
        return score + (count - found) * price

    def at(self, price: int) -> tuple[int, int]:
        """Count and score of the best solution just above a price. The bracket must be `reset`."""
        return int(self.totals([price])[0]), int(self._trial_scores.sum())

    def solve(self, price: int, lines: npt.NDArray[np.intp] | None = None) -> Mask:
        """First cells of the best solution just above a price; of equal ones, the one that leaves late cells free.

        Args:
            price: The price.
            lines: Which lines; None: all.

        Returns:
            Mask ``[positions, lines]``.
        """
        keys = self._keys if lines is None else self._keys.take(lines, axis=1)
        starts: Mask = np.empty(keys.shape, np.bool_)
        self._best(keys, [price], starts)
        with SHORT_CALLS:
            for start in range(keys.shape[0] - 1, 0, -1):
                # A window takes those that overlap it and start earlier out: `>` of truth values is "and not".
                earlier = starts[max(0, start - self._window + 1) : start]
                np.greater(earlier, starts[start], out=earlier)
        return starts

    def _best(self, keys: Integers, prices: Sequence[int], takes: Mask | None = None) -> Integers:
        """Best keys of whole lines, ``[prices, lines]``; `takes` receives where ending a window beats not doing so."""
        if keys.shape[1] == 0:
            return np.zeros((len(prices), 0), np.int64)
        charges = np.array(prices, np.int64) * self._scale + 1
        return best_keys(keys, charges, self._window, takes)


def swap_chains(few: Mask, many: Mask, window: int, missing: int) -> Mask:
    """Mixes two optimal solutions into one; see the module's description.

    Args:
        few: First cells of windows, ``[positions, lines]``.
        many: The same of a solution with more windows and the same score.
        window: Cells in a window.
        missing: Windows that the result has more than `few`.

    Returns:
        First cells of windows.
    """
    length = few.shape[0]  # start positions; the last ones of a line have room for their window
    few_lines: Mask = np.ascontiguousarray(few.T)
    many_lines: Mask = np.ascontiguousarray(many.T)
    # A cell continues its chain if some window covers it and the cell before.
    joined: Mask = np.zeros(few_lines.shape, np.bool_)
    for offset in range(1, min(window, length)):
        joined[:, offset:] |= (few_lines | many_lines)[:, : length - offset]
    joined[:, 0] = False
    chain = np.cumsum(~joined.reshape(-1), dtype=np.int32 if joined.size < 2**31 else np.int64)
    gain = np.bincount(chain[many_lines.reshape(-1)], minlength=int(chain[-1]) + 1)
    gain -= np.bincount(chain[few_lines.reshape(-1)], minlength=gain.size)
    swapped = np.zeros(gain.size, np.bool_)
    swapped[np.flatnonzero(gain == 1)[:missing]] = True
    mixed = np.where(swapped[chain].reshape(few_lines.shape), many_lines, few_lines)
    return np.ascontiguousarray(mixed.T)
