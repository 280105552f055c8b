# SPDX-License-Identifier: Apache-2.0
"""Blocks: some rows of a band times some columns, all non-zero. How a matrix is cut into them, exactly.

Both ways find sets that are equal, so no zero is ever stored and every weight lies in one block:

- *block-rows* takes together the columns of a band that are non-zero in the same rows, wherever they lie;
- *block-columns* takes together the rows of a band that keep the same of a few columns: the positions of one input
  channel in a kernel, or four neighbours where the kernel has one position.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.errors import PackedFormatError
from tfprune.formats.bit_lists import Numbers
from tfprune.formats.columns import MAX_STEP
from tfprune.formats.cover import row_parts
from tfprune.formats.enums import Encoding, ValueType
from tfprune.formats.header_checks import MAX_BLOCK_COLUMNS, MAX_BLOCK_ROWS, MAX_COUNTED_COLUMNS
from tfprune.formats.sections import Counts

BoolArray = npt.NDArray[np.bool_]
IndexArray = npt.NDArray[np.int64]

#: Band sizes that block-rows tries: a code of a column's rows fits 64 bits.
BAND_SIZES = (64, 48, 40, 32, 24, 20, 16, 12, 8, 4)
# Bands that are looked at to choose the size.
_SAMPLED_BANDS = 4
# Rows of a block-columns band: its sums, 64 positions each, take half of a first-level cache of 32 kB.
COLUMN_BAND_ROWS = 64
# Kernel positions that fit the code of a kernel, and neighbours that make one where there are no positions.
_MOST_POSITIONS, _NEIGHBOURS = 62, 4
# Codes below this are told apart by counting.
_COUNTED_CODES = 1 << 16


@dataclasses.dataclass(frozen=True)
class Blocks:
    """Blocks sorted by band; within a band by first column (block-rows) or by channel and positions (block-columns).

    Attributes:
        out_channels: rows of the matrix.
        band_rows: rows of a band; the last one may be shorter.
        band_ends: int64 ``[bands]``, blocks in all bands up to and with each.
        column_ends: int64 ``[blocks]``, columns in all blocks up to and with each.
        columns: int64, the columns of each block, rising.
        row_ends: int64 ``[blocks]``, rows in all blocks up to and with each.
        rows: int64, the rows of each block, counted in its band, rising.
    """

    out_channels: int
    band_rows: int
    band_ends: IndexArray
    column_ends: IndexArray
    columns: IndexArray
    row_ends: IndexArray
    rows: IndexArray

    @property
    def bands(self) -> IndexArray:
        """Band of each block."""
        return np.repeat(np.arange(len(self.band_ends)), np.diff(self.band_ends, prepend=0))

    @property
    def row_counts(self) -> IndexArray:
        """Rows of each block."""
        return np.diff(self.row_ends, prepend=0)

    @property
    def column_counts(self) -> IndexArray:
        """Columns of each block."""
        return np.diff(self.column_ends, prepend=0)

    @property
    def column_steps(self) -> IndexArray:
        """Columns as differences within each block."""
        steps = np.diff(self.columns, prepend=0)
        first = self.column_ends - self.column_counts
        steps[first] = self.columns[first]
        return steps


@dataclasses.dataclass(frozen=True)
class BlockCount:
    """What blocks would cost.

    Attributes:
        blocks: blocks.
        values: weights to store.
        visits: rows of all blocks: how often the sums of a row are loaded and stored.
        loads: columns times chunks of rows: how often a column's inputs are loaded.
        size: bytes of the packed weights.
    """

    blocks: int
    values: int
    visits: int
    loads: int
    size: int

    def times(self, repeats: int) -> BlockCount:
        """The count of a matrix whose rows stand there so often, one behind the other; to a header's few bytes."""
        return BlockCount(*(repeats * number for number in dataclasses.astuple(self)))


def cut(nonzero: BoolArray, encoding: Encoding, in_channels: int) -> Blocks:
    """Cuts the non-zeros into blocks.

    Args:
        nonzero: bool ``[R, C]``, ``C`` a multiple of ``in_channels``.
        encoding: block-rows or block-columns.
        in_channels: columns of one kernel position.

    Returns:
        Blocks whose rows and columns are all True and that hold every True once.

    Raises:
        PackedFormatError: block-columns of kernels of more than 62 positions.
    """
    parts = list(cut_parts(nonzero, encoding, in_channels))
    ends = {
        name: _joined_ends([getattr(part, name) for part in parts]) for name in ("band_ends", "column_ends", "row_ends")
    }
    columns, rows = (np.concatenate([getattr(part, name) for part in parts]) for name in ("columns", "rows"))
    return Blocks(nonzero.shape[0], parts[0].band_rows, columns=columns, rows=rows, **ends)


