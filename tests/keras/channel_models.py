# SPDX-License-Identifier: Apache-2.0
"""Small networks with every way in which channels meet, and weights whose sums are exact."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers

from tfprune.keras.channels import ChannelSpace, Member, channel_graph
from tfprune.keras.permutation import reorder

IMAGE = (8, 8, 3)


def clipped(x: Any) -> Any:
    """Keeps whole numbers small, so that all sums are exact."""
    return layers.ReLU(max_value=4)(x)


def norm(x: Any) -> Any:
    """BatchNormalization that `randomize` makes exact: variance + epsilon is a power of four."""
    return clipped(layers.BatchNormalization(epsilon=2.0**-10)(x))


def chain() -> Any:
    inputs = keras.Input(IMAGE)
    x = norm(layers.Conv2D(12, 3, padding="same", use_bias=False, name="first")(inputs))
    x = layers.MaxPooling2D()(layers.ZeroPadding2D()(x))
    x = clipped(layers.Conv2D(16, 3, name="second")(x))
    x = layers.PReLU(shared_axes=(1, 2), name="slopes")(layers.UpSampling2D()(x))
    x = clipped(layers.Conv2DTranspose(12, 2, strides=2, name="transposed")(x))
    x = layers.Dropout(0.5)(layers.GlobalMaxPooling2D()(x))
    return keras.Model(inputs, layers.Dense(5, name="head")(x))


def residual() -> Any:
    """Three stages of a ResNet for small images, one block each."""
    inputs = keras.Input(IMAGE)
    x = norm(layers.Conv2D(8, 3, padding="same", name="stem")(inputs))
    for stage, width in enumerate((8, 12, 16)):
        stride = 1 if stage == 0 else 2
        y = norm(layers.Conv2D(width, 3, stride, padding="same", name=f"block{stage}_a")(x))
        y = layers.BatchNormalization(epsilon=2.0**-10)(
            layers.Conv2D(width, 3, padding="same", name=f"block{stage}_b")(y)
        )
        if stage:
            x = layers.Conv2D(width, 1, stride, name=f"block{stage}_short")(x)
        x = clipped(layers.Add()([x, y]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(5, name="head")(x))


def concatenated() -> Any:
    """A dense block: every layer reads all that came before."""
    inputs = keras.Input(IMAGE)
    x = clipped(layers.Conv2D(8, 3, padding="same", name="stem")(inputs))
    for index in range(3):
        y = clipped(layers.Conv2D(8, 1, name=f"narrow{index}")(norm(x)))
        y = layers.Conv2D(4, 3, padding="same", name=f"grow{index}")(y)
        x = layers.Concatenate()([x, y])
    x = layers.GlobalMaxPooling2D()(norm(x))
    return keras.Model(inputs, layers.Dense(5, name="head")(x))


def inverted() -> Any:
    """An inverted residual with a depthwise kernel and squeeze-and-excitation."""
    inputs = keras.Input(IMAGE)
    x = clipped(layers.Conv2D(8, 3, padding="same", name="stem")(inputs))
    y = norm(layers.Conv2D(16, 1, name="expand")(x))
    y = norm(layers.DepthwiseConv2D(3, padding="same", name="depthwise")(y))
    gate = layers.GlobalMaxPooling2D(keepdims=True)(y)
    gate = layers.Conv2D(4, 1, activation="relu6", name="squeeze")(gate)
    gate = layers.ReLU(max_value=2)(layers.Conv2D(16, 1, name="excite")(gate))
    y = layers.Conv2D(8, 1, name="project")(layers.Multiply()([y, gate]))
    x = clipped(layers.Add()([x, y]))
    x = clipped(layers.SeparableConv2D(12, 3, name="separable")(x))
    return keras.Model(inputs, layers.Dense(5, name="head")(layers.GlobalMaxPooling2D()(x)))


def flattened() -> Any:
    inputs = keras.Input(IMAGE)
    x = clipped(layers.Conv2D(12, 3, strides=3, name="conv")(inputs))
    x = clipped(layers.Dense(16, name="hidden")(layers.Flatten()(x)))
    return keras.Model(inputs, layers.Dense(5, name="head")(x))


def two_inputs() -> Any:
    """Two branches; channels of one half of a concatenation are added to a whole convolution."""
    left, right = keras.Input(IMAGE), keras.Input(IMAGE)
    x = clipped(layers.Conv2D(8, 3, padding="same", name="left")(left))
    y = clipped(layers.Conv2D(4, 3, padding="same", name="right")(right))
    z = layers.Conv2D(12, 3, padding="same", name="both")(left)
    x = clipped(layers.Add()([layers.Concatenate()([x, y]), z]))
    return keras.Model([left, right], layers.Dense(5, name="head")(layers.GlobalMaxPooling2D()(x)))


def nested() -> Any:
    """A functional model and a Sequential one inside another; what they return is read twice."""
    inner_input = keras.Input((8, 8, 8))
    y = clipped(layers.Conv2D(12, 3, padding="same", name="inner")(inner_input))
    inner = keras.Model(inner_input, [y, layers.Conv2D(8, 1, name="second")(y)], name="backbone")
    tail = keras.Sequential([keras.Input((8, 8, 12)), layers.Conv2D(8, 1, name="inner"), layers.ReLU(4)], name="tail")
    inputs = keras.Input(IMAGE)
    x = clipped(layers.Conv2D(8, 3, padding="same", name="stem")(inputs))
    wide, narrow = inner(x)
    x = layers.Add()([tail(wide), narrow, x])
    return keras.Model(inputs, layers.Dense(5, name="head")(layers.GlobalMaxPooling2D()(x)))


def shared() -> Any:
    """One layer called on two inputs, and one called on its own result."""
    left, right = keras.Input(IMAGE), keras.Input(IMAGE)
    conv = layers.Conv2D(8, 3, padding="same", name="conv")
    again = layers.Conv2D(8, 3, padding="same", name="again")
    x, y = clipped(conv(left)), clipped(conv(right))
    y = clipped(again(clipped(again(y))))
    x = layers.GlobalMaxPooling2D()(layers.Concatenate()([x, y]))
    return keras.Model([left, right], layers.Dense(5, name="head")(x))


def sequence() -> Any:
    inputs = keras.Input((16, 3))
    x = norm(layers.Conv1D(12, 3, name="first")(inputs))
    x = clipped(layers.DepthwiseConv1D(3, padding="same", name="depthwise")(x))
    x = clipped(layers.EinsumDense("abc,dc->abd", (None, 12), bias_axes="d", name="einsum")(x))
    x = clipped(layers.TimeDistributed(layers.Dense(8), name="steps")(layers.Cropping1D(1)(x)))
    return keras.Model(inputs, layers.Dense(5, name="head")(layers.GlobalMaxPooling1D()(x)))


def raw_ops() -> Any:
    """Ops of ``keras.ops``: arithmetic, reshapes, a run of channels, two halves, a mean over positions."""
    inputs = keras.Input(IMAGE)
    x = layers.Conv2D(12, 3, strides=3, name="conv")(inputs)
    x = keras.ops.clip(x * 2 + 1, 0, 4)
    left, right = keras.ops.split(x, 2, axis=-1)
    x = keras.ops.concatenate([left - right, x[..., :4], keras.ops.relu(right)], axis=-1)
    x = keras.ops.clip(layers.Conv2D(8, 1, name="mix")(x), -4, 4)
    x = keras.ops.max(keras.ops.reshape(x, (-1, 4, 8)), axis=1)
    return keras.Model(inputs, layers.Dense(5, name="head")(x))


NETWORKS: dict[str, Callable[[], Any]] = {
    build.__name__: build
    for build in (
        chain,
        residual,
        concatenated,
        inverted,
        flattened,
        two_inputs,
        nested,
        shared,
        sequence,
        raw_ops,
    )
}


def randomize(model: Any, exact: bool, seed: int = 0) -> None:
    """Fills all variables, with small whole numbers if sums are to be exact."""
    random = np.random.default_rng(seed)
    for variable in model.variables:
        if "seed" in variable.name:
            continue
        if variable.name == "moving_variance":
            values = np.full(variable.shape, 1 - 2.0**-10) if exact else 0.5 + random.random(variable.shape)
        elif exact:
            values = random.integers(-2, 3, variable.shape)
        else:
            values = random.standard_normal(variable.shape) / np.sqrt(max(1, np.prod(variable.shape[:-1])))
        variable.assign(values)


def samples(model: Any, exact: bool, count: int = 2, seed: int = 1) -> list[np.ndarray]:
    """Inputs for a model."""
    random = np.random.default_rng(seed)
    shapes = [(count, *tensor.shape[1:]) for tensor in model.inputs]
    draw = (lambda shape: random.integers(-3, 4, shape)) if exact else random.standard_normal
    return [np.asarray(draw(shape), np.float32) for shape in shapes]


def run(model: Any, inputs: list[np.ndarray]) -> np.ndarray:
    result = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    return np.asarray(keras.ops.convert_to_numpy(result))


def shuffle(space: ChannelSpace, members: tuple[Member, ...], seed: int = 3) -> None:
    """Puts the channels of a space into another order on some of its members."""
    order = np.random.default_rng(seed).permutation(space.size)
    if (order == np.arange(space.size)).all():
        order = np.roll(order, 1)
    for member in members:
        member.variable.assign(reorder(member.variable.numpy(), member, order))


def free(model: Any) -> list[ChannelSpace]:
    """Spaces whose channels may be reordered."""
    return [space for space in channel_graph(model).spaces if space.pinned_reason is None and space.size > 1]


def made_by(model: Any, layer: str) -> ChannelSpace:
    """The one space that a layer's kernel makes."""
    found = [space for space in channel_graph(model).spaces if layer in {each.layer for each in space.producers}]
    assert len(found) == 1
    return found[0]


def names(members: tuple[Member, ...]) -> set[str]:
    """Members as texts, such as ``conv/kernel[3]``."""
    return {str(member) for member in members}
