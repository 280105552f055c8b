# SPDX-License-Identifier: Apache-2.0
"""Cost tables and the predictor."""

from __future__ import annotations

import copy
import dataclasses
import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from tfprune.costs import (
    CostTable,
    LayerShape,
    PackedShape,
    StockOp,
    load_table,
    predict_break_even,
    predict_dense,
    predict_sparse,
    table_names,
)
from tfprune.costs.predict import sparse_work
from tfprune.costs.table import BYTE_STEPS, KINDS
from tfprune.errors import ConversionError, NotModelledError

ARM: dict[str, Any] = json.loads((resources.files("tfprune.costs") / "tables" / "arm64.json").read_text())
LAYER = LayerShape(
    fully_connected=False, out_channels=512, columns=512, kernel_size=1, pixels=196, input_values=196 * 512
)


def _float32(data: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = data["precisions"]["float32"]
    return found


def _load(tmp_path: Path, data: Any) -> CostTable:
    path = tmp_path / "table.json"
    path.write_text(json.dumps(data))
    return load_table(path)


def test_the_tables_that_come_with_tfprune_load() -> None:
    assert set(table_names()) >= {"arm64", "host"}
    for name in table_names():
        table = load_table(name)
        assert table.name == name
        assert all(costs.source for costs in table.precisions.values())


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        (LAYER, "conv_1x1"),
        (dataclasses.replace(LAYER, kernel_size=9), "conv_kxk"),
        (dataclasses.replace(LAYER, fully_connected=True, pixels=1), "fully_connected_single"),
        (dataclasses.replace(LAYER, fully_connected=True, pixels=2), "fully_connected_batch"),
    ],
)
def test_kinds(layer: LayerShape, kind: str) -> None:
    assert layer.kind == kind


def test_the_formula(tmp_path: Path) -> None:
    data = copy.deepcopy(ARM)
    _float32(data)["kinds"]["conv_1x1"] = {
        "dense_layer": 7,
        "dense_mac": 0.5,
        "dense_value": 0.25,
        "dense_far": 0.5,
        "sparse_layer": 1000,
        "input_value": 2,
        "column_value": 3,
        "line": 5,
        "line_row": 29,
        "output_value": 11,
        "window": 0,
        "collected": 0,
        "step": {**ARM_STEPS, "row_band": dict.fromkeys(SIZES, 13), "block_rows": dict.fromkeys(SIZES[1:], 17)},
        "visit": {"block_rows": 19, "block_columns": 23},
    }
    table = _load(tmp_path, data)
    layer = LayerShape(fully_connected=False, out_channels=8, columns=6, kernel_size=1, pixels=20, input_values=60)
    packed = PackedShape("row_band", rows=4, cols=2, lines=2, groups=3, used_columns=4)
    assert predict_dense(table, layer) == 7 + 0.5 * 8 * 6 * 20 + 0.25 * 8 * 20
    assert predict_sparse(table, layer, packed) == 1000 + 2 * 60 + (3 * 4 + (5 + 29 * 4) * 2 + 13 * 3 * 2 + 11 * 8) * 20
    blocks = PackedShape("block_rows", rows=2.5, cols=1, lines=2, groups=3, used_columns=4, visits=6)
    expected = 1000 + 2 * 60 + (3 * 4 + (5 + 29 * 2.5) * 2 + 17 * 3 + 19 * 6 + 11 * 8) * 20
    assert predict_sparse(table, layer, blocks) == pytest.approx(expected)


def test_dense_weights_beyond_the_cache_cost_by_the_byte(tmp_path: Path) -> None:
    data = copy.deepcopy(ARM)
    data["precisions"]["int8"] = _int8(ARM)
    near = _load(tmp_path, data)
    for costs in data["precisions"].values():
        costs["kinds"]["conv_1x1"] = {**costs["kinds"]["conv_1x1"], "dense_far": 0.5}
    data["cache_bytes"] = None
    assert predict_dense(_load(tmp_path, data), LAYER) == predict_dense(near, LAYER)
    data["cache_bytes"] = 512 * 512 + 1000
    table, whole = _load(tmp_path, data), dataclasses.replace(LAYER, precision="int8")
    assert predict_dense(table, whole) == predict_dense(near, whole)
    assert predict_dense(table, LAYER) == pytest.approx(predict_dense(near, LAYER) + 0.5 * (3 * 512 * 512 - 1000))


