# SPDX-License-Identifier: Apache-2.0
"""Whole filters: a coarse baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.sparsity.layouts import MatrixShape
from tfprune.sparsity.patterns.base import Pattern, register


@register
@dataclass(frozen=True)
class Filters(Pattern):
    """Whole filters: all weights of an output channel.

    Example:
        >>> import numpy as np
        >>> from tfprune.sparsity.select import select
        >>> select(np.array([[1.0, -4.0], [3.0, 2.0]]), Filters(), 0.5).astype(int)   # columns of a Keras kernel
        array([[0, 1],
               [0, 1]])
    """

    def __str__(self) -> str:
        """Short text for tables."""
        return "Filters"

    def cell_size(self, shape: MatrixShape) -> int:
        """Weights of a filter: ``segments * cols``."""
        return shape.segments * shape.cols

    def pool(self, scores: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """One score a filter, ``[rows]``."""
        sums: npt.NDArray[Any] = scores.sum(axis=(1, 2))
        return sums

    def expand(self, kept: npt.NDArray[np.bool_], shape: MatrixShape) -> npt.NDArray[np.bool_]:
        """Whole rows."""
        return np.broadcast_to(kept[:, None, None], (shape.rows, shape.segments, shape.cols)).copy()

    def index_bits(self, mask: npt.NDArray[np.bool_]) -> int:
        """One bit a filter."""
        return int(mask.shape[0])
