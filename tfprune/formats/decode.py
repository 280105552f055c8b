# SPDX-License-Identifier: Apache-2.0
"""Reads packed weights: every length and offset is checked before it is used."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.errors import PackedFormatError
from tfprune.formats.bit_lists import unpack_list
from tfprune.formats.block_values import block_places, read_blocks
from tfprune.formats.blocks import Blocks
from tfprune.formats.columns import check_ends, unpack_bitmap, unpack_steps
from tfprune.formats.enums import ActivationType, Rounding, ValueType
from tfprune.formats.header import PackedHeader, unpack_header
from tfprune.formats.indexing import integer_places, placements, values_per_line
from tfprune.formats.quantization import Quantization, check_scales
from tfprune.formats.sections import HEADER_BYTES

_MAX_DENSE_BYTES = 2**31 - 1
_DTYPES = {ValueType.FLOAT32: "<f4", ValueType.FLOAT16: "<f2", ValueType.INT8: "<i1", ValueType.UINT8: "<u1"}
IndexArray = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class PackedWeights:
    """Packed weights whose rules all hold.

    Attributes:
        header: the header's fields.
        line_ends: int64 ``[line_count]``, groups in all lines up to and with each.
        starts: int64 ``[group_count]``, first column of each group.
        values: ``[value_count]`` as stored: float32, float16, int8 or uint8.
        scales: float32 ``[out_channels]`` of integer weights, else empty.
        blocks: rows and columns of the blocks; None where the encoding has groups.
    """

    header: PackedHeader
    line_ends: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    values: npt.NDArray[np.float32] | npt.NDArray[np.float16] | npt.NDArray[np.int8] | npt.NDArray[np.uint8]
    scales: npt.NDArray[np.float32]
    blocks: Blocks | None = None

    @property
    def lines(self) -> npt.NDArray[np.int64]:
        """Line of each group, int64 ``[group_count]``."""
        return np.repeat(np.arange(len(self.line_ends)), np.diff(self.line_ends, prepend=0))

    def matrix(self) -> npt.NDArray[np.float32]:
        """Returns the dense float32 ``[R, C]`` matrix: the sum of all groups on zeros; integers: times the row's scale.

        Raises:
            PackedFormatError: the matrix would take 2 GiB or more, which no ``.tflite`` tensor does.
        """
        matrix = self.stored_matrix()
        return matrix * self.scales[:, None] if ValueType(self.header.value_type).quantized else matrix

    def stored_matrix(self) -> npt.NDArray[np.float32]:
        """Returns the stored numbers, of integers less their zero point and without their scales.

        Raises:
            PackedFormatError: the matrix would take 2 GiB or more.
        """
        header = self.header
        size = 4 * header.out_channels * header.columns
        if size > _MAX_DENSE_BYTES:
            raise PackedFormatError(
                f"packed weights: out_channels * columns must stay below 2 GiB of float32, got {size} bytes"
            )
        dense = np.zeros((header.out_channels, header.columns), np.float32)
        # Overlapping infinities of opposite sign give NaN, as they would in the kernel: no warning.
        with np.errstate(all="ignore"):
            if self.blocks is not None:
                for piece in block_places(self.blocks, header.group_rows):
                    np.add.at(dense, (piece.rows, piece.columns), self._numbers(self.values[piece.values]))
                return dense
            values = self._values_by_cell()
            for part in placements(
                self.lines, self.starts, header.encoding, header.out_channels, header.group_rows, header.group_cols
            ):
                shape = np.broadcast_shapes(part.rows.shape, part.columns.shape)
                np.add.at(dense, (part.rows, part.columns), self._numbers(values[part.values]).reshape(shape))
        return dense

    @property
    def quantization(self) -> Quantization | None:
        """Scales and zero points of integer weights, else None."""
        header = self.header
        if not ValueType(header.value_type).quantized:
            return None
        return Quantization(
            self.scales,
            header.input_scale,
            header.input_zero_point,
            header.output_scale,
            header.output_zero_point,
            ActivationType(header.activation_type),
            Rounding(header.rounding),
            header.weight_zero_point,
            header.stock_channels,
        )

    def _numbers(self, values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        return values.astype(np.float32) - np.float32(self.header.weight_zero_point)

    def _values_by_cell(self) -> npt.NDArray[Any]:
        """The values in the order of float weights."""
        header = self.header
        if not ValueType(header.value_type).quantized:
            return self.values
        groups = np.diff(self.line_ends, prepend=0)
        shape = (header.encoding, header.out_channels, header.group_rows, header.group_cols)
        return self.values[integer_places(groups, *shape)]


def read(data: bytes | bytearray | memoryview | npt.NDArray[np.uint8]) -> PackedWeights:
    """Reads and checks packed weights without building the matrix.

    Args:
        data: the whole tensor, any alignment.

    Raises:
        PackedFormatError: a rule of ``docs/formats.md`` is broken; the message names it.
    """
    raw = _as_bytes(data)
    header = unpack_header(raw[:HEADER_BYTES].tobytes())
    if header.total_bytes != len(raw):
        raise PackedFormatError(
            f"packed weights: total_bytes must be the tensor's size {len(raw)}, got {header.total_bytes}; "
            "the data is cut off or something follows it"
        )
    counts = header.counts
    at, value_type = counts.sections, ValueType(header.value_type)
    groups, starts = _read_columns(raw, header)
    check_ends(starts, header.group_cols, header.columns)
    if not header.in_blocks:
        _check_value_count(groups, header)
    dtype = _DTYPES[value_type]
    end = at.values + header.value_count * value_type.size
    values = np.frombuffer(raw[at.values : end].tobytes(), dtype).astype(dtype[1:])
    scales = np.zeros(0, np.float32)
    if value_type.quantized:
        end = at.scales + 4 * header.out_channels
        scales = np.frombuffer(raw[at.scales : end].tobytes(), "<f4").astype(np.float32)
        check_scales(scales, header.out_channels)
    blocks = read_blocks(raw, header, groups, starts) if header.in_blocks else None
    return PackedWeights(header, np.cumsum(groups), starts, values, scales, blocks)


def _read_columns(raw: npt.NDArray[np.uint8], header: PackedHeader) -> tuple[IndexArray, IndexArray]:
    """Groups of each line and the start column of each group."""
    counts = header.counts
    at = counts.sections
    columns = raw[at.columns : at.rows]
    if not header.column_bytes:
        return unpack_bitmap(columns, counts)
    groups = unpack_list(
        "groups of lines", raw[at.counts : at.row_counts], header.line_count, header.count_bits, header.group_count
    )
    return groups, unpack_steps(columns.copy(), groups, header.column_bytes)


def decode(data: bytes | bytearray | memoryview | npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Reads packed weights and returns the dense float32 ``[R, C]`` matrix.

    Args:
        data: the whole tensor, any alignment.

    Raises:
        PackedFormatError: a rule of ``docs/formats.md`` is broken; the message names it.
    """
    return read(data).matrix()


def _as_bytes(data: bytes | bytearray | memoryview | npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    if isinstance(data, np.ndarray):
        if data.dtype != np.uint8 or data.ndim != 1:
            raise PackedFormatError(
                f"packed weights: the tensor must be uint8 with one dimension, got {data.dtype} of shape {data.shape}"
            )
        return np.ascontiguousarray(data)
    return np.frombuffer(data, np.uint8)


def _check_value_count(groups: IndexArray, header: PackedHeader) -> None:
    shape = (header.encoding, header.out_channels, header.group_rows, header.group_cols)
    # In Python's integers: absurd sizes must not wrap.
    values = int(values_per_line(groups.astype(object), *shape).sum())
    if values != header.value_count:
        raise PackedFormatError(
            f"packed weights: value_count must be {values}, the weights of all groups, got {header.value_count}"
        )
