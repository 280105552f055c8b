# SPDX-License-Identifier: Apache-2.0
"""Which groups cover the non-zero weights of a matrix: the fewest along each line, found greedily.

A band (row-band) is covered from left to right: each group starts at the first column not covered yet, which for
intervals of one length is optimal. A column (sliding-row) is covered from top to bottom in the same way. Sliding-row
groups wider than one column start at multiples of their width, as unaligned 2D patterns do.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from tfprune.errors import PackedFormatError
from tfprune.formats.greedy import MOST_WIDTH, count_windows, count_windows_down, window_starts
from tfprune.formats.header import (
    MAX_BLOCK_MATRIX_COLUMNS,
    MAX_COLUMN_STEP,
    Encoding,
    ValueType,
    line_count,
    most_group_rows,
    packed_size,
)
from tfprune.formats.indexing import DOT_CELLS, values_per_line

BoolArray = npt.NDArray[np.bool_]
IndexArray = npt.NDArray[np.int64]

# Entries of the jump table held at once: bounds the memory of the search, whatever the layer's size.
_CHUNK_ENTRIES = 1 << 22


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


@dataclasses.dataclass(frozen=True)
class GroupCount:
    """What a cover would cost.

    Attributes:
        lines: bands or start rows, used or not.
        groups: groups to store, fillers included.
        weights: weights in the groups, the zeros inside groups included.
        values: values to store: the weights, and what fills up the lines of int8 weights.
        size: bytes of the packed weights.
    """

    lines: int
    groups: int
    weights: int
    values: int
    size: int


def check_group_size(shape: tuple[int, int], encoding: Encoding, rows: int, cols: int) -> None:
    """Refuses group sizes that the format cannot hold for a matrix of ``shape``.

    Raises:
        PackedFormatError: ``rows`` or ``cols`` outside its range.
    """
    most_rows, most_cols = most_group_rows(encoding, shape[0]), 1 if encoding.in_blocks else shape[1]
    if encoding.in_blocks and shape[1] > MAX_BLOCK_MATRIX_COLUMNS:
        raise PackedFormatError(
            f"packed weights: {encoding.name} holds matrices of up to {MAX_BLOCK_MATRIX_COLUMNS} columns, "
            f"got {shape[1]}"
        )
    if not 1 <= rows <= most_rows:
        raise PackedFormatError(
            f"packed weights: group_rows must lie in [1, {most_rows}] for {encoding.name} of {shape[0]} rows, "
            f"got {rows}"
        )
    if not 1 <= cols <= most_cols:
        raise PackedFormatError(
            f"packed weights: group_cols must lie in [1, {most_cols}] for {encoding.name}, got {cols}"
        )


def cover(nonzero: BoolArray, encoding: Encoding, rows: int, cols: int, segment: int = 0) -> Groups:
    """Returns groups of ``rows x cols`` that cover every True of ``nonzero``.

    Args:
        nonzero: bool ``[R, C]``.
        encoding: where groups may start.
        rows: group rows, 1 .. R (sliding-row: at most 16).
        cols: group columns, 1 .. C.
        segment: columns of a kernel position that row-band groups keep inside of, or 0: they may start anywhere.

    Returns:
        The groups in the order of the format, fillers included.

    Raises:
        PackedFormatError: ``rows`` or ``cols`` outside its range.
    """
    check_group_size(nonzero.shape, encoding, rows, cols)
    if encoding == Encoding.ROW_BAND and segment:
        masks = band_masks(nonzero, rows)
        line, column = _concatenate(_greedy_positions(masks.reshape(-1, segment), cols))
        line, first = np.divmod(line, nonzero.shape[1] // segment)
        start = _aligned(masks, line, first * segment, np.minimum(column, segment - cols), cols)
        column = column + first * segment
        groups = Groups(line, start, line * rows, column, np.zeros(line.shape, bool))
    elif encoding == Encoding.ROW_BAND:
        line, column = _concatenate(_greedy_positions(band_masks(nonzero, rows), cols))
        start = np.minimum(column, nonzero.shape[1] - cols)
        groups = Groups(line, start, line * rows, column, np.zeros(line.shape, bool))
    else:
        block, row = _concatenate(_greedy_positions(_column_blocks(nonzero, cols), rows))
        line = np.minimum(row, nonzero.shape[0] - rows)
        column = block * cols
        start = np.minimum(column, nonzero.shape[1] - cols)
        order = np.lexsort((start, line))
        groups = Groups(line[order], start[order], row[order], column[order], np.zeros(line.shape, bool))
    return _with_fillers(groups) if nonzero.shape[1] > MAX_COLUMN_STEP else groups


def int8_segment(value_type: ValueType, in_channels: int, cols: int) -> int:
    """The segment of :func:`cover`: int8 groups of whole dot-product operands keep inside a kernel position."""
    return in_channels if value_type == ValueType.INT8 and cols % DOT_CELLS == 0 and cols <= in_channels else 0


def _aligned(masks: BoolArray, line: IndexArray, base: IndexArray, start: IndexArray, cols: int) -> IndexArray:
    """Moves starts left to a multiple of four where that loses no column: fewer kinds of operands to prepare."""
    shift = start % DOT_CELLS
    kept = np.zeros((len(masks), masks.shape[1] + 1), np.int32)
    np.cumsum(masks, axis=1, out=kept[:, 1:])
    end = base + start + cols
    free = kept[line, end] == kept[line, end - shift]
    return base + start - np.where(free, shift, 0)


def count_groups(
    nonzero: BoolArray,
    encoding: Encoding,
    rows: int,
    cols: int,
    value_type: ValueType = ValueType.FLOAT32,
    in_channels: int | None = None,
) -> GroupCount:
    """Counts what :func:`cover` would store, without building the groups.

    Args:
        nonzero: bool ``[R, C]``.
        encoding: where groups may start.
        rows: group rows, 1 .. R (sliding-row: at most 16).
        cols: group columns, 1 .. C.
        value_type: type of the stored values.
        in_channels: input channels, where they are not all columns.

    Raises:
        PackedFormatError: ``rows`` or ``cols`` outside its range.
    """
    check_group_size(nonzero.shape, encoding, rows, cols)
    height, width = nonzero.shape
    lines = line_count(encoding, height, rows)
    # The lines of int8 weights are filled up one by one, so that they must be known.
    segment = int8_segment(value_type, in_channels or width, cols)
    if width > MAX_COLUMN_STEP or segment or (encoding == Encoding.SLIDING_ROW and value_type == ValueType.INT8):
        line = cover(nonzero, encoding, rows, cols, segment).line
        per_line = np.bincount(line, minlength=lines)
    elif encoding == Encoding.ROW_BAND:
        per_line = _count_greedy(band_masks(nonzero, rows), cols)
    else:
        per_line = np.zeros(lines, np.int64)
        # Sliding rows have at most 16 rows.
        down = count_windows_down(nonzero, rows) if cols == 1 else count_windows(_column_blocks(nonzero, cols), rows)
        per_line[0] = int(down.sum())
    groups = int(per_line.sum())
    weights = int(values_per_line(per_line, encoding, height, rows, cols, ValueType.FLOAT32).sum())
    values = int(values_per_line(per_line, encoding, height, rows, cols, value_type).sum())
    return GroupCount(lines, groups, weights, values, packed_size(lines, groups, values, value_type, height))


def band_masks(nonzero: BoolArray, rows: int) -> BoolArray:
    """Which columns hold a non-zero in each band of ``rows`` rows; shape ``[ceil(R / rows), C]``."""
    if rows == 1:
        return nonzero
    masks: BoolArray = nonzero[::rows].copy()
    for row in range(1, rows):
        part = nonzero[row::rows]
        masks[: len(part)] |= part
    return masks


def _column_blocks(nonzero: BoolArray, cols: int) -> BoolArray:
    """The columns as lines, ``cols`` neighbours merged; shape ``[ceil(C / cols), R]``."""
    by_column = np.ascontiguousarray(nonzero.T)
    return band_masks(by_column, cols)


def _jump_tables(masks: BoolArray, width: int) -> Iterator[tuple[int, npt.NDArray[np.int32]]]:
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


def _greedy_steps(table: npt.NDArray[np.int32], length: int, width: int) -> Iterator[tuple[IndexArray, IndexArray]]:
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


def _greedy_positions(masks: BoolArray, width: int) -> Iterator[tuple[IndexArray, IndexArray]]:
    """Yields (lines, positions), sorted by line then position, of the greedy cover by windows of ``width``."""
    if width == 1:
        line, position = np.nonzero(masks)
        yield line, position
        return
    if width <= MOST_WIDTH:
        line, position = np.nonzero(window_starts(masks, width))
        yield line, position
        return
    length = masks.shape[1]
    for first, table in _jump_tables(masks, width):
        line, position = _concatenate(_greedy_steps(table, length, width))
        order = np.lexsort((position, line))
        yield line[order] + first, position[order]


def _count_greedy(masks: BoolArray, width: int) -> IndexArray:
    """Groups of each line's greedy cover."""
    if width == 1:
        return np.asarray(np.count_nonzero(masks, axis=1), np.int64)
    if width <= MOST_WIDTH:
        return count_windows(masks, width)
    counts = np.zeros(len(masks), np.int64)
    for first, table in _jump_tables(masks, width):
        for line, _ in _greedy_steps(table, masks.shape[1], width):
            counts[first + line] += 1
    return counts


