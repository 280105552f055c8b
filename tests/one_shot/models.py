# SPDX-License-Identifier: Apache-2.0
"""Small networks, and images as of a real task: smooth, correlated, of several classes."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from tfprune.recipe import Recipe, Rule
from tfprune.sparsity.patterns import Groups, Pattern


def images(count: int, seed: int = 0, size: int = 8, channels: int = 4) -> npt.NDArray[Any]:
    """Sums of few waves, and noise."""
    random = np.random.default_rng(seed)
    grid = np.arange(size) * (2 * np.pi / size)
    phases = random.integers(1, 3, (count, 1, channels)) * grid[None, :, None] + random.uniform(0, 6, (count, 1, 1))
    found = np.sin(phases)[:, :, None, :] * random.normal(size=(count, 1, size, 1))
    found += 0.3 * random.normal(size=found.shape)
    return (found + 0.5).astype(np.float32)


def network(norm: bool = True, activation: str | None = None) -> Any:
    """Two convolutions, a depthwise one and a classifier."""
    keras.utils.set_random_seed(0)
    inputs = x = keras.Input((8, 8, 4))
    for name in ("first", "second"):
        x = keras.layers.Conv2D(16, 3, padding="same", use_bias=not norm, activation=activation, name=name)(x)
        if norm:
            x = keras.layers.BatchNormalization(name=f"{name}_norm")(x)
        x = keras.layers.ReLU()(x)
    x = keras.layers.DepthwiseConv2D(3, name="depthwise")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dense(32, activation="relu", name="hidden")(x)
    return keras.Model(inputs, keras.layers.Dense(5, name="head")(x), name="small")


def recipe(pattern: Pattern | None = None, sparsity: float | None = 0.6) -> Recipe:
    """One rule for everything."""
    return Recipe(Rule(None, pattern or Groups(rows=4), sparsity, min_weights=100))


def output_error(model: Any, dense: npt.NDArray[Any], data: npt.NDArray[Any]) -> float:
    """Squared error of a model's outputs as a share of their variance."""
    found = np.asarray(keras.ops.convert_to_numpy(model(data, training=False)))
    return float(np.square(found - dense).sum() / np.square(dense - dense.mean(axis=0)).sum())
