# SPDX-License-Identifier: Apache-2.0
"""Which layers stay dense and why; reports; the choice of an encoding."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tfl

import tfprune
from tests.converter.helpers import convert, names, packed_weights
from tests.models import ModelBuilder, conv_model, fully_connected_model, pruned
from tests.models.builder import TANH, VALID
from tests.runtime.chain_files import ChainBuilder
from tfprune.converter.capability import Refused
from tfprune.converter.plan import SIZE_WEIGHT, Plan, Study, choose, study
from tfprune.costs import load_table
from tfprune.formats import Encoding
from tfprune.sparsity.layouts import matrix_shape
from tfprune.sparsity.patterns import BlockRowsColumns, KernelElements, KernelPatterns, Pattern
from tfprune.sparsity.select import select


def _edit(change: Callable[[ModelBuilder, Any], None], kernel: int = 3) -> bytes:
    builder = ModelBuilder()
    x = builder.tensor("x", [1, 8, 8, 32])
    y = builder.conv_2d(x, pruned((64, kernel, kernel, 32)), np.zeros(64, np.float32))
    builder.io([x], [y])
    change(builder, builder.model.subgraphs[0])
    return builder.build()


def _uneven_channels(builder: ModelBuilder, graph: Any) -> None:
    graph.tensors[0].shape = np.array([1, 8, 8, 40], np.int32)


def _half(builder: ModelBuilder, graph: Any) -> None:
    graph.tensors[1].type = tfl.TensorType.FLOAT16


def _computed(builder: ModelBuilder, graph: Any) -> None:
    graph.tensors[1].buffer = 0
    graph.inputs = np.append(graph.inputs, np.int32(1))


def _computed_bias(builder: ModelBuilder, graph: Any) -> None:
    graph.tensors[3].buffer = 0
    graph.inputs = np.append(graph.inputs, np.int32(3))


def _wrong_bias(builder: ModelBuilder, graph: Any) -> None:
    graph.tensors[3].shape = np.array([8, 8], np.int32)


def _no_options(builder: ModelBuilder, graph: Any) -> None:
    graph.operators[0].builtinOptions, graph.operators[0].builtinOptionsType = None, 0


def _zero_stride(builder: ModelBuilder, graph: Any) -> None:
    graph.operators[0].builtinOptions.strideH = 0


def _external(builder: ModelBuilder, graph: Any) -> None:
    graph.tensors[1].externalBuffer = 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (_uneven_channels, "malformed"),
        (_half, "precision"),
        (_computed, "weights_not_constant"),
        (_computed_bias, "bias_not_constant"),
        (_wrong_bias, "bias_shape"),
        (_no_options, "malformed"),
        (_zero_stride, "malformed"),
        (_external, "weights_elsewhere"),
    ],
)
def test_a_convolution_without_kernel_stays_with_a_named_reason(
    change: Callable[[ModelBuilder, Any], None], code: str
) -> None:
    data = _edit(change)
    converted = convert(data)
    layer = converted.report.layers[0]
    assert (layer.verdict, layer.reason_code) == ("dense", code)
    assert layer.reason
    assert converted.tflite == data
    assert tfprune.inspect(data).layers == converted.report.layers


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (fully_connected_model(pruned((128, 256)), activation=TANH), "activation"),
        (fully_connected_model(pruned((128, 256)), weights_format=1), "weights_format"),
        (fully_connected_model(pruned((128, 256)), shape=[1, 512]), "features"),
        (conv_model(np.ones((64, 3, 3, 32), np.float32)), "no_zeros"),
        (conv_model(pruned((64, 3, 3, 32), sparsity=0.05)), "too_slow"),
        (conv_model(pruned((6, 3, 3, 3), sparsity=0.9), size=(1, 64, 64)), "not_smaller"),
    ],
)
def test_a_layer_that_cannot_gain_stays_with_a_named_reason(data: bytes, code: str) -> None:
    converted = convert(data)
    assert [layer.reason_code for layer in converted.report.layers] == [code]
    assert converted.tflite == converted.dense == data
    assert "no layer was converted" in str(converted.report)


def test_unknown_feature_dimensions_stay() -> None:
    builder = ModelBuilder()
    x = builder.tensor("x", [1, 256])
    builder.model.subgraphs[0].tensors[x].shapeSignature = np.array([-1, -1], np.int32)
    builder.io([x], [builder.fully_connected(x, pruned((128, 256)))])
    assert convert(builder.build()).report.layers[0].reason_code == "features"


def test_ops_without_a_sparse_kernel_are_listed() -> None:
    builder = ModelBuilder()
    x = builder.tensor("x", [3], "int32")
    y = builder.tensor("y", [3, 64])
    weights = builder.constant("table", pruned((8, 64)))
    builder.operator(builder.opcode(tfl.BuiltinOperator.EMBEDDING_LOOKUP), [x, weights], [y])
    builder.io([x], [y])
    assert tfprune.inspect(builder.build()).layers[0].reason_code == "no_kernel"


def test_min_speedup_keeps_slow_layers_dense() -> None:
    data = conv_model(pruned((64, 1, 1, 64), sparsity=0.6), np.zeros(64, np.float32))
    speedup = convert(data).report.layers[0].predicted_speedup
    assert speedup is not None
    assert convert(data, min_speedup=speedup * 0.99).report.converted_layers == 1
    refused = convert(data, min_speedup=speedup * 1.01)
    assert refused.report.layers[0].reason_code == "too_slow"
    assert f"{speedup:.2f}x" in str(refused.report.layers[0].reason)


@pytest.mark.parametrize(("rows", "pattern"), [(1, "unstructured"), (4, "row_band 4x1"), (8, "row_band 8x1")])
def test_aligned_patterns_are_recognised(rows: int, pattern: str) -> None:
    report = tfprune.inspect(conv_model(pruned((64, 3, 3, 32), rows=rows)))
    assert report.layers[0].pattern == pattern


def test_unaligned_groups_get_the_sliding_encoding() -> None:
    rng = np.random.default_rng(0)
    weights = np.zeros((64, 256), np.float32)
    for column in range(256):
        start = int(rng.integers(0, 60))
        weights[start : start + 4, column] = rng.standard_normal(4)
    converted = convert(conv_model(weights.reshape(64, 1, 1, 256)))
    layer = converted.report.layers[0]
    assert layer.pattern == layer.encoding == "sliding_row 4x1"
    assert packed_weights(converted.tflite).header.encoding == Encoding.SLIDING_ROW


def test_groups_along_the_input_get_wide_groups() -> None:
    weights = pruned((256, 64), rows=4).T.copy()  # 4 neighbouring inputs of one output
    report = convert(fully_connected_model(weights.astype(np.float32))).report
    assert report.layers[0].pattern == "row_band 1x4"


@pytest.mark.parametrize("rows", [3, 5, 6, 7, 12, 15])
def test_aligned_groups_of_any_rows_up_to_16_are_stored_exactly(rows: int) -> None:
    weights = pruned((96, 3, 3, 32), rows=rows)
    converted = convert(conv_model(weights))
    layer = converted.report.layers[0]
    assert layer.pattern == layer.encoding == f"row_band {rows}x1"
    assert packed_weights(converted.tflite).values.size == np.count_nonzero(weights)


def _blocks(rows: int, cols: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    keep = np.kron(rng.random((96 // rows, 240 // cols)) < 0.2, np.ones((rows, cols), bool))
    return (keep * rng.standard_normal((96, 240))).astype(np.float32)


@pytest.mark.parametrize(("rows", "cols"), [(1, 3), (1, 5), (1, 6), (3, 3), (4, 3), (3, 4), (6, 5)])
def test_groups_of_other_columns_are_candidates(rows: int, cols: int) -> None:
    weights = _blocks(rows, cols)
    found = study(_layer(fully_connected_model(weights)), weights, weights.nbytes, load_table("arm64"), 1.05)
    assert found.pattern == f"row_band {rows}x{cols}"
    exact = [plan for plan in found.candidates if plan.encoding_name == found.pattern]
    assert [plan.fill > 0.99 for plan in exact] == [True]
    assert exact[0].packed_bytes == min(plan.packed_bytes for plan in found.candidates)


@pytest.mark.parametrize("rows", [3, 5, 12])
def test_unaligned_groups_of_other_rows_are_named_by_their_runs(rows: int) -> None:
    rng = np.random.default_rng(0)
    weights = np.zeros((64, 256), np.float32)
    for column in range(256):
        start = int(rng.integers(0, 65 - rows))
        weights[start : start + rows, column] = rng.standard_normal(rows)
    layer = tfprune.inspect(conv_model(weights.reshape(64, 1, 1, 256))).layers[0]
    assert layer.pattern == f"sliding_row {rows}x1"


@pytest.mark.parametrize(
    ("pattern", "encoding", "kernel"),
    [
        (KernelPatterns(keep=4, library=4), "block_columns 1x1", 3),
        (BlockRowsColumns(32, 32), "block_rows 16x1", 3),
        (BlockRowsColumns(16, 32), "block_rows 16x1", 1),
        (KernelElements(keep=2), "row_band 1x8", 3),
    ],
)
def test_blocks_are_named_and_stored_without_zeros(pattern: Pattern, encoding: str, kernel: int) -> None:
    weights = np.random.default_rng(2).standard_normal((kernel, kernel, 64, 128)).astype(np.float32)
    weights *= select(weights, pattern, 0.75 if pattern.own_sparsity(matrix_shape(weights.shape)) is None else None)
    kept = np.ascontiguousarray(weights.transpose(3, 0, 1, 2))
    found = study(_layer(conv_model(kept)), kept.reshape(128, -1), kept.nbytes, load_table("host"), 1.05)
    assert found.pattern == encoding
    blocks = {plan.encoding: plan for plan in found.candidates if plan.encoding.in_blocks}
    assert all(plan.fill == 1 for plan in blocks.values())
    # By time; of aarch64 instructions, single weights take fewer than block-columns. Kernel elements of a filter are
    # groups too; as blocks they are faster.
    expected = Encoding.BLOCK_COLUMNS if encoding.startswith("block_columns") else Encoding.BLOCK_ROWS
    assert min(found.candidates, key=lambda plan: plan.sparse_time) is blocks[expected]


def test_single_weights_are_not_offered_as_blocks() -> None:
    for kernel in (1, 3):
        weights = pruned((64, kernel, kernel, 64), sparsity=0.75, rows=1)
        layer = _layer(conv_model(weights))
        plans = study(layer, weights.reshape(64, -1), weights.nbytes, load_table("arm64"), 1.05).candidates
        assert not any(plan.encoding.in_blocks for plan in plans)


def _grouped_layer(sparsity: float, device: str, min_speedup: float) -> Any:
    weights = pruned((128, 1, 1, 128), sparsity=sparsity, rows=4)
    return convert(conv_model(weights), device=device, min_speedup=min_speedup).report.layers[0]


@pytest.mark.parametrize(("device", "min_speedup"), [("arm64", 1.5), ("host", 1.05)])
def test_a_layer_becomes_sparse_from_its_break_even_on(device: str, min_speedup: float) -> None:
    break_even = _grouped_layer(0.9, device, min_speedup).break_even
    assert 0.05 < break_even < 0.85
    assert _grouped_layer(break_even + 0.04, device, min_speedup).verdict == "sparse"
    below = _grouped_layer(break_even - 0.04, device, min_speedup)
    assert (below.verdict, below.reason_code, below.break_even) == ("dense", "too_slow", None)
    named = float(re.search(r"predicted to be enough: (\d+)% zeros in", below.reason).group(1)) / 100
    assert named == pytest.approx(break_even, abs=0.04)


def test_a_layer_between_planar_ones_is_not_charged_for_moving_images() -> None:
    def file(chained: bool) -> bytes:
        b = ChainBuilder(size=(28, 28, 128))
        y = b.depthwise(b.sparse(b.x, 128, kernel=3)) if chained else b.x
        y = b.sparse(y, 32, name="narrow")
        return b.finish(b.sparse(b.depthwise(y), 64, kernel=3) if chained else y)

    def narrow(chained: bool, min_speedup: float) -> Any:
        layers = convert(file(chained), device="host", min_speedup=min_speedup).report.layers
        return next(layer for layer in layers if layer.name == "narrow")

    alone = narrow(False, 0.01).predicted_speedup
    asked = 1.1 * alone
    assert narrow(False, asked).reason_code == "too_slow"
    layer = narrow(True, asked)
    assert layer.verdict == "sparse"
    assert layer.predicted_speedup >= asked


def test_a_layer_that_no_sparsity_helps_says_so() -> None:
    layer = convert(conv_model(pruned((64, 1, 1, 32), sparsity=0.9)), min_speedup=500.0).report.layers[0]
    assert layer.reason.endswith("no sparsity is predicted to be enough")


def test_few_candidates_are_counted() -> None:
    # Counting is what converting a large model spends its time on.
    for weights in (pruned((64, 3, 3, 32), rows=12), pruned((64, 3, 3, 32), sparsity=0.01, rows=1)):
        data = conv_model(weights)
        assert (
            len(study(_layer(data), weights.reshape(64, -1), weights.nbytes, load_table("arm64"), 1.05).candidates)
            <= 29
        )


def _plan(time: float, size: int) -> Plan:
    return Plan(Encoding.ROW_BAND, 1, 1, size, 100.0, time, 1.0, None)


#: Of a float32 convolution of 64 x 3 x 3 x 32 weights.
DENSE_BYTES = 4 * 64 * 9 * 32


def test_bytes_have_a_price_in_time() -> None:
    layer = _layer(conv_model(pruned((64, 3, 3, 32))))
    twice = 2**SIZE_WEIGHT
    plans = (_plan(50, 900), _plan(50 * twice - 0.1, 450), _plan(50 * twice + 0.1, 450))
    assert choose(layer, Study(0.8, "", DENSE_BYTES, plans), 1.05) is plans[1]
    assert choose(layer, Study(0.8, "", DENSE_BYTES, (plans[0], plans[2])), 1.05) is plans[0]


def test_a_fast_encoding_that_is_too_large_gives_way_to_a_small_one() -> None:
    layer = _layer(conv_model(pruned((64, 3, 3, 32))))
    plans = (_plan(10, DENSE_BYTES), _plan(60, DENSE_BYTES - 1), _plan(99, 10))
    assert choose(layer, Study(0.8, "", DENSE_BYTES, plans), 1.05) is plans[1]
    with pytest.raises(Refused, match=str(DENSE_BYTES)) as refused:
        choose(layer, Study(0.8, "", DENSE_BYTES, plans[:1]), 1.05)
    assert refused.value.code == "not_smaller"


def test_patches_say_what_their_geometry_takes() -> None:
    # A window as large as its stride, as vision transformers begin.
    data = conv_model(pruned((64, 16, 16, 3)), size=(1, 512, 512), stride=(16, 16), padding=VALID)
    (layer,) = convert(data).report.layers
    assert layer.reason_code == "not_smaller"
    assert f", {64 * 16**4} of them for the geometry of its window," in layer.reason


def _layer(data: bytes) -> Any:
    from tfprune.converter.capability import examine
    from tfprune.converter.graph import Graph

    graph = Graph(data)
    return examine(graph, 0, 0, graph.model.subgraphs[0].operators[0])


@pytest.mark.parametrize(
    ("image", "kernel", "dilation"),
    [((33, 33), (3, 3), (18, 18)), ((5, 5), (5, 5), (1, 1)), ((500, 1), (3, 1), (1, 1)), ((1, 12000), (1, 3), (1, 1))],
)
def test_shapes_that_the_tables_do_not_know_stay_dense(
    image: tuple[int, int], kernel: tuple[int, int], dilation: tuple[int, int]
) -> None:
    weights = pruned((64, *kernel, 32), 0.9)
    data = conv_model(weights, np.zeros(64, np.float32), (1, *image), dilation=dilation)
    (layer,) = convert(data, device="host").report.layers
    assert layer.reason_code == "not_modelled"
    (layer,) = convert(data, device="host", min_speedup=0.5).report.layers
    assert layer.reason_code != "not_modelled"


@pytest.mark.parametrize("kernel", [1, 3])
def test_images_of_open_size_say_so(kernel: int) -> None:
    def open_image(builder: ModelBuilder, graph: Any) -> None:
        for index in (graph.inputs[0], graph.outputs[0]):
            tensor = graph.tensors[index]
            tensor.shapeSignature = np.array([1, -1, -1, tensor.shape[3]], np.int32)

    data = _edit(open_image, kernel)
    (layer,) = convert(data).report.layers
    assert layer.reason_code == "not_modelled"
    assert "leaves the size of the image open" in (layer.reason or "")
    found = convert(data, min_speedup=0.99).report.layers[0]
    assert (found.verdict, found.dense_time, found.predicted_speedup) == ("sparse", None, None)


@pytest.mark.parametrize("sparsity", [0.3, 0.5, 0.7, 0.9, 1.0])
@pytest.mark.parametrize("shape", [(16, 1, 1, 16), (32, 3, 3, 8), (5, 1, 1, 300)])
def test_never_larger(shape: tuple[int, ...], sparsity: float) -> None:
    data = conv_model(pruned(shape, sparsity), np.zeros(shape[0], np.float32))
    converted = convert(data, min_speedup=0.01)
    assert len(converted.tflite) <= len(data)
    assert (converted.tflite == data) == (converted.report.converted_layers == 0)


def test_reports_say_the_same_in_every_form() -> None:
    data = conv_model(pruned((64, 3, 3, 32)), name="stem")
    report = tfprune.convert(data, device="host", min_speedup=0.01).report
    plain = json.loads(json.dumps(report.to_dict()))
    layer = plain["layers"][0]
    assert plain["table"] == "host"
    assert plain["converted_layers"] == 1
    assert layer["shape"] == [64, 3, 3, 32]
    assert layer["dense_bytes"] == 4 * 64 * 9 * 32
    assert layer["packed_bytes"] < layer["dense_bytes"]
    for text in (str(report), report._repr_html_()):
        for word in ("stem", "64x3x3x32", "row_band 4x1", "host", f"{layer['predicted_speedup']:.2f}x"):
            assert word in text


def test_html_is_escaped() -> None:
    report = tfprune.inspect(conv_model(pruned((64, 3, 3, 32)), name="<script>"))
    assert "<script>" not in report._repr_html_()


def test_a_table_from_a_file_is_used(tmp_path: Path) -> None:
    from importlib import resources

    table = json.loads((resources.files("tfprune.costs") / "tables" / "arm64.json").read_text())
    table["name"] = "slow-sparse"
    for kind in table["precisions"]["float32"]["kinds"].values():
        kind["sparse_layer"] = 1e12
    (tmp_path / "mine.json").write_text(json.dumps(table))
    data = conv_model(pruned((64, 3, 3, 32)))
    report = convert(data, device=tmp_path / "mine.json").report
    assert report.table == "slow-sparse"
    assert report.layers[0].reason_code == "too_slow"
    assert names(convert(data).tflite) == ["TfpruneConv2D"]
