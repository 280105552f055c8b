# SPDX-License-Identifier: Apache-2.0
"""Kernel patterns: each kernel takes its best shape, the best kernels stay."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tfprune.sparsity.scores import Integers
from tfprune.sparsity.select.rank import top_cells


def keep_kernels(shape_scores: Integers, count: int) -> npt.NDArray[np.bool_]:
    """Keeps `count` kernels, each in the shape that scores best there.

    Exact: the shape of a kernel does not bear on the others, so the best kernels are those whose best shape scores
    most.

    Args:
        shape_scores: Score of each kernel in each shape, ``[rows, cols, shapes]``.
        count: Kernels to keep, 0 .. ``rows * cols``.

    Returns:
        Mask ``[rows, cols, shapes]``: at most one true value a kernel; of equal shapes the first of the library.
    """
    best = shape_scores.argmax(axis=2)
    kernels = top_cells(np.take_along_axis(shape_scores, best[..., None], axis=2)[..., 0], count)
    kept = np.zeros(shape_scores.shape, np.bool_)
    np.put_along_axis(kept, best[..., None], kernels[..., None], axis=2)
    return kept
