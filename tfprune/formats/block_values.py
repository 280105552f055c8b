# SPDX-License-Identifier: Apache-2.0
"""Where the values of blocks belong in the matrix, and the reader of their rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from tfprune.errors import PackedFormatError
from tfprune.formats.blocks import Blocks, block_bytes
from tfprune.formats.header import (
    ALIGNMENT,
    HEADER_BYTES,
    MAX_BAND_ROWS,
    MAX_BLOCK_COLUMNS,
    Encoding,
    PackedHeader,
)

IndexArray = npt.NDArray[np.int64]

# Values handled at once: each takes some numbers of 8 bytes.
_CHUNK_VALUES = 1 << 20


@dataclasses.dataclass(frozen=True)
class BlockPlaces:
    """Row and column of each of the values ``values``, in their stored order."""

    values: slice
    rows: IndexArray
    columns: IndexArray


def block_places(blocks: Blocks, group_rows: int) -> Iterator[BlockPlaces]:
    """Yields where the values of the blocks go, some blocks at a time.

    A block's rows are cut into the fewest chunks of at most ``group_rows``, whose sizes differ by one at most, the
    larger ones first. Values follow chunk by chunk, within a chunk column by column, within a column row by row.
    """
    heights, widths = blocks.row_counts, blocks.column_counts
    ends = np.cumsum(heights * widths)
    begin = 0
    while begin < len(ends):
        first = int(ends[begin - 1]) if begin else 0
        end = max(begin + 1, int(np.searchsorted(ends, first + _CHUNK_VALUES, side="right")))
        yield _places(blocks, slice(begin, end), slice(first, int(ends[end - 1])), group_rows)
        begin = end


def _places(blocks: Blocks, part: slice, values: slice, group_rows: int) -> BlockPlaces:
    heights, widths = blocks.row_counts[part], blocks.column_counts[part]
    counts = heights * widths
    of = np.repeat(np.arange(len(counts)), counts)  # block of each value
    nth = np.arange(len(of)) - np.repeat(np.cumsum(counts) - counts, counts)
    small, longer = np.divmod(heights, -(-heights // group_rows))
    tall = (longer * (small + 1) * widths)[of]  # values in chunks with one row more
    extra = (nth < tall).astype(np.int64)
    rows = small[of] + extra
    nth -= np.where(extra, 0, tall)
    chunk, rest = np.divmod(nth, rows * widths[of])
    column, row = np.divmod(rest, rows)
    row += chunk * rows + np.where(extra, 0, (longer * (small + 1))[of])
    row_begins = (blocks.row_ends[part] - heights)[of]
    column_begins = (blocks.column_ends[part] - widths)[of]
    band = blocks.bands[part][of]
    return BlockPlaces(
        values, band * blocks.band_rows + blocks.rows[row_begins + row], blocks.columns[column_begins + column]
    )


def read_blocks(
    raw: npt.NDArray[np.uint8], header: PackedHeader, column_ends: IndexArray, columns: IndexArray
) -> Blocks:
    """Reads and checks the section of block rows.

    Args:
        raw: the whole tensor.
        header: its header, checked.
        column_ends: the line ends, checked.
        columns: the column of each group, checked.

    Raises:
        PackedFormatError: a rule of ``docs/formats.md`` is broken; the message names it.
    """
    at, end = header.blocks_offset, header.values_offset
    if at % ALIGNMENT or not HEADER_BYTES <= at <= end - 4:
        raise PackedFormatError(
            f"packed weights: blocks_offset must be a multiple of {ALIGNMENT} between the header and the values, "
            f"got {at}"
        )
    band_rows = int(_numbers(raw, at, 1)[0])
    if not 1 <= band_rows <= MAX_BAND_ROWS:
        raise PackedFormatError(f"packed weights: band_rows must lie in [1, {MAX_BAND_ROWS}], got {band_rows}")
    bands, lines = -(-header.out_channels // band_rows), header.line_count
    if at + block_bytes(bands, lines, 0) > end:
        raise PackedFormatError("packed weights: the ends of bands and rows reach over the section of block rows")
    band_ends = _numbers(raw, at + 4, bands)
    row_ends = _numbers(raw, at + 4 + 4 * bands, lines)
    _check_ends("band_ends", band_ends, lines, least=0)
    visits = int(row_ends[-1]) if lines else 0
    first = at + block_bytes(bands, lines, 0)
    if first + visits > end:
        raise PackedFormatError(f"packed weights: {visits} block rows reach over the section of block rows")
    _check_ends("row_ends", row_ends, visits, least=1)
    _check_ends("line_ends", column_ends, header.group_count, least=1)
    rows = raw[first : first + visits].astype(np.int64)
    blocks = Blocks(band_rows, band_ends, column_ends, columns, row_ends, rows)
    _check_rows(blocks, header)
    return blocks


def _numbers(raw: npt.NDArray[np.uint8], offset: int, count: int) -> IndexArray:
    numbers: IndexArray = np.frombuffer(raw[offset : offset + 4 * count].tobytes(), "<u4").astype(np.int64)
    return numbers


def _check_ends(name: str, ends: IndexArray, last: int, least: int) -> None:
    steps = np.diff(ends, prepend=0)
    if (steps < least).any():
        line = int(np.argmax(steps < least))
        raise PackedFormatError(f"packed weights: {name} of blocks must grow by at least {least}, not so at {line}")
    if len(ends) and int(ends[-1]) != last:
        raise PackedFormatError(f"packed weights: the last of {name} must be {last}, got {ends[-1]}")


def _check_rows(blocks: Blocks, header: PackedHeader) -> None:
    heights, widths = blocks.row_counts, blocks.column_counts
    if header.encoding == Encoding.BLOCK_COLUMNS and (widths > MAX_BLOCK_COLUMNS).any():
        raise PackedFormatError(f"packed weights: a block of BLOCK_COLUMNS has at most {MAX_BLOCK_COLUMNS} columns")
    limits = np.minimum(blocks.band_rows, header.out_channels - blocks.bands * blocks.band_rows)
    if (blocks.rows >= np.repeat(limits, heights)).any():
        raise PackedFormatError("packed weights: a row of a block lies outside its band")
    rises = np.diff(blocks.rows, prepend=-1) > 0
    rises[blocks.row_ends[:-1]] = True
    if not rises.all():
        raise PackedFormatError("packed weights: the rows of a block must rise strictly")
    values = int(heights @ widths)
    if values != header.value_count:
        raise PackedFormatError(
            f"packed weights: value_count must be {values}, the weights of all blocks, got {header.value_count}"
        )
