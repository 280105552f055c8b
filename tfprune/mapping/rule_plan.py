# SPDX-License-Identifier: Apache-2.0
"""How rules become choices: a pattern a layer, one common rate, and what keeps more magnitude in the same time."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from tfprune.mapping.budget import Budget
from tfprune.mapping.choice import Choice
from tfprune.mapping.curves import PERCENT, Cost, Curves, applies, coarse_time, rate_range
from tfprune.mapping.latency import LatencyModel
from tfprune.mapping.network import NetworkLayer
from tfprune.mapping.rule_set import MappingRule, RateLimit
from tfprune.sparsity.measure import kept_score
from tfprune.sparsity.patterns import Pattern
from tfprune.sparsity.select import select

#: Patterns and the common rate depend on each other; so many times one is found from the other.
_ROUNDS = 5


@dataclasses.dataclass(frozen=True)
class OpenLayer:
    """A layer that the rules have patterns for.

    Attributes:
        layer: the layer.
        rule: its rule.
        limit: its limit.
        patterns: those of the rule that it can have, from fine to coarse; at least one.
        alternatives: those of the rule that it can have.
    """

    layer: NetworkLayer
    rule: MappingRule
    limit: RateLimit
    patterns: tuple[Pattern, ...]
    alternatives: tuple[Pattern, ...]

    @classmethod
    def of(cls, layer: NetworkLayer, rule: MappingRule, limit: RateLimit) -> OpenLayer:
        """Leaves out what the layer cannot have."""
        patterns, alternatives = (
            tuple(pattern for pattern in listed if applies(layer, pattern, limit.most_rate))
            for listed in (rule.patterns, rule.alternatives)
        )
        return cls(layer, rule, limit, patterns, alternatives)

    def rate(self, pattern: Pattern, common: float) -> float:
        """The layer's rate at a common one."""
        return rate_range(self.layer, pattern).clip(min(common, self.limit.most_rate))

    def usable(self, common: float) -> list[Pattern]:
        """The patterns that can have the common rate, or have one of their own; all of them where none can."""
        wanted = min(common, self.limit.most_rate)
        fitting = [
            pattern
            for pattern in self.patterns
            if self.rate(pattern, common) == wanted or pattern.own_sparsity(self.layer.matrix_shape) is not None
        ]
        return fitting or list(self.patterns)


@dataclasses.dataclass(frozen=True)
class Decision:
    """What a layer takes, and what spoke for it.

    Attributes:
        pattern: the rule's.
        rate: at the common rate.
        cost: what the layer costs with it.
        coarse: predicted time of coarse structured pruning at this rate.
        passed: finer patterns of the rule that are too slow, with their predicted times at this rate.
        bound: time that the pattern was compared with, where not the coarse one: that of the fastest one.
        forced: whether it is the fastest of all, because the budget leaves nothing else.
        alternative: the one that keeps most magnitude at the same cost; None where there is none.
        kept: share of the magnitude that the pattern keeps, and that the alternative does.
    """

    pattern: Pattern
    rate: float
    cost: Cost
    coarse: float
    passed: tuple[tuple[Pattern, float], ...] = ()
    bound: float | None = None
    forced: bool = False
    alternative: Choice | None = None
    kept: tuple[float, float] = (0.0, 0.0)

    @property
    def choice(self) -> Choice:
        """What becomes of the layer."""
        if not self.cost.sparse:
            return Choice()
        if self.alternative is not None and self.kept[1] > self.kept[0]:
            return self.alternative
        return Choice(self.pattern, self.rate)


Decisions = dict[str, Decision]


