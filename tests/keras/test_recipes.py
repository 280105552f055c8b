# SPDX-License-Identifier: Apache-2.0
"""Recipes while a model trains: each layer its own pattern, schedule, scores and penalty, or one budget for all."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from tfprune.errors import PruningError, RecipeError
from tfprune.keras.callback import PruningCallback
from tfprune.keras.report import LayerReport
from tfprune.recipe import Recipe, Rule
from tfprune.sparsity.blocks import Mask
from tfprune.sparsity.patterns import Filters, Groups, NofM, Unstructured
from tfprune.sparsity.penalties import PriorMaskPenalty
from tfprune.sparsity.schedules import ConstantSparsity, PolynomialDecay, StrengthRamp
from tfprune.sparsity.select import select, select_global

HALF = ConstantSparsity(0.5, frequency=1)
STEPS = 4


def network(rate: float = 0.0) -> Any:
    """Three hidden layers of 128 weights and a head; with a rate of 0 only pruning changes the weights."""
    model = keras.Sequential(
        [
            keras.Input((16,)),
            layers.Dense(8, name="first"),
            layers.Dense(16, name="second"),
            layers.BatchNormalization(name="norm"),
            layers.Dense(8, name="third"),
            layers.Dense(1, name="head"),
        ]
    )
    model.compile(keras.optimizers.SGD(rate), "mse", run_eagerly=True)
    return model


def prune(model: Any, recipe: Any, steps: int = STEPS, *others: Any) -> dict[str, LayerReport]:
    callback = PruningCallback(recipe=recipe)
    x = np.random.default_rng(0).standard_normal((steps, 16)).astype(np.float32)
    model.fit(x, np.ones(steps), batch_size=1, verbose=0, shuffle=False, callbacks=[callback, *others])
    return {row.layer: row for row in callback.report.layers}


def kernel(model: Any, name: str) -> np.ndarray:
    return np.asarray(model.get_layer(name).kernel.numpy())


def kept(model: Any, name: str) -> Mask:
    return kernel(model, name) != 0


def test_every_layer_gets_its_own() -> None:
    model = network()
    before = {name: kernel(model, name) for name in ("first", "second", "third", "head")}
    rows = prune(
        model,
        [
            Rule("first", Groups(rows=4), 0.75, HALF, min_weights=1),
            Rule("second", Unstructured(), schedule=HALF, scores="squared", min_weights=1),
            Rule("head", skip=True),
            Rule("Dense", NofM(2, 4), schedule=ConstantSparsity(), min_weights=1),
        ],
    )
    np.testing.assert_array_equal(kept(model, "first"), select(before["first"], Groups(rows=4), 0.75))
    np.testing.assert_array_equal(kept(model, "second"), select(before["second"], Unstructured(), 0.5))
    np.testing.assert_array_equal(kept(model, "third"), select(before["third"], NofM(2, 4)))
    assert kept(model, "head").all()
    assert rows["head"].reason == "by rule 3; rule 4 matched as well, but came later"
    assert rows["first"].reason == "rule 4 matched as well, but came later"
    assert rows["third"].reason == ""
    assert [rows[name].target for name in ("first", "second", "third")] == [0.75, 0.5, 0.5]


def test_every_layer_gets_its_own_scores() -> None:
    model = network()
    before = kernel(model, "first"), kernel(model, "second")
    last_row = np.zeros((16, 8)) + np.arange(16)[:, None]
    rules = [
        Rule("first", Unstructured(), 0.5, HALF, scores=lambda weights: last_row, min_weights=1),
        Rule("second", Unstructured(), 0.5, HALF, min_weights=1),
    ]
    for scope in ("layer", "global"):
        model.get_layer("first").kernel.assign(before[0])
        model.get_layer("second").kernel.assign(before[1])
        prune(model, Recipe(rules, scope))
        if scope == "layer":
            np.testing.assert_array_equal(kept(model, "first"), last_row >= 8)
            np.testing.assert_array_equal(kept(model, "second"), select(before[1], Unstructured(), 0.5))
        else:  # Its scores are larger than any weight, so of the first all stays that the other can pay for.
            assert kept(model, "first").sum() > 3 * kept(model, "second").sum()


def test_schedules_end_where_each_rule_says() -> None:
    model, seen = network(), []
    watch = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(
            [int(kept(model, name).sum()) for name in ("first", "third")]
        )
    )
    early = PolynomialDecay(0.0, 0.5, end_step=2, power=1, frequency=1)
    late = ConstantSparsity(0.75, begin_step=3)
    prune(
        model,
        [
            Rule("first", Unstructured(), schedule=early, min_weights=1),
            Rule("third", Unstructured(), schedule=late, min_weights=1),
        ],
        5,
        watch,
    )
    assert seen == [[128, 128], [96, 128], [64, 128], [64, 32], [64, 32]]


def test_a_warning_names_the_layers_of_a_late_schedule() -> None:
    rules = [
        Rule("first", Unstructured(), 0.5, HALF, min_weights=1),
        Rule("third", Unstructured(), 0.5, ConstantSparsity(begin_step=9), min_weights=1),
    ]
    with pytest.warns(UserWarning, match=r"the schedule of third reaches .* at step 9, this training ends at step 4"):
        prune(network(), rules)


def test_penalties_act_on_the_layers_of_their_rule_with_their_strength() -> None:
    model = network(rate=0.01)
    cut = ConstantSparsity(0.5, begin_step=STEPS)

    def rule(name: str, strength: float | None) -> Rule:
        penalty = None if strength is None else PriorMaskPenalty(StrengthRamp(strength, end_step=0))
        return Rule(name, Unstructured(), schedule=cut, penalty=penalty, min_weights=1)

    shares = []
    choices = {name: select(kernel(model, name), Unstructured(), 0.5) for name in ("first", "second", "third")}

    def measure(epoch: int, logs: Any) -> None:
        for name, mask in choices.items():
            size = np.abs(kernel(model, name))
            shares.append(size[~mask].sum() / size.sum())

    prune(
        model,
        [rule("first", 1e5), rule("second", 1e2), rule("third", None)],
        STEPS,
        keras.callbacks.LambdaCallback(on_epoch_end=measure),
    )
    strong, weak, none = shares
    assert strong < 1e-6 < weak < 0.05 < none


def test_one_budget_for_all_layers() -> None:
    model = network()
    model.get_layer("first").kernel.assign(10 * kernel(model, "first"))
    names = ("first", "second", "third")
    before = {name: kernel(model, name) for name in names}
    rows = prune(model, Recipe(Rule(None, Groups(rows=4), schedule=HALF, min_weights=1), scope="global"))
    expected = select_global(before, Groups(rows=4), 0.5)
    for name in names:
        np.testing.assert_array_equal(kept(model, name), expected[name])
        assert rows[name].pattern == "Groups 4x1, unaligned along output, one budget"
    assert rows["first"].achieved < 0.1 < 0.6 < rows["third"].achieved
    total = sum(rows[name].kept for name in names), sum(rows[name].total for name in names)
    assert total == (192, 384)


def test_budgets_are_shared_by_rules_of_equal_target_only() -> None:
    model = network()
    before = {name: kernel(model, name) for name in ("first", "second", "third")}
    rows = prune(
        model,
        Recipe(
            [
                Rule("first", Groups(rows=4), 0.5, HALF, min_weights=1),
                Rule("second", Unstructured(), 0.5, HALF, min_weights=1),
                Rule("third", NofM(2, 4), schedule=ConstantSparsity(), min_weights=1),
                Rule("head", Unstructured(), 0.25, HALF, min_weights=1),
            ],
            scope="global",
        ),
    )
    pair = {name: before[name] for name in ("first", "second")}
    expected = select_global(pair, {"first": Groups(rows=4), "second": Unstructured()}, 0.5)
    for name, mask in expected.items():
        np.testing.assert_array_equal(kept(model, name), mask)
    np.testing.assert_array_equal(kept(model, "third"), select(before["third"], NofM(2, 4)))
    assert rows["third"].pattern == "2 of 4, outside of the budget"
    assert rows["head"].achieved == 0.25


def test_an_option_of_the_callback_asks_for_one_budget() -> None:
    model = network()
    model.get_layer("first").kernel.assign(10 * kernel(model, "first"))
    callback = PruningCallback(Groups(rows=4), HALF, scope="global", min_weights=1)
    model.fit(np.ones((2, 16)), np.ones(2), verbose=0, callbacks=[callback])
    assert kept(model, "first").sum() > kept(model, "third").sum()
    with pytest.raises(PruningError, match="`scope`"):
        PruningCallback(Groups(rows=4), HALF, scope="all")


def test_channels_stay_coupled_within_a_rule() -> None:
    model = network()
    rows = prune(
        model,
        Recipe(
            [Rule("first", Filters(), 0.5, HALF, min_weights=1), Rule("third", Groups(), 0.5, HALF, min_weights=1)],
            scope="global",
        ),
    )
    assert kept(model, "first").any(axis=0).sum() == 4
    assert "Filters, coupled" in (rows["first"].pattern or "")


@pytest.mark.parametrize(
    ("recipe", "error", "message"),
    [
        ([Rule("frist", Groups(), 0.5)], RecipeError, "'frist' in rule 1, which matches none of"),
        ([Rule("norm", Groups(), 0.5)], RecipeError, r"which matches only norm \(BatchNormalization\)"),
        ([Rule("first", NofM(9, 10), min_weights=1), Rule("head", NofM(9, 10), min_weights=1)], PruningError, "head"),
        ([Rule("norm", skip=True), Rule("*", Groups(), 0.5)], PruningError, "no layer to prune"),
        ({"rules": [{"layers": "first"}]}, RecipeError, "`pattern` must be"),
        ("none.yaml", RecipeError, "cannot be read"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused_before_the_first_step(recipe: Any, error: type, message: str) -> None:
    model = network(rate=0.1)
    before = model.get_weights()
    with pytest.raises(error, match=message):
        prune(model, recipe)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)
    assert model.get_layer("first").kernel.constraint is None


def test_a_recipe_that_leaves_every_layer_dense_trains_as_without_it() -> None:
    pruned, plain = network(rate=0.1), network(rate=0.1)
    plain.set_weights(pruned.get_weights())
    rows = prune(pruned, [Rule("*", skip=True)])
    assert {row.status for row in rows.values()} == {"skipped"}
    x = np.random.default_rng(0).standard_normal((STEPS, 16)).astype(np.float32)
    plain.fit(x, np.ones(STEPS), batch_size=1, verbose=0, shuffle=False)
    for one, other in zip(pruned.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_recipe_stands_alone() -> None:
    rule = Rule("first", Groups(), 0.5)
    for name, value in {"pattern": Groups(), "filters": "a", "min_weights": 1, "scope": "global"}.items():
        with pytest.raises(PruningError, match=f"Received: `recipe` and `{name}`"):
            PruningCallback(recipe=rule, **{name: value})


def test_the_same_callback_twice_is_refused_before_the_first_step() -> None:
    model = network(rate=0.1)
    before = kernel(model, "first")
    callback = PruningCallback(Groups(), PolynomialDecay(0.1, 0.5, begin_step=1, end_step=2), min_weights=1)
    with pytest.raises(PruningError, match="the same object twice"):
        model.fit(np.ones((4, 16)), np.ones(4), batch_size=1, verbose=0, callbacks=[callback, callback])
    np.testing.assert_array_equal(kernel(model, "first"), before)


def test_an_unbuilt_model_is_refused_before_the_first_step() -> None:
    model = keras.Sequential([layers.Dense(8, name="first"), layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(PruningError, match="must be built before it is pruned"):
        prune(model, Rule("first", Groups(), 0.5, min_weights=1))


def test_a_schedule_for_rules_without_one() -> None:
    own = ConstantSparsity(frequency=7)
    given = PolynomialDecay(frequency=3)
    recipe = Recipe(
        [
            Rule("a", Groups(rows=4), 0.8, own),
            Rule("b", Groups(rows=4), 0.7),
            Rule("c", skip=True),
        ],
        scope="global",
    )
    found = recipe.with_schedule(given)
    assert [rule.schedule for rule in found.rules] == [own, given, None]
    assert found.rules[1].training_schedule().final == 0.7
    assert (found.scope, recipe.rules[1].schedule) == ("global", None)
