# SPDX-License-Identifier: Apache-2.0
"""Expanded layers in files of several operators: computed shapes, halves, shared weights, subgraphs, verdicts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tfl

import tfprune
from tests.converter.expand.operators import RELU, Dense, Maker
from tests.converter.helpers import STEADY_COSTS, convert, names
from tests.models import ModelBuilder, pruned
from tests.models.one_op import Array, run_stock
from tfprune.converter.graph import Graph
from tfprune.converter.layer_timing import cut_operators, time_layers
from tfprune.runtime.interpreter import Interpreter

Options = tfl.BuiltinOptions


def predict(data: bytes, x: Array) -> Array:
    y = Interpreter(data).predict(x)
    assert isinstance(y, np.ndarray)
    return y


def add(builder: ModelBuilder, name: str, inputs: list[int], result: int, options: object, graph: int = 0) -> int:
    """Adds a builtin operator and returns its output."""
    opcode = builder.opcode(getattr(tfl.BuiltinOperator, name), version=3 if name == "DEQUANTIZE" else 1)
    kind = getattr(Options, type(options).__name__[:-1])
    builder.operator(opcode, inputs, [result], options, kind, graph)
    return result


def transposed_options(stride: int = 2) -> tfl.TransposeConvOptionsT:
    options = tfl.TransposeConvOptionsT()
    options.strideH = options.strideW = stride
    return options


def any_batch() -> bytes:
    """A transposed convolution as Keras writes it for a batch of any size, its weights in half precision."""
    builder = ModelBuilder()
    x = builder.tensor("x", [1, 6, 5, 32], batch=True)
    shape, batch = builder.tensor("shape", [4], "int32"), builder.tensor("batch", [], "int32")
    measuring = tfl.ShapeOptionsT()
    measuring.outType = tfl.TensorType.INT32
    add(builder, "SHAPE", [x], shape, measuring)
    slicing = tfl.StridedSliceOptionsT()
    slicing.shrinkAxisMask = 1
    ends = [builder.constant(f"end{i}", np.array([i], np.int32)) for i in (0, 1)]
    add(builder, "STRIDED_SLICE", [shape, *ends, ends[1]], batch, slicing)
    sizes = [builder.constant(f"size{size}", np.array(size, np.int32)) for size in (12, 10, 16)]
    packing = tfl.PackOptionsT()
    packing.valuesCount = 4
    packed = add(builder, "PACK", [batch, *sizes], builder.tensor("packed", [4], "int32"), packing)
    halves = builder.constant("kernel", pruned((16, 3, 3, 32)).astype(np.float16))
    weights = add(builder, "DEQUANTIZE", [halves], builder.tensor("wide", [16, 3, 3, 32]), tfl.DequantizeOptionsT())
    bias = builder.constant("bias", np.arange(16, dtype=np.float32))
    y = builder.tensor("y", [1, 12, 10, 16], batch=True)
    builder.io([x], [add(builder, "TRANSPOSE_CONV", [packed, weights, x, bias], y, transposed_options())])
    return builder.build()


def test_a_computed_output_shape_is_dropped_with_the_operators_that_computed_it() -> None:
    data = any_batch()
    sparse = convert(data, min_speedup=0.01).tflite
    assert names(sparse) == ["TfpruneConv2D", "DEPTH_TO_SPACE"]
    for batch in (1, 3):
        x = np.random.default_rng(batch).standard_normal((batch, 6, 5, 32)).astype(np.float32)
        np.testing.assert_allclose(predict(sparse, x), run_stock(data, x), atol=1e-4)


def test_a_computed_output_shape_that_is_used_elsewhere_stays() -> None:
    graph = Graph(any_batch())
    inside = graph.model.subgraphs[0]
    packed = next(int(op.outputs[0]) for op in inside.operators if graph.op_name(op) == "PACK")
    inside.outputs = np.append(inside.outputs, packed)
    sparse = convert(graph.to_bytes(), min_speedup=0.01).tflite
    assert names(sparse) == ["SHAPE", "STRIDED_SLICE", "PACK", "TfpruneConv2D", "DEPTH_TO_SPACE"]


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("kind", ["conv_2d", "transpose_conv", "batch_matmul"])
def test_layers_of_some_size_become_sparse_and_smaller(precision: str, kind: str) -> None:
    maker = Maker(precision, kept=0.1)
    made: dict[str, Dense] = {
        "conv_2d": maker.conv_2d((1, 9, 10, 64), 128, (3, 3), 2, activation=RELU),
        "transpose_conv": maker.transpose_conv((1, 9, 10, 64), 48, (4, 4), (2, 2), activation=RELU),
        "batch_matmul": maker.batch_matmul((4,), 1, 20, 96, 64),
    }
    dense = made[kind]
    converted = convert(dense.data, min_speedup=0.01)
    assert [layer.verdict for layer in converted.report.layers] == ["sparse"]
    assert len(converted.tflite) < (0.6 if precision == "int8" else 0.35) * len(dense.data)
    y, found = run_stock(dense.data, dense.x), predict(converted.tflite, dense.x)
    if precision == "int8":
        np.testing.assert_array_equal(found, y)
    else:
        np.testing.assert_allclose(found, y, atol=3e-5)


def test_the_report_counts_the_weights_of_the_dense_operator() -> None:
    dense = Maker(kept=0.25).conv_2d((1, 9, 10, 64), 128, (3, 3), 4)
    layer = convert(dense.data, min_speedup=0.01).report.layers[0]
    assert layer.sparsity == pytest.approx(0.75, abs=0.02)
    assert layer.dense_bytes == 4 * 128 * 9 * 16
    assert layer.shape == (128, 3, 3, 16)
    assert layer.dense_macs == 9 * 10 * 128 * 9 * 16


@pytest.mark.parametrize("kind", ["conv_2d", "transpose_conv", "batch_matmul", "conv_3d"])
def test_a_converted_file_is_reported_with_the_weights_of_the_dense_operator(kind: str) -> None:
    maker = Maker(kept=0.1)
    made: dict[str, Dense] = {
        "conv_2d": maker.conv_2d((1, 9, 10, 64), 128, (3, 3), 2),
        "transpose_conv": maker.transpose_conv((1, 9, 10, 64), 48, (4, 4), (2, 2)),
        "batch_matmul": maker.batch_matmul((4,), 1, 20, 96, 64),
        "conv_3d": maker.conv_3d((1, 5, 9, 10, 16), 32, (3, 3, 3)),
    }
    converted = convert(made[kind].data, min_speedup=0.01)
    (before,) = converted.report.layers
    (after,) = tfprune.inspect(converted.tflite).layers
    same = ("sparsity", "dense_bytes", "dense_macs", "pattern", "name", "encoding")
    assert {name: getattr(after, name) for name in same} == {name: getattr(before, name) for name in same}


def test_a_layer_is_timed_with_the_ops_round_it() -> None:
    dense = Maker(kept=0.1).conv_3d((1, 5, 9, 10, 16), 32, (3, 3, 3))
    converted = convert(dense.data, min_speedup=0.01)
    (timing,) = time_layers(converted.dense, converted.tflite, runs=2)
    assert (timing.op, timing.weights) == ("CONV_3D", (3, 3, 3, 16, 32))
    assert timing.sparse_ms is not None
    assert timing.kernel
    graph = Graph(converted.tflite)
    whole = cut_operators(graph, 0, [op for _, _, op in graph.operators()])
    np.testing.assert_array_equal(predict(whole, dense.x), predict(converted.tflite, dense.x))


def with_stock_costs(folder: Path) -> Path:
    """The steady cost table with costs of a depthwise convolution."""
    table = json.loads(STEADY_COSTS.read_text())
    mac = table["precisions"]["float32"]["kinds"]["conv_kxk"]["dense_mac"]
    table["precisions"]["float32"]["stock_ops"]["depthwise_conv_2d"] = {"layer": 0.0, "mac": 3 * mac, "value": 0.0}
    path = folder / "costs.json"
    path.write_text(json.dumps(table))
    return path


def test_a_depthwise_layer_that_cannot_gain_is_refused_before_its_matrix_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dense = Maker(kept=0.8).depthwise((1, 9, 10, 1024), 1, (3, 3))
    monkeypatch.setattr("tfprune.converter.expand.grouped.block_diagonal", lambda *_: pytest.fail("was made"))
    layer = tfprune.convert(dense.data, device=with_stock_costs(tmp_path)).report.layers[0]
    assert (layer.verdict, layer.reason_code) == ("dense", "too_slow")
    assert layer.reason is not None
    assert "at most" in layer.reason


def test_a_depthwise_layer_without_multiplier_is_converted_on_demand_only(tmp_path: Path) -> None:
    costs = with_stock_costs(tmp_path)
    dense = Maker(kept=0.02).depthwise((1, 28, 30, 128), 1, (5, 5))
    found = {speedup: tfprune.convert(dense.data, device=costs, min_speedup=speedup) for speedup in (1.05, 0.9)}
    assert found[1.05].report.layers[0].reason_code == "not_modelled"
    assert found[0.9].report.layers[0].verdict == "sparse"
    np.testing.assert_allclose(predict(found[0.9].tflite, dense.x), run_stock(dense.data, dense.x), atol=3e-5)


def test_a_matrix_without_bounds_is_refused() -> None:
    dense = Maker(kept=0.1).depthwise((1, 2, 2, 4096), 1, (3, 3))
    layer = convert(dense.data, min_speedup=0.01).report.layers[0]
    assert (layer.verdict, layer.reason_code) == ("dense", "expansion_too_large")


def edited(dense: Dense, change: Callable[[Any, Any], None]) -> str | None:
    """Why a file is not converted whose tensors or options were changed."""
    graph = Graph(dense.data)
    inside = graph.model.subgraphs[0]
    change(inside.tensors, inside.operators[0].builtinOptions)
    return convert(graph.to_bytes(), min_speedup=0.01).report.layers[0].reason_code


def test_files_that_contradict_themselves_stay() -> None:
    def other_output(tensors: Any, _: Any) -> None:
        tensors[-1].shape = tensors[-1].shape + np.eye(1, len(tensors[-1].shape), 1, dtype=np.int32)[0]

    def wide_stride(_: Any, options: Any) -> None:
        options.strideH = options.strideW = 2**16

    maker = Maker(kept=0.1)
    for dense in (
        maker.transpose_conv((1, 9, 10, 64), 48, (4, 4), (2, 2)),
        maker.conv_3d((1, 5, 9, 10, 16), 32, (3, 3, 3)),
        maker.conv_3d_transpose((1, 5, 9, 10, 16), 32, (3, 3, 3), (2, 2, 2)),
        maker.batch_matmul((4,), 1, 20, 96, 64),
    ):
        assert edited(dense, other_output) == "malformed"
    assert edited(maker.transpose_conv((1, 9, 10, 64), 48, (4, 4), (2, 2)), wide_stride) == "expansion_too_large"
    long = maker.conv_3d((1, 80, 9, 10, 2), 4, (70, 1, 1))
    assert convert(long.data, min_speedup=0.01).report.layers[0].reason_code == "expansion_too_large"


def shared(strides: tuple[int, int]) -> bytes:
    """Two subgraphs with a signature each; both use the same weights, the first one twice."""
    builder = ModelBuilder()
    weights = builder.constant("kernel", pruned((16, 4, 4, 32)))
    buffer = builder.model.subgraphs[0].tensors[weights].buffer
    builder.subgraph()
    others = builder.tensor("kernel", [16, 4, 4, 32], buffer=buffer, graph=1)
    for graph, kernel, uses in ((0, weights, 2), (1, others, 1)):
        x = builder.tensor("x", [1, 6, 5, 32], graph=graph)
        results = []
        for use in range(uses):
            stride = strides[use] if graph == 0 else strides[0]
            out = [1, 6 * stride, 5 * stride, 16]
            shape = builder.constant(f"shape{use}", np.array(out, np.int32), graph)
            y = builder.tensor(f"y{use}", out, graph=graph)
            results.append(add(builder, "TRANSPOSE_CONV", [shape, kernel, x], y, transposed_options(stride), graph))
        builder.io([x], results, graph)
        builder.signature(f"run{graph}", {"x": x}, {f"y{use}": y for use, y in enumerate(results)}, graph)
    return builder.build()


@pytest.mark.parametrize(("strides", "buffers"), [((2, 2), 1), ((2, 1), 2)])
def test_shared_weights_are_packed_once_for_each_meaning(strides: tuple[int, int], buffers: int) -> None:
    data = shared(strides)
    sparse = convert(data, min_speedup=0.01).tflite
    graph = Graph(sparse)
    ours = [(number, op) for number, _, op in graph.operators() if graph.is_custom(op)]
    assert len(ours) == 3
    assert len({graph.input_tensor(number, op, 1).buffer for number, op in ours}) == buffers
    x = np.random.default_rng(3).standard_normal((1, 6, 5, 32)).astype(np.float32)
    for key in ("run0", "run1"):
        old, new = (Interpreter(file).predict({"x": x}, signature=key) for file in (data, sparse))
        if isinstance(old, np.ndarray):
            old, new = {"y0": old}, {"y0": new}
        for name, expected in old.items():
            np.testing.assert_allclose(new[name], expected, atol=1e-4)


def test_layers_in_the_branches_of_an_if_become_sparse() -> None:
    builder = ModelBuilder()
    x = builder.tensor("x", [1, 6, 5, 32])
    flag = builder.constant("flag", np.array([1], np.int32))
    branches = []
    for seed in (1, 2):
        branch = builder.subgraph()
        inner = builder.tensor("x", [1, 6, 5, 32], graph=branch)
        shape = builder.constant("shape", np.array([1, 12, 10, 16], np.int32), branch)
        kernel = builder.constant("kernel", pruned((16, 3, 3, 32), seed=seed), branch)
        y = builder.tensor("y", [1, 12, 10, 16], graph=branch)
        add(builder, "TRANSPOSE_CONV", [shape, kernel, inner], y, transposed_options(), branch)
        builder.io([inner], [y], branch)
        branches.append(branch)
    options = tfl.IfOptionsT()
    options.thenSubgraphIndex, options.elseSubgraphIndex = branches
    truth = builder.tensor("truth", [1], "bool")
    cast = tfl.CastOptionsT()
    add(builder, "CAST", [flag], truth, cast)
    y = builder.tensor("y", [1, 12, 10, 16])
    builder.io([x], [add(builder, "IF", [truth, x], y, options)])
    data = builder.build()
    sparse = convert(data, min_speedup=0.01).tflite
    assert names(sparse).count("TfpruneConv2D") == 2
    x_values = np.random.default_rng(3).standard_normal((1, 6, 5, 32)).astype(np.float32)
    np.testing.assert_allclose(predict(sparse, x_values), run_stock(data, x_values), atol=1e-4)
