# SPDX-License-Identifier: Apache-2.0
"""A search whose best mapping is known, and a process that kills itself in the middle of it.

``python -m tests.mapping.searching.toy STORAGE METHOD TRIALS KILLED_AT``
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfprune.mapping.budget import Budget
from tfprune.mapping.choice import DENSE, Choice
from tfprune.mapping.judging.evaluation import Evaluation
from tfprune.mapping.judging.metric import Metric
from tfprune.mapping.latency import LayerPrediction, Prediction
from tfprune.mapping.searching.claims import Claims
from tfprune.mapping.searching.loop import Task, TrialLoop
from tfprune.mapping.searching.samplers import sampler_of
from tfprune.mapping.searching.space import Space, features_of, space_of
from tfprune.mapping.searching.studies import StudyPlace, open_study, quiet_optuna
from tfprune.sparsity.patterns import BlockPunched, Groups

CHOICES = (DENSE, *(Choice(pattern, rate) for pattern in (Groups(4), BlockPunched(8, 4)) for rate in (0.5, 0.7, 0.9)))
PARTS = (0.25, 0.5)


class Latency:
    """Layers whose times fall with their zeros, those of blocks more."""

    def __init__(self, seed: int = 0, layers: int = 10) -> None:
        weights = np.random.default_rng(seed).dirichlet(np.full(layers, 2.0))
        self._times = {f"layer{number}": 95 * float(weight) for number, weight in enumerate(weights)}
        self.dense = self.predict({})

    @property
    def candidates(self) -> dict[str, tuple[Choice, ...]]:
        return dict.fromkeys(self._times, CHOICES)

    def predict(self, choices: Mapping[str, Choice]) -> Prediction:
        layers = {name: self._layer(time, choices.get(name, DENSE)) for name, time in self._times.items()}
        return Prediction(layers, 5.0, "milliseconds")

    def _layer(self, dense: float, choice: Choice) -> LayerPrediction:
        time = dense * (1 - choice.sparsity * (1.0 if isinstance(choice.pattern, BlockPunched) else 0.8))
        return LayerPrediction(choice, not choice.dense, time, dense, round(1000 * time), time)


class Judge:
    """Layers whose losses add up, each as sensitive as its random number says."""

    def __init__(self, latency: Latency, seed: int = 0, killed_at: int = 0) -> None:
        generator = np.random.default_rng(seed + 100)
        self.losses = {
            name: {choice: _loss(choice, generator.uniform(0.1, 2)) for choice in choices}
            for name, choices in latency.candidates.items()
        }
        self.judged: list[dict[str, Choice]] = []
        self._killed_at = killed_at

    def accuracy(self, choices: Mapping[str, Choice]) -> float:
        return 1 - sum(self.losses[name][choice] for name, choice in choices.items()) / len(self.losses)

    def evaluate(
        self,
        choices: Mapping[str, Choice],
        prediction: Prediction | None = None,
        report: Callable[[int, float], None] | None = None,
    ) -> Evaluation:
        assert prediction is not None
        self.judged.append(dict(choices))
        if len(self.judged) == self._killed_at:
            # As the kernel does when memory is short.
            os.kill(os.getpid(), signal.SIGKILL)
        accuracy = self.accuracy(choices)
        for part, _ in enumerate(PARTS):
            if report is not None:
                report(part, accuracy)
        return Evaluation(accuracy, prediction.time, prediction.stored_bytes, prediction.macs, 0.0)


def _loss(choice: Choice, sensitivity: float) -> float:
    return sensitivity * choice.sparsity**3 * (1.3 if isinstance(choice.pattern, BlockPunched) else 1.0)


def space_for(latency: Latency, budget: Budget) -> Space:
    return space_of(latency, latency.candidates, budget)[0]


def best_accuracy(space: Space, judge: Judge) -> float:
    """The best mapping under the budget, but for what no price of the budget reaches."""
    found = []
    for price in np.geomspace(1e-3, 1e3, 600):
        places = [
            int(np.argmin([judge.losses[name][choice] for choice in space.choices[name]] + price * space.shares[name]))
            for name in space.layers
        ]
        if space.share(places) <= 1:
            found.append(judge.accuracy(space.at(places)))
    return max(found)


def run(
    storage: Path | str | None,
    method: str,
    trials: int,
    *,
    seed: int = 0,
    judge: Judge | None = None,
    budget: Budget | None = None,
    pruner: str = "none",
) -> Any:
    """A search as a session makes it; returns the study."""
    latency, limit = Latency(), budget or Budget("latency_ratio", 0.5)
    task = Task(space_for(latency, limit), latency, limit, trials)
    with quiet_optuna():
        study = open_study(
            StudyPlace(None if storage is None else str(storage), "toy"), method, Metric(higher_is_better=True), pruner
        )
        study.sampler = sampler_of(method, task.space, features_of(task.space, {}), seed, 8)
        TrialLoop(study, task, judge or Judge(latency), Claims(study)).run_to_end()
    return study


if __name__ == "__main__":
    path, name, count, killed = sys.argv[1:]
    run(Path(path), name, int(count), judge=Judge(Latency(), killed_at=int(killed)))
