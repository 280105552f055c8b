# SPDX-License-Identifier: Apache-2.0
"""A figure of a study: accuracy over zeros, over multiply-adds, or by method."""

from __future__ import annotations

import io
import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from accuracy.answers import Mean, epochs_of, groups_of, mean_of
from accuracy.plan import Study
from accuracy.point import DENSE, Group
from accuracy.table import Row
from tfprune.files import write_file

_WIDTH, _HEIGHT = 7.5, 4.5
_FRAME = 1.0
_INCHES_A_LINE = 0.3
_DPI = 110
_ROOM = 25  # percent of the horizontal axis, for names
_LINE_SHARE = 0.035  # of the height, for each of them
_X_LABELS = {
    "zeros": "zeros of the pruned layers, %",
    "macs": "multiply-adds left in shrunk arrays, %",
}
_ACCURACY = "accuracy in LiteRT, %"

#: By label the places of a method on the horizontal axis, in percent, and its accuracies there.
Lines = dict[str, list[tuple[float, Mean]]]


def file_name(study: Study) -> str:
    """Of its figure."""
    return f"accuracy_{'_'.join(re.findall('[a-z0-9]+', study.name.lower()))}.png"


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
    height = _HEIGHT if not listed else _FRAME + _INCHES_A_LINE * max(map(len, panels.values()))
    figure, axes = pyplot.subplots(
        1, len(panels), figsize=(_WIDTH * len(panels), height), squeeze=False, layout="constrained"
    )
    for axis, (network, lines) in zip(axes[0], panels.items(), strict=True):
        if listed:
            _list(axis, lines)
        else:
            _curves(axis, lines, _X_LABELS[study.figure])
        if study.figure == "macs":
            _name(axis, lines)
        dense = _dense(study, groups, network)
        if dense is not None:
            (axis.axvline if listed else axis.axhline)(100 * dense, color="grey", linestyle="--", label=DENSE)
        axis.set_title(network)
        axis.grid(alpha=0.3)
    if study.figure == "zeros":
        figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside right upper", fontsize="small")
    picture = io.BytesIO()
    figure.savefig(picture, dpi=_DPI, format="png")
    pyplot.close(figure)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / file_name(study)
    write_file(path, picture.getvalue(), overwrite=True)
    return path


def _curves(axis: Any, lines: Lines, label: str) -> None:
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
    axis.set_xlabel(label)
    axis.set_ylabel(_ACCURACY)


def _name(axis: Any, lines: Lines) -> None:
    """Writes names to the right of their points, none over another."""
    last = {name: max(points, key=lambda point: point[0]) for name, points in lines.items()}
    axis.set_xlim(right=max(x for x, _ in last.values()) + _ROOM)
    low, high = axis.get_ylim()
    least = _LINE_SHARE * (high - low)
    placed: list[tuple[float, float]] = []
    for name, (x, mean) in sorted(last.items(), key=lambda each: each[1][1].mean):
        place = 100 * mean.mean
        for other, height in placed:
            if abs(other - x) < _ROOM:
                place = max(place, height + least)
        placed.append((x, place))
        axis.text(x + 1, place, name, va="center", fontsize="small")


def _list(axis: Any, lines: Lines) -> None:
    means = [points[0][1] for points in lines.values()]
    places = range(len(means))
    axis.errorbar([100 * mean.mean for mean in means], places, xerr=[_half(mean) for mean in means], fmt="o", capsize=3)
    axis.set_yticks(places, list(lines))
    axis.set_ylim(len(means) - 0.5, -0.5)
    axis.set_xlabel(_ACCURACY)


def _half(mean: Mean) -> float:
    return 0.0 if math.isnan(mean.half) else 100 * mean.half


def _panels(study: Study, groups: dict[Group, dict[int, Row]]) -> dict[str, Lines]:
    """Lines by network."""
    where = _PLACES[study.figure]
    panels: dict[str, Lines] = defaultdict(lambda: defaultdict(list))
    for group, by_seed in groups.items():
        x = where(group, by_seed)
        if x is not None:
            mean = mean_of([row["accuracy"] for row in by_seed.values()])
            panels[_panel_of(study, group)][_label(study, group, groups)].append((x, mean))
    return {panel: dict(lines) for panel, lines in panels.items()}


def _panel_of(study: Study, group: Group) -> str:
    """Methods are listed whatever the width of their network."""
    return group[0] if study.figure == "methods" else f"{group[0]} {group[1]:g}"


def _label(study: Study, group: Group, groups: Iterable[Group]) -> str:
    """The method, and what tells it from others of its name."""
    network, width, method, phase, sparsity = group
    own = [other for other in groups if other[:3] == (network, width, method)]
    parts = [method]
    if study.figure == "methods" and len({other[1] for other in groups if other[0] == network}) > 1:
        parts.append(f"width {width:g}")
    if len({other[3] for other in own}) > 1:
        parts.append(phase)
    if study.figure == "methods" and sparsity is not None and len({other[4] for other in own}) > 1:
        parts.append(f"{sparsity:.0%}")
    return ", ".join(parts)


def _zeros(group: Group, by_seed: dict[int, Row]) -> float | None:
    return None if group[4] is None else 100 * group[4]


def _macs(group: Group, by_seed: dict[int, Row]) -> float | None:
    shares = [row["shrunk_macs"] for row in by_seed.values()]
    return None if group[2] == DENSE or None in shares else 100 * mean_of(shares).mean


def _listed(group: Group, by_seed: dict[int, Row]) -> float | None:
    return 0.0


#: By kind of figure where a group stands on the horizontal axis, in percent; None where it does not.
_PLACES: dict[str, Callable[[Group, dict[int, Row]], float | None]] = {
    "zeros": _zeros,
    "macs": _macs,
    "methods": _listed,
}


def _dense(study: Study, groups: dict[Group, dict[int, Row]], panel: str) -> float | None:
    """Accuracy of the dense network that was trained longest."""
    found = {
        sum(map(int, epochs_of(by_seed).split("+"))): by_seed
        for group, by_seed in groups.items()
        if group[2] == DENSE and _panel_of(study, group) == panel
    }
    return mean_of([row["accuracy"] for row in found[max(found)].values()]).mean if found else None
