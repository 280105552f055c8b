# SPDX-License-Identifier: Apache-2.0
"""Encoder and decoder against each other and against slow, obvious counts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfprune.errors import PackedFormatError
from tfprune.formats import (
    Activation,
    ActivationType,
    Encoding,
    Op,
    OpSpec,
    Padding,
    Quantization,
    Rounding,
    ValueType,
    count_blocks,
    count_groups,
    decode,
    encode,
    read,
)
from tfprune.formats.blocks import cut_parts
from tfprune.formats.header_checks import most_group_rows

GROUPED = [encoding for encoding in Encoding if not encoding.in_blocks]


def fully_connected(shape: tuple[int, int]) -> OpSpec:
    return OpSpec(Op.FULLY_CONNECTED, out_channels=shape[0], in_channels=shape[1])


@st.composite
def packings(draw: st.DrawFn) -> tuple[np.ndarray, Encoding, int, int]:
    rows, cols = draw(st.integers(1, 24)), draw(st.integers(1, 24))
    encoding = draw(st.sampled_from(GROUPED))
    most = most_group_rows(encoding, rows)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    matrix = rng.standard_normal((rows, cols)).astype(np.float32)
    matrix[rng.random((rows, cols)) < draw(st.sampled_from([0.0, 0.3, 0.8, 0.97, 1.0]))] = 0
    return matrix, encoding, draw(st.integers(1, most)), draw(st.integers(1, cols))


@settings(deadline=None, max_examples=300)
@given(packings())
def test_decoding_returns_what_was_encoded(packing: tuple[np.ndarray, Encoding, int, int]) -> None:
    matrix, encoding, rows, cols = packing
    packed = encode(matrix, fully_connected(matrix.shape), encoding, rows, cols)
    np.testing.assert_array_equal(decode(packed), matrix)
    count = count_groups(matrix != 0, encoding, rows, cols)
    header = read(packed).header
    assert (count.lines, count.groups, count.values, count.size) == (
        header.line_count,
        header.group_count,
        header.value_count,
        len(packed),
    )


@settings(deadline=None, max_examples=200)
@given(packings())
def test_each_weight_is_stored_once(packing: tuple[np.ndarray, Encoding, int, int]) -> None:
    matrix, encoding, rows, cols = packing
    values = read(encode(matrix, fully_connected(matrix.shape), encoding, rows, cols)).values
    np.testing.assert_array_equal(np.sort(values[values != 0]), np.sort(matrix[matrix != 0]))


def quantization(rows: int, **activations: float) -> Quantization:
    return Quantization(np.linspace(0.5, 1, rows, dtype=np.float32), **activations)  # type: ignore[arg-type]


@settings(deadline=None, max_examples=200)
@given(packings(), st.booleans())
def test_int8_comes_back_with_its_scales(packing: tuple[np.ndarray, Encoding, int, int], dynamic: bool) -> None:
    matrix, encoding, rows, cols = packing
    integers = np.clip(np.rint(matrix * 60), -128, 127).astype(np.int8)
    activations = {} if dynamic else {"input_scale": 0.1, "input_zero_point": -5, "output_scale": 2.5}
    given_ = quantization(len(matrix), **activations)
    data = encode(integers, fully_connected(matrix.shape), encoding, rows, cols, quantization=given_)
    packed = read(data)
    np.testing.assert_array_equal(packed.stored_matrix(), integers)
    np.testing.assert_array_equal(packed.matrix(), integers * given_.scales[:, None])
    assert packed.quantization is not None
    np.testing.assert_array_equal(packed.quantization.scales, given_.scales)
    assert packed.quantization.input_scale == np.float32(given_.input_scale)
    assert packed.quantization.input_zero_point == given_.input_zero_point
    assert np.count_nonzero(packed.values) == np.count_nonzero(integers)
    count = count_groups(integers != 0, encoding, rows, cols, ValueType.INT8)
    header = packed.header
    assert (count.groups, count.values, count.size) == (header.group_count, header.value_count, len(data))


@settings(deadline=None, max_examples=100)
@given(packings())
def test_float16_comes_back(packing: tuple[np.ndarray, Encoding, int, int]) -> None:
    matrix, encoding, rows, cols = packing
    halves = matrix.astype(np.float16)
    data = encode(halves, fully_connected(matrix.shape), encoding, rows, cols)
    np.testing.assert_array_equal(decode(data), halves.astype(np.float32))
    assert count_groups(halves != 0, encoding, rows, cols, ValueType.FLOAT16).size == len(data)


def test_four_cells_of_int8_stand_together_row_by_row() -> None:
    matrix = np.zeros((3, 8), np.int8)
    matrix[:2, [0, 2, 3, 5, 7]] = [[1, 2, 3, 4, 5], [-1, -2, -3, -4, -5]]
    matrix[2, 6] = 9
    packed = read(encode(matrix, fully_connected(matrix.shape), Encoding.ROW_BAND, 2, quantization=quantization(3)))
    assert packed.values.tolist() == [1, 2, 3, 4, -1, -2, -3, -4, 5, -5, 9]


def test_quantization_goes_with_int8_alone() -> None:
    spec = fully_connected((2, 4))
    with pytest.raises(PackedFormatError, match="int8 and none"):
        encode(np.ones((2, 4), np.int8), spec, Encoding.ROW_BAND, 1)
    with pytest.raises(PackedFormatError, match="float32 and a quantization"):
        encode(np.ones((2, 4), np.float32), spec, Encoding.ROW_BAND, 1, quantization=quantization(2))
    with pytest.raises(PackedFormatError, match=r"scales must be float32 of shape \(2,\)"):
        encode(np.ones((2, 4), np.int8), spec, Encoding.ROW_BAND, 1, quantization=quantization(3))
    for wrong in (0.0, -1.0, np.nan, np.inf):
        scales = Quantization(np.array([1, wrong], np.float32))
        with pytest.raises(PackedFormatError, match="output channel 1"):
            encode(np.ones((2, 4), np.int8), spec, Encoding.ROW_BAND, 1, quantization=scales)
    for field, value in (("output_scale", 0.0), ("input_zero_point", 128), ("output_zero_point", -129)):
        activations = {"input_scale": 1.0, "output_scale": 1.0, field: value}
        with pytest.raises(PackedFormatError, match=field):
            encode(np.ones((2, 4), np.int8), spec, Encoding.ROW_BAND, 1, quantization=quantization(2, **activations))


def test_row_band_cover_is_the_smallest() -> None:
    # Columns 1, 2, 5, 7, 8 by windows of 3: {1-3, 5-7, 8-..} has three windows and no cover has two.
    matrix = np.zeros((2, 10), np.float32)
    matrix[0, [1, 5, 8]] = 1
    matrix[1, [2, 7]] = 1
    packed = read(encode(matrix, fully_connected(matrix.shape), Encoding.ROW_BAND, 2, 3))
    assert packed.starts.tolist() == [1, 5, 7]
    assert packed.line_ends.tolist() == [3]


def test_sliding_values_are_rotated_by_row() -> None:
    matrix = np.zeros((6, 2), np.float32)
    matrix[1:4, 1] = [10, 20, 30]
    packed = read(encode(matrix, fully_connected(matrix.shape), Encoding.SLIDING_ROW, 3))
    assert packed.lines.tolist() == [1]
    assert packed.values.tolist() == [30, 10, 20]  # slots 0, 1, 2 hold rows 3, 1, 2


@st.composite
def wide_packings(draw: st.DrawFn) -> tuple[np.ndarray, Encoding, int, int]:
    rows, cols = draw(st.integers(1, 20)), draw(st.integers(200, 3000))
    encoding = draw(st.sampled_from(GROUPED))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    matrix = rng.standard_normal((rows, cols)).astype(np.float32)
    matrix[rng.random((rows, cols)) < draw(st.sampled_from([0.5, 0.8, 0.9, 0.97, 0.99, 0.999]))] = 0
    if draw(st.booleans()):  # whole groups at multiples of four
        matrix *= np.repeat(rng.random((rows, -(-cols // 4))) < 0.3, 4, axis=1)[:, :cols]
    return matrix, encoding, draw(st.integers(1, most_group_rows(encoding, rows))), draw(st.sampled_from([1, 2, 4, 17]))


@settings(deadline=None, max_examples=100)
@given(wide_packings(), st.sampled_from(["float32", "float16", "int8"]))
def test_wide_matrices_come_back_and_are_counted(packing: tuple[np.ndarray, Encoding, int, int], dtype: str) -> None:
    matrix, encoding, rows, cols = packing
    stored = (matrix * (40 if dtype == "int8" else 1)).astype(dtype)
    data = encode(
        stored,
        fully_connected(matrix.shape),
        encoding,
        rows,
        cols,
        quantization=quantization(len(matrix)) if dtype == "int8" else None,
    )
    packed = read(data)
    np.testing.assert_array_equal(packed.stored_matrix(), stored.astype(np.float32))
    count = count_groups(stored != 0, encoding, rows, cols, ValueType[dtype.upper()])
    header = packed.header
    assert (count.groups, count.values, count.size) == (header.group_count, header.value_count, len(data))


@pytest.mark.parametrize(
    ("sparsity", "cols", "column_bytes", "column_unit"),
    [(0.5, 1, 0, 1), (0.5, 4, 0, 4), (0.95, 1, 1, 1), (0.95, 4, 1, 1), (0.9995, 1, 2, 1), (0.9995, 4, 2, 1)],
)
def test_start_columns_take_the_smallest_form(sparsity: float, cols: int, column_bytes: int, column_unit: int) -> None:
    rng = np.random.default_rng(5)
    matrix = np.repeat(rng.random((64, 4000 // cols)) >= sparsity, cols, axis=1).astype(np.float32)
    header = read(encode(matrix, fully_connected(matrix.shape), Encoding.ROW_BAND, 1, cols)).header
    assert (header.column_bytes, header.column_unit) == (column_bytes, column_unit)
    assert (header.count_bits == 0) == (column_bytes == 0)


def test_lines_of_the_same_number_of_groups_store_no_counts() -> None:
    matrix = np.zeros((16, 700), np.float32)
    for row in range(16):
        matrix[row, row : row + 600 : 30] = 1
    header = read(encode(matrix, fully_connected(matrix.shape), Encoding.ROW_BAND, 1)).header
    assert (header.column_bytes, header.count_bits) == (1, 0)
    matrix[0] = 0
    assert read(encode(matrix, fully_connected(matrix.shape), Encoding.ROW_BAND, 1)).header.count_bits > 0


@pytest.mark.parametrize("encoding", GROUPED)
@pytest.mark.parametrize("start", [65_535, 65_536, 65_537, 131_070, 131_071, 200_000])
def test_wide_gaps_are_bridged(encoding: Encoding, start: int) -> None:
    matrix = np.zeros((2, 200_002), np.float32)
    matrix[:, start] = [1, -1]
    packed = encode(matrix, fully_connected(matrix.shape), encoding, 2)
    np.testing.assert_array_equal(decode(packed), matrix)
    assert read(packed).header.group_count == max(1, -(-start // 65_535))
    assert count_groups(matrix != 0, encoding, 2, 1).size == len(packed)


def test_uint8_weights_have_a_zero_point() -> None:
    matrix = np.full((5, 9), 120, np.uint8)
    matrix[[0, 1, 3], [0, 2, 8]] = [0, 255, 121]
    kind = Quantization(np.full(5, 0.5, np.float32), 0.1, 3, 0.2, 200, ActivationType.UINT8, weight_zero_point=120)
    for encoding in GROUPED:
        packed = read(encode(matrix, fully_connected(matrix.shape), encoding, 2, 2, quantization=kind))
        np.testing.assert_array_equal(packed.stored_matrix(), matrix.astype(np.float32) - 120)
        np.testing.assert_array_equal(packed.matrix(), (matrix.astype(np.float32) - 120) * 0.5)
        found = packed.quantization
        assert found is not None
        assert (found.activation_type, found.rounding) == (ActivationType.UINT8, Rounding.XNNPACK)
        assert (found.weight_zero_point, found.output_zero_point) == (120, 200)


@pytest.mark.parametrize(
    ("dtype", "fields", "message"),
    [
        ("int8", {"activation_type": ActivationType.UINT8}, "activation_type must fit INT8"),
        ("uint8", {"activation_type": ActivationType.INT8}, "activation_type must fit UINT8"),
        ("uint8", {"activation_type": ActivationType.UINT8, "weight_zero_point": 256}, "weight_zero_point"),
        ("uint8", {"activation_type": ActivationType.UINT8, "input_zero_point": -1}, "input_zero_point"),
        ("int8", {"activation_type": ActivationType.INT16, "output_zero_point": 1}, "output_zero_point"),
        ("int8", {"weight_zero_point": 1}, "weight_zero_point of INT8"),
        ("int8", {"weight_zero_point": -129, "rounding": Rounding.BUILTIN}, "weight_zero_point"),
        ("int8", {"rounding": Rounding.NONE}, "rounding of quantised activations"),
        ("int8", {"rounding": Rounding.BUILTIN_CHANNELS}, "stock_channels must divide out_channels 2, got 0"),
        ("int8", {"rounding": Rounding.BUILTIN_AWAY, "stock_channels": 2}, "stock_channels of this rounding"),
        (
            "int8",
            {"activation_type": ActivationType.INT16, "rounding": Rounding.BUILTIN_AWAY},
            "rounding of quantised activations",
        ),
    ],
)
def test_types_that_do_not_fit_are_refused(dtype: str, fields: dict[str, int], message: str) -> None:
    given_ = quantization(2, **{"input_scale": 1.0, "output_scale": 1.0, **fields})
    with pytest.raises(PackedFormatError, match=message):
        encode(np.ones((2, 4), dtype), fully_connected((2, 4)), Encoding.ROW_BAND, 1, quantization=given_)


def test_files_of_version_1_are_refused() -> None:
    packed = encode(np.eye(4, dtype=np.float32), fully_connected((4, 4)), Encoding.ROW_BAND, 1)
    packed[4] = 1
    with pytest.raises(PackedFormatError, match="version must be 2, got 1; convert the model again"):
        decode(packed)


def test_special_values_survive() -> None:
    matrix = np.array([[np.inf, -np.inf, 0, np.float32(1e-45)], [np.nan, 1, 0, -1e38]], np.float32)
    packed = encode(matrix, fully_connected(matrix.shape), Encoding.ROW_BAND, 2)
    np.testing.assert_array_equal(decode(packed), matrix)


def test_any_alignment_and_any_buffer_type_is_read() -> None:
    matrix = np.eye(5, 7, dtype=np.float32)
    packed = encode(matrix, fully_connected(matrix.shape), Encoding.ROW_BAND, 2)
    shifted = np.concatenate((np.zeros(3, np.uint8), packed))[3:]
    for data in (packed, shifted, packed.tobytes(), bytearray(packed), memoryview(packed.tobytes())):
        np.testing.assert_array_equal(decode(data), matrix)


def test_values_are_aligned_and_the_spec_comes_back() -> None:
    spec = OpSpec(Op.CONV_2D, 5, 2, 3, 2, 2, 1, 1, 3, Padding.SAME, Activation.RELU6)
    header = read(encode(np.ones((5, 12), np.float32), spec, Encoding.SLIDING_ROW, 2, 3)).header
    assert header.spec == spec
    assert header.counts.sections.values % 64 == 0


@pytest.mark.parametrize(
    ("encoding", "rows", "cols"),
    [
        (Encoding.ROW_BAND, 0, 1),
        (Encoding.ROW_BAND, 21, 1),
        (Encoding.ROW_BAND, 1, 0),
        (Encoding.ROW_BAND, 1, 9),
        (Encoding.SLIDING_ROW, 17, 1),
        (Encoding.BLOCK_ROWS, 17, 1),
        (Encoding.BLOCK_ROWS, 4, 2),
        (Encoding.BLOCK_COLUMNS, 2, 1),
    ],
)
def test_group_sizes_outside_the_format_are_refused(encoding: Encoding, rows: int, cols: int) -> None:
    matrix = np.ones((20, 8), np.float32)
    with pytest.raises(PackedFormatError, match="group_"):
        encode(matrix, fully_connected(matrix.shape), encoding, rows, cols)
    with pytest.raises(PackedFormatError, match="group_"):
        count_groups(matrix != 0, encoding, rows, cols)


def test_a_matrix_that_is_not_the_specs_is_refused() -> None:
    with pytest.raises(PackedFormatError, match=r"of shape \(4, 8\), got float32"):
        encode(np.ones((8, 4), np.float32), fully_connected((4, 8)), Encoding.ROW_BAND, 1)
    with pytest.raises(PackedFormatError, match="float32"):
        encode(np.ones((4, 8)), fully_connected((4, 8)), Encoding.ROW_BAND, 1)  # type: ignore[arg-type]
    with pytest.raises(PackedFormatError, match="empty"):
        encode(np.ones((0, 8), np.float32), fully_connected((0, 8)), Encoding.ROW_BAND, 1)


def test_a_spec_that_breaks_a_rule_is_refused() -> None:
    spec = OpSpec(Op.FULLY_CONNECTED, 4, 8, stride_h=2)
    with pytest.raises(PackedFormatError, match="stride_h"):
        encode(np.ones((4, 8), np.float32), spec, Encoding.ROW_BAND, 1)


def test_a_tensor_of_another_type_is_refused() -> None:
    packed = encode(np.ones((4, 8), np.float32), fully_connected((4, 8)), Encoding.ROW_BAND, 1)
    with pytest.raises(PackedFormatError, match="uint8"):
        decode(packed.view(np.int8))  # type: ignore[arg-type]
    with pytest.raises(PackedFormatError, match="uint8"):
        decode(packed.reshape(1, -1))


@pytest.mark.parametrize("dtype", ["float32", "int8"])
@pytest.mark.parametrize("encoding", Encoding)
def test_parts_of_a_matrix_give_the_bytes_of_the_whole(
    encoding: Encoding, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large matrices are counted and packed some lines at a time."""
    rng = np.random.default_rng(3)
    spec = OpSpec(Op.CONV_2D, 203, 12, 3, 3)
    kept = np.repeat(np.repeat(rng.random((51, 27)) < 0.3, 4, axis=0), 4, axis=1)[:203]
    matrix = (rng.integers(1, 100, (203, 108)) * kept * (rng.random((203, 108)) < 0.9)).astype(dtype)
    scales = quantization(203) if dtype == "int8" else None
    value_type = ValueType[dtype.upper()]

    def all_sizes() -> list[tuple[bytes, object]]:
        found: list[tuple[bytes, object]] = []
        for rows, cols in ((1, 1), (4, 1), (3, 4), (16, 1), (5, 20)):
            rows, cols = min(rows, most_group_rows(encoding, 203)), 1 if encoding.in_blocks else cols
            data = encode(matrix, spec, encoding, rows, cols, quantization=scales).tobytes()
            if encoding.in_blocks:
                counted: object = count_blocks(cut_parts(matrix != 0, encoding, 12), encoding, rows, value_type)
            else:
                counted = count_groups(matrix != 0, encoding, rows, cols, value_type, 12)
            found.append((data, counted))
        return found

    whole = all_sizes()
    for cells in (1, 108 * 33):
        monkeypatch.setattr("tfprune.formats.cover._PART_CELLS", cells)
        assert all_sizes() == whole
