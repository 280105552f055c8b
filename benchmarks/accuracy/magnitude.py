# SPDX-License-Identifier: Apache-2.0
"""What magnitude a recipe keeps of a dense checkpoint, before any training could adapt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tfprune as tp
from accuracy.data_sets import DataSet
from accuracy.point import Point
from accuracy.training import dense
from tfprune.keras.layers import match_weights, to_numpy


def kept_magnitude(point: Point, data: DataSet, weights: Path) -> float | None:
    """Share of ``sum |W|`` of all pruned kernels that one cut to the final sparsity keeps; None where nothing is cut.

    Args:
        point: the point.
        data: the images: they say what the network reads.
        weights: of the dense checkpoint.
    """
    if not point.recipe:
        return None
    model = dense(point, data, weights)
    recipe = tp.Recipe.from_dict(json.loads(point.recipe))
    before = _magnitudes(model, recipe)
    report = tp.prune(model, recipe).report
    after = _magnitudes(model, recipe)
    pruned = [row.layer for row in report.layers if row.status == "pruned"]
    whole = sum(before[name] for name in pruned)
    return sum(after[name] for name in pruned) / whole if whole else None


def _magnitudes(model: Any, recipe: tp.Recipe) -> dict[str, float]:
    return {each.layer: float(abs(to_numpy(each.variable)).sum()) for each in match_weights(model, recipe)[0]}
