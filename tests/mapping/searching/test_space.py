# SPDX-License-Identifier: Apache-2.0
"""Which choices there are, what they take, and the mapping under the budget that is nearest to another one."""

from __future__ import annotations

import numpy as np
import pytest

from tests.mapping.searching.toy import CHOICES, Judge, Latency, space_for
from tfprune.errors import MappingError
from tfprune.mapping.budget import Budget
from tfprune.mapping.choice import DENSE, Choice
from tfprune.mapping.searching.hopeless import with_losses, without_hopeless
from tfprune.mapping.searching.space import DOMINATED, NO_GAIN, TOO_LOSSY, Space, space_of
from tfprune.sparsity.patterns import BlockPunched, Groups, Unstructured

_HALF = Budget("latency_ratio", 0.5)


@pytest.mark.parametrize(
    "budget",
    [_HALF, Budget("latency_ms", 40.0), Budget("size_bytes", 30_000), Budget("mac_ratio", 0.3)],
    ids=lambda budget: budget.kind,
)
def test_shares_add_up_to_the_prediction(budget: Budget) -> None:
    latency = Latency()
    space = space_for(latency, budget)
    for places in ([0] * 10, [1, 2, 3, 4, 5, 6, 0, 0, 3, 6], space.fastest()):
        predicted = latency.predict(space.at(places)).share(budget, latency.dense)
        assert space.share(places) == pytest.approx(predicted, rel=1e-3)


def test_choices_survive_as_text() -> None:
    space = space_for(Latency(), _HALF)
    places = [6, 5, 4, 3, 2, 1, 0, 1, 2, 3]
    assert space.places(space.keys_at(places)) == places
    assert all(len(set(keys)) == len(CHOICES) for keys in space.keys().values())


def test_a_choice_that_gains_nothing_is_not_tried() -> None:
    latency = Latency(layers=2)
    predict = latency.predict

    def slower(choices: dict[str, Choice]) -> object:
        found = predict(choices)
        layer = found.layers["layer0"]
        if layer.choice.pattern == Unstructured():
            found.layers["layer0"] = type(layer)(
                layer.choice, False, layer.dense_time, layer.dense_time, 9, 9, reason="x"
            )
        return found

    latency.predict = slower  # type: ignore[assignment, method-assign]
    bad = Choice(Unstructured(), 0.8)
    space, skipped = space_of(latency, {"layer0": (bad, *CHOICES), "layer1": (DENSE,)}, _HALF)
    assert space.layers == ("layer0",)
    assert bad not in space.choices["layer0"]
    assert [(each.layer, each.choice, each.rule) for each in skipped] == [("layer0", bad, NO_GAIN)]
    assert "stays dense in the file: x" in skipped[0].reason
    with pytest.raises(MappingError, match=r"at least one layer, got layer0 as Unstructured"):
        space_of(latency, {"layer0": (bad,)}, _HALF)


def test_the_nearest_mapping_meets_the_budget_and_gives_up_what_is_cheapest() -> None:
    latency = Latency()
    space = space_for(latency, _HALF)
    losses = {name: np.array([choice.sparsity for choice in CHOICES]) for name in space.layers}
    losses["layer3"] = losses["layer3"] * 1000
    space = Space(space.choices, space.shares, space.rest, losses)

    def share(choices: dict[str, Choice]) -> float:
        return latency.predict(choices).share(_HALF, latency.dense)

    found = space.fit([0] * 10, share)
    assert found is not None
    assert 0.9 < share(space.at(found)) <= 1
    assert found[3] == 0
    # Where there is nothing to give up, nothing changes.
    assert space.fit(found, share) == found


def test_a_whole_that_takes_more_than_its_layers_is_made_smaller_until_it_fits() -> None:
    latency = Latency()
    space = space_for(latency, _HALF)

    def share(choices: dict[str, Choice]) -> float:
        return 1.3 * latency.predict(choices).share(_HALF, latency.dense)

    found = space.fit([0] * 10, share)
    assert found is not None
    assert 0.8 < share(space.at(found)) <= 1
    assert space.fit([0] * 10, lambda choices: 9.0) is None


