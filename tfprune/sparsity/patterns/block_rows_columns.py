# SPDX-License-Identifier: Apache-2.0
"""Block-based pruning: rows and columns of each block, each block on its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.sparsity.blocks import join, split
from tfprune.sparsity.layouts import MatrixShape
from tfprune.sparsity.patterns.base import register
from tfprune.sparsity.patterns.kernel_blocks import KernelBlocks


@register
@dataclass(frozen=True)
class BlockRowsColumns(KernelBlocks):
    """Block-based pruning (Gong et al. 2021): each block loses rows and columns of its own.

    A weight stays if both its row and its column of the block stay. Meant for dense layers; on a convolution every
    kernel position has blocks of its own. Rows and columns go one by one, over all blocks, those first that lose least
    score a weight, until at most ``(1 - sparsity) * weights`` are left: a greedy choice, as choosing the best rows and
    columns together is as hard as finding the largest bipartite clique. The achieved sparsity can lie above the target
    by less than one row or column of a block.

    Args:
        rows: Output channels of a block, at least 1, clipped to the layer's. Default 16.
        cols: Input channels of a block, at least 1, clipped to the layer's. Default 16.

    Raises:
        PatternError: Other sizes.

    Example:
        >>> import numpy as np
        >>> from tfprune.sparsity.select import select
        >>> w = np.array([[9.0, 1.0, 8.0], [1.0, 2.0, 1.0], [7.0, 1.0, 9.0]])
        >>> select(w, BlockRowsColumns(3, 3), 0.5).astype(int)
        array([[1, 0, 1],
               [0, 0, 0],
               [1, 0, 1]])
    """

    rows: int = 16
    cols: int = 16

    def cell_size(self, shape: MatrixShape) -> int:
        """1: rows and columns of blocks overlap, so what is counted is weights."""
        return 1

    def blocks(self, scores: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The matrix cut up, ``[block rows, segments, block cols, rows, cols]``; last blocks are filled up with 0."""
        rows, cols = self.clipped(MatrixShape(*scores.shape))
        return split(split(scores, rows, axis=0), cols, axis=3).transpose(0, 2, 3, 1, 4)

    def pool(self, scores: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Scores of the rows, then of the columns of every block, ``[block rows, segments, block cols, rows + cols]``.

        Rows and columns that only fill a last block up have -1.
        """
        shape = MatrixShape(*scores.shape)
        blocks = self.blocks(scores)
        sums = np.concatenate((blocks.sum(axis=4), blocks.sum(axis=3)), axis=3)
        rows, cols = self.clipped(shape)
        sums[-1, :, :, :rows][..., shape.rows - (len(sums) - 1) * rows :] = -1
        sums[:, :, -1, rows:][..., shape.cols - (sums.shape[2] - 1) * cols :] = -1
        return sums

    def expand(self, kept: npt.NDArray[np.bool_], shape: MatrixShape) -> npt.NDArray[np.bool_]:
        """Weights whose row and column stay."""
        rows, _ = self.clipped(shape)
        blocks = kept[..., :rows, None] & kept[..., None, rows:]
        return join(join(blocks.transpose(0, 3, 1, 2, 4), 3, shape.cols), 0, shape.rows)

    def holds(self, mask: npt.NDArray[np.bool_]) -> bool:
        """Whether every block keeps all crossings of some rows and some columns."""
        blocks = self.blocks(mask)
        rows, cols = blocks.any(axis=4, keepdims=True), blocks.any(axis=3, keepdims=True)
        return np.array_equal(rows & cols, blocks)

    def index_bits(self, mask: npt.NDArray[np.bool_]) -> int:
        """One bit a row and one a column of every block."""
        shape = MatrixShape(*mask.shape)
        return self.block_count(shape) * shape.segments * sum(self.clipped(shape))
