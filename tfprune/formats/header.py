# SPDX-License-Identifier: Apache-2.0
"""The 128-byte header of packed weights: its fields, its rules and its bytes."""

from __future__ import annotations

import dataclasses
import enum
import math
import struct
import zlib

from tfprune.errors import PackedFormatError

MAGIC = b"TFPK"
FORMAT_VERSION = 1
HEADER_BYTES = 128
ALIGNMENT = 64
MAX_COLUMN_STEP = 65_535
MAX_SLIDING_ROWS = 16
MAX_BLOCK_ROWS = 16
MAX_BLOCK_COLUMNS = 4
MAX_BAND_ROWS = 64
MAX_BLOCK_MATRIX_COLUMNS = 65_536
_U32_MAX = 2**32 - 1
_COLUMN_LIMIT = 2**31
_EXTENT_LIMIT = 2**31
# magic, version, header_bytes and the 29 fields of PackedHeader; the checksum follows.
_LAYOUT = struct.Struct("<4sHH23IfifiII")


class Op(enum.IntEnum):
    """The custom op that reads the weights."""

    CONV_2D = 1
    FULLY_CONNECTED = 2


class Encoding(enum.IntEnum):
    """How weights are tied to rows: groups in fixed bands, groups from every start row, or blocks of any rows."""

    ROW_BAND = 1
    SLIDING_ROW = 2
    BLOCK_ROWS = 3
    BLOCK_COLUMNS = 4

    @property
    def in_blocks(self) -> bool:
        """Whether lines are blocks: lists of rows times lists of columns."""
        return self in (Encoding.BLOCK_ROWS, Encoding.BLOCK_COLUMNS)


class ValueType(enum.IntEnum):
    """The type of a stored weight."""

    FLOAT32 = 1
    FLOAT16 = 2
    INT8 = 3

    @property
    def size(self) -> int:
        """Bytes of a value."""
        return {ValueType.FLOAT32: 4, ValueType.FLOAT16: 2, ValueType.INT8: 1}[self]


class Activation(enum.IntEnum):
    """Fused activation, with TFLite's numbers."""

    NONE = 0
    RELU = 1
    RELU6 = 3


