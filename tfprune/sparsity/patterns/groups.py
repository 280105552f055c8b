# SPDX-License-Identifier: Apache-2.0
"""Neighbouring weights kept or removed together, on a grid or starting anywhere along one axis or both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.errors import PatternError
from tfprune.sparsity.blocks import block_sums, cover_windows, spread, tile, window_sums
from tfprune.sparsity.layouts import MatrixShape
from tfprune.sparsity.patterns.base import Pattern, register
from tfprune.sparsity.patterns.index import list_bits

_ALONG = ("output", "input", "both")
# Rows of a unit by default, in groups: with groups of four, the 32 rows of a typical GPU work group.
_UNIT_GROUPS = 8


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
            is aligned, and the choice is optimal. ``"both"``: on both axes, a packing problem without a fast exact
            answer; the best of several heuristics, never worse than ``"output"`` and ``"input"`` where sizes divide the
            weight (elsewhere those two may end in a shorter group). Has no effect with ``aligned=True``.
        aligned: True: groups start only at multiples of their size. False (default): anywhere, without overlap, chosen
            so that the kept score is the largest possible.
        balanced: True: the matrix is cut every `unit_rows` rows, groups never cross a cut, and every unit keeps the
            same number of groups, so that parallel units finish together. A last, shorter unit keeps its share.
            Default False.
        unit_rows: Rows of a unit, at least `rows`; with ``aligned=True`` a multiple of `rows`. None (default):
            ``8 * rows``. Only with ``balanced=True``.

    Raises:
        PatternError: An argument that breaks a rule above.

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
    balanced: bool = False
    unit_rows: int | None = None

    def __post_init__(self) -> None:
        """Checks the fields."""
        self._set_whole("rows")
        self._set_whole("cols")
        if self.along not in _ALONG:
            raise PatternError(f"`along` of `Groups` must be one of {_ALONG}. Received: along={self.along!r}.")
        for name in ("aligned", "balanced"):
            if not isinstance(getattr(self, name), bool):
                raise PatternError(
                    f"`{name}` of `Groups` must be True or False. Received: {name}={getattr(self, name)!r}."
                )
        if self.unit_rows is not None:
            self._check_unit()

    def _check_unit(self) -> None:
        self._set_whole("unit_rows", self.rows)
        if not self.balanced:
            raise PatternError(
                f"`unit_rows` of `Groups` needs balanced=True. Received: unit_rows={self.unit_rows}, balanced=False."
            )
        if self.aligned and self.unit_size % self.rows:
            raise PatternError(
                "`unit_rows` of aligned `Groups` must be a multiple of `rows`, so that no group crosses a cut. "
                f"Received: unit_rows={self.unit_rows}, rows={self.rows}."
            )

    def __str__(self) -> str:
        """Short text for tables, such as ``Groups 4x1, unaligned along output``."""
        place = "aligned" if self.aligned else f"unaligned along {self.along}"
        return f"Groups {self.rows}x{self.cols}, {place}" + (f", units of {self.unit_size}" if self.balanced else "")

    @property
    def unit_size(self) -> int:
        """Rows of a unit: `unit_rows` or its default."""
        return _UNIT_GROUPS * self.rows if self.unit_rows is None else self.unit_rows

    def clipped(self, shape: MatrixShape) -> tuple[int, int]:
        """Group size on a matrix of this size.

        Args:
            shape: Matrix size.

        Returns:
            ``(rows, cols)``, no larger than the matrix.
        """
        return min(self.rows, shape.rows), min(self.cols, shape.cols)

    @property
    def extent(self) -> tuple[int, int]:
        """``(rows, cols)``."""
        return self.rows, self.cols

    def cell_size(self, shape: MatrixShape) -> int:
        """Weights in one group: ``rows * cols``, clipped."""
        rows, cols = self.clipped(shape)
        return rows * cols

    def most_kept(self, shape: MatrixShape) -> int:
        """Aligned: every weight. Unaligned: what whole groups cover of each line along the free axes."""
        rows, cols = self.clipped(shape)
        free_rows, free_cols = self.free_axes()
        unit = min(self.unit_size, shape.rows) if self.balanced else shape.rows
        most = shape.size
        if free_cols:
            most = most // shape.cols * (shape.cols // cols * cols)
        if free_rows:
            most = most * (unit // rows * rows) // unit
        return most

    def most_groups(self, shape: MatrixShape) -> int:
        """The most groups that fit into one unit: places along a free axis times blocks of an aligned one.

        A shorter last block of an aligned axis counts like the others.

        Args:
            shape: Matrix size of the unit; the whole matrix where groups are not balanced.

        Returns:
            Number of groups.
        """
        rows, cols = self.clipped(shape)
        free_rows, free_cols = self.free_axes()
        down = shape.rows // rows if free_rows else -(-shape.rows // rows)
        across = shape.cols // cols if free_cols else -(-shape.cols // cols)
        return down * shape.segments * across

    def units(self, shape: MatrixShape) -> Iterator[slice]:
        """Rows of each unit; all rows where groups are not balanced."""
        size = self.unit_size if self.balanced else shape.rows
        for first in range(0, shape.rows, size):
            yield slice(first, min(first + size, shape.rows))

    def in_unit(self) -> Groups:
        """The pattern inside one unit: the same, not balanced."""
        return replace(self, balanced=False, unit_rows=None) if self.balanced else self

    def unit_count(self, sparsity: float, unit: MatrixShape) -> int:
        """Groups that a unit keeps: its share of all, as far as it has room for them.

        Args:
            sparsity: Fraction in (0, 1) that the pattern reaches.
            unit: Matrix size of the unit.

        Returns:
            Number of groups.
        """
        within = self.in_unit()
        wanted = super(Groups, within).count_cells(sparsity, unit)
        if not self.balanced or within.aligned:
            return wanted
        return min(wanted, within.most_groups(unit))

    def count_cells(self, sparsity: float, shape: MatrixShape) -> int:
        """Groups of all units."""
        shapes = (MatrixShape(unit.stop - unit.start, shape.segments, shape.cols) for unit in self.units(shape))
        return sum(self.unit_count(sparsity, unit) for unit in shapes)

    def pool(self, scores: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Scores of all places for a group, ``[first rows, segments, first cols]``.

        On a free axis there is a place at every row or column where a whole group has room, on the other one every
        `rows` or `cols`. Places that cross a cut between units have -1.
        """
        rows, cols = self.clipped(MatrixShape(*scores.shape))
        free_rows, free_cols = self.free_axes()
        sums = window_sums(scores, rows, 0) if free_rows else block_sums(scores, rows, 0)
        sums = window_sums(sums, cols, 2) if free_cols else block_sums(sums, cols, 2)
        if self.balanced and free_rows:
            place = np.arange(sums.shape[0])
            sums = np.where((place % self.unit_size + rows > self.unit_size)[:, None, None], -1, sums)
        return sums

    def expand(self, kept: npt.NDArray[np.bool_], shape: MatrixShape) -> npt.NDArray[np.bool_]:
        """Every weight of the kept groups."""
        rows, cols = self.clipped(shape)
        free_rows, free_cols = self.free_axes()
        mask = cover_windows(kept, rows, 0) if free_rows else spread(kept, rows, 0, shape.rows)
        return cover_windows(mask, cols, 2) if free_cols else spread(mask, cols, 2, shape.cols)

    def holds(self, mask: npt.NDArray[np.bool_]) -> bool:
        """Whether the mask consists of groups, as many in each balanced unit of full height."""
        starts = self.groups_by_row(mask)
        if starts is None:
            return False
        units = list(self.units(MatrixShape(*mask.shape)))
        full = units[0].stop
        return len({int(starts[unit].sum()) for unit in units if unit.stop - unit.start == full}) == 1

    def groups_by_row(self, mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64] | None:
        """Groups of a mask by the row that they start in; aligned ones start in the first row of their block.

        Args:
            mask: Mask ``[rows, segments, cols]``.

        Returns:
            ``int64 [rows]``; None if the mask does not consist of groups, none of which crosses a cut between units.
        """
        counts = np.zeros(len(mask), np.int64)
        within = self.in_unit()
        for unit in self.units(MatrixShape(*mask.shape)):
            starts = within._starts(mask[unit])
            if starts is None:
                return None
            counts[unit] = starts
        return counts

    def _starts(self, mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64] | None:
        """Groups of a unit by first row; None if the mask has others."""
        rows, cols = self.clipped(MatrixShape(*mask.shape))
        free_rows, free_cols = self.free_axes()
        counts = np.zeros(len(mask), np.int64)
        step = 1 if free_rows else rows
        # On an aligned axis a block is one cell, kept as a whole or not at all.
        left, whole_blocks = mask, mask
        for axis, size in [(0, rows)] * (not free_rows) + [(2, cols)] * (not free_cols):
            first = np.arange(0, mask.shape[axis], size)
            left = np.logical_or.reduceat(left, first, axis=axis)
            whole_blocks = np.logical_and.reduceat(whole_blocks, first, axis=axis)
        if not np.array_equal(left, whole_blocks):
            return None
        corners = tile(left, rows if free_rows else 1, cols if free_cols else 1)
        if corners is None:
            return None
        counts[: len(corners) * step : step] = corners.sum(axis=(1, 2))
        return counts

    def index_bits(self, mask: npt.NDArray[np.bool_]) -> int:
        """A 16-bit column a group, and a 32-bit end a band or, along output, a start row."""
        shape = MatrixShape(*mask.shape)
        rows, cols = self.clipped(shape)
        free_rows, _ = self.free_axes()
        lines = shape.rows - rows + 1 if free_rows else -(-shape.rows // rows)
        return list_bits(self._count_groups(mask, rows, cols), lines)

    def _count_groups(self, mask: npt.NDArray[np.bool_], rows: int, cols: int) -> int:
        """Groups of a mask of this pattern: one a touched block on aligned axes, whole groups on free ones."""
        free_rows, free_cols = self.free_axes()
        if not free_rows:
            mask = block_sums(mask.astype(np.int64), rows, 0) > 0
        if not free_cols:
            mask = block_sums(mask.astype(np.int64), cols, 2) > 0
        size = (rows if free_rows else 1) * (cols if free_cols else 1)
        return int(np.count_nonzero(mask)) // size

    def free_axes(self) -> tuple[bool, bool]:
        """Whether groups may start at any row, and at any column."""
        return not self.aligned and self.along != "input", not self.aligned and self.along != "output"
