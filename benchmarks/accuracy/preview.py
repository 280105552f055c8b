# SPDX-License-Identifier: Apache-2.0
"""What methods will leave of a network, before anything is trained: its random weights, cut once."""

from __future__ import annotations

import json

import tfprune as tp
from accuracy.counting import left
from accuracy.data_sets import load
from accuracy.plan import Study
from accuracy.point import Point
from accuracy.report import table
from accuracy.training import untrained

_HEADS = ["network", "method", "target zeros", "layers pruned", "weights left", "MACs left", "MACs left, shrunk"]


def preview(study: Study) -> str:
    """A table with a line for each network, method and rate of a study; trainings and seeds do not matter here.

    Args:
        study: the study.

    Raises:
        RecipeError: a recipe that the network cannot have.
        ClickException: the images, whose shape the network needs, are not there.
    """
    first: dict[tuple[str, float, str, float | None], Point] = {}
    for point in study.points:
        first.setdefault((point.network, point.width, point.method, point.sparsity), point)
    return table(_HEADS, [_cells(point) for point in first.values()])


def _cells(point: Point) -> list[str]:
    model = untrained(point, load(point.data))
    pruned = 0
    if point.recipe:
        report = tp.prune(model, tp.Recipe.from_dict(json.loads(point.recipe))).report
        pruned = sum(row.status == "pruned" for row in report.layers)
    found = left(model)
    kernels = sum(getattr(layer, "kernel", None) is not None for layer in model.layers)
    return [
        f"{point.network} {point.width:g}",
        point.method,
        "-" if point.sparsity is None else f"{point.sparsity:.0%}",
        f"{pruned} of {kernels}",
        f"{found.weights:.1%}",
        f"{found.macs:.1%}",
        f"{found.shrunk_macs:.1%}",
    ]
