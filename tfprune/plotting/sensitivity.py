# SPDX-License-Identifier: Apache-2.0
"""What each layer alone loses by its sparsity: a panel a layer, a line a pattern."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tfprune.errors import MappingError
from tfprune.files import check_target, write_file
from tfprune.plotting import style
from tfprune.plotting.masks import matplotlib_classes
from tfprune.plotting.picture_files import picture_bytes, picture_format

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tfprune.mapping.sensitivity_analysis import LayerSensitivity, SensitivityReport

_COLUMNS = 4
_WIDTH, _HEIGHT, _HEAD, _DPI = 3.4, 2.3, 1.2, 110
#: Patterns of one family share its colour and differ by these.
_DASHES: tuple[Any, ...] = ("-", (0, (4, 2)), (0, (1, 1.5)), (0, (6, 1, 1, 1)))
_MARKERS = "osD^v"


def plot_sensitivity(
    report: SensitivityReport,
    output: str | os.PathLike[str] | None = None,
    *,
    layers: Sequence[str] | None = None,
    overwrite: bool = False,
) -> Figure:
    """Draws a report; the arguments are those of `SensitivityReport.plot`."""
    figure_class, canvas_class, context = matplotlib_classes("SensitivityReport.plot")
    suffix = None if output is None else picture_format(output, "SensitivityReport.plot")
    if output is not None:
        # Before the work, so that a refused output costs no time.
        check_target(output, overwrite=overwrite)
    by_layer = _chosen(report, layers)
    patterns = _line_styles([row for rows in by_layer.values() for row in rows])
    columns = min(_COLUMNS, len(by_layer))
    lines = math.ceil(len(by_layer) / columns)
    with context(style.RC):
        size = (max(_WIDTH * columns, 2 * _WIDTH), _HEIGHT * lines + _HEAD)
        figure: Figure = figure_class(figsize=size, dpi=_DPI, facecolor="white")
        figure.set_layout_engine("constrained")
        canvas_class(figure)
        figure.suptitle(report.title, x=0.008, ha="left", fontsize=10.5, fontweight="bold", color=style.INK)
        panels = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for axes, (name, rows) in zip(panels, by_layer.items(), strict=False):
            _draw_layer(axes, name, rows, patterns)
        for axes in panels[len(by_layer) :]:
            axes.axis("off")
        # The lowest of each column: others share their axis.
        for axes in panels[max(0, len(by_layer) - columns) : len(by_layer)]:
            axes.tick_params(labelbottom=True)
            axes.set_xlabel("zeros in the layer")
        figure.supylabel(f"loss of {report.metric}", fontsize=8, color=style.INK)
        _draw_legend(figure, patterns)
        if output is not None and suffix is not None:
            write_file(output, picture_bytes(figure, suffix), overwrite=overwrite)
    return figure


def _chosen(report: SensitivityReport, layers: Sequence[str] | None) -> dict[str, list[LayerSensitivity]]:
    found: dict[str, list[LayerSensitivity]] = {}
    for row in report.rows:
        found.setdefault(row.layer, []).append(row)
    unknown = [name for name in layers or () if name not in found]
    if unknown or not found:
        known = ", ".join(found) or "none"
        raise MappingError(f"layers must be of the report, one of {known}, got {', '.join(unknown) or 'no layer'}")
    return found if layers is None else {name: found[name] for name in layers}


def _line_styles(rows: Sequence[LayerSensitivity]) -> dict[str, dict[str, Any]]:
    """How the line of each pattern looks, by the pattern's text."""
    found: dict[str, dict[str, Any]] = {}
    used: dict[str, int] = {}
    for row in rows:
        text = str(row.choice.pattern)
        if text not in found and row.choice.pattern is not None:
            colour = style.family_colour(row.choice.pattern)
            number = used.setdefault(colour, 0)
            used[colour] += 1
            marker = _MARKERS[number % len(_MARKERS)]
            found[text] = {"color": colour, "linestyle": _DASHES[number % len(_DASHES)], "marker": marker}
    return found


def _draw_layer(axes: Any, name: str, rows: Sequence[LayerSensitivity], patterns: dict[str, dict[str, Any]]) -> None:
    axes.axhline(0, color=style.QUIET, linewidth=0.8, linestyle=(0, (3, 3)), zorder=0)
    for text, look in patterns.items():
        points = sorted((row.choice.sparsity, row.loss) for row in rows if str(row.choice.pattern) == text)
        if points:
            axes.plot(*zip(*points, strict=True), linewidth=1.2, markersize=3.5, **look)
    axes.locator_params(axis="x", nbins=5)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.set_title(name)


def _draw_legend(figure: Any, patterns: dict[str, dict[str, Any]]) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], markersize=3.5, linewidth=1.2, label=text, **look) for text, look in patterns.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(4, len(handles)))
