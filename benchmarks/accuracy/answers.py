# SPDX-License-Identifier: Apache-2.0
"""What a table of results says about a study: means, spreads, and tests of differences."""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from scipy import stats

from accuracy.plan import Study
from accuracy.point import Group
from accuracy.table import Row

_CONFIDENCE = 0.95
#: Methods that an order is told of, at least.
_FORECAST = 5


@dataclasses.dataclass(frozen=True)
class Mean:
    """A number over seeds.

    Attributes:
        mean: the mean.
        half: half the width of its 95 % confidence interval by Student's t; NaN for one seed.
        count: seeds.
    """

    mean: float
    half: float
    count: int


@dataclasses.dataclass(frozen=True)
class Difference:
    """How much better one method, or training, is than another, seed by seed, from the same dense checkpoints.

    Attributes:
        network: its name.
        width: of it.
        phase: the training; ``"-"`` where trainings are compared.
        sparsity: the rate, or None.
        better: the first method, with its training where those are compared.
        worse: the second one.
        difference: of their accuracies.
        p: of a paired t-test that there is none, two-sided; NaN for one seed.
    """

    network: str
    width: float
    phase: str
    sparsity: float | None
    better: str
    worse: str
    difference: Mean
    p: float


def mean_of(values: list[float]) -> Mean:
    """Mean and confidence interval."""
    count = len(values)
    if count < 2:
        return Mean(values[0], math.nan, count)
    half = float(stats.t.ppf((1 + _CONFIDENCE) / 2, count - 1)) * float(np.std(values, ddof=1)) / math.sqrt(count)
    return Mean(float(np.mean(values)), half, count)


def groups_of(study: Study, rows: dict[str, Row]) -> dict[Group, dict[int, Row]]:
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
    """Points without a row."""
    return sum(point.key not in rows for point in study.points)


def differences(study: Study, rows: dict[str, Row], field: str = "accuracy") -> Iterator[Difference]:
    """The pairs that the study compares, seed by seed; networks of one width began at the same checkpoint.

    Trainings are compared for each method and rate; methods at the same rate and after the same training. Where the
    other method has neither, as one that is trained in another way or a network of another width, it is compared if it
    has one rate and was trained as long.
    """
    groups = groups_of(study, rows)
    methods = {point.method for point in study.points}
    for better, worse in study.compare:
        of_methods = {better, worse} <= methods
        for (network, width, method, phase, sparsity), first in groups.items():
            if (method if of_methods else phase) != better:
                continue
            if of_methods:
                second = groups.get((network, width, worse, phase, sparsity)) or _partner(groups, network, worse, first)
                names = phase, sparsity, better, worse
            else:
                second = groups.get((network, width, method, worse, sparsity), {})
                names = "-", sparsity, f"{method}, {better}", f"{method}, {worse}"
            seeds = sorted(set(first) & set(second))
            if not seeds:
                continue
            gaps = [first[seed][field] - second[seed][field] for seed in seeds]
            yield Difference(network, width, *names, mean_of(gaps), _p_value(gaps))


@dataclasses.dataclass(frozen=True)
class Forecast:
    """How well the magnitude that methods keep orders their accuracies.

    Attributes:
        network: its name.
        width: of it.
        phase: the training.
        sparsity: the rate.
        correlation: Spearman's, of the means over seeds of each method.
        count: methods.
    """

    network: str
    width: float
    phase: str
    sparsity: float
    correlation: float
    count: int


def forecasts(study: Study, rows: dict[str, Row]) -> Iterator[Forecast]:
    """For each rate that at least :data:`_FORECAST` methods have, what kept magnitude says of accuracy."""
    found: dict[tuple[str, float, str, float], list[tuple[float, float]]] = defaultdict(list)
    for (network, width, _, phase, sparsity), by_seed in groups_of(study, rows).items():
        kept = [row["kept_magnitude"] for row in by_seed.values()]
        if sparsity is not None and None not in kept:
            accuracies = [row["accuracy"] for row in by_seed.values()]
            found[network, width, phase, sparsity].append((float(np.mean(kept)), float(np.mean(accuracies))))
    for (network, width, phase, sparsity), pairs in found.items():
        if len(pairs) >= _FORECAST:
            yield Forecast(network, width, phase, sparsity, float(stats.spearmanr(pairs).statistic), len(pairs))


def _partner(groups: dict[Group, dict[int, Row]], network: str, method: str, first: dict[int, Row]) -> dict[int, Row]:
    """The only group of a method on a network that was trained as long."""
    own = [
        found
        for (name, _, what, _, _), found in groups.items()
        if (name, what) == (network, method) and epochs_of(found) == epochs_of(first)
    ]
    return own[0] if len(own) == 1 else {}


def epochs_of(by_seed: dict[int, Row]) -> str:
    """How long a group was trained, such as ``"6+2"``."""
    return str(next(iter(by_seed.values()))["epochs"])


def _p_value(gaps: list[float]) -> float:
    if len(gaps) < 2:
        return math.nan
    if np.ptp(gaps) == 0:
        return 1.0 if gaps[0] == 0 else 0.0
    return float(stats.ttest_1samp(gaps, 0.0).pvalue)
