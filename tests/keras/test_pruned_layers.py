# SPDX-License-Identifier: Apache-2.0
"""Which layers are pruned, and what the report says."""

from __future__ import annotations

import json
from typing import Any

import keras
import numpy as np
import pytest

from tests.keras.conftest import zeros
from tfprune.errors import PruningError
from tfprune.keras.callback import PruningCallback
from tfprune.keras.layers import find_weights
from tfprune.sparsity.patterns import Groups
from tfprune.sparsity.schedules import ConstantSparsity

layers = keras.layers
DEPTHWISE = "depthwise kernel: few weights, one input channel an output (name it in `filters` to prune it)"


class MyConv(layers.Conv2D):
    """A plain convolution by another name."""


class Block(layers.Layer):
    """A layer that holds layers, in an attribute and in a list."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.first = layers.Dense(8, name="first")
        self.rest = [layers.Dense(8, name="second")]

    def call(self, inputs: Any) -> Any:
        return self.rest[0](self.first(inputs))


class Subclassed(keras.Model):
    """A model of the subclassing kind."""

    def __init__(self) -> None:
        super().__init__()
        self.block = Block(name="block")
        self.head = layers.Dense(1, name="head")

    def call(self, inputs: Any) -> Any:
        return self.head(self.block(inputs))


def convolutional() -> Any:
    inputs = keras.Input((8, 8, 4))
    x = layers.Conv2D(8, 3, name="plain")(inputs)
    x = layers.BatchNormalization(name="norm")(x)
    x = MyConv(8, 1, name="custom")(x)
    x = layers.Conv2D(8, 1, groups=2, name="grouped")(x)
    x = layers.DepthwiseConv2D(3, name="depthwise")(x)
    x = layers.Conv2DTranspose(8, 3, name="transpose")(x)
    x = layers.Conv2D(8, 1, name="frozen", trainable=False)(x)
    x = layers.Conv2D(2, 1, name="small")(x)
    x = layers.Flatten(name="flat")(x)
    x = layers.Dense(8, name="hidden")(x)
    return keras.Model(inputs, layers.Dense(3, name="head")(x))


def sorted_out(model: Any, filters: Any = None, min_weights: int = 20) -> tuple[list[str], dict[str, str]]:
    prunable, skipped = find_weights(model, filters, min_weights)
    return [each.layer for each in prunable], {each.layer: each.reason for each in skipped}


def test_default_choice() -> None:
    pruned, skipped = sorted_out(convolutional())
    assert pruned == ["plain", "custom", "transpose", "hidden"]
    assert skipped == {
        "grouped": "grouped convolution, groups=2 (name it in `filters` to prune it)",
        "depthwise": DEPTHWISE,
        "frozen": "not trainable",
        "small": "16 weights, fewer than min_weights=20",
        "head": "last Dense layer: it makes an output of the model (name it in `filters` to prune it)",
    }


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ("head", ["head"]),
        (["p*", "h??d"], ["plain", "head"]),
        (layers.Dense, ["hidden", "head"]),
        ([layers.Conv2D, "head"], ["plain", "custom", "grouped", "head"]),
        (lambda layer: layer.name.startswith("c"), ["custom"]),
    ],
    ids=["name", "patterns", "class", "mixed", "callable"],
)
def test_filters(filters: Any, expected: list[str]) -> None:
    pruned, skipped = sorted_out(convolutional(), filters)
    assert pruned == expected
    assert "plain" in expected or skipped["plain"] == "not selected by `filters` or a rule"


def test_named_layers_without_a_kernel_say_why() -> None:
    _, skipped = sorted_out(convolutional(), "[np]*")
    assert skipped["norm"] == "BatchNormalization weights are not supported"


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ("conv9", "matches none of"),
        (7, "layer name patterns"),
        ([], r"`filters` of a callback\) is empty\. Received: \[\]"),
        ("", r"`filters` of a callback\) is empty\. Received: ''"),
        (["plain", ""], r"`filters` of a callback\) is empty\. Received: \['plain', ''\]"),
        ("norm", r"matches only norm \(BatchNormalization\)"),
        (layers.BatchNormalization, r"Received: BatchNormalization in rule 1, which matches only norm"),
    ],
)
def test_wrong_filters(filters: Any, message: str) -> None:
    with pytest.raises(PruningError, match=message):
        sorted_out(convolutional(), filters)


def nested() -> Any:
    inner = keras.Sequential([keras.Input((8,)), layers.Dense(8, name="deep"), layers.Dense(8, name="deeper")])
    inputs = keras.Input((8,))
    return keras.Model(inputs, layers.Dense(1, name="head")(inner(inputs)))


def wrapped() -> Any:
    inputs = keras.Input((4, 8))
    x = layers.TimeDistributed(layers.Dense(8, name="each"))(inputs)
    return keras.Model(inputs, layers.Dense(1, name="head")(layers.Flatten()(x)))


def shared() -> Any:
    inputs, layer = keras.Input((8,)), layers.Dense(8, name="twice")
    return keras.Model(inputs, layers.Dense(1, name="head")(layer(layer(inputs))))


def same_names() -> Any:
    parts = [keras.Sequential([keras.Input((8,)), layers.Dense(8, name="same")], name=name) for name in "ab"]
    inputs = keras.Input((8,))
    return keras.Model(inputs, layers.Dense(1, name="head")(parts[1](parts[0](inputs))))


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (nested, ["deep", "deeper"]),
        (shared, ["twice"]),
        (Subclassed, ["first", "second"]),
        (same_names, ["a/same", "b/same"]),
    ],
)
def test_kinds_of_models(make: Any, expected: list[str]) -> None:
    model = make()
    model(np.ones((1, 8)))
    model.compile("adam", "mse")
    callback = PruningCallback(Groups(rows=2), ConstantSparsity(0.5), min_weights=32)
    model.fit(np.ones((8, 8)), np.ones((8, 1)), batch_size=4, epochs=2, verbose=0, callbacks=[callback])
    rows = callback.report.layers
    assert [row.layer for row in rows if row.status == "pruned"] == expected
    assert [row.kept for row in rows if row.status == "pruned"] == [32] * len(expected)
    assert {row.layer for row in rows if row.status == "skipped"} == {"head"}


def two_heads() -> Any:
    inputs = keras.Input((8,))
    x = layers.Dense(8, name="hidden")(inputs)
    boxes = layers.Reshape((2, 4))(layers.Dense(8, name="boxes")(x))
    scores = keras.ops.sigmoid(layers.Dense(8, name="scores")(x))
    return keras.Model(inputs, [layers.Softmax()(layers.Dense(8, name="classes")(x)), boxes, scores])


def head_inside() -> Any:
    inputs = keras.Input((8,))
    inner = keras.Sequential([keras.Input((8,)), layers.Dense(8, name="hidden"), layers.Dense(8, name="head")])
    # Defined last, but not an output.
    return keras.Model(inputs, inner(layers.Dense(8, name="late")(inputs)))


def head_before_body() -> Any:
    head = layers.Dense(8, name="head")
    inputs = keras.Input((8,))
    return keras.Model(inputs, head(layers.Dense(8, name="zz")(inputs)))


def sequential() -> Any:
    parts = [layers.Dense(8, name="hidden"), layers.Dense(8, name="head"), layers.Dropout(0.5), layers.Softmax()]
    model = keras.Sequential(parts)
    model(np.ones((1, 8)))
    return model


def no_dense_output() -> Any:
    inputs = keras.Input((64,))
    x = layers.Reshape((4, 4, 4))(layers.Dense(64, name="decoder")(inputs))
    return keras.Model(inputs, layers.Conv2D(4, 3, name="image")(x))


@pytest.mark.parametrize(
    ("make", "spared"),
    [
        (two_heads, {"boxes", "scores", "classes"}),
        (head_inside, {"head"}),
        (head_before_body, {"head"}),
        (sequential, {"head"}),
        (no_dense_output, set()),
    ],
)
def test_every_dense_layer_that_makes_an_output_stays(make: Any, spared: set[str]) -> None:
    pruned, skipped = sorted_out(make())
    assert {name for name, reason in skipped.items() if "makes an output" in reason} == spared
    assert pruned
    assert not set(pruned) & spared
    assert set(sorted_out(make(), "*")[0]) == set(pruned) | spared


class CalledBackwards(keras.Model):
    """Defines its head first."""

    def __init__(self) -> None:
        super().__init__()
        self.head = layers.Dense(8, name="head")
        self.body = layers.Dense(8, name="body")

    def call(self, inputs: Any) -> Any:
        return self.head(self.body(inputs))


def test_of_a_subclassed_model_the_last_defined_dense_layer_stays() -> None:
    model = CalledBackwards()
    model(np.ones((1, 8)))
    pruned, skipped = sorted_out(model)
    assert pruned == ["head"]
    assert "the order of calls is not known" in skipped["body"]


def test_layers_inside_wrappers_are_found() -> None:
    assert sorted_out(wrapped())[0] == ["each"]


def test_a_model_must_be_built() -> None:
    model = Subclassed()
    model.compile("adam", "mse")
    with pytest.raises(PruningError, match="Call the model once on a batch"):
        model.fit(
            np.ones((4, 8)), np.ones((4, 1)), verbose=0, callbacks=[PruningCallback(Groups(), ConstantSparsity(0.5))]
        )


def test_convolutions_train_pruned() -> None:
    model = convolutional()
    model.compile("adam", "mse")
    callback = PruningCallback(Groups(rows=4), ConstantSparsity(0.75), min_weights=64)
    model.fit(np.ones((4, 8, 8, 4)), np.ones((4, 3)), batch_size=2, verbose=0, callbacks=[callback])
    assert zeros(model, "plain") == 216
    assert zeros(model, "custom") == 48
    assert zeros(model, "grouped") == zeros(model, "head") == 0


def test_report() -> None:
    model = nested()
    model.compile("sgd", "mse")
    callback = PruningCallback(Groups(rows=4), ConstantSparsity(0.75, begin_step=2), filters="d*", min_weights=1)
    model.fit(np.ones((4, 8)), np.ones((4, 1)), batch_size=2, verbose=0, callbacks=[callback], epochs=2)
    report = callback.report
    assert report.sparsity == 0.75
    found = report.to_dict()
    assert json.loads(json.dumps(found)) == found
    assert found["layers"][0] == {
        "layer": "deep",
        "variable": "kernel",
        "shape": [8, 8],
        "pattern": "Groups 4x1, unaligned along output",
        "target": 0.75,
        "achieved": 0.75,
        "kept": 16,
        "total": 64,
        "status": "pruned",
        "reason": "",
    }
    assert found["layers"][2]["reason"] == "not selected by `filters` or a rule"
    text = str(report)
    assert text.startswith("2 of 3 weights pruned; sparsity 0.7500 after 4 steps")
    assert "skipped: not selected by `filters`" in text
    page = report._repr_html_()
    assert page.count("<tr>") == 4
    assert "<td>deep</td>" in page
    # The report counts the weights as they are.
    model.get_layer("head").kernel.assign(np.zeros((8, 1)))
    assert callback.report.layers[2].achieved == 1.0


def test_report_of_layers_that_are_still_dense() -> None:
    model = nested()
    model.compile("sgd", "mse")
    callback = PruningCallback(Groups(rows=3), ConstantSparsity(0.125), min_weights=1)
    with pytest.warns(UserWarning, match="stay dense: deep, deeper"):
        model.fit(np.ones((4, 8)), np.ones((4, 1)), verbose=0, callbacks=[callback])
    row = callback.report.layers[0]
    assert (row.status, row.achieved, row.target) == ("dense", 0.0, 0.125)
    assert row.reason == "the pattern reaches no sparsity below 0.2500 here"


def test_nothing_to_prune() -> None:
    model = nested()
    model.compile("sgd", "mse")
    with pytest.raises(PruningError, match="deep: 64 weights, fewer than min_weights=2048"):
        model.fit(
            np.ones((4, 8)),
            np.ones((4, 1)),
            verbose=0,
            callbacks=[PruningCallback(Groups(), ConstantSparsity(0.5))],
        )
