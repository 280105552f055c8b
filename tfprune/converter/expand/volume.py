# SPDX-License-Identifier: Apache-2.0
"""3D convolutions as 2D ones: the slices of a depth window lie side by side on the channels."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.converter.expand.steps import DepthWindows, Pad, Reshape, Step

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Volume:
    """A 3D convolution over ``[N, D, H, W, C]``.

    Attributes:
        depth: ``D`` of the input.
        kernel: taps along the depth.
        stride: along the depth.
        dilation: along the depth.
        same: whether the padding is SAME, else VALID.
        image: ``(H, W, C)`` of the input.
        output: ``(H, W, R)`` of the output.
    """

    depth: int
    kernel: int
    stride: int
    dilation: int
    same: bool
    image: tuple[int, int, int]
    output: tuple[int, int, int]

    @property
    def extent(self) -> int:
        """Depth that the kernel covers."""
        return (self.kernel - 1) * self.dilation + 1

    @property
    def count(self) -> int:
        """Output depths."""
        return -(-self.depth // self.stride) if self.same else (self.depth - self.extent) // self.stride + 1

    @property
    def padding(self) -> tuple[int, int]:
        """Zeros before and behind the depth."""
        total = max(0, (self.count - 1) * self.stride + self.extent - self.depth) if self.same else 0
        return total // 2, total - total // 2

    def __call__(self, weights: Array) -> Array:
        """The matrix of weights ``[kd, kh, kw, C, R]``: ``[R, kh * kw * kd * C]``."""
        return np.ascontiguousarray(weights.transpose(4, 1, 2, 0, 3)).reshape(weights.shape[4], -1)

    def before(self) -> tuple[Step, ...]:
        """Steps before the convolution of the images ``[N * count, H, W, kd * C]``."""
        height, width, channels = self.image
        steps: list[Step] = []
        if any(self.padding):
            steps.append(Pad(((0, 0), self.padding, (0, 0), (0, 0), (0, 0))))
        if self.kernel > 1 or self.stride > 1:
            steps.append(DepthWindows(self.count, self.kernel, self.stride, self.dilation))
        return (*steps, Reshape((-1, height, width, self.kernel * channels)))

    def after(self) -> tuple[Step, ...]:
        """Steps behind the convolution."""
        return (Reshape((-1, self.count, *self.output)),)
