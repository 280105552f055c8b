# SPDX-License-Identifier: Apache-2.0
"""Blocks: nothing but non-zeros is stored, each once, and patterns are cut as they were made."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfprune.errors import PackedFormatError
from tfprune.formats import (
    ActivationType,
    Encoding,
    Op,
    OpSpec,
    Quantization,
    ValueType,
    count_blocks,
    cut,
    decode,
    encode,
    read,
)
from tfprune.formats.blocks import Blocks
from tfprune.sparsity.layouts import to_matrix
from tfprune.sparsity.patterns import BlockRowsColumns, KernelElements, KernelPatterns, NofM, Pattern
from tfprune.sparsity.select import select

BLOCKS = [encoding for encoding in Encoding if encoding.in_blocks]


@st.composite
def matrices(draw: st.DrawFn) -> tuple[np.ndarray, OpSpec, Encoding, int]:
    rows, channels = draw(st.integers(1, 150)), draw(st.integers(1, 9))
    height, width = draw(st.sampled_from([(1, 1), (1, 2), (3, 3), (5, 4)]))
    encoding = draw(st.sampled_from(BLOCKS))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    matrix = rng.standard_normal((rows, height * width * channels)).astype(np.float32)
    # Kept rows and columns of cells, so that there are blocks to find.
    cells = draw(st.sampled_from([1, 2, 8, 16]))
    keep = rng.random((-(-rows // cells), matrix.shape[1])) >= draw(st.sampled_from([0.0, 0.3, 0.8, 0.97, 1.0]))
    matrix *= np.repeat(keep, cells, axis=0)[:rows]
    group_rows = 1 if encoding == Encoding.BLOCK_COLUMNS else draw(st.integers(1, min(rows, 16)))
    return matrix, OpSpec(Op.CONV_2D, rows, channels, height, width), encoding, group_rows


@settings(deadline=None, max_examples=300)
@given(matrices())
def test_decoding_returns_what_was_encoded_without_zeros(
    case: tuple[np.ndarray, OpSpec, Encoding, int],
) -> None:
    matrix, spec, encoding, rows = case
    packed = encode(matrix, spec, encoding, rows)
    np.testing.assert_array_equal(decode(packed), matrix)
    held = read(packed)
    np.testing.assert_array_equal(np.sort(held.values), np.sort(matrix[matrix != 0]))
    blocks = cut(matrix != 0, encoding, spec.in_channels)
    count = count_blocks([blocks], encoding, rows)
    assert (count.blocks, count.values, count.size) == (held.header.line_count, held.header.value_count, len(packed))
    assert held.blocks is not None
    for field in ("band_ends", "column_ends", "columns", "row_ends", "rows"):
        np.testing.assert_array_equal(getattr(blocks, field), getattr(held.blocks, field))


def test_values_follow_in_even_chunks_the_larger_first() -> None:
    matrix = np.zeros((9, 4), np.float32)
    matrix[np.ix_([0, 2, 3, 5, 8], [1, 3])] = [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10]]
    packed = read(encode(matrix, OpSpec(Op.FULLY_CONNECTED, 9, 4), Encoding.BLOCK_ROWS, 4))
    # Five rows in chunks of at most four: three and two.
    assert packed.values.tolist() == [1, 3, 5, 2, 4, 6, 7, 9, 8, 10]
    packed = read(encode(matrix, OpSpec(Op.FULLY_CONNECTED, 9, 4), Encoding.BLOCK_COLUMNS, 1))
    assert packed.values.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]


def pruned(pattern: Pattern, sparsity: float | None, rows: int, channels: int, size: int) -> np.ndarray:
    rng = np.random.default_rng(3)
    kernel = rng.standard_normal((size, size, channels, rows)).astype(np.float32)
    return to_matrix(kernel * select(kernel, pattern, sparsity), "conv2d").reshape(rows, -1)


def cut_pattern(pattern: Pattern, sparsity: float | None, encoding: Encoding, size: int = 3) -> Blocks:
    return cut(pruned(pattern, sparsity, 64, 32, size) != 0, encoding, 32)


def test_kernel_elements_of_filters_are_one_block_a_position() -> None:
    blocks = cut_pattern(KernelElements(keep=2), None, Encoding.BLOCK_ROWS)
    assert len(blocks.row_ends) == 9
    assert set(blocks.column_counts) == {32}


@pytest.mark.parametrize("size", [8, 12, 16, 32])
def test_blocks_of_rows_and_columns_are_found_in_bands_of_their_height(size: int) -> None:
    blocks = cut_pattern(BlockRowsColumns(size, 16), 0.75, Encoding.BLOCK_ROWS)
    assert blocks.band_rows == size
    # Blocks of one band that keep the same rows become one.
    assert len(blocks.row_ends) <= 9 * 2 * -(-64 // size)


def test_kernel_patterns_are_blocks_of_one_channel_and_one_shape() -> None:
    blocks = cut_pattern(KernelPatterns(keep=4, library=6), 0.75, Encoding.BLOCK_COLUMNS)
    assert set(blocks.column_counts) == {4}
    assert len(blocks.row_ends) <= 32 * 6
    channels = blocks.columns.reshape(-1, 4) % 32
    assert (channels == channels[:, :1]).all()


def test_neighbours_make_kernels_where_there_are_none() -> None:
    blocks = cut_pattern(NofM(2, 4), None, Encoding.BLOCK_COLUMNS, size=1)
    assert set(blocks.column_counts) == {2}
    assert len(blocks.row_ends) <= 8 * 6


def test_larger_kernels_are_cut_evenly() -> None:
    matrix = np.ones((3, 9), np.float32)
    blocks = cut(matrix != 0, Encoding.BLOCK_COLUMNS, 1)
    assert blocks.column_counts.tolist() == [3, 3, 3]
    assert blocks.columns.tolist() == list(range(9))


def test_too_many_columns_are_refused() -> None:
    spec = OpSpec(Op.FULLY_CONNECTED, 1, 65_537)
    for encoding in BLOCKS:
        with pytest.raises(PackedFormatError, match="65536 columns"):
            encode(np.ones((1, 65_537), np.float32), spec, encoding, 1)
    last = np.zeros((2, 65_536), np.float32)
    last[:, -1] = 1
    packed = encode(last, OpSpec(Op.FULLY_CONNECTED, 2, 65_536), Encoding.BLOCK_ROWS, 2)
    np.testing.assert_array_equal(decode(packed), last)


def test_kernels_of_many_positions_are_refused() -> None:
    spec = OpSpec(Op.CONV_2D, 2, 1, 9, 7)
    with pytest.raises(PackedFormatError, match="62 kernel positions"):
        encode(np.ones((2, 63), np.float32), spec, Encoding.BLOCK_COLUMNS, 1)


def test_a_large_layer_is_cut_fast() -> None:
    nonzero = np.random.default_rng(1).random((512, 4608)) < 0.25
    for encoding in BLOCKS:
        began = time.process_time()
        cut(nonzero, encoding, 512)
        assert time.process_time() - began < 2  # 0.15 s on the machine this was written on


@settings(deadline=None, max_examples=100)
@given(matrices(), st.sampled_from(["float16", "int8", "uint8"]))
def test_blocks_of_other_values_come_back(case: tuple[np.ndarray, OpSpec, Encoding, int], dtype: str) -> None:
    matrix, spec, encoding, rows = case
    scales = np.linspace(0.5, 1, len(matrix), dtype=np.float32)
    quantization = None
    if dtype == "int8":
        matrix, quantization = np.clip(matrix * 60, -128, 127), Quantization(scales)
    if dtype == "uint8":
        kind = ActivationType.UINT8
        matrix = np.clip(matrix * 60 + 99, 0, 255)
        quantization = Quantization(scales, 1.0, 5, 1.0, 0, kind, weight_zero_point=99)
    stored = matrix.astype(dtype)
    zero = quantization.weight_zero_point if quantization else 0
    data = encode(stored, spec, encoding, rows, quantization=quantization)
    held = read(data)
    np.testing.assert_array_equal(held.stored_matrix(), stored.astype(np.float32) - zero)
    assert (held.values != zero).all()
    blocks = cut(stored != zero, encoding, spec.in_channels)
    assert count_blocks([blocks], encoding, rows, ValueType[dtype.upper()]).size == len(data)


@pytest.mark.parametrize("encoding", BLOCKS)
def test_blocks_of_integers_do_not_overlap(encoding: Encoding) -> None:
    matrix = np.zeros((4, 4), np.int8)
    matrix[0, 0], matrix[1:, 1] = 5, 7
    quantization = Quantization(np.ones(4, np.float32))
    data = encode(matrix, OpSpec(Op.FULLY_CONNECTED, 4, 4), encoding, 1, quantization=quantization)
    header = read(data).header
    assert header.row_count == 4
    first_row = header.counts.sections.rows
    assert data[first_row : first_row + 4].tolist() == [0, 1, 2, 3]
    data[header.counts.sections.columns + 1] = 0
    data[first_row + 1] = 0
    with pytest.raises(PackedFormatError, match="hold the same weight"):
        read(data)