STOCK = {"depthwise_conv_2d": {"layer": 3, "mac": 2, "value": 7}, "pad": {"layer": 11, "mac": 0, "value": 0.5}}


def test_another_dense_operator_and_stock_ops_round_the_sparse_one(tmp_path: Path) -> None:
    data = copy.deepcopy(ARM)
    _float32(data)["stock_ops"] = STOCK
    table = _load(tmp_path, data)
    packed = PackedShape("row_band", rows=4, cols=1, lines=128, groups=4096, used_columns=512)
    expanded = dataclasses.replace(
        LAYER,
        dense_op=StockOp("depthwise_conv_2d", macs=100, values=10),
        layout_ops=(StockOp("pad", 0, 40), StockOp("pad", 0, 2)),
    )
    assert predict_dense(table, expanded) == 3 + 2 * 100 + 7 * 10
    assert predict_sparse(table, expanded, packed) == predict_sparse(table, LAYER, packed) + 2 * 11 + 0.5 * 42


def test_a_table_names_what_it_was_not_fitted_on(tmp_path: Path) -> None:
    data = copy.deepcopy(ARM)
    data["precisions"] = {"float32": {**_float32(data), "stock_ops": STOCK}}
    table = _load(tmp_path, data)
    packed = PackedShape("row_band", rows=4, cols=1, lines=128, groups=4096, used_columns=512)
    for precision in ("int8", "dynamic", "uint8", "int16"):
        layer = dataclasses.replace(LAYER, precision=precision)
        with pytest.raises(NotModelledError, match=f"arm64.*{precision}.*float32"):
            predict_dense(table, layer)
        with pytest.raises(NotModelledError, match=precision):
            predict_sparse(table, layer, packed)
    for broken in ({"dense_op": StockOp("conv_3d", 1, 1)}, {"layout_ops": (StockOp("transpose", 0, 1),)}):
        layer = dataclasses.replace(LAYER, **broken)
        with pytest.raises(NotModelledError, match=r"conv_3d|transpose"):
            predict_break_even(table, layer, packed, 0.75)


def _int8(data: dict[str, Any]) -> dict[str, Any]:
    """What a table of int8 layers could say: every coefficient its own."""
    steps = {name: {str(rows): len(name) + rows for rows in sizes} for name, sizes in BYTE_STEPS.items()}
    kind = {**_float32(data)["kinds"]["conv_1x1"], "step": steps, "visit": {}}
    tile = dict(zip(BYTE_STEPS, (64, 64, 16, 16), strict=True))
    return {"source": "made up", "held_out": {}, "tile": tile, "kinds": dict.fromkeys(KINDS, kind), "stock_ops": {}}


@pytest.mark.parametrize(
    ("encoding", "cols", "channels", "name"),
    [
        ("row_band", 1, 512, "row_band"),
        ("row_band", 2, 512, "row_band"),
        ("row_band", 4, 512, "row_band_quads"),
        ("row_band", 8, 9, "row_band_quads"),
        ("row_band", 8, 7, "row_band"),
        ("sliding_row", 1, 512, "sliding_row"),
        ("sliding_row", 4, 512, "sliding_row_quads"),
        ("sliding_row", 4, 510, "sliding_row"),
    ],
)
def test_groups_of_four_int8_columns_have_steps_of_their_own(
    tmp_path: Path, encoding: str, cols: int, channels: int, name: str
) -> None:
    data = copy.deepcopy(ARM)
    data["precisions"]["int8"] = _int8(data)
    table = _load(tmp_path, data)
    layer = dataclasses.replace(LAYER, columns=9 * channels, kernel_size=9, precision="int8")
    packed = PackedShape(encoding, rows=4, cols=cols, lines=128, groups=100, used_columns=512)
    steps = predict_sparse(table, layer, packed) - predict_sparse(table, layer, dataclasses.replace(packed, groups=0))
    assert steps == pytest.approx((len(name) + 4) * 100 * cols * layer.pixels)
    assert sparse_work({}, dataclasses.replace(layer, precision="float32"), packed).step == encoding


