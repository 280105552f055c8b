# SPDX-License-Identifier: Apache-2.0
"""Which rule a kernel gets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tfprune.errors import RecipeError
from tfprune.recipe import LayerInfo, Recipe, Rule
from tfprune.sparsity.patterns import Groups, NofM, Unstructured
from tfprune.sparsity.schedules import ConstantSparsity, PolynomialDecay

LAYERS = [
    LayerInfo("stem", "net/stem", ("Conv2D", "BaseConv")),
    LayerInfo("conv", "net/block1/conv", ("Mine", "Conv2D", "BaseConv")),
    LayerInfo("conv", "net/block2/conv", ("Conv2D", "BaseConv")),
    LayerInfo("separable", "net/separable", ("SeparableConv2D",), ("depthwise_kernel", "pointwise_kernel")),
    LayerInfo("norm", "net/norm", ("BatchNormalization",), ()),
    LayerInfo("head", "net/head", ("Dense",)),
]


def rules(*layers: Any) -> Recipe:
    return Recipe([Rule(each, Groups(), 0.5) for each in layers])


def matched(recipe: Recipe) -> list[tuple[int, str, int | None]]:
    return [(match.layer, match.kernel, match.rule) for match in recipe.match(LAYERS)]


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ("conv", [1, 2]),
        ("net/block2/*", [2]),
        ("st?m", [0]),
        ("[hs]*", [0, 3, 3, 5]),
        ("Conv2D", [0, 1, 2]),
        ("Mine", [1]),
        ("Dense", [5]),
        ("*/pointwise_kernel", [3]),
        (["stem", "head"], [0, 5]),
        ("*", [0, 1, 2, 3, 3, 5]),
        (None, [0, 1, 2, 3, 3, 5]),
    ],
    ids=str,
)
def test_names_paths_and_classes(layers: Any, expected: list[int]) -> None:
    found = rules(layers).match(LAYERS)
    assert [match.layer for match in found if match.rule == 0] == expected
    assert {match.named for match in found if match.rule == 0} == {layers is not None}


def test_single_kernels_are_named_by_a_slash() -> None:
    assert matched(rules("separable/depthwise_kernel"))[3:5] == [
        (3, "depthwise_kernel", 0),
        (3, "pointwise_kernel", None),
    ]


def test_classes_and_callables_ask_the_layer_itself() -> None:
    layers = [LayerInfo("a", layer={1: 2}), LayerInfo("b", layer=[3]), LayerInfo("c")]
    assert [match.rule for match in rules(dict, lambda layer: 3 in layer).match(layers)] == [0, 1, None]


def test_the_first_rule_wins_and_later_ones_are_told() -> None:
    found = rules("conv", "Conv2D", None, "head").match(LAYERS)
    assert [(match.rule, match.later) for match in found] == [
        (1, ()), (0, (1,)), (0, (1,)), (2, ()), (2, ()), (2, (3,)),
    ]  # fmt: skip


@pytest.mark.parametrize("skip", [False, True])
def test_a_part_that_matches_nothing_is_an_error(skip: bool) -> None:
    rule = Rule(["stem", "stam"], skip=True) if skip else Rule(["stem", "stam"], Groups(), 0.5)
    with pytest.raises(RecipeError, match=r"Every part .* Received: 'stam' in rule 2, which matches none of \['stem'"):
        Recipe([Rule("head", skip=True), rule]).match(LAYERS)


def test_a_file_names_the_line_of_the_rule_that_matches_nothing() -> None:
    recipe = Recipe.from_yaml("rules:\n- {layers: head, skip: true}\n- {layers: stam, skip: true}\n")
    with pytest.raises(RecipeError, match=r"'stam' in rule 2 \(recipe, line 3, column 3\), which"):
        recipe.match(LAYERS)


@pytest.mark.parametrize("layers", ["norm", "BatchNormalization", ["stem", "norm"]], ids=str)
def test_an_unsupported_layer_named_explicitly_is_an_error(layers: Any) -> None:
    with pytest.raises(RecipeError, match=r"Received: '\w+' in rule 1, which matches only norm \(BatchNormalization\)"):
        rules(layers).match(LAYERS)
    Recipe(Rule(layers, skip=True)).match(LAYERS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layers": 3}, "`layers`.*Received: 3 in 3"),
        ({"layers": ["a", None]}, "`layers`.*Received: None in"),
        ({"layers": []}, "is empty"),
        ({"layers": ""}, "is empty"),
        ({"pattern": None}, r"`pattern` must be a Pattern object, such as Groups\(rows=4\)"),
        ({"schedule": 0.5}, "`schedule` must be a Schedule object"),
        ({"penalty": 3.0}, "`penalty` must be a Penalty object"),
        ({"sparsity": 1.0}, "`sparsity`"),
        ({"sparsity": None}, "needs a final sparsity"),
        ({"min_weights": True}, "`min_weights`"),
        ({"scores": "l9"}, "`scores`"),
        ({"skip": True}, "must not be given in a rule with `skip`"),
    ],
    ids=str,
)
def test_wrong_rules(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Rule(**{"layers": "a", "pattern": Groups(), "sparsity": 0.5, **arguments})


def test_wrong_recipes() -> None:
    for wrong in ([], ["conv"], [None]):
        with pytest.raises(RecipeError, match="at least one `Rule`"):
            Recipe(wrong)  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match="`scope`"):
        Recipe(Rule("a", skip=True), scope="everything")


def test_what_can_stand_for_a_recipe(tmp_path: Path) -> None:
    rule = Rule("a", Groups(), 0.5)
    recipe = Recipe(rule)
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(recipe.to_dict()), encoding="utf-8")
    for value in (recipe, rule, [rule], recipe.to_dict(), path, str(path)):
        assert Recipe.of(value) == recipe
    with pytest.raises(RecipeError, match="A recipe must be"):
        Recipe.of(3)  # type: ignore[arg-type]


def test_the_sparsity_goes_before_that_of_the_schedule() -> None:
    assert Rule("a", Groups(), 0.5, ConstantSparsity(0.8)).training_schedule() == ConstantSparsity(0.5)
    assert Rule("a", Groups(), 0.5).training_schedule() == PolynomialDecay(final_sparsity=0.5)
    assert Rule("a", Unstructured(), schedule=ConstantSparsity(0.8)).final_sparsity == 0.8
    own = Rule("a", NofM(2, 4))
    assert (own.final_sparsity, own.training_schedule()) == (None, PolynomialDecay())
    assert (own.least_weights, Rule("a", NofM(), min_weights=3).least_weights) == (2048, 3)
