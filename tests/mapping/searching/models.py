# SPDX-License-Identifier: Apache-2.0
"""A small trained network, its data and what its layers may become."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfprune.mapping.choice import DENSE, Choice
from tfprune.sparsity.patterns import BlockPunched, Groups

CHOICES = (
    DENSE,
    *(Choice(Groups(4), rate) for rate in (0.5, 0.6, 0.7, 0.8, 0.9)),
    Choice(BlockPunched(8, 4), 0.7),
    Choice(BlockPunched(8, 4), 0.9),
)
LAYERS = ("first", "second", "third")


def candidates() -> dict[str, tuple[Choice, ...]]:
    return dict.fromkeys(LAYERS, CHOICES)


def data(count: int = 256, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Noisy images of four classes."""
    generator = np.random.default_rng(seed)
    classes = np.random.default_rng(7).normal(size=(4, 12, 12, 3))
    labels = generator.integers(0, 4, count)
    images = classes[labels] + 2.5 * generator.normal(size=(count, 12, 12, 3))
    return images.astype(np.float32), labels


def training_data() -> tuple[np.ndarray, np.ndarray]:
    """What a worker reads for itself."""
    return data(256, seed=1)


def build() -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            layers.Conv2D(32, 3, padding="same", use_bias=False, name="first"),
            layers.BatchNormalization(momentum=0.8, name="norm"),
            layers.ReLU(),
            layers.Conv2D(64, 3, padding="same", name="second"),
            layers.ReLU(),
            layers.Conv2D(64, 1, name="third"),
            layers.AveragePooling2D(3),
            layers.Flatten(),
            layers.Dense(4, name="head"),
        ],
        name="tiny",
    )


@functools.cache
def _trained_weights() -> list[np.ndarray]:
    keras.utils.set_random_seed(3)
    model = build()
    model.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(*data(512, seed=2), epochs=5, batch_size=32, verbose=0)
    return model.get_weights()


def trained() -> Any:
    model = build()
    model.set_weights(_trained_weights())
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.003), loss, metrics=["accuracy"])
    return model


def saved(folder: Path) -> Path:
    path = folder / "tiny.keras"
    trained().save(path)
    return path
