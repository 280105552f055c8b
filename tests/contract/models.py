# SPDX-License-Identifier: Apache-2.0
"""Every kind of layer that can be pruned, in models built in every way that Keras has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

layers = keras.layers

WORDS, LENGTH, WIDTH = 32, 16, 8


@keras.saving.register_keras_serializable("contract")
class SelfAttention(layers.Layer):  # type: ignore[misc]  # Keras has no type information
    """Attention of a sequence to itself: one input, so that it fits a Sequential model."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.attention = layers.MultiHeadAttention(2, 4, name="heads")

    def build(self, shape: Any) -> None:
        self.attention.build(shape, shape)
        super().build(shape)

    def call(self, inputs: Any) -> Any:
        return self.attention(inputs, inputs)


# Each takes and gives a sequence of LENGTH vectors of WIDTH, or, as an image, 4 x 4 x WIDTH.
SEQUENCE: dict[str, Callable[[], Any]] = {
    "dense": lambda: layers.Dense(WIDTH, name="dense"),
    "einsum": lambda: layers.EinsumDense("abc,cd->abd", output_shape=(None, WIDTH), name="einsum"),
    "attention": lambda: SelfAttention(name="attention"),
    "lstm": lambda: layers.LSTM(WIDTH, return_sequences=True, name="lstm"),
    "gru": lambda: layers.GRU(WIDTH, return_sequences=True, name="gru"),
    "conv1d": lambda: layers.Conv1D(WIDTH, 3, padding="same", name="conv1d"),
}
IMAGE: dict[str, Callable[[], Any]] = {
    "conv2d": lambda: layers.Conv2D(WIDTH, 3, padding="same", name="conv2d"),
    "depthwise": lambda: layers.DepthwiseConv2D(3, padding="same", name="depthwise"),
    "separable": lambda: layers.SeparableConv2D(WIDTH, 3, padding="same", name="separable"),
    "transpose": lambda: layers.Conv2DTranspose(WIDTH, 3, padding="same", name="transpose"),
}
KINDS = ("embedding", *SEQUENCE, *IMAGE)
# How many kernels each kind has.
KERNELS = {"attention": 4, "lstm": 2, "gru": 2, "separable": 2}


def stages(kinds: tuple[str, ...] = KINDS) -> list[Any]:
    """Layers that follow each other: word numbers first, a vector last."""
    chain = [layers.Embedding(WORDS, WIDTH, name="embedding")]
    chain += [make() for kind, make in SEQUENCE.items() if kind in kinds]
    chain.append(layers.Reshape((4, LENGTH // 4, WIDTH)))
    chain += [make() for kind, make in IMAGE.items() if kind in kinds]
    return [*chain, layers.Flatten()]


def run(chain: list[Any], inputs: Any) -> Any:
    """Calls layers one after the other."""
    for layer in chain:
        inputs = layer(inputs)
    return inputs


def functional(kinds: tuple[str, ...]) -> Any:
    inputs = keras.Input((LENGTH,), dtype="int32")
    return keras.Model(inputs, layers.Dense(1, name="head")(run(stages(kinds), inputs)))


def sequential(kinds: tuple[str, ...]) -> Any:
    return keras.Sequential([keras.Input((LENGTH,), dtype="int32"), *stages(kinds), layers.Dense(1, name="head")])


def nested(kinds: tuple[str, ...]) -> Any:
    """A Sequential model in a functional one in a functional one."""
    chain = stages(kinds)
    inner = keras.Sequential([keras.Input((LENGTH,), dtype="int32"), *chain[:2]], name="inner")
    inputs = keras.Input((LENGTH,), dtype="int32")
    middle = keras.Model(inputs, run(chain[2:], inner(inputs)), name="middle")
    inputs = keras.Input((LENGTH,), dtype="int32")
    return keras.Model(inputs, layers.Dense(1, name="head")(middle(inputs)))


def shared(kinds: tuple[str, ...]) -> Any:
    """Every layer is called twice: on the words, and on the words backwards."""
    chain = stages(kinds)
    inputs = keras.Input((LENGTH,), dtype="int32")
    both = [run(chain, inputs), run(chain, keras.ops.flip(inputs, axis=1))]
    return keras.Model(inputs, layers.Dense(1, name="head")(layers.Add()(both)))


class Subclassed(keras.Model):  # type: ignore[misc]  # Keras has no type information
    """A model of which only the code knows the order of calls."""

    def __init__(self, kinds: tuple[str, ...]) -> None:
        super().__init__()
        self.chain = stages(kinds)
        self.head = layers.Dense(1, name="head")

    def call(self, inputs: Any) -> Any:
        return self.head(run(self.chain, inputs))


def subclassed(kinds: tuple[str, ...]) -> Any:
    model = Subclassed(kinds)
    model(np.zeros((1, LENGTH), np.int32))
    return model


WAYS = {make.__name__: make for make in (functional, sequential, nested, shared, subclassed)}


def words(count: int) -> tuple[Any, Any]:
    """Word numbers and targets."""
    random = np.random.default_rng(3)
    return random.integers(0, WORDS, (count, LENGTH), np.int32), random.random((count, 1), np.float32)
