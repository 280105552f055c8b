# SPDX-License-Identifier: Apache-2.0
"""The fit finds what made the times, and says how far it is off."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tfprune.costs import PackedShape, load_table, predict_dense, predict_sparse, predict_stock
from tfprune.costs.table import BYTE_STEPS, KINDS, parse_table
from tfprune.errors import ProfileError
from tfprune.mapping.profiling.design import expected_shape
from tfprune.mapping.profiling.fitting import fit_kinds, fit_stock, with_unseen
from tfprune.mapping.profiling.held_out import (
    fit_layers,
    fit_stock_ops,
    layer_table,
    speedup_errors,
    table_content,
)
from tfprune.mapping.profiling.layer_sizes import read_layers
from tfprune.mapping.profiling.samples import Sample, StockSample, cases
from tfprune.mapping.profiling.shape_files import SHAPES
from tfprune.mapping.profiling.stock_sizes import read_stock_layers


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
        "held_out": {},
        "tile": dict.fromkeys(BYTE_STEPS, 16),
        "kinds": dict.fromkeys(KINDS, kind),
        "stock_ops": {},
    }


def test_the_fit_finds_the_coefficients_that_made_the_times() -> None:
    wanted = _costs()
    table = parse_table(table_content("made", "any", 100_000, {"int8": wanted}), "made")
    layers = read_layers(SHAPES / "layers.txt")
    random = np.random.default_rng(0)
    samples = []
    for case in cases(layers, "int8", 2):
        layer, name = case.layer.costs("int8"), case.encoding
        lines, groups, used = (int(random.integers(1, 5000)) for _ in range(3))
        packed = PackedShape(name, case.rows, case.cols, lines, groups, used)
        times = predict_dense(table, layer), predict_sparse(table, layer, packed)
        samples.append(Sample(layer, packed, *times))
    assert {sample.layer.kind for sample in samples} == set(wanted["kinds"])
    fitted, errors = fit_layers(samples, wanted["tile"], "int8", 100_000)
    assert errors.median < 0.005
    assert errors.count == -(-len(samples) // 4)
    again = parse_table(table_content("again", "any", 100_000, {"int8": {**wanted, "kinds": fitted}}), "again")
    assert speedup_errors(again, samples).max() < 0.01


def test_kinds_that_are_fitted_again_leave_the_others_as_they_are() -> None:
    wanted = _costs()
    table = parse_table(table_content("made", "any", None, {"int8": wanted}), "made")
    layers = read_layers(SHAPES / "layers.txt")
    samples = []
    for seed, case in enumerate(cases(layers, "int8")):
        layer = case.layer.costs("int8")
        packed = PackedShape(case.encoding, case.rows, case.cols, 7 + 31 * seed % 900, 11 + 57 * seed % 4000, 300)
        if layer.kind == "fully_connected_single":
            times = predict_dense(table, layer), predict_sparse(table, layer, packed)
            samples.append(Sample(layer, packed, *times))
    known = {kind: {**costs, "line": 77.0} for kind, costs in wanted["kinds"].items()}
    fitted, _ = fit_layers(samples, wanted["tile"], "int8", None, known)
    assert fitted["fully_connected_single"]["line"] == pytest.approx(6, rel=0.05)
    assert all(fitted[kind] == known[kind] for kind in KINDS if kind != "fully_connected_single")


def test_steps_without_samples_are_not_cheap() -> None:
    steps = {("row_band", rows): 0.5 * rows for rows in (1, 2, 4, 8, 16)}
    found = with_unseen(steps, {("row_band", 2), ("row_band", 8)})
    assert [found["row_band", rows] for rows in (1, 2, 4, 8, 16)] == [1, 1, 4, 4, 8]
    with pytest.raises(ProfileError, match="measure more layers"):
        with_unseen(steps, set())


def test_the_fit_of_stock_ops_finds_the_coefficients() -> None:
    made = {"depthwise_conv_2d": (100, 0.25, 2), "pad": (30, 0, 1.5)}
    layers = read_stock_layers(SHAPES / "stock_ops.txt")
    samples = []
    for op in (layer.costs() for layer in layers if layer.name in made):
        layer, mac, value = made[op.name]
        samples.append(StockSample(op, layer + mac * op.macs + value * op.values))
    fitted = fit_stock(samples)
    for name, costs in made.items():
        assert list(fitted[name].values()) == pytest.approx(costs, rel=1e-2)
    table = parse_table(table_content("made", "any", 100_000, {"int8": {**_costs(), "stock_ops": fitted}}), "made")
    assert all(predict_stock(table, "int8", one.op) == pytest.approx(one.time, rel=1e-2) for one in samples)


def test_a_device_like_a_known_one_needs_fewer_samples() -> None:
    """Times of a device three times as slow as the packaged table, each off by a fifth at random."""
    known = load_table("arm64")
    random, layers = np.random.default_rng(0), read_layers(SHAPES / "layers.txt")
    samples = []
    for case in cases(layers, "float32"):
        layer, packed = case.layer.costs(), expected_shape(case)
        if layer.kind == "conv_1x1":
            times = predict_dense(known, layer), predict_sparse(known, layer, packed)
            samples.append(Sample(layer, packed, *(3 * time * np.exp(random.normal(0, 0.2)) for time in times)))
    few = [samples[place] for place in random.permutation(len(samples))[:40]]
    tile, prior = known.precisions["float32"].tile, known.precisions["float32"].kinds
    errors = []
    for expected in (None, prior):
        fitted = fit_kinds(few, tile, "float32", None, ["conv_1x1"], expected)["conv_1x1"]
        table = layer_table(dict.fromkeys(KINDS, fitted), tile, "float32", None)
        found = [predict_sparse(table, one.layer, one.packed) for one in samples]
        right = [3 * predict_sparse(known, one.layer, one.packed) for one in samples]
        errors.append(np.abs(np.log(np.array(found) / right)).mean())
    assert errors[1] < 0.9 * errors[0]


def test_the_errors_of_a_single_stock_op_are_not_known() -> None:
    op = read_stock_layers(SHAPES / "stock_ops.txt")[0].costs()
    fitted, errors = fit_stock_ops([StockSample(op, 10.0)])
    assert list(fitted) == [op.name]
    assert errors is None
