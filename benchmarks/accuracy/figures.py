# SPDX-License-Identifier: Apache-2.0
"""A figure of a study: accuracy over zeros, over multiply-adds, over measured time, or by method."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from accuracy.answers import Group, Mean, groups_of, latencies_of, mean_of
from accuracy.plan import Study
from accuracy.point import DENSE
from accuracy.table import Row

_WIDTH, _HEIGHT = 7.0, 4.2
_INCHES_A_LINE = 0.32
_DPI = 110
_X_LABELS = {
    "zeros": "zeros of the pruned layers, %",
    "macs": "multiply-adds left, %",
    "time": "measured time, % of the dense network's",
}
_ACCURACY = "accuracy in LiteRT, %"

#: By label the places of a method on the horizontal axis, in percent, and its accuracies there.
Lines = dict[str, list[tuple[float, Mean]]]


def file_name(study: Study) -> str:
    """Of its figure."""
    return f"accuracy_{study.name.lower().replace(' ', '_')}.png"


def has_figure(study: Study, rows: dict[str, Row]) -> bool:
    """Whether there is anything to draw."""
    return bool(_panels(study, groups_of(study, rows)))


def draw(study: Study, rows: dict[str, Row], folder: Path) -> Path | None:
    """Draws the figure, a panel a network.

    Args:
        study: the study.
        rows: of the table of results, by key.
        folder: for the picture.

    Returns:
        The picture, or None where no row is there to be drawn.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    groups = groups_of(study, rows)
    panels = _panels(study, groups)
    if not panels:
        return None
    listed = study.figure == "methods"
    height = 1.2 + _INCHES_A_LINE * max(map(len, panels.values())) if listed else _HEIGHT
    figure, axes = pyplot.subplots(
        1, len(panels), figsize=(_WIDTH * len(panels), height), squeeze=False, layout="constrained"
    )
    for place, (network, lines) in enumerate(panels.items()):
        dense = _dense(groups, network)
        axis = axes[0][place]
        if listed:
            _list(axis, lines, dense)
        else:
            _curves(axis, lines, dense, _X_LABELS[study.figure])
        axis.set_title(network)
        axis.grid(alpha=0.3)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / file_name(study)
    figure.savefig(path, dpi=_DPI)
    pyplot.close(figure)
    return path


def _curves(axis: Any, lines: Lines, dense: float | None, label: str) -> None:
    markers = "osD^v<>Ph*Xp"
    for place, (name, points) in enumerate(lines.items()):
        ordered = sorted(points, key=lambda point: point[0])
        axis.errorbar(
            [x for x, _ in ordered],
            [100 * mean.mean for _, mean in ordered],
            [_half(mean) for _, mean in ordered],
            label=name,
            marker=markers[place % len(markers)],
            capsize=3,
        )
    if dense is not None:
        axis.axhline(100 * dense, color="grey", linestyle="--", label=DENSE)
    axis.set_xlabel(label)
    axis.set_ylabel(_ACCURACY)
    axis.legend(fontsize="small" if len(lines) <= 10 else "xx-small", ncols=1 + len(lines) // 11)


def _list(axis: Any, lines: Lines, dense: float | None) -> None:
    names = list(lines)
    means = [lines[name][0][1] for name in names]
    places = range(len(names))
    axis.errorbar([100 * mean.mean for mean in means], places, xerr=[_half(mean) for mean in means], fmt="o", capsize=3)
    if dense is not None:
        axis.axvline(100 * dense, color="grey", linestyle="--", label=DENSE)
        axis.legend(fontsize="small")
    axis.set_yticks(places, names)
    axis.invert_yaxis()
    axis.set_xlabel(_ACCURACY)


def _half(mean: Mean) -> float:
    return 0.0 if math.isnan(mean.half) else 100 * mean.half


def _panels(study: Study, groups: dict[Group, dict[int, Row]]) -> dict[str, Lines]:
    """Lines by network; methods of several trainings are told apart by them, networks of one study by their name."""
    where = _axis_of(study)
    phases = {group[3] for group in groups if where(group, groups[group]) is not None}
    panels: dict[str, Lines] = defaultdict(lambda: defaultdict(list))
    for group, by_seed in groups.items():
        network, width, method, phase, sparsity = group
        x = where(group, by_seed)
        if x is None:
            continue
        label = method if len(phases) == 1 else f"{method}, {phase}"
        if study.figure == "methods" and sparsity is not None and _several_rates(groups, group):
            label += f", {sparsity:.0%}"
        mean = mean_of([row["accuracy"] for row in by_seed.values()])
        panels[_panel_of(study, network, width)][label].append((x, mean))
    return {panel: dict(lines) for panel, lines in panels.items()}


def _several_rates(groups: dict[Group, dict[int, Row]], group: Group) -> bool:
    return sum(other[:4] == group[:4] for other in groups) > 1


def _panel_of(study: Study, network: str, width: float) -> str:
    """Networks of several widths share a panel where time is what they are compared by."""
    return network if study.figure == "time" else f"{network} {width:g}"


def _axis_of(study: Study) -> Callable[[Group, dict[int, Row]], float | None]:
    """Where a group stands on the horizontal axis, in percent; None where it does not."""
    latencies = latencies_of(study)

    def zeros(group: Group, by_seed: dict[int, Row]) -> float | None:
        return None if group[4] is None else 100 * group[4]

    def macs(group: Group, by_seed: dict[int, Row]) -> float | None:
        if group[2] == DENSE:
            return None
        return 100 * float(sum(row["macs"] for row in by_seed.values())) / len(by_seed)

    def time(group: Group, by_seed: dict[int, Row]) -> float | None:
        share = latencies.get(group)
        return None if share is None else 100 * share

    def methods(group: Group, by_seed: dict[int, Row]) -> float | None:
        return None if group[2] == DENSE else 0.0

    return {"zeros": zeros, "macs": macs, "time": time, "methods": methods}[study.figure]


def _dense(groups: dict[Group, dict[int, Row]], panel: str) -> float | None:
    """Accuracy of the dense network that was trained longest."""
    found = {
        max(int(part) for part in next(iter(by_seed.values()))["epochs"].split("+")): by_seed
        for (network, width, method, _, _), by_seed in groups.items()
        if method == DENSE and panel in (network, f"{network} {width:g}")
    }
    return mean_of([row["accuracy"] for row in found[max(found)].values()]).mean if found else None
