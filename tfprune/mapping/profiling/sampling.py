# SPDX-License-Identifier: Apache-2.0
"""Measures layers until the fit predicts those that it did not see no better, or the time is spent."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tfprune.costs.facts import HeldOut
from tfprune.costs.table import KINDS, KindCosts
from tfprune.mapping.profiling.design import Design, coverage
from tfprune.mapping.profiling.fitting import Array, fit_kinds
from tfprune.mapping.profiling.held_out import layer_table, speedup_errors, spread
from tfprune.mapping.profiling.samples import Bench, Case, Sample

FOLDS = 4
ROUND = 32  # measurements between two fits
#: The error must fall by this share over two rounds, or the sample is large enough.
_FALLING = 0.03
_LOOK_BACK = 2
Told = Callable[[float, str], None]


class Fit(NamedTuple):
    """How a sample is fitted.

    Attributes:
        tile: as the table has it.
        precision: of the layers.
        cache_bytes: as the table has it.
        prior: coefficients of a device like the measured one.
    """

    tile: dict[str, int]
    precision: str
    cache_bytes: int | None
    prior: Mapping[str, KindCosts]


def crossed_errors(found: Sequence[Sample], fit: Fit) -> Array:
    """Error of the predicted speed-up of each layer from the fit of the other folds."""
    fold = np.random.default_rng(0).permutation(len(found)) % FOLDS
    errors = np.zeros(len(found))
    for number in range(FOLDS):
        kept = [sample for sample, own in zip(found, fold, strict=True) if own != number]
        held = [sample for sample, own in zip(found, fold, strict=True) if own == number]
        kinds = fit_kinds(kept, fit.tile, fit.precision, fit.cache_bytes, KINDS, fit.prior)
        table = layer_table(kinds, fit.tile, fit.precision, fit.cache_bytes)
        errors[fold == number] = speedup_errors(table, held)
    return errors


def measure_layers(bench: Bench, design: Design, fit: Fit, deadline: float, tell: Told) -> list[Sample]:
    """Measures a spread of cases, then those that the fit knows least about.

    Args:
        bench: measures.
        design: chooses.
        fit: how to fit.
        deadline: of `time.monotonic`, after which no other round begins; the spread is measured all the same.
        tell: is told the share of these measurements that is done, and what is being done.
    """
    start = time.monotonic()
    every = coverage(fit.precision) * len(KINDS)

    def told(done: int, of: int) -> None:
        passed, known = (time.monotonic() - start) / max(1e-9, deadline - start), len(cases) - of + done
        # The spread takes as long as it takes; what follows, at most until the deadline.
        tell(min(1.0, known / every, max(passed, 0.5 * known / every)), f"layers, {known} measured")

    cases: list[Case] = spread_of_cases(design, fit.precision)
    found = bench.samples(cases, told)
    history: list[float] = []
    while True:
        errors = crossed_errors(found, fit)
        history.append(float(np.median(errors)))
        if time.monotonic() >= deadline or settled(history):
            return found
        kinds = np.array([sample.layer.kind for sample in found])
        squared = {kind: float((errors[kinds == kind] ** 2).mean()) for kind in KINDS if (kinds == kind).any()}
        more = design.choose(ROUND, squared)
        if not more:
            return found
        cases.extend(more)
        found.extend(bench.samples(more, told))


def spread_of_cases(design: Design, precision: str) -> list[Case]:
    """As many cases of each kind as a fit needs, of largest leverage."""
    found: list[Case] = []
    for kind in KINDS:
        found.extend(design.choose(coverage(precision), dict.fromkeys(KINDS, 0.0) | {kind: 1.0}))
    return found


def settled(history: Sequence[float]) -> bool:
    """Whether the error has stopped falling."""
    return len(history) > _LOOK_BACK and history[-1] > (1 - _FALLING) * min(history[:-_LOOK_BACK])


def errors_by_kind(found: Sequence[Sample], fit: Fit) -> dict[str, HeldOut]:
    """Errors of each kind of layer, each layer predicted from the fit of the other folds."""
    errors, kinds = crossed_errors(found, fit), np.array([sample.layer.kind for sample in found])
    return {kind: spread(errors[kinds == kind]) for kind in KINDS if (kinds == kind).any()}
