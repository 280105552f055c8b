# SPDX-License-Identifier: Apache-2.0
"""The stock ops that stand round an op over an expanded matrix: each a step with a shape and a meaning.

A step keeps working when the batch, always the first dimension, is resized; all other sizes are fixed in it.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Shape = tuple[int, ...]


class Step(Protocol):
    """One rearrangement of an activation."""

    def shape(self, shape: Shape) -> Shape:
        """The output's shape for an input of ``shape``."""

    def apply(self, x: Array, zero: int = 0) -> Array:
        """The output for ``x``; ``zero`` is the value that means 0, the zero point of quantised activations."""


@dataclasses.dataclass(frozen=True)
class Pad:
    """Zeros round the activation: for each dimension how many before and behind."""

    amounts: tuple[tuple[int, int], ...]

    def shape(self, shape: Shape) -> Shape:
        """See :class:`Step`."""
        return tuple(size + sum(amount) for size, amount in zip(shape, self.amounts, strict=True))

    def apply(self, x: Array, zero: int = 0) -> Array:
        """See :class:`Step`."""
        return np.pad(x, self.amounts, constant_values=zero)


@dataclasses.dataclass(frozen=True)
class Reshape:
    """The same values in the same order; the first of ``sizes`` may be -1, what is left."""

    sizes: tuple[int, ...]

    def shape(self, shape: Shape) -> Shape:
        """See :class:`Step`."""
        rest = math.prod(self.sizes[1:])
        return (math.prod(shape) // rest if self.sizes[0] == -1 else self.sizes[0], *self.sizes[1:])

    def apply(self, x: Array, zero: int = 0) -> Array:
        """See :class:`Step`."""
        return x.reshape(self.sizes)


@dataclasses.dataclass(frozen=True)
class Transpose:
    """Dimensions in the order ``axes``."""

    axes: tuple[int, ...]

    def shape(self, shape: Shape) -> Shape:
        """See :class:`Step`."""
        return tuple(shape[axis] for axis in self.axes)

    def apply(self, x: Array, zero: int = 0) -> Array:
        """See :class:`Step`."""
        return x.transpose(self.axes)


@dataclasses.dataclass(frozen=True)
class Crop:
    """The first ``sizes`` of each dimension; -1 takes all, as always of the batch."""

    sizes: tuple[int, ...]

    def shape(self, shape: Shape) -> Shape:
        """See :class:`Step`."""
        return tuple(old if new == -1 else new for old, new in zip(shape, self.sizes, strict=True))

    def apply(self, x: Array, zero: int = 0) -> Array:
        """See :class:`Step`."""
        return x[tuple(slice(None if size == -1 else size) for size in self.sizes)]


@dataclasses.dataclass(frozen=True)
class DepthToSpace:
    """``[N, H, W, block * block * C]`` to ``[N, H * block, W * block, C]``, channels in the order (row, column, C)."""

    block: int

    def shape(self, shape: Shape) -> Shape:
        """See :class:`Step`."""
        n, height, width, channels = shape
        return (n, height * self.block, width * self.block, channels // self.block**2)

    def apply(self, x: Array, zero: int = 0) -> Array:
        """See :class:`Step`."""
        n, height, width, channels = x.shape
        split = x.reshape(n, height, width, self.block, self.block, channels // self.block**2)
        return split.transpose(0, 1, 3, 2, 4, 5).reshape(self.shape(x.shape))


@dataclasses.dataclass(frozen=True)
class DepthWindows:
    """``[N, D, H, W, C]`` to ``[N, count, H, W, taps * C]``: for each output depth its window, side by side.

    Attributes:
        count: output depths.
        taps: slices of a window.
        stride: from one window to the next.
        dilation: from one slice of a window to the next.
    """

    count: int
    taps: int
    stride: int
    dilation: int

    @property
    def ranges(self) -> tuple[tuple[int, int], ...]:
        """First and last-plus-one depth of each tap's slice; its step is the stride."""
        last = (self.count - 1) * self.stride + 1
        return tuple((tap * self.dilation, tap * self.dilation + last) for tap in range(self.taps))

    def shape(self, shape: Shape) -> Shape:
        """See :class:`Step`."""
        return (shape[0], self.count, *shape[2:4], self.taps * shape[4])

    def apply(self, x: Array, zero: int = 0) -> Array:
        """See :class:`Step`."""
        return np.concatenate([x[:, begin : end : self.stride] for begin, end in self.ranges], axis=4)


def shape_after(steps: tuple[Step, ...], shape: Shape) -> Shape:
    """The shape that the steps make of ``shape``."""
    for step in steps:
        shape = step.shape(shape)
    return shape
