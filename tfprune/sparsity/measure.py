# SPDX-License-Identifier: Apache-2.0
"""Numbers about weights and masks that reports need."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.errors import PatternError
from tfprune.sparsity.scores import Scores, resolve_scores, weight_scores


@dataclass(frozen=True)
class Density:
    """How many of some weights are not zero.

    Args:
        kept: Weights that are not zero.
        total: All weights, at least 1.
    """

    kept: int
    total: int

    @property
    def sparsity(self) -> float:
        """Fraction of weights that are zero."""
        return 1 - self.kept / self.total


def density(weights: npt.ArrayLike) -> Density:
    """Counts the non-zero values of weights or of a mask (-0.0 is zero, NaN is not).

    Args:
        weights: Array of any shape, not empty.

    Returns:
        The counts.

    Raises:
        PatternError: An empty array.
    """
    array = np.asarray(weights)
    if array.size == 0:
        raise PatternError(f"Sparsity of no weights is not defined. Received: shape {array.shape}.")
    return Density(kept=int(np.count_nonzero(array)), total=array.size)


def sparsity(weights: npt.ArrayLike) -> float:
    """Fraction of values that are zero.

    Args:
        weights: Array of any shape, not empty.

    Returns:
        A fraction in [0, 1].

    Raises:
        PatternError: An empty array.

    Example:
        >>> sparsity([0.0, 3.0, 0.0, 0.0])
        0.75
    """
    return density(weights).sparsity


def total_density(parts: Iterable[Density]) -> Density:
    """Adds counts up.

    Args:
        parts: Counts of several layers.

    Returns:
        Their sum.
    """
    listed = list(parts)
    return Density(kept=sum(part.kept for part in listed), total=sum(part.total for part in listed))


def kept_score(weights: npt.NDArray[Any], mask: npt.NDArray[np.bool_], scores: Scores = "l1") -> float:
    """Share of the weights' total score that a mask keeps: 1.0 loses nothing.

    Args:
        weights: Weights.
        mask: True where a weight stays; same shape.
        scores: Scoring rule of `select`. Scores of single weights are summed, for ``"l2"`` their squares.

    Returns:
        A fraction in [0, 1]; 1.0 if all scores are zero.

    Raises:
        PatternError: Different shapes, or a wrong scoring rule.
    """
    if weights.shape != mask.shape:
        raise PatternError(f"`mask` must have the shape of `weights`, {weights.shape}. Received: {mask.shape}.")
    single = weight_scores(weights, resolve_scores(scores))
    total = float(single.sum())
    return float(single[mask].sum()) / total if total else 1.0
