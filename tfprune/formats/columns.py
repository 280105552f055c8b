# SPDX-License-Identifier: Apache-2.0
"""How start columns are stored: steps of one or two bytes, or a bit for every column; the smallest is taken."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from tfprune.errors import PackedFormatError
from tfprune.formats.bit_lists import least_bits
from tfprune.formats.enums import Encoding, ValueType
from tfprune.formats.header_checks import MAX_COUNTED_COLUMNS
from tfprune.formats.indexing import values_per_line
from tfprune.formats.sections import Counts

IndexArray = npt.NDArray[np.int64]

#: Largest step by its bytes.
MAX_STEP = {1: 255, 2: 65_535}


@dataclasses.dataclass(frozen=True)
class GroupShape:
    """The matrix and its groups."""

    encoding: Encoding
    out_channels: int
    columns: int
    group_rows: int
    group_cols: int
    value_type: ValueType


@dataclasses.dataclass(frozen=True)
class LineCounts:
    """Groups by line.

    Attributes:
        groups: int64 ``[lines]``, without fillers.
        fillers: by the bytes of a step, the fillers of each line.
        unit: what every start column is a multiple of: the group's columns, or 1.
    """

    groups: IndexArray
    fillers: dict[int, IndexArray]
    unit: int


def count_lines(line: IndexArray, start: IndexArray, lines: int, shape: GroupShape) -> LineCounts:
    """Counts groups that are given by line and start column, in order."""
    steps = column_steps(line, start)
    fillers = {}
    for width, most in MAX_STEP.items():
        missing = np.maximum(steps - 1, 0) // most
        fillers[width] = np.bincount(line, weights=missing, minlength=lines).astype(np.int64)
    return LineCounts(np.bincount(line, minlength=lines), fillers, start_unit(start, shape.group_cols))


def joined(parts: list[LineCounts]) -> LineCounts:
    """Counts of consecutive lines one behind the other."""
    if len(parts) == 1:
        return parts[0]
    fillers = {width: np.concatenate([part.fillers[width] for part in parts]) for width in MAX_STEP}
    return LineCounts(np.concatenate([part.groups for part in parts]), fillers, min(part.unit for part in parts))


def start_unit(start: IndexArray, cols: int) -> int:
    """``cols`` where every start column is a multiple of it, else 1."""
    return 1 if (start % cols).any() else cols


def smallest(lines: LineCounts, shape: GroupShape) -> Counts:
    """The way of storing start columns that takes the fewest bytes; of equals steps, which kernels read in place."""
    found = [_counts(shape, lines.groups + fillers, width, 1) for width, fillers in lines.fillers.items()]
    if shape.columns <= MAX_COUNTED_COLUMNS:
        found.append(_counts(shape, lines.groups, 0, lines.unit))
    return min(found, key=lambda counts: counts.sections.total)


def _counts(shape: GroupShape, per_line: IndexArray, column_bytes: int, unit: int) -> Counts:
    values = values_per_line(per_line, shape.encoding, shape.out_channels, shape.group_rows, shape.group_cols)
    return Counts(
        value_type=shape.value_type,
        out_channels=shape.out_channels,
        columns=shape.columns,
        line_count=len(per_line),
        group_count=int(per_line.sum()),
        value_count=int(values.sum()),
        column_bytes=column_bytes,
        column_unit=unit,
        count_bits=least_bits(per_line) if column_bytes else 0,
    )


def column_steps(line: IndexArray, start: IndexArray) -> IndexArray:
    """Start columns as differences within each line."""
    steps = start.copy()
    steps[1:] -= np.where(line[1:] == line[:-1], start[:-1], 0)
    return steps


def pack_columns(line: IndexArray, start: IndexArray, lines: int, counts: Counts) -> npt.NDArray[np.uint8]:
    """The bytes of the section of columns for the groups of some whole lines, of which there are ``lines``."""
    if counts.column_bytes:
        return column_steps(line, start).astype(f"<u{counts.column_bytes}").view(np.uint8)
    bits = np.zeros((lines, counts.bitmap_bytes * 8), np.uint8)
    bits[line, start // counts.column_unit] = 1
    packed: npt.NDArray[np.uint8] = np.packbits(bits, axis=1, bitorder="little").reshape(-1)
    return packed


def unpack_bitmap(raw: npt.NDArray[np.uint8], counts: Counts) -> tuple[IndexArray, IndexArray]:
    """Groups of each line, and the start column of each group.

    Raises:
        PackedFormatError: another number of bits than ``group_count``, or bits behind the last column.
    """
    rows = raw.reshape(counts.line_count, counts.bitmap_bytes)
    bits = np.unpackbits(rows, axis=1, bitorder="little")
    per_line = np.count_nonzero(bits, axis=1)
    if int(per_line.sum()) != counts.group_count:
        raise PackedFormatError(
            f"packed weights: the bitmap must have group_count {counts.group_count} bits, got {int(per_line.sum())}"
        )
    _, position = np.nonzero(bits)
    return per_line, position * counts.column_unit


def unpack_steps(raw: npt.NDArray[np.uint8], per_line: IndexArray, column_bytes: int) -> IndexArray:
    """Start columns from their differences.

    Raises:
        PackedFormatError: columns of a line that do not rise.
    """
    steps = raw.view(f"<u{column_bytes}").astype(np.int64)
    line_starts = np.cumsum(per_line) - per_line
    first = np.zeros(len(steps), bool)
    first[line_starts[per_line > 0]] = True
    if (steps[~first] == 0).any():
        group = int(np.argmax(~first & (steps == 0)))
        raise PackedFormatError(
            f"packed weights: start columns of a line must rise, group {group} repeats the one before"
        )
    total = np.concatenate((np.zeros(1, np.int64), np.cumsum(steps)))
    starts: IndexArray = total[1:] - np.repeat(total[line_starts], per_line)
    return starts


def check_ends(starts: IndexArray, group_cols: int, columns: int) -> None:
    """Checks that every group ends inside the matrix.

    Raises:
        PackedFormatError: one does not.
    """
    outside = starts + group_cols > columns
    if outside.any():
        group = int(np.argmax(outside))
        raise PackedFormatError(
            f"packed weights: a group must end inside its {columns} columns, group {group} starts at column "
            f"{starts[group]} and is {group_cols} wide"
        )
