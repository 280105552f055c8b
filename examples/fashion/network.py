# SPDX-License-Identifier: Apache-2.0
"""Networks for 28 x 28 grey images: one in the style of ResNet-20, and a small one that trains in seconds."""

from __future__ import annotations

from typing import Any

import keras

STAGES = 3
BLOCKS = 3


def resnet20(width: int, classes: int = 10) -> keras.Model:
    """Returns the network: a 3x3 stem, three stages of three residual blocks, average pooling, one Dense layer.

    Stages have ``width``, ``2 * width`` and ``4 * width`` channels; the second and third start with stride 2 and a
    1x1 convolution on the shortcut. The output are logits ``[N, classes]``.

    Args:
        width: channels of the first stage, at least 1.
        classes: number of outputs.
    """
    image = keras.layers.Input((28, 28, 1), name="image")
    x = _convolution(image, width, 3, 1, "stem")
    x = keras.layers.ReLU(name="stem_relu")(x)
    for stage in range(STAGES):
        for block in range(BLOCKS):
            stride = 2 if stage > 0 and block == 0 else 1
            x = _residual_block(x, width << stage, stride, f"stage{stage + 1}_block{block + 1}")
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(image, keras.layers.Dense(classes, name="logits")(x), name=f"resnet20_w{width}")


def small(classes: int = 10) -> keras.Model:
    """Returns three convolutions and a Dense layer: a 4x4 stem with stride 4, then two of 3x3 on 4 x 4 pixels.

    The two of 3x3, 92,160 of 94,000 weights, are those that pruning chooses. The output are logits ``[N, classes]``.

    Args:
        classes: number of outputs.
    """
    x = image = keras.layers.Input((28, 28, 1), name="image")
    for name, channels, kernel, stride in (("stem", 32, 4, 4), ("conv1", 64, 3, 2), ("conv2", 128, 3, 1)):
        x = keras.layers.ReLU(name=f"{name}_relu")(_convolution(x, channels, kernel, stride, name))
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(image, keras.layers.Dense(classes, name="logits")(x), name="small")


def _residual_block(x: Any, channels: int, stride: int, name: str) -> Any:
    shortcut = x
    if x.shape[-1] != channels:
        shortcut = _convolution(x, channels, 1, stride, f"{name}_shortcut")
    y = _convolution(x, channels, 3, stride, f"{name}_conv1")
    y = keras.layers.ReLU(name=f"{name}_relu1")(y)
    y = _convolution(y, channels, 3, 1, f"{name}_conv2")
    y = keras.layers.Add(name=f"{name}_add")([y, shortcut])
    return keras.layers.ReLU(name=f"{name}_relu2")(y)


def _convolution(x: Any, channels: int, kernel: int, stride: int, name: str) -> Any:
    x = keras.layers.Conv2D(
        channels, kernel, strides=stride, padding="same", use_bias=False, kernel_initializer="he_normal", name=name
    )(x)
    # Few steps an epoch: the moving statistics must follow within tens of steps, not hundreds.
    return keras.layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x)
