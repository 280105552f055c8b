# SPDX-License-Identifier: Apache-2.0
"""Whole input channels: a coarse baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.sparsity.layouts import MatrixShape
from tfprune.sparsity.patterns.base import Pattern, register


@register
@dataclass(frozen=True)
class Channels(Pattern):
    """Whole input channels: all weights that read an input channel, in every filter and at every kernel position.

    Example:
        >>> import numpy as np
        >>> from tfprune.sparsity.select import select
        >>> select(np.array([[1.0, -4.0], [3.0, 1.0]]), Channels(), 0.5).astype(int)   # rows of a Keras kernel
        array([[1, 1],
               [0, 0]])
    """

    def __str__(self) -> str:
        """Short text for tables."""
        return "Channels"

    def cell_size(self, shape: MatrixShape) -> int:
        """Weights of an input channel: ``rows * segments``."""
        return shape.rows * shape.segments

    def pool(self, scores: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """One score an input channel, ``[cols]``."""
        sums: npt.NDArray[Any] = scores.sum(axis=(0, 1))
        return sums

    def expand(self, kept: npt.NDArray[np.bool_], shape: MatrixShape) -> npt.NDArray[np.bool_]:
        """Whole columns at every kernel position."""
        return np.broadcast_to(kept[None, None, :], (shape.rows, shape.segments, shape.cols)).copy()

    def index_bits(self, mask: npt.NDArray[np.bool_]) -> int:
        """One bit an input channel."""
        return int(mask.shape[2])