@pytest.mark.parametrize(
    ("pixels", "cols", "kind", "positions", "columns"),
    [
        (1, 1, "fully_connected_single", 1, 100),
        (8, 1, "fully_connected_single", 8, 100),
        (9, 1, "fully_connected_batch", 64, 150),
        (9, 4, "fully_connected_batch", 16, 450),
        (49, 4, "conv_1x1", 64, 450),
        (65, 1, "conv_1x1", 128, 150),
    ],
)
def test_int8_kernels_compute_whole_tiles_and_whole_operands(
    pixels: int, cols: int, kind: str, positions: int, columns: int
) -> None:
    tile = _int8(ARM)["tile"]
    packed = PackedShape("row_band", rows=4, cols=cols, lines=128, groups=100, used_columns=512, filling=50)
    work = sparse_work(tile, dataclasses.replace(LAYER, pixels=pixels, precision="int8"), packed)
    assert work[:4] == (kind, "row_band_quads" if cols == 4 else "row_band", positions, columns)


@pytest.mark.parametrize(
    ("precision", "cols", "groups", "windows", "collected"),
    [
        ("int8", 1, 3 * 1024, 1024, 0),  # 128 lines of 8 windows
        ("int8", 1, 3 * 1024 - 1, 0, 3 * 1024 - 1),
        ("dynamic", 1, 9000, 1024, 0),
        ("int8", 2, 9000, 0, 18000),
        ("int8", 4, 9000, 0, 0),
        ("int16", 1, 9000, 0, 0),
        ("float32", 1, 9000, 0, 0),
    ],
)
def test_inputs_of_one_position_are_collected_by_windows_or_one_by_one(
    tmp_path: Path, precision: str, cols: int, groups: int, windows: int, collected: int
) -> None:
    layer = dataclasses.replace(LAYER, fully_connected=True, pixels=1, input_values=512, precision=precision)
    packed = PackedShape("row_band", rows=4, cols=cols, lines=128, groups=groups, used_columns=512)
    assert sparse_work({"row_band": 64}, layer, packed)[4:] == (windows, collected)
    assert sparse_work({"row_band": 64}, dataclasses.replace(layer, pixels=9), packed)[4:] == (0, 0)
    if precision != "int8":
        return
    data = copy.deepcopy(ARM)
    data["precisions"]["int8"] = _int8(ARM)
    before = predict_sparse(_load(tmp_path, data), layer, packed)
    kinds = data["precisions"]["int8"]["kinds"]
    kinds["fully_connected_single"] = {**kinds["fully_connected_single"], "window": 1e7, "collected": 1e6}
    table = _load(tmp_path, data)
    assert predict_sparse(table, layer, packed) == pytest.approx(before + 1e7 * windows + 1e6 * collected)


def test_windows_stay_when_groups_are_thought_away(tmp_path: Path) -> None:
    data = copy.deepcopy(ARM)
    costs = _int8(ARM)
    one = costs["kinds"]["conv_1x1"]
    scalars = {**dict.fromkeys(one, 0.0), "dense_mac": 1, "window": 16, "step": one["step"], "visit": {}}
    costs["kinds"] = {**costs["kinds"], "fully_connected_single": scalars}
    data["precisions"]["int8"] = costs
    layer = dataclasses.replace(LAYER, fully_connected=True, pixels=1, input_values=512, precision="int8")
    packed = PackedShape("row_band", rows=4, cols=1, lines=128, groups=128 * 128, used_columns=512)
    cell = one["step"]["row_band"]["4"]
    kept = (512 * 512 - 16 * 128 * 8) / (128 * 512 * cell)
    assert predict_break_even(_load(tmp_path, data), layer, packed, 0.75) == pytest.approx(max(0.0, 1 - kept))


def test_windows_run_over_whole_rows() -> None:
    layer = dataclasses.replace(LAYER, pixels=49, kernel_size=9, columns=9 * 512, precision="int8")
    packed = PackedShape("sliding_row", rows=4, cols=1, lines=128, groups=100, used_columns=512, filling=50)
    assert sparse_work(_int8(ARM)["tile"], layer, packed)[:4] == ("conv_kxk", "sliding_row", 49, 150)


def test_int8_layers_have_no_blocks(tmp_path: Path) -> None:
    data = copy.deepcopy(ARM)
    data["precisions"]["int8"] = _int8(data)
    packed = PackedShape("block_rows", rows=4, cols=1, lines=128, groups=100, used_columns=512, visits=9)
    with pytest.raises(NotModelledError, match=r"block_rows in int8"):
        predict_sparse(_load(tmp_path, data), dataclasses.replace(LAYER, precision="int8"), packed)


