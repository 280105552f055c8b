# SPDX-License-Identifier: Apache-2.0
"""Where in the matrix each stored value belongs; shared by the encoder and the decoder."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from tfprune.formats.enums import Encoding

IndexArray = npt.NDArray[np.int64]

# Values handled at once: their row and column numbers take 16 bytes each.
_CHUNK_VALUES = 1 << 20


@dataclasses.dataclass(frozen=True)
class Placement:
    """Rows and columns of the values of consecutive groups.

    Attributes:
        groups: the groups in question.
        values: their values, counted in the order of float weights.
        rows: matrix rows, shape ``[groups, 1, rows of the line]``.
        columns: matrix columns, shape ``[groups, group_cols, 1]``.
    """

    groups: slice
    values: slice
    rows: IndexArray
    columns: IndexArray


def placements(
    line: IndexArray, start: IndexArray, encoding: int, out_channels: int, group_rows: int, group_cols: int
) -> Iterator[Placement]:
    """Yields where the values of all groups go, in their stored order, some groups at a time.

    Args:
        line: line of each group, sorted.
        start: first column of each group.
        encoding: row-band or sliding-row.
        out_channels: rows of the matrix.
        group_rows: rows of a group.
        group_cols: columns of a group.
    """
    short_rows = out_channels % group_rows if encoding == Encoding.ROW_BAND else 0
    # Only the last band can be shorter than the others, and its groups come last.
    full = len(line)
    if short_rows:
        full = int(np.searchsorted(line, out_channels // group_rows))
    value = 0
    for begin, end, rows in ((0, full, group_rows), (full, len(line), short_rows)):
        step = max(1, _CHUNK_VALUES // max(1, rows * group_cols))
        for first in range(begin, end, step):
            groups = slice(first, min(end, first + step))
            size = (groups.stop - groups.start) * rows * group_cols
            matrix_rows = _rows(line[groups], encoding, group_rows, rows)
            columns = start[groups, None, None] + np.arange(group_cols)[None, :, None]
            yield Placement(groups, slice(value, value + size), matrix_rows[:, None, :], columns)
            value += size


#: Cells of a line that integer weights keep together: the width of a dot-product instruction's operand.
DOT_CELLS = 4


def values_per_line(
    groups: IndexArray, encoding: int, out_channels: int, group_rows: int, group_cols: int
) -> IndexArray:
    """Stored values of each line.

    Args:
        groups: groups of each line.
        encoding: row-band or sliding-row.
        out_channels: rows of the matrix.
        group_rows: rows of a group.
        group_cols: columns of a group.
    """
    values = groups * group_cols * group_rows
    if encoding == Encoding.ROW_BAND and out_channels % group_rows:
        values[-1] = groups[-1] * group_cols * (out_channels % group_rows)
    return values


def integer_places(
    groups: IndexArray, encoding: int, out_channels: int, group_rows: int, group_cols: int
) -> IndexArray:
    """Where integer weights stand that are given in the order of float weights.

    Float weights follow cell by cell and within a cell row by row. Of integers four cells stand together, and so do the
    one to three that a line has left: row by row, and within a row cell by cell.

    Args:
        groups: groups of each line.
        encoding: row-band or sliding-row.
        out_channels: rows of the matrix.
        group_rows: rows of a group.
        group_cols: columns of a group.
    """
    counts = values_per_line(groups, encoding, out_channels, group_rows, group_cols)
    rows = np.full(len(groups), group_rows)
    if encoding == Encoding.ROW_BAND and out_channels % group_rows:
        rows[-1] = out_channels % group_rows
    first = np.repeat(np.cumsum(counts) - counts, counts)
    within = np.arange(len(first)) - first
    per_value = np.repeat(rows, counts)
    cell, row = np.divmod(within, per_value)
    begin = cell // DOT_CELLS * DOT_CELLS
    together = np.minimum(DOT_CELLS, np.repeat(groups * group_cols, counts) - begin)
    places: IndexArray = first + begin * per_value + row * together + cell - begin
    return places


def _rows(line: IndexArray, encoding: int, group_rows: int, rows: int) -> IndexArray:
    slot = np.arange(rows)
    if encoding == Encoding.ROW_BAND:
        return line[:, None] * group_rows + slot
    # Rotated: slot s holds the row q of line .. line + rows - 1 with q mod rows = s.
    return line[:, None] + (slot - line[:, None]) % rows
