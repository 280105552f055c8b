# SPDX-License-Identifier: Apache-2.0
"""A figure of a study: accuracy over zeros, or by method, with multiply-adds or another cost beside it."""

from __future__ import annotations

import io
import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from accuracy.answers import Mean, costs_of, epochs_of, groups_of, mean_of
from accuracy.plan import Study
from accuracy.point import DENSE, Group
from accuracy.table import Row
from tfprune.files import write_file

_WIDTH, _HEIGHT = 7.5, 4.5
_FRAME = 1.0
_INCHES_A_LINE = 0.3
_DPI = 110
_DODGE = 0.25  # percent of zeros, between methods of the same
_BARS = 0.3  # of the width of a list
_ZEROS = "zeros of the pruned layers, % (methods of one rate beside each other)"
_MACS = "multiply-adds\nleft, shrunk, %"
_COST = "{},\n% of dense"
#: Kinds of figures that have bars beside a list.
_WITH_BARS = ("macs", "costs")
_ACCURACY = "accuracy in LiteRT, %"

#: By label the places of a method, in percent of what the figure shows besides accuracies, and its accuracies there.
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
    listed = _is_list(study)
    height = _HEIGHT if not listed else _FRAME + _INCHES_A_LINE * max(map(len, panels.values()))
    ratios = [1.0, _BARS] if study.figure in _WITH_BARS else [1.0]
    figure, axes = pyplot.subplots(
        1,
        len(ratios) * len(panels),
        figsize=(_WIDTH * len(panels), height),
        width_ratios=ratios * len(panels),
        squeeze=False,
        layout="constrained",
    )
    names = list(dict.fromkeys(name for lines in panels.values() for name in lines))
    shown: dict[str, Any] = {}
    for (network, lines), (axis, *beside) in zip(panels.items(), axes.reshape(len(panels), -1), strict=True):
        if listed:
            _list(axis, lines)
        else:
            _curves(axis, lines, names)
        for other in beside:
            _bars(other, lines, _MACS if study.figure == "macs" else _COST.format(study.points[0].costs[0][0]))
        dense = _dense(study, groups, network)
        if dense is not None:
            label, mean = dense
            (axis.axvline if listed else axis.axhline)(100 * mean, color="grey", linestyle="--", label=label)
            if listed:
                axis.legend(loc="best", fontsize="small")
        axis.set_title(network)
        axis.grid(alpha=0.3)
        shown |= {label: handle for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    if not listed:
        figure.legend(shown.values(), shown.keys(), loc="outside right upper", fontsize="small")
    picture = io.BytesIO()
    figure.savefig(picture, dpi=_DPI, format="png")
    pyplot.close(figure)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / file_name(study)
    write_file(path, picture.getvalue(), overwrite=True)
    return path


def _is_list(study: Study) -> bool:
    return study.figure != "zeros"


def _curves(axis: Any, lines: Lines, names: list[str]) -> None:
    """Beside each other, so that no interval hides another; a method looks the same in all panels."""
    markers = "osD^v<>Ph*Xp"
    for place, (name, points) in enumerate(lines.items()):
        ordered = sorted(points, key=lambda point: point[0])
        look = names.index(name)
        axis.errorbar(
            [x + _DODGE * (place - (len(lines) - 1) / 2) for x, _ in ordered],
            [100 * mean.mean for _, mean in ordered],
            [100 * mean.half for _, mean in ordered],
            label=name,
            color=f"C{look}",
            marker=markers[look % len(markers)],
            capsize=3,
        )
    axis.set_xticks(sorted({x for points in lines.values() for x, _ in points}))
    axis.set_xlabel(_ZEROS)
    axis.set_ylabel(_ACCURACY)


def _list(axis: Any, lines: Lines) -> None:
    means = [points[0][1] for points in lines.values()]
    places = range(len(means))
    halves = [100 * mean.half for mean in means]
    axis.errorbar([100 * mean.mean for mean in means], places, xerr=halves, fmt="o", capsize=3)
    axis.set_yticks(places, list(lines))
    axis.set_ylim(len(means) - 0.5, -0.5)
    axis.set_xlabel(_ACCURACY)


def _bars(axis: Any, lines: Lines, label: str) -> None:
    shares = [points[0][0] for points in lines.values()]
    axis.barh(range(len(shares)), shares, color="tab:grey")
    axis.set_yticks([])
    axis.set_ylim(len(shares) - 0.5, -0.5)
    axis.set_xlim(0, 100)
    axis.set_xlabel(label)


def _panels(study: Study, groups: dict[Group, dict[int, Row]]) -> dict[str, Lines]:
    """Lines by network."""
    where = _PLACES[study.figure]
    costs = costs_of(study)
    panels: dict[str, Lines] = defaultdict(lambda: defaultdict(list))
    for group, by_seed in groups.items():
        x = where(group, by_seed, costs[group])
        if x is not None:
            mean = mean_of([row["accuracy"] for row in by_seed.values()])
            panels[_panel_of(study, group)][_label(study, group, groups)].append((x, mean))
    return {panel: dict(lines) for panel, lines in panels.items()}


def _panel_of(study: Study, group: Group) -> str:
    """Methods are listed whatever the width of their network, unless they are all of one."""
    widths = {other.width for other in study.points if other.network == group[0]}
    return f"{group[0]}, width {group[1]:g}" if not _is_list(study) or len(widths) == 1 else group[0]


def _label(study: Study, group: Group, groups: Iterable[Group]) -> str:
    """The method, and what tells it from others of its name."""
    network, width, method, phase, sparsity = group
    own = [other for other in groups if other[:3] == (network, width, method)]
    parts = [method]
    listed = _is_list(study)
    if listed and len({other[1] for other in groups if other[0] == network}) > 1:
        parts.append(f"width {width:g}")
    if len({other[3] for other in own}) > 1:
        parts.append(phase)
    if listed and sparsity is not None and len({other[4] for other in own}) > 1:
        parts.append(f"{sparsity:.0%}")
    return ", ".join(parts)


def _zeros(group: Group, by_seed: dict[int, Row], costs: dict[str, float]) -> float | None:
    return None if group[4] is None else 100 * group[4]


def _macs(group: Group, by_seed: dict[int, Row], costs: dict[str, float]) -> float | None:
    """Not a number where no row says it."""
    shares = [row["shrunk_macs"] for row in by_seed.values() if row["shrunk_macs"] is not None]
    return 100.0 if group[2] == DENSE else 100 * mean_of(shares).mean if shares else math.nan


def _cost(group: Group, by_seed: dict[int, Row], costs: dict[str, float]) -> float | None:
    """The first one."""
    return 100 * next(iter(costs.values()))


def _listed(group: Group, by_seed: dict[int, Row], costs: dict[str, float]) -> float | None:
    return 0.0


#: By kind of figure what a group has besides its accuracy, in percent; None where it has no place in it.
_PLACES: dict[str, Callable[[Group, dict[int, Row], dict[str, float]], float | None]] = {
    "zeros": _zeros,
    "macs": _macs,
    "costs": _cost,
    "methods": _listed,
}


def _dense(study: Study, groups: dict[Group, dict[int, Row]], panel: str) -> tuple[str, float] | None:
    """Label and accuracy of the dense network that was trained longest."""
    found = {
        sum(map(int, epochs_of(by_seed).split("+"))): (group, by_seed)
        for group, by_seed in groups.items()
        if group[2] == DENSE and _panel_of(study, group) == panel
    }
    if not found:
        return None
    group, by_seed = found[max(found)]
    return _label(study, group, groups), mean_of([row["accuracy"] for row in by_seed.values()]).mean