def test_choices_that_are_slower_and_worse_alone_are_hopeless() -> None:
    latency = Latency(layers=2)
    space = space_for(latency, _HALF)
    alone = {name: {choice: 0.9 - 0.1 * choice.sparsity for choice in CHOICES[1:]} for name in space.layers}
    # Faster than Groups at 50 %, and better.
    alone["layer0"][Choice(BlockPunched(8, 4), 0.7)] = 0.88
    narrow, skipped = without_hopeless(space, alone, 0.9, 1)
    assert {(each.layer, each.choice, each.rule) for each in skipped} == {
        ("layer0", choice, DOMINATED)
        for choice in (Choice(Groups(4), 0.5), Choice(Groups(4), 0.7), Choice(BlockPunched(8, 4), 0.5))
    }
    assert narrow.choices["layer1"] == CHOICES
    assert len(narrow.shares["layer0"]) == len(narrow.choices["layer0"]) == 4
    kept, none = without_hopeless(space, alone, 0.9, 1, wanted={"layer0": frozenset(CHOICES)})
    assert kept.choices == space.choices
    assert none == ()
    # Of a metric of which less is better, signs turn round.
    lower = {name: {choice: -value for choice, value in values.items()} for name, values in alone.items()}
    assert without_hopeless(space, lower, -0.9, -1)[1] == skipped


def test_a_limit_of_losses_holds_unless_the_budget_needs_more() -> None:
    latency = Latency(layers=2)
    alone = {name: {choice: 0.9 - choice.sparsity for choice in CHOICES[1:]} for name in latency.candidates}
    loose = space_for(latency, Budget("latency_ratio", 0.6))
    narrow, skipped = without_hopeless(loose, alone, 0.9, 1, max_loss=0.7)
    assert max(choice.sparsity for choices in narrow.choices.values() for choice in choices) == 0.7
    assert {each.rule for each in skipped} == {TOO_LOSSY}
    tight = space_for(latency, Budget("latency_ratio", 0.2))
    kept, none = without_hopeless(tight, alone, 0.9, 1, max_loss=0.7)
    assert kept.choices == tight.choices
    assert none == ()


def test_losses_are_those_of_layers_alone_and_sparser_where_these_are_equal() -> None:
    latency = Latency(layers=2)
    alone = {name: dict.fromkeys(CHOICES[1:], 0.9) for name in latency.candidates}
    alone["layer1"] = Judge(latency).losses["layer1"]
    alone["layer1"] = {choice: 0.9 - loss for choice, loss in alone["layer1"].items()}
    losses = with_losses(space_for(latency, _HALF), alone, 0.9, 1).losses
    assert losses["layer0"][0] == 0
    assert losses["layer0"][1] < losses["layer0"][2] < losses["layer0"][3] < 0.1 * max(losses["layer1"])
    worst = min(CHOICES[1:], key=lambda choice: alone["layer1"][choice])
    assert CHOICES[losses["layer1"].argmax()] == worst


def test_choices_that_were_not_run_are_skipped_for_what_a_lower_rate_loses() -> None:
    latency = Latency(layers=2)
    space = space_for(latency, Budget("latency_ratio", 0.9))
    low = {choice: 0.9 - choice.sparsity / 2 for choice in CHOICES[1:] if choice.sparsity < 0.9}
    alone = {name: dict(low) for name in space.choices}
    skipped = without_hopeless(space, alone, 0.9, 1, max_loss=0.3)[1]
    told = {each.reason for each in skipped if each.rule == TOO_LOSSY}
    assert told == {"0.3500, more than max_loss=0.3", "not run, a lower rate: 0.3500, more than max_loss=0.3"}
    losses = with_losses(space, alone, 0.9, 1).losses
    assert all(max(each) < 0.37 for each in losses.values())