def test_float16_weights_run_as_float32_ones_unless_the_table_knows_better(tmp_path: Path) -> None:
    data = copy.deepcopy(ARM)
    half = dataclasses.replace(LAYER, precision="float16")
    data["precisions"].pop("float16", None)
    table = _load(tmp_path, data)
    assert predict_dense(table, half) == predict_dense(table, LAYER)
    data["precisions"]["float16"] = copy.deepcopy(_float32(data))
    data["precisions"]["float16"]["kinds"]["conv_1x1"]["dense_mac"] = 7
    assert predict_dense(_load(tmp_path, data), half) == pytest.approx(7 * LAYER.macs, rel=1e-3)
    del data["precisions"]["float32"], data["precisions"]["float16"]
    data["precisions"]["int8"] = _int8(ARM)
    with pytest.raises(NotModelledError, match="float16"):
        predict_dense(_load(tmp_path, data), half)


def test_a_pointwise_layer_of_few_pixels_counts_as_fully_connected() -> None:
    layer = LayerShape(fully_connected=False, out_channels=8, columns=6, kernel_size=1, pixels=1, input_values=6)
    assert layer.kind == "fully_connected_single"
    assert dataclasses.replace(layer, pixels=9).kind == "fully_connected_batch"
    assert dataclasses.replace(layer, pixels=49).kind == "conv_1x1"
    assert dataclasses.replace(layer, pixels=9, kernel_size=9).kind == "conv_kxk"


@pytest.mark.parametrize(
    ("encoding", "rows", "same_as"),
    [
        ("row_band", 3, {2: 0.5, 4: 0.5}),
        ("row_band", 5, {4: 0.75, 8: 0.25}),
        ("row_band", 12, {8: 0.5, 16: 0.5}),
        ("row_band", 24, {16: 1.5}),
        ("sliding_row", 6, {4: 0.5, 8: 0.5}),
        ("sliding_row", 1, {2: 1.0}),
        ("block_rows", 2.5, {2: 0.75, 4: 0.25}),
        ("block_columns", 24.8, {16: 1.55}),
    ],
)
def test_rows_that_the_table_lacks_lie_between_their_neighbours(
    encoding: str, rows: float, same_as: dict[int, float]
) -> None:
    table = load_table("arm64")

    def time(size: float) -> float:
        return predict_sparse(table, LAYER, PackedShape(encoding, size, 1, 128, 2000, 512))

    base = predict_sparse(table, LAYER, PackedShape(encoding, rows, 1, 128, 0, 512))
    steps = sum(part * (time(size) - base) for size, part in same_as.items())
    assert time(rows) == pytest.approx(base + steps, rel=1e-12)


ARM_STEPS = _float32(ARM)["kinds"]["conv_1x1"]["step"]
SIZES = ("1", "2", "4", "8", "16")


@pytest.mark.parametrize("device", ["arm64", "host"])
def test_more_zeros_are_predicted_faster_and_dense_weights_slower(device: str) -> None:
    table = load_table(device)
    dense = predict_dense(table, LAYER)
    times = [
        predict_sparse(table, LAYER, PackedShape("row_band", 4, 1, 128, int(128 * 512 * kept), 512))
        for kept in (1.0, 0.5, 0.25, 0.1)
    ]
    assert times == sorted(times, reverse=True)
    # A multiply-add is no cheaper than the dense layer's by time, but can take fewer instructions.
    assert dense > times[1]
    assert times[0] > (dense if device == "host" else 0.75 * dense)


