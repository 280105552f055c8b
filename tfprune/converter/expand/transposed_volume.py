# SPDX-License-Identifier: Apache-2.0
"""Transposed 3D convolutions: phases along the depth are rows of the matrix too, depth windows lie on the channels."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.converter.expand.steps import Crop, DepthWindows, Pad, Reshape, Step, Transpose
from tfprune.converter.expand.transposed import Axis, SubPixel

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class TransposedVolume:
    """A transposed 3D convolution as a 2D convolution of ``[N * depth.steps, H, W, taps * C]``.

    Rows of the matrix are in the order (row phase, column phase, depth phase, channel).

    Attributes:
        depth: its sizes along the depth.
        plane: its sizes along height and width.
        in_channels: ``C``.
        out_channels: ``R``.
    """

    depth: Axis
    plane: SubPixel
    in_channels: int
    out_channels: int

    @property
    def taps(self) -> int:
        """Slices of a depth window."""
        return 2 * self.depth.reach + 1

    @property
    def phases(self) -> int:
        """How many rows of the matrix each output channel takes."""
        return self.plane.phases * self.depth.stride

    def __call__(self, weights: Array) -> Array:
        """The expanded matrix of weights ``[kd, kh, kw, R, C]``: ``[phases * R, kernel * kernel * taps * C]``."""
        rows, channels = weights.shape[3:]
        shape = (self.plane.phases, self.depth.stride, rows, *self.plane.kernel, self.taps, channels)
        matrix = np.zeros(shape, weights.dtype)
        for phase, tap, offset in self.depth.taps():
            part = self.plane(weights[tap].transpose(2, 0, 1, 3))
            place = offset + self.depth.reach
            matrix[:, phase, :, :, :, place] = part.reshape(self.plane.phases, rows, *self.plane.kernel, channels)
        return matrix.reshape(self.phases * rows, -1)

    def before(self) -> tuple[Step, ...]:
        """Steps before the convolution."""
        rows, columns = self.plane.rows, self.plane.columns
        more = [axis.steps - axis.size for axis in (self.depth, rows, columns)]
        amounts = ((0, 0), (self.depth.reach, self.depth.reach + more[0]), (0, more[1]), (0, more[2]), (0, 0))
        padding = (Pad(amounts),) if any(map(any, amounts)) else ()
        windows = (DepthWindows(self.depth.steps, self.taps, 1, 1),) if self.taps > 1 else ()
        return (*padding, *windows, Reshape((-1, rows.steps, columns.steps, self.taps * self.in_channels)))

    def after(self) -> tuple[Step, ...]:
        """Steps behind the convolution."""
        depth, height, width = self.depth, self.plane.rows.output, self.plane.columns.output
        steps = list(self.plane.after(depth.stride * self.out_channels))
        if depth.stride > 1:
            steps += [Reshape((-1, height * width, depth.stride, self.out_channels)), Transpose((0, 2, 1, 3))]
        steps.append(Reshape((-1, depth.steps * depth.stride, height, width, self.out_channels)))
        if depth.steps * depth.stride != depth.output:
            steps.append(Crop((-1, depth.output, -1, -1, -1)))
        return tuple(steps)
