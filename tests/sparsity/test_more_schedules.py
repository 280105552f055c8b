# SPDX-License-Identifier: Apache-2.0
"""Cosine decay, one shot, iterative magnitude pruning and regrowth as functions of the step."""

from __future__ import annotations

import itertools
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfprune.errors import ScheduleError
from tfprune.sparsity import schedules
from tfprune.sparsity.schedules import CosineDecay, IterativeMagnitude, OneShot, PolynomialDecay, Regrowth

FRACTIONS = st.floats(0, 0.99)
ALL = [
    CosineDecay(0.1, 0.8, 3, None, 7),
    CosineDecay(final_sparsity=0.5, end_step=9),
    OneShot(0.5, 4),
    OneShot(),
    IterativeMagnitude(0.9, 3, 5, 10, 7),
    IterativeMagnitude(0.9, rewind_step=None),
    Regrowth(0.9, 3, 50, 10, 2),
    Regrowth(),
]


@given(FRACTIONS, FRACTIONS, st.integers(0, 50), st.integers(1, 90), st.integers(1, 40))
def test_cosine_decay(initial: float, final: float, begin: int, length: int, frequency: int) -> None:
    end = begin + length
    schedule = CosineDecay(initial, final, begin, end, frequency)
    same_turns = PolynomialDecay(initial, final, begin, end, 1, frequency)
    for step in range(end + 20):
        fraction = min(1.0, max(0.0, (step - begin) / length))
        expected = final + (initial - final) * (1 + math.cos(math.pi * fraction)) / 2
        assert schedule.sparsity(step) == pytest.approx(expected, abs=1e-12)
        assert schedule.should_prune(step) == same_turns.should_prune(step)
    assert (schedule.sparsity(begin), schedule.sparsity(end)) == (pytest.approx(initial), final)


def test_cosine_decay_ends_at_70_percent() -> None:
    assert CosineDecay(final_sparsity=0.8).resolve(1000).end_step == 700
    with pytest.raises(ScheduleError, match=r"`begin_step` of `CosineDecay` .* 70 % of the training"):
        CosineDecay(final_sparsity=0.8, begin_step=70).resolve(100)


@given(FRACTIONS, st.integers(0, 30))
def test_one_shot(final: float, begin: int) -> None:
    schedule = OneShot(final, begin)
    assert schedule.last_step == begin
    assert schedule.resolve(3) is schedule
    for step in range(50):
        assert schedule.sparsity(step) == (final if step >= begin else 0)
        assert schedule.should_prune(step) == (step == begin)


@given(FRACTIONS, st.integers(1, 6), st.integers(0, 9), st.integers(1, 9))
def test_each_cut_removes_the_same_share_of_what_is_left(final: float, rounds: int, begin: int, length: int) -> None:
    schedule = IterativeMagnitude(final, rounds, begin, length, rewind_step=0)
    cuts = [begin + length * cut for cut in range(1, rounds + 1)]
    steps = range(cuts[-1] + 20)
    assert [step for step in steps if schedule.should_prune(step)] == cuts
    assert [step for step in steps if schedule.rewinds(step)] == cuts
    assert [step for step in steps if schedule.saves_values(step)] == [0]
    assert schedule.last_step == cuts[-1]
    kept = [1 - schedule.sparsity(step) for step in [0, *cuts]]
    assert schedule.sparsity(cuts[-1] + 5) == final
    for before, after in itertools.pairwise(kept):
        assert after / before == pytest.approx((1 - final) ** (1 / rounds))
    for step in steps:
        assert schedule.sparsity(step) == schedule.sparsity(max([0, *(cut for cut in cuts if cut <= step)]))


