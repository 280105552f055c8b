# SPDX-License-Identifier: Apache-2.0
"""The panels of a layer: its mask, a corner of it, what each pattern keeps, groups a band."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.plotting import style
from tfprune.plotting.comparison import Candidate
from tfprune.plotting.weights import LayerWeights
from tfprune.sparsity.measure import Balance

# Pixels of a whole mask: more than these are averaged.
_MOST_ROWS, _MOST_COLS = 256, 640
CORNER_ROWS, CORNER_COLS = 32, 48
# Kernels of more positions have no room for their names.
_MOST_NAMED = 12
_MOST_BARS = 24
# Room for as many patterns at least, so that few bars are not thick.
_FEWEST_BARS = 6
# Patterns whose rate is as far from the others' say so.
_RATE_TOLD = 0.01


def _averaged(mask: npt.NDArray[np.bool_], most: int, axis: int) -> npt.NDArray[Any]:
    """Means of equal runs along an axis, so that at most `most` are left."""
    length = mask.shape[axis]
    if length <= most:
        return mask.astype(np.float64)
    edges = np.linspace(0, length, most + 1).astype(int)
    sums = np.add.reduceat(mask, edges[:-1], axis=axis, dtype=np.float64)
    shape = [1] * mask.ndim
    shape[axis] = most
    return np.asarray(sums / np.diff(edges).reshape(shape))


def draw_mask(axes: Any, figure: Any, layer: LayerWeights) -> None:
    """The whole mask, output channels down, kernel positions side by side; a pixel is dark where weights stay."""
    mask = layer.matrix != 0
    rows, segments, cols = mask.shape
    parts = [
        _averaged(_averaged(mask[:, s], _MOST_ROWS, 0), max(1, _MOST_COLS // segments), 1) for s in range(segments)
    ]
    image = np.concatenate(parts, axis=1)
    top = max(float(np.quantile(image, 0.995)), 1e-3)
    # Pixel columns are stretched to matrix columns, so that ticks count input channels.
    shown = axes.imshow(
        image,
        cmap=_colours(),
        vmin=0,
        vmax=top,
        aspect="auto",
        interpolation="nearest",
        extent=(0, segments * cols, rows, 0),
    )
    for place in range(1, segments):
        axes.axvline(place * cols, color=style.ACCENT, linewidth=0.6, alpha=0.9)
    corner = min(CORNER_ROWS, rows), min(CORNER_COLS, segments * cols)
    if corner != (rows, segments * cols):
        axes.plot(
            [0, corner[1], corner[1], 0, 0],
            [0, 0, corner[0], corner[0], 0],
            color=style.INK,
            linewidth=0.9,
            clip_on=False,
        )
    axes.set_title("Mask: output channels x (kernel position, input channel)")
    axes.set_ylabel("output channel")
    _segment_ticks(axes, layer)
    if image.size < mask.size:
        bar = figure.colorbar(shown, ax=axes, fraction=0.035, pad=0.015, aspect=28)
        bar.outline.set_linewidth(0)
        bar.ax.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        bar.ax.tick_params(length=2, labelsize=6.5)
        bar.ax.set_title("kept", fontsize=6.5, color=style.QUIET, loc="center")
    axes.spines[:].set_visible(True)


def _segment_ticks(axes: Any, layer: LayerWeights) -> None:
    _, segments, cols = layer.matrix.shape
    _whole_ticks(axes)
    if segments == 1:
        axes.set_xlabel("input channel")
        return
    names = [",".join(map(str, place)) for place in itertools.product(*map(range, layer.window))]
    step = 1 if segments <= _MOST_NAMED else layer.window[-1]
    places = range(0, segments, step)
    axes.set_xticks([(place + 0.5) * cols for place in places], [names[place] for place in places])
    axes.tick_params(axis="x", length=0)
    axes.set_xlabel(f"kernel position, {cols} input channel{'s' if cols > 1 else ''} each")


def draw_corner(axes: Any, layer: LayerWeights) -> None:
    """The first rows and columns, weight by weight."""
    flat = (layer.matrix != 0).reshape(len(layer.matrix), -1)[:CORNER_ROWS, :CORNER_COLS]
    axes.imshow(flat, cmap=_colours(), vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    rows, cols = flat.shape
    # Two collections of lines: a grid of minor ticks takes ten times as long.
    axes.vlines(np.arange(0.5, cols - 1), -0.5, rows - 0.5, color="white", linewidth=0.45)
    axes.hlines(np.arange(0.5, rows - 1), -0.5, cols - 0.5, color="white", linewidth=0.45)
    axes.set_xlim(-0.5, cols - 0.5)
    axes.set_ylim(rows - 0.5, -0.5)
    for place in range(layer.matrix.shape[2], cols, layer.matrix.shape[2]):
        axes.axvline(place - 0.5, color=style.ACCENT, linewidth=1.0)
    _whole_ticks(axes)
    axes.set_title("Its first rows and columns")
    axes.set_xlabel("column")
    axes.spines[:].set_visible(True)


def draw_comparison(
    axes: Any, candidates: Sequence[Candidate], target: float, described: Candidate | None, *, pruned: bool
) -> None:
    """Kept magnitude of each pattern, in parts of what as many single weights keep.

    Args:
        axes: Where to draw.
        candidates: The patterns.
        target: Sparsity they are compared at.
        described: The pattern of the layer's zeros, or None.
        pruned: Whether the layer has zeros. What they were worth is lost, so the bars favour the pattern that was used.
    """
    ordered = sorted(candidates, key=lambda each: -each.found.against_unstructured)
    values = [each.found.against_unstructured for each in ordered]
    places = range(len(ordered))
    axes.barh(places, values, height=0.68, color=[style.family_colour(each.pattern) for each in ordered])
    for place, value in zip(places, values, strict=True):
        axes.text(value + 0.012, place, f"{value:.1%}", va="center", ha="left", fontsize=6.8, color=style.INK)
    axes.set_yticks(places, [_label(each, target) for each in ordered])
    for label, each in zip(axes.get_yticklabels(), ordered, strict=True):
        label.set_color(style.INK if each is not described else style.ACCENT)
        label.set_fontweight("bold" if each is described else "normal")
        label.set_fontsize(7.0)
    axes.set_ylim(max(len(ordered), _FEWEST_BARS) - 0.4, -0.6)
    axes.set_xlim(0, 1.18)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1.0], ["0", "25%", "50%", "75%", "100%"])
    axes.axvline(1, color=style.QUIET, linewidth=0.8, linestyle=(0, (3, 3)), zorder=0)
    axes.tick_params(axis="y", length=0)
    axes.set_title(f"Magnitude that patterns keep at {target:.1%} zeros")
    lost = "\nof what the remaining weights hold: removed ones count as 0"
    axes.set_xlabel(f"of what single weights keep{lost if pruned else ''}")


def _label(candidate: Candidate, target: float) -> str:
    """The pattern, and its rate where it has another one than the others."""
    reached = candidate.found.sparsity
    return f"{candidate.pattern}" + (f" (at {reached:.1%})" if abs(reached - target) >= _RATE_TOLD else "")


def draw_bands(axes: Any, balance: Balance, name: str) -> None:
    """Histogram of groups a band."""
    counts = np.array(balance.counts)
    low, high = balance.least, balance.most
    step = max(1, -(-(high - low + 1) // _MOST_BARS))
    edges = np.arange(low, high + step + 1, step) - 0.5
    heights, _ = np.histogram(counts, edges)
    axes.bar(edges[:-1], heights, width=step * 0.9, align="edge", color=style.KEPT)
    axes.axvline(balance.mean, color=style.ACCENT, linewidth=1.2)
    axes.set_ylim(0, int(heights.max()) * 1.08)
    if high - low < 3:
        axes.set_xlim(low - 2, high + 2)
    axes.locator_params(integer=True, nbins=5)
    rows = "one row" if balance.band_rows == 1 else f"{balance.band_rows} rows"
    axes.set_title(f"Groups in bands of {rows}")
    axes.set_xlabel(f"groups a band\nmean {balance.mean:.1f}, most {high} ({balance.waiting:.2f}x)\n{name}")
    axes.set_ylabel("bands")


def draw_text(axes: Any, text: str) -> None:
    """A sentence in the place of a panel that has nothing to show."""
    axes.axis("off")
    axes.text(0.5, 0.5, text, ha="center", va="center", color=style.QUIET, transform=axes.transAxes, wrap=True)


def _whole_ticks(axes: Any) -> None:
    """Ticks at whole numbers only: rows and columns have no fractions."""
    from matplotlib.ticker import MaxNLocator

    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(nbins="auto", steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))


def _colours() -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("kept", ["#F4F6F8", "#8DB6DA", style.KEPT])
