# SPDX-License-Identifier: Apache-2.0
"""``target="dense"`` undoes a conversion; converting twice is refused."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tfl
from ai_edge_litert.interpreter import Interpreter

import tfprune
from tests.converter.expand.operators import Maker
from tests.converter.helpers import convert, matrix, names, operators
from tests.converter.test_rewrite import chain
from tests.models import ModelBuilder, pruned
from tests.models.builder import RELU, RELU6, VALID
from tests.models.sparse_encoding import sparse_constant
from tfprune.converter.graph import Graph
from tfprune.errors import AlreadyConvertedError, ModelError


def stock() -> bytes:
    builder = ModelBuilder()
    x = builder.tensor("x", [1, 12, 12, 16], batch=True)
    y = builder.conv_2d(x, pruned((64, 3, 3, 16)), np.ones(64, np.float32), activation=RELU6, stride=(2, 1), name="a")
    y = builder.conv_2d(y, pruned((64, 3, 3, 64)), np.ones(64, np.float32), padding=VALID, dilation=(1, 2), name="b")
    y = builder.fully_connected(y, pruned((64, 64), seed=3), keep_num_dims=True, activation=RELU, name="c")
    builder.io([x], [y])
    builder.signature("serve", {"x": x}, {"y": y})
    return builder.build()


def run(data: bytes, x: np.ndarray) -> np.ndarray:
    interpreter = Interpreter(model_content=data)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    return np.array(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))


def test_the_weights_come_back_bit_by_bit_and_the_model_runs() -> None:
    data = stock()
    sparse = convert(data).tflite
    assert all(name.startswith("Tfprune") for name in names(sparse))
    converted = convert(sparse, target="dense")
    assert names(converted.tflite) == names(data)
    for number in range(3):
        # + 0.0: the sign of a zero is not stored.
        assert matrix(converted.tflite, number).tobytes() == (matrix(data, number) + 0.0).tobytes()
    x = np.random.default_rng(0).standard_normal((1, 12, 12, 16)).astype(np.float32)
    expected = run(data, x)
    assert np.abs(expected).max() > 0
    np.testing.assert_array_equal(run(converted.tflite, x), expected)
    assert [layer.verdict for layer in converted.report.layers] == ["restored"] * 3


def test_restoring_leaves_no_trace() -> None:
    data = chain().build()
    sparse = convert(data).tflite
    dense = Graph(convert(sparse, target="dense").tflite)
    before = Graph(data)
    assert dense.metadata("tfprune") is None
    assert dense.metadata("min_runtime_version") == b"2.3.0"
    assert len(dense.model.subgraphs[0].tensors) == len(before.model.subgraphs[0].tensors)
    assert [t.name for t in dense.model.subgraphs[0].tensors] == [t.name for t in before.model.subgraphs[0].tensors]
    assert len(dense.model.operatorCodes) == len(before.model.operatorCodes)
    for (_, _, old), (_, _, new) in zip(before.operators(), dense.operators(), strict=True):
        assert old.inputs.tolist() == new.inputs.tolist()
        assert vars(old.builtinOptions or object) == vars(new.builtinOptions or object)


def test_converting_the_restored_file_gives_the_same_packed_weights() -> None:
    sparse = convert(stock()).tflite
    again = convert(convert(sparse, target="dense").tflite).tflite
    assert names(again) == names(sparse)
    for number in range(3):
        np.testing.assert_array_equal(matrix(again, number), matrix(sparse, number))


def test_a_dense_model_is_its_own_dense_target() -> None:
    data = stock()
    converted = convert(data, target="dense")
    assert converted.tflite == converted.dense == data


def test_a_converted_file_is_refused_but_can_be_inspected() -> None:
    sparse = convert(stock()).tflite
    with pytest.raises(AlreadyConvertedError, match="target='dense'"):
        convert(sparse)
    report = tfprune.inspect(sparse)
    assert report.converted_layers == 3
    assert "converted before" in str(report)
    assert "0 of 0 layers with weights would become sparse, 3 are sparse already" in str(report)
    assert all(layer.sparsity is not None and 0.7 < layer.sparsity < 0.9 for layer in report.layers)


@pytest.mark.parametrize("target", ["dense", "delegate"])
def test_corrupt_packed_weights_are_named(target: str) -> None:
    sparse = convert(stock()).tflite
    graph, subgraph, op = operators(sparse)[0]
    broken = bytearray(sparse)
    place = sparse.index(bytes(graph.raw(graph.input_tensor(subgraph, op, 1))[:128]))
    broken[place + 32] ^= 1
    with pytest.raises(ModelError, match="header_crc32"):
        convert(bytes(broken), target=target)
    with pytest.raises(ModelError, match="operator 0 of subgraph 0"):
        tfprune.inspect(bytes(broken))


def test_a_file_that_keeps_some_of_its_sparse_constants_comes_back_whole() -> None:
    """Of two layers whose halves come out of ``DENSIFY`` one is too small to be packed."""
    builder = ModelBuilder()
    x = builder.tensor("x", [1, 5, 4, 16])
    for name, filters in (("small", 2), ("large", 64)):
        kernel = pruned((filters, 3, 3, int(builder.model.subgraphs[0].tensors[x].shape[3])), 0.9).astype(np.float16)
        stored = sparse_constant(builder, name, kernel, {}, [0, 1, 2, 3])
        halves = builder.tensor(f"{name}/halves", kernel.shape, "float16")
        floats = builder.tensor(f"{name}/floats", kernel.shape)
        builder.operator(builder.opcode(tfl.BuiltinOperator.DENSIFY), [stored], [halves])
        code, kind = builder.opcode(tfl.BuiltinOperator.DEQUANTIZE, version=3), tfl.BuiltinOptions.DequantizeOptions
        builder.operator(code, [halves], [floats], tfl.DequantizeOptionsT(), kind)
        x = builder.conv_2d(x, floats, np.ones(filters, np.float32), name=f"{name}/conv")
    builder.io([0], [x])
    dense = builder.build()
    sparse = convert(dense, min_speedup=0.01).tflite
    assert names(sparse) == ["DENSIFY", "DEQUANTIZE", "CONV_2D", "TfpruneConv2D"]
    restored = convert(sparse, target="dense").tflite
    assert names(restored) == ["DEQUANTIZE", "CONV_2D", "DEQUANTIZE", "CONV_2D"]
    assert tfprune.verify(dense, restored).ok


def test_the_report_counts_the_bytes_that_are_written() -> None:
    dense = Maker("float32", 1).transpose_conv((1, 8, 8, 32), 32, (3, 3), (2, 2))
    sparse = convert(dense.data, min_speedup=1e-6).tflite
    restored = convert(sparse, target="dense")
    graph = Graph(restored.tflite)
    (weights,) = (
        graph.raw(graph.input_tensor(subgraph, op, 1))
        for subgraph, _, op in graph.operators()
        if graph.op_name(op) == "CONV_2D"
    )
    assert weights is not None
    (layer,) = restored.report.layers
    assert layer.dense_bytes == restored.report.totals.final_bytes == len(weights)
