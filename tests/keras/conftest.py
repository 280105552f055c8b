# SPDX-License-Identifier: Apache-2.0
"""Tiny data and models for the callback's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import pytest

BATCH = 4
STEPS = 6


@pytest.fixture(autouse=True)
def fresh_keras() -> Iterator[None]:
    keras.backend.clear_session(free_memory=False)
    keras.utils.set_random_seed(1)
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture
def data() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(2)
    return random.standard_normal((BATCH * STEPS, 16)).astype(np.float32), random.random((BATCH * STEPS, 1))


class ZeroWatch(keras.callbacks.Callback):
    """Remembers after every batch which kernels had how many zeros."""

    def __init__(self, *layers: str) -> None:
        super().__init__()
        self.layers = layers
        self.zeros: list[list[int]] = []

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.zeros.append([zeros(self.model, layer) for layer in self.layers])


def zeros(model: Any, layer: str) -> int:
    return int((model.get_layer(layer).kernel.numpy() == 0).sum())


@pytest.fixture
def build() -> Callable[..., Any]:
    """A compiled network with a hidden layer of 128 weights and a last layer of 8."""

    def make(optimizer: Any = "sgd", constraint: Any = None, **options: Any) -> Any:
        model = keras.Sequential(
            [
                keras.Input((16,)),
                keras.layers.Dense(8, name="hidden", kernel_constraint=constraint),
                keras.layers.BatchNormalization(name="norm"),
                keras.layers.Dense(1, name="head"),
            ]
        )
        model.compile(optimizer, "mse", **options)
        return model

    return make