class Padding(enum.IntEnum):
    """Padding of a convolution, with TFLite's numbers."""

    SAME = 0
    VALID = 1


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
    """The header's fields by the names of ``docs/formats.md``; :meth:`check` applies their rules."""

    total_bytes: int
    op: int
    encoding: int
    value_type: int
    activation: int
    padding: int
    out_channels: int
    kernel_h: int
    kernel_w: int
    in_channels: int
    stride_h: int
    stride_w: int
    dilation_h: int
    dilation_w: int
    keep_num_dims: int
    group_rows: int
    group_cols: int
    line_count: int
    group_count: int
    value_count: int
    line_ends_offset: int
    columns_offset: int
    values_offset: int
    input_scale: float = 0.0
    input_zero_point: int = 0
    output_scale: float = 0.0
    output_zero_point: int = 0
    scales_offset: int = 0
    blocks_offset: int = 0

    @property
    def columns(self) -> int:
        """Columns ``C`` of the weight matrix."""
        return self.kernel_h * self.kernel_w * self.in_channels

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

    def check(self) -> None:
        """Applies every rule that needs the header alone.

        Raises:
            PackedFormatError: a field breaks its rule; the message names field, rule and value.
        """
        self._check_op()
        self._check_groups()
        self._check_quantization()
        self._check_sections()

    def _check_op(self) -> None:
        _one_of("op", self.op, Op)
        _one_of("encoding", self.encoding, Encoding)
        _one_of("value_type", self.value_type, ValueType)
        _one_of("activation", self.activation, Activation)
        _one_of("padding", self.padding, Padding)
        for name in ("out_channels", "kernel_h", "kernel_w", "in_channels", "stride_h", "stride_w"):
            _in_range(name, getattr(self, name), 1, _U32_MAX)
        for name in ("dilation_h", "dilation_w"):
            _in_range(name, getattr(self, name), 1, _U32_MAX)
        _in_range("kernel_h * kernel_w * in_channels", self.columns, 1, _COLUMN_LIMIT - 1)
        for axis in ("h", "w"):
            extent = (getattr(self, f"kernel_{axis}") - 1) * getattr(self, f"dilation_{axis}") + 1
            _in_range(f"(kernel_{axis} - 1) * dilation_{axis} + 1", extent, 1, _EXTENT_LIMIT - 1)
        if self.op == Op.FULLY_CONNECTED:
            for name in ("kernel_h", "kernel_w", "stride_h", "stride_w", "dilation_h", "dilation_w"):
                _equal(f"{name} of a fully-connected op", getattr(self, name), 1)
            _equal("padding of a fully-connected op", self.padding, int(Padding.VALID))
            _in_range("keep_num_dims", self.keep_num_dims, 0, 1)
        else:
            _equal("keep_num_dims of a convolution", self.keep_num_dims, 0)

    def _check_groups(self) -> None:
        encoding = Encoding(self.encoding)
        _in_range("group_rows", self.group_rows, 1, most_group_rows(encoding, self.out_channels))
        if encoding.in_blocks:
            check_block_values(ValueType(self.value_type))
            _equal("group_cols of blocks", self.group_cols, 1)
            _in_range("columns of a matrix in blocks", self.columns, 1, MAX_BLOCK_MATRIX_COLUMNS)
            return
        _in_range("group_cols", self.group_cols, 1, self.columns)
        lines = line_count(self.encoding, self.out_channels, self.group_rows)
        _equal("line_count", self.line_count, lines)

    def _check_quantization(self) -> None:
        if self.value_type != ValueType.INT8:
            for name in ("input_scale", "input_zero_point", "output_scale", "output_zero_point", "scales_offset"):
                _equal(f"{name} of weights that are not int8", getattr(self, name), 0)
            return
        if self.input_scale == 0:
            for name in ("input_zero_point", "output_scale", "output_zero_point"):
                _equal(f"{name} of int8 weights with float32 activations", getattr(self, name), 0)
            return
        for name in ("input", "output"):
            scale = getattr(self, f"{name}_scale")
            if not (math.isfinite(scale) and scale > 0):
                raise PackedFormatError(f"packed weights: {name}_scale must be finite and above 0, got {scale}")
            _in_range(f"{name}_zero_point", getattr(self, f"{name}_zero_point"), -128, 127)

    def _check_sections(self) -> None:
        _in_range("total_bytes", self.total_bytes, HEADER_BYTES, _U32_MAX)
        value_size = ValueType(self.value_type).size
        sections = [
            ("line_ends", self.line_count, 4),
            ("columns", self.group_count, 2),
            ("values", self.value_count, value_size),
        ]
        if self.value_type == ValueType.INT8:
            sections.append(("scales", self.out_channels, 4))
        for name, items, size in sections:
            offset = getattr(self, f"{name}_offset")
            if offset % ALIGNMENT:
                raise PackedFormatError(
                    f"packed weights: {name}_offset must be a multiple of {ALIGNMENT}, got {offset}; "
                    "the data is corrupt, convert the model again"
                )
            _in_range(f"{name}_offset", offset, HEADER_BYTES, _U32_MAX)
            _in_range(f"end of {name}", offset + items * size, HEADER_BYTES, self.total_bytes)
        if not Encoding(self.encoding).in_blocks:
            _equal("blocks_offset", self.blocks_offset, 0)
        _equal("total_bytes", self.total_bytes, self.values_offset + self.value_count * value_size)


FIELD_NAMES = tuple(field.name for field in dataclasses.fields(PackedHeader))