class RulePlan:
    """Finds the choices.

    Args:
        latency: predicts the model.
        budget: what must be met.
        layers: those that may become sparse, by name; at least one.
        tolerance: how much slower than coarse structured pruning a pattern may be, as a share.
        progress: told what is done.
    """

    def __init__(
        self,
        latency: LatencyModel,
        budget: Budget,
        layers: Mapping[str, OpenLayer],
        tolerance: float,
        progress: Callable[[str], None],
    ) -> None:
        self._latency = latency
        self._budget = budget
        self._layers = layers
        self._tolerance = tolerance
        self._progress = progress
        self.curves = Curves(latency, budget)
        self._kept: dict[tuple[str, Choice], float] = {}
        self._highest = round(max(layer.limit.most_rate for layer in layers.values()) * PERCENT)

    def decide(self) -> Decisions:
        """A decision for each layer; together they meet the budget with as few zeros as they can, or come closest."""
        decisions = self._walk(self._by_tolerance) or self._walk(self._fastest)
        return self._with_alternatives(self._fastest(self._highest)) if decisions is None else decisions

    def _walk(self, decide: Callable[[int], Decisions]) -> Decisions | None:
        """The decisions at the least common rate that meets the budget; None where none does."""
        for percent in range(self._common_rate(decide), self._highest + 1):
            decisions = decide(percent)
            if self._share(decisions) > 1:
                continue
            decisions = self._with_alternatives(decisions)
            if self._share(decisions) <= 1:
                return decisions
        return None

    def _common_rate(self, decide: Callable[[int], Decisions]) -> int:
        """The least common rate, in percent, at which the decisions of that rate meet the budget."""
        self._progress("Predicting the layers")
        percent, decisions = self._highest, decide(self._highest)
        for _ in range(_ROUNDS):
            fitted = self._fitted(decisions)
            if fitted == percent:
                break
            percent, decisions = fitted, decide(fitted)
        self._progress("Looking for the common rate")
        shares: dict[int, float] = {}
        while percent not in shares:
            shares[percent] = self._share(self._at(decisions, percent))
            # What is between the layers, and what dense ones cost beside sparse ones, hardly depends on the rate.
            percent = self._fitted(decisions, shares[percent] - self._estimate(decisions, percent))
        percent = min((each for each, share in shares.items() if share <= 1), default=max(shares))
        while percent > 1 and self._share(self._at(decisions, percent - 1)) <= 1:
            percent -= 1
        return percent

    def _fitted(self, decisions: Decisions, beside: float = 0.0) -> int:
        """The least common rate that the lines say meets the budget with these patterns, or the highest."""
        return next(
            (percent for percent in range(1, self._highest) if self._estimate(decisions, percent) + beside <= 1),
            self._highest,
        )

    def _estimate(self, decisions: Decisions, percent: int) -> float:
        """Share of the budget that the patterns use at a common rate, by the lines."""
        dense = self._latency.dense
        total = self.curves.used(dense)
        allowed = total / dense.share(self._budget, dense)
        for name, decision in decisions.items():
            rate = self._layers[name].rate(decision.pattern, percent / PERCENT)
            total += self.curves.at(name, decision.pattern, rate).amount - self.curves.dense(name).amount
        return total / allowed

    def _share(self, decisions: Decisions) -> float:
        """Share of the budget that decisions use, by the prediction of the whole model."""
        choices = {name: decision.choice for name, decision in decisions.items()}
        return self._latency.predict(choices).share(self._budget, self._latency.dense)

    def _at(self, decisions: Decisions, percent: int) -> Decisions:
        """The same patterns at another common rate."""
        return {
            name: self._decision(self._layers[name], decision.pattern, percent / PERCENT)
            for name, decision in decisions.items()
        }

    def _by_tolerance(self, percent: int) -> Decisions:
        """The finest pattern of each layer that is within the tolerance, at a common rate.

        Coarser patterns are predicted only where finer ones are too slow, for all such layers at once.
        """
        while True:
            found = {name: self._finest(layer, percent / PERCENT) for name, layer in self._layers.items()}
            done = {name: each for name, each in found.items() if isinstance(each, Decision)}
            if len(done) == len(found):
                return done
            self.curves.sample(
                {name: each.pattern if isinstance(each, Decision) else each for name, each in found.items()}
            )

    def _finest(self, layer: OpenLayer, common: float) -> Decision | Pattern:
        """A layer's decision, or the pattern that must be predicted first."""
        passed: list[Decision] = []
        for pattern in layer.usable(common):
            if not self.curves.knows(layer.layer.name, pattern):
                return pattern
            found = self._decision(layer, pattern, common)
            if found.cost.time <= (1 + self._tolerance) * found.coarse:
                return _behind(found, passed)
            passed.append(found)
        # No pattern comes so close to coarse pruning: the fastest of them stands for it.
        fastest = min(each.cost.time for each in passed)
        place = next(i for i, each in enumerate(passed) if each.cost.time <= (1 + self._tolerance) * fastest)
        return dataclasses.replace(_behind(passed[place], passed[:place]), bound=fastest)

    def _fastest(self, percent: int) -> Decisions:
        """Of each layer what costs least of all patterns and alternatives, for budgets that leave nothing else."""
        found: Decisions = {}
        self._sample_all(lambda layer: (*layer.patterns, *layer.alternatives))
        for name, layer in self._layers.items():
            every = [self._decision(layer, each, percent / PERCENT) for each in (*layer.patterns, *layer.alternatives)]
            least = min(every, key=lambda each: (each.cost.amount, each.cost.time))
            found[name] = dataclasses.replace(least, forced=True)
        return found

    def _decision(self, layer: OpenLayer, pattern: Pattern, common: float) -> Decision:
        rate = layer.rate(pattern, common)
        cost = self.curves.at(layer.layer.name, pattern, rate)
        return Decision(pattern, rate, cost, coarse_time(self._latency.table, layer.layer, rate))

    def _sample_all(self, listed: Callable[[OpenLayer], tuple[Pattern, ...]]) -> None:
        """Predicts the patterns of all layers, the first ones of all together, then the second ones."""
        patterns = {name: listed(layer) or layer.patterns for name, layer in self._layers.items()}
        for place in range(max(map(len, patterns.values()))):
            self.curves.sample({name: each[min(place, len(each) - 1)] for name, each in patterns.items()})

    def _with_alternatives(self, decisions: Decisions) -> Decisions:
        """The decisions, with alternatives where they keep more magnitude at the same cost."""
        self._sample_all(lambda layer: layer.alternatives)
        found = {}
        for place, (name, decision) in enumerate(decisions.items()):
            self._progress(f"Comparing kept magnitude, layer {place + 1} of {len(decisions)}")
            found[name] = self._with_alternative(self._layers[name], decision) if decision.cost.sparse else decision
        return found

    def _with_alternative(self, layer: OpenLayer, decision: Decision) -> Decision:
        name = layer.layer.name
        best, most, least = None, 0.0, 1.0
        for pattern in layer.alternatives:
            rate = self.curves.rate_at(name, pattern, decision.cost, layer.limit.most_rate)
            # A coarser one that must remove as much as a finer one keeps no more.
            if pattern == decision.pattern or rate is None or rate >= least:
                continue
            least = rate
            kept = self._kept_share(layer.layer, Choice(pattern, rate))
            if best is None or kept > most:
                best, most = Choice(pattern, rate), kept
        if best is None:
            return decision
        own = self._kept_share(layer.layer, decision.choice)
        return dataclasses.replace(decision, alternative=best, kept=(own, most))

    def _kept_share(self, layer: NetworkLayer, choice: Choice) -> float:
        """Share of a layer's magnitude that a choice keeps."""
        key = (layer.name, choice)
        if key not in self._kept:
            assert choice.pattern is not None
            weights = layer.part.weights
            mask = select(weights, choice.pattern, choice.sparsity, layout=layer.layout)
            self._kept[key] = kept_score(weights, mask, layout=layer.layout)[0]
        return self._kept[key]


def _behind(decision: Decision, passed: list[Decision]) -> Decision:
    """The decision, with the finer patterns that were passed over."""
    return dataclasses.replace(decision, passed=tuple((each.pattern, each.cost.time) for each in passed))
