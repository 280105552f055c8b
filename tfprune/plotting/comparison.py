# SPDX-License-Identifier: Apache-2.0
"""Every pattern on one layer at one sparsity: what each would keep, and which one the layer's zeros have."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.errors import PatternError
from tfprune.plotting.weights import MATRIX
from tfprune.sparsity.layouts import MatrixShape
from tfprune.sparsity.measure import PatternMeasure, mask_measure
from tfprune.sparsity.patterns import (
    BlockPunched,
    BlockRowsColumns,
    Channels,
    Filters,
    Groups,
    KernelElements,
    KernelPatterns,
    NofM,
    Pattern,
    Unstructured,
)
from tfprune.sparsity.select import select

#: A pattern that keeps this share of what single weights keep describes the zeros. Shorter last cells cost a little.
FITS = 0.995
# NofM is compared in runs of this length: fine enough steps of sparsity.
_RUN = 8


@dataclass(frozen=True)
class Candidate:
    """A pattern, tried on a layer.

    Args:
        pattern: The pattern.
        found: What it keeps there.
        fits: Whether the layer's own zeros are of this pattern.
    """

    pattern: Pattern
    found: PatternMeasure
    fits: bool


def everyday_patterns(shape: MatrixShape, target: float) -> list[Pattern]:
    """The patterns that are worth comparing on a layer; some cannot apply to it.

    Args:
        shape: Matrix size.
        target: Sparsity they are compared at.
    """
    listed: list[Pattern] = [
        Unstructured(),
        Groups(4),
        Groups(4, aligned=True),
        Groups(8),
        Groups(1, 4, along="input"),
        Groups(1, 4, aligned=True),
        Groups(4, 4),
        BlockPunched(8, 4),
        BlockRowsColumns(16, 16),
    ]
    if shape.segments > 1:
        keep = min(max(1, round((1 - target) * shape.segments)), shape.segments - 1)
        listed += [KernelPatterns(min(shape.segments - 1, 4)), KernelElements(keep, "kernel"), KernelElements()]
    return [*listed, NofM(min(max(1, round((1 - target) * _RUN)), _RUN - 1), _RUN), Filters(), Channels()]


def compare(matrix: npt.NDArray[Any], target: float, patterns: Sequence[Pattern] | None = None) -> list[Candidate]:
    """Selects with every pattern that can apply, and measures the masks.

    Args:
        matrix: Weights ``[rows, segments, cols]``.
        target: Sparsity to select at, in (0, 1). A pattern with a rate of its own has that.
        patterns: What to compare. None: `everyday_patterns`.

    Returns:
        A candidate for each pattern that applies to the layer and reaches the sparsity, in the order given.
    """
    shape = MatrixShape(*matrix.shape)
    kept = int(np.count_nonzero(matrix))
    measurer = _Measurer(matrix)
    found = []
    for pattern in everyday_patterns(shape, target) if patterns is None else patterns:
        if _applies(pattern, shape, target):
            own = pattern.own_sparsity(shape)
            mask = select(matrix, pattern, target if own is None else None, layout=MATRIX)
            result = measurer.measure(mask, pattern)
            fits = kept < matrix.size and result.kept_score >= FITS and result.kept <= kept / FITS
            found.append(Candidate(pattern, result, fits))
    return found


class _Measurer:
    """`tfprune.measure` of many masks of the same weights: their magnitudes are sorted once.

    Args:
        matrix: Weights ``[rows, segments, cols]``.
    """

    def __init__(self, matrix: npt.NDArray[Any]) -> None:
        """Adds magnitudes up, the largest first."""
        magnitude = np.abs(matrix)
        # By a power of two, which loses nothing, so that no sum overflows.
        self._magnitude = np.ldexp(magnitude, -math.frexp(float(magnitude.max()))[1])
        # Zeros add nothing, and most weights of a pruned layer are zeros.
        falling = np.sort(self._magnitude[self._magnitude > 0])[::-1]
        self._best = np.concatenate([[0.0], np.cumsum(falling, dtype=np.float64)])

    def measure(self, mask: npt.NDArray[np.bool_], pattern: Pattern) -> PatternMeasure:
        """Measures a mask ``[rows, segments, cols]``; multiply-adds are those of one position."""
        count = int(np.count_nonzero(mask))
        total = self._best[-1]
        held = float(self._magnitude[mask].sum(dtype=np.float64))
        # Sums of the same weights in another order differ in the last bits.
        most = max(float(self._best[min(count, len(self._best) - 1)]), held)
        shares = (held / total, most / total) if total else (1.0, 1.0)
        return mask_measure(mask, pattern, shares)


def _applies(pattern: Pattern, shape: MatrixShape, target: float) -> bool:
    """Whether the pattern has cells there and can have the sparsity, or has one of its own."""
    try:
        pattern.check(shape)
    except PatternError:
        return False
    size = (shape.rows, shape.segments, shape.cols)
    return pattern.own_sparsity(shape) is not None or pattern.reaches(target, size, MATRIX)


def described_by(candidates: Sequence[Candidate]) -> Candidate | None:
    """The pattern that says with the fewest index bytes where the layer's zeros are; None if no pattern does."""
    fitting = [candidate for candidate in candidates if candidate.fits]
    return min(fitting, key=lambda candidate: candidate.found.index_bytes, default=None)
