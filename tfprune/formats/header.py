# SPDX-License-Identifier: Apache-2.0
"""The 128-byte header of packed weights: its fields and its bytes. Their rules are in ``header_checks``."""

from __future__ import annotations

import dataclasses
import struct
import zlib

from tfprune.errors import PackedFormatError
from tfprune.formats.enums import Activation, Encoding, Op, Padding, ValueType
from tfprune.formats.header_checks import check_header
from tfprune.formats.sections import HEADER_BYTES, Counts

MAGIC = b"TFPK"
FORMAT_VERSION = 2
# magic, version, header_bytes and the fields of PackedHeader, with two and sixteen bytes that are zero; the checksum
# follows.
_LAYOUT = struct.Struct("<4sHHI14B2x15IfifiI16x")
_CODES = {"I": (0, 2**32 - 1), "B": (0, 255), "i": (-(2**31), 2**31 - 1)}


@dataclasses.dataclass(frozen=True)
class OpSpec:
    """What an op computes apart from its weights.

    Attributes:
        op: the op that reads the weights.
        out_channels: rows ``R`` of the weight matrix, at least 1.
        kernel_h: kernel rows, at least 1 (fully connected: 1).
        kernel_w: kernel columns, at least 1 (fully connected: 1).
        in_channels: input channels (fully connected: input features), at least 1.
        stride_h: stride over rows, at least 1 (fully connected: 1).
        stride_w: stride over columns, at least 1 (fully connected: 1).
        dilation_h: dilation over rows, at least 1 (fully connected: 1).
        dilation_w: dilation over columns, at least 1 (fully connected: 1).
        padding: padding of a convolution (fully connected: VALID).
        activation: fused activation.
        keep_num_dims: whether a fully-connected op keeps the leading dimensions (convolution: False).
    """

    op: Op
    out_channels: int
    in_channels: int
    kernel_h: int = 1
    kernel_w: int = 1
    stride_h: int = 1
    stride_w: int = 1
    dilation_h: int = 1
    dilation_w: int = 1
    padding: Padding = Padding.VALID
    activation: Activation = Activation.NONE
    keep_num_dims: bool = False

    @property
    def columns(self) -> int:
        """Columns ``C = kernel_h * kernel_w * in_channels`` of the weight matrix."""
        return self.kernel_h * self.kernel_w * self.in_channels


