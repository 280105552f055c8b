# SPDX-License-Identifier: Apache-2.0
"""``tfprune.convert(target="stock")``: what the file and the report say, and when nothing changes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tfl
from click.testing import CliRunner

import tfprune
from tests.converter.expand.operators import Maker
from tests.converter.helpers import convert
from tests.converter.stock.graphs import Network, assert_same
from tests.models import conv_model, pruned
from tests.models.builder import RELU
from tests.models.recurrent import LstmFile
from tfprune.converter.graph import Graph
from tfprune.costs import LayerShape, load_table, predict_dense
from tfprune.errors import AlreadyConvertedError


def network(outside: bool = False) -> bytes:
    net = Network("float32", (1, 12, 12, 16), 0)
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(64, 3, 3, 16)) / 12, rng.normal(size=(32, 3, 3, 64)) / 24
    first[:20], first[:, 0], second[:, :, 0], second[:, :, 2] = 0, 0, 0, 0
    y = net.conv(net.x, first, -np.ones(64), activation=RELU)
    z = net.conv(y, second, np.ones(32))
    data = net.build(net.conv(z, rng.normal(size=(8, 1, 1, 32)), np.ones(8)))
    return net.builder.build_with_outside_buffers() if outside else data


def test_data_outside_of_the_flatbuffer_stay_there() -> None:
    data = network(outside=True)
    after = tfprune.convert(data, target="stock").tflite
    for content in (data, after):
        model = tfl.ModelT.InitFromPackedBuf(content)
        weights = [model.buffers[tensor.buffer] for tensor in model.subgraphs[0].tensors if tensor.buffer]
        assert len(weights) == 6
        assert all(buffer.offset > 1 and buffer.data is None for buffer in weights if buffer.size)
        assert sum(bool(buffer.size) for buffer in weights) == 6
    assert_same(data, after)


def test_the_report_says_what_became_of_each_layer() -> None:
    data = network()
    result = tfprune.convert(data, target="stock")
    assert [layer.encoding for layer in result.report.layers] == [
        "kernel 3x3 to 2x3, filters 64 to 44",
        "kernel 3x3 to 3x1, inputs 64 to 44",
        None,
    ]
    first, second, last = result.report.layers
    assert (first.verdict, second.verdict, last.verdict) == ("smaller", "smaller", "dense")
    assert (first.dense_macs, first.sparse_macs) == (144 * 64 * 9 * 16, 144 * 44 * 6 * 16)
    assert (second.dense_bytes, second.packed_bytes) == (4 * 32 * 9 * 64, 4 * 32 * 3 * 44)
    assert (last.reason_code, last.reason) == ("no_zeros", "no weight is zero")
    assert result.report.converted_layers == 2
    assert "2 of 3 layers with weights became smaller" in str(result.report)
    assert len(result.tflite) < 0.6 * len(data)
    assert result.dense == data
    assert_same(data, result.tflite)


@pytest.mark.parametrize(
    ("data", "op", "shape", "macs"),
    [
        (Maker().conv_3d((1, 6, 7, 5, 4), 8, (3, 3, 3)).data, "CONV_3D", (3, 3, 3, 4, 8), 3**3 * 4 * 8 * 6 * 7 * 5),
        (Maker().batch_matmul((3,), 0, 6, 16, 12).data, "BATCH_MATMUL", (16, 12), 3 * 6 * 16 * 12),
        (Maker().batch_matmul((3,), 1, 6, 16, 12).data, "BATCH_MATMUL", (3, 16, 12), 3 * 6 * 16 * 12),
        (LstmFile().build(), "UNIDIRECTIONAL_SEQUENCE_LSTM", None, None),
    ],
)
def test_operators_without_a_rewrite_have_a_row_and_a_reason(
    data: bytes, op: str, shape: tuple[int, ...] | None, macs: int | None
) -> None:
    report = tfprune.inspect(data, target="stock")
    (layer,) = (layer for layer in report.layers if layer.op == op)
    other = [each for each in tfprune.inspect(data).layers if each.op == op]
    assert (layer.verdict, layer.reason_code, layer.reason) == ("dense", "operator", f"no rewrite for {op}")
    assert layer.dense_bytes == sum(each.dense_bytes for each in other) > 0
    assert layer.dense_macs == sum(each.dense_macs or 0 for each in other) > 0
    assert 0 < (layer.sparsity or 0) < 1
    if shape is not None:
        assert (layer.shape, layer.dense_macs) == (shape, macs)
    assert "would become smaller" in str(report)


def test_reports_name_the_table_and_the_predictions() -> None:
    for device in ("arm64", "host"):
        report = tfprune.inspect(network(), target="stock", device=device, min_speedup=1.25)
        assert (
            report.layers == tfprune.convert(network(), target="stock", device=device, min_speedup=1.25).report.layers
        )
        assert report.target == report.to_dict()["target"] == "stock"
        for text in (str(report), report._repr_html_(), report.to_html()):
            assert device in text
            assert "1.25" in text
            assert f"{report.layers[0].predicted_speedup:.2f}x" in text
    assert "predicted" not in str(tfprune.convert(network(), target="dense").report)


def test_times_are_those_of_the_delegate_and_of_the_smaller_layer() -> None:
    data = network()
    report, delegated = tfprune.inspect(data, target="stock"), tfprune.inspect(data)
    for field in ("pattern", "sparsity", "precision", "dense_bytes", "dense_macs", "dense_time", "buffers"):
        found, same = ([getattr(each, field) for each in layers] for layers in (report.layers, delegated.layers))
        assert found == same, field
    table = load_table("arm64")
    for layer, shape in zip(
        report.layers,
        (LayerShape(False, 44, 2 * 3 * 16, 6, 144, 144 * 16), LayerShape(False, 32, 3 * 44, 3, 144, 144 * 44)),
        strict=False,
    ):
        assert layer.sparse_time == pytest.approx(predict_dense(table, shape))
        assert layer.predicted_speedup == pytest.approx((layer.dense_time or 0) / (layer.sparse_time or 1))
        assert (layer.considered, layer.fill, layer.break_even) == (layer.encoding, 1.0, None)
    last = report.layers[2]
    assert last.dense_time == pytest.approx(predict_dense(table, LayerShape(False, 8, 32, 1, 144, 144 * 32)))
    assert (last.sparse_time, last.predicted_speedup) == (None, None)
    assert report.totals.final_time == pytest.approx(
        (report.layers[0].sparse_time or 0) + (report.layers[1].sparse_time or 0) + (last.dense_time or 0)
    )


def test_without_a_model_of_the_table_there_is_no_time_and_the_reason_says_so(tmp_path: Path) -> None:
    content = json.loads((Path(tfprune.__file__).parent / "costs/tables/arm64.json").read_text())
    content["precisions"] = {"int8": content["precisions"]["int8"]}
    table = tmp_path / "int8.json"
    table.write_text(json.dumps(content))
    report = tfprune.inspect(network(), target="stock", device=table)
    smaller, _, dense = report.layers
    assert (smaller.verdict, smaller.reason_code) == ("smaller", "not_modelled")
    assert "no time is predicted: the cost table arm64 was not fitted on float32 layers" in (smaller.reason or "")
    assert (dense.reason_code, (dense.reason or "").split(";")[0]) == ("no_zeros", "no weight is zero")
    assert "no time is predicted" in (dense.reason or "")
    for layer in report.layers:
        assert (layer.dense_time, layer.sparse_time, layer.predicted_speedup) == (None, None, None)
    assert "0 stays dense" not in str(report)


def test_the_metadata_says_how_the_file_was_made() -> None:
    content = Graph(tfprune.convert(network(), target="stock").tflite).metadata("tfprune")
    assert content is not None
    made = json.loads(content)
    assert made["options"] == {"target": "stock", "min_speedup": 1.05}
    assert made["cost_table"] == "arm64"
    assert [layer["operator"] for layer in made["layers"]] == [0, 1]
    assert made["layers"][0]["became"] == "kernel 3x3 to 2x3, filters 64 to 44"


def test_the_same_input_gives_the_same_bytes_and_is_not_changed() -> None:
    data = network()
    copy = bytes(bytearray(data))
    assert tfprune.convert(data, target="stock").tflite == tfprune.convert(bytearray(data), target="stock").tflite
    assert data == copy


def test_a_file_without_anything_to_do_comes_back() -> None:
    data = conv_model(pruned((16, 3, 3, 8), sparsity=0.5), np.ones(16, np.float32))
    result = tfprune.convert(data, target="stock")
    assert result.tflite == data
    assert result.report.layers[0].reason_code == "kernel_positions"
    assert "no layer was changed" in str(result.report)


def test_a_file_that_would_not_be_smaller_comes_back() -> None:
    """One row of nine weights goes, and the metadata takes more."""
    values = np.ones((1, 3, 3, 1), np.float32)
    values[:, 0] = 0
    data = conv_model(values, np.ones(1, np.float32))
    result = tfprune.convert(data, target="stock")
    assert result.tflite == data
    layer = result.report.layers[0]
    assert (layer.verdict, layer.reason_code, layer.sparse_macs) == ("dense", "file_not_smaller", None)


def test_a_file_with_our_ops_is_refused() -> None:
    sparse = convert(conv_model(pruned((64, 3, 3, 32)))).tflite
    with pytest.raises(AlreadyConvertedError, match="target='dense'"):
        tfprune.convert(sparse, target="stock")


def test_a_file_that_cannot_be_written_again_comes_back() -> None:
    data = network() + b"something that nothing describes"
    result = tfprune.convert(data, target="stock")
    assert result.tflite == data
    assert {layer.reason_code for layer in result.report.layers} == {"would_lose", "no_zeros"}


def test_signatures_and_subgraphs_survive() -> None:
    graph = Graph(network())
    before = graph.model.subgraphs[0]
    after = Graph(tfprune.convert(network(), target="stock").tflite).model.subgraphs[0]
    for old, new in zip((before.inputs, before.outputs), (after.inputs, after.outputs), strict=True):
        assert [before.tensors[i].name for i in old] == [after.tensors[i].name for i in new]


def test_the_command(tmp_path: Path) -> None:
    from tfprune.cli import main

    source = tmp_path / "net.tflite"
    source.write_bytes(network())
    output = tmp_path / "small.tflite"
    done = CliRunner().invoke(main, ["convert", str(source), "--target", "stock", "-o", str(output), "--json"])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)["report"]
    assert report["converted_layers"] == 2
    assert output.read_bytes() == tfprune.convert(source, target="stock").tflite
    done = CliRunner().invoke(main, ["convert", str(source), "--target", "stock", "-o", str(tmp_path / "again.tflite")])
    assert "became smaller" in done.output
