# SPDX-License-Identifier: Apache-2.0
"""The trials of one process: ask for a mapping, predict it, judge it, tell."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from tfprune.mapping.budget import Budget
from tfprune.mapping.choice import Choice
from tfprune.mapping.judging.evaluation import Evaluation, StoppedEarlyError
from tfprune.mapping.latency import Prediction
from tfprune.mapping.searching.claims import Claims
from tfprune.mapping.searching.rows import NOTE, PREDICTION, REPAIRED, SAME_AS, SECONDS, is_judged
from tfprune.mapping.searching.samplers import OVER, distributions
from tfprune.mapping.searching.space import Predicts, Space

#: A search that has proposed nothing new for so many trials has ended.
_STALE = 50
_WAIT_SECONDS = 0.2


class Judges(Protocol):
    """What judges mappings: :class:`~tfprune.mapping.judging.evaluator.Evaluator`."""

    def evaluate(
        self,
        choices: Mapping[str, Choice],
        prediction: Prediction | None = None,
        report: Callable[[int, float], None] | None = None,
    ) -> Evaluation:
        """Judges a mapping; ``report`` is told of its parts."""


@dataclasses.dataclass(frozen=True)
class Task:
    """What the trials of a search need.

    Attributes:
        space: what there is to choose from.
        latency: predicts mappings.
        budget: what they must keep to.
        trials: how many mappings are to be judged.
        deadline: when the search ends in any case, in seconds since 1970; None: never.
    """

    space: Space
    latency: Predicts
    budget: Budget
    trials: int
    deadline: float | None = None

    def share(self, choices: Mapping[str, Choice]) -> float:
        """Predicted share of the budget."""
        return self.latency.predict(choices).share(self.budget, self.latency.dense)


class TrialLoop:
    """Runs trials of a study until there are enough.

    Args:
        study: with its sampler.
        task: what the trials need.
        judge: judges mappings.
        claims: who works on what.
        advance: called after each trial.
    """

    def __init__(
        self, study: Study, task: Task, judge: Judges, claims: Claims, advance: Callable[[], None] | None = None
    ) -> None:
        """Takes the arguments."""
        self._study = study
        self._task = task
        self._judge = judge
        self._claims = claims
        self._advance = advance or (lambda: None)

    def run(self) -> None:
        """Runs trials until enough are judged, or begun by others."""
        while True:
            self._claims.repeat_lost()
            if not may_begin(self._study, self._task):
                return
            self._settle(self._study.ask(distributions(self._task.space)))
            self._advance()

    def run_to_end(self) -> None:
        """The same, and waits for the trials that others have begun; those of dead processes are run here."""
        while not is_over(self._study, self._task):
            self.run()
            if not is_over(self._study, self._task):
                time.sleep(_WAIT_SECONDS)
                self._advance()

    def _settle(self, trial: optuna.Trial) -> None:
        try:
            with self._claims.held(trial):
                state, values = self._outcome(trial)
        except UpdateFinishedTrialError:
            # Another process took this one for dead, and has put the trial in line again.
            return
        except BaseException:
            self._claims.give_back(trial)
            raise
        self._claims.end(trial, state, values)

    def _outcome(self, trial: optuna.Trial) -> tuple[TrialState, list[float] | None]:
        """What becomes of a trial: its state and its values."""
        task = self._task
        places = task.space.places(trial.params)
        choices = task.space.at(places)
        prediction = task.latency.predict(choices)
        share = prediction.share(task.budget, task.latency.dense)
        facts = {"stored_bytes": int(prediction.stored_bytes), "macs": float(prediction.macs), "share": float(share)}
        trial.set_user_attr(PREDICTION, {"time": float(prediction.time), **facts})
        trial.set_constraint(OVER, share - 1)
        if share > 1:
            self._repair(trial, places)
            return TrialState.PRUNED, None
        same = self._same(trial.params, trial.number)
        if same is not None:
            trial.set_user_attr(SAME_AS, same.number)
            if same.state == TrialState.COMPLETE:
                return same.state, list(same.values)
            for part, value in same.intermediate_values.items():
                trial.report(value, part)
            return same.state, None
        return self._judged(trial, choices, prediction)

    def _judged(
        self, trial: optuna.Trial, choices: dict[str, Choice], prediction: Prediction
    ) -> tuple[TrialState, list[float] | None]:
        single = len(self._study.directions) == 1
        begin = time.perf_counter()

        def report(part: int, value: float) -> None:
            # Optuna stops trials early where there is one objective.
            if single and math.isfinite(value):
                trial.report(value, part)
                if trial.should_prune():
                    raise StoppedEarlyError

        try:
            accuracy = self._judge.evaluate(choices, prediction, report).accuracy
        except StoppedEarlyError:
            trial.set_user_attr(SECONDS, time.perf_counter() - begin)
            return TrialState.PRUNED, None
        trial.set_user_attr(SECONDS, time.perf_counter() - begin)
        if not math.isfinite(accuracy):
            trial.set_user_attr(NOTE, f"its metric is {accuracy}")
            return TrialState.PRUNED, None
        return TrialState.COMPLETE, [accuracy] if single else [accuracy, prediction.time]

    def _repair(self, trial: optuna.Trial, places: list[int]) -> None:
        """Puts the nearest mapping under the budget in line, unless it was tried."""
        space = self._task.space
        nearest = space.fit(places, self._task.share)
        if nearest is None:
            return
        params = space.keys_at(nearest)
        self._study.enqueue_trial(params, user_attrs={REPAIRED: trial.number}, skip_if_exists=True)

    def _same(self, params: Mapping[str, Any], number: int) -> FrozenTrial | None:
        """An earlier trial of the same mapping that was judged."""
        found = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
        for other in found:
            if other.number != number and SECONDS in other.user_attrs and other.params == params:
                return other
        return None


def judged_count(study: Study) -> int:
    """Mappings that were judged so far."""
    return sum(map(is_judged, study.get_trials(deepcopy=False)))


def may_begin(study: Study, task: Task) -> bool:
    """Whether another trial is to be begun: those that others have begun may be enough."""
    trials = study.get_trials(deepcopy=False)
    running = sum(trial.state == TrialState.RUNNING for trial in trials)
    return not _ended(trials, task) and sum(map(is_judged, trials)) + running < task.trials


def is_over(study: Study, task: Task) -> bool:
    """Whether a search has ended, and nobody works on it any more."""
    trials = study.get_trials(deepcopy=False)
    if task.deadline is not None and time.time() >= task.deadline:
        return True
    return _ended(trials, task) and all(trial.state != TrialState.RUNNING for trial in trials)


def _ended(trials: list[FrozenTrial], task: Task) -> bool:
    if task.deadline is not None and time.time() >= task.deadline:
        return True
    if sum(map(is_judged, trials)) >= task.trials:
        return True
    ended = [trial for trial in trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    latest = ended[-_STALE:]
    return len(latest) == _STALE and not any(map(is_judged, latest))
