# SPDX-License-Identifier: Apache-2.0
"""Reads packed weights: every length and offset is checked before it is used."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from tfprune.errors import PackedFormatError
from tfprune.formats.block_values import block_places, read_blocks
from tfprune.formats.blocks import Blocks
from tfprune.formats.header import HEADER_BYTES, Encoding, PackedHeader, ValueType, unpack_header
from tfprune.formats.indexing import int8_places, placements, values_per_line
from tfprune.formats.quantization import Quantization, check_scales

_MAX_DENSE_BYTES = 2**31 - 1
_DTYPES = {ValueType.FLOAT32: "<f4", ValueType.FLOAT16: "<f2", ValueType.INT8: "<i1"}


@dataclasses.dataclass(frozen=True)
class PackedWeights:
    """Packed weights whose rules all hold.

    Attributes:
        header: the header's fields.
        line_ends: int64 ``[line_count]``, groups in all lines up to and with each.
        starts: int64 ``[group_count]``, first column of each group.
        values: ``[value_count]`` as stored: float32, float16 or int8.
        scales: float32 ``[out_channels]`` of int8 weights, else empty.
        blocks: rows and columns of the blocks; None where the encoding has groups.
    """

    header: PackedHeader
    line_ends: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    values: npt.NDArray[np.float32] | npt.NDArray[np.float16] | npt.NDArray[np.int8]
    scales: npt.NDArray[np.float32]
    blocks: Blocks | None = None

    @property
    def lines(self) -> npt.NDArray[np.int64]:
        """Line of each group, int64 ``[group_count]``."""
        return np.repeat(np.arange(len(self.line_ends)), np.diff(self.line_ends, prepend=0))

    def matrix(self) -> npt.NDArray[np.float32]:
        """Returns the dense float32 ``[R, C]`` matrix: the sum of all groups on zeros; int8: times the row's scale.

        Raises:
            PackedFormatError: the matrix would take 2 GiB or more, which no ``.tflite`` tensor does.
        """
        matrix = self.stored_matrix()
        return matrix * self.scales[:, None] if self.header.value_type == ValueType.INT8 else matrix

    def stored_matrix(self) -> npt.NDArray[np.float32]:
        """Returns the matrix of the stored numbers: of int8 weights the integers, without their scales.

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
                    np.add.at(dense, (piece.rows, piece.columns), self.values[piece.values])
                return dense
            values = self._values_by_cell()
            for part in placements(
                self.lines, self.starts, header.encoding, header.out_channels, header.group_rows, header.group_cols
            ):
                shape = np.broadcast_shapes(part.rows.shape, part.columns.shape)
                np.add.at(dense, (part.rows, part.columns), values[part.values].reshape(shape))
        return dense

    @property
    def quantization(self) -> Quantization | None:
        """Scales and zero points of int8 weights, else None."""
        header = self.header
        if header.value_type != ValueType.INT8:
            return None
        return Quantization(
            self.scales,
            header.input_scale,
            header.input_zero_point,
            header.output_scale,
            header.output_zero_point,
        )

    def _values_by_cell(self) -> npt.NDArray[np.generic]:
        """The values in the order of float weights."""
        header = self.header
        if header.value_type != ValueType.INT8:
            return self.values
        groups = np.diff(self.line_ends, prepend=0)
        places, _ = int8_places(groups, header.encoding, header.out_channels, header.group_rows, header.group_cols)
        return self.values[places]


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
    line_ends = _section(raw, header.line_ends_offset, header.line_count, "<u4").astype(np.int64)
    _check_line_ends(line_ends, header)
    if not Encoding(header.encoding).in_blocks:
        _check_value_count(line_ends, header)
    steps = _section(raw, header.columns_offset, header.group_count, "<u2").astype(np.int64)
    starts = _starts(steps, line_ends, header)
    dtype = _DTYPES[ValueType(header.value_type)]
    values = _section(raw, header.values_offset, header.value_count, dtype).astype(dtype[1:])
    scales = np.zeros(0, np.float32)
    if header.value_type == ValueType.INT8:
        scales = _section(raw, header.scales_offset, header.out_channels, "<f4").astype(np.float32)
        check_scales(scales, header.out_channels)
    blocks = read_blocks(raw, header, line_ends, starts) if Encoding(header.encoding).in_blocks else None
    return PackedWeights(header, line_ends, starts, values, scales, blocks)


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


def _section(raw: npt.NDArray[np.uint8], offset: int, items: int, dtype: str) -> npt.NDArray[np.generic]:
    end = offset + items * np.dtype(dtype).itemsize
    return np.frombuffer(raw[offset:end].tobytes(), dtype)


def _check_line_ends(line_ends: npt.NDArray[np.int64], header: PackedHeader) -> None:
    per_line = np.diff(line_ends, prepend=0)
    if (per_line < 0).any():
        line = int(np.argmax(per_line < 0))
        raise PackedFormatError(
            f"packed weights: line_ends must never fall, got {line_ends[line]} after {line_ends[line - 1]} "
            f"at line {line}"
        )
    last = int(line_ends[-1]) if len(line_ends) else 0
    if last != header.group_count:
        raise PackedFormatError(
            f"packed weights: the last of line_ends must be group_count {header.group_count}, got {last}"
        )


def _check_value_count(line_ends: npt.NDArray[np.int64], header: PackedHeader) -> None:
    per_line = np.diff(line_ends, prepend=0)
    shape = (header.encoding, header.out_channels, header.group_rows, header.group_cols)
    # In Python's integers: absurd sizes must not wrap.
    values = int(values_per_line(per_line.astype(object), *shape, header.value_type).sum())
    if values != header.value_count:
        raise PackedFormatError(
            f"packed weights: value_count must be {values}, the weights of all groups, got {header.value_count}"
        )


def _starts(
    steps: npt.NDArray[np.int64], line_ends: npt.NDArray[np.int64], header: PackedHeader
) -> npt.NDArray[np.int64]:
    """Start columns from their differences, checked against their line."""
    per_line = np.diff(line_ends, prepend=0)
    line_starts = line_ends - per_line
    first = np.zeros(len(steps), bool)
    first[line_starts[per_line > 0]] = True
    if (steps[~first] == 0).any():
        group = int(np.argmax(~first & (steps == 0)))
        raise PackedFormatError(
            f"packed weights: start columns of a line must rise, group {group} repeats the one before"
        )
    total = np.concatenate((np.zeros(1, np.int64), np.cumsum(steps)))
    starts = total[1:] - np.repeat(total[line_starts], per_line)
    if (starts + header.group_cols > header.columns).any():
        group = int(np.argmax(starts + header.group_cols > header.columns))
        raise PackedFormatError(
            f"packed weights: a group must end inside its {header.columns} columns, group {group} starts at column "
            f"{starts[group]} and is {header.group_cols} wide"
        )
    return starts
