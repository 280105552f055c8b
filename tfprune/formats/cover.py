# SPDX-License-Identifier: Apache-2.0
"""Which groups cover the non-zero weights of a matrix: the fewest along each line, found greedily.

A band (row-band) is covered from left to right: each group starts at the first column not covered yet, which for
intervals of one length is optimal. A column (sliding-row) is covered from top to bottom in the same way. Sliding-row
groups wider than one column start at multiples of their width, as unaligned 2D patterns do.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.formats.enums import Encoding, ValueType
from tfprune.formats.greedy import MOST_WIDTH, unpack_rows, window_starts, window_words_down
from tfprune.formats.header_checks import check_group_size
from tfprune.formats.indexing import DOT_CELLS

BoolArray = npt.NDArray[np.bool_]
IndexArray = npt.NDArray[np.int64]

# Entries of the jump table held at once: bounds the memory of the search, whatever the layer's size.
_CHUNK_ENTRIES = 1 << 22
# Places of the matrix that are looked at together: groups found there take some numbers of 8 bytes each.
_PART_CELLS = 3 << 20


@dataclasses.dataclass(frozen=True)
class Groups:
    """Groups sorted by line, then start column; all arrays have one entry per group.

    Attributes:
        line: line of the group.
        start: its first column.
        first_row: first row whose weights this group stores, counted in the matrix.
        first_column: first column whose weights it stores: rows above and columns before belong to earlier groups.
        filler: True where the group only bridges a wide gap and stores zeros.
    """

    line: IndexArray
    start: IndexArray
    first_row: IndexArray
    first_column: IndexArray
    filler: BoolArray


def cover(
    nonzero: BoolArray, encoding: Encoding, rows: int, cols: int, segment: int = 0
) -> Iterator[tuple[slice, Groups]]:
    """Yields groups of ``rows x cols`` that cover every True of ``nonzero``, some lines at a time.

    Args:
        nonzero: bool ``[R, C]``.
        encoding: where groups may start.
        rows: group rows, 1 .. R (sliding-row: at most 16).
        cols: group columns, 1 .. C.
        segment: columns of a kernel position that row-band groups keep inside of, or 0: they may start anywhere.

    Returns:
        Consecutive lines, and their groups in the order of the format, without fillers.

    Raises:
        PackedFormatError: ``rows`` or ``cols`` outside its range.
    """
    check_group_size(nonzero.shape, encoding, rows, cols)
    if encoding == Encoding.ROW_BAND:
        for first, masks in bands(nonzero, rows):
            yield slice(first, first + len(masks)), _cover_bands(masks, first, rows, cols, segment)
    elif cols == 1:
        yield from _cover_columns(nonzero, rows)
    else:
        block, row = concatenate(greedy_positions(column_blocks(nonzero, cols), rows))
        line = np.minimum(row, nonzero.shape[0] - rows)
        column = block * cols
        start = np.minimum(column, nonzero.shape[1] - cols)
        order = np.lexsort((start, line))
        groups = Groups(line[order], start[order], row[order], column[order], np.zeros(line.shape, bool))
        yield slice(0, nonzero.shape[0] - rows + 1), groups


def bands(nonzero: BoolArray, rows: int) -> Iterator[tuple[int, BoolArray]]:
    """Yields the first of some bands of ``rows`` rows, and which columns hold a non-zero in each of them."""
    for part in row_parts(nonzero, rows):
        yield part.start // rows, band_masks(nonzero[part], rows)


def row_parts(matrix: npt.NDArray[Any], multiple: int = 1) -> Iterator[slice]:
    """Yields rows that are handled at once: a multiple of so many, but for the last ones."""
    height, width = matrix.shape
    step = max(1, _PART_CELLS // max(1, multiple * width)) * multiple
    for first in range(0, height, step):
        yield slice(first, min(first + step, height))


def sliding_starts(nonzero: BoolArray, rows: int) -> Iterator[tuple[int, BoolArray, IndexArray]]:
    """Yields where sliding groups of one column start, some lines at a time.

    A group that would reach beyond the last row starts on the last line.

    Args:
        nonzero: bool ``[R, C]``.
        rows: group rows, 1 .. min(R, 16).

    Returns:
        The first line; bool ``[lines, C]``; and for each column the row that such a group would have started at, or -1.
    """
    words = window_words_down(nonzero, rows)
    lines = nonzero.shape[0] - rows + 1
    late = unpack_rows(words, lines, nonzero.shape[0])
    moved = np.full(nonzero.shape[1], -1)
    line, column = np.nonzero(late)
    moved[column] = line + lines
    step = max(1, _PART_CELLS // max(1, nonzero.shape[1]))
    for first in range(0, lines, step):
        starts = unpack_rows(words, first, min(first + step, lines))
        if first + step >= lines:
            starts[-1] |= moved >= 0
        yield first, starts, moved


def _cover_columns(nonzero: BoolArray, rows: int) -> Iterator[tuple[slice, Groups]]:
    last = nonzero.shape[0] - rows
    for first, starts, moved in sliding_starts(nonzero, rows):
        line, column = np.nonzero(starts)
        line += first
        row = np.where((line == last) & (moved[column] >= 0), moved[column], line)
        yield slice(first, first + len(starts)), Groups(line, column, row, column, np.zeros(line.shape, bool))


def _cover_bands(masks: BoolArray, first: int, rows: int, cols: int, segment: int) -> Groups:
    width = masks.shape[1]
    if segment:
        line, column = concatenate(greedy_positions(masks.reshape(-1, segment), cols))
        line, place = np.divmod(line, width // segment)
        start = _aligned(masks, line, place * segment, np.minimum(column, segment - cols), cols)
        column = column + place * segment
    else:
        line, column = concatenate(greedy_positions(masks, cols))
        start = np.minimum(column, width - cols)
    line = line + first
    return Groups(line, start, line * rows, column, np.zeros(line.shape, bool))


def integer_segment(value_type: ValueType, in_channels: int, cols: int) -> int:
    """The segment of :func:`cover`: integer groups of whole dot-product operands keep inside a kernel position."""
    return in_channels if value_type.quantized and cols % DOT_CELLS == 0 and cols <= in_channels else 0


def _aligned(masks: BoolArray, line: IndexArray, base: IndexArray, start: IndexArray, cols: int) -> IndexArray:
    """Moves starts left to a multiple of four where that loses no column: fewer kinds of operands to prepare."""
    shift = start % DOT_CELLS
    kept = np.zeros((len(masks), masks.shape[1] + 1), np.int32)
    np.cumsum(masks, axis=1, out=kept[:, 1:])
    end = base + start + cols
    free = kept[line, end] == kept[line, end - shift]
    return base + start - np.where(free, shift, 0)


def band_masks(nonzero: BoolArray, rows: int) -> BoolArray:
    """Which columns hold a non-zero in each band of ``rows`` rows; shape ``[ceil(R / rows), C]``."""
    if rows == 1:
        return nonzero
    masks: BoolArray = nonzero[::rows].copy()
    for row in range(1, rows):
        part = nonzero[row::rows]
        masks[: len(part)] |= part
    return masks


def column_blocks(nonzero: BoolArray, cols: int) -> BoolArray:
    """The columns as lines, ``cols`` neighbours merged; shape ``[ceil(C / cols), R]``."""
    by_column = np.ascontiguousarray(nonzero.T)
    return band_masks(by_column, cols)


def jump_tables(masks: BoolArray, width: int) -> Iterator[tuple[int, npt.NDArray[np.int32]]]:
    """Yields first line and table ``next[line, p]`` = first True at or after ``p``, else the length."""
    lines, length = masks.shape
    step = max(1, _CHUNK_ENTRIES // max(1, length + width))
    position = np.arange(length, dtype=np.int32)
    for first in range(0, lines, step):
        chunk = masks[first : first + step]
        table = np.full((len(chunk), length + width), length, np.int32)
        filled = np.where(chunk, position, np.int32(length))
        table[:, :length] = np.minimum.accumulate(filled[:, ::-1], axis=1)[:, ::-1]
        yield first, table


def greedy_steps(table: npt.NDArray[np.int32], length: int, width: int) -> Iterator[tuple[IndexArray, IndexArray]]:
    """Yields (lines still running, their next uncovered position) until no line has any left."""
    line = np.arange(len(table))
    position = table[:, 0].astype(np.int64)
    flat = table.reshape(-1)
    while True:
        running = position < length
        if not running.all():
            line, position = line[running], position[running]
        if not len(line):
            return
        yield line, position
        position = flat[line * table.shape[1] + position + width].astype(np.int64)


def greedy_positions(masks: BoolArray, width: int) -> Iterator[tuple[IndexArray, IndexArray]]:
    """Yields (lines, positions), sorted by line then position, of the greedy cover by windows of ``width``."""
    if width == 1:
        yield np.divmod(np.flatnonzero(masks), masks.shape[1])
        return
    if width <= MOST_WIDTH:
        line, position = np.nonzero(window_starts(masks, width))
        yield line, position
        return
    length = masks.shape[1]
    for first, table in jump_tables(masks, width):
        line, position = concatenate(greedy_steps(table, length, width))
        order = np.lexsort((position, line))
        yield line[order] + first, position[order]


def concatenate(pieces: Iterator[tuple[IndexArray, IndexArray]]) -> tuple[IndexArray, IndexArray]:
    """All lines and all positions of the pieces."""
    empty = np.zeros(0, np.int64)
    lines, positions = [empty], [empty]
    for line, position in pieces:
        lines.append(line)
        positions.append(position)
    return np.concatenate(lines), np.concatenate(positions)


def with_fillers(groups: Groups, most: int) -> Groups:
    """Adds groups of zeros so that no start is more than ``most`` columns after the one before it in its line."""
    previous = np.zeros_like(groups.start)
    previous[1:] = np.where(groups.line[1:] == groups.line[:-1], groups.start[:-1], 0)
    missing = np.maximum(groups.start - previous - 1, 0) // most
    if not missing.any():
        return groups
    owner = np.repeat(np.arange(len(missing)), missing)
    nth = np.arange(len(owner)) - np.repeat(np.cumsum(missing) - missing, missing) + 1
    start = previous[owner] + nth * most
    line = np.concatenate((groups.line, groups.line[owner]))
    starts = np.concatenate((groups.start, start))
    order = np.lexsort((starts, line))
    filler = np.concatenate((groups.filler, np.ones(len(owner), bool)))
    first_row = np.concatenate((groups.first_row, groups.first_row[owner]))
    first_column = np.concatenate((groups.first_column, start))
    return Groups(line[order], starts[order], first_row[order], first_column[order], filler[order])
