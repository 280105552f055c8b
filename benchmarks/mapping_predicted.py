# SPDX-License-Identifier: Apache-2.0
"""Predicted against measured latency of whole models, over random recipes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import keras
import numpy as np
from scipy.stats import spearmanr

from mapping_networks import mobilenet_v2, resnet20
from tfprune.mapping.candidates import choices_at, read_patterns
from tfprune.mapping.choice import DENSE, Choice
from tfprune.mapping.latency import LatencyModel
from tfprune.mapping.measured import converted_file

#: None of their shapes was chosen from those that tables are fitted on.
NETWORKS: dict[str, Callable[[], Any]] = {
    "resnet20, width 16": partial(resnet20, 16),
    "resnet20, width 32": partial(resnet20, 32),
    "mobilenet_v2 for 28 px, width 0.5": partial(mobilenet_v2, 0.5),
    "MobileNetV2 at 96 px, width 0.5": lambda: keras.applications.MobileNetV2((96, 96, 3), 0.5, weights=None),
}
_LEFT_DENSE = 0.1
_SPREAD = 0.1


def random_choices(latency: LatencyModel, seed: int) -> dict[str, Choice]:
    """A pattern for nearly every layer that may have one, at rates round a common one."""
    random = np.random.default_rng(seed)
    common = random.uniform(0.4, 0.95)
    known = read_patterns()
    chosen = {}
    for layer in latency.network.layers:
        if not layer.pruned_by_default() or layer.kind not in known:
            continue
        rate = round(float(np.clip(common + random.normal(scale=_SPREAD), 0.3, 0.97)), 3)
        possible = [choice for pattern in known[layer.kind] for choice in choices_at(layer, pattern, [rate])]
        dense = random.random() < _LEFT_DENSE or not possible
        chosen[layer.name] = DENSE if dense else possible[int(random.integers(len(possible)))]
    return chosen


def files(latency: LatencyModel, seed: int) -> tuple[bytes, bytes]:
    """The dense file and the converted one of random choices."""
    converted = converted_file(latency.network, random_choices(latency, seed), latency.table)
    return converted.dense, converted.tflite


def prediction(latency: LatencyModel, seed: int) -> float:
    """Predicted time of random choices."""
    return latency.predict(random_choices(latency, seed)).time


def summary(rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Median relative error and rank correlation of predicted and measured times."""
    found = list(rows)
    predicted, measured = (np.array([row[name] for row in found]) for name in ("predicted", "measured"))
    errors = np.abs(predicted / measured - 1)
    return {
        "recipes": len(found),
        "median error": round(float(np.median(errors)), 4),
        "90 % within": round(float(np.quantile(errors, 0.9)), 4),
        "rank correlation": round(float(spearmanr(predicted, measured).statistic), 4),
    }
