# SPDX-License-Identifier: Apache-2.0
"""EfficientNet-Lite0, which ``keras.applications`` does not hold.

EfficientNet-B0 (Tan and Le, ICML 2019) with the changes of its Lite family: no squeeze-and-excitation, ReLU6 in place
of swish, and stem and head of one size in all members.
"""

from __future__ import annotations

from typing import Any

STEM, HEAD = 32, 1280
#: Stages: blocks, kernel, stride of the first block, expansion, output channels.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_EPSILON = 1e-3


def efficientnet_lite0(input_shape: tuple[int, int, int] = (224, 224, 3), classes: int = 1000) -> Any:
    """Returns the network with random weights; its outputs are logits."""
    import keras

    image = keras.Input(input_shape)
    x = _activated(keras.layers.Conv2D(STEM, 3, strides=2, padding="same", use_bias=False, name="stem")(image), "stem")
    for stage, (blocks, kernel, stride, expansion, channels) in enumerate(STAGES):
        for block in range(blocks):
            x = _block(x, f"stage{stage}_{block}", kernel, stride if block == 0 else 1, expansion, channels)
    x = _activated(keras.layers.Conv2D(HEAD, 1, use_bias=False, name="head")(x), "head")
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, keras.layers.Dense(classes, name="classes")(x), name="efficientnet_lite0")


def _block(x: Any, name: str, kernel: int, stride: int, expansion: int, channels: int) -> Any:
    """Inverted residual block: expand, depthwise, project; added to its input where the shapes allow."""
    import keras

    start, inputs = x, x.shape[-1]
    if expansion > 1:
        x = keras.layers.Conv2D(inputs * expansion, 1, use_bias=False, name=f"{name}_expand")(x)
        x = _activated(x, f"{name}_expand")
    depthwise = keras.layers.DepthwiseConv2D(
        kernel, strides=stride, padding="same", use_bias=False, name=f"{name}_depthwise"
    )
    x = _activated(depthwise(x), f"{name}_depthwise")
    x = keras.layers.Conv2D(channels, 1, use_bias=False, name=f"{name}_project")(x)
    x = keras.layers.BatchNormalization(epsilon=_EPSILON, name=f"{name}_project_norm")(x)
    return keras.layers.Add(name=f"{name}_add")([start, x]) if stride == 1 and inputs == channels else x


def _activated(x: Any, name: str) -> Any:
    import keras

    x = keras.layers.BatchNormalization(epsilon=_EPSILON, name=f"{name}_norm")(x)
    return keras.layers.ReLU(max_value=6.0, name=f"{name}_relu")(x)
