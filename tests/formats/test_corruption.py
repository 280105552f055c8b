# SPDX-License-Identifier: Apache-2.0
"""Corrupt packed weights: refused with PackedFormatError, or still weights whose rules all hold."""

from __future__ import annotations

import dataclasses
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfprune.errors import PackedFormatError
from tfprune.formats import (
    HEADER_BYTES,
    ActivationType,
    Encoding,
    Op,
    OpSpec,
    PackedHeader,
    Quantization,
    decode,
    encode,
    pack_header,
    read,
)
from tfprune.formats.header import FIELD_CODES

FIELDS = [field.name for field in dataclasses.fields(PackedHeader)]
# Each names its own byte range in the tensor; what they hold is not implied by any other field.
FREE_FIELDS = {"activation", "stride_h", "stride_w", "dilation_h", "dilation_w", "padding", "keep_num_dims"}


def _sample(encoding: Encoding, dtype: str, quantization: Quantization | None) -> bytes:
    rng = np.random.default_rng(7)
    zero = quantization.weight_zero_point if quantization else 0
    matrix = (rng.standard_normal((11, 24)) * (40 if quantization else 1) + zero).astype(dtype)
    matrix[rng.random((11, 24)) < 0.7] = zero
    if encoding.in_blocks:
        matrix[1:5, :9] = 1  # some blocks of several rows and columns
    rows, cols = (1 if encoding == Encoding.BLOCK_COLUMNS else 4), (1 if encoding.in_blocks else 2)
    return encode(matrix, OpSpec(Op.CONV_2D, 11, 6, 2, 2), encoding, rows, cols, quantization=quantization).tobytes()


def _steps_of_two_bytes() -> bytes:
    matrix = np.zeros((9, 700), np.float32)
    matrix[:, [0, 300, 600]] = 1
    packed = _packed(matrix, 4)
    assert read(packed).header.column_bytes == 2
    return packed


def _packed(matrix: np.ndarray, rows: int) -> bytes:
    return encode(matrix, OpSpec(Op.FULLY_CONNECTED, *matrix.shape), Encoding.ROW_BAND, rows).tobytes()


def _samples() -> dict[str, bytes]:
    scales = np.linspace(0.01, 0.02, 11, dtype=np.float32)
    types: dict[str, tuple[str, Quantization | None]] = {
        "float32": ("float32", None),
        "float16": ("float16", None),
        "int8": ("int8", Quantization(scales, 0.5, -7, 0.25, 12)),
        "dynamic": ("int8", Quantization(scales)),
        "uint8": ("uint8", Quantization(scales, 0.5, 7, 0.25, 12, ActivationType.UINT8, weight_zero_point=120)),
        "int16": ("int8", Quantization(scales, 0.5, 0, 0.25, 0, ActivationType.INT16)),
    }
    return {
        f"{encoding.name} {name}": _sample(encoding, *kind) for encoding in Encoding for name, kind in types.items()
    } | {
        "two bytes": _steps_of_two_bytes(),
        "steps": _packed(np.eye(4, 90, dtype=np.float32), 1),
    }


SAMPLES = _samples()
MATRICES = {name: decode(data) for name, data in SAMPLES.items()}
numbers = st.one_of(
    st.integers(0, 40),
    st.integers(0, 2**32 - 1),
    st.sampled_from([63, 64, 65, 128, 192, 2**16 - 1, 2**16, 2**31 - 1, 2**31, 2**32 - 64, 2**32 - 1]),
)


def _as_stored(field: str, value: int) -> int:
    code = FIELD_CODES[field]
    if code == "B":
        return value % 256
    return value - 2**32 if code == "i" and value >= 2**31 else value


def with_checksum(data: bytes) -> bytes:
    head = data[: HEADER_BYTES - 4]
    return head + struct.pack("<I", zlib.crc32(head)) + data[HEADER_BYTES:]


