# SPDX-License-Identifier: Apache-2.0
"""Mappings against single patterns and narrower networks, each at the same measured latency."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import tfprune as tp
from mapping_networks import CASES, DENSE_EPOCHS, PRUNING_EPOCHS, Data, accuracy, dense, fit, pruned
from tfprune.costs import CostTable
from tfprune.mapping.candidates import choices_at
from tfprune.mapping.choice import DENSE, Choice
from tfprune.mapping.latency import LatencyModel
from tfprune.mapping.measured import measure
from tfprune.mapping.network import Network
from tfprune.mapping.rule_based import rules
from tfprune.mapping.searching import search
from tfprune.mapping.sensitivity_analysis import sensitivity
from tfprune.sparsity.patterns import Pattern

PATTERNS: dict[str, Pattern] = {
    "Unstructured": tp.patterns.Unstructured(),
    "Groups 4x1, unaligned": tp.patterns.Groups(rows=4),
    "Groups 4x1, aligned": tp.patterns.Groups(rows=4, aligned=True),
    "BlockPunched 8x4": tp.patterns.BlockPunched(8, 4),
    "KernelPatterns 4": tp.patterns.KernelPatterns(keep=4),
    "Filters": tp.patterns.Filters(),
}


class Engine(NamedTuple):
    """A search.

    Attributes:
        method: of `tfprune.mapping.search`.
        trials: mappings that are judged.
        epochs: of training before each is judged, on the first images of the training data.
    """

    method: str
    trials: int
    epochs: int = 0


#: Methods whose choices depend on the trained weights.
SEARCHES = {
    "policy": Engine("policy", 48),
    "optuna": Engine("optuna", 48),
    "optuna, fine-tuned": Engine("optuna", 32, epochs=1),
}
#: Methods whose choices do not.
PLANNED = (*PATTERNS, "rules")
#: Images of each epoch of a trial.
FINE_TUNED_ON = 4_000
#: What searches choose from: few patterns at few rates, because each is looked at in each layer first.
SEARCHED = ("Groups 4x1, unaligned", "BlockPunched 8x4", "KernelPatterns 4")
RATES = (0.6, 0.8, 0.9)
#: As good as the best: 0.2 points.
NEAR = 0.002
#: A measured ratio so near to the wanted one is equal to it.
CLOSE = 0.015
#: Above the wanted ratio by more, a method has not reached it.
EQUAL = 0.05
_HALVINGS = 9
_ROUNDS = 61
Choices = dict[str, Choice]


def single(network: Network, pattern: Pattern, rate: float) -> Choices:
    """One pattern at one rate for every layer that it applies to and that is pruned by default."""
    chosen = {}
    for layer in network.layers:
        if not layer.pruned_by_default():
            continue
        # A layer that the pattern cannot prune so little loses what the pattern loses at least.
        least = pattern.min_sparsity(layer.weights.shape, layer.layout) if pattern_fits(layer, pattern) else 1.0
        found = choices_at(layer, pattern, [max(rate, least)]) if least < 1 else ()
        chosen[layer.name] = found[0] if found else DENSE
    return chosen


def pattern_fits(layer: Any, pattern: Pattern) -> bool:
    """Whether a layer can have a pattern at all."""
    try:
        pattern.check(layer.matrix_shape)
    except tp.errors.PatternError:
        return False
    return True


def ratio(latency: LatencyModel, choices: Choices) -> float:
    """Measured share of the dense model's time: the median of interleaved rounds."""
    return 1 / measure(latency.network, choices, latency.table, runs=_ROUNDS).speedup


def at_ratio(latency: LatencyModel, make: Callable[[float], Choices], wanted: float, low: float, high: float) -> Any:
    """Choices whose measured ratio is the wanted one, by halving what they are made from.

    Args:
        latency: of the model.
        make: from a number, the larger the fewer weights are left.
        wanted: the ratio.
        low: where it is above the wanted one.
        high: where it is below.

    Returns:
        Choices, their measured ratio and the number, those that come closest.
    """
    tried = []
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        choices = make(middle)
        found = ratio(latency, choices)
        tried.append((abs(found - wanted), choices, found, middle))
        if abs(found / wanted - 1) <= CLOSE:
            break
        low, high = (middle, high) if found > wanted else (low, middle)
    return min(tried, key=lambda each: each[0])[1:]


def written(choices: Choices) -> dict[str, Any]:
    """Choices as plain values."""
    return {
        name: None if choice.pattern is None else [tp.patterns.serialize(choice.pattern), choice.sparsity]
        for name, choice in choices.items()
    }


def read(plain: dict[str, Any]) -> Choices:
    """Undoes `written`."""
    return {
        name: DENSE if each is None else Choice(tp.patterns.deserialize(each[0]), each[1])
        for name, each in plain.items()
    }


def recipe_of(choices: Choices) -> tp.Recipe:
    """A rule for each layer that is not dense."""
    return tp.Recipe(
        [
            tp.Rule(layer, choice.pattern, choice.sparsity, min_weights=0)
            for layer, choice in choices.items()
            if choice.pattern is not None
        ]
    )