def _broken() -> list[tuple[str, Any]]:
    def at(path: str, value: Any) -> dict[str, Any]:
        data = copy.deepcopy(ARM)
        *parents, last = path.replace("kinds", "precisions.float32.kinds").split(".")
        inner = data
        for parent in parents:
            inner = inner[parent]
        if value is KeyError:
            del inner[last]
        else:
            inner[last] = value
        return data

    return [
        ("version", at("version", 1)),
        ("version", at("version", True)),
        ("missing", at("unit", KeyError)),
        ("cache_bytes", at("cache_bytes", KeyError)),
        ("cache_bytes", at("cache_bytes", 0)),
        ("cache_bytes", at("cache_bytes", True)),
        ("cache_bytes", at("cache_bytes", 1.5)),
        ("unknown", at("extra", 1)),
        ("name", at("name", "")),
        ("general", at("general", 1)),
        ("general", at("general", KeyError)),
        ("device", at("device", None)),
        ("missing", at("device.processor", KeyError)),
        ("unknown", at("device.colour", "red")),
        ("processor", at("device.processor", "")),
        ("num_threads", at("device.num_threads", 0)),
        ("num_threads", at("device.num_threads", True)),
        ("target", at("device.target", "moon")),
        ("backend", at("device.backend", "npu")),
        ("held_out", at("precisions.float32.held_out", KeyError)),
        ("unknown", at("precisions.float32.held_out.luck", {})),
        ("median", at("precisions.float32.held_out.layers.median", -0.1)),
        ("count", at("precisions.float32.held_out.layers.count", 0)),
        ("precisions", at("precisions", {})),
        ("precisions", at("precisions", [])),
        ("float64", at("precisions.float64", {})),
        ("source", at("precisions.float32.source", 5)),
        ("tile", at("precisions.float32.tile", {})),
        ("tile", at("precisions.float32.tile.row_band", 0)),
        ("tile", at("precisions.float32.tile.row_band", 1.5)),
        ("stock_ops", at("precisions.float32.stock_ops", [])),
        ("softmax", at("precisions.float32.stock_ops.softmax", {})),
        ("value", at("precisions.float32.stock_ops.pad", {"layer": 1, "mac": 0, "value": -1})),
        ("missing", at("precisions.float32.stock_ops.pad", {"layer": 1, "mac": 0})),
        ("kinds", at("kinds", [])),
        ("conv_kxk", at("kinds.conv_kxk", KeyError)),
        ("dense_mac", at("kinds.conv_1x1.dense_mac", 0)),
        ("line", at("kinds.conv_1x1.line", -1)),
        ("line", at("kinds.conv_1x1.line", "1")),
        ("line", at("kinds.conv_1x1.line", float("nan"))),
        ("line", at("kinds.conv_1x1.line", float("inf"))),
        ("line", at("kinds.conv_1x1.line", 10**400)),
        ("line", at("kinds.conv_1x1.line", False)),
        ("row_band", at("kinds.conv_1x1.step.row_band.4", 0)),
        ("row_band", at("kinds.conv_1x1.step.row_band.4", KeyError)),
        ("sliding_row", at("kinds.conv_1x1.step.sliding_row.3", 1)),
        ("visit", at("kinds.conv_1x1.visit", KeyError)),
        ("block_rows", at("kinds.conv_1x1.visit.block_rows", -1)),
        ("object", []),
    ]


@pytest.mark.parametrize(("word", "data"), _broken())
def test_a_table_that_breaks_a_rule_is_refused(tmp_path: Path, word: str, data: Any) -> None:
    path = tmp_path / "broken.json"
    path.write_text(json.dumps(data))
    with pytest.raises(ConversionError, match=word):
        load_table(path)


def test_unreadable_tables(tmp_path: Path) -> None:
    (tmp_path / "text.json").write_text("{")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    for path, word in (("text.json", "must be JSON"), ("binary.json", "read"), ("missing.json", "read")):
        with pytest.raises(ConversionError, match=word):
            load_table(tmp_path / path)
    with pytest.raises(ConversionError, match=r"arm64.*host"):
        load_table("iphone")


@pytest.mark.parametrize("min_speedup", [1.5, 3.0])
def test_the_break_even_is_where_fewer_groups_reach_the_wanted_speedup(min_speedup: float) -> None:
    table = load_table("arm64")
    packed = PackedShape("sliding_row", 4, 1, 128, 16384, 512)
    break_even = predict_break_even(table, LAYER, packed, 0.75, min_speedup)
    assert break_even is not None
    assert 0 < break_even < 0.75
    there = dataclasses.replace(packed, groups=round(16384 * (1 - break_even) / 0.25))
    assert predict_dense(table, LAYER) / predict_sparse(table, LAYER, there) == pytest.approx(min_speedup, rel=1e-3)


def test_a_layer_that_is_slow_without_any_group_has_no_break_even() -> None:
    packed = PackedShape("sliding_row", 4, 1, 128, 16384, 512)
    assert predict_break_even(load_table("arm64"), LAYER, packed, 0.75, min_speedup=1e6) is None