def test_open_rounds_leave_room_for_one_more() -> None:
    schedule = IterativeMagnitude(0.9, rounds=4, begin_step=3)
    assert schedule.last_step is None
    assert schedule.resolve(103).round_steps == 20
    assert schedule.resolve(103).resolve(9) == schedule.resolve(103)
    with pytest.raises(ScheduleError, match="must hold 4 rounds"):
        schedule.resolve(7)
    with pytest.raises(ScheduleError, match=r"`rewind_step` .* before the first cut, at step 2"):
        IterativeMagnitude(0.9, rounds=4, rewind_step=2).resolve(10)


def test_plain_iterative_pruning_goes_back_nowhere() -> None:
    schedule = IterativeMagnitude(0.9, 2, round_steps=5, rewind_step=None)
    assert not any(schedule.rewinds(step) or schedule.saves_values(step) for step in range(30))


@given(FRACTIONS.filter(bool), st.integers(0, 9), st.integers(2, 12), st.data())
def test_masks_open_before_each_choice_but_the_first(final: float, begin: int, frequency: int, data: Any) -> None:
    open_steps = data.draw(st.integers(1, frequency - 1))
    end = data.draw(st.integers(begin + frequency, begin + 50))
    schedule = Regrowth(final, begin, end, frequency, open_steps)
    choices = list(range(begin, end + 1, frequency))
    is_open = {step for choice in choices[1:] for step in range(choice - open_steps, choice)}
    assert schedule.last_step == choices[-1]
    for step in range(end + 30):
        assert schedule.sparsity(step) == (0 if step in is_open or step < begin else final)
        changes = step in choices or (step in is_open and step - 1 not in is_open)
        assert schedule.should_prune(step) == changes


def test_an_open_end_of_regrowth() -> None:
    assert Regrowth(0.5, frequency=30).resolve(100).end_step == 70
    assert Regrowth(0.5, frequency=30).resolve(100).last_step == 60
    with pytest.raises(ScheduleError, match="room for a second choice"):
        Regrowth(0.5).resolve(100)


@pytest.mark.parametrize("schedule", ALL, ids=repr)
def test_round_trips_and_open_ends(schedule: schedules.Schedule) -> None:
    assert type(schedule).from_config(schedule.get_config()) == schedule
    assert schedules.deserialize(json.loads(json.dumps(schedules.serialize(schedule)))) == schedule
    ended = schedule.with_final(0.25).resolve(1000)
    assert ended.last_step is not None
    assert ended.sparsity(ended.last_step) == ended.sparsity(10**6) == 0.25
    if schedule.final is None:
        with pytest.raises(ScheduleError, match="with_final"):
            schedule.sparsity(3)
    if schedule.last_step is None:
        with pytest.raises(ScheduleError, match=r"yet\. Give"):
            schedule.should_prune(3)


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        (CosineDecay, {"final_sparsity": 80}, "write 0.8 for 80 %"),
        (CosineDecay, {"begin_step": 5, "end_step": 5}, "`end_step` of `CosineDecay` must come after"),
        (CosineDecay, {"power": 2}, "no argument .power."),
        (OneShot, {"final_sparsity": -0.1}, "final_sparsity"),
        (OneShot, {"begin_step": -1}, "`begin_step`"),
        (OneShot, {"frequency": 1}, "no argument .frequency."),
        (IterativeMagnitude, {"rounds": 0}, "`rounds`"),
        (IterativeMagnitude, {"round_steps": 0}, "`round_steps`"),
        (IterativeMagnitude, {"rewind_step": -1}, "`rewind_step`"),
        (IterativeMagnitude, {"round_steps": 5, "begin_step": 2, "rewind_step": 7}, "before the first cut, at step 7"),
        (Regrowth, {"frequency": 1}, "`frequency`"),
        (Regrowth, {"open_steps": 0}, "`open_steps`"),
        (Regrowth, {"open_steps": 100}, "fewer than `frequency`"),
        (Regrowth, {"end_step": 99}, "room for a second choice"),
    ],
)
def test_wrong_arguments(kind: type[schedules.Schedule], arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ScheduleError, match=message):
        kind.from_config(arguments)
