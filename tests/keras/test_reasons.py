# SPDX-License-Identifier: Apache-2.0
"""Layers of which nothing goes, nothing stays, or whose arrays cannot shrink: said in the report, warned of before."""

from __future__ import annotations

import warnings
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from keras.optimizers import SGD

from tfprune.errors import PruningError
from tfprune.keras.callback import PruningCallback
from tfprune.keras.layers import find_weights
from tfprune.keras.pruner import Pruner
from tfprune.keras.report import LayerReport
from tfprune.recipe import Rule
from tfprune.sparsity.patterns import Channels, Filters, Groups, Pattern
from tfprune.sparsity.schedules import ConstantSparsity, PolynomialDecay

EMPTY = "keeps no cell: what sparsity {} leaves is too little for one"
NOTHING = "sparsity 0.5000 removes no cell of the pattern here"


def dense() -> Any:
    return keras.Sequential(
        [keras.Input((16,)), layers.Dense(32, name="small"), layers.Dense(64, name="large"), layers.Dense(1)]
    )


def fit(
    model: Any, pattern: Pattern, schedule: Any, steps: int = 2, **options: Any
) -> tuple[PruningCallback, list[str]]:
    """The callback after a few steps, and what it warned of."""
    model.compile("sgd", "mse", run_eagerly=True)
    callback = PruningCallback(pattern, schedule, **{"min_weights": 0, **options})
    images = np.random.default_rng(0).standard_normal((steps, *model.input_shape[1:])).astype(np.float32)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(images, np.zeros((steps, *model.output_shape[1:])), batch_size=1, verbose=0, callbacks=[callback])
    return callback, [str(each.message) for each in caught if "PruningCallback" in str(each.message)]


def rows(callback: PruningCallback) -> dict[str, LayerReport]:
    return {row.layer: row for row in callback.report.layers}


def test_layers_that_keep_no_cell_are_warned_of_once_and_named() -> None:
    callback, warned = fit(dense(), Groups(1000, 1000), ConstantSparsity(0.7))
    assert len(warned) == 1
    start = "PruningCallback: Groups 1000x1000, unaligned along output keeps no cell at sparsity 0.7, so all weights go"
    assert warned[0].startswith(start)
    assert warned[0].endswith("of: small, large.")
    found = rows(callback)
    for name in ("small", "large"):
        assert (found[name].status, found[name].achieved) == ("pruned", 1.0)
        assert found[name].reason == EMPTY.format("0.7")
    assert f"pruned: {EMPTY.format('0.7')}" in str(callback.report)


def test_only_the_layers_that_are_too_small_are_named() -> None:
    callback, warned = fit(dense(), Groups(), ConstantSparsity(0.9985))
    # 0.77 weights are a fifth of a group of four, 3.07 weights three quarters of one.
    assert [text.rsplit("of: ", 1)[1] for text in warned] == ["small."]
    found = rows(callback)
    assert (found["small"].kept, found["small"].reason) == (0, EMPTY.format("0.9985"))
    assert (found["large"].kept, found["large"].reason) == (4, "")


def test_the_warning_joins_that_of_a_schedule_that_does_not_end() -> None:
    schedule = PolynomialDecay(0.0, 0.9999, end_step=8, power=1, frequency=1)
    callback, warned = fit(dense(), Groups(), schedule)
    assert len(warned) == 1
    assert "reaches its final sparsity 0.9999 at step 8, this training ends at step 2; Groups 4x1" in warned[0]
    # It is not so far yet.
    reasons = {rows(callback)[name].reason for name in ("small", "large")}
    assert reasons == {"the schedule reaches sparsity 0.9999 at step 8"}


def test_cells_that_fit_are_no_reason_to_warn() -> None:
    callback, warned = fit(dense(), Groups(), ConstantSparsity(0.8))
    assert warned == []
    assert {rows(callback)[name].reason for name in ("small", "large")} == {""}


def convolutions() -> Any:
    inputs = keras.Input((6, 6, 1))
    x = layers.Conv2D(8, 3, name="first")(inputs)
    x = layers.DepthwiseConv2D(3, name="depthwise")(x)
    x = layers.Conv2D(1, 1, name="single")(x)
    return keras.Model(inputs, layers.Dense(2, name="head")(layers.Flatten()(x)))


@pytest.mark.parametrize(("pattern", "names"), [(Filters(), ["single"]), (Channels(), ["first"])], ids=str)
def test_a_single_channel_stays_and_the_report_says_so(pattern: Pattern, names: list[str]) -> None:
    callback, warned = fit(convolutions(), pattern, ConstantSparsity(0.5))
    assert warned == []
    for name in names:
        row = rows(callback)[name]
        assert (row.status, row.achieved, row.target, row.reason) == ("dense", 0.0, 0.5, NOTHING)
    assert f"dense: {NOTHING}" in str(callback.report)


