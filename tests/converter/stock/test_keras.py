# SPDX-License-Identifier: Apache-2.0
"""Keras models through the TFLite converter and ``target="stock"``: residual, depthwise and concatenated networks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfprune
from tests.converter.stock.graphs import assert_same, macs

keras = pytest.importorskip("keras")
layers = keras.layers


def residual() -> Any:
    """Two residual blocks, one with a projection, and a dense head."""
    x = inputs = keras.Input((16, 16, 3), batch_size=1)
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(16, 3, padding="same")(x)))
    for stride, channels in ((1, 16), (2, 32)):
        y = layers.Conv2D(channels, 3, strides=stride, padding="same")(x)
        y = layers.ReLU()(layers.BatchNormalization()(y))
        y = layers.BatchNormalization()(layers.Conv2D(channels, 3, padding="same")(y))
        x = layers.Conv2D(channels, 1, strides=stride)(x) if stride > 1 else x
        x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(10)(layers.Dense(24, activation="relu")(x)))


def depthwise() -> Any:
    """Inverted residuals with explicit padding, as MobileNet has them."""
    x = inputs = keras.Input((17, 17, 3))
    x = layers.ReLU(6.0)(layers.BatchNormalization()(layers.Conv2D(8, 3, strides=2, padding="same")(x)))
    for stride in (1, 2):
        y = layers.ReLU(6.0)(layers.BatchNormalization()(layers.Conv2D(24, 1)(x)))
        if stride > 1:
            y = layers.ZeroPadding2D(((0, 1), (0, 1)))(y)
        y = layers.DepthwiseConv2D(3, strides=stride, padding="valid" if stride > 1 else "same")(y)
        y = layers.ReLU(6.0)(layers.BatchNormalization()(y))
        y = layers.BatchNormalization()(layers.Conv2D(8, 1)(y))
        x = layers.Add()([x, y]) if stride == 1 else y
    return keras.Model(inputs, layers.Dense(5)(layers.Flatten()(x)))


def concatenated() -> Any:
    """Parallel branches and pooling, as in Inception."""
    x = inputs = keras.Input((12, 12, 4))
    for _ in range(2):
        a = layers.Conv2D(8, 1, activation="relu")(x)
        b = layers.Conv2D(8, 3, padding="same", activation="relu")(layers.Conv2D(6, 1, activation="relu")(x))
        c = layers.Conv2D(8, 1, activation="relu")(layers.AveragePooling2D(3, 1, padding="same")(x))
        x = layers.MaxPooling2D(2)(layers.Concatenate()([a, b, c]))
    return keras.Model(inputs, layers.Dense(5, activation="softmax")(layers.GlobalAveragePooling2D()(x)))


def prune(model: Any, seed: int = 0) -> None:
    """Half of the filters, an outer kernel row, and random normalization."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            count = layer.gamma.shape[0]
            shift = rng.normal(0, 0.3, count)
            layer.set_weights([rng.uniform(0.5, 1.5, count), shift, shift[::-1], rng.uniform(0.5, 1.5, count)])
        elif isinstance(layer, layers.DepthwiseConv2D):
            kernel, *bias = layer.get_weights()
            kernel[2] = 0
            layer.set_weights([kernel, *bias])
        elif isinstance(layer, layers.Conv2D):
            kernel, *bias = layer.get_weights()
            kernel[..., rng.random(kernel.shape[-1]) < 0.5] = 0
            if kernel.shape[0] == 3:
                kernel[0] = 0
            layer.set_weights([kernel, *(rng.normal(0, 0.5, each.shape) for each in bias)])


def converted(model: Any, precision: str) -> bytes:
    tf = pytest.importorskip("tensorflow")
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    shape = (1, *model.input_shape[1:])
    rng = np.random.default_rng(0)
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if precision == "int8":
        converter.representative_dataset = lambda: ([rng.normal(size=shape).astype("float32")] for _ in range(10))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())


@pytest.mark.slow
# TensorFlow's calibration of int8, which uses its own deprecated path.
@pytest.mark.filterwarnings("ignore:Statistics for quantized inputs were expected:UserWarning")
@pytest.mark.parametrize("precision", ["float32", "float16", "int8", "dynamic"])
@pytest.mark.parametrize("build", [residual, depthwise, concatenated])
def test_networks(build: Callable[[], Any], precision: str) -> None:
    keras.utils.set_random_seed(0)
    model = build()
    prune(model)
    data = converted(model, precision)
    result = tfprune.convert(data, target="stock")
    assert_same(data, result.tflite, exact=precision == "int8")
    if None in model.input_shape and precision != "dynamic":
        assert_same(data, result.tflite, batch=3)
    before, after = macs(result.report.layers)
    # Less is free in integers, where a constant that is padded cannot be merged.
    assert after < (0.75 if precision == "float32" else 0.92) * before
    assert len(result.tflite) < len(data)
    assert all(layer.verdict == "smaller" or layer.reason for layer in result.report.layers)


@pytest.mark.slow
def test_a_keras_file_and_the_command_line(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from tfprune.cli import main

    model = residual()
    prune(model)
    path = tmp_path / "net.keras"
    model.save(path)
    output = tmp_path / "net.stock.tflite"
    done = CliRunner().invoke(main, ["convert", str(path), "--target", "stock", "-o", str(output)])
    assert done.exit_code == 0, done.output
    assert "became smaller" in done.output
    assert output.stat().st_size > 0


def test_layers_of_a_cut_transposed_convolution_with_open_batch_are_equal() -> None:
    inputs = keras.Input((8, 8, 16))
    x = layers.Conv2D(32, 3, padding="same")(inputs)
    x = layers.Conv2DTranspose(32, 2, strides=2)(x)
    model = keras.Model(inputs, layers.Conv2D(16, 3, padding="same")(x))
    for layer, axis in ((model.layers[1], 3), (model.layers[2], 2)):
        kernel, bias = layer.get_weights()
        np.moveaxis(kernel, axis, 0)[::2] = 0
        layer.set_weights([kernel, bias])
    result = tfprune.convert(model, target="stock")
    assert [layer.verdict for layer in result.report.layers] == ["smaller", "smaller", "dense"]
    report = tfprune.verify(result.dense, result.tflite, layers=True)
    assert report, report.first_difference
    # SHAPE says the number of channels, which is another one now.
    assert [layer.op for layer in report.layers] == ["TRANSPOSE_CONV", "CONV_2D"]
