# SPDX-License-Identifier: Apache-2.0
"""Keras kernels seen as the weight matrix ``[rows, segments, cols]`` that patterns are defined on.

Rows are output channels. A segment is one kernel position ``(kh, kw)``; its columns are the input channels. A dense
kernel has one segment. Flattened, segments and columns are the columns of the packed format (OHWI order).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.errors import PatternError

_RANKS = {"dense": 2, "conv2d": 4}
_AXES = {"dense": "[in, out]", "conv2d": "[kernel_h, kernel_w, in, out]"}


@dataclass(frozen=True)
class MatrixShape:
    """Size of a weight matrix.

    Args:
        rows: Output channels.
        segments: Kernel positions (1 for dense kernels).
        cols: Input channels of one kernel position.
    """

    rows: int
    segments: int
    cols: int

    @property
    def size(self) -> int:
        """Number of weights."""
        return self.rows * self.segments * self.cols


def resolve_layout(rank: int, layout: str | None) -> str:
    """Checks ``layout`` against an array's rank, or finds it from the rank.

    Args:
        rank: Number of dimensions.
        layout: ``"dense"``, ``"conv2d"`` or None.

    Returns:
        ``"dense"`` or ``"conv2d"``.

    Raises:
        PatternError: Unknown layout, or a rank it does not have.
    """
    if layout is not None and layout not in _RANKS:
        raise PatternError(f"`layout` must be one of {sorted(_RANKS)} or None. Received: layout={layout!r}.")
    if layout is None:
        found = [name for name, value in _RANKS.items() if value == rank]
        if not found:
            raise PatternError(
                "`weights` must have rank 2 (dense kernel, [in, out]) or 4 (convolution kernel, "
                f"[kernel_h, kernel_w, in, out]). Received: rank {rank}."
            )
        return found[0]
    if rank != _RANKS[layout]:
        raise PatternError(
            f"layout={layout!r} needs weights of rank {_RANKS[layout]}, {_AXES[layout]}. Received: rank {rank}. "
            "Reshape the weights or pass another layout."
        )
    return layout


def matrix_shape(shape: Sequence[int], layout: str | None = None) -> MatrixShape:
    """Matrix size of a kernel.

    Args:
        shape: Kernel shape, ``[in, out]`` or ``[kernel_h, kernel_w, in, out]``; every size at least 1.
        layout: ``"dense"``, ``"conv2d"``, or None to go by rank.

    Returns:
        The `MatrixShape`.

    Raises:
        PatternError: Not a kernel shape, or an empty one.
    """
    sizes = tuple(int(size) for size in shape)
    resolve_layout(len(sizes), layout)
    if min(sizes) < 1:
        raise PatternError(f"`weights` must not be empty: every dimension is at least 1. Received: shape {sizes}.")
    segments = 1
    for size in sizes[:-2]:
        segments *= size
    return MatrixShape(rows=sizes[-1], segments=segments, cols=sizes[-2])


def to_matrix(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Views a kernel (any of the two layouts) as ``[rows, segments, cols]``.

    Args:
        array: Kernel of rank 2 or 4.

    Returns:
        Array (a view where numpy can make one) of shape ``[rows, segments, cols]``.
    """
    cols, rows = array.shape[-2:]
    return np.moveaxis(array.reshape(-1, cols, rows), 2, 0)


def from_matrix(matrix: npt.NDArray[Any], shape: Sequence[int]) -> npt.NDArray[Any]:
    """Undoes `to_matrix`.

    Args:
        matrix: Array ``[rows, segments, cols]``.
        shape: Shape of the kernel.

    Returns:
        C-contiguous array of that shape.
    """
    return np.ascontiguousarray(np.moveaxis(matrix, 0, 2)).reshape(tuple(shape))
