# SPDX-License-Identifier: Apache-2.0
"""Packs a weight matrix in a given encoding. Nothing is chosen here: the converter decides."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.errors import PackedFormatError
from tfprune.formats.bit_lists import pack_list
from tfprune.formats.block_values import block_lists, block_places
from tfprune.formats.blocks import block_counts, cut
from tfprune.formats.columns import MAX_STEP, GroupShape, pack_columns, smallest
from tfprune.formats.count import count_by_line
from tfprune.formats.cover import Groups, cover, integer_segment, with_fillers
from tfprune.formats.enums import ActivationType, Encoding, Rounding, ValueType
from tfprune.formats.header import OpSpec, PackedHeader, pack_header
from tfprune.formats.header_checks import check_group_size
from tfprune.formats.indexing import integer_places, placements, values_per_line
from tfprune.formats.quantization import Quantization, check_scales
from tfprune.formats.sections import Counts

_VALUE_TYPES = {
    "float32": ValueType.FLOAT32,
    "float16": ValueType.FLOAT16,
    "int8": ValueType.INT8,
    "uint8": ValueType.UINT8,
}
Matrix = npt.NDArray[np.float32] | npt.NDArray[np.float16] | npt.NDArray[np.int8] | npt.NDArray[np.uint8]
_FLOATS = Quantization(np.zeros(0, np.float32))


def encode(
    matrix: Matrix,
    spec: OpSpec,
    encoding: Encoding,
    rows: int,
    cols: int = 1,
    *,
    quantization: Quantization | None = None,
) -> npt.NDArray[np.uint8]:
    """Packs ``matrix`` as ``docs/formats.md`` says.

    Args:
        matrix: float32, float16, int8 or uint8 ``[R, C]``: output channels by columns in the order (kernel row, kernel
            column, channel). Its type is that of the stored values. A uint8 weight is zero where it is the zero point.
        spec: what the op computes; its sizes must be those of ``matrix``.
        encoding: how groups or blocks are stored.
        rows: group rows, 1 .. R (sliding-row and block-rows: at most 16; block-columns: 1).
        cols: group columns, 1 .. C (blocks: 1).
        quantization: scales and zero points; for int8 and uint8 and for nothing else.

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
    kept = quantization or _FLOATS
    nonzero = matrix != kept.weight_zero_point
    value_type = _VALUE_TYPES[matrix.dtype.name]
    if encoding.in_blocks:
        return _encode_blocks(matrix, nonzero, spec, encoding, rows, kept)
    shape = GroupShape(encoding, spec.out_channels, spec.columns, rows, cols, value_type)
    counted = count_by_line(nonzero, shape, spec.in_channels)
    counts = smallest(counted, shape)
    header = _header(spec, encoding, (rows, cols), counts, kept)
    packed = _start(header, kept.scales)
    if counts.column_bytes:
        per_line = counted.groups + counted.fillers[counts.column_bytes]
        _put(packed, counts.sections.counts, pack_list(per_line, counts.count_bits))
    values, value, column = _values(packed, header, matrix.dtype), 0, counts.sections.columns
    for lines, groups in cover(nonzero, encoding, rows, cols, integer_segment(value_type, spec.in_channels, cols)):
        if counts.column_bytes:
            groups = with_fillers(groups, MAX_STEP[counts.column_bytes])
        columns = pack_columns(groups.line - lines.start, groups.start, lines.stop - lines.start, counts)
        _put(packed, column, columns)
        found = _part_values(matrix, lines, groups, header)
        values[value : value + len(found)] = found
        value, column = value + len(found), column + len(columns)
    return packed


def _part_values(matrix: Matrix, lines: slice, groups: Groups, header: PackedHeader) -> npt.NDArray[Any]:
    """The stored values of some lines."""
    encoding, rows, cols = Encoding(header.encoding), header.group_rows, header.group_cols
    # Rows that the lines end with: only the last band can be shorter.
    height = min(header.out_channels, lines.stop * rows) if encoding == Encoding.ROW_BAND else header.out_channels
    per_line = np.bincount(groups.line - lines.start, minlength=lines.stop - lines.start)
    by_cell = np.empty(int(values_per_line(per_line, encoding, height, rows, cols).sum()), matrix.dtype)
    _fill_values(by_cell, matrix, groups, header)
    if not ValueType(header.value_type).quantized:
        return by_cell
    values = np.empty_like(by_cell)
    values[integer_places(per_line, encoding, height, rows, cols)] = by_cell
    return values


