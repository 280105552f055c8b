# SPDX-License-Identifier: Apache-2.0
"""Numbers about weights and masks: what reports, tables and pictures show.

Example:
    >>> import numpy as np
    >>> from tfprune.sparsity.patterns import Groups
    >>> from tfprune.sparsity.select import select
    >>> w = np.array([[1.0, 5.0, 6.0, 0.0, 9.0, 9.0, 0.0, 2.0]])
    >>> found = measure(w, select(w, Groups(rows=2), 0.5), Groups(rows=2))
    >>> found.sparsity, found.kept_score, found.against_unstructured, found.index_bytes
    (0.5, 0.90625, 1.0, 32)
"""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.errors import PatternError
from tfprune.sparsity.blocks import Mask, block_sums
from tfprune.sparsity.layouts import LayoutLike, MatrixShape, to_matrix
from tfprune.sparsity.patterns import Groups, Pattern
from tfprune.sparsity.patterns.base import check_pattern
from tfprune.sparsity.scores import (
    Floats,
    Integers,
    ScoreRule,
    Scores,
    checked_weights,
    matrix_scores,
    resolve_scores,
    weight_scores,
)


@dataclass(frozen=True)
class Density:
    """How many of some weights are not zero.

    Args:
        kept: Weights that are not zero.
        total: All weights.
    """

    kept: int
    total: int

    @property
    def sparsity(self) -> float:
        """Fraction of weights that are zero; 0 of none."""
        return 1 - self.kept / self.total if self.total else 0.0


@dataclass(frozen=True)
class Balance:
    """How evenly groups are spread over bands of rows, which a runtime may compute in parallel.

    Args:
        band_rows: Output channels of a band; the last one may have fewer.
        counts: Groups of each band.
    """

    band_rows: int
    counts: tuple[int, ...]

    @property
    def least(self) -> int:
        """Groups of the emptiest band."""
        return min(self.counts)

    @property
    def most(self) -> int:
        """Groups of the fullest band."""
        return max(self.counts)

    @property
    def mean(self) -> float:
        """Groups of a band on average."""
        return sum(self.counts) / len(self.counts)

    @property
    def variation(self) -> float:
        """Coefficient of variation: standard deviation over mean. 0: all alike, or nothing kept."""
        return float(np.std(self.counts)) / self.mean if self.mean else 0.0

    @property
    def waiting(self) -> float:
        """Fullest band over the average: time factor lost where bands run in parallel and wait for each other."""
        return self.most / self.mean if self.mean else 1.0


@dataclass(frozen=True)
class PatternMeasure:
    """What a mask costs and what it keeps.

    Args:
        pattern: The pattern in words.
        kept: Weights that stay.
        total: All weights.
        kept_score: Share of the weights' score that stays, in [0, 1].
        unstructured_score: The same for the best mask of as many single weights: what no pattern can beat.
        bands: Spread of the groups over bands of rows.
        index_bytes: Bytes that say which cells stay, in a plain form (``pattern.index_bits``), rounded up; values come
            on top.
        macs: Multiply-adds left, ``kept * positions``.
        dense_macs: Multiply-adds without zeros, ``total * positions``.
    """

    pattern: str
    kept: int
    total: int
    kept_score: float
    unstructured_score: float
    bands: Balance
    index_bytes: int
    macs: int
    dense_macs: int

    @property
    def sparsity(self) -> float:
        """Achieved sparsity: fraction of weights that go."""
        return Density(self.kept, self.total).sparsity

    @property
    def against_unstructured(self) -> float:
        """Kept score over that of single weights at the same rate, in [0, 1]: what the pattern's shape costs."""
        return self.kept_score / self.unstructured_score if self.unstructured_score else 1.0

    def to_dict(self) -> dict[str, Any]:
        """The measure as plain values.

        Returns:
            The fields, ``bands`` as ``{"band_rows", "least", "most", "mean", "variation", "waiting"}``, and
            ``"sparsity"`` and ``"against_unstructured"``.
        """
        names = ("band_rows", "least", "most", "mean", "variation", "waiting")
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {
            **fields,
            "bands": {name: getattr(self.bands, name) for name in names},
            "sparsity": self.sparsity,
            "against_unstructured": self.against_unstructured,
        }


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


def kept_score(
    weights: npt.NDArray[Any], mask: Mask, scores: Scores = "l1", *, layout: LayoutLike = None
) -> tuple[float, float]:
    """Shares of the weights' total score that a mask keeps, and that as many single weights could keep at best.

    Args:
        weights: Weights.
        mask: True where a weight stays; same shape.
        scores: Scoring rule of `select`. Scores of single weights are summed, for ``"l2"`` their squares.
        layout: As for `select`; only ``"plane_share"`` needs it.

    Returns:
        ``(kept, best)``, fractions in [0, 1] with ``kept <= best`` up to rounding; both 1.0 if all scores are zero.

    Raises:
        PatternError: Weights that are not real and finite, different shapes, or a wrong scoring rule.

    Example:
        >>> kept_score(np.array([[6.0, 1.0, 3.0]]), np.array([[False, True, True]]))
        (0.4, 0.9)
    """
    weights = checked_weights(weights)
    _check_mask(weights, mask)
    return _shares(weights, mask, resolve_scores(scores), layout)


