# SPDX-License-Identifier: Apache-2.0
"""Networks for small images in the styles of ResNet-20, VGG-16 and MobileNetV2, and a small one, trained in seconds."""

from __future__ import annotations

from typing import Any

import keras

STAGES = 3
BLOCKS = 3
GREY = (28, 28, 1)
#: Convolutions of each stage of VGG-16 that images of 28 or 32 pixels leave room for.
_VGG = (2, 2, 3, 3)


def resnet20(width: int, classes: int = 10, shape: tuple[int, int, int] = GREY) -> keras.Model:
    """Returns the network: a 3x3 stem, three stages of three residual blocks, average pooling, one Dense layer.

    Stages have ``width``, ``2 * width`` and ``4 * width`` channels; the second and third start with stride 2 and a
    1x1 convolution on the shortcut. The output are logits ``[N, classes]``.

    Args:
        width: channels of the first stage, at least 1.
        classes: number of outputs.
        shape: height, width and channels of images.
    """
    image = keras.layers.Input(shape, name="image")
    x = _convolution(image, width, 3, 1, "stem")
    x = keras.layers.ReLU(name="stem_relu")(x)
    for stage in range(STAGES):
        for block in range(BLOCKS):
            stride = 2 if stage > 0 and block == 0 else 1
            x = _residual_block(x, width << stage, stride, f"stage{stage + 1}_block{block + 1}")
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(image, keras.layers.Dense(classes, name="logits")(x), name=f"resnet20_w{width}")


def vgg(width: int, classes: int = 10, shape: tuple[int, int, int] = GREY) -> keras.Model:
    """Returns a network in the style of VGG-16: stages of 3x3 convolutions with a pooling behind each, one Dense layer.

    Stages have ``width``, ``2 * width``, ``4 * width`` and ``8 * width`` channels. The output are logits
    ``[N, classes]``.

    Args:
        width: channels of the first stage, at least 1.
        classes: number of outputs.
        shape: height, width and channels of images.
    """
    x = image = keras.layers.Input(shape, name="image")
    for stage, count in enumerate(_VGG):
        for place in range(count):
            name = f"stage{stage + 1}_conv{place + 1}"
            x = keras.layers.ReLU(name=f"{name}_relu")(_convolution(x, width << stage, 3, 1, name))
        if stage < len(_VGG) - 1:
            x = keras.layers.MaxPooling2D(name=f"stage{stage + 1}_pool")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(image, keras.layers.Dense(classes, name="logits")(x), name=f"vgg_w{width}")


#: Stages of MobileNetV2: expansion, channels at width 1, blocks, stride of the first.
_INVERTED = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 1), (6, 320, 1, 1))


def mobilenet_v2(width: float, classes: int = 10, shape: tuple[int, int, int] = GREY) -> keras.Model:
    """Returns MobileNetV2 for small images: its first and its last convolution of stride 2 have stride 1.

    The output are logits ``[N, classes]``.

    Args:
        width: multiplier of all channels, above 0; channels are multiples of 8.
        classes: number of outputs.
        shape: height, width and channels of images.
    """
    x = image = keras.layers.Input(shape, name="image")
    x = _relu6(_convolution(x, _multiple_of_8(32 * width), 3, 1, "stem"), "stem")
    place = 0
    for expansion, channels, blocks, stride in _INVERTED:
        for block in range(blocks):
            step = stride if block == 0 else 1
            x = _inverted_residual(x, expansion, _multiple_of_8(channels * width), step, f"block{place}")
            place += 1
    x = _relu6(_convolution(x, _multiple_of_8(1280 * width), 1, 1, "last"), "last")
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(image, keras.layers.Dense(classes, name="logits")(x), name=f"mobilenet_v2_w{width:g}")


def small(classes: int = 10, shape: tuple[int, int, int] = GREY) -> keras.Model:
    """Returns three convolutions and a Dense layer: a 4x4 stem with stride 4, then two of 3x3 on 4 x 4 pixels.

    The two of 3x3, 92,160 of 94,000 weights, are those that pruning chooses. The output are logits ``[N, classes]``.

    Args:
        classes: number of outputs.
        shape: height, width and channels of images.
    """
    x = image = keras.layers.Input(shape, name="image")
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


def _inverted_residual(x: Any, expansion: int, channels: int, stride: int, name: str) -> Any:
    y = x
    if expansion > 1:
        y = _relu6(_convolution(y, x.shape[-1] * expansion, 1, 1, f"{name}_expand"), f"{name}_expand")
    y = keras.layers.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False, name=f"{name}_depthwise")(y)
    y = _relu6(keras.layers.BatchNormalization(momentum=0.9, name=f"{name}_depthwise_bn")(y), f"{name}_depthwise")
    y = _convolution(y, channels, 1, 1, f"{name}_project")
    same = stride == 1 and x.shape[-1] == channels
    return keras.layers.Add(name=f"{name}_add")([y, x]) if same else y


def _relu6(x: Any, name: str) -> Any:
    return keras.layers.ReLU(6.0, name=f"{name}_relu")(x)


def _multiple_of_8(channels: float) -> int:
    return max(8, round(channels / 8) * 8)


def _convolution(x: Any, channels: int, kernel: int, stride: int, name: str) -> Any:
    x = keras.layers.Conv2D(
        channels, kernel, strides=stride, padding="same", use_bias=False, kernel_initializer="he_normal", name=name
    )(x)
    # Few steps an epoch: the moving statistics must follow within tens of steps, not hundreds.
    return keras.layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x)
