# SPDX-License-Identifier: Apache-2.0
"""The rules of the header's fields."""

from __future__ import annotations

import enum
import math
from typing import TYPE_CHECKING

from tfprune.errors import PackedFormatError
from tfprune.formats.bit_lists import MAX_BITS
from tfprune.formats.enums import Activation, ActivationType, Encoding, Op, Padding, Rounding, ValueType

if TYPE_CHECKING:
    from tfprune.formats.header import PackedHeader

MAX_SLIDING_ROWS = 16
MAX_BLOCK_ROWS = 16
MAX_BLOCK_COLUMNS = 4
MAX_BAND_ROWS = 64
#: Columns of a matrix in blocks, and of one whose start columns are bits.
MAX_COUNTED_COLUMNS = 65_536
_U32_MAX = 2**32 - 1
_COLUMN_LIMIT = 2**31
_EXTENT_LIMIT = 2**31
_ENUMS: dict[str, type[enum.IntEnum]] = {
    "op": Op,
    "encoding": Encoding,
    "value_type": ValueType,
    "activation": Activation,
    "padding": Padding,
    "activation_type": ActivationType,
    "rounding": Rounding,
}
#: Zero points of activations by their type.
ZERO_POINTS = {ActivationType.INT8: (-128, 127), ActivationType.UINT8: (0, 255), ActivationType.INT16: (0, 0)}
#: Types of the activations that a type of weights goes with.
ACTIVATION_TYPES = {
    ValueType.FLOAT32: (ActivationType.FLOAT32,),
    ValueType.FLOAT16: (ActivationType.FLOAT32,),
    ValueType.INT8: (ActivationType.FLOAT32, ActivationType.INT8, ActivationType.INT16),
    ValueType.UINT8: (ActivationType.UINT8,),
}


def check_header(header: PackedHeader) -> None:
    """Applies every rule that needs the header alone.

    Raises:
        PackedFormatError: a field breaks its rule; the message names field, rule and value.
    """
    for name, values in _ENUMS.items():
        _one_of(name, getattr(header, name), values)
    _check_op(header)
    _check_groups(header)
    _check_columns(header)
    _check_blocks(header)
    _check_quantization(header)
    _equal("total_bytes", header.total_bytes, header.counts.sections.total)