def _encode_blocks(
    matrix: Matrix,
    nonzero: npt.NDArray[np.bool_],
    spec: OpSpec,
    encoding: Encoding,
    rows: int,
    quantization: Quantization,
) -> npt.NDArray[np.uint8]:
    blocks = cut(nonzero, encoding, spec.in_channels)
    counts = block_counts([blocks], _VALUE_TYPES[matrix.dtype.name])
    header = _header(spec, encoding, (rows, 1), counts, quantization, blocks.band_rows)
    packed = _start(header, quantization.scales)
    _put(packed, counts.sections.columns, blocks.column_steps.astype(f"<u{counts.column_bytes}").view(np.uint8))
    for name, data in block_lists(blocks, counts).items():
        _put(packed, getattr(counts.sections, name), data)
    values = _values(packed, header, matrix.dtype)
    for part in block_places(blocks, rows):
        values[part.values] = matrix[part.rows, part.columns]
    return packed


def _start(header: PackedHeader, scales: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Zeros of the packed size, with header and scales written."""
    head = pack_header(header)
    header.check()
    packed = np.zeros(header.total_bytes, np.uint8)
    _put(packed, 0, np.frombuffer(head, np.uint8))
    _put(packed, header.counts.sections.scales, scales.astype("<f4").view(np.uint8))
    return packed


def _put(packed: npt.NDArray[np.uint8], offset: int, data: npt.NDArray[np.uint8]) -> None:
    packed[offset : offset + len(data)] = data


def _values(packed: npt.NDArray[np.uint8], header: PackedHeader, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """The section of values as numbers."""
    first = header.counts.sections.values
    return packed[first : first + header.value_count * dtype.itemsize].view(dtype.newbyteorder("<"))


def _check_matrix(matrix: npt.NDArray[Any], spec: OpSpec, quantization: Quantization | None) -> None:
    if matrix.dtype.name not in _VALUE_TYPES or matrix.shape != (spec.out_channels, spec.columns):
        raise PackedFormatError(
            "packed weights: the matrix must be float32, float16, int8 or uint8 and of shape "
            f"{(spec.out_channels, spec.columns)}, got {matrix.dtype} of shape {matrix.shape}"
        )
    if not matrix.size:
        raise PackedFormatError(f"packed weights: the matrix must not be empty, got shape {matrix.shape}")
    if _VALUE_TYPES[matrix.dtype.name].quantized != (quantization is not None):
        raise PackedFormatError(
            "packed weights: quantization must be given for an int8 or uint8 matrix and for no other, "
            f"got {matrix.dtype} and {'none' if quantization is None else 'a quantization'}"
        )
    if quantization is not None:
        check_scales(quantization.scales, spec.out_channels)


def _header(
    spec: OpSpec,
    encoding: Encoding,
    group: tuple[int, int],
    counts: Counts,
    quantization: Quantization,
    band_rows: int = 0,
) -> PackedHeader:
    return PackedHeader(
        total_bytes=counts.sections.total,
        op=int(spec.op),
        encoding=int(encoding),
        value_type=int(counts.value_type),
        activation=int(spec.activation),
        padding=int(spec.padding),
        keep_num_dims=int(spec.keep_num_dims),
        activation_type=int(quantization.activation_type or ActivationType.FLOAT32),
        rounding=int(quantization.rounding or Rounding.NONE),
        weight_zero_point=quantization.weight_zero_point,
        column_bytes=counts.column_bytes,
        count_bits=counts.count_bits,
        band_rows=band_rows,
        row_bits=counts.row_bits,
        band_bits=counts.band_bits,
        out_channels=spec.out_channels,
        kernel_h=spec.kernel_h,
        kernel_w=spec.kernel_w,
        in_channels=spec.in_channels,
        stride_h=spec.stride_h,
        stride_w=spec.stride_w,
        dilation_h=spec.dilation_h,
        dilation_w=spec.dilation_w,
        group_rows=group[0],
        group_cols=group[1],
        line_count=counts.line_count,
        group_count=counts.group_count,
        value_count=counts.value_count,
        column_unit=counts.column_unit,
        row_count=counts.row_count,
        input_scale=float(np.float32(quantization.input_scale)),
        input_zero_point=quantization.input_zero_point,
        output_scale=float(np.float32(quantization.output_scale)),
        output_zero_point=quantization.output_zero_point,
        stock_channels=quantization.stock_channels,
    )


def _fill_values(values: npt.NDArray[Any], matrix: npt.NDArray[Any], groups: Groups, header: PackedHeader) -> None:
    for part in placements(
        groups.line, groups.start, header.encoding, header.out_channels, header.group_rows, header.group_cols
    ):
        block = matrix[part.rows, part.columns]
        # A last group that had to start early overlaps earlier ones: each weight is stored once.
        first_row = groups.first_row[part.groups, None, None]
        first_column = groups.first_column[part.groups, None, None]
        block[(part.rows < first_row) | (part.columns < first_column)] = header.weight_zero_point
        block[groups.filler[part.groups]] = header.weight_zero_point
        values[part.values] = block.reshape(-1)
