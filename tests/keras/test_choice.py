# SPDX-License-Identifier: Apache-2.0
"""Kernels that share channels are pruned together while a model trains."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers

from tfprune.keras.callback import PruningCallback
from tfprune.sparsity.patterns import Channels, Filters, Pattern
from tfprune.sparsity.schedules import ConstantSparsity


class Subclassed(keras.Model):  # type: ignore[misc]  # Keras has no type information
    """Two layers whose outputs are added by code that no graph shows."""

    def __init__(self) -> None:
        super().__init__()
        self.first = layers.Dense(12, name="first")
        self.second = layers.Dense(12, name="second")
        self.head = layers.Dense(2, name="head")

    def call(self, x: Any) -> Any:
        """Adds both."""
        x = self.first(x)
        return self.head(keras.ops.relu(x + self.second(x)))


def functional() -> keras.Model:
    inputs = keras.Input((8,))
    x = layers.Dense(12, name="first")(inputs)
    y = layers.Dense(12, name="second")(x)
    return keras.Model(inputs, layers.Dense(2, name="head")(layers.ReLU()(layers.Add()([x, y]))))


def pruned(model: keras.Model, pattern: Pattern) -> tuple[PruningCallback, dict[str, np.ndarray]]:
    keras.utils.set_random_seed(3)
    model.compile("sgd", "mse")
    images = np.random.default_rng(0).standard_normal((8, 8)).astype(np.float32)
    callback = PruningCallback(pattern, ConstantSparsity(0.5, frequency=1), filters="*", min_weights=1)
    model.fit(images, np.zeros((8, 2), np.float32), batch_size=4, epochs=1, verbose=0, callbacks=[callback])
    return callback, {name: model.get_layer(name).kernel.numpy() != 0 for name in ("first", "second", "head")}


def test_summands_lose_the_same_filters() -> None:
    callback, kept = pruned(functional(), Filters())
    filters = kept["first"].any(axis=0)
    assert filters.sum() == 6
    np.testing.assert_array_equal(filters, kept["second"].any(axis=0))
    assert "Filters, coupled" in str(callback.report)


def test_readers_lose_the_same_channels() -> None:
    _, kept = pruned(functional(), Channels())
    channels = kept["second"].any(axis=1)
    assert channels.sum() == 6
    # The sum is read by the head; its summand by the second layer: one space of channels.
    np.testing.assert_array_equal(channels, kept["head"].any(axis=1))


def test_a_model_without_a_graph_is_pruned_layer_by_layer_and_says_so() -> None:
    model = Subclassed()
    model(np.zeros((1, 8), np.float32))
    callback, kept = pruned(model, Filters())
    assert [kept[name].any(axis=0).sum() for name in ("first", "second", "head")] == [6, 6, 1]
    assert "Filters, layer by layer: the model has no graph" in str(callback.report)
