# SPDX-License-Identifier: Apache-2.0
"""The reweighted group penalty: groups that are small already are made smaller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.sparsity.penalties.base import Penalty, register
from tfprune.sparsity.penalties.cells import PenaltyCells


def safe_norms(squares: Any, xp: Any = np) -> Any:
    """Square roots with a gradient of 0 at 0, where that of a root is infinite.

    Args:
        squares: Sums of squares, at least 0.
        xp: Where the functions come from, ``numpy`` (default) or ``keras.ops``.

    Returns:
        Norms of the same shape.
    """
    some = squares > 0
    # Both are needed: what `where` does not take still has a gradient, and infinity times 0 is no number.
    return xp.where(some, xp.sqrt(xp.where(some, squares, xp.ones_like(squares))), xp.zeros_like(squares))


def threshold_factors(norms: Any, thresholds: Any, xp: Any = np) -> Any:
    """What is left of a group after one proximal step: ``max(0, 1 - threshold / norm)``.

    It minimises ``coefficient * strength * |v| + |v - w| ** 2 / (2 * learning_rate)`` over ``v = factor * w`` for
    ``threshold = learning_rate * strength * coefficient``: groups below the threshold become exactly 0, others lose the
    threshold from their norm.

    Args:
        norms: Norms of groups, at least 0.
        thresholds: At least 0, a number or one a group.
        xp: Where the functions come from, ``numpy`` (default) or ``keras.ops``.

    Returns:
        Factors in [0, 1], of the shape of `norms`; 0 where the norm is.

    Example:
        >>> threshold_factors(np.array([0.0, 1.0, 4.0]), 2.0)
        array([0. , 0. , 0.5])
    """
    some = norms > 0
    ratio = thresholds / xp.where(some, norms, xp.ones_like(norms))
    return xp.where(some, xp.maximum(1 - ratio, xp.zeros_like(ratio)), xp.zeros_like(norms))


@register
@dataclass(frozen=True)
class ReweightedGroupPenalty(Penalty):
    """Group lasso whose groups have weights of their own (after Candes, Wakin and Boyd 2008): small groups die out.

    The term is ``strength * sum_g |W_g| / (|W_g|_old + eps)``: euclidean norms of the pattern's cells, divided by what
    they were at the last look, every `refresh` steps. A large cell is hardly touched, a small one ever more. It is
    carried out as a proximal step after every update, which ends in exact zeros:
    ``W_g *= max(0, 1 - learning_rate * strength / ((|W_g|_old + eps) * |W_g|))``. A gradient would step over them, and
    Adam would divide it by its own size.

    Which groups: every cell of the pattern, where cells do not overlap. The cells of unaligned `Groups` do. There the
    penalty acts on what the current choice at the final sparsity drops and on nothing that it keeps: each unbroken run
    of dropped weights along the free axis, cut every ``rows`` (``cols``) from its beginning. In other patterns whose
    cells overlap (`KernelPatterns`, `BlockRowsColumns`, ``along="both"``) each dropped weight is a group. The choice is
    made anew at every look. A weight's penalty ends with the last cut of its schedule.

    Without overlap nothing is chosen beforehand, so one threshold on the norms of all layers' cells then gives each
    layer a rate of its own: `select_global` with ``scores="l2"``.

    Args:
        strength: Strength over steps: a `StrengthRamp`, or a number for one that rises to it. A group of norm ``n``
            that nothing holds loses the share ``learning_rate * strength / n ** 2`` a step. Its `begin_step` must come
            before the last cut.
        refresh: Steps from one look at the norms to the next, at least 1; a few epochs. None (default): one look.
        eps: Added to the norms, above 0, so that a group that is 0 may come back: well below the norms of groups that
            matter. Default 0.001.

    Raises:
        ScheduleError: Other arguments.

    Example:
        >>> from tfprune.sparsity.schedules import StrengthRamp
        >>> ReweightedGroupPenalty(StrengthRamp(0.01), refresh=200).coefficients(np.array([0.0, 0.499])).tolist()
        [1000.0, 2.0]
    """

    eps: float = 1e-3

    def __post_init__(self) -> None:
        """Checks the fields."""
        super().__post_init__()
        self._set_positive("eps")

    def coefficients(self, norms: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """``1 / (norm + eps)``.

        Args:
            norms: Norms of groups now.

        Returns:
            What their norms count from now on.
        """
        result: npt.NDArray[Any] = 1 / (norms + self.eps)
        return result

    def value(self, weights: npt.NDArray[Any], cells: PenaltyCells, coefficients: npt.NDArray[Any]) -> float:
        """The term at strength 1: ``sum_g coefficient_g * |W_g|``.

        Args:
            weights: The kernel as a matrix ``[rows, segments, cols]``.
            cells: Its groups.
            coefficients: One a group.

        Returns:
            A number of at least 0.
        """
        return float((coefficients * cells.norms(weights)).sum())
