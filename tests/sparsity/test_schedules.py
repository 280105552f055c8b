# SPDX-License-Identifier: Apache-2.0
"""Schedules against the formula of the TensorFlow Model Optimization Toolkit."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfprune.errors import ScheduleError
from tfprune.sparsity import schedules
from tfprune.sparsity.penalties.prior_mask import shrink_factor
from tfprune.sparsity.schedules import ConstantSparsity, PolynomialDecay, StrengthRamp

FRACTIONS = st.floats(0, 0.99)


def toolkit_turn(step: int, begin: int, end: int, frequency: int) -> bool:
    """Its rule: inside the range (end below 0: without end), and a multiple of the frequency after the beginning."""
    in_range = step >= begin and (end < 0 or step <= end)
    return in_range and (step - begin) % frequency == 0


@given(FRACTIONS, FRACTIONS, st.integers(0, 50), st.integers(1, 90), st.floats(0.5, 5), st.integers(1, 40))
def test_polynomial_decay(initial: float, final: float, begin: int, length: int, power: float, frequency: int) -> None:
    end = begin + length
    schedule = PolynomialDecay(initial, final, begin, end, power, frequency)
    for step in range(end + 20):
        fraction = min(1.0, max(0.0, (step - begin) / (end - begin)))
        assert schedule.sparsity(step) == pytest.approx((initial - final) * (1 - fraction) ** power + final, abs=1e-12)
        assert schedule.should_prune(step) == (toolkit_turn(step, begin, end, frequency) or step == end)


@given(FRACTIONS, st.integers(0, 30), st.one_of(st.just(-1), st.integers(30, 80)), st.integers(1, 40))
def test_constant_sparsity(target: float, begin: int, end: int, frequency: int) -> None:
    schedule = ConstantSparsity(target, begin, end, frequency)
    for step in range(100):
        assert schedule.sparsity(step) == target
        assert schedule.should_prune(step) == toolkit_turn(step, begin, end, frequency)


def test_literal_values() -> None:
    schedule = PolynomialDecay(0.5, 0.9, begin_step=10, end_step=20, power=1)
    assert [schedule.sparsity(step) for step in (0, 10, 15, 20, 99)] == pytest.approx([0.5, 0.5, 0.7, 0.9, 0.9])


def test_the_end_is_reached_whatever_the_frequency() -> None:
    schedule = PolynomialDecay(0.0, 0.8, 0, 250, frequency=100)
    assert [step for step in range(400) if schedule.should_prune(step)] == [0, 100, 200, 250]


def test_open_end_is_70_percent_of_the_training() -> None:
    schedule = PolynomialDecay(final_sparsity=0.8)
    assert schedule.last_step is None
    for use in (schedule.sparsity, schedule.should_prune):
        with pytest.raises(ScheduleError, match="no `end_step`"):
            use(0)
    assert schedule.resolve(1000).end_step == 700
    assert schedule.resolve(1).end_step == 1
    assert PolynomialDecay(final_sparsity=0.8, end_step=5).resolve(1000).end_step == 5
    with pytest.raises(ScheduleError, match="70 % of the training"):
        PolynomialDecay(final_sparsity=0.8, begin_step=70).resolve(100)


@pytest.mark.parametrize(
    "schedule",
    [
        PolynomialDecay(0.1, 0.8, 3, None, 2.5, 7),
        PolynomialDecay(final_sparsity=0.5, end_step=9),
        ConstantSparsity(0.5),
        PolynomialDecay(0.25),
        ConstantSparsity(begin_step=3),
    ],
)
def test_round_trips(schedule: schedules.Schedule) -> None:
    assert type(schedule).from_config(schedule.get_config()) == schedule
    assert schedules.deserialize(json.loads(json.dumps(schedules.serialize(schedule)))) == schedule
    with pytest.raises(ScheduleError, match="has no argument 'steps'"):
        type(schedule).from_config({"steps": 3})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"initial_sparsity": None}, "initial_sparsity"),
        ({"final_sparsity": 80}, "write 0.8 for 80 %"),
        ({"final_sparsity": 0.8, "initial_sparsity": -0.1}, "initial_sparsity"),
        ({"final_sparsity": 0.8, "begin_step": -1}, "`begin_step`"),
        ({"final_sparsity": 0.8, "begin_step": 5, "end_step": 5}, "after `begin_step`"),
        ({"final_sparsity": 0.8, "frequency": 0}, "`frequency`"),
        ({"final_sparsity": 0.8, "power": 0}, "`power`"),
        ({"final_sparsity": 0.8, "end_step": 2.5}, "`end_step`"),
    ],
)
def test_wrong_polynomial_decay(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ScheduleError, match=message):
        PolynomialDecay(**arguments)


def test_wrong_constant_sparsity() -> None:
    with pytest.raises(ScheduleError, match="target_sparsity"):
        ConstantSparsity(1.0)
    with pytest.raises(ScheduleError, match="not before"):
        ConstantSparsity(0.5, begin_step=5, end_step=4)


@pytest.mark.parametrize("schedule", [PolynomialDecay(end_step=10), ConstantSparsity(begin_step=4)])
def test_an_open_final_sparsity_is_set_later(schedule: schedules.Schedule) -> None:
    assert schedule.final is None
    with pytest.raises(ScheduleError, match=r"call with_final"):
        schedule.sparsity(3)
    ended = schedule.with_final(5 / 9)
    assert ended.final == ended.sparsity(10) == 5 / 9
    assert type(ended) is type(schedule)
    with pytest.raises(ScheduleError, match="sparsity"):
        schedule.with_final(1.0)


@given(
    st.floats(0, 1e6), st.floats(0, 1e6), st.integers(0, 20), st.integers(1, 50), st.floats(0.25, 4), st.integers(0, 99)
)
def test_strength_ramp(final: float, initial: float, begin: int, length: int, power: float, step: int) -> None:
    ramp = StrengthRamp(final, begin, begin + length, initial, power)
    progress = min(1.0, (step - begin) / length)
    expected = initial + (final - initial) * progress**power if step >= begin else 0.0
    assert ramp.strength(step) == pytest.approx(expected)
    assert StrengthRamp.from_config(json.loads(json.dumps(ramp.get_config()))) == ramp


def test_literal_strengths() -> None:
    ramp = StrengthRamp(4.0, begin_step=2, initial=1.0)
    with pytest.raises(ScheduleError, match="no `end_step`"):
        ramp.strength(0)
    assert [ramp.resolve(5).strength(step) for step in range(7)] == [0, 0, 1, 2, 3, 4, 4]
    assert ramp.resolve(5).resolve(9) == ramp.resolve(5)
    assert [StrengthRamp(4.0, 2, 2).strength(step) for step in (1, 2, 3)] == [0, 4, 4]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"final": -1.0}, "`final` of `StrengthRamp` must be a finite number of at least 0"),
        ({"final": float("nan")}, "`final`"),
        ({"final": float("inf")}, "`final`"),
        ({"final": True}, "`final`"),
        ({"final": 1.0, "initial": "0"}, "`initial`"),
        ({"final": 1.0, "begin_step": 1.5}, "`begin_step`"),
        ({"final": 1.0, "begin_step": 3, "end_step": 2}, "before `begin_step`"),
        ({"final": 1.0, "power": 0}, "`power` of `StrengthRamp` must be a finite number above 0"),
        ({"final": 1.0, "rate": 0}, "no argument .rate."),
        ({}, "must be given `final`"),
    ],
)
def test_wrong_strength_ramps(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ScheduleError, match=message):
        StrengthRamp.from_config(arguments)


@given(st.floats(0, 1e30), st.floats(0, 10), st.floats(-5, 5).filter(lambda weight: abs(weight) > 1e-9))
def test_the_proximal_step_is_the_minimum(strength: float, rate: float, weight: float) -> None:
    best = weight * shrink_factor(strength, rate)
    assert abs(best) <= abs(weight)
    # The derivative of strength * v ** 2 + (v - w) ** 2 / (2 * rate), times rate, is zero there.
    terms = 2 * rate * strength * best, best - weight
    assert abs(sum(terms)) <= 1e-12 * abs(weight)


def test_numpy_numbers_are_stored_as_plain_ones() -> None:
    schedule = PolynomialDecay(
        np.float32(0.5),  # type: ignore[arg-type]
        np.float64(0.75),
        np.int64(1),  # type: ignore[arg-type]
        np.int32(9),  # type: ignore[arg-type]
        np.int64(2),  # type: ignore[arg-type]
        np.int8(5),  # type: ignore[arg-type]
    )
    assert schedule == PolynomialDecay(0.5, 0.75, 1, 9, 2, 5)
    assert schedules.deserialize(json.loads(json.dumps(schedules.serialize(schedule)))) == schedule
