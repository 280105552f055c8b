# SPDX-License-Identifier: Apache-2.0
"""What a table of results says about a study: means, spreads, and tests of differences."""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from scipy import stats

from accuracy.plan import OF_LINE, Study, first_costs
from accuracy.point import Group
from accuracy.table import Row

_CONFIDENCE = 0.95
#: Seeds that an interval and a test are told of, at least: two agree by chance too often.
_TESTED = 3
#: Methods that an order is told of, at least.
_FORECAST = 5
#: Differences that are closer are equal: accuracies are shares of at most some 100,000 images.
_EQUAL = 1e-9

#: Rows by seed, of each network, method, training and rate.
Groups = dict[Group, dict[int, Row]]


@dataclasses.dataclass(frozen=True)
class Mean:
    """A number over seeds.

    Attributes:
        mean: the mean.
        half: half the width of its 95 % confidence interval by Student's t; NaN for fewer than :data:`_TESTED` seeds.
        count: seeds.
    """

    mean: float
    half: float
    count: int


@dataclasses.dataclass(frozen=True)
class Difference:
    """How much better one method, or training, is than another, seed by seed.

    Attributes:
        network: its name.
        width: of it.
        phase: the training; ``"-"`` where trainings are compared.
        sparsity: the rate, or None.
        first: the first method, with its training where those are compared.
        second: the other one.
        difference: accuracy of the first less that of the second.
        p: of a paired t-test that there is none, two-sided; NaN for fewer than :data:`_TESTED` seeds, and where all
            differ by the same.
    """

    network: str
    width: float
    phase: str
    sparsity: float | None
    first: str
    second: str
    difference: Mean
    p: float


def mean_of(values: list[float]) -> Mean:
    """Mean and confidence interval."""
    count = len(values)
    if count < _TESTED:
        return Mean(float(np.mean(values)), math.nan, count)
    half = float(stats.t.ppf((1 + _CONFIDENCE) / 2, count - 1)) * float(np.std(values, ddof=1)) / math.sqrt(count)
    return Mean(float(np.mean(values)), half, count)


def groups_of(study: Study, rows: dict[str, Row]) -> Groups:
    """Rows by seed of each network, method, training and rate, in the order of the plan; those that are there."""
    found: dict[Group, dict[int, Row]] = defaultdict(dict)
    for point in study.points:
        if point.key in rows:
            found[point.group][point.seed] = rows[point.key]
    return dict(found)


def costs_of(study: Study) -> dict[Group, dict[str, float]]:
    """What the study says of each network, method, training and rate that it costs, by name."""
    return {point.group: dict(point.costs) for point in study.points}


def missing(study: Study, rows: dict[str, Row]) -> int:
    """Trainings without a row; points of two names may be one training."""
    return len({point.key for point in study.points} - rows.keys())


def differences(study: Study, rows: dict[str, Row]) -> Iterator[Difference]:
    """What the study compares, seed by seed; networks of one width began at the same checkpoint.

    Trainings are compared for each method and rate; methods at the same rate and after the same training. Where the
    other method has neither, as one that is trained in another way or a network of another width, it is compared if it
    has one rate and was trained as long. Of three methods the first is held against the line between the two others, at
    its own cost: the one that the plan names first.
    """
    results = _Results(study, rows)
    methods = {point.method for point in study.points}
    for names in study.compare:
        if len(names) == OF_LINE:
            yield from results.from_line(*names)
        elif set(names) <= methods:
            yield from results.of_methods(*names)
        else:
            yield from results.of_trainings(*names)


