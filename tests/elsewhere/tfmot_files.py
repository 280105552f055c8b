# SPDX-License-Identifier: Apache-2.0
"""Files of a network that TFMOT pruned. It wants Keras 2, which must be chosen before TensorFlow is imported."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import numpy as np
import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras as keras

from tests.elsewhere.check import Exported

layers = keras.layers
IMAGES = np.random.default_rng(0).standard_normal((16, 16, 16, 16)).astype(np.float32)
CLASSES = 64


@functools.cache
def pruned_network() -> Any:
    """Trained for one epoch at 85 % zeros; blocks of 1x4 in dense layers, single weights elsewhere."""
    keras.utils.set_random_seed(0)
    schedule = tfmot.sparsity.keras.ConstantSparsity(0.85, begin_step=0, frequency=1)
    prune = tfmot.sparsity.keras.prune_low_magnitude
    blocks = {"block_size": (1, 4), "block_pooling_type": "AVG"}
    x = given = keras.Input(IMAGES.shape[1:], batch_size=1)
    x = prune(layers.Conv2D(64, 3, padding="same", use_bias=False), schedule)(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.DepthwiseConv2D(3, padding="same")(x)
    x = prune(layers.Conv2D(256, 1, activation="relu"), schedule)(x)
    x = prune(layers.Dense(512, activation="relu"), schedule, **blocks)(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(given, prune(layers.Dense(CLASSES), schedule, **blocks)(x))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    step = tfmot.sparsity.keras.UpdatePruningStep()
    model.fit(IMAGES, np.arange(len(IMAGES)), batch_size=1, callbacks=[step], verbose=0)
    return tfmot.sparsity.keras.strip_pruning(model)


def _file(sparse: bool, precision: str) -> Exported:
    """Converted with TFLite's own sparse encoding or without it."""
    converter = tf.lite.TFLiteConverter.from_keras_model(pruned_network())
    converter.optimizations = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY] * sparse
    if precision != "float32":
        converter.optimizations.append(tf.lite.Optimize.DEFAULT)
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if precision == "int8":
        converter.representative_dataset = lambda: ([image[None]] for image in IMAGES)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    return Exported(bytes(converter.convert()))


#: Files by name.
FILES: dict[str, Callable[[], Exported]] = {
    f"{precision}{', sparse encoding' * sparse}": functools.partial(_file, sparse, precision)
    for sparse in (False, True)
    for precision in ("float32", "float16", "dynamic range", "int8")
}