def _concatenate(pieces: Iterator[tuple[IndexArray, IndexArray]]) -> tuple[IndexArray, IndexArray]:
    empty = np.zeros(0, np.int64)
    lines, positions = [empty], [empty]
    for line, position in pieces:
        lines.append(line)
        positions.append(position)
    return np.concatenate(lines), np.concatenate(positions)


def _with_fillers(groups: Groups) -> Groups:
    """Adds groups of zeros so that no start is more than 65,535 columns after the one before it in its line."""
    previous = np.zeros_like(groups.start)
    previous[1:] = np.where(groups.line[1:] == groups.line[:-1], groups.start[:-1], 0)
    missing = np.maximum(groups.start - previous - 1, 0) // MAX_COLUMN_STEP
    if not missing.any():
        return groups
    owner = np.repeat(np.arange(len(missing)), missing)
    nth = np.arange(len(owner)) - np.repeat(np.cumsum(missing) - missing, missing) + 1
    start = previous[owner] + nth * MAX_COLUMN_STEP
    line = np.concatenate((groups.line, groups.line[owner]))
    starts = np.concatenate((groups.start, start))
    order = np.lexsort((starts, line))
    filler = np.concatenate((groups.filler, np.ones(len(owner), bool)))
    first_row = np.concatenate((groups.first_row, groups.first_row[owner]))
    first_column = np.concatenate((groups.first_column, start))
    return Groups(line[order], starts[order], first_row[order], first_column[order], filler[order])
