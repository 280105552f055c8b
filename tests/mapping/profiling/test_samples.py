# SPDX-License-Identifier: Apache-2.0
"""What cost tables are fitted to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from tfprune.costs.predict import sparse_work
from tfprune.errors import ProfileError
from tfprune.mapping.profiling.layer_sizes import LayerSizes
from tfprune.mapping.profiling.op_row import in_a_row
from tfprune.mapping.profiling.samples import LEAST_SHARE, TINY, Bench, case_models, case_shape, cases, step_rows
from tfprune.mapping.profiling.saved import Measurements
from tfprune.mapping.profiling.stock_ops import measurable, stock_model
from tfprune.mapping.profiling.stock_sizes import read_stock_layers
from tfprune.mapping.profiling.timing import Model

_BUILTIN = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
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
elementwise:ADD 1x4x5x8 8 1 1 1
elementwise:MUL 1x4x5x8 8 1 1 1
elementwise:HARD_SWISH 1x4x5x8 8 1 1 1
activation:LOGISTIC 1x4x5x8 8 1 1 1
activation:SOFTMAX 1x16 16 1 1 1
pooling:MAX_POOL_2D 1x5x4x8 8 3 2 1
pooling:AVERAGE_POOL_2D 1x5x4x8 8 2 1 1
reduction:MEAN 1x5x4x8 8 1 1 1
resize:RESIZE_BILINEAR 1x5x4x8 8 1 2 1
resize:RESIZE_NEAREST_NEIGHBOR 1x5x4x8 8 1 2 1
"""
MACS = (
    9 * 8 * 9,
    30 * 9 * 2 * 16,
    12 * 9 * 32,
    120 * 27 * 24,
    6 * 16 * 8,
    0,
    0,
    0,
    0,
    0,
    16 * 8 // 4,
    3 * 16 * 8 // 2,
    *[0] * 5,
    6 * 8 * 9,
    20 * 8 * 4,
    160,
    0,
    0,
)
FLOAT_ONLY = ("conv_3d", "activation", "sparse_fully_connected_single", "sparse_fully_connected_batch")


@pytest.mark.parametrize("precision", ["float32", "int8", "dynamic", "uint8", "int16"])
def test_stock_ops_are_what_the_tables_take_them_for(tmp_path: Path, precision: str) -> None:
    (tmp_path / "stock.txt").write_text(STOCK)
    layers = read_stock_layers(tmp_path / "stock.txt")
    assert [layer.costs().macs for layer in layers] == list(MACS)
    for layer in layers:
        if not measurable(layer, precision):
            assert precision != "float32"
            assert {layer.name, layer.operator} & {*FLOAT_ONLY, "batch_matmul", "depth_to_space", "HARD_SWISH"}
            continue
        interpreter = Interpreter(model_content=stock_model(layer, precision), num_threads=1)
        interpreter.allocate_tensors()
        (given,), (made,) = interpreter.get_input_details(), interpreter.get_output_details()
        assert given["dtype"] == np.dtype("float32" if precision == "dynamic" else precision)
        interpreter.set_tensor(
            given["index"], np.full(given["shape"], 3 + 128 * (given["dtype"] == np.uint8), given["dtype"])
        )
        interpreter.invoke()
        answer = interpreter.get_tensor(made["index"])
        assert answer.shape == layer.out_shape
        assert answer.size == layer.costs().values
        assert answer.any()


@pytest.mark.parametrize("precision", ["float32", "int8", "dynamic", "uint8", "int16"])
def test_samples_of_every_step_answer_as_the_dense_layer(precision: str) -> None:
    layers = [LayerSizes("conv", 5, 4, 16, 24, 3, 1, 1), LayerSizes("fc", 1, 1, 64, 48, 1, 1, 2)]
    wanted = cases(layers, precision)
    assert len(wanted) == 2 * len(step_rows(precision))
    for case in wanted:
        dense, sparse = (Model(model).answer().astype(float) for model in case_models(case))
        assert np.abs(dense - sparse).max() <= (1e-4 * np.abs(dense).max() if precision == "float32" else 0)
        packed = case_shape(case)
        found = sparse_work({"row_band": 1}, case.layer.costs(precision), packed)
        assert found.step == case.encoding + ("_quads" if case.cols == 4 else "")


def test_a_share_takes_every_step_of_some_layer() -> None:
    layers = [LayerSizes("conv", 8, 8, 16, 32 + place, 1, 1, 1) for place in range(6)]
    steps = {(case.encoding, case.rows, case.cols) for case in cases(layers, "int8", 3)}
    assert len(cases(layers, "int8", 3)) == len(cases(layers, "int8")) / 3
    assert len(steps) == len(step_rows("int8"))