class _Results:
    """What a study plans, and what is there of it."""

    def __init__(self, study: Study, rows: dict[str, Row]) -> None:
        self._groups = groups_of(study, rows)
        #: Of each group how long it is trained: the dense checkpoint, and what follows.
        self._planned = {point.group: (point.dense.epochs, point.training.epochs) for point in study.points}
        self._costs = {method: cost for method, (_, cost) in first_costs(study.points).items()}

    def of_methods(self, one: str, other: str) -> Iterator[Difference]:
        for group, first in self._of(one):
            network, width, _, phase, sparsity = group
            same = (network, width, other, phase, sparsity)
            second = self._groups.get(same, {}) if same in self._planned else self._partner(group, other)
            yield from _difference(group, (one, other), _accuracies(first), _accuracies(second))

    def of_trainings(self, one: str, other: str) -> Iterator[Difference]:
        for (network, width, method, phase, sparsity), first in self._groups.items():
            if phase == one:
                second = self._groups.get((network, width, method, other, sparsity), {})
                names = f"{method}, {one}", f"{method}, {other}"
                group = network, width, method, "-", sparsity
                yield from _difference(group, names, _accuracies(first), _accuracies(second))

    def from_line(self, one: str, left: str, right: str) -> Iterator[Difference]:
        at, low, high = (self._costs[name] for name in (one, right, left))
        share = (at - low) / (high - low)
        for group, first in self._of(one):
            ends = [_accuracies(self._partner(group, other)) for other in (left, right)]
            line = {seed: share * ends[0][seed] + (1 - share) * ends[1][seed] for seed in set(ends[0]) & set(ends[1])}
            yield from _difference(group, (one, f"the line from {left} to {right}"), _accuracies(first), line)

    def _of(self, method: str) -> Iterator[tuple[Group, dict[int, Row]]]:
        return ((group, by_seed) for group, by_seed in self._groups.items() if group[2] == method)

    def _partner(self, group: Group, method: str) -> dict[int, Row]:
        """The only group that the plan has of a method, on the same network and trained as long."""
        own = [
            other
            for other, epochs in self._planned.items()
            if (other[0], other[2]) == (group[0], method) and epochs == self._planned[group]
        ]
        return self._groups.get(own[0], {}) if len(own) == 1 else {}


def _accuracies(by_seed: dict[int, Row]) -> dict[int, float]:
    return {seed: row["accuracy"] for seed, row in by_seed.items()}


def _difference(
    group: Group, names: tuple[str, str], first: dict[int, float], second: dict[int, float]
) -> Iterator[Difference]:
    """Nothing where no seed has both."""
    gaps = [first[seed] - second[seed] for seed in sorted(set(first) & set(second))]
    if gaps:
        network, width, _, phase, sparsity = group
        yield Difference(network, width, phase, sparsity, *names, mean_of(gaps), _p_value(gaps))


@dataclasses.dataclass(frozen=True)
class Forecast:
    """What the magnitude that methods keep says of their accuracies.

    Attributes:
        network: its name.
        width: of it.
        phase: the training.
        sparsity: the rate.
        correlation: Spearman's, of the means over seeds of each method.
        slope: of the straight line through these means, accuracy over the natural logarithm of kept magnitude.
        count: methods.
    """

    network: str
    width: float
    phase: str
    sparsity: float
    correlation: float
    slope: float
    count: int


def forecasts(study: Study, rows: dict[str, Row]) -> Iterator[Forecast]:
    """For each rate that at least :data:`_FORECAST` methods have, what kept magnitude says of accuracy."""
    found: dict[tuple[str, float, str, float], list[tuple[float, float]]] = defaultdict(list)
    for (network, width, _, phase, sparsity), by_seed in groups_of(study, rows).items():
        kept = _kept(by_seed)
        if sparsity is not None and kept is not None:
            accuracies = [row["accuracy"] for row in by_seed.values()]
            found[network, width, phase, sparsity].append((kept, float(np.mean(accuracies))))
    for (network, width, phase, sparsity), pairs in found.items():
        if len(pairs) >= _FORECAST:
            correlation = float(stats.spearmanr(pairs).statistic)
            kept, accuracies = np.array(pairs).T
            slope = float(stats.linregress(np.log(kept), accuracies).slope)
            yield Forecast(network, width, phase, sparsity, correlation, slope, len(pairs))


def predicted(difference: Difference, told: list[Forecast], groups: Groups) -> float:
    """The difference that the line through all methods of its rate says, from what both keep; NaN without one."""
    network, width, phase, sparsity = difference.network, difference.width, difference.phase, difference.sparsity
    slopes = [
        each.slope
        for each in told
        if (each.network, each.width, each.phase, each.sparsity) == (network, width, phase, sparsity)
    ]
    first, second = (
        _kept(groups.get((network, width, name, phase, sparsity), {})) for name in (difference.first, difference.second)
    )
    if not slopes or first is None or second is None:
        return math.nan
    return slopes[0] * math.log(first / second)


def _kept(by_seed: dict[int, Row]) -> float | None:
    """Mean of the kept magnitude; None where a row has none, or one of zero, which has no logarithm."""
    kept = [row["kept_magnitude"] for row in by_seed.values()]
    return float(np.mean(kept)) if kept and all(kept) else None


def epochs_of(by_seed: dict[int, Row]) -> str:
    """How long a group was trained, such as ``"6+2"``."""
    return str(next(iter(by_seed.values()))["epochs"])


def _p_value(gaps: list[float]) -> float:
    if len(gaps) < _TESTED or np.ptp(gaps) < _EQUAL:
        return math.nan
    return float(stats.ttest_1samp(gaps, 0.0).pvalue)
