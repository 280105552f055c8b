# SPDX-License-Identifier: Apache-2.0
"""Cutting layers out of a model; what they take is the machine's business."""

from __future__ import annotations

import numpy as np
import pytest

import tfprune
from tests.converter.helpers import convert
from tests.models.builder import RELU, ModelBuilder, fully_connected_model, pruned
from tfprune.converter.graph import Graph
from tfprune.converter.layer_timing import cut_operator, time_layers
from tfprune.converter.verify import verify
from tfprune.errors import ModelError
from tfprune.runtime.interpreter import Interpreter


def _two_layers(seed: int = 0) -> bytes:
    """A convolution that gains from its zeros, and one without zeros."""
    builder = ModelBuilder()
    x = builder.tensor("x", [1, 16, 16, 64], batch=True)
    bias = np.random.default_rng(seed).standard_normal(64).astype(np.float32)
    h = builder.conv_2d(x, pruned((64, 3, 3, 64), 0.9, seed=seed), bias, activation=RELU, name="first")
    y = builder.conv_2d(h, pruned((8, 1, 1, 64), 0.0), bias[:8], name="second")
    builder.io([x], [y])
    return builder.build()


def test_each_layer_is_timed_with_its_twin() -> None:
    converted = convert(_two_layers())
    seen: list[tuple[int, int]] = []
    first, second = time_layers(
        converted.dense, converted.tflite, runs=2, progress=lambda done, total: seen.append((done, total))
    )
    assert (first.layer, first.op, first.weights) == ("first", "CONV_2D", (64, 3, 3, 64))
    assert first.sparse_ms is not None
    assert first.sparse_ms > 0
    assert first.kernel
    assert (second.layer, second.sparse_ms, second.speedup, second.kernel) == ("second", None, None, "")
    assert second.dense_ms > 0
    assert seen == [(1, 2), (2, 2)]


def test_cut_layers_compute_what_they_did_in_the_model() -> None:
    converted = convert(_two_layers())
    dense, sparse = Graph(converted.dense), Graph(converted.tflite)
    pairs = list(zip(dense.operators(), sparse.operators(), strict=True))
    assert [sparse.op_name(twin) for _, (_, _, twin) in pairs] == ["TfpruneConv2D", "CONV_2D"]
    x = np.random.default_rng(0).standard_normal((2, 16, 16, 64)).astype(np.float32)
    h = x
    for (subgraph, _, op), (_, _, twin) in pairs:
        cut = cut_operator(dense, subgraph, op), cut_operator(sparse, subgraph, twin)
        assert verify(*cut, h)
        h = np.asarray(Interpreter(cut[1]).predict(h))
    np.testing.assert_allclose(h, np.asarray(Interpreter(converted.dense).predict(x)), rtol=1e-4, atol=1e-4)


def test_a_layer_in_the_sparse_form_of_tflite_can_be_cut_out() -> None:
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(512, 512)) * np.repeat(rng.random((512, 128)) < 0.1, 4, axis=1)
    dense = fully_connected_model(weights.astype(np.float32), np.ones(512, np.float32))
    content = tfprune.convert(dense, target="stock").tflite
    graph = Graph(content)
    ((subgraph, _, op),) = [each for each in graph.operators() if graph.op_name(each[2]) == "FULLY_CONNECTED"]
    assert graph.tensor(subgraph, int(op.inputs[1])).sparsity is not None
    assert verify(content, cut_operator(graph, subgraph, op), np.ones((1, 512), np.float32))


def test_cutting_leaves_the_model_as_it_was() -> None:
    content = _two_layers()
    graph = Graph(content)
    before = graph.to_bytes()
    for subgraph, _, op in graph.operators():
        cut_operator(graph, subgraph, op)
    assert graph.to_bytes() == before


def test_files_that_do_not_belong_together_are_refused() -> None:
    builder = ModelBuilder()
    x = builder.tensor("x", [1, 16, 16, 64])
    builder.io([x], [builder.conv_2d(x, pruned((64, 3, 3, 64), 0.9), np.zeros(64, np.float32), name="other")])
    other = builder.build()
    with pytest.raises(ModelError, match="no operator of it writes `first`"):
        time_layers(_two_layers(), other)
    with pytest.raises(ModelError, match="no operator of it writes `other`"):
        time_layers(other, other.replace(b"other", b"older"))
