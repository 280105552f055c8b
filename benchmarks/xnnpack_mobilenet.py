# SPDX-License-Identifier: Apache-2.0
"""A MobileNetV1 that XNNPACK's own sparse mode accepts.

The rules of that mode: the network starts with a 3x3 convolution of stride 2 on 3 channels with a padding of 1 on all
sides; padding elsewhere is as even; 1x1 and depthwise convolutions and element-wise ops follow, up to a global mean;
more than two thirds of all weights of the 1x1 convolutions are zero; and they come as sparse tensors, each through a
``DENSIFY`` op, which TFLite's converter writes with ``EXPERIMENTAL_SPARSITY``. `keras.applications.MobileNet` pads
unevenly and keeps the mean's dimensions, so that it always runs dense. Where a rule is broken, XNNPACK says nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import tfprune as tp

#: Output channels and stride of each pair of a depthwise and a 1x1 convolution.
BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))


def mobilenet_v1(size: int, pattern: Any, sparsity: float, seed: int = 0) -> Any:
    """Returns the network with its 1x1 convolutions pruned; weights are random and keep activations at one size."""
    import keras

    random = np.random.default_rng(seed)
    image = keras.Input((size, size, 3), batch_size=1)
    x = _convolution(keras.layers.Conv2D(32, 3, strides=2), image, random, 27)
    for channels, stride in BLOCKS:
        x = _convolution(keras.layers.DepthwiseConv2D(3, strides=stride), x, random, 9)
        layer = keras.layers.Conv2D(channels, 1)
        inputs = x.shape[-1]
        x = _convolution(layer, x, random, inputs)
        kernel = np.asarray(layer.kernel)
        kernel = kernel * tp.select(kernel, pattern, sparsity, layout="conv2d") / np.sqrt(1 - sparsity)
        layer.kernel.assign(kernel)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, keras.layers.Dense(1000)(x))


def _convolution(layer: Any, x: Any, random: np.random.Generator, fan_in: int) -> Any:
    """Even padding, the layer with fresh weights, ReLU6."""
    import keras

    if layer.kernel_size[0] > 1:
        x = keras.layers.ZeroPadding2D(1)(x)
    x = layer(x)
    layer.kernel.assign(random.normal(0, np.sqrt(2 / fan_in), layer.kernel.shape))
    layer.bias.assign(random.normal(0, 0.1, layer.bias.shape))
    return keras.layers.ReLU(max_value=6.0)(x)


def tflite(model: Any, sparse_tensors: bool) -> bytes:
    """Converts it, with the 1x1 kernels as sparse tensors or as ordinary ones."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if sparse_tensors:
        converter.optimizations = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY]
    content: bytes = converter.convert()
    return content
