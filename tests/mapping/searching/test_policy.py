# SPDX-License-Identifier: Apache-2.0
"""The policy-gradient agent on problems whose best mapping is known."""

from __future__ import annotations

import numpy as np

from tests.mapping.searching.toy import Judge, Latency, best_accuracy, space_for
from tfprune.mapping.budget import Budget
from tfprune.mapping.searching.policy import Policy
from tfprune.mapping.searching.space import Space, features_of

_TRIALS = 150


def _agent(space: Space, seed: int = 0) -> Policy:
    return Policy(space, features_of(space, {}), seed)


def _search(space: Space, judge: Judge, seed: int, learns: bool) -> float:
    """The best accuracy that an agent finds; one that does not learn draws at random, within the budget too."""
    agent, best = _agent(space, seed), -np.inf
    for trial in range(_TRIALS):
        chosen = agent.sample(np.random.default_rng([seed, trial]))
        accuracy = judge.accuracy(space.at(chosen))
        best = max(best, accuracy)
        if learns:
            agent.learn(chosen, accuracy)
    return best


def test_it_comes_much_nearer_to_the_best_mapping_than_random_search_within_the_budget() -> None:
    gaps = []
    for seed in range(4):
        latency = Latency(seed)
        space, judge = space_for(latency, Budget("latency_ratio", 0.5)), Judge(latency, seed)
        best = best_accuracy(space, judge)
        gaps.append([best - _search(space, judge, seed, learns) for learns in (True, False)])
    learnt, drawn = np.mean(gaps, axis=0)
    assert learnt < drawn / 2
    assert all(agent < random for agent, random in gaps)


def test_it_proposes_nothing_over_the_budget() -> None:
    space = space_for(Latency(), Budget("latency_ratio", 0.25))
    agent = _agent(space)
    shares = [space.share(agent.sample(np.random.default_rng(seed))) for seed in range(50)]
    assert max(shares) <= 1 + 1e-9
    # And not only the fastest mapping.
    assert len(set(shares)) > 40


def test_where_nothing_meets_the_budget_it_proposes_the_fastest() -> None:
    space = space_for(Latency(), Budget("latency_ratio", 0.01))
    assert _agent(space).sample(np.random.default_rng(0)) == space.fastest()


def test_it_learns_what_earns_rewards_and_unlearns_what_is_over_the_budget() -> None:
    space = space_for(Latency(), Budget("latency_ratio", 1.0))
    agent = _agent(space)
    for trial in range(300):
        chosen = agent.sample(np.random.default_rng(trial))
        agent.learn(chosen, sum(place == 2 for place in chosen))
    assert sum(place == 2 for place in agent.best()) >= 9
    taken = [layer for layer, place in enumerate(agent.best()) if place == 2]
    for trial in range(300):
        chosen = agent.sample(np.random.default_rng(trial))
        if chosen[taken[0]] == 2:
            agent.scold(chosen, 0.5)
    assert agent.best()[taken[0]] != 2


def test_the_same_seed_and_rewards_give_the_same_agent() -> None:
    space = space_for(Latency(), Budget("latency_ratio", 0.5))

    def drawn(seed: int) -> list[list[int]]:
        agent = _agent(space, seed)
        found = []
        for trial in range(5):
            found.append(agent.sample(np.random.default_rng([3, trial])))
            agent.learn(found[-1], float(sum(found[-1])))
        return found

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_heat_brings_probabilities_together() -> None:
    space = space_for(Latency(), Budget("latency_ratio", 1.0))
    agent = _agent(space)
    for trial in range(200):
        chosen = agent.sample(np.random.default_rng(trial))
        agent.learn(chosen, sum(place == 2 for place in chosen))
    cold, hot = (
        np.mean([agent.sample(np.random.default_rng(seed), heat)[0] == 2 for seed in range(100)])
        for heat in (1.0, 50.0)
    )
    assert cold > 0.8
    assert 0.05 < hot < 0.3