def line_count(encoding: int, out_channels: int, group_rows: int) -> int:
    """Lines of an encoding: ``ceil(R / group_rows)`` bands, or ``R - group_rows + 1`` start rows."""
    if encoding == Encoding.ROW_BAND:
        return -(-out_channels // group_rows)
    return out_channels - group_rows + 1


def most_group_rows(encoding: Encoding, out_channels: int) -> int:
    """The largest ``group_rows`` that the format allows."""
    limits = {Encoding.SLIDING_ROW: MAX_SLIDING_ROWS, Encoding.BLOCK_ROWS: MAX_BLOCK_ROWS, Encoding.BLOCK_COLUMNS: 1}
    return min(out_channels, limits.get(encoding, out_channels))


def check_group_size(shape: tuple[int, int], encoding: Encoding, rows: int, cols: int) -> None:
    """Refuses group sizes that the format cannot hold for a matrix of ``shape``.

    Raises:
        PackedFormatError: ``rows`` or ``cols`` outside its range.
    """
    most_rows, most_cols = most_group_rows(encoding, shape[0]), 1 if encoding.in_blocks else shape[1]
    if encoding.in_blocks and shape[1] > MAX_COUNTED_COLUMNS:
        raise PackedFormatError(
            f"packed weights: {encoding.name} holds matrices of up to {MAX_COUNTED_COLUMNS} columns, got {shape[1]}"
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


def _check_op(header: PackedHeader) -> None:
    for name in ("out_channels", "kernel_h", "kernel_w", "in_channels", "stride_h", "stride_w"):
        _in_range(name, getattr(header, name), 1, _U32_MAX)
    for name in ("dilation_h", "dilation_w"):
        _in_range(name, getattr(header, name), 1, _U32_MAX)
    _in_range("out_channels", header.out_channels, 1, _COLUMN_LIMIT - 1)
    _in_range("kernel_h * kernel_w * in_channels", header.columns, 1, _COLUMN_LIMIT - 1)
    for axis in ("h", "w"):
        extent = (getattr(header, f"kernel_{axis}") - 1) * getattr(header, f"dilation_{axis}") + 1
        _in_range(f"(kernel_{axis} - 1) * dilation_{axis} + 1", extent, 1, _EXTENT_LIMIT - 1)
    if header.op == Op.FULLY_CONNECTED:
        for name in ("kernel_h", "kernel_w", "stride_h", "stride_w", "dilation_h", "dilation_w"):
            _equal(f"{name} of a fully-connected op", getattr(header, name), 1)
        _equal("padding of a fully-connected op", header.padding, int(Padding.VALID))
        _in_range("keep_num_dims", header.keep_num_dims, 0, 1)
    else:
        _equal("keep_num_dims of a convolution", header.keep_num_dims, 0)


def _check_groups(header: PackedHeader) -> None:
    encoding = Encoding(header.encoding)
    check_group_size((header.out_channels, header.columns), encoding, header.group_rows, header.group_cols)
    if not encoding.in_blocks:
        lines = line_count(header.encoding, header.out_channels, header.group_rows)
        _equal("line_count", header.line_count, lines)


def _check_columns(header: PackedHeader) -> None:
    _in_range("column_bytes", header.column_bytes, 1 if header.in_blocks else 0, 2)
    if header.column_bytes:
        _equal("column_unit of steps", header.column_unit, 1)
        _in_range("count_bits", header.count_bits, 0, MAX_BITS)
        return
    _in_range("columns of a bitmap", header.columns, 1, MAX_COUNTED_COLUMNS)
    if header.column_unit not in (1, header.group_cols):
        raise PackedFormatError(
            f"packed weights: column_unit must be 1 or group_cols {header.group_cols}, got {header.column_unit}"
        )
    _equal("count_bits of a bitmap", header.count_bits, 0)


def _check_blocks(header: PackedHeader) -> None:
    if header.in_blocks:
        _in_range("band_rows", header.band_rows, 1, MAX_BAND_ROWS)
        _in_range("row_bits", header.row_bits, 0, MAX_BITS)
        _in_range("band_bits", header.band_bits, 0, MAX_BITS)
        return
    for name in ("band_rows", "row_bits", "band_bits", "row_count"):
        _equal(f"{name} of groups", getattr(header, name), 0)


def _check_quantization(header: PackedHeader) -> None:
    value_type, activation_type = ValueType(header.value_type), ActivationType(header.activation_type)
    if activation_type not in ACTIVATION_TYPES[value_type]:
        raise PackedFormatError(
            f"packed weights: activation_type must fit {value_type.name} weights, got {activation_type.name}"
        )
    if activation_type == ActivationType.FLOAT32:
        for name in (
            "weight_zero_point",
            "stock_channels",
            "rounding",
            "input_scale",
            "input_zero_point",
            "output_scale",
            "output_zero_point",
        ):
            _equal(f"{name} of float32 activations", getattr(header, name), 0)
        return
    last = Rounding.BUILTIN if activation_type == ActivationType.INT16 else Rounding.BUILTIN_AWAY
    _in_range("rounding of quantised activations", header.rounding, int(Rounding.XNNPACK), int(last))
    _check_weight_zero_point(header, value_type, activation_type)
    if header.rounding != Rounding.BUILTIN_CHANNELS:
        _equal("stock_channels of this rounding", header.stock_channels, 0)
    elif not header.stock_channels or header.out_channels % header.stock_channels:
        raise PackedFormatError(
            f"packed weights: stock_channels must divide out_channels {header.out_channels}, "
            f"got {header.stock_channels}"
        )
    for name in ("input", "output"):
        scale = getattr(header, f"{name}_scale")
        if not (math.isfinite(scale) and scale > 0):
            raise PackedFormatError(f"packed weights: {name}_scale must be finite and above 0, got {scale}")
        _in_range(f"{name}_zero_point", getattr(header, f"{name}_zero_point"), *ZERO_POINTS[activation_type])


def _check_weight_zero_point(header: PackedHeader, value_type: ValueType, activation_type: ActivationType) -> None:
    name = f"weight_zero_point of {value_type.name} weights"
    if value_type == ValueType.UINT8:
        _in_range(name, header.weight_zero_point, 0, 255)
    elif activation_type == ActivationType.INT8 and header.rounding != Rounding.XNNPACK:
        _in_range(name, header.weight_zero_point, -128, 127)
    else:
        _equal(name, header.weight_zero_point, 0)


def _one_of(name: str, value: int, values: type[enum.IntEnum]) -> None:
    if value not in [int(item) for item in values]:
        known = ", ".join(f"{int(item)} ({item.name})" for item in values)
        raise PackedFormatError(f"packed weights: {name} must be one of {known}, got {value}")


def _in_range(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise PackedFormatError(f"packed weights: {name} must lie in [{low}, {high}], got {value}")


def _equal(name: str, value: float, expected: int) -> None:
    if value != expected:
        raise PackedFormatError(f"packed weights: {name} must be {expected}, got {value}")