def cut_parts(nonzero: BoolArray, encoding: Encoding, in_channels: int) -> Iterator[Blocks]:
    """As :func:`cut`, some bands at a time: the memory of the search is bounded."""
    if encoding == Encoding.BLOCK_COLUMNS and not kernels_fit(nonzero.shape[1], in_channels):
        raise PackedFormatError(
            f"packed weights: BLOCK_COLUMNS are looked for in up to {_MOST_POSITIONS} kernel positions, "
            f"got {nonzero.shape[1] // in_channels}"
        )
    in_rows = encoding == Encoding.BLOCK_ROWS
    band_rows = _best_band_rows(nonzero) if in_rows else min(COLUMN_BAND_ROWS, nonzero.shape[0])
    for part in row_parts(nonzero, band_rows):
        found = nonzero[part]
        yield _equal_columns(found, band_rows) if in_rows else _equal_kernels(found, in_channels, band_rows)


def _joined_ends(parts: list[IndexArray]) -> IndexArray:
    """Ends of consecutive parts, each counted from its own start."""
    return np.cumsum(np.concatenate([np.diff(ends, prepend=0) for ends in parts]))


def may_pay(nonzero: BoolArray, encoding: Encoding, in_channels: int, reuse: float) -> bool:
    """Whether blocks of some bands hold at least ``reuse`` weights for each row and for each load of a column.

    A quick look that spares the full cut of large matrices of single weights. False where the format has no room.
    """
    if not nonzero.any() or nonzero.shape[1] > MAX_COUNTED_COLUMNS:
        return False
    if encoding == Encoding.BLOCK_COLUMNS and not kernels_fit(nonzero.shape[1], in_channels):
        return False
    band_rows = COLUMN_BAND_ROWS if encoding == Encoding.BLOCK_COLUMNS else BAND_SIZES[0]
    found = count_blocks(cut_parts(_sample(nonzero, band_rows), encoding, in_channels), encoding, MAX_BLOCK_ROWS)
    # The sample may differ from the rest: only a clear miss counts.
    return 1.3 * found.values >= reuse * max(found.loads, found.visits)


