# SPDX-License-Identifier: Apache-2.0
"""Operators that share weights: one encoding for all of them, in any subgraph and operator."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as tfl

import tfprune
from tests.converter.helpers import convert, names, operators
from tests.models import ModelBuilder, pruned
from tests.models.recurrent import LstmFile

# Zeros in single weights, which one row of input wants in another encoding than several.
WEIGHTS = pruned((256, 128), sparsity=0.8, rows=1)


def signatures_model(rows: tuple[int, ...] = (1, 32), weights: np.ndarray = WEIGHTS) -> bytes:
    """One layer on inputs of several batches, each a signature with a subgraph of its own."""
    builder = ModelBuilder()
    shared = builder.buffer(weights)
    for number, batch in enumerate(rows):
        graph = number and builder.subgraph()
        x = builder.tensor("x", [batch, weights.shape[1]], graph=graph)
        kernel = builder.tensor("kernel", weights.shape, buffer=shared, graph=graph)
        y = builder.fully_connected(x, kernel, np.ones(len(weights), np.float32), graph=graph)
        builder.io([x], [y], graph)
        builder.signature(f"batch{batch}", {"x": x}, {"y": y}, graph)
    return builder.build()


def test_signatures_of_several_batches_agree_on_one_encoding() -> None:
    alone = [convert(signatures_model((rows,)), min_speedup=0.01).report.layers[0].encoding for rows in (1, 32)]
    assert alone[0] != alone[1]
    data = signatures_model()
    converted = convert(data, min_speedup=0.01)
    first, second = converted.report.layers
    assert (first.verdict, second.verdict) == ("sparse", "sparse")
    assert first.encoding == second.encoding
    assert len({graph.input_tensor(subgraph, op, 1).buffer for graph, subgraph, op in operators(converted.tflite)}) == 1
    assert len(converted.tflite) < 0.5 * len(data)
    report = tfprune.verify(data, converted.tflite)
    assert report, str(report)
    assert len(report.outputs) == 2


def test_where_one_of_them_is_too_slow_all_stay_dense() -> None:
    data = signatures_model(weights=pruned((256, 128), sparsity=0.5, rows=1))
    layers = convert(data, min_speedup=1.05).report.layers
    assert {layer.reason_code for layer in layers} <= {"too_slow", "shared_weights", "not_smaller"}
    assert all(layer.verdict == "dense" for layer in layers)


def test_two_lstms_of_one_weight_share_the_packed_ones() -> None:
    data = LstmFile(features=32, layers=2, share=True).build()
    converted = convert(data, min_speedup=0.01)
    assert names(converted.tflite) == ["TfpruneLSTM"] * 2
    for place in (1, 2):
        weights = {
            graph.input_tensor(subgraph, op, place).buffer for graph, subgraph, op in operators(converted.tflite)
        }
        assert len(weights) == 1
    assert len(converted.tflite) < 0.75 * len(data)
    report = tfprune.verify(data, converted.tflite)
    assert report, str(report)
    assert tfprune.verify(data, convert(converted.tflite, target="dense").tflite)


def test_an_lstm_whose_weights_something_else_reads_stays_whole() -> None:
    model = tfl.ModelT.InitFromPackedBuf(LstmFile(features=32).build(), 0)
    builder = ModelBuilder()
    builder.model = model
    graph = model.subgraphs[0]
    gate = int(graph.operators[0].inputs[8])
    y = builder.tensor("sum", [32, 32])
    opcode = builder.opcode(tfl.BuiltinOperator.ADD)
    builder.operator(opcode, [gate, gate], [y], tfl.AddOptionsT(), tfl.BuiltinOptions.AddOptions)
    builder.io(graph.inputs, [*graph.outputs, y])
    model.signatureDefs = []
    data = builder.build()
    converted = convert(data, min_speedup=0.01)
    assert converted.tflite == data
    assert [layer.reason_code for layer in converted.report.layers] == ["shared_weights"] * 2