def _shares(weights: npt.NDArray[Any], mask: Mask, rule: ScoreRule, layout: LayoutLike) -> tuple[float, float]:
    """`kept_score` of weights and a mask that are checked."""
    single: Floats
    if rule.on_matrix:
        single, mask = matrix_scores(weights, rule, layout), to_matrix(mask, layout)
    else:
        single = weight_scores(weights, rule)
    if single.dtype == np.float64:
        # By a power of two, which loses nothing, so that no sum overflows.
        single = np.ldexp(single, -math.frexp(float(single.max(initial=0.0)))[1])
    total = float(single.sum(dtype=np.float64))
    if not total:
        return 1.0, 1.0
    count = int(np.count_nonzero(mask))
    best = np.partition(single, single.size - count, axis=None)[single.size - count :] if count else single[mask]
    return float(single[mask].sum(dtype=np.float64)) / total, float(best.sum(dtype=np.float64)) / total


def _check_mask(weights: npt.NDArray[Any], mask: Mask) -> None:
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or weights.shape != mask.shape:
        kind = f"{mask.dtype} of {mask.shape}" if isinstance(mask, np.ndarray) else repr(type(mask).__name__)
        raise PatternError(f"`mask` must be bool, of the shape of `weights`, {weights.shape}. Received: {kind}.")


def groups_a_row(mask: Mask, pattern: Groups) -> Integers:
    """Groups of a mask by the row that they start in; aligned ones start in the first row of their band.

    Args:
        mask: Mask of the pattern, ``[rows, segments, cols]``.
        pattern: The pattern.

    Returns:
        ``int64 [rows]``.

    Raises:
        PatternError: The mask does not consist of groups of this pattern.
    """
    counts = pattern.groups_by_row(mask)
    if counts is None:
        raise _other_pattern(pattern)
    return counts


def _other_pattern(pattern: Pattern) -> PatternError:
    """The error for a mask that a pattern does not hold."""
    return PatternError(
        f"`mask` must consist of whole cells of {pattern!r}, with the count a unit that it fixes. Received: a mask "
        "with others. Measure it with the pattern it was selected with."
    )


def band_balance(mask: Mask, pattern: Pattern) -> Balance:
    """Spread of groups over bands of output channels.

    A band has the rows of the pattern's blocks, or of a unit of balanced groups, else a single row. `Groups` count by
    the row they start in. For other patterns a group is a column that any row of the band keeps: what a kernel that
    computes the band's rows together has to load. A full mask counts as aligned groups.

    Args:
        mask: Mask of the pattern, ``[rows, segments, cols]``.
        pattern: The pattern.

    Returns:
        The counts.

    Raises:
        PatternError: The mask is not one of this pattern.
    """
    shape = MatrixShape(*mask.shape)
    if isinstance(pattern, Groups):
        if mask.all():
            pattern = replace(pattern.in_unit(), aligned=True)
        band = min(pattern.unit_size if pattern.balanced else pattern.rows, shape.rows)
        counts = block_sums(groups_a_row(mask, pattern), band, 0)
    else:
        band = min(pattern.extent[0], shape.rows)
        used = block_sums(mask.astype(np.int64), band, 0) > 0
        counts = used.sum(axis=(1, 2))
    return Balance(band, tuple(counts.tolist()))


def measure(
    weights: npt.ArrayLike,
    mask: Mask,
    pattern: Pattern,
    *,
    layout: LayoutLike = None,
    positions: int = 1,
    scores: Scores = "l1",
) -> PatternMeasure:
    """Measures a mask: achieved sparsity, kept score, balance of bands, index bytes, multiply-adds left.

    Args:
        weights: Kernel; real and finite.
        mask: What `select` chose; same shape.
        pattern: The pattern it was chosen with.
        layout: As for `select`.
        positions: How often each weight is used in an inference: output height x width of a convolution (input height x
            width of a transposed one), rows of a dense layer's batch. At least 1; default 1.
        scores: Scoring rule of `select`.

    Returns:
        The numbers.

    Raises:
        PatternError: Weights that are not real and finite, shapes that differ, a wrong layout, scoring rule or number
            of positions, no pattern, one that does not apply to the kernel, or a mask that is not one of the pattern
            (a mask that keeps everything is one of every pattern).
    """
    check_pattern(pattern)
    array = checked_weights(weights)
    _check_mask(array, mask)
    if isinstance(positions, bool) or not isinstance(positions, numbers.Integral) or positions < 1:
        raise PatternError(f"`positions` must be a whole number of at least 1. Received: positions={positions!r}.")
    matrix = to_matrix(mask, layout)
    pattern.check(MatrixShape(*matrix.shape))
    if not mask.all() and not pattern.holds(matrix):
        raise _other_pattern(pattern)
    return mask_measure(matrix, pattern, _shares(array, mask, resolve_scores(scores), layout), int(positions))


def mask_measure(matrix: Mask, pattern: Pattern, shares: tuple[float, float], positions: int = 1) -> PatternMeasure:
    """A measure of a mask whose kept scores are known.

    Args:
        matrix: Mask of the pattern, ``[rows, segments, cols]``.
        pattern: The pattern.
        shares: Kept score, and that of the best single weights; see `kept_score`.
        positions: How often each weight is used in an inference.

    Returns:
        The numbers.

    Raises:
        PatternError: Groups that are not those of the pattern.
    """
    counted = density(matrix)
    return PatternMeasure(
        pattern=str(pattern),
        kept=counted.kept,
        total=counted.total,
        kept_score=shares[0],
        unstructured_score=shares[1],
        bands=band_balance(matrix, pattern),
        index_bytes=-(-pattern.index_bits(matrix) // 8),
        macs=counted.kept * positions,
        dense_macs=counted.total * positions,
    )
