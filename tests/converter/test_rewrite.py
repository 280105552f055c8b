# SPDX-License-Identifier: Apache-2.0
"""The rewritten file: ops, inputs, geometry, alignment, and that everything else survives."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tfl
from flatbuffers import flexbuffers

import tfprune
from tests.converter.helpers import convert, data_offsets, input_shapes, matrix, names, operators, packed_weights
from tests.models import ModelBuilder, conv_model, fully_connected_model, pruned
from tests.models.builder import NONE, RELU, RELU6, SAME, VALID
from tests.models.compare import differences
from tfprune.converter.graph import Graph
from tfprune.formats import Activation, Op, OpSpec, Padding


def chain(size: int = 10) -> ModelBuilder:
    builder = ModelBuilder()
    x = builder.tensor("x", [1, size, size, 32], batch=True)
    a = builder.conv_2d(x, pruned((64, 3, 3, 32)), np.arange(64, dtype=np.float32), activation=RELU, name="first")
    odd = builder.tensor("odd", [1, size, size, 64], batch=True)
    mystery = builder.operator(builder.opcode(tfl.BuiltinOperator.CUSTOM, "Mystery"), [a], [odd])
    builder.model.subgraphs[0].operators[mystery].customOptions = np.array([1, 2, 3], np.uint8)
    b = builder.conv_2d(odd, pruned((128, 1, 1, 64), seed=1), np.ones(128, np.float32), name="second")
    y = builder.fully_connected(b, pruned((16, 128 * size * size), seed=2), np.ones(16, np.float32), name="head")
    builder.io([x], [y])
    builder.signature("serve", {"image": x}, {"scores": y})
    builder.signature("features", {"image": x}, {"features": b})
    builder.metadata("min_runtime_version", b"2.3.0")
    return builder


@pytest.mark.parametrize(
    ("kernel", "stride", "dilation", "padding", "activation"),
    [
        ((1, 1), (1, 1), (1, 1), SAME, NONE),
        ((3, 3), (2, 2), (1, 1), SAME, RELU),
        ((3, 2), (2, 1), (1, 1), VALID, RELU6),
        ((3, 3), (1, 1), (2, 3), VALID, NONE),
        ((5, 1), (1, 1), (1, 2), SAME, NONE),
    ],
)
def test_convolution(
    kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int], padding: int, activation: int
) -> None:
    weights = pruned((64, *kernel, 32))
    bias = np.arange(64, dtype=np.float32)
    options = {"stride": stride, "dilation": dilation, "padding": padding, "activation": activation}
    data = conv_model(weights, bias, (2, 16, 16), **options)
    sparse = convert(data, min_speedup=0.01).tflite
    assert names(sparse) == ["TfpruneConv2D"]
    np.testing.assert_array_equal(matrix(sparse), weights.reshape(64, -1))
    spec = OpSpec(Op.CONV_2D, 64, 32, *kernel, *stride, *dilation, Padding(padding), Activation(activation))
    header = packed_weights(sparse).header
    assert header.spec == spec
    extent = (1, 1) if padding == SAME else tuple((k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True))
    assert input_shapes(sparse) == [(2, 16, 16, 32), (header.total_bytes,), (64, *stride, *extent), (64,)]


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize(
    ("shape", "rank"), [([1, 256], 1), ([5, 256], 1), ([3, 4, 256], 1), ([2, 4, 8, 8], 3), ([1, 1, 1, 256], 1)]
)
def test_fully_connected(shape: list[int], rank: int, keep: bool) -> None:
    if keep and rank > 1:
        pytest.skip("keep_num_dims takes the last dimension as features")
    weights = pruned((128, 256))
    data = fully_connected_model(weights, np.ones(128, np.float32), shape, keep_num_dims=keep, activation=RELU)
    sparse = convert(data).tflite
    assert names(sparse) == ["TfpruneFullyConnected"]
    np.testing.assert_array_equal(matrix(sparse), weights)
    assert input_shapes(sparse)[2] == (128, rank, 1 + keep)
    assert packed_weights(sparse).header.spec == OpSpec(
        Op.FULLY_CONNECTED, 128, 256, activation=Activation.RELU, keep_num_dims=keep
    )


def test_a_missing_bias_is_left_out() -> None:
    for data in (conv_model(pruned((64, 3, 3, 32))), fully_connected_model(pruned((128, 256)))):
        sparse = convert(data).tflite
        assert names(sparse)[0].startswith("Tfprune")
        assert len(input_shapes(sparse)) == 3


def test_a_bias_given_as_absent_is_left_out() -> None:
    builder = ModelBuilder()
    x = builder.tensor("x", [1, 256])
    y = builder.fully_connected(x, pruned((128, 256)))
    op = builder.model.subgraphs[0].operators[0]
    op.inputs = np.append(op.inputs, -1).astype(np.int32)
    builder.io([x], [y])
    assert len(input_shapes(convert(builder.build()).tflite)) == 3


def test_options_name_what_is_not_usual() -> None:
    weights = pruned((64, 3, 3, 32))
    data = conv_model(weights, np.zeros(64, np.float32), stride=(2, 1), padding=VALID, activation=RELU6)
    _, _, op = operators(convert(data, min_speedup=0.01).tflite)[0]
    options = flexbuffers.Loads(bytes(op.customOptions))
    assert {name: options[name] for name in ("stride", "padding", "activation")} == {
        "stride": "2x1",
        "padding": "valid",
        "activation": "relu6",
    }
    assert "dilation" not in options


def test_geometry_is_int8_zeros_and_options_are_for_people() -> None:
    graph, subgraph, op = operators(convert(conv_model(pruned((64, 3, 3, 32)))).tflite)[0]
    geometry = graph.input_tensor(subgraph, op, 2)
    assert geometry.type == tfl.TensorType.INT8
    assert not graph.constant(geometry, np.int8).any()
    options = flexbuffers.Loads(bytes(op.customOptions))
    assert options.pop("sparsity") == pytest.approx(np.mean(pruned((64, 3, 3, 32)) == 0), abs=1e-6)
    assert options == {
        "dense_op": "CONV_2D",
        "dense_version": 1,
        "encoding": "row_band",
        "group": "4x1",
        "kernel": "64x3x3x32",
        "padding": "same",
        "value_type": "float32",
        "version": 2,
    }
    assert len(op.customOptions) < 300
    code = graph.model.operatorCodes[op.opcodeIndex]
    assert code.builtinCode == code.deprecatedBuiltinCode == tfl.BuiltinOperator.CUSTOM


def test_every_constant_of_our_ops_is_aligned() -> None:
    sparse = convert(chain().build()).tflite
    offsets = data_offsets(sparse)
    ours = 0
    for graph, subgraph, op in operators(sparse):
        for place in range(1, len(op.inputs)):
            buffer = graph.input_tensor(subgraph, op, place).buffer
            if graph.op_name(op).startswith("Tfprune"):
                ours += 1
                assert offsets[buffer] > 0
                assert offsets[buffer] % 64 == 0
    assert ours == 9
    assert all(offset % 16 == 0 for offset in offsets if offset >= 0)


def test_signatures_metadata_and_unknown_ops_survive() -> None:
    data = chain().build()
    converted = convert(data)
    before, after = Graph(data), Graph(converted.tflite)
    assert names(converted.tflite) == ["TfpruneConv2D", "Mystery", "TfpruneConv2D", "TfpruneFullyConnected"]
    mystery = after.model.subgraphs[0].operators[1]
    assert bytes(mystery.customOptions) == b"\x01\x02\x03"

    def signatures(graph: Graph) -> list[tuple[object, ...]]:
        return [
            (s.signatureKey, s.subgraphIndex, *((e.name, e.tensorIndex) for e in [*s.inputs, *s.outputs]))
            for s in graph.model.signatureDefs
        ]

    assert signatures(before) == signatures(after)
    assert after.metadata("min_runtime_version") == b"2.3.0"
    assert after.model.description == before.model.description
    for old, new in zip(before.model.subgraphs[0].operators, after.model.subgraphs[0].operators, strict=True):
        assert old.outputs.tolist() == new.outputs.tolist()
    kept = [int(t) for op in before.model.subgraphs[0].operators for t in op.outputs]
    for index in kept:
        assert after.tensor(0, index).name == before.tensor(0, index).name
        assert after.tensor(0, index).shapeSignature.tolist() == before.tensor(0, index).shapeSignature.tolist()


def test_the_metadata_says_how_the_file_was_made() -> None:
    content = Graph(convert(chain().build(), min_speedup=1.2).tflite).metadata("tfprune")
    assert content is not None
    made = json.loads(content)
    assert made["version"] == tfprune.__version__
    assert made["cost_table"] == "steady"
    assert made["options"]["min_speedup"] == 1.2
    assert [layer["operator"] for layer in made["layers"]] == [0, 2, 3]
    assert {layer["pattern"] for layer in made["layers"]} == {"row_band 4x1"}


def test_the_same_input_gives_the_same_bytes_and_is_not_changed() -> None:
    data = chain().build()
    copy = bytes(bytearray(data))
    first, second = convert(data), convert(bytearray(data))
    assert first.tflite == second.tflite
    assert first.dense == data == copy


def test_dense_weights_are_dropped() -> None:
    data = chain().build()
    converted = convert(data)
    sizes = [0 if b.data is None else len(b.data) for b in Graph(converted.tflite).model.buffers]
    assert max(sizes) < 4 * 16 * 12800 / 2
    assert len(converted.tflite) < 0.35 * len(data)
    assert converted.report.output_bytes == len(converted.tflite)


def test_buffers_outside_the_flatbuffer_are_read() -> None:
    inline = convert(chain().build())
    outside = chain().build_with_outside_buffers()
    assert Graph(outside).raw(Graph(outside).tensor(0, 1)) is not None
    assert differences(convert(outside).tflite, inline.tflite) == []


@pytest.mark.parametrize("same_stride", [True, False])
def test_weights_shared_within_a_subgraph(same_stride: bool) -> None:
    builder = ModelBuilder()
    x = builder.tensor("x", [1, 32, 32, 64])
    weights = builder.constant("kernel", pruned((64, 1, 1, 64)))
    a = builder.conv_2d(x, weights, np.zeros(64, np.float32), name="a")
    b = builder.conv_2d(a, weights, np.zeros(64, np.float32), name="b", stride=(1, 1) if same_stride else (2, 2))
    builder.io([x], [b])
    sparse = convert(builder.build()).tflite
    assert names(sparse) == ["TfpruneConv2D", "TfpruneConv2D"]
    for number in range(2):
        np.testing.assert_array_equal(matrix(sparse, number), pruned((64, 1, 1, 64)).reshape(64, 64))
    buffers = [graph.input_tensor(subgraph, op, 1).buffer for graph, subgraph, op in operators(sparse)]
    assert (buffers[0] == buffers[1]) == same_stride
    assert packed_weights(sparse, 1).header.stride_h == (1 if same_stride else 2)


def test_weights_shared_by_two_subgraphs_are_packed_once() -> None:
    builder = ModelBuilder()
    shared = builder.buffer(pruned((64, 3, 3, 32)))
    for graph in (0, builder.subgraph()):
        x = builder.tensor("x", [1, 8 + graph, 8, 32], graph=graph)
        weights = builder.tensor("kernel", [64, 3, 3, 32], buffer=shared, graph=graph)
        y = builder.conv_2d(x, weights, np.zeros(64, np.float32), graph=graph)
        builder.io([x], [y], graph)
        builder.signature(f"s{graph}", {"x": x}, {"y": y}, graph)
    data = builder.build()
    converted = convert(data)
    sparse = converted.tflite
    for report in (converted.report, tfprune.inspect(sparse)):
        first, second = report.layers
        assert first.buffers == second.buffers
        assert (report.totals.dense_bytes, report.totals.final_bytes) == (first.dense_bytes, first.packed_bytes)
        assert report.totals.dense_macs == (first.dense_macs or 0) + (second.dense_macs or 0)
    assert tfprune.inspect(data, min_speedup=1e9).totals.final_bytes == 4 * 64 * 9 * 32
    assert tfprune.inspect(data, target="stock").totals.final_bytes == 4 * 64 * 9 * 32
    assert names(sparse) == ["TfpruneConv2D"] * 2
    assert len({graph.input_tensor(subgraph, op, 1).buffer for graph, subgraph, op in operators(sparse)}) == 1
    assert len(sparse) < 0.5 * len(data)
    dense = convert(sparse, target="dense").tflite
    assert len(dense) < 1.05 * len(data)
    np.testing.assert_array_equal(matrix(dense, 1), matrix(data, 1))


def test_weights_that_an_op_without_kernel_also_uses_stay() -> None:
    builder = ModelBuilder()
    x = builder.tensor("x", [1, 8, 8, 64])
    weights = builder.constant("kernel", pruned((64, 1, 1, 64)))
    y = builder.conv_2d(x, weights, np.zeros(64, np.float32))
    z = builder.tensor("z", [64, 1, 1, 64])
    builder.operator(builder.opcode(tfl.BuiltinOperator.ABS), [weights], [z])
    builder.io([x], [y, z])
    data = builder.build()
    converted = convert(data)
    assert converted.tflite == data
    assert converted.report.layers[0].reason_code == "shared_weights"


def test_weights_that_are_a_graph_output_stay() -> None:
    builder = ModelBuilder()
    x = builder.tensor("x", [1, 8, 8, 64])
    weights = builder.constant("kernel", pruned((64, 1, 1, 64)))
    builder.io([x], [builder.conv_2d(x, weights, np.zeros(64, np.float32)), weights])
    assert convert(builder.build()).report.layers[0].reason_code == "shared_weights"


def test_a_bias_used_twice_is_kept_and_aligned() -> None:
    builder = ModelBuilder()
    x = builder.tensor("x", [1, 8, 8, 64])
    y = builder.conv_2d(x, pruned((64, 1, 1, 64)), np.ones(64, np.float32), name="a")
    z = builder.conv_2d(y, np.ones((64, 1, 1, 64), np.float32), name="b")
    operator = builder.model.subgraphs[0].operators[1]
    bias = builder.model.subgraphs[0].operators[0].inputs[2]
    operator.inputs = np.array([*operator.inputs, bias], np.int32)
    builder.io([x], [z])
    sparse = convert(builder.build()).tflite
    assert names(sparse) == ["TfpruneConv2D", "CONV_2D"]
    assert input_shapes(sparse, 0)[3] == input_shapes(sparse, 1)[2] == (64,)


def _two_subgraphs(kind: str) -> bytes:
    """A layer of a third with zeros in the first subgraph, one without any in the second; each has a signature."""
    builder = ModelBuilder()
    builder.subgraph()
    for number, sparsity in enumerate((0.8, 0.0)):
        x = builder.tensor("x", [1, 9, 8, 32], kind, graph=number)
        weights = pruned((64, 3, 3, 32), sparsity, seed=number)
        bias = np.linspace(-1, 1, 64).astype(np.float32)
        if kind == "int8":
            weights = np.clip(np.rint(weights * 100), -127, 127).astype(np.int8)
            bias = np.rint(bias / 4e-4).astype(np.int32)
        y = builder.conv_2d(x, weights, bias, graph=number, name=f"conv{number}")
        tensors = builder.model.subgraphs[number].tensors
        if kind == "int8":
            tensors[y].type = tfl.TensorType.INT8
            for tensor, scale in zip(tensors, (0.04, 0.01, 0.0004, 0.37), strict=True):
                tensor.quantization = tfl.QuantizationParametersT()
                tensor.quantization.scale, tensor.quantization.zeroPoint = [scale], [0]
        builder.io([x], [y], number)
        builder.signature(f"s{number}", {"x": x}, {"y": y}, number)
    return builder.build()


@pytest.mark.parametrize("kind", ["float32", "int8"])
def test_other_subgraphs_keep_xnnpack_where_the_first_is_all_sparse(kind: str) -> None:
    dense = _two_subgraphs(kind)
    sparse = convert(dense, min_speedup=0.01).tflite
    assert names(sparse) == ["TfpruneConv2D", "SHAPE", "CONV_2D"]
    report = tfprune.verify(dense, sparse)
    assert report.ok, report
    assert len(report.outputs) == 2
    assert names(convert(sparse, target="dense").tflite) == ["CONV_2D", "CONV_2D"]


def test_a_single_subgraph_gets_no_more_operators() -> None:
    assert names(convert(conv_model(pruned((64, 3, 3, 32)), np.zeros(64, np.float32))).tflite) == ["TfpruneConv2D"]
