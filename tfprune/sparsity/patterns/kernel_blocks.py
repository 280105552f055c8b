# SPDX-License-Identifier: Apache-2.0
"""What patterns share that cut the filters x channels plane into blocks of kernels."""

from __future__ import annotations

from dataclasses import dataclass

from tfprune.sparsity.layouts import MatrixShape
from tfprune.sparsity.patterns.base import Pattern


@dataclass(frozen=True)
class KernelBlocks(Pattern):
    """Blocks of ``rows x cols`` kernels; the last ones may be smaller.

    Args:
        rows: Filters of a block, at least 1, clipped to the layer's.
        cols: Input channels of a block, at least 1, clipped to the layer's.

    Raises:
        PatternError: Other sizes.
    """

    rows: int
    cols: int

    def __post_init__(self) -> None:
        """Checks the fields."""
        self._set_whole("rows")
        self._set_whole("cols")

    def __str__(self) -> str:
        """Short text for tables, such as ``BlockPunched 8x4``."""
        return f"{type(self).__name__} {self.rows}x{self.cols}"

    def clipped(self, shape: MatrixShape) -> tuple[int, int]:
        """Block size on a matrix of this size: ``(rows, cols)``, no larger than the matrix."""
        return min(self.rows, shape.rows), min(self.cols, shape.cols)

    @property
    def extent(self) -> tuple[int, int]:
        """``(rows, cols)``."""
        return self.rows, self.cols

    def block_count(self, shape: MatrixShape) -> int:
        """Blocks of filters x channels, smaller last ones included."""
        rows, cols = self.clipped(shape)
        return -(-shape.rows // rows) * -(-shape.cols // cols)