def test_a_sum_of_channels_that_go_together_still_goes() -> None:
    callback, _ = fit(convolutions(), Channels(), ConstantSparsity(0.5), filters=["depthwise", "single"])
    assert {rows(callback)[name].achieved for name in ("depthwise", "single")} == {0.5}


class Own(keras.Model):  # type: ignore[misc]  # Keras has no type information
    """A layer that no graph shows."""

    def __init__(self) -> None:
        super().__init__()
        self.single = layers.Conv2D(1, 3, name="single")
        self.depthwise = layers.DepthwiseConv2D(3, name="depthwise")

    def call(self, x: Any) -> Any:
        """Both, one after the other."""
        return self.depthwise(self.single(x))


def test_without_a_graph_a_depthwise_kernel_has_one_input_channel_a_filter() -> None:
    model = Own()
    images = np.ones((2, 6, 6, 3), np.float32)
    model(images)
    model.compile("sgd", "mse", run_eagerly=True)
    callback = PruningCallback(Channels(), ConstantSparsity(0.5), filters="depthwise", min_weights=0)
    model.fit(images, np.ones((2, 2, 2, 1)), batch_size=1, verbose=0, callbacks=[callback])
    row = rows(callback)["depthwise"]
    assert (row.status, row.achieved, row.reason) == ("dense", 0.0, NOTHING)


def test_channels_that_go_but_cannot_shrink_say_why() -> None:
    model = keras.Sequential(
        [
            keras.Input((16,)),
            layers.Dense(32, name="first"),
            layers.Dense(8, name="second"),
            layers.Dense(4, name="head"),
        ]
    )
    callback, _ = fit(model, Filters(), ConstantSparsity(0.5), filters="*")
    found = rows(callback)
    assert {name: (row.status, row.reason) for name, row in found.items()} == {
        "first": ("pruned", ""),
        "second": ("pruned", ""),
        "head": ("pruned", "keeps its shape: output of the model"),
    }


def adapted_and_quantized() -> Any:
    names = ["plain", "lora", "int8", "int4", "float8"]
    model = keras.Sequential([keras.Input((16,)), *(layers.Dense(16, name=name) for name in names), layers.Dense(1)])
    model.get_layer("lora").enable_lora(2)
    for name in names[2:]:
        model.get_layer(name).quantize(name)
    return model


def started(filters: Any) -> dict[str, list[LayerReport]]:
    """The rows of each layer before the first step: TensorFlow cannot train through int4 layers run eagerly."""
    rule = Rule(filters, Groups(), 0.5, ConstantSparsity(), min_weights=0)
    pruner = Pruner(adapted_and_quantized(), rule, optimizer=SGD())
    pruner.start(1)
    rows: dict[str, list[LayerReport]] = {}
    for row in pruner.report().layers:
        rows.setdefault(row.layer, []).append(row)
    return rows


def test_layers_with_adapters_or_integers_say_so_once() -> None:
    rows = started(None)
    assert {name: [(row.variable, row.status) for row in of] for name, of in rows.items() if "dense" not in name} == {
        "plain": [("kernel", "pruned")],
        "float8": [("kernel", "pruned")],
        "lora": [("kernel", "skipped")],
        "int8": [("kernel", "skipped")],
        "int4": [("kernel", "skipped")],
    }
    adapters = "low-rank adapters (enable_lora) are added to its kernel: merge them into it first"
    assert (rows["lora"][0].reason, rows["lora"][0].shape) == (adapters, (16, 16))
    for mode in ("int8", "int4"):
        assert rows[mode][0].reason == f"quantized to {mode}: prune first, then quantize"


def test_convolutions_and_embeddings_have_adapters_too() -> None:
    inputs = keras.Input((4,))
    x = layers.Reshape((4, 8, 1))(layers.Embedding(50, 8, name="words", lora_rank=2)(inputs))
    x = layers.Flatten()(layers.Conv2D(4, 3, name="conv", lora_rank=2)(x))
    _, skipped = find_weights(keras.Model(inputs, layers.Dense(1, name="head")(x)), None, 1)
    named = {each.layer: (tuple(each.variable.shape), each.reason[:17]) for each in skipped}
    assert named["words"] == ((50, 8), "low-rank adapters")
    assert named["conv"] == ((3, 3, 1, 4), "low-rank adapters")
    assert len(skipped) == 3


@pytest.mark.parametrize(
    ("name", "reason"), [("lora", "low-rank adapters"), ("int8", "quantized to int8"), ("int4", "quantized to int4")]
)
def test_a_named_layer_with_adapters_or_integers_is_refused_by_that_name(name: str, reason: str) -> None:
    with pytest.raises(PruningError, match=rf"matches only {name} \(Dense\): {reason}"):
        started(name)
    # One of the layers that a part names is enough.
    assert started("[pil]*")[name][0].reason.startswith(reason)
