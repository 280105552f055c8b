# SPDX-License-Identifier: Apache-2.0
"""How much a weight, and a cell of weights, is worth keeping.

Cells are compared by sums of integers: each weight's score is rounded to a multiple of ``2 ** -30`` of the largest one.
Integer sums do not depend on their order, so a mask is the same on every machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tfprune.errors import PatternError

Floats: TypeAlias = npt.NDArray[np.floating[Any]]
Integers: TypeAlias = npt.NDArray[np.int64]
Scores: TypeAlias = str | Callable[[npt.NDArray[Any]], npt.ArrayLike]

SCORE_BITS = 30


@dataclass(frozen=True)
class ScoreRule:
    """A scoring rule: weight scores are summed over a cell, then possibly square-rooted.

    Args:
        name: Name for reports.
        weight_score: Elementwise score, or any function of the whole array.
        root: Whether a cell's score is the square root of its sum.
    """

    name: str
    weight_score: Callable[[npt.NDArray[Any]], npt.ArrayLike]
    root: bool = False


_RULES = {
    "l1": ScoreRule("l1", np.abs),
    "l2": ScoreRule("l2", np.square, root=True),
    "squared": ScoreRule("squared", np.square),
}


def resolve_scores(scores: Scores) -> ScoreRule:
    """Finds a scoring rule.

    Args:
        scores: ``"l1"``: a cell is worth ``sum(|w|)``. ``"squared"``: ``sum(w ** 2)``. ``"l2"``: ``sqrt(sum(w ** 2))``.
            Or a callable that takes the weights and returns one non-negative score a weight, which cells sum.

    Returns:
        The rule.

    Raises:
        PatternError: Neither a known name nor callable.
    """
    if isinstance(scores, str) and scores in _RULES:
        return _RULES[scores]
    if callable(scores):
        return ScoreRule(getattr(scores, "__name__", type(scores).__name__), scores)
    raise PatternError(f"`scores` must be one of {sorted(_RULES)} or a callable. Received: scores={scores!r}.")


def weight_scores(weights: npt.NDArray[Any], rule: ScoreRule) -> Floats:
    """Scores of single weights, checked.

    Args:
        weights: Float weights of any shape.
        rule: The rule.

    Returns:
        Non-negative finite scores, ``float64``, of the same shape.

    Raises:
        PatternError: The rule gives another shape, or values that are negative or not finite.
    """
    wide = weights.astype(np.float64)
    result = np.asarray(rule.weight_score(wide))
    if result.shape != weights.shape or result.dtype.kind not in "fiub":
        raise PatternError(
            f"`scores` must return one number a weight. Received from {rule.name!r}: shape {result.shape}, dtype "
            f"{result.dtype} for weights of shape {weights.shape}."
        )
    found = result.astype(np.float64, copy=False)
    if not np.isfinite(found).all() or (found < 0).any():
        raise PatternError(f"`scores` must be finite and at least 0. Received other values from {rule.name!r}.")
    return found


def to_integers(scores: Floats) -> Integers:
    """Rounds scores to multiples of ``2 ** -30`` of the largest.

    Args:
        scores: Non-negative finite scores.

    Returns:
        ``int64`` scores in ``[0, 2 ** 30]`` of the same shape.
    """
    largest = scores.max(initial=0.0)
    if largest == 0:
        return np.zeros(scores.shape, np.int64)
    scaled = scores / largest
    scaled *= float(2**SCORE_BITS)
    integers: Integers = np.rint(scaled, out=scaled).astype(np.int64)
    return integers


def integer_roots(sums: Integers) -> Integers:
    """Integer cell norms of integer cell sums: ``rint(sqrt(sum) * 2 ** (SCORE_BITS / 2))``.

    The square root of IEEE doubles is correctly rounded everywhere, so the result is machine independent too.

    Args:
        sums: Non-negative sums below ``2 ** 53``.

    Returns:
        ``int64`` norms of the same shape.
    """
    return np.rint(np.sqrt(sums.astype(np.float64)) * float(2 ** (SCORE_BITS // 2))).astype(np.int64)