class Clock:
    """A target on which a model takes 100 and each of its ops 7, and that counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, groups: Any) -> list[tuple[float, ...]]:
        found = [tuple(100.0 + 7 * self._ops(model) for model in models) for models in groups]
        self.asked.append(len(found))
        return found

    def _ops(self, model: bytes) -> int:
        interpreter = Interpreter(model_content=model, experimental_op_resolver_type=_BUILTIN)
        return len(interpreter._get_ops_details())


def bench(tmp_path: Path, clock: Any, batch: int = 16) -> Bench:
    return Bench(clock, clock, Measurements(tmp_path / "rows.json", {"device": "a clock"}), batch)


def stock_layers(tmp_path: Path) -> list[Any]:
    (tmp_path / "stock.txt").write_text(STOCK)
    return read_stock_layers(tmp_path / "stock.txt")


@pytest.mark.parametrize("name", ["elementwise", "activation", "pooling", "reduction", "resize", "pad", "transpose"])
def test_the_call_of_a_model_is_no_part_of_an_op(tmp_path: Path, name: str) -> None:
    layers = [layer for layer in stock_layers(tmp_path) if layer.name == name]
    found = bench(tmp_path, Clock()).stock_samples(layers, "float32")
    assert layers
    assert [sample.time for sample in found] == pytest.approx([7] * len(layers))
    assert [sample.op for sample in found] == [layer.costs() for layer in layers]


def test_a_row_answers_as_its_ops_one_after_the_other(tmp_path: Path) -> None:
    layers = {str(layer): layer for layer in stock_layers(tmp_path)}
    one = stock_model(layers["elementwise:ADD 1x4x5x8 to 8, 1/1, 1 groups"], "float32")
    first, row = Model(one).answer(), Model(in_a_row(one)).answer()
    # The first op doubles what it is given; each of the others adds that once more.
    np.testing.assert_allclose(row, first * 5, rtol=1e-6)


def test_the_call_of_a_model_is_no_part_of_a_layer(tmp_path: Path) -> None:
    times = {"dense": 300.0, "sparse": 101.0}
    calls = iter([(107.0, 163.0)])

    def measure(groups: Any) -> list[tuple[float, ...]]:
        return [
            next(calls) if len(group) == 2 and b"Tfprune" not in group[1] else tuple(times.values()) for group in groups
        ]

    (case,) = cases([LayerSizes("conv", 5, 4, 16, 24, 1, 1, 1)], "float32")[:1]
    made = bench(tmp_path, measure)
    (sample,) = made.samples([case])
    assert made.call() == 100
    # What is left of the sparse layer is lost in the noise of the call.
    assert (sample.dense, sample.sparse) == (200, 101 * LEAST_SHARE)
    assert str(TINY) in made.saved.rows


def test_what_was_measured_is_not_measured_again(tmp_path: Path) -> None:
    layers, clock = stock_layers(tmp_path)[-4:], Clock()
    first = bench(tmp_path, clock).stock_samples(layers[:3], "int8")
    second = bench(tmp_path, clock).stock_samples(layers, "int8")
    assert clock.asked == [3, 1]
    assert second[:3] == first


def test_a_killed_run_keeps_its_whole_batches(tmp_path: Path) -> None:
    layers, clock = stock_layers(tmp_path)[-4:], Clock()

    def dies(groups: Any) -> list[tuple[float, ...]]:
        if clock.asked:
            raise KeyboardInterrupt
        return clock(groups)

    with pytest.raises(KeyboardInterrupt):
        bench(tmp_path, dies, batch=2).stock_samples(layers, "float32")
    bench(tmp_path, clock).stock_samples(layers, "float32")
    assert clock.asked == [2, 2]


def test_measurements_of_another_device_are_neither_taken_nor_lost(tmp_path: Path) -> None:
    layers, path = stock_layers(tmp_path)[-2:], tmp_path / "rows.json"
    bench(tmp_path, Clock()).stock_samples(layers, "float32")
    before = path.read_bytes()
    with pytest.raises(ProfileError, match="holds 2 measurements made with device a clock and not another; choose"):
        Measurements(path, {"device": "another"})
    assert path.read_bytes() == before
    # What holds none is no loss.
    path.write_text('{"conditions": {}, "rows": {}}')
    assert Measurements(path, {"device": "another"}).rows == {}


def test_a_file_that_holds_no_measurements_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text('{"rows": 3}')
    with pytest.raises(ProfileError, match="must hold measurements"):
        Measurements(tmp_path / "rows.json", {})


def test_what_no_clock_can_tell_is_left_out(tmp_path: Path) -> None:
    layers = stock_layers(tmp_path)[-2:]
    assert bench(tmp_path, lambda groups: [(5.0, 5.0) for _ in groups]).stock_samples(layers, "float32") == []
