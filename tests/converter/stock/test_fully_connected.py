# SPDX-License-Identifier: Apache-2.0
"""TFLite's sparse encoding: where it is written, and that stock LiteRT computes the same with it.

Everything runs in a process of its own: a runtime that refuses a file can spoil what is loaded after it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tfl

import tfprune
from tests.converter.stock.graphs import Network, shrunk
from tests.models import ModelBuilder, fully_connected_model
from tests.models.builder import RELU, RELU6
from tfprune.converter.graph import Graph
from tfprune.converter.report import LayerReport
from tfprune.costs import LayerShape, load_table, predict_dense

_RUN = """
import sys
import numpy as np
from ai_edge_litert.interpreter import Interpreter
x = np.load(sys.argv[1])
for path in sys.argv[2:]:
    interpreter = Interpreter(path)
    place = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(place, x.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(place, x)
    interpreter.invoke()
    np.save(path + ".npy", interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))
"""


def blocks(rows: int, columns: int, kept: float = 0.1, size: int = 4, seed: int = 0) -> np.ndarray:
    """Weights in aligned blocks of one row."""
    rng = np.random.default_rng(seed)
    mask = np.repeat(rng.random((rows, columns // size)) < kept, size, axis=1)
    return (rng.normal(size=(rows, columns)) * mask).astype(np.float32)


def run_apart(folder: Path, x: np.ndarray, *models: bytes) -> list[np.ndarray]:
    """Outputs of stock LiteRT in another process."""
    np.save(folder / "x.npy", x)
    paths = [folder / f"{number}.tflite" for number in range(len(models))]
    for path, data in zip(paths, models, strict=True):
        path.write_bytes(data)
    subprocess.run([sys.executable, "-c", _RUN, folder / "x.npy", *paths], check=True, capture_output=True, timeout=120)
    return [np.load(f"{path}.npy") for path in paths]


def is_sparse(data: bytes) -> list[bool]:
    graph = Graph(data)
    return [
        graph.input_tensor(subgraph, op, 1).sparsity is not None
        for subgraph, _, op in graph.operators()
        if graph.op_name(op) == "FULLY_CONNECTED"
    ]


def test_stock_litert_runs_the_encoding(tmp_path: Path) -> None:
    cases: list[tuple[bytes, np.ndarray]] = []
    rng = np.random.default_rng(1)
    for size, shape, options in [
        (4, (1, 512), {}),
        (16, (1, 512), {"activation": RELU}),
        (4, (7, 512), {"activation": RELU6}),
        (4, (2, 3, 512), {"keep_num_dims": True}),
        (4, (2, 2, 4, 64), {}),
    ]:
        bias = rng.normal(size=512).astype(np.float32)
        cases.append((fully_connected_model(blocks(512, 512, size=size), bias, list(shape), **options), shape))
    cases.append((fully_connected_model(blocks(512, 512), None, [3, 512]), (3, 512)))
    for number, (data, shape) in enumerate(cases):
        folder = tmp_path / str(number)
        folder.mkdir()
        converted = tfprune.convert(data, target="stock")
        assert is_sparse(converted.tflite) == [True]
        assert len(converted.tflite) < 0.2 * len(data)
        x = rng.normal(size=shape).astype(np.float32)
        expected, found = run_apart(folder, x, data, converted.tflite)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_a_batch_that_is_not_fixed(tmp_path: Path) -> None:
    builder = ModelBuilder()
    x = builder.tensor("x", [1, 512], batch=True)
    builder.io([x], [builder.fully_connected(x, blocks(512, 512), np.ones(512, np.float32))])
    data = builder.build()
    converted = tfprune.convert(data, target="stock")
    assert is_sparse(converted.tflite) == [True]
    inputs = np.random.default_rng(0).normal(size=(9, 512)).astype(np.float32)
    expected, found = run_apart(tmp_path, inputs, data, converted.tflite)
    assert found.shape == (9, 512)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_the_report_counts_what_is_stored() -> None:
    weights = blocks(512, 512)
    layer = tfprune.convert(fully_connected_model(weights, np.ones(512, np.float32)), target="stock").report.layers[0]
    kept = int(np.count_nonzero(weights.reshape(512, 128, 4).any(axis=2)))
    assert (layer.verdict, layer.encoding) == ("smaller", "sparse encoding 1x4")
    assert (layer.dense_macs, layer.sparse_macs) == (512 * 512, 4 * kept)
    # Values, one byte an index, two bytes a row and one more.
    assert (layer.dense_bytes, layer.packed_bytes) == (4 * 512 * 512, 16 * kept + kept + 2 * 513)


def reason(data: bytes) -> tuple[str | None, str | None]:
    after, layers = shrunk(data)
    assert not any(is_sparse(after))
    found: LayerReport = layers[-1]
    assert found.verdict == "dense"
    return found.reason_code, found.reason


@pytest.mark.parametrize(
    ("weights", "code"),
    [
        (blocks(512, 512, kept=0.4), "too_slow"),
        (np.where(np.random.default_rng(0).random((512, 512)) < 0.1, 1, 0).astype(np.float32), "too_slow"),
        (blocks(64, 64), "not_modelled"),
        (blocks(512, 516)[:, :514] + np.float32(0), "block_size"),
        (np.ones((512, 512), np.float32), "no_zeros"),
    ],
)
def test_what_stays_dense_has_a_reason(weights: np.ndarray, code: str) -> None:
    weights = weights.copy()
    # No row or column is empty, so that channels have no part in it.
    weights[:, 0] = weights[0] = 1
    assert reason(fully_connected_model(weights, np.ones(len(weights), np.float32)))[0] == code


def test_never_in_a_quantized_file() -> None:
    """The encoding beside int8 weights of any operator breaks stock runtimes."""
    net = Network("int8", (1, 512), 0)
    assert reason(net.build(net.dense(net.x, blocks(512, 512), np.ones(512))))[0] == "quantized_file"
    data = _beside_int8(fully_connected_model(_full_edges(blocks(512, 512)), np.ones(512, np.float32)))
    assert reason(data)[0] == "quantized_file"


def _full_edges(weights: np.ndarray) -> np.ndarray:
    weights[:, 0] = weights[0] = 1
    return weights


def _beside_int8(data: bytes) -> bytes:
    graph = Graph(data)
    tensor = tfl.TensorT()
    tensor.name, tensor.type, tensor.shape = "other", tfl.TensorType.INT8, np.array([4], np.int32)
    tensor.quantization = tfl.QuantizationParametersT()
    tensor.quantization.scale, tensor.quantization.zeroPoint = np.ones(1, np.float32), np.zeros(1, np.int64)
    graph.model.subgraphs[0].tensors.append(tensor)
    graph.model.subgraphs[0].outputs = np.append(
        graph.model.subgraphs[0].outputs, len(graph.model.subgraphs[0].tensors) - 1
    ).astype(np.int32)
    return graph.to_bytes()


def test_not_with_float16_weights() -> None:
    net = Network("float16", (1, 512), 0)
    weights = _full_edges(blocks(512, 512))
    assert reason(net.build(net.dense(net.x, weights, np.ones(512))))[0] == "not_float32"


def test_not_where_others_use_the_weights() -> None:
    builder = ModelBuilder()
    x = builder.tensor("x", [1, 512])
    weights: Any = builder.constant("w", _full_edges(blocks(512, 512)))
    y = builder.fully_connected(x, weights, np.ones(512, np.float32), name="a")
    builder.io([x], [builder.fully_connected(y, weights, np.ones(512, np.float32), name="b")])
    assert reason(builder.build())[0] == "shared_weights"


def test_a_sparse_file_is_read_and_written_again(tmp_path: Path) -> None:
    data = fully_connected_model(blocks(512, 512), np.ones(512, np.float32))
    sparse = tfprune.convert(data, target="stock").tflite
    again, layers = shrunk(sparse)
    assert layers[0].verdict == "smaller"
    assert is_sparse(again) == [True]
    x = np.random.default_rng(0).normal(size=(1, 512)).astype(np.float32)
    expected, found = run_apart(tmp_path, x, sparse, again)
    np.testing.assert_array_equal(found, expected)


def test_the_encoding_follows_from_the_prediction() -> None:
    """Dense, and stored blocks, by the coefficients of the table; what ``min_speedup`` asks for decides."""
    table = load_table("arm64")
    for rows in (1, 8):
        data = fully_connected_model(_full_edges(blocks(512, 512, kept=0.2)), np.ones(512, np.float32), [rows, 512])
        kind = "single" if rows == 1 else "batch"
        costs = table.stock_op("float32", f"sparse_fully_connected_{kind}")
        layer = tfprune.inspect(data, target="stock").layers[0]
        kept = int(np.count_nonzero(_full_edges(blocks(512, 512, kept=0.2)).reshape(512, 128, 4).any(axis=2)))
        sparse = costs.layer + costs.mac * 4 * kept * rows + costs.value * 512 * rows
        dense = predict_dense(table, LayerShape(True, 512, 512, 1, rows, 512 * rows))
        assert layer.dense_time == pytest.approx(dense)
        assert layer.sparse_time == pytest.approx(sparse)
        assert (layer.considered, layer.sparse_macs) == ("sparse encoding 1x4", 4 * kept * rows)
        for limit, verdict in ((0.99 * dense / sparse, "smaller"), (1.01 * dense / sparse, "dense")):
            found = tfprune.inspect(data, target="stock", min_speedup=limit).layers[0]
            assert (found.verdict, found.reason_code) == (verdict, None if verdict == "smaller" else "too_slow")
            assert (found.predicted_speedup is None) == (verdict == "dense")
            assert found.sparse_time == pytest.approx(sparse)


def test_break_even_is_where_the_prediction_is_just_enough() -> None:
    data = fully_connected_model(blocks(512, 512, kept=0.05), np.ones(512, np.float32))
    layer = tfprune.inspect(data, target="stock", min_speedup=1.2).layers[0]
    assert layer.break_even is not None
    for more, verdict in ((0.01, "smaller"), (-0.01, "dense")):
        weights = blocks(512, 512, kept=1 - layer.break_even - more)
        found = tfprune.inspect(
            fully_connected_model(weights, np.ones(512, np.float32)), target="stock", min_speedup=1.2
        )
        assert found.layers[0].verdict == verdict


def test_what_the_table_does_not_know_stays_dense_unless_asked(tmp_path: Path) -> None:
    content = json.loads((Path(tfprune.__file__).parent / "costs/tables/arm64.json").read_text())
    del content["precisions"]["float32"]["stock_ops"]["sparse_fully_connected_single"]
    table = tmp_path / "own.json"
    table.write_text(json.dumps(content))
    data = fully_connected_model(blocks(512, 512), np.ones(512, np.float32))
    layer = tfprune.inspect(data, target="stock", device=table).layers[0]
    assert (layer.verdict, layer.reason_code) == ("dense", "not_modelled")
    assert "sparse_fully_connected_single" in (layer.reason or "")
    converted = tfprune.convert(data, target="stock", device=table, min_speedup=0.9)
    assert is_sparse(converted.tflite) == [True]
    layer = converted.report.layers[0]
    assert (layer.sparse_time, layer.reason_code) == (None, "not_modelled")
    assert layer.dense_time is not None
