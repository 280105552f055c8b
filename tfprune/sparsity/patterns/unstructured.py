# SPDX-License-Identifier: Apache-2.0
"""Single weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from tfprune.sparsity.layouts import MatrixShape
from tfprune.sparsity.patterns.base import Pattern, register
from tfprune.sparsity.patterns.index import list_bits


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

    single_weights: ClassVar[bool] = True

    def __str__(self) -> str:
        """Short text for tables."""
        return "Unstructured"

    def cell_size(self, shape: MatrixShape) -> int:
        """Always 1."""
        return 1

    def pool(self, scores: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The scores themselves."""
        return scores

    def expand(self, kept: npt.NDArray[np.bool_], shape: MatrixShape) -> npt.NDArray[np.bool_]:
        """The mask itself."""
        return kept

    def index_bits(self, mask: npt.NDArray[np.bool_]) -> int:
        """A 16-bit column a weight, a 32-bit end a row."""
        return list_bits(entries=int(np.count_nonzero(mask)), lines=mask.shape[0])
