# SPDX-License-Identifier: Apache-2.0
"""Neighbouring weights kept or removed together, on a grid or starting anywhere along one axis."""

from __future__ import annotations

import operator
from dataclasses import KW_ONLY, dataclass

from tfprune.errors import PatternError
from tfprune.sparsity.layouts import MatrixShape
from tfprune.sparsity.patterns.base import Pattern, register


@register
@dataclass(frozen=True)
class Groups(Pattern):
    """Groups of ``rows x cols`` neighbouring weights (1D where one of the two is 1, else 2D).

    Rows are output channels, columns input channels. A group never crosses from one kernel position to the next. Sizes
    are clipped to the axis: with 3 input channels, ``cols=4`` means 3. An aligned axis whose length is no multiple of
    the group size ends in a shorter group.

    Args:
        rows: Output channels of a group, at least 1. Default 4.
        cols: Input channels of a group, at least 1. Default 1.
        along: Axis on which unaligned groups may start anywhere: ``"output"`` (default) or ``"input"``; the other axis
            is aligned. Has no effect with ``aligned=True``.
        aligned: True: groups start only at multiples of their size. False (default): anywhere along one axis,
            without overlap, chosen so that the kept score is the largest possible.

    Raises:
        PatternError: A size below 1, or another value of `along` or `aligned`.

    Example:
        >>> import numpy as np
        >>> from tfprune.sparsity.select import select
        >>> w = np.array([[1.0, 8.0, 7.0, 2.0]])     # one input, four outputs
        >>> select(w, Groups(rows=2), 0.5).astype(int)
        array([[0, 1, 1, 0]])
        >>> select(w, Groups(rows=2, aligned=True), 0.5).astype(int)
        array([[1, 1, 0, 0]])
    """

    rows: int = 4
    cols: int = 1
    _: KW_ONLY
    along: str = "output"
    aligned: bool = False

    def __post_init__(self) -> None:
        """Checks the fields."""
        for name in ("rows", "cols"):
            value = getattr(self, name)
            try:
                size = -1 if isinstance(value, bool) else operator.index(value)
            except TypeError:
                size = -1
            if size < 1:
                raise PatternError(
                    f"`{name}` of `Groups` must be a whole number of at least 1. Received: {name}={value!r}."
                )
            object.__setattr__(self, name, size)
        if self.along not in ("output", "input"):
            raise PatternError(f"`along` of `Groups` must be 'output' or 'input'. Received: along={self.along!r}.")
        if not isinstance(self.aligned, bool):
            raise PatternError(f"`aligned` of `Groups` must be True or False. Received: aligned={self.aligned!r}.")

    def __str__(self) -> str:
        """Short text for tables, such as ``Groups 4x1, unaligned along output``."""
        return f"Groups {self.rows}x{self.cols}, " + ("aligned" if self.aligned else f"unaligned along {self.along}")

    def clipped(self, shape: MatrixShape) -> tuple[int, int]:
        """Group size on a matrix of this size.

        Args:
            shape: Matrix size.

        Returns:
            ``(rows, cols)``, no larger than the matrix.
        """
        return min(self.rows, shape.rows), min(self.cols, shape.cols)

    def cell_size(self, shape: MatrixShape) -> int:
        """Weights in one group: ``rows * cols``, clipped."""
        rows, cols = self.clipped(shape)
        return rows * cols

    def most_kept(self, shape: MatrixShape) -> int:
        """Aligned: every weight. Unaligned: what whole groups cover of each line along the free axis."""
        if self.aligned:
            return shape.size
        rows, cols = self.clipped(shape)
        if self.along == "output":
            return shape.rows // rows * rows * shape.segments * shape.cols
        return shape.cols // cols * cols * shape.segments * shape.rows
