# SPDX-License-Identifier: Apache-2.0
"""Weights that the branches of an IF take as arguments: packed where both only read them."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tfl

import tfprune
from tests.converter.helpers import convert, names, operators
from tests.models import ModelBuilder, pruned
from tests.models.builder import RELU

UNITS = 64
WEIGHTS = pruned((UNITS, UNITS))
BIAS = np.linspace(-1, 1, UNITS).astype(np.float32)


def branch_model(*, returned: bool = False, shared_branch: bool = False) -> bytes:
    """``relu(W x + b)`` or ``W x + b``, as the input ``flag`` says; W and b are arguments of both branches.

    Args:
        returned: whether the branches also return W.
        shared_branch: whether both branches are one subgraph.
    """
    builder = ModelBuilder()
    for number, activation in ((builder.subgraph(), RELU), (builder.subgraph(), 0)):
        x = builder.tensor("x", [1, UNITS], graph=number)
        weights, bias = builder.tensor("w", WEIGHTS.shape, graph=number), builder.tensor("b", [UNITS], graph=number)
        y = builder.fully_connected(x, weights, activation=activation, graph=number)
        op = builder.model.subgraphs[number].operators[-1]
        op.inputs = np.array([x, weights, bias], np.int32)
        builder.io([x, weights, bias], [y, weights] if returned else [y], number)
    flag, x = builder.tensor("flag", [], "bool"), builder.tensor("x", [1, UNITS])
    weights, bias = builder.constant("w", WEIGHTS), builder.constant("b", BIAS)
    outputs = [builder.tensor("y", [1, UNITS])]
    outputs += [builder.tensor("w2", WEIGHTS.shape)] * returned
    options = tfl.IfOptionsT()
    options.thenSubgraphIndex, options.elseSubgraphIndex = 1, 1 if shared_branch else 2
    opcode = builder.opcode(tfl.BuiltinOperator.IF)
    builder.operator(opcode, [flag, x, weights, bias], outputs, options, tfl.BuiltinOptions.IfOptions)
    builder.io([flag, x], outputs)
    return builder.build()


def test_arguments_become_constants_of_both_branches() -> None:
    data = branch_model()
    converted = convert(data, min_speedup=0.01)
    assert names(converted.tflite).count("TfpruneFullyConnected") == 2
    branch = next(op for graph, _, op in operators(converted.tflite) if graph.op_name(op) == "IF")
    assert len(branch.inputs) == 2
    assert len(converted.tflite) < 0.7 * len(data)
    x = np.random.default_rng(0).standard_normal((1, UNITS)).astype(np.float32)
    linear = WEIGHTS @ x[0] + BIAS
    for flag, expected in ((True, np.maximum(linear, 0)), (False, linear)):
        y = tfprune.Interpreter(converted.tflite).predict([np.array(flag), x])
        np.testing.assert_allclose(np.asarray(y)[0], expected, atol=1e-5)
    assert tfprune.verify(data, convert(converted.tflite, target="dense").tflite)


@pytest.mark.parametrize("options", [{"returned": True}, {"shared_branch": True}])
def test_arguments_that_a_branch_returns_or_another_one_gets_stay(options: dict[str, bool]) -> None:
    data = branch_model(**options)
    converted = convert(data, min_speedup=0.01)
    assert converted.tflite == data
    assert {layer.reason_code for layer in converted.report.layers} == {"weights_not_constant"}
    assert all("an input of their subgraph" in (layer.reason or "") for layer in converted.report.layers)
