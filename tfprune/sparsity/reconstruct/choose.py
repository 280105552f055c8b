# SPDX-License-Identifier: Apache-2.0
"""Which cells of a pattern to remove, knowing the inputs and what the weights that stay can take over.

Removing weight ``j`` of a row whose other weights adapt costs ``w_j^2 / [M^-1]_jj``, with ``M`` the second moments of
the inputs of what is still there (Optimal Brain Surgeon, Hassibi and Stork 1992). A cell costs about the sum over its
weights, which is what `select` sums up in the pattern's own structure. That holds for the next cell, not for all at
once: so cells go in rounds, each of which keeps the same share, and after each the rest is solved anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.sparsity.blocks import Mask
from tfprune.sparsity.layouts import Layout, MatrixShape
from tfprune.sparsity.patterns import Pattern
from tfprune.sparsity.reconstruct.moments import Parts
from tfprune.sparsity.reconstruct.solve import Floats, Places, each_mask, solve_kept
from tfprune.sparsity.scores import Scores
from tfprune.sparsity.select import select

#: A weight matrix as a kernel of its own.
MATRIX = Layout("matrix", "[rows, segments, cols]", (0,), (1,), (2,))
# On layers of trained networks 8 rounds left 0.6 of the error of 1, 16 left 0.57; see docs/one_shot.md.
_ROUNDS = 8
# Multiply-adds of all rounds together; larger layers take fewer of them.
_MOST_WORK = 2e12
_MOST_REPEATS = 4


@dataclass(frozen=True)
class Target:
    """What is to be chosen.

    Args:
        pattern: The pattern.
        sparsity: Fraction of weights to remove; None: the pattern's own rate.
        shape: ``(rows, segments, cols)``.
    """

    pattern: Pattern
    sparsity: float | None
    shape: tuple[int, int, int]

    def select(self, weights: npt.NDArray[Any], scores: Scores) -> Mask:
        """The mask of `tfprune.select`; arguments and result ``[rows, segments, cols]``."""
        return select(weights, self.pattern, self.sparsity, layout=MATRIX, scores=scores)

    def rounds(self, count: int) -> list[Target]:
        """The way to the target, the target itself last; rounds in which nothing could go are left out."""
        final = self.pattern.resolve_sparsity(self.sparsity, self.shape, MATRIX)
        own_rate = self.pattern.own_sparsity(MatrixShape(*self.shape)) is not None
        targets = []
        for number in range(1, count):
            sparsity = 1 - (1 - final) ** (number / count)
            pattern = self.pattern.during(sparsity, self.shape, MATRIX)
            if pattern is not None:
                targets.append(Target(pattern, None if own_rate else sparsity, self.shape))
        return [*targets, self]


@dataclass(frozen=True)
class Part:
    """One of the independent problems in a layer.

    Args:
        moments: Damped second moments of its inputs, ``[columns, columns]``.
        inverse: Their inverse.
        optimum: The best weights without a mask, ``[rows, columns]``.
    """

    moments: Floats
    inverse: Floats
    optimum: Floats

    def costs(self, weights: Floats, mask: Mask) -> Floats:
        """What removing each weight costs when the others that stay adapt; 0 of those that are gone."""
        costs = np.zeros_like(weights)

        def cost(rows: Places, stays: Places, goes: Places) -> None:
            if len(stays) <= len(goes):
                diagonal = np.diag(np.linalg.inv(self.moments[np.ix_(stays, stays)]))
            else:
                diagonal = np.diag(self.inverse)[stays]
                if len(goes):
                    between = self.inverse[np.ix_(goes, stays)]
                    taken = np.linalg.solve(self.inverse[np.ix_(goes, goes)], between)
                    diagonal = diagonal - np.einsum("gs,gs->s", between, taken)
            costs[np.ix_(rows, stays)] = np.square(weights[np.ix_(rows, stays)]) / diagonal

        each_mask(mask, cost)
        return costs

    def gains(self, weights: Floats) -> Floats:
        """What each weight is worth after a step towards the optimum, whether it is there now or not.

        ``(w_j + g_j / M_jj)^2 M_jj`` with the slope ``g = (u - w) M``: the score of hard thresholding pursuit
        (Foucart 2011) with a step of its own for each column.
        """
        diagonal = np.diag(self.moments)
        slope = (self.optimum - weights) @ self.moments
        return np.square(weights + slope / diagonal) * diagonal


class Chooser:
    """Chooses the mask of one layer.

    Args:
        target: What is to be chosen.
        layout: Which weights read the same inputs.
        parts: The independent problems.
    """

    def __init__(self, target: Target, layout: Parts, parts: Sequence[Part]) -> None:
        """Takes the arguments."""
        self._target = target
        self._layout = layout
        self._parts = parts

    def solve(self, mask: Mask) -> list[Floats]:
        """The best weights under a mask ``[rows, segments, cols]``, part by part."""
        return [
            solve_kept(part.moments, part.inverse, part.optimum, kept)
            for part, kept in zip(self._parts, self._layout.split(mask, len(self._parts)), strict=True)
        ]

    def gradual(self) -> Mask:
        """Removes the cheapest cells in rounds."""
        mask = np.ones(self._target.shape, np.bool_)
        weights = [part.optimum for part in self._parts]
        for target in self._target.rounds(self._round_count()):
            kept = self._layout.split(mask, len(self._parts))
            costs = [part.costs(*each) for part, *each in zip(self._parts, weights, kept, strict=True)]
            mask = self._select(target, costs)
            if target is not self._target:
                weights = self.solve(mask)
        return mask

    def reconsidered(self, weights: Sequence[Floats]) -> Mask:
        """Another choice, in which removed weights that would help now may come back."""
        return self._select(self._target, [part.gains(each) for part, each in zip(self._parts, weights, strict=True)])

    def added_error(self, weights: Sequence[Floats]) -> float:
        """The damped error above that of the optimum, of all parts."""
        total = 0.0
        for part, each in zip(self._parts, weights, strict=True):
            change = each - part.optimum
            total += float(np.sum((change @ part.moments) * change))
        return total

    def best(self, first: Mask) -> tuple[Mask, list[Floats]]:
        """The mask with the least error of several.

        Args:
            first: A mask to start from, such as that of plain magnitude, which the result is never worse than.

        Returns:
            Mask and weights.
        """
        mask, weights = first, self.solve(first)
        error = self.added_error(weights)
        candidates = [self.gradual]
        candidates += [lambda: self.reconsidered(weights)] * _MOST_REPEATS
        for index, candidate in enumerate(candidates):
            other = candidate()
            solved = self.solve(other)
            found = self.added_error(solved)
            if found < error:
                mask, weights, error = other, solved, found
            elif index:
                break
        return mask, weights

    def _select(self, target: Target, scores: Sequence[Floats]) -> Mask:
        joined = self._layout.join(np.stack(scores), target.shape)
        return target.select(joined, joined)

    def _round_count(self) -> int:
        """Rounds that stay within the work that a layer may take."""
        rows, columns = self._parts[0].optimum.shape
        work = len(self._parts) * rows * columns**3 / 4
        return int(np.clip(_MOST_WORK // max(1.0, work), 1, _ROUNDS))
