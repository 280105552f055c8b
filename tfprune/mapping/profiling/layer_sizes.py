# SPDX-License-Identifier: Apache-2.0
"""Sizes of layers as data: a line a layer."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from tfprune.costs.predict import LayerShape


@dataclasses.dataclass(frozen=True)
class LayerSizes:
    """A layer as a line of a file of shapes names it; padding is SAME.

    Attributes:
        kind: ``"conv"``, ``"depthwise"`` or ``"fc"``.
    """

    kind: str
    height: int
    width: int
    in_channels: int
    out_channels: int
    kernel: int
    stride: int
    batch: int

    @property
    def out_shape(self) -> tuple[int, ...]:
        """Shape of the output."""
        if self.kind == "fc":
            return (self.batch, self.out_channels)
        return (self.batch, -(-self.height // self.stride), -(-self.width // self.stride), self.out_channels)

    @property
    def in_shape(self) -> tuple[int, ...]:
        """Shape of the input."""
        shape = (self.batch, self.height, self.width, self.in_channels)
        return (self.batch, self.in_channels) if self.kind == "fc" else shape

    @property
    def ends(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Shapes of input and output."""
        return self.in_shape, self.out_shape

    @property
    def columns(self) -> int:
        """Columns of the weight matrix."""
        return self.kernel * self.kernel * (1 if self.kind == "depthwise" else self.in_channels)

    @property
    def pixels(self) -> int:
        """Output positions of one run, batch included."""
        return int(np.prod(self.out_shape[:-1]))

    @property
    def macs(self) -> int:
        """Multiply-adds of the dense layer in one run."""
        return self.out_channels * self.columns * self.pixels

    def fields(self) -> tuple[str | int, ...]:
        """The fields in the order of a line."""
        return dataclasses.astuple(self)

    def costs(self, precision: str = "float32") -> LayerShape:
        """The layer as the cost tables see it."""
        return LayerShape(
            fully_connected=self.kind == "fc",
            out_channels=self.out_channels,
            columns=self.columns,
            kernel_size=self.kernel * self.kernel,
            pixels=self.pixels,
            input_values=int(np.prod(self.in_shape)),
            precision=precision,
        )

    def __str__(self) -> str:
        """A short name."""
        size = "x".join(str(value) for value in self.in_shape)
        return f"{self.kind} {size} to {self.out_channels}, {self.kernel}x{self.kernel}/{self.stride}"


def read_layers(path: Path) -> list[LayerSizes]:
    """Reads a file of shapes, each layer once."""
    return list(count_layers(path))


def count_layers(path: Path) -> dict[LayerSizes, int]:
    """Reads a file of shapes: each layer and how often it occurs, once where the file does not say."""
    rows = [line.split() for line in path.read_text().splitlines() if line and not line.startswith("#")]
    fields = len(dataclasses.fields(LayerSizes))
    return {LayerSizes(row[0], *map(int, row[1:fields])): int(row[fields]) if len(row) > fields else 1 for row in rows}
