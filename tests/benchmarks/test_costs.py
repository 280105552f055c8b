# SPDX-License-Identifier: Apache-2.0
"""What cost tables are fitted to, and the fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from tfprune.costs import PackedShape, predict_dense, predict_sparse, predict_stock
from tfprune.costs.predict import sparse_work
from tfprune.costs.table import BYTE_STEPS, KINDS

Load = Callable[[str], ModuleType]
STOCK = """
depthwise_conv_2d 1x6x5x8 8 3 2 1
grouped_conv_2d 1x6x5x8 16 3 1 4
transpose_conv 1x3x4x8 4 3 2 1
conv_3d 1x4x6x5x3 8 3 1 1
batch_matmul 2x3x16 8 1 1 1
pad 1x4x5x8 8 3 1 1
concatenation 1x4x5x8 8 1 1 3
depth_to_space 1x3x4x16 4 1 2 1
transpose 1x2x3x4x5 5 1 1 1
slice 1x5x4x8 8 3 1 1
sparse_fully_connected_single 1x16 8 1 1 4
sparse_fully_connected_batch 3x16 8 1 1 2
"""
MACS = (9 * 8 * 9, 30 * 9 * 2 * 16, 12 * 9 * 32, 120 * 27 * 24, 6 * 16 * 8, 0, 0, 0, 0, 0, 16 * 8 // 4, 3 * 16 * 8 // 2)
FLOAT_ONLY = ("conv_3d", "sparse_fully_connected_single", "sparse_fully_connected_batch")


@pytest.mark.parametrize("precision", ["float32", "int8", "dynamic", "uint8", "int16"])
def test_stock_ops_are_what_the_tables_take_them_for(load: Load, tmp_path: Path, precision: str) -> None:
    stock_ops = load("stock_ops")
    (tmp_path / "stock.txt").write_text(STOCK)
    layers = stock_ops.read_stock_layers(tmp_path / "stock.txt")
    assert [layer.costs().macs for layer in layers] == list(MACS)
    for layer in layers:
        if not stock_ops.measurable(layer, precision):
            assert precision != "float32"
            assert layer.name in (*FLOAT_ONLY, "batch_matmul", "depth_to_space")
            continue
        interpreter = Interpreter(model_content=stock_ops.stock_model(layer, precision), num_threads=1)
        interpreter.allocate_tensors()
        (given,), (made,) = interpreter.get_input_details(), interpreter.get_output_details()
        assert given["dtype"] == np.dtype("float32" if precision == "dynamic" else precision)
        interpreter.set_tensor(given["index"], np.full(given["shape"], 3, given["dtype"]))
        interpreter.invoke()
        answer = interpreter.get_tensor(made["index"])
        assert answer.shape == layer.out_shape
        assert answer.size == layer.costs().values
        assert answer.any()


@pytest.mark.parametrize("precision", ["float32", "int8", "dynamic", "uint8", "int16"])
def test_samples_of_every_step_answer_as_the_dense_layer(load: Load, precision: str) -> None:
    cost_samples, one_op, measure = load("cost_samples"), load("one_op"), load("measure")
    layers = [one_op.Layer("conv", 5, 4, 16, 24, 3, 1, 1), one_op.Layer("fc", 1, 1, 64, 48, 1, 1, 2)]
    cases = cost_samples.cases(layers, precision)
    assert len(cases) == 2 * len(cost_samples.step_rows(precision))
    for case in cases:
        dense, sparse = (measure.Model(model).answer().astype(float) for model in cost_samples._models(case))
        assert np.abs(dense - sparse).max() <= (1e-4 * np.abs(dense).max() if precision == "float32" else 0)
        packed = cost_samples._shape(case)
        found = sparse_work({"row_band": 1}, case.layer.costs(precision), packed)
        assert found.step == case.encoding + ("_quads" if case.cols == 4 else "")


def test_a_share_takes_every_step_of_some_layer(load: Load) -> None:
    cost_samples, one_op = load("cost_samples"), load("one_op")
    layers = [one_op.Layer("conv", 8, 8, 16, 32 + place, 1, 1, 1) for place in range(6)]
    steps = {(case.encoding, case.rows, case.cols) for case in cost_samples.cases(layers, "int8", 3)}
    assert len(cost_samples.cases(layers, "int8", 3)) == len(cost_samples.cases(layers, "int8")) / 3
    assert len(steps) == len(cost_samples.step_rows("int8"))


def _costs() -> dict[str, Any]:
    """Coefficients of int8 layers that a fit can tell apart."""
    scalars = {"dense_layer": 50, "dense_mac": 0.3, "sparse_layer": 900, "input_value": 4, "column_value": 5}
    steps = {
        name: {str(rows): 0.5 * rows + 0.02 * len(name) + 1 for rows in sizes} for name, sizes in BYTE_STEPS.items()
    }
    more = {
        "dense_value": 9,
        "line": 6,
        "line_row": 2,
        "output_value": 7,
        "window": 8,
        "collected": 3,
        "dense_far": 0.2,
    }
    kind = {**scalars, **more, "step": steps, "visit": {}}
    return {
        "source": "made up",
        "tile": dict.fromkeys(BYTE_STEPS, 16),
        "kinds": dict.fromkeys(KINDS, kind),
        "stock_ops": {},
    }


def test_the_fit_finds_the_coefficients_that_made_the_times(load: Load) -> None:
    fit_costs, cost_samples = load("fit_costs"), load("cost_samples")
    wanted = _costs()
    table = fit_costs.parse_table(fit_costs.whole("made", "any", 100_000, {"int8": wanted}), "made")
    layers = load("one_op").read_layers(load("measure").FOLDER / "shapes/layers.txt")
    random = np.random.default_rng(0)
    samples = []
    for case in cost_samples.cases(layers, "int8", 2):
        layer, name = case.layer.costs("int8"), case.encoding
        lines, groups, used = (int(random.integers(1, 5000)) for _ in range(3))
        packed = PackedShape(name, case.rows, case.cols, lines, groups, used)
        times = predict_dense(table, layer), predict_sparse(table, layer, packed)
        samples.append(cost_samples.Sample(layer, packed, *times))
    assert {sample.layer.kind for sample in samples} == set(wanted["kinds"])
    fitted, text = fit_costs.fit_layers(samples, wanted["tile"], "int8", 100_000)
    assert "median 0%" in text
    again = fit_costs.parse_table(
        fit_costs.whole("again", "any", 100_000, {"int8": {**wanted, "kinds": fitted}}), "again"
    )
    assert fit_costs.speedup_errors(again, samples).max() < 0.01


def test_kinds_that_are_fitted_again_leave_the_others_as_they_are(load: Load) -> None:
    fit_costs, cost_samples = load("fit_costs"), load("cost_samples")
    wanted = _costs()
    table = fit_costs.parse_table(fit_costs.whole("made", "any", None, {"int8": wanted}), "made")
    layers = load("one_op").read_layers(load("measure").FOLDER / "shapes/layers.txt")
    samples = []
    for seed, case in enumerate(cost_samples.cases(layers, "int8")):
        layer = case.layer.costs("int8")
        packed = PackedShape(case.encoding, case.rows, case.cols, 7 + 31 * seed % 900, 11 + 57 * seed % 4000, 300)
        if layer.kind == "fully_connected_single":
            times = predict_dense(table, layer), predict_sparse(table, layer, packed)
            samples.append(cost_samples.Sample(layer, packed, *times))
    known = {kind: {**costs, "line": 77.0} for kind, costs in wanted["kinds"].items()}
    fitted, _ = fit_costs.fit_layers(samples, wanted["tile"], "int8", None, known)
    assert fitted["fully_connected_single"]["line"] == pytest.approx(6, rel=0.05)
    assert all(fitted[kind] == known[kind] for kind in KINDS if kind != "fully_connected_single")


def test_the_source_names_what_was_fitted_again(load: Load) -> None:
    source_of = load("fit_costs").source_of
    assert source_of("before", KINDS, "now") == "now"
    once = source_of("before", KINDS[:1], "then")
    assert once == "before; fitted again conv_1x1: then"
    twice = source_of(once, KINDS[1:2], "later")
    assert source_of(twice, KINDS[:1], "now") == "before; fitted again conv_kxk: later; fitted again conv_1x1: now"


def test_steps_without_samples_are_not_cheap(load: Load) -> None:
    steps = {("row_band", rows): 0.5 * rows for rows in (1, 2, 4, 8, 16)}
    found = load("fit_costs").with_unseen(steps, {("row_band", 2), ("row_band", 8)})
    assert [found["row_band", rows] for rows in (1, 2, 4, 8, 16)] == [1, 1, 4, 4, 8]
    with pytest.raises(SystemExit, match="larger share"):
        load("fit_costs").with_unseen(steps, set())


def test_the_fit_of_stock_ops_finds_the_coefficients(load: Load) -> None:
    fit_costs, cost_samples, stock_ops = load("fit_costs"), load("cost_samples"), load("stock_ops")
    made = {"depthwise_conv_2d": (100, 0.25, 2), "pad": (30, 0, 1.5)}
    layers = stock_ops.read_stock_layers(load("measure").FOLDER / "shapes/stock_ops.txt")
    samples = []
    for op in (layer.costs() for layer in layers if layer.name in made):
        layer, mac, value = made[op.name]
        samples.append(cost_samples.StockSample(op, layer + mac * op.macs + value * op.values))
    fitted = fit_costs.fit_stock(samples)
    for name, costs in made.items():
        assert list(fitted[name].values()) == pytest.approx(costs, rel=1e-2)
    table = fit_costs.parse_table(
        fit_costs.whole("made", "any", 100_000, {"int8": {**_costs(), "stock_ops": fitted}}), "made"
    )
    assert all(predict_stock(table, "int8", one.op) == pytest.approx(one.time, rel=1e-2) for one in samples)


def test_what_was_measured_is_not_measured_again(load: Load, tmp_path: Path) -> None:
    cost_samples, stock_ops = load("cost_samples"), load("stock_ops")
    (tmp_path / "stock.txt").write_text(STOCK)
    layers = stock_ops.read_stock_layers(tmp_path / "stock.txt")[-4:]
    asked: list[int] = []

    def measure(groups: Any) -> list[tuple[float, ...]]:
        asked.append(len(groups))
        return [(float(len(models[0])),) for models in groups]

    path = tmp_path / "rows.json"
    first = cost_samples.stock_samples(layers[:3], "int8", measure, path, None)
    second = cost_samples.stock_samples(layers, "int8", measure, path, None)
    assert asked == [3, 1]
    assert second[:3] == first
