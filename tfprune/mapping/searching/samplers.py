# SPDX-License-Identifier: Apache-2.0
"""What proposes the next mapping: the policy-gradient agent and Optuna's samplers, behind Optuna's one interface.

Every proposal depends on the trials before it and on the seed alone: random numbers are drawn anew for each trial, and
the agent's parameters follow from the trials that it finds in the storage. So there is no state to save, and a search
that was killed goes on as if it had not been.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler, NSGAIISampler, TPESampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from tfprune.mapping.searching.policy import Policy
from tfprune.mapping.searching.space import Floats, Space

#: Constraint of a trial: what its predicted share of the budget is above 1.
OVER = "budget"
#: Trials that Optuna's samplers draw at random before they learn.
_STARTUP = 10
#: How often the agent draws for something new.
_MOST_DRAWS = 50


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """The parameters of a trial: a choice for each layer, as text."""
    return {name: CategoricalDistribution(keys) for name, keys in space.keys().items()}


def sampler_of(method: str, space: Space, features: dict[str, Floats], seed: int, population: int) -> BaseSampler:
    """The sampler of a method.

    Args:
        method: ``"policy"``, ``"optuna"`` or ``"nsga2"``.
        space: what it chooses from.
        features: what the agent is told of the choices.
        seed: of its random numbers.
        population: mappings of a generation of NSGA-II.
    """
    if method == "policy":
        return PolicySampler(space, features, seed)
    if method == "nsga2":
        return SeededSampler(space, seed, lambda number: NSGAIISampler(population_size=population, seed=number))
    return SeededSampler(
        space, seed, lambda number: TPESampler(n_startup_trials=_STARTUP, multivariate=True, seed=number)
    )


class SeededSampler(BaseSampler):
    """One of Optuna's samplers, with random numbers that depend on the seed and the trial alone.

    Args:
        space: the choices.
        seed: the seed.
        make: makes the sampler with a seed.
    """

    def __init__(self, space: Space, seed: int, make: Callable[[int], BaseSampler]) -> None:
        """Takes the arguments."""
        self._distributions = distributions(space)
        self._seed = seed
        self._make = make
        self._inner: tuple[int, BaseSampler] | None = None

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Makes every trial one of NSGA-II's population: those too that were put in line, which it does not draw."""
        inner = self._sampler(study, trial)
        inner.before_trial(study, trial)
        if isinstance(inner, NSGAIISampler):
            inner.get_trial_generation(study, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """All layers: they do not change from trial to trial."""
        return self._distributions

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """What the inner sampler draws together."""
        return self._sampler(study, trial).sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """What it draws layer by layer, while there are too few trials to learn from."""
        return self._sampler(study, trial).sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Tells the inner sampler."""
        self._sampler(study, trial).after_trial(study, trial, state, values)

    def _sampler(self, study: Study, trial: FrozenTrial) -> BaseSampler:
        if self._inner is None or self._inner[0] != trial.number:
            number = int(generator_of(study, trial, self._seed).integers(2**32))
            self._inner = (trial.number, self._make(number))
        return self._inner[1]


class PolicySampler(BaseSampler):
    """The policy-gradient agent as a sampler of Optuna.

    Args:
        space: the choices.
        features: what the agent is told of them.
        seed: of its first parameters and of what it draws.
    """

    def __init__(self, space: Space, features: dict[str, Floats], seed: int) -> None:
        """Begins with an agent that has learnt nothing."""
        self._space = space
        self._distributions = distributions(space)
        self._seed = seed
        self._policy = Policy(space, features, seed)
        self._learnt: set[int] = set()
        self._tried: set[tuple[int, ...]] = set()

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """All layers."""
        return self._distributions

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Learns from what has been judged since, by whichever process, and draws a mapping that is new."""
        for other in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED)):
            if other.number not in self._learnt:
                self._learnt.add(other.number)
                self._learn(study, other)
                self._tried.add(tuple(self._space.places(other.params)))
        running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        whole = [each.params for each in running if set(each.params) == set(self._space.layers)]
        tried = self._tried | {tuple(self._space.places(params)) for params in whole}
        generator = generator_of(study, trial, self._seed)
        for draw in range(_MOST_DRAWS):
            # A policy that is sure of itself still has to propose something new: the longer it does not, the freer.
            chosen = self._policy.sample(generator, heat=1 + draw / 10)
            if tuple(chosen) not in tried:
                break
        return dict(self._space.keys_at(chosen))

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Never asked: all layers are drawn together."""
        raise NotImplementedError(f"{param_name} is not a layer of the search")

    def _learn(self, study: Study, trial: FrozenTrial) -> None:
        chosen = self._space.places(trial.params)
        over = trial.constraints.get(OVER, 0.0)
        value = judged_value(trial)
        if over > 0:
            self._policy.scold(chosen, over)
        elif value is not None:
            sign = 1 if study.directions[0] == StudyDirection.MAXIMIZE else -1
            self._policy.learn(chosen, sign * value)


def judged_value(trial: FrozenTrial) -> float | None:
    """The metric of a trial, of one that was stopped early on the last part that was run; None without."""
    if trial.values:
        return float(trial.values[0])
    return trial.intermediate_values[max(trial.intermediate_values)] if trial.intermediate_values else None


def generator_of(study: Study, trial: FrozenTrial, seed: int) -> np.random.Generator:
    """Random numbers of a trial. Trials that failed, and are repeated under another number, do not count."""
    failed = study.get_trials(deepcopy=False, states=(TrialState.FAIL,))
    return np.random.default_rng([seed, trial.number - sum(each.number < trial.number for each in failed)])
