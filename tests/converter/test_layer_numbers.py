# SPDX-License-Identifier: Apache-2.0
"""What a report says of each layer: precision, multiply-adds, predicted times, fill; before and after conversion."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tfl

import tfprune
from tests.converter.helpers import STEADY_COSTS, convert
from tests.models.builder import ModelBuilder, conv_model, fully_connected_model, pruned
from tests.models.recurrent import LstmFile
from tests.runtime.quantized_models import quantized_layer
from tfprune.converter.columns import COLUMNS, NARROW, amount
from tfprune.costs import load_table, predict_dense
from tfprune.costs.predict import LayerShape
from tfprune.errors import ConversionError
from tfprune.formats import Op, OpSpec
from tfprune.tables import short_name

WEIGHTS = pruned((64, 3, 3, 32), 0.8)
KEPT = int(np.count_nonzero(WEIGHTS))
PIXELS = 2 * 16 * 16


def _inspect(model: bytes, **options: Any) -> Any:
    return tfprune.inspect(model, device=STEADY_COSTS, **options)


def _model() -> bytes:
    return conv_model(WEIGHTS, np.zeros(64, np.float32), (2, 16, 16))


def test_numbers_of_a_sparse_layer() -> None:
    converted = convert(_model())
    (layer,) = converted.report.layers
    assert layer.verdict == "sparse"
    assert layer.precision == "float32"
    assert layer.considered == layer.encoding
    assert layer.dense_macs == 64 * 9 * 32 * PIXELS
    assert layer.fill is not None
    assert layer.sparse_macs == round(KEPT / layer.fill) * PIXELS
    shape = LayerShape(False, 64, 9 * 32, 9, PIXELS, PIXELS * 32)
    assert layer.dense_time == pytest.approx(predict_dense(load_table(STEADY_COSTS), shape))
    assert layer.predicted_speedup == pytest.approx(layer.dense_time / layer.sparse_time)


def test_a_converted_file_says_the_same_again() -> None:
    converted = convert(_model())
    (before,), (after,) = converted.report.layers, _inspect(converted.tflite).layers
    assert after.op == "TfpruneConv2D"
    assert after.verdict == "sparse"
    for field in ("sparsity", "pattern", "encoding", "dense_bytes", "precision", "considered", "fill", "shape"):
        assert getattr(after, field) == getattr(before, field), field
    for field in ("dense_macs", "sparse_macs", "dense_time", "sparse_time", "predicted_speedup"):
        assert getattr(after, field) == pytest.approx(getattr(before, field)), field
    assert before.packed_bytes - 2048 < after.packed_bytes < before.packed_bytes


@pytest.mark.parametrize("weights", [pruned((64, 512), 0.8), pruned((64, 512), 0.9, rows=1)])
def test_so_does_a_fully_connected_one(weights: np.ndarray) -> None:
    converted = convert(fully_connected_model(weights), min_speedup=0.01)
    (before,), (after,) = converted.report.layers, _inspect(converted.tflite).layers
    assert before.verdict == "sparse"
    assert (
        (after.dense_macs, after.sparse_macs)
        == (before.dense_macs, before.sparse_macs)
        == (64 * 512, after.sparse_macs)
    )
    assert after.sparse_time == pytest.approx(before.sparse_time)


def test_blocks_say_the_same_again() -> None:
    rng = np.random.default_rng(0)
    mask = np.zeros((64, 256), bool)
    for band in range(0, 64, 32):
        mask[np.ix_(band + rng.permutation(32)[:20], rng.permutation(256)[:100])] = True
    weights = (rng.standard_normal(mask.shape) * mask).astype(np.float32)
    converted = convert(
        conv_model(weights.reshape(64, 1, 1, 256), np.zeros(64, np.float32), (1, 20, 20)), device="host"
    )
    (before,), (after,) = converted.report.layers, tfprune.inspect(converted.tflite, device="host").layers
    assert before.encoding == "block_rows 16x1"
    assert after.fill == before.fill == 1
    assert after.sparse_macs == before.sparse_macs == np.count_nonzero(mask) * 400
    assert after.sparse_time == pytest.approx(before.sparse_time)


def test_a_dense_layer_says_what_the_best_encoding_would_bring() -> None:
    (layer,) = _inspect(conv_model(pruned((64, 3, 3, 32), 0.05)), min_speedup=1.05).layers
    assert (layer.verdict, layer.reason_code) == ("dense", "too_slow")
    assert layer.encoding is None
    assert layer.packed_bytes is None
    assert layer.considered in layer.reason
    assert layer.sparse_time > layer.dense_time / 1.05
    assert f"{layer.dense_time / layer.sparse_time:.2f}x" in layer.reason
    (layer,) = _inspect(conv_model(np.ones((64, 3, 3, 32), np.float32))).layers
    assert layer.dense_macs == 64 * 9 * 32 * 64
    assert layer.considered is layer.sparse_macs is layer.sparse_time is layer.fill is None


def test_inspect_takes_the_options_that_change_the_verdict() -> None:
    data = _model()
    assert tfprune.inspect(data, device="host").table == "host"
    assert tfprune.inspect(data).table == "arm64"
    report = _inspect(data, min_speedup=500.0)
    assert report.min_speedup == 500.0
    assert report.layers == convert(data, min_speedup=500.0).report.layers
    assert report.layers[0].reason_code == "too_slow"
    with pytest.raises(ConversionError, match="min_speedup"):
        _inspect(data, min_speedup=0)
    with pytest.raises(ConversionError, match="device"):
        tfprune.inspect(data, device="toaster")


def test_inspect_takes_target_and_precision() -> None:
    data = _model()
    report = _inspect(data, target="stock")
    expected = tfprune.convert(data, device=STEADY_COSTS, target="stock").report
    assert report.layers == expected.layers
    assert (report.action, report.output_bytes) == ("inspect", None)
    halves = _inspect(data, precision="float16")
    assert halves.layers == convert(data, precision="float16").report.layers
    assert halves.totals.final_bytes < _inspect(data).totals.final_bytes
    with pytest.raises(ConversionError, match="target"):
        _inspect(data, target="dense")
    with pytest.raises(ConversionError, match="precision"):
        _inspect(data, precision="int4")


def test_both_matrices_of_an_lstm_are_named() -> None:
    data = LstmFile(units=64, features=48).build()
    converted = convert(data, min_speedup=0.01)
    after = _inspect(converted.tflite).layers
    before = converted.report.layers
    assert [layer.verdict for layer in before] == ["sparse", "sparse"]
    for field in ("name", "shape", "pattern", "encoding", "fill", "sparsity", "dense_bytes", "precision"):
        assert [getattr(layer, field) for layer in after] == [getattr(layer, field) for layer in before], field
    assert [layer.name.rsplit("/", 1)[1] for layer in after] == ["input", "recurrent"]
    pictures = [
        re.findall(r'src="(data:.*?)"', report.to_html()) for report in (converted.report, _inspect(converted.tflite))
    ]
    assert len(set(pictures[0])) == 2
    assert pictures[0] == pictures[1]


def test_fill_counts_the_zeros_that_groups_hold() -> None:
    weights = WEIGHTS.copy()
    weights[np.random.default_rng(0).random(weights.shape) < 0.1] = 0  # Single weights of groups of four rows.
    (layer,) = convert(conv_model(weights, np.zeros(64, np.float32), (2, 16, 16)), min_speedup=0.01).report.layers
    assert layer.encoding == "row_band 4x1"
    assert 0.8 < layer.fill < 0.95
    assert layer.fill == pytest.approx(np.count_nonzero(weights) * PIXELS / layer.sparse_macs)


def _depthwise(weights: np.ndarray) -> bytes:
    builder = ModelBuilder()
    x, y = builder.tensor("x", [1, 8, 8, 16]), builder.tensor("y", [1, 8, 8, 16])
    kernel = builder.constant("kernel", weights)
    if weights.dtype == np.int8:
        quantization = tfl.QuantizationParametersT()
        quantization.scale, quantization.zeroPoint = np.array([0.1], np.float32), np.array([3], np.int64)
        builder.model.subgraphs[0].tensors[kernel].quantization = quantization
    builder.operator(builder.opcode(tfl.BuiltinOperator.DEPTHWISE_CONV_2D), [x, kernel], [y])
    builder.io([x], [y])
    return builder.build()


def test_zeros_are_counted_where_no_kernel_can_run() -> None:
    weights = pruned((1, 3, 3, 16), 0.5, rows=1)
    (layer,) = _inspect(_depthwise(weights)).layers
    assert layer.reason_code == "malformed"  # It has no options.
    assert layer.sparsity == pytest.approx(np.mean(weights == 0))
    assert (layer.precision, layer.dense_macs, layer.considered) == ("float32", None, None)
    # A quantised zero is the zero point.
    whole = np.full((1, 3, 3, 16), 5, np.int8)
    whole[0, 0] = 3
    whole[0, 1] = 0
    (layer,) = _inspect(_depthwise(whole)).layers
    assert layer.sparsity == pytest.approx(1 / 3)
    assert layer.precision == "dynamic"


@pytest.mark.parametrize(("dynamic", "precision"), [(False, "int8"), (True, "dynamic")])
def test_precision_of_packed_layers(dynamic: bool, precision: str) -> None:
    layer = quantized_layer(OpSpec(Op.CONV_2D, 16, 32), (1, 5, 5, 32), dynamic=dynamic)
    (found,) = _inspect(layer.sparse()).layers
    assert found.precision == precision
    assert found.dense_bytes == 16 * 32
    (dense,) = _inspect(layer.dense()).layers
    assert dense.precision == precision
    assert dense.sparsity == pytest.approx(np.mean(layer.matrix == 0))


def test_half_precision_behind_dequantize() -> None:
    builder = ModelBuilder()
    x = builder.tensor("x", [1, 16])
    half = builder.constant("half", pruned((8, 16), 0.5).astype(np.float16))
    weights = builder.tensor("weights", [8, 16])
    builder.operator(builder.opcode(tfl.BuiltinOperator.DEQUANTIZE, version=3), [half], [weights])
    builder.io([x], [builder.fully_connected(x, weights)])
    (layer,) = _inspect(builder.build()).layers
    assert layer.precision == "float16"
    assert layer.dense_bytes == 2 * 8 * 16
    assert layer.sparsity == pytest.approx(np.mean(pruned((8, 16), 0.5) == 0))


def test_unknown_operators_do_not_disturb() -> None:
    builder = ModelBuilder()
    x = builder.tensor("x", [1, 8, 8, 32])
    y = builder.conv_2d(x, WEIGHTS, np.zeros(64, np.float32))
    z = builder.tensor("z", [1, 8, 8, 64])
    builder.operator(builder.opcode(tfl.BuiltinOperator.CUSTOM, "Mystery"), [y], [z])
    builder.operator(builder.opcode(9999), [y], [builder.tensor("w", [1])])
    builder.io([x], [z])
    report = _inspect(builder.build())
    assert [layer.op for layer in report.layers] == ["CONV_2D"]
    assert report.to_html("model")


def test_totals() -> None:
    report = convert(_model()).report
    (layer,) = report.layers
    sums = report.totals
    assert (sums.dense_bytes, sums.final_bytes) == (layer.dense_bytes, layer.packed_bytes)
    assert (sums.dense_macs, sums.final_macs) == (layer.dense_macs, layer.sparse_macs)
    assert (sums.dense_time, sums.final_time) == (layer.dense_time, layer.sparse_time)
    refused = convert(_model(), min_speedup=500.0).report.totals
    assert refused.final_macs == refused.dense_macs == layer.dense_macs
    assert refused.final_time == refused.dense_time
    assert refused.final_bytes == refused.dense_bytes


def test_json_keys_are_those_of_the_documents() -> None:
    plain = json.loads(json.dumps(convert(_model()).report.to_dict()))
    documents = (Path(__file__).parents[2] / "docs" / "converter.md").read_text()
    for key in {*plain, *plain["totals"], *plain["layers"][0]}:
        assert f"`{key}`" in documents, key
    assert "model" not in plain


def test_columns_fit_a_terminal() -> None:
    assert [column.header for column in NARROW] == [
        "#", "layer", "weights", "zeros", "pattern", "verdict", "kB", "packed", "speed-up"
    ]  # fmt: skip
    assert len({column.header for column in COLUMNS}) == len(COLUMNS) == 17


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0, "0"), (999, "999"), (1000, "1k"), (1_234_567, "1.23M"), (42e9, "42G"), (5.5e12, "5.5T")],
)
def test_amounts(value: float | None, text: str) -> None:
    assert amount(value) == text


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("net/conv/x;net/bn/y", "bn/y"),
        ("net/dw/Relu6;net/dw/depthwise;1", "dw/depthwise"),
        ("conv", "conv"),
        ("a/b", "a/b"),
        ("", ""),
        (";;7", ";;7"),
    ],
)
def test_short_names(name: str, short: str) -> None:
    assert short_name(name) == short
