# SPDX-License-Identifier: Apache-2.0
"""Grouped and depthwise convolutions as one convolution with a block-diagonal matrix."""

from __future__ import annotations

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


def depthwise(weights: Array, channels: int) -> Array:
    """The matrix of a depthwise convolution.

    Args:
        weights: ``[1, kh, kw, R]``; row ``r`` reads channel ``r // (R / channels)``.
        channels: input channels, divides ``R``.

    Returns:
        ``[R, kh * kw * channels]`` of the same type.
    """
    return block_diagonal(np.ascontiguousarray(weights.transpose(3, 1, 2, 0)), channels)