def line_count(encoding: int, out_channels: int, group_rows: int) -> int:
    """Lines of an encoding: ``ceil(R / group_rows)`` bands, or ``R - group_rows + 1`` start rows."""
    if encoding == Encoding.ROW_BAND:
        return -(-out_channels // group_rows)
    return out_channels - group_rows + 1


def most_group_rows(encoding: Encoding, out_channels: int) -> int:
    """The largest ``group_rows`` that the format allows."""
    limits = {Encoding.SLIDING_ROW: MAX_SLIDING_ROWS, Encoding.BLOCK_ROWS: MAX_BLOCK_ROWS, Encoding.BLOCK_COLUMNS: 1}
    return min(out_channels, limits.get(encoding, out_channels))


def check_block_values(value_type: ValueType) -> None:
    """Refuses values that no kernel for blocks reads.

    Raises:
        PackedFormatError: not float32.
    """
    if value_type != ValueType.FLOAT32:
        raise PackedFormatError(
            f"packed weights: values of blocks must be float32, got {value_type.name.lower()}; "
            "store them as row-band or sliding-row"
        )


@dataclasses.dataclass(frozen=True)
class Sections:
    """Offsets of the sections and the size of the whole, in bytes; an offset is 0 where there is no such section."""

    line_ends: int
    columns: int
    scales: int
    blocks: int
    values: int
    total: int


def sections(
    lines: int,
    groups: int,
    values: int,
    value_type: ValueType = ValueType.FLOAT32,
    out_channels: int = 0,
    block_bytes: int = 0,
) -> Sections:
    """Where the sections of packed weights lie.

    Args:
        lines: lines, or blocks.
        groups: groups, or columns of blocks.
        values: stored values.
        value_type: their type.
        out_channels: counts the scales of int8 weights.
        block_bytes: bytes of the section of block rows, or 0.
    """
    columns = _align(HEADER_BYTES + 4 * lines)
    scales, blocks, behind = 0, 0, columns + 2 * groups
    if value_type == ValueType.INT8:
        scales = _align(behind)
        behind = scales + 4 * out_channels
    if block_bytes:
        blocks = _align(behind)
        behind = blocks + block_bytes
    first_value = _align(behind)
    return Sections(HEADER_BYTES, columns, scales, blocks, first_value, first_value + value_type.size * values)


def packed_size(
    lines: int,
    groups: int,
    values: int,
    value_type: ValueType = ValueType.FLOAT32,
    out_channels: int = 0,
    block_bytes: int = 0,
) -> int:
    """Size in bytes of packed weights; the arguments are those of :func:`sections`."""
    return sections(lines, groups, values, value_type, out_channels, block_bytes).total


def pack_header(header: PackedHeader) -> bytes:
    """Returns the 128 bytes of ``header`` with their checksum. The fields' rules are not checked here.

    Raises:
        PackedFormatError: a field does not fit into its 32 bits.
    """
    fields = [getattr(header, name) for name in FIELD_NAMES]
    for name, value in zip(FIELD_NAMES, fields, strict=True):
        if name in ("input_scale", "output_scale"):
            _fits_float32(name, value)
        elif name in ("input_zero_point", "output_zero_point"):
            _in_range(name, value, -(2**31), 2**31 - 1)
        else:
            _in_range(name, value, 0, _U32_MAX)
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
            f"packed weights: version must be {FORMAT_VERSION}, got {version}; "
            "convert the model with the version of tfprune that runs it"
        )
    _equal("header_bytes", header_bytes, HEADER_BYTES)
    (stored,) = struct.unpack("<I", bytes(data[HEADER_BYTES - 4 : HEADER_BYTES]))
    computed = zlib.crc32(body)
    if stored != computed:
        raise PackedFormatError(
            f"packed weights: header_crc32 must be {computed:#010x}, got {stored:#010x}; "
            "the data is corrupt, convert the model again"
        )
    header = PackedHeader(**dict(zip(FIELD_NAMES, fields, strict=True)))
    header.check()
    return header


def _align(offset: int) -> int:
    return -(-offset // ALIGNMENT) * ALIGNMENT


def _one_of(name: str, value: int, values: type[enum.IntEnum]) -> None:
    if value not in [int(item) for item in values]:
        known = ", ".join(f"{int(item)} ({item.name})" for item in values)
        raise PackedFormatError(f"packed weights: {name} must be one of {known}, got {value}")


def _fits_float32(name: str, value: float) -> None:
    try:
        struct.pack("<f", value)
    except OverflowError as error:
        raise PackedFormatError(f"packed weights: {name} must fit a float32, got {value}") from error


def _in_range(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise PackedFormatError(f"packed weights: {name} must lie in [{low}, {high}], got {value}")


def _equal(name: str, value: float, expected: int) -> None:
    if value != expected:
        raise PackedFormatError(f"packed weights: {name} must be {expected}, got {value}")
