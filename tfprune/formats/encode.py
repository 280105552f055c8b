# SPDX-License-Identifier: Apache-2.0
"""Packs a weight matrix in a given encoding. Nothing is chosen here: the converter decides."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.errors import PackedFormatError
from tfprune.formats.block_values import block_places
from tfprune.formats.blocks import Blocks, block_bytes, cut
from tfprune.formats.cover import Groups, check_group_size, cover, int8_segment
from tfprune.formats.header import (
    Encoding,
    OpSpec,
    PackedHeader,
    Sections,
    ValueType,
    check_block_values,
    line_count,
    pack_header,
    sections,
)
from tfprune.formats.indexing import int8_places, placements, values_per_line
from tfprune.formats.quantization import Quantization, check_scales

_VALUE_TYPES = {"float32": ValueType.FLOAT32, "float16": ValueType.FLOAT16, "int8": ValueType.INT8}


def encode(
    matrix: npt.NDArray[np.float32] | npt.NDArray[np.float16] | npt.NDArray[np.int8],
    spec: OpSpec,
    encoding: Encoding,
    rows: int,
    cols: int = 1,
    *,
    quantization: Quantization | None = None,
) -> npt.NDArray[np.uint8]:
    """Packs ``matrix`` as ``docs/formats.md`` says.

    Args:
        matrix: float32, float16 or int8 ``[R, C]``: output channels by columns in the order (kernel row, kernel
            column, channel). Its type is that of the stored values.
        spec: what the op computes; its sizes must be those of ``matrix``.
        encoding: how groups or blocks are stored; blocks hold float32 only.
        rows: group rows, 1 .. R (sliding-row and block-rows: at most 16; block-columns: 1).
        cols: group columns, 1 .. C (blocks: 1).
        quantization: scales and zero points; for int8 and for nothing else.

    Returns:
        uint8 ``[total_bytes]``. Decoding gives ``matrix`` back exactly; only the sign of a zero is lost.

    Raises:
        PackedFormatError: sizes that do not fit together or break a rule of the format.

    Example:
        >>> spec = OpSpec(Op.FULLY_CONNECTED, out_channels=4, in_channels=8)
        >>> packed = encode(np.eye(4, 8, dtype=np.float32), spec, Encoding.ROW_BAND, rows=2)
    """
    _check_matrix(matrix, spec, quantization)
    encoding = Encoding(encoding)
    check_group_size(matrix.shape, encoding, rows, cols)
    value_type = _VALUE_TYPES[matrix.dtype.name]
    if encoding.in_blocks:
        check_block_values(value_type)
        return _encode_blocks(matrix.astype(np.float32, copy=False), spec, encoding, rows)
    segment = int8_segment(value_type, spec.in_channels, cols)
    groups = cover(matrix != 0, encoding, rows, cols, segment)
    lines = line_count(encoding, spec.out_channels, rows)
    per_line = np.bincount(groups.line, minlength=lines)
    shape = (encoding, spec.out_channels, rows, cols)
    value_count = int(values_per_line(per_line, *shape, value_type).sum())
    places = sections(lines, len(groups.line), value_count, value_type, spec.out_channels)
    counts = (lines, len(groups.line), value_count)
    header = _header(spec, encoding, (rows, cols), counts, places, value_type, quantization)
    packed = _start(header)
    _section(packed, header.line_ends_offset, lines, "<u4")[:] = np.cumsum(per_line)
    _section(packed, header.columns_offset, len(groups.line), "<u2")[:] = _steps(groups)
    values = _section(packed, header.values_offset, value_count, matrix.dtype.newbyteorder("<").str)
    if quantization is None:
        _fill_values(values, matrix, groups, header)
    else:
        _section(packed, header.scales_offset, spec.out_channels, "<f4")[:] = quantization.scales
        stored_at, _ = int8_places(per_line, *shape)
        by_cell = np.zeros(len(stored_at), np.int8)
        _fill_values(by_cell, matrix, groups, header)
        values[stored_at] = by_cell
    return packed


def _encode_blocks(
    matrix: npt.NDArray[np.float32], spec: OpSpec, encoding: Encoding, rows: int
) -> npt.NDArray[np.uint8]:
    blocks = cut(matrix != 0, encoding, spec.in_channels)
    lines, visits, value_count = len(blocks.row_ends), len(blocks.rows), int(blocks.row_counts @ blocks.column_counts)
    counts = (lines, len(blocks.columns), value_count)
    places = sections(*counts, block_bytes=block_bytes(len(blocks.band_ends), lines, visits))
    header = _header(spec, encoding, (rows, 1), counts, places)
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


def _check_matrix(matrix: npt.NDArray[Any], spec: OpSpec, quantization: Quantization | None) -> None:
    if matrix.dtype.name not in _VALUE_TYPES or matrix.shape != (spec.out_channels, spec.columns):
        raise PackedFormatError(
            "packed weights: the matrix must be float32, float16 or int8 and of shape "
            f"{(spec.out_channels, spec.columns)}, got {matrix.dtype} of shape {matrix.shape}"
        )
    if not matrix.size:
        raise PackedFormatError(f"packed weights: the matrix must not be empty, got shape {matrix.shape}")
    if (matrix.dtype == np.int8) != (quantization is not None):
        raise PackedFormatError(
            "packed weights: quantization must be given for an int8 matrix and for no other, "
            f"got {matrix.dtype} and {'none' if quantization is None else 'a quantization'}"
        )
    if quantization is not None:
        check_scales(quantization.scales, spec.out_channels)


def _column_steps(blocks: Blocks) -> npt.NDArray[np.int64]:
    """Columns as differences within each block."""
    steps = np.diff(blocks.columns, prepend=0)
    first = (blocks.column_ends - blocks.column_counts).astype(np.int64)
    steps[first] = blocks.columns[first]
    return steps


def _header(
    spec: OpSpec,
    encoding: Encoding,
    group: tuple[int, int],
    counts: tuple[int, int, int],
    places: Sections,
    value_type: ValueType = ValueType.FLOAT32,
    quantization: Quantization | None = None,
) -> PackedHeader:
    scales = quantization or Quantization(np.zeros(0, np.float32))
    return PackedHeader(
        total_bytes=places.total,
        op=int(spec.op),
        encoding=int(encoding),
        value_type=int(value_type),
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
        line_ends_offset=places.line_ends,
        columns_offset=places.columns,
        values_offset=places.values,
        input_scale=float(np.float32(scales.input_scale)),
        input_zero_point=scales.input_zero_point,
        output_scale=float(np.float32(scales.output_scale)),
        output_zero_point=scales.output_zero_point,
        scales_offset=places.scales,
        blocks_offset=places.blocks,
    )


def _section(packed: npt.NDArray[np.uint8], offset: int, items: int, dtype: str) -> npt.NDArray[np.generic]:
    return packed[offset : offset + items * np.dtype(dtype).itemsize].view(dtype)


def _steps(groups: Groups) -> npt.NDArray[np.int64]:
    """Start columns as differences within each line."""
    steps: npt.NDArray[np.int64] = groups.start.copy()
    steps[1:] -= np.where(groups.line[1:] == groups.line[:-1], groups.start[:-1], 0)
    return steps


def _fill_values(values: npt.NDArray[Any], matrix: npt.NDArray[Any], groups: Groups, header: PackedHeader) -> None:
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
