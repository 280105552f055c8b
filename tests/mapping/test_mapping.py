# SPDX-License-Identifier: Apache-2.0
"""What a mapping says and writes."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tests.mapping.models import convolutional
from tfprune import Recipe
from tfprune.costs import load_table
from tfprune.errors import ConversionError, MappingError, OutputError, PatternError
from tfprune.keras.layers import match_weights
from tfprune.mapping.budget import Budget
from tfprune.mapping.choice import DENSE, Choice
from tfprune.mapping.latency import LatencyModel
from tfprune.mapping.mapping import Mapping, Tried
from tfprune.mapping.network import Network
from tfprune.mapping.recipe_rules import exactly
from tfprune.sparsity.patterns import BlockPunched, Groups

CHOICES = {
    "three": Choice(Groups(rows=4), 0.8),
    "larger": Choice(BlockPunched(8, 4), 0.9),
    # Fewer weights than recipes prune by default.
    "stem": Choice(Groups(rows=8, aligned=True), 0.7),
}
REASONS = {"three": "it pays:\nsecond line", "pointwise": "left alone"}


@pytest.fixture(scope="module")
def model() -> Any:
    return convolutional()


@pytest.fixture(scope="module")
def latency(model: Any) -> LatencyModel:
    return LatencyModel(Network(model), load_table("arm64"))


def mapping(latency: LatencyModel, limit: float = 0.5, **options: Any) -> Mapping:
    budget = Budget("latency_ratio", limit)
    return Mapping.of(latency, CHOICES, budget=budget, method="rules", reasons=REASONS, **options)


def test_the_recipe_prunes_exactly_what_was_chosen(model: Any, latency: LatencyModel) -> None:
    prunable, skipped = match_weights(model, mapping(latency).recipe)
    assert {each.layer: (each.rule.pattern, each.rule.sparsity) for each in prunable} == {
        name: (choice.pattern, choice.sparsity) for name, choice in CHOICES.items()
    }
    assert {each.layer for each in skipped} == {layer.name for layer in latency.network.layers} - set(CHOICES)


@pytest.mark.parametrize("suffix", [".yaml", ".yml", ".json"])
def test_the_recipe_is_read_as_it_was_written(tmp_path: Path, latency: LatencyModel, suffix: str) -> None:
    path = tmp_path / f"recipe{suffix}"
    found = mapping(latency)
    found.save_recipe(path)
    assert Recipe.load(path) == found.recipe
    with pytest.raises(OutputError, match="exists already"):
        found.save_recipe(path)


def test_the_recipe_says_its_reasons(tmp_path: Path, latency: LatencyModel) -> None:
    mapping(latency).save_recipe(tmp_path / "recipe.yaml")
    lines = (tmp_path / "recipe.yaml").read_text().splitlines()
    assert lines[0].startswith("# small: 3 of 9 layers sparse by rules")
    place = lines.index("  - layers: [three]")
    assert lines[place - 2 : place] == ["  # it pays:", "  # second line"]


def test_another_suffix_is_refused_before_anything_is_written(tmp_path: Path, latency: LatencyModel) -> None:
    with pytest.raises(MappingError, match=r"ends in \.yaml"):
        mapping(latency).save_recipe(tmp_path / "recipe.txt")
    assert not list(tmp_path.iterdir())


def test_the_prediction_is_that_of_the_choices(latency: LatencyModel) -> None:
    found = mapping(latency)
    assert found.prediction == latency.predict(CHOICES)
    assert found.dense == latency.dense
    assert found.used == pytest.approx(found.prediction.time / latency.dense.time / 0.5)


@pytest.mark.parametrize(("limit", "met"), [(1.0, True), (0.01, False)])
def test_whether_the_budget_is_met(latency: LatencyModel, limit: float, met: bool) -> None:
    found = mapping(latency, limit)
    assert found.met is met
    assert f": {'met' if met else 'not met'}, " in found.title


def test_text_html_and_dictionary_hold_every_layer(latency: LatencyModel) -> None:
    found = mapping(latency, notes=["a note"], tried=[Tried(2.0, 0.5, front=True)])
    data = json.loads(json.dumps(found.to_dict()))
    assert [layer["name"] for layer in data["layers"]] == [layer.name for layer in latency.network.layers]
    assert data["layers"][1]["pattern"]["Groups"]["rows"] == 4
    assert data["tried"] == [{"time": 2.0, "accuracy": 0.5, "front": True, "chosen": False}]
    for text in (str(found), found._repr_html_()):
        assert "a note" in text
        assert all(layer.name in text for layer in latency.network.layers)


def test_a_layer_without_a_reason_has_the_verdict(latency: LatencyModel) -> None:
    reasons = mapping(latency).reasons
    assert reasons["pointwise"] == "left alone"
    assert reasons["depthwise"].startswith("depthwise kernel: few weights")


def test_choices_are_complete(latency: LatencyModel) -> None:
    assert mapping(latency).choices == {layer.name: DENSE for layer in latency.network.layers} | CHOICES


@pytest.mark.parametrize("name", ["conv*", "a?b", "x[1]", "Conv2D", "stem", "block/conv/kernel"])
def test_a_rule_names_one_layer(name: str) -> None:
    from tfprune.recipe import LayerInfo, Rule

    rule = Rule(exactly(name), skip=True)
    assert rule.matches(LayerInfo(name))
    assert not any(rule.matches(LayerInfo(other, class_names=("Conv2D",))) for other in ("conv1", "aab", "x1", "net"))


def test_layers_of_the_name_of_a_class_are_told_apart(tmp_path: Path) -> None:
    inputs = keras.Input((12, 12, 16))
    x = keras.layers.Conv2D(32, 3, name="Conv2D")(inputs)
    x = keras.layers.Conv2D(32, 3, name="plain")(x)
    model = keras.Model(inputs, x)
    latency = LatencyModel(Network(model), load_table("arm64"))
    choices = {"Conv2D": Choice(Groups(rows=4), 0.8)}
    found = Mapping.of(latency, choices, budget=Budget("mac_ratio", 1), method="rules", reasons={})
    assert [each.layer for each in match_weights(model, found.recipe)[0]] == ["Conv2D"]


def test_layers_of_one_name_inside_and_outside_of_a_model_are_told_apart() -> None:
    inputs = keras.Input((12, 12, 16))
    x = keras.layers.Conv2D(32, 3, name="conv")(inputs)
    inner = keras.Sequential([keras.Input((10, 10, 32)), keras.layers.Conv2D(32, 3, name="conv")], name="inner")
    model = keras.Model(inputs, inner(x))
    latency = LatencyModel(Network(model), load_table("arm64"))
    for name in ("conv", "inner/conv"):
        choices = {name: Choice(Groups(rows=4), 0.8)}
        found = Mapping.of(latency, choices, budget=Budget("mac_ratio", 1), method="rules", reasons={})
        assert [each.layer for each in match_weights(model, found.recipe)[0]] == [name]


def test_layers_that_do_not_train_take_their_time() -> None:
    model = convolutional()
    dense = LatencyModel(Network(model), load_table("arm64"))
    model.get_layer("three").trainable = False
    frozen = LatencyModel(Network(model), load_table("arm64"))
    assert frozen.network.layer("three").obstacle == "not trainable"
    assert (frozen.dense.time, frozen.dense.macs) == pytest.approx((dense.dense.time, dense.dense.macs))
    assert frozen.others.not_modelled == ()


@keras.saving.register_keras_serializable("tests.mapping")
class Projection(keras.layers.Layer):  # type: ignore[misc]
    """Weights that tfprune cannot prune, in an operator that it knows."""

    def build(self, shape: Any) -> None:
        """Makes them."""
        self.matrix = self.add_weight(shape=(shape[-1], 512), initializer="glorot_uniform")

    def call(self, inputs: Any) -> Any:
        """Projects."""
        return keras.ops.matmul(inputs, self.matrix)


def test_weights_of_no_kind_that_is_known_take_their_time() -> None:
    inputs = keras.Input((256,))
    model = keras.Model(inputs, keras.layers.Dense(10)(keras.layers.Dense(256)(Projection()(inputs))))
    latency = LatencyModel(Network(model), load_table("arm64"))
    assert latency.others.not_modelled == ()
    ordinary = keras.Model(
        inputs, keras.layers.Dense(10)(keras.layers.Dense(256)(keras.layers.Dense(512, use_bias=False)(inputs)))
    )
    expected = LatencyModel(Network(ordinary), load_table("arm64")).dense.time
    assert latency.dense.time == pytest.approx(expected)


def test_what_stays_dense_unless_it_is_named_says_so_in_no_words_of_another_call(latency: LatencyModel) -> None:
    assert latency.network.layer("last").spared == "last Dense layer: it makes an output of the model"
    reasons = {layer.name: layer.reason for layer in mapping(latency).layers}
    assert reasons["last"] == "last Dense layer: it makes an output of the model"


def test_a_model_without_anything_to_prune_is_refused() -> None:
    inputs = keras.Input((16, 16, 4))
    pooled = keras.layers.GlobalAveragePooling2D()(inputs)
    with pytest.raises(MappingError, match=r"model 'empty' has no layer that could be pruned: it has no kernels"):
        Network(keras.Model(inputs, pooled, name="empty"))
    with pytest.raises(MappingError, match=r"no layer that could be pruned: .*projection: Projection weights are not"):
        Network(keras.Model(inputs, Projection(name="projection")(pooled)))


def test_layers_that_nothing_prunes_are_named() -> None:
    model = keras.Sequential(
        [
            keras.Input((8, 8, 8, 4)),
            keras.layers.Conv3D(8, 3, name="volume"),
            keras.layers.GlobalAveragePooling3D(),
            keras.layers.Dense(512, name="hidden"),
            keras.layers.Dense(4, name="classes"),
        ]
    )
    found = Mapping.of(
        LatencyModel(Network(model), load_table("arm64")),
        {},
        budget=Budget("latency_ratio", 1.0),
        method="by hand",
        reasons={},
    )
    assert found.notes[0] == "volume stays dense: Conv3D weights are not supported"


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), True, None, "x"])
def test_what_no_speedup_can_be_is_refused(value: Any, model: Any) -> None:
    with pytest.raises(ConversionError, match="min_speedup: must be a finite number above 0"):
        LatencyModel(Network(model), load_table("arm64"), min_speedup=value)


def test_zeros_need_a_pattern() -> None:
    with pytest.raises(PatternError, match="a layer without a pattern has no zeros"):
        Choice(None, 0.5)
    assert Choice(Groups(rows=4), 0.0) == DENSE


@pytest.mark.parametrize("limit", [np.float32(0.5), np.float64(0.5), np.float16(0.5), Fraction(1, 2), np.int64(1), 1])
def test_a_budget_is_any_real_number(latency: LatencyModel, limit: Any) -> None:
    found = mapping(latency, limit)
    assert found.budget.limit == limit
    assert json.loads(json.dumps(found.to_dict()))["budget"]["limit"] == float(limit)


@pytest.mark.parametrize("limit", [True, np.bool_(True), np.float32("nan"), np.float32(2), np.array([0.5]), "0.5", 1j])
def test_a_budget_is_a_share(limit: Any) -> None:
    with pytest.raises(MappingError, match="latency_ratio must be"):
        Budget("latency_ratio", limit)


def test_a_budget_that_is_far_off_is_readable(latency: LatencyModel) -> None:
    assert re.search(r"not met, \d(\.\d)?e\+08 times the budget used", mapping(latency, 1e-9).title)
    assert re.search(r"not met, 1\d\d\.\d% of it used", mapping(latency, mapping(latency).used / 3).title)


@pytest.mark.parametrize("path", [None, 3])
def test_a_recipe_is_written_to_a_path(latency: LatencyModel, path: Any) -> None:
    with pytest.raises(MappingError, match=f"recipe: must be a path, got {type(path).__name__}"):
        mapping(latency).save_recipe(path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"measured": 3}, "measured: must be what .* returns, got int"),
        ({"layer_times": 3}, "layer_times: must be a dictionary of times by layer, got int"),
        ({"layer_times": {3: 1.0}}, "layer_times: must be times of layers of the mapping, got 3"),
        ({"layer_times": {"three": "5"}}, "layer_times: of three must be a finite number of at least 0, got '5'"),
        ({"layer_times": {"three": -1.0}}, "of three must be a finite number of at least 0, got -1.0"),
        ({"layer_times": {"three": float("nan")}}, "of three must be a finite number of at least 0, got nan"),
        ({"layer_times": {"three": True}}, "of three must be a finite number of at least 0, got True"),
    ],
)
def test_measurements_that_are_none_are_refused(latency: LatencyModel, options: dict[str, Any], message: str) -> None:
    with pytest.raises(MappingError, match=message):
        mapping(latency).to_html(**options)
