# SPDX-License-Identifier: Apache-2.0
"""The pictures of a mapping: latency and zeros of its layers, and what a search has tried."""

from __future__ import annotations

import io
from collections.abc import Mapping as Dictionary
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tfprune.plotting import style
from tfprune.plotting.masks import matplotlib_classes
from tfprune.tables import short_name

if TYPE_CHECKING:
    from tfprune.mapping.mapping import MappedLayer, Mapping

#: Layers that are shown; of larger models those that take longest.
MOST_LAYERS = 60
_WIDTH, _DPI = 11.0, 110
_ROW, _FRAME = 0.2, 1.25
_BAR = 0.74
_NAME_CHARACTERS = 34
_FRONT_SIZE = (8.0, 4.2)
_SUBJECT = "pictures of mappings"
#: Rows that the legend takes its marks from.
_DENSE_COLOUR = "#C9D1D8"


def layers_png(mapping: Mapping, measured: Dictionary[str, float]) -> bytes:
    """Draws a row for each layer: its time dense and as mapped, and its zeros.

    Args:
        mapping: the mapping.
        measured: measured times by layer, in the profile's unit; they are marked.

    Returns:
        A PNG file.

    Raises:
        OutputError: matplotlib is missing.
    """
    figure_class, canvas_class, context = matplotlib_classes(_SUBJECT)
    shown = shown_layers(mapping)
    with context(style.RC):
        height = _FRAME + _ROW * len(shown)
        figure = figure_class(figsize=(_WIDTH, height), dpi=_DPI, facecolor="white")
        canvas_class(figure)
        figure.set_layout_engine("constrained", h_pad=0.06, w_pad=0.08)
        times, zeros = figure.subplots(1, 2, width_ratios=(3.0, 1.0), sharey=True)
        _draw_times(times, mapping, shown, measured)
        _draw_zeros(zeros, mapping, shown)
        figure.legend(handles=_legend(mapping, shown, measured), loc="outside upper left", ncols=5)
        return _png(figure)


def front_png(mapping: Mapping) -> bytes:
    """Draws what a search has tried: accuracy over predicted time.

    Args:
        mapping: a mapping with ``tried``.

    Returns:
        A PNG file.

    Raises:
        OutputError: matplotlib is missing.
    """
    figure_class, canvas_class, context = matplotlib_classes(_SUBJECT)
    with context(style.RC):
        figure = figure_class(figsize=_FRONT_SIZE, dpi=_DPI, facecolor="white")
        canvas_class(figure)
        figure.set_layout_engine("constrained", h_pad=0.06, w_pad=0.08)
        axes = figure.subplots()
        others = [each for each in mapping.tried if not each.front]
        front = sorted((each for each in mapping.tried if each.front), key=lambda each: each.time)
        axes.scatter(
            [each.time for each in others],
            [each.accuracy for each in others],
            s=14,
            color=_DENSE_COLOUR,
            linewidths=0,
            label="tried",
        )
        axes.plot(
            [each.time for each in front],
            [each.accuracy for each in front],
            color=style.KEPT,
            marker="o",
            markersize=4,
            linewidth=1.1,
            label="front",
        )
        for each in mapping.tried:
            if each.chosen:
                axes.plot(each.time, each.accuracy, marker="*", markersize=13, color=style.ACCENT, linestyle="none")
        if any(each.chosen for each in mapping.tried):
            axes.plot([], [], marker="*", markersize=9, color=style.ACCENT, linestyle="none", label="taken")
        limit = latency_limit(mapping)
        if limit is not None:
            axes.axvline(limit, color=style.ACCENT, linewidth=0.9, linestyle=(0, (4, 3)), label="budget")
        axes.set_xlabel(f"predicted {mapping.prediction.unit}")
        axes.set_ylabel(mapping.metric)
        axes.xaxis.set_major_formatter(_amount)
        axes.grid(color=style.LINE, linewidth=0.5)
        axes.set_axisbelow(True)
        figure.legend(loc="outside upper left", ncols=4)
        return _png(figure)


