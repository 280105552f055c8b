# SPDX-License-Identifier: Apache-2.0
"""Where the values of blocks belong in the matrix, and the reader of their rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from tfprune.errors import PackedFormatError
from tfprune.formats.bit_lists import pack_list, unpack_list
from tfprune.formats.blocks import Blocks
from tfprune.formats.enums import Encoding
from tfprune.formats.header import PackedHeader
from tfprune.formats.header_checks import MAX_BLOCK_COLUMNS
from tfprune.formats.sections import Counts

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


def block_lists(blocks: Blocks, counts: Counts) -> dict[str, npt.NDArray[np.uint8]]:
    """The bytes of the sections of rows, of columns and rows a block, and of blocks a band, by section."""
    return {
        "rows": blocks.rows.astype(np.uint8),
        "counts": pack_list(blocks.column_counts, counts.count_bits),
        "row_counts": pack_list(blocks.row_counts, counts.row_bits),
        "band_counts": pack_list(np.diff(blocks.band_ends, prepend=0), counts.band_bits),
    }


def read_blocks(
    raw: npt.NDArray[np.uint8], header: PackedHeader, column_counts: IndexArray, columns: IndexArray
) -> Blocks:
    """Reads and checks what says where the rows of blocks lie.

    Args:
        raw: the whole tensor.
        header: its header, checked.
        column_counts: columns of each block.
        columns: the column of each group, checked.

    Raises:
        PackedFormatError: a rule of ``docs/formats.md`` is broken; the message names it.
    """
    at, lines = header.counts.sections, header.line_count
    row_counts = unpack_list(
        "rows of blocks", raw[at.row_counts : at.band_counts], lines, header.row_bits, header.row_count
    )
    band_counts = unpack_list(
        "blocks of bands", raw[at.band_counts : at.total], header.band_count, header.band_bits, lines
    )
    if (row_counts == 0).any() or (column_counts == 0).any():
        raise PackedFormatError("packed weights: a block must have at least one row and one column")
    blocks = Blocks(
        header.out_channels,
        header.band_rows,
        np.cumsum(band_counts),
        np.cumsum(column_counts),
        columns,
        np.cumsum(row_counts),
        raw[at.rows : at.counts].astype(np.int64),
    )
    _check_rows(blocks, header)
    if header.counts.value_type.quantized:
        _check_overlap(blocks, header)
    return blocks


def _check_overlap(blocks: Blocks, header: PackedHeader) -> None:
    """Kernels of integers store each weight once."""
    columns = header.columns
    places = [part.rows * columns + part.columns for part in block_places(blocks, header.group_rows)]
    if sum(map(len, places)) != len(np.unique(np.concatenate([*places, np.zeros(0, np.int64)]))):
        raise PackedFormatError("packed weights: two blocks of integers hold the same weight")


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