@dataclasses.dataclass(frozen=True)
class PackedHeader:
    """The header's fields by the names and in the order of ``docs/formats.md``; :meth:`check` applies their rules."""

    total_bytes: int
    op: int
    encoding: int
    value_type: int
    activation: int
    padding: int
    keep_num_dims: int
    activation_type: int
    rounding: int
    weight_zero_point: int
    column_bytes: int
    count_bits: int
    band_rows: int
    row_bits: int
    band_bits: int
    out_channels: int
    kernel_h: int
    kernel_w: int
    in_channels: int
    stride_h: int
    stride_w: int
    dilation_h: int
    dilation_w: int
    group_rows: int
    group_cols: int
    line_count: int
    group_count: int
    value_count: int
    column_unit: int
    row_count: int
    input_scale: float = 0.0
    input_zero_point: int = 0
    output_scale: float = 0.0
    output_zero_point: int = 0
    stock_channels: int = 0

    @property
    def columns(self) -> int:
        """Columns ``C`` of the weight matrix."""
        return self.kernel_h * self.kernel_w * self.in_channels

    @property
    def band_count(self) -> int:
        """Bands of blocks; 0 where the encoding has groups."""
        return -(-self.out_channels // self.band_rows) if self.band_rows else 0

    @property
    def counts(self) -> Counts:
        """What the sizes of the sections follow from."""
        return Counts(
            value_type=ValueType(self.value_type),
            out_channels=self.out_channels,
            columns=self.columns,
            line_count=self.line_count,
            group_count=self.group_count,
            value_count=self.value_count,
            column_bytes=self.column_bytes,
            column_unit=self.column_unit,
            count_bits=self.count_bits,
            row_count=self.row_count,
            row_bits=self.row_bits,
            band_count=self.band_count,
            band_bits=self.band_bits,
        )

    @property
    def spec(self) -> OpSpec:
        """The part of the header that says what the op computes."""
        return OpSpec(
            op=Op(self.op),
            out_channels=self.out_channels,
            in_channels=self.in_channels,
            kernel_h=self.kernel_h,
            kernel_w=self.kernel_w,
            stride_h=self.stride_h,
            stride_w=self.stride_w,
            dilation_h=self.dilation_h,
            dilation_w=self.dilation_w,
            padding=Padding(self.padding),
            activation=Activation(self.activation),
            keep_num_dims=bool(self.keep_num_dims),
        )

    @property
    def in_blocks(self) -> bool:
        """Whether lines are blocks."""
        return Encoding(self.encoding).in_blocks

    def check(self) -> None:
        """Applies every rule that needs the header alone.

        Raises:
            PackedFormatError: a field breaks its rule; the message names field, rule and value.
        """
        check_header(self)


FIELD_NAMES = tuple(field.name for field in dataclasses.fields(PackedHeader))
#: The struct code of each field.
FIELD_CODES = dict(zip(FIELD_NAMES, "I" + 14 * "B" + 15 * "I" + "fifiI", strict=True))


def pack_header(header: PackedHeader) -> bytes:
    """Returns the 128 bytes of ``header`` with their checksum. The fields' rules are not checked here.

    Raises:
        PackedFormatError: a field does not fit into its bits.
    """
    # A byte: that of int8 weights is a signed one.
    signed = header.value_type == ValueType.INT8 and -128 <= header.weight_zero_point < 0
    stored = dataclasses.replace(header, weight_zero_point=header.weight_zero_point + 256) if signed else header
    fields = [getattr(stored, name) for name in FIELD_NAMES]
    for (name, code), value in zip(FIELD_CODES.items(), fields, strict=True):
        if code == "f":
            _fits_float32(name, value)
        elif not _CODES[code][0] <= value <= _CODES[code][1]:
            low, high = _CODES[code]
            raise PackedFormatError(f"packed weights: {name} must lie in [{low}, {high}], got {value}")
    body = _LAYOUT.pack(MAGIC, FORMAT_VERSION, HEADER_BYTES, *fields)
    return body + struct.pack("<I", zlib.crc32(body))


def unpack_header(data: bytes | memoryview) -> PackedHeader:
    """Reads and checks the header at the start of ``data``.

    Args:
        data: packed weights, or at least their first 128 bytes.

    Returns:
        The header; every rule that needs no section holds.

    Raises:
        PackedFormatError: too short, or a field or the checksum breaks its rule.
    """
    if len(data) < HEADER_BYTES:
        raise PackedFormatError(
            f"packed weights: the header has {HEADER_BYTES} bytes, got {len(data)}; the data is cut off"
        )
    body = bytes(data[: HEADER_BYTES - 4])
    magic, version, header_bytes, *fields = _LAYOUT.unpack(body)
    if magic != MAGIC:
        raise PackedFormatError(f"packed weights: the first bytes must be {MAGIC!r}, got {magic!r}")
    if version != FORMAT_VERSION:
        raise PackedFormatError(
            f"packed weights: version must be {FORMAT_VERSION}, got {version}; convert the model again"
        )
    if header_bytes != HEADER_BYTES:
        raise PackedFormatError(f"packed weights: header_bytes must be {HEADER_BYTES}, got {header_bytes}")
    (stored,) = struct.unpack("<I", bytes(data[HEADER_BYTES - 4 : HEADER_BYTES]))
    computed = zlib.crc32(body)
    if stored != computed:
        raise PackedFormatError(
            f"packed weights: header_crc32 must be {computed:#010x}, got {stored:#010x}; "
            "the data is corrupt, convert the model again"
        )
    header = PackedHeader(**dict(zip(FIELD_NAMES, fields, strict=True)))
    if body != _LAYOUT.pack(magic, version, header_bytes, *fields):
        raise PackedFormatError("packed weights: bytes 26, 27 and 108 .. 123 must be 0")
    if header.value_type == ValueType.INT8 and header.weight_zero_point > 127:
        header = dataclasses.replace(header, weight_zero_point=header.weight_zero_point - 256)
    header.check()
    return header


def _fits_float32(name: str, value: float) -> None:
    try:
        struct.pack("<f", value)
    except OverflowError as error:
        raise PackedFormatError(f"packed weights: {name} must fit a float32, got {value}") from error
