# SPDX-License-Identifier: Apache-2.0
"""The search for the price at which the wanted number of cells pays.

Every choice here is a concave one: the count that pays best falls step by step as the price of a cell rises, and prices
are integers. The search is a bisection helped by interpolation. Two things make it cheap:

- Each part of a problem (a line, a layer) has a falling count of its own. Where it is the same at both ends of the
  bracket, it is the same in between, so the part is settled and need not be looked at again.
- What is left over is soon so narrow that several prices cost no more than one, so several are tried at a time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from tfprune.sparsity.scores import Integers

#: Columns that cost little more than one: with fewer, numpy's time a call is that of calling it.
CHEAP_WIDTH = 512


class Priced(Protocol):
    """Something whose best count falls as the price rises."""

    def totals(self, prices: Sequence[int]) -> Integers:
        """Best counts at rising prices."""

    def narrow(self, low: int | None, high: int | None) -> None:
        """Takes trials of the last `totals` for the ends of the bracket; None leaves an end as it is."""

    def steps(self) -> tuple[Integers, Integers]:
        """What lies between the ends of the bracket: prices at which the count falls, and by how much.

        The amounts add up to the difference of the counts; a price stands for the mean of its amount. Empty arrays
        where they are not known.
        """

    @property
    def width(self) -> int:
        """Columns that a trial has to look at."""


@dataclass
class Guess:
    """Where to look first.

    Args:
        price: A price.
        slope: By how much the count falls where the price rises by one, roughly; positive.
    """

    price: float
    slope: float


@dataclass
class PriceHint:
    """What one choice learns for the next one on the same weights; it changes the time, never the result.

    Args:
        ratio: Price of the last choice over the price that a rough look at the scores suggested. It has no unit, so it
            stays right while scores grow, and while the sparsity moves.
    """

    ratio: float = 1.07


@dataclass
class PriceMemory:
    """The `PriceHint` of every part of one layer: one part, or one for each balanced unit.

    Args:
        hints: Hints by part.
    """

    hints: dict[int, PriceHint] = field(default_factory=dict)

    def hint(self, part: int = 0) -> PriceHint:
        """The hint of a part; made on first use.

        Args:
            part: Number of the part.

        Returns:
            The hint, to be read and changed by the search.
        """
        return self.hints.setdefault(part, PriceHint())


def find_price(parts: Sequence[Priced], target: int, low: int, high: int, guess: Guess) -> tuple[int, bool]:
    """Searches the integer price at which a falling count meets a target.

    Args:
        parts: What is counted together.
        target: Wanted count, between those at `low` and `high`.
        low: Price with a count above `target`.
        high: Price with a count below `target`.
        guess: Where to look first. Which of several prices of equal count is returned depends on it, nothing else.

    Returns:
        ``(price, True)`` where the count equals `target`, else ``(price, False)`` for the least price with a count
        below `target` (the count at ``price - 1`` is then above it).
    """
    # Distance of the count at each end from the target; None: the end has not been tried.
    above: int | None = None
    below: int | None = None
    centre, reach, slope = guess.price, max(1.0, abs(guess.price) / 64), max(guess.slope, 1e-300)
    least, fixed, slow = max(1.0, abs(guess.price) / 512), list[int](), 0
    while high - low > 1:
        room = max(1, CHEAP_WIDTH // max(1, max(part.width for part in parts)))
        prices = _trials(low, high, fixed, centre, reach, room)
        found: Integers = np.sum([part.totals(prices) for part in parts], axis=0) - target
        exact = np.flatnonzero(found == 0)
        if exact.size:
            return prices[int(exact[0])], True
        first = int(np.count_nonzero(found > 0))
        last_above, first_below = (first - 1 if first else None), (first if first < len(prices) else None)
        for part in parts:
            part.narrow(last_above, first_below)
        # A trial that met a count known before stands on a step: look for its edge.
        on_step = above in found or (below is not None and -below in found)
        span = high - low
        if last_above is not None:
            low, above = prices[last_above], int(found[last_above])
        if first_below is not None:
            high, below = prices[first_below], -int(found[first_below])
        if above is None or below is None:
            # One-sided so far: a Newton step, and somewhat further, so that the other end comes close.
            nearest, distance = (low, above) if above is not None else (high, -(below or 0))
            step = math.copysign(max(abs(distance) / slope * 1.2, least), distance)
            centre, reach = nearest + step, abs(step) / 8
            slope, least = slope / 2, least * 4
            continue
        fixed = _likely(parts, above, below, room, on_step)
        # Between the ends the count is close to a straight line, with noise and some bend. A single trial goes past the
        # expected root as seen from the nearer end, so that both ends close in.
        reach = (high - low) * (1 / 64 + 0.5 / math.sqrt(above + below))
        centre = low + (high - low) * (above / (above + below))
        centre += reach * (1 if above < below else -1) if room == 1 else 0
        slow = slow + 1 if (high - low) * 3 > span * 2 else 0
        if slow > 1:
            fixed, centre, slow = [], (low + high) / 2, 0
    return high, False


def _likely(parts: Sequence[Priced], above: int, below: int, room: int, on_step: bool) -> list[int]:
    """Prices at which the steps between the ends say that the target is met, best first.

    Only where most steps are by one, so that their prices are no means, or nothing else has helped.
    """
    steps = [part.steps() for part in parts]
    prices, amounts = (np.concatenate(each) for each in zip(*steps, strict=True))
    total = above + below
    if int(amounts.sum()) != total or (total > 2 * amounts.size and not on_step):
        return []
    order = np.argsort(-prices, kind="stable")
    reached = np.cumsum(amounts[order])
    place = int(np.searchsorted(reached, below))
    nearby = [place + offset for offset in (0, 1, -1, 3, -3, 9, -9) if 0 <= place + offset < order.size]
    around = [int(prices[order[each]]) - 1 for each in nearby]
    return list(dict.fromkeys([around[0], around[0] + 1, *around]))[:room]


def _trials(low: int, high: int, fixed: list[int], centre: float, reach: float, number: int) -> list[int]:
    """Up to `number` rising prices strictly between `low` and `high`.

    First those that are `fixed`, then `centre`, then some close to it, then some spread evenly.
    """
    chosen = [*(float(price) for price in fixed), centre][:number]
    near = min(number - len(chosen), 8)
    chosen += [centre + sign * reach / 2**power for power in range(near // 2) for sign in (-1, 1)]
    spread = number - len(chosen)
    chosen += [low + (high - low) * (index + 1) / (spread + 1) for index in range(spread)]
    return sorted({min(max(round(price), low + 1), high - 1) for price in chosen})
