# SPDX-License-Identifier: Apache-2.0
"""Trials of Optuna's storage as rows of a result."""

from __future__ import annotations

from collections.abc import Iterable

from optuna.trial import FrozenTrial, TrialState

from tfprune.mapping.choice import Choice
from tfprune.mapping.judging.evaluation import front_of
from tfprune.mapping.searching.claims import ATTEMPT, MOST_ATTEMPTS
from tfprune.mapping.searching.result import JUDGED, OVER_BUDGET, REPEATED, SAME, STOPPED, UNKNOWN, Trial
from tfprune.mapping.searching.samplers import OVER, judged_value
from tfprune.mapping.searching.space import Space

#: Facts that a trial holds in the storage.
PREDICTION, SECONDS, SAME_AS, REPAIRED, NOTE = "prediction", "seconds", "same_as", "repaired", "note"


def rows_of(trials: Iterable[FrozenTrial], space: Space, fixed: dict[str, Choice]) -> tuple[Trial, ...]:
    """The trials that have ended.

    Args:
        trials: of the study.
        space: what they chose from.
        fixed: choices of layers that have one only.
    """
    return tuple(_row(trial, space, fixed) for trial in trials if trial.state.is_finished())


def is_judged(trial: FrozenTrial) -> bool:
    """Whether a trial was run, to its end or until it was stopped, or given up."""
    given_up = trial.state == TrialState.PRUNED and trial.user_attrs.get(ATTEMPT, 1) >= MOST_ATTEMPTS
    return trial.state.is_finished() and (SECONDS in trial.user_attrs or given_up)


def front(rows: Iterable[Trial], sign: int) -> tuple[Trial, ...]:
    """Judged mappings that no other one beats in the metric and in latency.

    Args:
        rows: of the trials.
        sign: 1 where more of the metric is better, -1 where less is.
    """
    judged = [row for row in rows if row.status == JUDGED]
    points = [(sign * (row.accuracy or 0.0), row.latency or 0.0) for row in judged]
    return tuple(judged[place] for place in front_of(points))


def _row(trial: FrozenTrial, space: Space, fixed: dict[str, Choice]) -> Trial:
    known = trial.user_attrs.get(PREDICTION, {})
    chosen = space.at(space.places(trial.params)) if set(trial.params) == set(space.layers) else {}
    status, note = _status(trial)
    return Trial(
        number=trial.number,
        status=status,
        choices={**fixed, **chosen},
        accuracy=judged_value(trial),
        latency=known.get("time"),
        stored_bytes=known.get("stored_bytes"),
        macs=known.get("macs"),
        share=known.get("share"),
        seconds=trial.user_attrs.get(SECONDS, 0.0),
        note=note,
    )


def _status(trial: FrozenTrial) -> tuple[str, str]:
    """What became of a trial, and what else there is to say."""
    attributes = trial.user_attrs
    if trial.state == TrialState.FAIL:
        return REPEATED, "its process ended before it did"
    if SAME_AS in attributes:
        return SAME, f"as trial {attributes[SAME_AS]}"
    if trial.constraints.get(OVER, 0) > 0:
        return OVER_BUDGET, ""
    note = f"trial {attributes[REPAIRED]} under the budget" if REPAIRED in attributes else ""
    if trial.state == TrialState.COMPLETE:
        return JUDGED, note
    if NOTE in attributes:
        return UNKNOWN, attributes[NOTE]
    return (STOPPED, note) if SECONDS in attributes else (UNKNOWN, f"its process died {MOST_ATTEMPTS} times")
