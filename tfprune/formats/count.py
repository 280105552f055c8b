# SPDX-License-Identifier: Apache-2.0
"""What groups would cost, to the byte, without building them."""

from __future__ import annotations

import dataclasses

import numpy as np

from tfprune.formats.columns import (
    MAX_STEP,
    GroupShape,
    LineCounts,
    column_steps,
    count_lines,
    joined,
    smallest,
    start_unit,
)
from tfprune.formats.cover import BoolArray, IndexArray, bands, cover, integer_segment, sliding_starts
from tfprune.formats.enums import Encoding, ValueType
from tfprune.formats.greedy import MOST_WIDTH, window_starts
from tfprune.formats.header_checks import check_group_size, line_count
from tfprune.formats.indexing import DOT_CELLS

# A step that needs a filler leaps over at least as many empty columns as the longest step less the widest group that is
# counted quickly. They hold a whole one of the stretches that a matrix is cut into.
_STRETCH = 64


@dataclasses.dataclass(frozen=True)
class GroupCount:
    """What a cover would cost.

    Attributes:
        lines: bands or start rows, used or not.
        groups: groups to store, fillers included.
        values: weights to store, the zeros inside groups included.
        size: bytes of the packed weights.
        filling: group columns of zeros that fill up the lines of int8 weights to whole operands when a kernel runs.
    """

    lines: int
    groups: int
    values: int
    size: int
    filling: int

    def times(self, repeats: int) -> GroupCount:
        """The count of a matrix whose rows stand there so often, one behind the other; to a header's few bytes."""
        return GroupCount(*(repeats * number for number in dataclasses.astuple(self)))


def count_groups(
    nonzero: BoolArray,
    encoding: Encoding,
    rows: int,
    cols: int,
    value_type: ValueType = ValueType.FLOAT32,
    in_channels: int | None = None,
) -> GroupCount:
    """Counts what the encoder would store, without building the groups.

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
    shape = GroupShape(encoding, height, width, rows, cols, value_type)
    counted = count_by_line(nonzero, shape, in_channels or width)
    counts = smallest(counted, shape)
    filling = int((-counted.groups * cols % DOT_CELLS).sum()) if value_type == ValueType.INT8 else 0
    return GroupCount(
        line_count(encoding, height, rows), counts.group_count, counts.value_count, counts.sections.total, filling
    )


def count_by_line(nonzero: BoolArray, shape: GroupShape, in_channels: int) -> LineCounts:
    """Groups and fillers of each line, without building the groups; some lines at a time, to bound the memory."""
    rows, cols, sliding = shape.group_rows, shape.group_cols, shape.encoding == Encoding.SLIDING_ROW
    segment = integer_segment(shape.value_type, in_channels, cols)
    if nonzero.shape[1] > MAX_STEP[2] or cols > MOST_WIDTH or segment or (sliding and cols > 1):
        covers = cover(nonzero, shape.encoding, rows, cols, segment)
        return joined(
            [
                count_lines(found.line - lines.start, found.start, lines.stop - lines.start, shape)
                for lines, found in covers
            ]
        )
    if sliding:
        return joined([_count_bands(starts, 1) for _, starts, _ in sliding_starts(nonzero, rows)])
    return joined([_count_bands(masks, cols) for _, masks in bands(nonzero, rows)])


def _count_bands(masks: BoolArray, cols: int) -> LineCounts:
    """Groups of ``cols`` columns that cover each line from left to right."""
    lines, width = masks.shape
    begins = masks if cols == 1 else window_starts(masks, cols)
    unit = 1 if cols == 1 else start_unit(np.minimum(np.flatnonzero(begins.any(axis=0)), width - cols), cols)
    fillers = {step_bytes: np.zeros(lines, np.int64) for step_bytes in MAX_STEP}
    sparse = _with_leaps(masks)
    if len(sparse):
        line, column = np.nonzero(begins[sparse])
        missing = np.maximum(column_steps(line, np.minimum(column, width - cols)) - 1, 0) // MAX_STEP[1]
        fillers[1][sparse] = np.bincount(line, weights=missing, minlength=len(sparse)).astype(np.int64)
    return LineCounts(np.count_nonzero(begins, axis=1), fillers, unit)


def _with_leaps(masks: BoolArray) -> IndexArray:
    """Lines that may need fillers of steps of one byte: they have a whole stretch without True."""
    stretches = masks.shape[1] // _STRETCH
    if masks.shape[1] <= MAX_STEP[1]:
        return np.zeros(0, np.int64)
    words = np.ascontiguousarray(masks[:, : stretches * _STRETCH]).view(np.uint64).reshape(len(masks), stretches, -1)
    filled = words[:, :, 0].copy()
    for word in range(1, words.shape[2]):
        filled |= words[:, :, word]
    found: IndexArray = np.flatnonzero((filled == 0).any(axis=1))
    return found