def shown_layers(mapping: Mapping) -> list[MappedLayer]:
    """The layers of the picture, in the model's order."""
    dense = mapping.dense.layers
    longest = sorted(mapping.layers, key=lambda layer: -dense[layer.name].time)[:MOST_LAYERS]
    names = {layer.name for layer in longest}
    return [layer for layer in mapping.layers if layer.name in names]


def latency_limit(mapping: Mapping) -> float | None:
    """The budget on the axis of times; None where it limits something else."""
    if not mapping.budget.kind.startswith("latency"):
        return None
    return mapping.dense.time / mapping.dense.share(mapping.budget, mapping.dense)


def _draw_times(axes: Any, mapping: Mapping, shown: Sequence[MappedLayer], measured: Dictionary[str, float]) -> None:
    places = range(len(shown))
    axes.barh(places, [mapping.dense.layers[layer.name].time for layer in shown], height=_BAR, color=_DENSE_COLOUR)
    axes.barh(
        places,
        [mapping.prediction.layers[layer.name].time for layer in shown],
        height=_BAR * 0.52,
        color=[_colour(layer) for layer in shown],
    )
    known = [(measured[layer.name], place) for place, layer in enumerate(shown) if layer.name in measured]
    if known:
        axes.scatter(*zip(*known, strict=True), marker="D", s=11, color=style.INK, zorder=3)
    axes.set_yticks(places, [_shortened(layer.name) for layer in shown])
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_formatter(_amount)
    axes.set_xlim(left=0)
    axes.grid(axis="x", color=style.LINE, linewidth=0.5)
    axes.set_axisbelow(True)
    left_out = len(mapping.layers) - len(shown)
    text = f" (the {len(shown)} layers that take longest dense, of {len(mapping.layers)})" if left_out else ""
    axes.set_title(f"Predicted {mapping.prediction.unit}{text}")


def _draw_zeros(axes: Any, mapping: Mapping, shown: Sequence[MappedLayer]) -> None:
    zeros = [mapping.prediction.layers[layer.name].sparsity for layer in shown]
    axes.barh(range(len(shown)), zeros, height=_BAR * 0.7, color=[_colour(layer) for layer in shown])
    for place, share in enumerate(zeros):
        if share:
            axes.text(share + 0.02, place, f"{share:.0%}", va="center", fontsize=6.5, color=style.QUIET)
    axes.set_xlim(0, 1.18)
    axes.set_xticks([0, 0.5, 1], ["0 %", "50 %", "100 %"])
    axes.tick_params(axis="y", length=0)
    axes.set_title("Zeros")


def _legend(mapping: Mapping, shown: Sequence[MappedLayer], measured: Dictionary[str, float]) -> list[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [Patch(color=_DENSE_COLOUR, label="dense")]
    used = {_colour(layer) for layer in shown if not layer.choice.dense}
    families = [(name, colour) for name, colour, _ in style.FAMILIES] + [("other patterns", style.OTHER)]
    handles += [Patch(color=colour, label=name) for name, colour in families if colour in used]
    if any(layer.choice.dense for layer in shown):
        handles.append(Patch(color=style.QUIET, label="stays dense"))
    if measured:
        handles.append(Line2D([], [], marker="D", markersize=4, color=style.INK, linestyle="none", label="measured"))
    return handles


def _colour(layer: MappedLayer) -> str:
    pattern = layer.choice.pattern
    return style.QUIET if pattern is None else style.family_colour(pattern)


def _shortened(name: str) -> str:
    """The end of a long name, which tells layers apart."""
    text = short_name(name)
    return text if len(text) <= _NAME_CHARACTERS else f"\N{HORIZONTAL ELLIPSIS}{text[1 - _NAME_CHARACTERS :]}"


def _amount(value: float, _: int) -> str:
    from tfprune.converter.columns import amount

    return amount(value)


def _png(figure: Any) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()
