# SPDX-License-Identifier: Apache-2.0
"""Transposed convolutions as a convolution of stride 1 whose outputs are the pixels between input pixels.

With stride ``s`` the output at ``q * s + p`` depends, for each *phase* ``p`` in ``0 .. s - 1``, on input pixels round
``q`` alone, through every ``s``-th tap of the kernel. So ``s * s * R`` rows, in the order (row phase, column phase,
channel), and a depth-to-space make the output.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.converter.expand.steps import Crop, DepthToSpace, Pad, Reshape, Step, Transpose

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Axis:
    """A transposed convolution along one axis.

    Attributes:
        size: of the input.
        kernel: taps.
        stride: of the output for one step of the input.
        output: size of the output.
        same: whether the padding is SAME, else VALID.
    """

    size: int
    kernel: int
    stride: int
    output: int
    same: bool

    @property
    def valid(self) -> bool:
        """Whether TFLite takes these sizes: a forward convolution of the output has the input's size."""
        if self.same:
            return -(-self.output // self.stride) == self.size
        return self.output >= self.kernel and (self.output - self.kernel) // self.stride + 1 == self.size

    @property
    def cut(self) -> int:
        """Outputs that the padding cuts off before the first one."""
        return max(0, (self.size - 1) * self.stride + self.kernel - self.output) // 2 if self.same else 0

    @property
    def gapped(self) -> bool:
        """Whether some outputs have no tap."""
        return self.kernel < self.stride

    @property
    def steps(self) -> int:
        """Outputs of each phase, the last ones perhaps behind the end."""
        return -(-self.output // self.stride)

    def taps(self) -> tuple[tuple[int, int, int], ...]:
        """(phase, kernel tap, input offset) of every tap: output ``q * stride + phase`` reads input ``q + offset``."""
        found = []
        for phase in range(self.stride):
            first = phase + self.cut
            for tap in range(first % self.stride, self.kernel, self.stride):
                found.append((phase, tap, (first - tap) // self.stride))
        return tuple(found)

    @property
    def reach(self) -> int:
        """The largest distance between an output's ``q`` and an input that it reads."""
        return max((abs(offset) for _, _, offset in self.taps()), default=0)


@dataclasses.dataclass(frozen=True)
class SubPixel:
    """How a transposed convolution becomes a convolution with SAME padding and stride 1.

    Kernels reach equally far on both sides, so that SAME pads as it should; the columns of zeros cost nothing.

    Attributes:
        rows: its sizes along the height.
        columns: along the width.
    """

    rows: Axis
    columns: Axis

    @property
    def kernel(self) -> tuple[int, int]:
        """Height and width of the expanded kernel."""
        return 2 * self.rows.reach + 1, 2 * self.columns.reach + 1

    @property
    def phases(self) -> int:
        """How many rows of the matrix each output channel takes."""
        return self.rows.stride * self.columns.stride

    def __call__(self, weights: Array) -> Array:
        """The expanded matrix of weights ``[R, kh, kw, C]``: ``[phases * R, kernel * kernel * C]``."""
        out, _, _, channels = weights.shape
        height, width = self.kernel
        matrix = np.zeros((self.rows.stride, self.columns.stride, out, height, width, channels), weights.dtype)
        for row_phase, row_tap, row_offset in self.rows.taps():
            for column_phase, column_tap, column_offset in self.columns.taps():
                y, x = row_offset + self.rows.reach, column_offset + self.columns.reach
                matrix[row_phase, column_phase, :, y, x] = weights[:, row_tap, column_tap]
        return matrix.reshape(self.phases * out, -1)

    def spread(self, values: Array) -> Array:
        """A value for each output channel (bias, scale) as one for each row of the matrix."""
        return np.tile(values, self.phases)

    def before(self) -> tuple[Step, ...]:
        """Steps before the convolution: zeros for the outputs that reach behind the last input."""
        more = [axis.steps - axis.size for axis in (self.rows, self.columns)]
        return (Pad(((0, 0), (0, more[0]), (0, more[1]), (0, 0))),) if any(more) else ()

    def after(self, out_channels: int) -> tuple[Step, ...]:
        """Steps behind the convolution: pixels from channels, and what is behind the end cut off."""
        rows, columns = self.rows, self.columns
        steps: list[Step] = []
        if rows.stride == columns.stride and rows.stride > 1:
            steps.append(DepthToSpace(rows.stride))
        elif self.phases > 1:
            split = (-1, columns.steps, rows.stride, columns.stride * out_channels)
            whole = (-1, rows.steps * rows.stride, columns.steps * columns.stride, out_channels)
            moved = (Transpose((0, 2, 1, 3)),) if rows.stride > 1 else ()
            steps += [Reshape(split), *moved, Reshape(whole)] if moved else [Reshape(whole)]
        sizes = (rows.steps * rows.stride, columns.steps * columns.stride)
        if sizes != (rows.output, columns.output):
            steps.append(Crop((-1, rows.output, columns.output, -1)))
        return tuple(steps)
