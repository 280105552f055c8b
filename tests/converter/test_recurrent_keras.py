# SPDX-License-Identifier: Apache-2.0
"""Keras' recurrent and attention layers, pruned with tfprune's patterns: converted, smaller, equal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tfprune
from tests.converter.helpers import convert, names
from tests.converter.test_lstm import runs
from tfprune.errors import ConversionError
from tfprune.keras.layers import find_weights
from tfprune.sparsity.patterns import BlockRowsColumns, Groups, Pattern, Unstructured

keras = pytest.importorskip("keras")
layers = keras.layers
pytestmark = [
    pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="conversion needs the tensorflow backend"),
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
]

STEPS, FEATURES = 6, 64
BLOCKS = BlockRowsColumns(rows=64, cols=64)


def pruned_model(call: Callable[[Any], Any], pattern: Pattern, batch: int | None, steps: int | None = STEPS) -> Any:
    """A model of one layer whose kernels hold 80 % zeros."""
    keras.utils.set_random_seed(1)
    x = keras.Input((steps, FEATURES), batch_size=batch)
    model = keras.Model(x, call(x))
    found, _ = find_weights(model, "*", 1)
    assert found
    for weight in found:
        kernel = np.array(weight.variable)
        weight.variable.assign(kernel * tfprune.select(kernel, pattern, 0.8, layout=weight.layout))
    return model


def attention(x: Any) -> Any:
    return layers.MultiHeadAttention(4, 16)(x, x)


def check(model: Any, packed: int, ratio: float, precision: str = "float32", rtol: float = 1e-4) -> Any:
    """Converts, compares and returns the conversion; ``packed`` is how many matrices become sparse."""
    converted = convert(model, min_speedup=0.01, precision=precision)
    sparse = [layer for layer in converted.report.layers if layer.verdict == "sparse"]
    assert len(sparse) == packed, str(converted.report)
    assert sum(name.startswith("Tfprune") for name in names(converted.tflite)) == packed
    assert len(converted.tflite) <= ratio * len(converted.dense)
    report = tfprune.verify(converted.dense, converted.tflite, rtol=rtol)
    assert report, str(report)
    assert all(output.largest > 0.01 for output in report.outputs)
    return converted


def test_an_lstm_runs_sparse_in_its_loop() -> None:
    converted = check(pruned_model(layers.LSTM(128), BLOCKS, 1), 2, 0.35)
    assert tfprune.Interpreter(converted.tflite).inputs()[0].shape == (1, STEPS, FEATURES)
    assert "WHILE" in names(converted.tflite)
    assert {layer.subgraph for layer in converted.report.layers} != {0}


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(
    ("layer", "packed"),
    [
        (lambda: layers.LSTM(128), 2),
        (lambda: layers.LSTM(128, return_sequences=True), 2),
        (lambda: layers.GRU(128), 2),
        (lambda: layers.GRU(128, reset_after=False), 3),
        (lambda: layers.Bidirectional(layers.LSTM(128)), 4),
        (lambda: layers.RNN(layers.LSTMCell(128)), 2),
        (lambda: layers.RNN([layers.LSTMCell(128), layers.GRUCell(96)]), 4),
        (lambda: layers.SimpleRNN(128), 2),
        # The state of the first step is zero.
        (lambda: layers.LSTM(128, unroll=True), 2 * STEPS - 1),
    ],
    ids=["lstm", "sequences", "gru", "gru_before", "bidirectional", "cell", "stacked", "simple", "unrolled"],
)
def test_recurrent_layers(layer: Callable[[], Any], packed: int, batch: int) -> None:
    check(pruned_model(layer(), BLOCKS, batch), packed, 0.4)


@pytest.mark.slow
@pytest.mark.parametrize("pattern", [Groups(rows=8), Groups(rows=1, cols=4), Unstructured(), BLOCKS], ids=str)
@pytest.mark.parametrize(
    ("layer", "packed"),
    [
        (attention, 4),
        (layers.EinsumDense("abc,cde->abde", output_shape=(None, 4, 32)), 1),
        (layers.EinsumDense("abc,bcd->abd", output_shape=(STEPS, 64)), 1),
        (layers.Dense(128, activation="relu"), 1),
        (layers.TimeDistributed(layers.Dense(128)), STEPS),
    ],
    ids=["attention", "heads", "batched", "dense", "time_distributed"],
)
def test_layers_on_sequences_with_an_open_batch(layer: Any, packed: int, pattern: Pattern) -> None:
    fresh = (
        layer
        if callable(layer) and not isinstance(layer, layers.Layer)
        else type(layer).from_config(layer.get_config())
    )
    check(pruned_model(fresh, pattern, None), packed, 1)


@pytest.mark.slow
def test_sequences_of_any_length() -> None:
    converted = check(pruned_model(layers.LSTM(128), BLOCKS, 1, steps=None), 2, 0.4)
    for steps in (1, 5, 11):
        x = np.random.default_rng(steps).standard_normal((1, steps, FEATURES)).astype(np.float32)
        assert tfprune.verify(converted.dense, converted.tflite, x)


@pytest.mark.slow
def test_a_stateful_layer_goes_on_where_it_was() -> None:
    model = pruned_model(layers.LSTM(128, stateful=True), BLOCKS, 1)
    converted = check(model, 2, 0.4)
    x = np.random.default_rng(0).standard_normal((1, STEPS, FEATURES)).astype(np.float32)
    expected = runs(converted.dense, [x] * 3)
    assert np.abs(expected[1] - expected[0]).max() > 1e-3
    for want, got in zip(expected, runs(converted.tflite, [x] * 3), strict=True):
        np.testing.assert_allclose(got, want, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float16", "dynamic"])
def test_other_precisions_in_a_loop(precision: str) -> None:
    # Stock LiteRT runs int8 weights with its own rounding of the inputs.
    check(
        pruned_model(layers.LSTM(128), Groups(rows=8), 1), 2, 0.6, precision, 0.02 if precision == "dynamic" else 1e-4
    )


@pytest.mark.slow
def test_what_tensorflow_cannot_convert_is_said_with_a_remedy() -> None:
    with pytest.raises(ConversionError, match=r"batch_size=1.*unroll=True"):
        convert(pruned_model(layers.LSTM(128), BLOCKS, None))
    data = np.zeros((4, STEPS, FEATURES), np.float32)
    with pytest.raises(ConversionError, match="'dynamic'"):
        convert(pruned_model(layers.GRU(128), BLOCKS, 1), precision="int8", representative_data=data)
