# SPDX-License-Identifier: Apache-2.0
"""Block-punched pruning: the same kernel positions in all kernels of a block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.sparsity.blocks import block_sums, spread
from tfprune.sparsity.layouts import MatrixShape
from tfprune.sparsity.patterns.base import register
from tfprune.sparsity.patterns.kernel_blocks import KernelBlocks


@register
@dataclass(frozen=True)
class BlockPunched(KernelBlocks):
    """Block-punched pruning (Gong et al. 2021): the same kernel positions go in all kernels of a block.

    The filters x channels plane is cut into blocks of ``rows x cols`` kernels; a cell is one kernel position of one
    block. For 1x1 kernels and dense layers the whole block is the cell. The last blocks may be smaller.

    Args:
        rows: Filters of a block, at least 1, clipped to the layer's. Default 8.
        cols: Input channels of a block, at least 1, clipped to the layer's. Default 4.

    Raises:
        PatternError: Other sizes.

    Example:
        >>> import numpy as np
        >>> from tfprune.sparsity.select import select
        >>> kernel = np.array([1.0, 5.0, 2.0])[:, None, None] * np.ones((3, 2, 2))   # three positions, 2x2 kernels
        >>> select(kernel, BlockPunched(2, 2), 2 / 3)[:, 0, 0].astype(int)
        array([0, 1, 0])
    """

    rows: int = 8
    cols: int = 4

    def cell_size(self, shape: MatrixShape) -> int:
        """Kernels of a block: ``rows * cols``, clipped."""
        rows, cols = self.clipped(shape)
        return rows * cols

    def pool(self, scores: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """One score a position of a block, ``[block rows, segments, block cols]``."""
        rows, cols = self.clipped(MatrixShape(*scores.shape))
        return block_sums(block_sums(scores, rows, 0), cols, 2)

    def expand(self, kept: npt.NDArray[np.bool_], shape: MatrixShape) -> npt.NDArray[np.bool_]:
        """The position in every kernel of the block."""
        rows, cols = self.clipped(shape)
        return spread(spread(kept, rows, 0, shape.rows), cols, 2, shape.cols)

    def index_bits(self, mask: npt.NDArray[np.bool_]) -> int:
        """One bit a position of a block."""
        shape = MatrixShape(*mask.shape)
        return self.block_count(shape) * shape.segments