def _sample(nonzero: BoolArray, band_rows: int) -> BoolArray:
    """Some bands spread over the matrix."""
    bands = -(-nonzero.shape[0] // band_rows)
    sampled = np.unique(np.linspace(0, bands - 1, _SAMPLED_BANDS).astype(np.int64))
    rows = np.concatenate([np.arange(band * band_rows, (band + 1) * band_rows) for band in sampled])
    part: BoolArray = nonzero[rows[rows < nonzero.shape[0]]]
    return part


def count_blocks(
    parts: Iterable[Blocks], encoding: Encoding, group_rows: int, value_type: ValueType = ValueType.FLOAT32
) -> BlockCount:
    """Counts the work and the bytes of blocks.

    Args:
        parts: the results of :func:`cut_parts`.
        encoding: block-rows or block-columns.
        group_rows: rows of a chunk; 1 for block-columns.
        value_type: type of the stored values.
    """
    loads = 0

    def loaded(blocks: Blocks) -> Blocks:
        nonlocal loads
        # Block-columns load the columns of a block once, whatever its rows.
        rows = 1 if encoding == Encoding.BLOCK_COLUMNS else -(-blocks.row_counts // group_rows)
        loads += int((rows * blocks.column_counts).sum())
        return blocks

    counts = block_counts(map(loaded, parts), value_type)
    return BlockCount(counts.line_count, counts.value_count, counts.row_count, loads, counts.sections.total)


def block_counts(parts: Iterable[Blocks], value_type: ValueType) -> Counts:
    """What the sizes of the sections follow from."""
    out_channels, values, longest_step = 0, 0, 0
    columns, rows, bands = Numbers(), Numbers(), Numbers()
    for blocks in parts:
        out_channels += blocks.out_channels
        values += int(blocks.row_counts @ blocks.column_counts)
        longest_step = max(longest_step, int(blocks.column_steps.max(initial=0)))
        columns.add(blocks.column_counts)
        rows.add(blocks.row_counts)
        bands.add(np.diff(blocks.band_ends, prepend=0))
    return Counts(
        value_type=value_type,
        out_channels=out_channels,
        columns=0,
        line_count=rows.count,
        group_count=columns.total,
        value_count=values,
        column_bytes=1 if longest_step <= MAX_STEP[1] else 2,
        column_unit=1,
        count_bits=columns.bits,
        row_count=rows.total,
        row_bits=rows.bits,
        band_count=bands.count,
        band_bits=bands.bits,
    )


def _band_codes(nonzero: BoolArray, band_rows: int) -> npt.NDArray[Any]:
    """The rows of each column of each band as bits, unsigned ``[bands, C]``; ``band_rows`` is at most 64."""
    height, width = nonzero.shape
    bands = -(-height // band_rows)
    dtype = np.min_scalar_type(2**band_rows - 1)
    codes = np.zeros((bands, width), dtype)
    for first in range(0, band_rows, 8):
        # Eight rows at a time, as bytes: the widening to the code's type is what takes long.
        eight = np.zeros((bands, width), np.uint8)
        for row in range(first, min(first + 8, band_rows)):
            cells = nonzero[row::band_rows]
            eight[: len(cells)] |= cells.view(np.uint8) << np.uint8(row - first)
        codes |= np.left_shift(eight, first, dtype=dtype)
    return codes


def _best_band_rows(nonzero: BoolArray) -> int:
    """The band size with the least work on a few bands spread over the matrix; of equal ones the largest."""
    best, least = min(BAND_SIZES[0], nonzero.shape[0]), np.inf
    for band_rows in dict.fromkeys(min(size, nonzero.shape[0]) for size in BAND_SIZES):
        part = _sample(nonzero, band_rows)
        heights, widths = _block_sizes(_band_codes(part, band_rows))
        # Loads of a column for eight rows, and sums loaded and stored, both in multiply-adds saved or lost.
        work = int((-(-heights // 8) * widths).sum()) + 2 * int(heights.sum()) + 4 * len(heights)
        if work < least * part.shape[0] * 0.999:
            best, least = band_rows, work / part.shape[0]
    return int(best)


def _block_sizes(codes: npt.NDArray[Any]) -> tuple[IndexArray, IndexArray]:
    """Rows and columns of the blocks of :func:`_equal_columns`, in no order."""
    codes = np.sort(codes, axis=1)
    new = np.ones(codes.shape, bool)
    new[:, 1:] = codes[:, 1:] != codes[:, :-1]
    starts = np.flatnonzero(new)
    code, widths = codes.reshape(-1)[starts], np.diff(starts, append=codes.size)
    filled = code != 0
    bits = np.unpackbits(code[filled].view(np.uint8).reshape(-1, codes.itemsize), axis=1)
    return bits.sum(axis=1, dtype=np.int64), widths[filled]


def _equal_columns(nonzero: BoolArray, band_rows: int) -> Blocks:
    """Blocks of the columns that are non-zero in the same rows of a band."""
    codes = _band_codes(nonzero, band_rows)
    width = codes.shape[1]
    # By band and code; equal codes stay in the order of their columns.
    order = np.argsort(codes, axis=1, kind="stable")
    code = np.take_along_axis(codes, order, axis=1).reshape(-1)
    band, column = np.repeat(np.arange(len(codes)), width), order.reshape(-1)
    filled = code != 0
    band, column, code = band[filled], column[filled], code[filled]
    new = np.ones(len(band), bool)
    new[1:] = (band[1:] != band[:-1]) | (code[1:] != code[:-1])
    starts = np.flatnonzero(new)
    counts = np.diff(starts, append=len(band))
    # By band and first column, so that the order depends on places alone.
    by_place = np.argsort(band[starts] * width + column[starts], kind="stable")
    columns = column[_ranges(starts[by_place], counts[by_place])]
    bits = code[starts[by_place], None] >> np.arange(band_rows, dtype=codes.dtype) & codes.dtype.type(1)
    block, row = np.nonzero(bits)
    row_ends = np.cumsum(np.bincount(block, minlength=len(starts)))
    band_ends = np.cumsum(np.bincount(band[starts], minlength=len(codes)))
    return Blocks(nonzero.shape[0], band_rows, band_ends, np.cumsum(counts[by_place]), columns, row_ends, row)


def _equal_kernels(nonzero: BoolArray, in_channels: int, band_rows: int) -> Blocks:
    """Blocks of the rows of a band that keep the same positions of a kernel, at most four at a time."""
    height, width = nonzero.shape
    positions = width // in_channels
    if positions == 1:
        # Neighbours stand for positions: four columns make one kernel, the last may have fewer.
        cells, channels, step, stride = _NEIGHBOURS, -(-width // _NEIGHBOURS), 1, _NEIGHBOURS
    else:
        cells, channels, step, stride = positions, in_channels, in_channels, 1
    codes = np.zeros((height, channels), np.int64)
    for cell in range(cells):
        bits = nonzero[:, cell::cells] if positions == 1 else nonzero[:, cell * step : cell * step + channels]
        codes[:, : bits.shape[1]] |= bits.astype(np.int64) << cell
    row, channel = np.nonzero(codes)
    row, channel, parts = _split_codes(row, channel, codes[row, channel])
    known, part = _distinct(parts)
    band = row // band_rows
    key = (band * channels + channel) * max(1, len(known)) + part
    order = np.argsort(key, kind="stable")
    row, band, channel, part, key = (each[order] for each in (row, band, channel, part, key))
    starts = np.flatnonzero(np.diff(key, prepend=-1))
    taps = known[part[starts], None] >> np.arange(cells) & 1
    block, tap = np.nonzero(taps)
    columns = tap * step + channel[starts][block] * stride
    bands = -(-height // band_rows)
    return Blocks(
        height,
        band_rows,
        np.cumsum(np.bincount(band[starts], minlength=bands)),
        np.cumsum(np.bincount(block, minlength=len(starts))),
        columns,
        np.append(starts[1:], len(row)) if len(starts) else np.zeros(0, np.int64),
        row - band * band_rows,
    )


def kernels_fit(columns: int, in_channels: int) -> bool:
    """Whether block-columns can hold kernels of so many positions."""
    return columns // in_channels <= _MOST_POSITIONS


def _split_codes(row: IndexArray, channel: IndexArray, code: IndexArray) -> tuple[IndexArray, IndexArray, IndexArray]:
    """Entries whose codes have at most four bits: larger ones are cut into parts of about equal size."""
    known, inverse = _distinct(code)
    pieces = [_even_parts(value) for value in known.tolist()]
    counts = np.array([len(parts) for parts in pieces], np.int64)[inverse]
    flat = np.array([part for parts in pieces for part in parts], np.int64)
    first = np.concatenate((np.zeros(1, np.int64), np.cumsum([len(parts) for parts in pieces])))[:-1].astype(np.int64)
    return np.repeat(row, counts), np.repeat(channel, counts), flat[_ranges(first[inverse], counts)]


def _distinct(codes: IndexArray) -> tuple[IndexArray, IndexArray]:
    """The different codes, rising, and the place of each code among them."""
    most = int(codes.max(initial=0))
    if most >= _COUNTED_CODES:
        return np.unique(codes, return_inverse=True)
    # Few codes are possible: counting them is faster than sorting.
    known = np.flatnonzero(np.bincount(codes, minlength=1))
    place = np.zeros(most + 1, np.int64)
    place[known] = np.arange(len(known))
    return known, place[codes]


def _even_parts(code: int) -> list[int]:
    """A code cut into the fewest parts of at most four bits whose sizes differ by one at most."""
    bits = [bit for bit in range(code.bit_length()) if code >> bit & 1]
    parts = -(-len(bits) // MAX_BLOCK_COLUMNS)
    size, longer = divmod(len(bits), max(1, parts))
    found, begin = [], 0
    for index in range(parts):
        end = begin + size + (index < longer)
        found.append(sum(1 << bit for bit in bits[begin:end]))
        begin = end
    return found


def _ranges(starts: IndexArray, counts: IndexArray) -> IndexArray:
    """All numbers of the ranges ``starts[i] .. starts[i] + counts[i] - 1``, one range after the other."""
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    numbers: IndexArray = np.arange(total) + np.repeat(starts - (ends - counts), counts)
    return numbers
