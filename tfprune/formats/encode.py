# SPDX-License-Identifier: Apache-2.0
"""Packs a weight matrix in a given encoding. Nothing is chosen here: the converter decides."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tfprune.errors import PackedFormatError
from tfprune.formats.block_values import block_places
from tfprune.formats.blocks import Blocks, block_bytes, cut
from tfprune.formats.cover import Groups, check_group_size, cover
from tfprune.formats.header import (
    Encoding,
    OpSpec,
    PackedHeader,
    ValueType,
    line_count,
    pack_header,
    section_offsets,
)
from tfprune.formats.indexing import placements


def encode(
    matrix: npt.NDArray[np.float32], spec: OpSpec, encoding: Encoding, rows: int, cols: int = 1
) -> npt.NDArray[np.uint8]:
    """Packs ``matrix`` as ``docs/formats.md`` says.

    Args:
        matrix: float32 ``[R, C]``: output channels by columns in the order (kernel row, kernel column, channel).
        spec: what the op computes; its sizes must be those of ``matrix``.
        encoding: how groups or blocks are stored.
        rows: group rows, 1 .. R (sliding-row and block-rows: at most 16; block-columns: 1).
        cols: group columns, 1 .. C (blocks: 1).

    Returns:
        uint8 ``[total_bytes]``. Decoding gives ``matrix`` back exactly; only the sign of a zero is lost.

    Raises:
        PackedFormatError: sizes that do not fit together or break a rule of the format.

    Example:
        >>> spec = OpSpec(Op.FULLY_CONNECTED, out_channels=4, in_channels=8)
        >>> packed = encode(np.eye(4, 8, dtype=np.float32), spec, Encoding.ROW_BAND, rows=2)
    """
    if matrix.dtype != np.float32 or matrix.shape != (spec.out_channels, spec.columns):
        raise PackedFormatError(
            f"packed weights: the matrix must be float32 of shape {(spec.out_channels, spec.columns)}, "
            f"got {matrix.dtype} of shape {matrix.shape}"
        )
    if not matrix.size:
        raise PackedFormatError(f"packed weights: the matrix must not be empty, got shape {matrix.shape}")
    encoding = Encoding(encoding)
    check_group_size(matrix.shape, encoding, rows, cols)
    if encoding.in_blocks:
        return _encode_blocks(matrix, spec, encoding, rows)
    groups = cover(matrix != 0, encoding, rows, cols)
    lines = line_count(encoding, spec.out_channels, rows)
    per_line = np.bincount(groups.line, minlength=lines)
    value_count = len(groups.line) * rows * cols
    if encoding == Encoding.ROW_BAND and spec.out_channels % rows:
        value_count -= int(per_line[-1]) * (rows - spec.out_channels % rows) * cols
    header = _header(spec, encoding, (rows, cols), (lines, len(groups.line), value_count))
    packed = _start(header)
    _section(packed, header.line_ends_offset, lines, "<u4")[:] = np.cumsum(per_line)
    _section(packed, header.columns_offset, len(groups.line), "<u2")[:] = _steps(groups)
    _fill_values(_section(packed, header.values_offset, value_count, "<f4"), matrix, groups, header)
    return packed


def _encode_blocks(
    matrix: npt.NDArray[np.float32], spec: OpSpec, encoding: Encoding, rows: int
) -> npt.NDArray[np.uint8]:
    blocks = cut(matrix != 0, encoding, spec.in_channels)
    lines, visits, value_count = len(blocks.row_ends), len(blocks.rows), int(blocks.row_counts @ blocks.column_counts)
    size = block_bytes(len(blocks.band_ends), lines, visits)
    header = _header(spec, encoding, (rows, 1), (lines, len(blocks.columns), value_count), size)
    packed = _start(header)
    _section(packed, header.line_ends_offset, lines, "<u4")[:] = blocks.column_ends
    _section(packed, header.columns_offset, len(blocks.columns), "<u2")[:] = _column_steps(blocks)
    where = header.blocks_offset
    for numbers in (np.array([blocks.band_rows]), blocks.band_ends, blocks.row_ends):
        _section(packed, where, len(numbers), "<u4")[:] = numbers
        where += 4 * len(numbers)
    _section(packed, where, visits, "u1")[:] = blocks.rows
    values = _section(packed, header.values_offset, value_count, "<f4")
    for part in block_places(blocks, rows):
        values[part.values] = matrix[part.rows, part.columns]
    return packed


def _start(header: PackedHeader) -> npt.NDArray[np.uint8]:
    """Zeros of the packed size, with the header written."""
    head = pack_header(header)
    header.check()
    packed = np.zeros(header.total_bytes, np.uint8)
    packed[: len(head)] = np.frombuffer(head, np.uint8)
    return packed


def _column_steps(blocks: Blocks) -> npt.NDArray[np.int64]:
    """Columns as differences within each block."""
    steps = np.diff(blocks.columns, prepend=0)
    first = (blocks.column_ends - blocks.column_counts).astype(np.int64)
    steps[first] = blocks.columns[first]
    return steps


def _header(
    spec: OpSpec, encoding: Encoding, group: tuple[int, int], counts: tuple[int, int, int], block_size: int = 0
) -> PackedHeader:
    line_ends, columns, blocks, values, total = section_offsets(*counts, block_size)
    return PackedHeader(
        total_bytes=total,
        op=int(spec.op),
        encoding=int(encoding),
        value_type=int(ValueType.FLOAT32),
        activation=int(spec.activation),
        padding=int(spec.padding),
        out_channels=spec.out_channels,
        kernel_h=spec.kernel_h,
        kernel_w=spec.kernel_w,
        in_channels=spec.in_channels,
        stride_h=spec.stride_h,
        stride_w=spec.stride_w,
        dilation_h=spec.dilation_h,
        dilation_w=spec.dilation_w,
        keep_num_dims=int(spec.keep_num_dims),
        group_rows=group[0],
        group_cols=group[1],
        line_count=counts[0],
        group_count=counts[1],
        value_count=counts[2],
        line_ends_offset=line_ends,
        columns_offset=columns,
        values_offset=values,
        blocks_offset=blocks,
    )


def _section(packed: npt.NDArray[np.uint8], offset: int, items: int, dtype: str) -> npt.NDArray[np.generic]:
    return packed[offset : offset + items * np.dtype(dtype).itemsize].view(dtype)


def _steps(groups: Groups) -> npt.NDArray[np.int64]:
    """Start columns as differences within each line."""
    steps: npt.NDArray[np.int64] = groups.start.copy()
    steps[1:] -= np.where(groups.line[1:] == groups.line[:-1], groups.start[:-1], 0)
    return steps


def _fill_values(
    values: npt.NDArray[np.generic], matrix: npt.NDArray[np.float32], groups: Groups, header: PackedHeader
) -> None:
    for part in placements(
        groups.line, groups.start, header.encoding, header.out_channels, header.group_rows, header.group_cols
    ):
        block = matrix[part.rows, part.columns]
        # A last group that had to start early overlaps earlier ones: each weight is stored once.
        first_row = groups.first_row[part.groups, None, None]
        first_column = groups.first_column[part.groups, None, None]
        block[(part.rows < first_row) | (part.columns < first_column)] = 0
        block[groups.filler[part.groups]] = 0
        values[part.values] = block.reshape(-1)