def plan(latency: LatencyModel, model: Any, method: str, wanted: float) -> dict[str, Any]:
    """What a method that does not look at data does to reach a measured ratio."""
    network = latency.network
    if method == "rules":

        def by_rules(number: float) -> Choices:
            return rules(model, latency.table, latency_ratio=1 - number).choices

        choices, found, number = at_ratio(latency, by_rules, wanted, 0.0, 0.95)
    else:
        choices, found, number = at_ratio(latency, partial(single, network, PATTERNS[method]), wanted, 0.0, 0.98)
    return {"choices": written(choices), "measured ratio": round(found, 4), "number": round(number, 4)}


def searched_choices(latency: LatencyModel) -> dict[str, list[Choice]]:
    """What searches choose from."""
    return {
        layer.name: [choice for name in SEARCHED for choice in choices_at(layer, PATTERNS[name], RATES)]
        for layer in latency.network.layers
        if layer.pruned_by_default() and layer.kind != "depthwise"
    }


def searched(
    model: Any, latency: LatencyModel, data: Data, predicted: float, methods: Sequence[str], seed: int
) -> dict[str, dict[str, Any]]:
    """What each search finds for trained weights, after one look at single layers that all of them share.

    Args:
        model: the trained model.
        latency: of it.
        data: to judge on.
        predicted: ratio of the budget.
        methods: of :data:`SEARCHES`.
        seed: of the searches.
    """
    judge = (data.judge.images, data.judge.labels)
    known = searched_choices(latency)
    alone = sensitivity(model, judge, latency.table, known)
    start = rules(model, latency.table, latency_ratio=predicted)
    found = {}
    few = data.train.first(FINE_TUNED_ON)
    for method in methods:
        engine = SEARCHES[method]
        result = search(
            model,
            latency.table,
            latency_ratio=predicted,
            validation_data=judge,
            training_data=(few.images, few.labels) if engine.epochs else None,
            method=engine.method,
            trials=engine.trials,
            epochs=engine.epochs,
            candidates=known,
            start=[start.choices],
            sensitivity=alone,
            seed=seed,
            progress=False,
        )
        choices = result.best.choices
        row = {"choices": written(choices), "measured ratio": round(ratio(latency, choices), 4)}
        found[method] = {**row, "trials": len(result.trials), "judged at": result.trial.accuracy}
    return found


def search_cost(
    model: Any, latency: LatencyModel, data: Data, method: str, workers: int, trials: int
) -> dict[str, Any]:
    """What a search takes, and how much of it until it is within 0.2 points of the best that it finds."""
    known = searched_choices(latency)
    begin = time.perf_counter()
    found = search(
        model,
        latency.table,
        latency_ratio=0.45,
        validation_data=(data.judge.images, data.judge.labels),
        method=method,
        trials=trials,
        candidates=known,
        sensitivity=False,
        workers=workers,
        progress=False,
    )
    seconds = time.perf_counter() - begin
    judged = [each for each in found.trials if each.accuracy is not None and each.status == "judged"]
    best = max(each.accuracy or 0.0 for each in judged)
    near = next(place for place, each in enumerate(judged, 1) if (each.accuracy or 0.0) >= best - NEAR)
    return {
        "seconds": round(seconds, 1),
        "judged": len(judged),
        "proposed": len(found.trials),
        "best": round(best, 4),
        "judged until near": near,
        "seconds a trial": round(statistics.median(each.seconds for each in judged), 2),
    }


def trained(name: str, seed: int, data: Data, choices: Choices, latency: LatencyModel) -> dict[str, Any]:
    """Accuracy on the test images after training with choices."""
    model = pruned(dense(name, seed, data), data, recipe_of(choices))
    zeros = [
        latency.sparsity(latency.network.layer(layer), choice) for layer, choice in choices.items() if not choice.dense
    ]
    return {"accuracy": round(accuracy(model, data.test), 4), "mean sparsity": round(float(np.mean(zeros)), 3)}


def trained_dense(name: str, seed: int, data: Data, width: float = 1.0) -> dict[str, Any]:
    """The dense network, trained as long as the pruned ones are."""
    model = dense(name, seed, data, width)
    fit(model, data, PRUNING_EPOCHS, [])
    return {"accuracy": round(accuracy(model, data.test), 4), "epochs": DENSE_EPOCHS + PRUNING_EPOCHS}


def dense_file(name: str, table: CostTable, width: float = 1.0) -> bytes:
    """The float32 file of a dense network with random weights."""
    return tp.convert(CASES[name].make(width), device=table).dense


def widths_at(name: str, wanted: float, table: CostTable) -> dict[str, dict[str, float]]:
    """The dense networks of fewer channels on either side of a measured ratio.

    Latency falls in steps as channels become fewer, because kernels compute 8 or 16 at once.
    """
    full = dense_file(name, table)
    found = {}
    for width in np.arange(1, 16) / 16:
        share = 1 / tp.benchmark(full, dense_file(name, table, float(width)), runs=_ROUNDS).timings[1].speedup
        found[float(width)] = round(share, 4)
    slower = min((width for width in found if found[width] >= wanted), default=1.0)
    faster = max((width for width in found if found[width] < wanted), default=None)
    rows = {"narrower dense, slower": {"width": slower, "measured ratio": found.get(slower, 1.0)}}
    if faster is not None:
        rows["narrower dense, faster"] = {"width": faster, "measured ratio": found[faster]}
    return rows
