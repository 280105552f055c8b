# SPDX-License-Identifier: Apache-2.0
"""A Keras model quantised to int16 activations by TFLite's converter: bit-equal when it is sparse."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import tfprune as tp

pytestmark = pytest.mark.slow
SHAPE = (24, 24, 16)


def _quantised() -> bytes:
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(1)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input(SHAPE),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.DepthwiseConv2D(3, padding="same"),
            layers.Conv2D(64, 1, activation="relu6"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(128, activation="relu"),
            layers.Dense(10),
        ]
    )
    rng = np.random.default_rng(0)
    for layer in model.layers:
        values = layer.get_weights()
        if not values or "depthwise" in layer.name or values[0].shape[-1] % 4:
            continue
        kernel = values[0]
        kept = np.repeat(rng.random((*kernel.shape[:-1], kernel.shape[-1] // 4)) < 0.2, 4, axis=-1)
        layer.set_weights([3 * kernel * kept, rng.normal(size=values[1].shape) * 0.1])

    def examples() -> Iterator[list[np.ndarray]]:
        for _ in range(10):
            yield [rng.normal(size=(1, *SHAPE)).astype(np.float32)]

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = examples
    kind = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
    converter.target_spec.supported_ops = [kind]
    converter.inference_input_type = converter.inference_output_type = tf.int16
    data: bytes = converter.convert()
    return data


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_a_whole_model_equals_the_dense_one_bit_for_bit() -> None:
    dense = _quantised()
    converted = tp.convert(dense, min_speedup=0.01)
    sparse = [layer.precision for layer in converted.report.layers if layer.verdict == "sparse"]
    # The two that were not pruned as well: the builtin kernels are so slow here that a few rounded zeros will do.
    assert sparse == ["int16"] * 5
    assert len(converted.tflite) < 0.7 * len(dense)
    limits = np.iinfo(np.int16)
    x = np.random.default_rng(3).integers(limits.min, limits.max + 1, (4, *SHAPE)).astype(np.int16)
    report = tp.verify(dense, converted.tflite, x, rtol=0.0)
    assert report.ok, report
    assert report.outputs[0].spread > 1000
