# SPDX-License-Identifier: Apache-2.0
"""Grouped and depthwise convolutions as one convolution with a block-diagonal matrix."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def block_diagonal(weights: Array, groups: int) -> Array:
    """The matrix of a grouped convolution over all input channels.

    Args:
        weights: ``[R, kh, kw, C / groups]``; each group has ``R / groups`` rows.
        groups: divides ``R``.

    Returns:
        ``[R, kh * kw * C]`` of the same type; a row holds zeros at the channels of other groups.
    """
    rows, height, width, own = weights.shape
    matrix = np.zeros((groups, rows // groups, height * width, groups, own), weights.dtype)
    split = weights.reshape(groups, rows // groups, height * width, own)
    for group in range(groups):
        matrix[group, :, :, group] = split[group]
    return matrix.reshape(rows, -1)


def diagonal_blocks(matrix: Array, groups: int, kernel: tuple[int, int]) -> Array:
    """The way back from :func:`block_diagonal`: ``[R, kh, kw, C / groups]``."""
    rows = matrix.shape[0]
    split = matrix.reshape(groups, rows // groups, *kernel, groups, -1)
    return np.concatenate([split[group, :, :, :, group] for group in range(groups)])


@dataclasses.dataclass(frozen=True)
class Grouped:
    """A convolution with ``groups`` groups."""

    groups: int

    def __call__(self, weights: Array) -> Array:
        """The expanded matrix of weights ``[R, kh, kw, C / groups]``."""
        return block_diagonal(weights, self.groups)

    def dense(self, matrix: Array, kernel: tuple[int, int]) -> Array:
        """The weights of an expanded matrix."""
        return diagonal_blocks(matrix, self.groups, kernel)


@dataclasses.dataclass(frozen=True)
class Depthwise:
    """A depthwise convolution of ``channels`` channels; row ``r`` reads channel ``r // (R / channels)``."""

    channels: int

    def __call__(self, weights: Array) -> Array:
        """The expanded matrix of weights ``[1, kh, kw, R]``."""
        return block_diagonal(np.ascontiguousarray(weights.transpose(3, 1, 2, 0)), self.channels)

    def dense(self, matrix: Array, kernel: tuple[int, int]) -> Array:
        """The weights of an expanded matrix."""
        return np.ascontiguousarray(diagonal_blocks(matrix, self.channels, kernel).transpose(3, 1, 2, 0))