def refused_or_sound(data: bytes) -> np.ndarray | None:
    """Decodes; any error but PackedFormatError fails the test."""
    try:
        packed = read(data)
        matrix = packed.matrix()
    except PackedFormatError as error:
        if not str(error).startswith("packed weights: "):
            raise
        return None
    header = packed.header
    assert matrix.shape == (header.out_channels, header.columns)
    assert len(packed.starts) == header.group_count
    assert len(packed.values) == header.value_count
    return matrix


@settings(deadline=None, max_examples=600)
@given(st.sampled_from(sorted(SAMPLES)), st.sampled_from(FIELDS), numbers)
def test_any_field_with_any_value_and_a_right_checksum(sample: str, field: str, value: int) -> None:
    header = read(SAMPLES[sample]).header
    changed = dataclasses.replace(header, **{field: _as_stored(field, value)})
    matrix = refused_or_sound(pack_header(changed) + SAMPLES[sample][HEADER_BYTES:])
    if changed == header:
        assert matrix is not None
    if matrix is not None and field in FREE_FIELDS:
        np.testing.assert_array_equal(matrix, MATRICES[sample])


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(sorted(SAMPLES)), st.dictionaries(st.sampled_from(FIELDS), numbers, min_size=2, max_size=5))
def test_several_fields_at_once(sample: str, values: dict[str, int]) -> None:
    stored = {field: _as_stored(field, value) for field, value in values.items()}
    header = dataclasses.replace(read(SAMPLES[sample]).header, **stored)
    refused_or_sound(pack_header(header) + SAMPLES[sample][HEADER_BYTES:])


@pytest.mark.parametrize("sample", sorted(SAMPLES))
def test_every_header_bit_is_covered_by_the_checksum(sample: str) -> None:
    for bit in range(8 * HEADER_BYTES):
        data = bytearray(SAMPLES[sample])
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(PackedFormatError):
            decode(data)


@settings(deadline=None, max_examples=600)
@given(
    st.sampled_from(sorted(SAMPLES)),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 255)), min_size=1, max_size=6),
    st.booleans(),
)
def test_random_bytes_changed(sample: str, changes: list[tuple[int, int]], fix: bool) -> None:
    data = bytearray(SAMPLES[sample])
    for place, flip in changes:
        data[place % len(data)] ^= flip
    refused_or_sound(with_checksum(bytes(data)) if fix else bytes(data))


@pytest.mark.parametrize("sample", sorted(SAMPLES))
def test_every_byte_of_the_index_sections_changed(sample: str) -> None:
    header = read(SAMPLES[sample]).header
    for place in range(header.counts.sections.columns, header.total_bytes):
        for flip in (1, 128, 255):
            data = bytearray(SAMPLES[sample])
            data[place] ^= flip
            refused_or_sound(bytes(data))


@pytest.mark.parametrize("sample", sorted(SAMPLES))
def test_every_truncation_and_extension_is_refused(sample: str) -> None:
    data = SAMPLES[sample]
    for size in range(len(data)):
        with pytest.raises(PackedFormatError):
            decode(data[:size])
    with pytest.raises(PackedFormatError, match="total_bytes"):
        decode(data + b"\0")


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=400))
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(PackedFormatError):
        decode(data)


def test_a_huge_matrix_of_zeros_is_not_allocated() -> None:
    header = read(encode(np.zeros((1, 1), np.float32), OpSpec(Op.CONV_2D, 1, 1), Encoding.ROW_BAND, 1)).header
    large = dataclasses.replace(header, out_channels=2**31 - 1, group_rows=2**31 - 1, in_channels=2**30)
    large = dataclasses.replace(large, column_bytes=1, count_bits=1, total_bytes=large.counts.sections.total)
    data = pack_header(large) + bytes(header.total_bytes - HEADER_BYTES)
    with pytest.raises(PackedFormatError, match="2 GiB"):
        decode(data)
