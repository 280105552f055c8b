# SPDX-License-Identifier: Apache-2.0
"""Small models for tests of mapping."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers


def convolutional(size: int = 24) -> Any:
    """One layer of every kind that rules speak of, with names of its own."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((size, size, 3))
    x = layers.Conv2D(32, 3, padding="same", name="stem")(inputs)
    x = layers.ReLU()(x)
    x = layers.Conv2D(48, 3, padding="same", name="three")(x)
    x = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = layers.Conv2D(64, 1, name="pointwise")(x)
    x = layers.Conv2D(32, 5, padding="same", name="larger")(x)
    x = layers.Conv2D(6, 1, name="narrow")(x)
    x = layers.Conv2DTranspose(32, 4, strides=2, padding="same", name="transposed")(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(128, name="hidden")(x)
    return keras.Model(inputs, layers.Dense(10, name="last")(x), name="small")
