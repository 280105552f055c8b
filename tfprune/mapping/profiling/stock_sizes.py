# SPDX-License-Identifier: Apache-2.0
"""Sizes of stock ops as data: a line an op."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from tfprune.costs import StockOp

#: FULLY_CONNECTED over weights in TFLite's sparse encoding, with one row of input and with several.
SPARSE = ("sparse_fully_connected_single", "sparse_fully_connected_batch")
Shape = tuple[int, ...]


class StockLayer(NamedTuple):
    """A line of ``shapes/stock_ops.txt``; padding is SAME.

    Attributes:
        name: as the cost tables name the op.
        in_shape: shape of the input.
        out_channels: last dimension of the output; of a concatenation that of a piece.
        kernel: rows, columns and, in three dimensions, slices; twice how far a PAD or SLICE reaches, and 1 more.
        stride: in every direction; the block of DEPTH_TO_SPACE; how much larger a RESIZE makes an image.
        groups: of a convolution; pieces of a concatenation; of so many 1x4 blocks of a sparse FULLY_CONNECTED one holds
            weights.
        operator: LiteRT's name, where the tables have one name for several.
    """

    name: str
    in_shape: Shape
    out_channels: int
    kernel: int
    stride: int
    groups: int
    operator: str = ""

    def __str__(self) -> str:
        """What tells it from others."""
        size = "x".join(map(str, self.in_shape))
        name = f"{self.name}:{self.operator}" if self.operator else self.name
        return f"{name} {size} to {self.out_channels}, {self.kernel}/{self.stride}, {self.groups} groups"

    @property
    def out_shape(self) -> Shape:
        """Shape of the output."""
        batch, *image, channels = self.in_shape
        if self.name == "pad":
            return (batch, *(size + self.kernel - 1 for size in image), channels)
        if self.name == "slice":
            return (batch, *(size - self.kernel + 1 for size in image), channels)
        if self.name == "concatenation":
            return (*self.in_shape[:-1], self.groups * channels)
        if self.name == "transpose":
            return (batch, *image[1:], image[0], channels)
        if self.name == "reduction":
            return (batch, channels)
        if self.name in ("transpose_conv", "depth_to_space", "resize"):
            return (batch, *(size * self.stride for size in image), self.out_channels)
        return (batch, *(-(-size // self.stride) for size in image), self.out_channels)

    def costs(self) -> StockOp:
        """The op as the cost tables see it; positions outside the image count as multiplied."""
        in_positions, out_positions = (int(np.prod(shape[:-1])) for shape in (self.in_shape, self.out_shape))
        each = self.in_shape[-1] * self.out_channels
        macs = {
            "depthwise_conv_2d": out_positions * self.kernel**2 * self.out_channels,
            "grouped_conv_2d": out_positions * self.kernel**2 * each // self.groups,
            "transpose_conv": in_positions * self.kernel**2 * each,
            "conv_3d": out_positions * self.kernel**3 * each,
            "batch_matmul": out_positions * each,
            "pooling": out_positions * self.kernel**2 * self.out_channels,
            "reduction": in_positions * self.in_shape[-1],
            **dict.fromkeys(SPARSE, out_positions * each // self.groups),
        }
        return StockOp(self.name, macs.get(self.name, 0), int(np.prod(self.out_shape)))


def read_stock_layers(path: Path) -> list[StockLayer]:
    """Reads a file such as ``shapes/stock_ops.txt``, whose first word is a name, or a name and an operator."""
    rows = [line.split() for line in path.read_text().splitlines() if line and not line.startswith("#")]
    found = []
    for word, shape, *numbers in rows:
        name, _, operator = word.partition(":")
        out_channels, kernel, stride, groups = map(int, numbers)
        sizes = tuple(map(int, shape.split("x")))
        found.append(StockLayer(name, sizes, out_channels, kernel, stride, groups, operator))
    return found
