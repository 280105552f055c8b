# SPDX-License-Identifier: Apache-2.0
"""Channels that cannot be followed are pinned, with a reason; models without a graph are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from tests.keras.channel_models import IMAGE, clipped, made_by, names, randomize, run, samples, shuffle
from tfprune.errors import PruningError
from tfprune.keras.channels import channel_graph


@pytest.fixture(autouse=True)
def fresh_keras() -> None:
    # Without clearing Keras' state, as other tests do: that takes longer than most tests here.
    keras.utils.set_random_seed(1)


class Doubled(layers.Dense):
    def call(self, inputs: Any) -> Any:
        return 2 * super().call(inputs)


class Renamed(layers.Conv2D):
    """Computes what its base class does."""


class Custom(layers.Layer):
    def call(self, inputs: Any) -> Any:
        return inputs


def square(x: Any) -> Any:
    return x * x


# What stands between two convolutions, and a part of the reason for which the channels of the first are pinned.
PINNING: dict[str, tuple[Callable[[Any], Any], str]] = {
    "lambda": (
        layers.Lambda(square, output_shape=(8, 8, 8), name="lambda"),
        "Lambda 'lambda': what it does to channels is not known",
    ),
    "custom layer": (Custom(name="own"), "Custom 'own': what it does to channels is not known"),
    "overridden": (Doubled(4, name="twice"), "Doubled 'twice': replaces Dense.call"),
    "grouped": (layers.Conv2D(8, 3, groups=2, name="g"), "Conv2D 'g': grouped convolution, groups=2"),
    "multiplier": (layers.DepthwiseConv2D(3, depth_multiplier=2, name="d"), "'d': depth_multiplier=2"),
    "separable multiplier": (layers.SeparableConv2D(4, 3, depth_multiplier=2, name="d"), "'d': depth_multiplier=2"),
    "activation": (layers.Activation(square, name="act"), "what its activation 'square' does to channels"),
    "kernel activation": (layers.Dense(4, activation=square, name="act"), "what its activation 'square' does"),
    "channels first": (layers.MaxPooling2D(data_format="channels_first", name="pool"), "'pool': channels_first data"),
    "permute": (layers.Permute((3, 1, 2), name="p"), "Permute 'p': moves channels to another axis"),
    "heads": (layers.Reshape((8, 8, 2, 4), name="r"), "Reshape 'r': cuts 8 channels into 4"),
    "groups": (layers.GroupNormalization(groups=2, name="n"), "GroupNormalization 'n': groups=2, axis=-1"),
    "other axis": (layers.BatchNormalization(axis=1, name="n"), "BatchNormalization 'n': axis=1"),
    "constant": (lambda x: x + np.arange(8, dtype="float32"), "a constant a channel"),
    "single channel": (lambda x: x[..., 3][..., None], "takes single channels"),
    "attention": (lambda x: layers.MultiHeadAttention(2, 4, name="mha")(x, x), "MultiHeadAttention 'mha'"),
    "einsum": (layers.EinsumDense("abcd,def->abcef", (8, 8, 2, 4), name="e"), "is not a dense layer on the last"),
    "diagonal": (layers.EinsumDense("abcd,cd->abcd", (8, 8, 8), name="e"), "is not a dense"),
    "transposed": (lambda x: keras.ops.transpose(x, (0, 3, 1, 2)), "moves channels to another axis"),
    "unknown op": (lambda x: keras.ops.flip(x, axis=-1), "Flip"),
}


@pytest.mark.parametrize("name", PINNING)
def test_what_is_not_understood_pins(name: str) -> None:
    middle, reason = PINNING[name]
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(8, 1, name="before")(inputs)
    model = keras.Model(
        inputs, layers.GlobalMaxPooling2D()(layers.Dense(2)(keras.layers.Flatten()(middle(x)))[:, None, None])
    )
    found = made_by(model, "before").pinned_reason
    assert found is not None
    assert reason in found


def test_a_subclass_that_changes_no_computation_is_followed() -> None:
    model = keras.Sequential([keras.Input(IMAGE), Renamed(4, 3, name="a"), layers.Conv2D(2, 1)])
    assert made_by(model, "a").status == "free"


def test_variables_of_a_layer_that_is_not_understood_are_pinned_elsewhere_too() -> None:
    dense = layers.Dense(8, name="dense")
    inputs = keras.Input((4, 8))
    x = layers.Dense(8, name="before")(inputs)
    x = layers.Dense(8, name="between")(dense(x))
    x = layers.Bidirectional(layers.LSTM(4), name="rnn")(x)
    y = layers.Dense(4, name="head")(layers.TimeDistributed(keras.Sequential([dense]), name="steps")(inputs))
    graph = channel_graph(keras.Model(inputs, [x, y]))
    by_layer = {each.layer: space.status for space in graph.spaces for each in space.producers}
    assert by_layer["between"] == "pinned: Bidirectional 'rnn': what it does to channels is not known"
    assert by_layer["before"] == by_layer["dense"] == "pinned: TimeDistributed 'steps': holds a Sequential"


def test_a_variable_that_an_op_uses_is_pinned() -> None:
    dense = layers.Dense(8, use_bias=False, name="dense")
    inputs = keras.Input((8,))
    x = layers.Dense(8, name="before")(dense(inputs))
    model = keras.Model(inputs, layers.Dense(2)(keras.ops.matmul(x, dense.kernel)))
    for layer in ("before", "dense"):
        assert str(made_by(model, layer).pinned_reason).endswith("what it does to channels is not known")


def test_intermediate_outputs_are_pinned() -> None:
    inputs = keras.Input((8,))
    x = layers.Dense(8, name="before")(inputs)
    assert made_by(keras.Model(inputs, [layers.Dense(2)(x), x]), "before").pinned_reason == "output of the model"


def test_further_variables_pin() -> None:
    model = keras.Sequential([keras.Input((8,)), layers.Dense(8, name="a"), layers.Dense(8, name="b"), layers.Dense(2)])
    model.get_layer("b").enable_lora(2)
    reason = made_by(model, "a").pinned_reason
    assert reason == "Dense 'b': has other variables than usual: lora_kernel_a, lora_kernel_b"


@pytest.mark.parametrize(
    ("middle", "what"),
    [
        (layers.LayerNormalization(name="n"), "LayerNormalization 'n' averages over channels"),
        (layers.GroupNormalization(1, name="n"), "GroupNormalization 'n' averages over channels"),
        (layers.Softmax(name="s"), "Softmax 's' is over channels"),
        (layers.Activation("softmax", name="s"), "activation of Activation 's' is over channels"),
        (lambda x: x * keras.ops.mean(x, axis=-1, keepdims=True), "is over channels"),
    ],
    ids=["layer_norm", "group_norm", "softmax", "activation", "mean"],
)
def test_channels_that_are_averaged_may_move_but_not_go(middle: Any, what: str) -> None:
    inputs = keras.Input((4, 4, 3))
    x = middle(clipped(layers.Conv2D(8, 1, name="before")(inputs)))
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalMaxPooling2D()(x)))
    space = made_by(model, "before")
    assert space.pinned_reason is None
    assert not space.shrinks
    assert space.fixed_size_reason is not None
    assert what in space.fixed_size_reason
    assert space.status.startswith("free order, fixed size: ")
    randomize(model, exact=False)
    inputs = samples(model, exact=False)
    before = run(model, inputs)
    shuffle(space, space.members)
    np.testing.assert_allclose(run(model, inputs), before, rtol=1e-4, atol=1e-5)


def test_a_map_over_positions_gates_all_channels() -> None:
    inputs = keras.Input((4, 4, 3))
    x = layers.Conv2D(8, 1, name="before")(inputs)
    gate = layers.Conv2D(1, 1, activation="sigmoid", name="gate")(x)
    model = keras.Model(inputs, layers.Conv2D(2, 1)(layers.Multiply(name="m")([x, gate])))
    assert made_by(model, "before").status == "free"
    assert made_by(model, "gate").status == "pinned: Multiply 'm' uses it for all channels"


def test_instance_normalization_and_a_grouped_depthwise_convolution_pass_channels_on() -> None:
    inputs = keras.Input((4, 4, 3))
    x = layers.Conv2D(8, 1, name="before")(inputs)
    x = layers.Conv2D(8, 3, groups=8, name="each")(layers.GroupNormalization(-1, name="norm")(x))
    space = made_by(keras.Model(inputs, layers.Conv2D(2, 1)(x)), "before")
    assert space.shrinks
    assert {"each/kernel[3]", "each/bias[0]", "norm/gamma[0]", "norm/beta[0]"} <= names(space.carried)


class Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.dense = layers.Dense(2)

    def call(self, inputs: Any) -> Any:
        return self.dense(inputs)


class OwnStep(keras.Model):
    """A functional model with a training step of its own: its graph is what runs."""

    def train_step(self, data: Any) -> Any:
        raise NotImplementedError


def test_models_without_a_graph_are_refused() -> None:
    model = Subclassed()
    model(np.zeros((1, 3), "float32"))
    with pytest.raises(PruningError, match=r"functional or Sequential. Received: .* of class Subclassed"):
        channel_graph(model)
    with pytest.raises(PruningError, match="must be built"):
        channel_graph(keras.Sequential([layers.Dense(2)]))
    with pytest.raises(PruningError, match=r"must be a Keras model\. Received: Dense"):
        channel_graph(layers.Dense(2))


def test_a_subclassed_model_inside_pins() -> None:
    inputs = keras.Input((3,))
    x = Subclassed()(layers.Dense(8, name="before")(inputs))
    reason = made_by(keras.Model(inputs, x), "before").pinned_reason
    assert reason is not None
    assert "its own code says what it computes" in reason


def test_a_functional_model_with_its_own_training_step_is_followed() -> None:
    inputs = keras.Input((3,))
    x = layers.Dense(8, name="before")(inputs)
    assert made_by(OwnStep(inputs, layers.Dense(2)(x)), "before").status == "free"
