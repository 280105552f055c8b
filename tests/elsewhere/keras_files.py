# SPDX-License-Identifier: Apache-2.0
"""Keras models exported with ``format="litert"``."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tests.elsewhere.check import Exported
from tfprune import select
from tfprune.keras.layers import find_weights
from tfprune.sparsity.patterns import Groups

layers = keras.layers


def mixed() -> Any:
    x = given = keras.Input((16, 16, 16))
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(64, 3, padding="same", use_bias=False)(x)))
    x = layers.Add()([x, layers.Conv2D(64, 3, padding="same", activation="relu")(x)])
    x = layers.Conv2DTranspose(64, 2, strides=2)(layers.Conv2D(128, 3, strides=2, groups=4, padding="same")(x))
    x = layers.Dense(256, activation="gelu")(layers.GlobalAveragePooling2D()(x))
    return keras.Model(given, layers.Dense(64)(x))


def attention() -> Any:
    x = given = keras.Input((16, 128))
    x = layers.LayerNormalization()(x + layers.MultiHeadAttention(4, 32)(x, x))
    return keras.Model(given, x + layers.Dense(128)(layers.Dense(256, activation="gelu")(x)))


def unrolled() -> Any:
    given = keras.Input((4, 64))
    return keras.Model(given, layers.Dense(64)(layers.LSTM(128, unroll=True)(given)))


def _file(make: Callable[[], Any], **options: Any) -> Exported:
    keras.utils.set_random_seed(0)
    model = make()
    for weight in find_weights(model, "*", 1)[0]:
        kernel = np.array(weight.variable)
        weight.variable.assign(kernel * select(kernel, Groups(GROUP_ROWS), 0.8, layout=weight.layout))
    x = np.random.default_rng(0).standard_normal((1, *model.inputs[0].shape[1:])).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        model.export(path, format="litert", verbose=False, **options)
        compared = {} if options else {"x": x, "y": np.array(model(x))}
        return Exported(path.read_bytes(), **compared)


GROUP_ROWS = 4
#: Files by name.
FILES: dict[str, Callable[[], Exported]] = {
    "mixed CNN": lambda: _file(mixed),
    "attention": lambda: _file(attention),
    "LSTM, unrolled": lambda: _file(unrolled),
    "mixed CNN, dynamic range": lambda: _file(mixed, optimizations=[tf.lite.Optimize.DEFAULT]),
}
