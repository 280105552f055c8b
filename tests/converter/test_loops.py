# SPDX-License-Identifier: Apache-2.0
"""Weights that enter a WHILE loop from outside: packed where they never change, left with a reason where they may."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tfl

import tfprune
from tests.converter.helpers import convert, names, operators
from tests.models import ModelBuilder, pruned
from tests.models.recurrent import loop_model
from tfprune.converter.graph import Graph
from tfprune.converter.loops import sink_invariant_constants

WEIGHTS = 0.5 * pruned((64, 64))
BIAS = np.random.default_rng(1).standard_normal(64).astype(np.float32)


def test_invariant_weights_are_packed_inside_the_loop() -> None:
    data = loop_model(WEIGHTS, BIAS)
    converted = convert(data, min_speedup=0.01)
    assert "TfpruneFullyConnected" in names(converted.tflite)
    assert len(converted.tflite) < len(data)
    loop = next(op for graph, _, op in operators(converted.tflite) if graph.op_name(op) == "WHILE")
    assert len(loop.inputs) == len(loop.outputs) == 2
    report = tfprune.verify(data, converted.tflite)
    assert report
    assert report.outputs[0].largest > 0.1


def test_the_way_back_has_the_same_outputs() -> None:
    data = loop_model(WEIGHTS, BIAS)
    dense = convert(convert(data, min_speedup=0.01).tflite, target="dense")
    assert tfprune.verify(data, dense.tflite)


@pytest.mark.parametrize("options", [{"changed": True}, {"read_behind": True}])
def test_weights_that_change_or_are_read_behind_the_loop_stay(options: dict[str, bool]) -> None:
    data = loop_model(WEIGHTS, BIAS, **options)
    converted = convert(data, min_speedup=0.01)
    assert converted.tflite == data
    assert [layer.reason_code for layer in converted.report.layers] == ["weights_not_constant"]


def test_a_loop_with_nothing_to_pack_comes_out_as_it_was() -> None:
    data = loop_model(np.ones((64, 64), np.float32), BIAS)
    assert convert(data, min_speedup=0.01).tflite == data


def test_subgraphs_that_something_else_runs_stay_as_they_are() -> None:
    graph = Graph(loop_model(WEIGHTS, BIAS))
    signature = tfl.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex, signature.inputs, signature.outputs = "body", 2, [], []
    graph.model.signatureDefs = [signature]
    assert sink_invariant_constants(graph) == 0


def nested_model() -> bytes:
    """The loop of ``loop_model`` in the body of another one, whose variables are handed on to it."""
    model = tfl.ModelT.InitFromPackedBuf(loop_model(WEIGHTS, BIAS), 0)
    main = model.subgraphs[0]
    builder = ModelBuilder()
    builder.model = model
    n = len(BIAS)
    shapes = (("i", [], "int32"), ("h", [1, n], "float32"), ("w", [n, n], "float32"), ("b", [n], "float32"))
    inner = main.operators[0]
    body = builder.subgraph()
    condition = builder.subgraph()
    inputs = [builder.tensor(name, shape, dtype, graph=body) for name, shape, dtype in shapes]
    results = [builder.tensor(f"{name}2", shape, dtype, graph=body) for name, shape, dtype in shapes]
    zero = builder.constant("zero", np.int32(0), body)
    number = builder.opcode(tfl.BuiltinOperator.WHILE)
    builder.operator(number, [zero, *inputs[1:]], results, inner.builtinOptions, tfl.BuiltinOptions.WhileOptions, body)
    step = builder.tensor("step", [], "int32", graph=body)
    options = tfl.AddOptionsT()
    opcode = builder.opcode(tfl.BuiltinOperator.ADD)
    one = builder.constant("one", np.int32(1), body)
    builder.operator(opcode, [inputs[0], one], [step], options, tfl.BuiltinOptions.AddOptions, body)
    builder.io(inputs, [step, results[1], *inputs[2:]], graph=body)
    tests = [builder.tensor(name, shape, dtype, graph=condition) for name, shape, dtype in shapes]
    go_on = builder.tensor("go_on", [], graph=condition)
    model.subgraphs[condition].tensors[go_on].type = tfl.TensorType.BOOL
    opcode = builder.opcode(tfl.BuiltinOperator.LESS)
    limit = builder.constant("limit", np.int32(2), condition)
    kind = tfl.BuiltinOptions.LessOptions
    builder.operator(opcode, [tests[0], limit], [go_on], tfl.LessOptionsT(), kind, condition)
    builder.io(tests, [go_on], graph=condition)
    options = tfl.WhileOptionsT()
    options.condSubgraphIndex, options.bodySubgraphIndex = condition, body
    inner_op = main.operators[0]
    main.operators = []
    builder.operator(number, inner_op.inputs, inner_op.outputs, options, tfl.BuiltinOptions.WhileOptions)
    return builder.build()


def test_weights_pass_through_nested_loops() -> None:
    data = nested_model()
    converted = convert(data, min_speedup=0.01)
    assert "TfpruneFullyConnected" in names(converted.tflite)
    assert tfprune.verify(data, converted.tflite)
