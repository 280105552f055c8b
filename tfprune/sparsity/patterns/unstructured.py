# SPDX-License-Identifier: Apache-2.0
"""Single weights."""

from __future__ import annotations

from dataclasses import dataclass

from tfprune.sparsity.layouts import MatrixShape
from tfprune.sparsity.patterns.base import Pattern, register


@register
@dataclass(frozen=True)
class Unstructured(Pattern):
    """Every weight on its own: the most accurate pattern and the slowest to run.

    Example:
        >>> import numpy as np
        >>> from tfprune.sparsity.select import select
        >>> select(np.array([[1.0, -4.0], [3.0, 2.0]]), Unstructured(), 0.5).astype(int)
        array([[0, 1],
               [1, 0]])
    """

    def __str__(self) -> str:
        """Short text for tables."""
        return "Unstructured"

    def cell_size(self, shape: MatrixShape) -> int:
        """Always 1."""
        return 1

    def most_kept(self, shape: MatrixShape) -> int:
        """Every weight."""
        return shape.size
