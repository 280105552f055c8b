# SPDX-License-Identifier: Apache-2.0
"""What a layer offers to a choice over several layers: its best score at every number of cells, as a concave curve.

Every curve answers to the same rising price. A layer whose cells cost more sees a higher one: ``floor(price * ratio)``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.sparsity.blocks import Mask, cover_windows
from tfprune.sparsity.layouts import MatrixShape
from tfprune.sparsity.patterns import Groups
from tfprune.sparsity.scores import Integers
from tfprune.sparsity.select.lines import from_lines
from tfprune.sparsity.select.unaligned import PricedLines

# Bound of prices, far above any score of a cell.
_DEAREST = 2**60


class Curve(ABC):
    """A layer's best score by kept cells; the counts it may keep are `least` .. `most`.

    Args:
        least: Cells that are kept at any price.
        most: Cells that are kept at most.
    """

    def __init__(self, least: int, most: int) -> None:
        """Stores the bounds."""
        self.least, self.most = least, most

    #: Prices between which the count falls from all to none.
    low: int
    high: int
    #: Low bits of the scores that were dropped.
    shift: int = 0

    @property
    def width(self) -> int:
        """Columns that a trial has to look at."""
        return 1

    def cells(self, count: int) -> int:
        """Cells of a count."""
        return count

    def fitting(self, count: int) -> int:
        """The largest count that the curve can keep, up to `count`."""
        return count

    @abstractmethod
    def counts(self, prices: Sequence[int]) -> Integers:
        """Best counts at prices, as far as the bounds let them."""

    @abstractmethod
    def score(self, count: int) -> int:
        """The best score of `count` cells."""

    def points(self, number: int) -> list[tuple[int, int]]:
        """Some counts from `least` to `most`, spread about evenly, and their best scores.

        Args:
            number: How many, at least 2.
        """
        counts = sorted({int(count) for count in np.linspace(self.least, self.most, number).round()})
        return [(count, self.score(count)) for count in counts]

    @abstractmethod
    def choose(self, count: int) -> tuple[Mask, int]:
        """The best `count` cells, as a mask ``[rows, segments, cols]``, and their score."""

    @abstractmethod
    def sample(self) -> tuple[Integers, float]:
        """Some scores that cells may have, and how many cells each stands for."""

    def narrow(self, low: int | None, high: int | None) -> None:  # noqa: B027 - most curves have nothing to narrow
        """Takes trials of the last `counts` for the ends of the bracket; see `prices.Priced`."""

    def reset(self) -> None:  # noqa: B027
        """Forgets the bracket."""

    def steps(self) -> tuple[Integers, Integers]:
        """Prices at which the count falls between the ends of the bracket, and by how much; see `prices.Priced`."""
        return np.zeros(0, np.int64), np.zeros(0, np.int64)


class RankedCurve(Curve):
    """A layer whose cells are worth what they are worth, whatever else is kept.

    Args:
        values: Score of every cell; -1 where there is none. Integers, or floats where no price is asked for.
        keep: The mask ``[rows, segments, cols]`` of the best cells, for a count.
        bounds: Least and most cells kept.
    """

    def __init__(self, values: npt.NDArray[Any], keep: Callable[[int], Mask], bounds: tuple[int, int]) -> None:
        """Stores the arguments."""
        super().__init__(*bounds)
        self._keep = keep
        self.rising = np.sort(values[values >= 0])
        self.low, self.high = -1, int(self.rising[-1]) + 1

    @property
    def is_float(self) -> bool:
        """Whether scores are as they are, not rounded to common units."""
        return self.rising.dtype.kind == "f"

    def counts(self, prices: Sequence[int]) -> Integers:
        """Cells above each price."""
        above = self.rising.size - np.searchsorted(self.rising, np.array(prices), side="right")
        return np.clip(above, self.least, self.most)

    def score(self, count: int) -> int:
        """The best score of `count` cells."""
        best: int = self.rising[self.rising.size - count :].sum().item()
        return best

    def choose(self, count: int) -> tuple[Mask, int]:
        """The best `count` cells, as a mask ``[rows, segments, cols]``, and their score."""
        return self._keep(count), self.score(count)

    def sample(self) -> tuple[Integers, float]:
        """All scores, one cell each."""
        return self.rising, 1.0


class WindowCurve(Curve):
    """A layer of unaligned groups.

    Args:
        pattern: The pattern.
        lines: Integer scores ``[length, lines]`` as `lines.to_lines` lays them out.
        window: Cells in a window, at least 2.
        shape: Matrix size.
        bounds: Least and most groups kept.
        root: Whether a group's score is the square root of its sum.
        shift: Low bits of the scores to drop.
    """

    def __init__(
        self,
        pattern: Groups,
        lines: Integers,
        window: int,
        shape: MatrixShape,
        bounds: tuple[int, int],
        root: bool,
        shift: int,
    ) -> None:
        """Computes the scores of all windows."""
        super().__init__(*bounds)
        self._pattern, self._window, self._shape = pattern, window, shape
        self._lines = PricedLines(lines, window, root, shift)
        self.low, self.high, self.shift = self._lines.low, self._lines.high, self._lines.shift

    @property
    def width(self) -> int:
        """Lines whose counts are still open."""
        return self._lines.width

    def counts(self, prices: Sequence[int]) -> Integers:
        """Groups that pay at each price."""
        return np.clip(self._lines.totals(prices), self.least, self.most)

    def narrow(self, low: int | None, high: int | None) -> None:
        """Settles lines."""
        self._lines.narrow(low, high)

    def reset(self) -> None:
        """Opens all lines."""
        self._lines.reset()

    def steps(self) -> tuple[Integers, Integers]:
        """Prices of the groups between the ends of the bracket."""
        return self._lines.steps()

    def score(self, count: int) -> int:
        """The best score of `count` groups."""
        return self._lines.score(count)

    def points(self, number: int) -> list[tuple[int, int]]:
        """Counts that some prices lead to: they take one look each, where a given count takes a search."""
        scores, each = self._lines.grid()
        wanted = np.linspace(self.least, self.most, number)[1:-1] / each
        ranks = scores.size - 1 - np.minimum(wanted, scores.size - 1).astype(np.int64)
        prices = np.sort(scores, axis=None)[ranks] if ranks.size else ranks
        self._lines.reset()
        found = dict(self._lines.at(price) for price in sorted({int(price) for price in prices}))
        ends = {count: self.score(count) for count in (self.least, self.most)}
        inside = {count: score for count, score in found.items() if self.least < count < self.most}
        return sorted((inside | ends).items())

    def choose(self, count: int) -> tuple[Mask, int]:
        """The best `count` groups, as a mask ``[rows, segments, cols]``, and their score."""
        if count == 0:
            return np.zeros((self._shape.rows, self._shape.segments, self._shape.cols), np.bool_), 0
        starts = self._lines.choose(count)
        kept = from_lines(cover_windows(starts, self._window, 0), self._pattern, self._shape)
        return kept, self._lines.score_of(starts)

    def sample(self) -> tuple[Integers, float]:
        """Scores of groups of a grid, one line in some."""
        return self._lines.grid()


class HullCurve(Curve):
    """A layer whose cost is any function of its count: the corners of the best scores over costs.

    Counts here are units of cost; `cells` tells what a cost buys.

    Args:
        inner: The layer's curve.
        points: ``(cost, best score, count)`` of some counts.
        unit: Price of the model at which a unit of score buys a unit of cost.
    """

    def __init__(self, inner: Curve, points: Sequence[tuple[int, int, int]], unit: int) -> None:
        """Finds the corners."""
        self.inner = inner
        corners = _concave(points)
        super().__init__(corners[0][0], corners[-1][0])
        self._corners = corners
        pairs = pairwise(corners)
        # A stretch pays at prices below its score for each unit of cost.
        slopes = [-(-(after[1] - before[1]) * unit // (after[0] - before[0])) for before, after in pairs]
        self._rising = np.array([min(slope, _DEAREST) for slope in reversed(slopes)], np.int64)
        self._costs = np.array([corner[0] for corner in corners], np.int64)
        self.low, self.high = -1, int(self._rising.max(initial=0)) + 1

    def counts(self, prices: Sequence[int]) -> Integers:
        """Cost of the stretches that pay at each price."""
        taken = self._rising.size - np.searchsorted(self._rising, np.array(prices), side="right")
        return self._costs[taken]

    def fitting(self, count: int) -> int:
        """The dearest corner that costs at most `count`."""
        return int(self._costs[np.searchsorted(self._costs, count, side="right") - 1])

    def cells(self, count: int) -> int:
        """Cells that the corner of this cost keeps."""
        return self._corners[int(np.searchsorted(self._costs, count))][2]

    def score(self, count: int) -> int:
        """The score of the corner of this cost."""
        return self._corners[int(np.searchsorted(self._costs, count))][1]

    def choose(self, count: int) -> tuple[Mask, int]:
        """The mask and the score of the corner of this cost."""
        return self.inner.choose(self.cells(count))

    def sample(self) -> tuple[Integers, float]:
        """The slopes of the stretches."""
        return self._rising, float(np.diff(self._costs).mean()) if self._rising.size else 1.0


def _concave(points: Sequence[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Corners of the upper hull of ``(cost, score, count)``, from the cheapest point to the best one, by cost."""
    hull: list[tuple[int, int, int]] = []
    for point in sorted(points, key=lambda each: (each[0], -each[1])):
        if hull and point[1] <= hull[-1][1]:
            continue
        while len(hull) > 1 and (hull[-1][1] - hull[-2][1]) * (point[0] - hull[-2][0]) <= (point[1] - hull[-2][1]) * (
            hull[-1][0] - hull[-2][0]
        ):
            hull.pop()
        hull.append(point)
    return hull


@dataclass
class PricedCurve:
    """A curve in a search over the price of the model; a `prices.Priced`.

    Args:
        curve: The curve.
        cost: Cost of one of its cells.
        ratio: Price of its cells at price 1 of the model.
    """

    curve: Curve
    cost: int
    ratio: Fraction

    def own(self, price: int) -> int:
        """The price that the layer sees."""
        own = price * self.ratio.numerator // self.ratio.denominator
        return min(max(own, self.curve.low), self.curve.high)

    def totals(self, prices: Sequence[int]) -> Integers:
        """Costs of what pays at each price."""
        totals: Integers = self.curve.counts([self.own(price) for price in prices]) * self.cost
        return totals

    def narrow(self, low: int | None, high: int | None) -> None:
        """Passes on."""
        self.curve.narrow(low, high)

    def steps(self) -> tuple[Integers, Integers]:
        """In the model's units."""
        prices, amounts = self.curve.steps()
        return prices * self.ratio.denominator // self.ratio.numerator, amounts * self.cost

    @property
    def width(self) -> int:
        """Passes on."""
        return self.curve.width
