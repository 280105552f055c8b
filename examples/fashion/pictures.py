# SPDX-License-Identifier: Apache-2.0
"""The report's pictures, as data for ``<img src=...>``."""

from __future__ import annotations

import base64
import io
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from fashion.results import Results, short_name
from fashion.training import History

mpl.use("Agg")
# The same figure gives the same bytes: identifiers in SVG are hashes, and there is no date.
mpl.rcParams["svg.hashsalt"] = "tfprune"
mpl.rcParams["font.family"] = "DejaVu Sans"
mpl.rcParams["axes.spines.top"] = False
mpl.rcParams["axes.spines.right"] = False
_INK = "#1f4e79"
_ACCENT = "#c8553d"
_QUIET = "#b8bec6"
_ZOOM_COLUMNS = 64


def training_curves(history: History) -> str:
    """Test accuracy and sparsity over training steps, one above the other."""
    figure, (top, bottom) = plt.subplots(2, 1, sharex=True, figsize=(9, 4.6), height_ratios=[1.4, 1])
    top.plot(history.test_steps, history.test_accuracy, "o-", color=_INK)
    low = min(history.test_accuracy)
    for place, (step, accuracy) in enumerate(zip(history.test_steps, history.test_accuracy, strict=True)):
        last = place == len(history.test_steps) - 1
        top.annotate(
            f"{accuracy:.1%}",
            (step, accuracy),
            textcoords="offset points",
            xytext=(-4 if last else 4, -14),
            ha="right" if last else "left",
            fontsize=8,
        )
    top.set_ylim(max(0.0, low - 0.15 * (1 - low) - 0.02), 1.0)
    top.set_ylabel("test accuracy")
    bottom.plot(history.sparsity_steps, history.sparsity, color=_ACCENT)
    bottom.set_ylim(0, 1)
    bottom.set_ylabel("sparsity")
    bottom.set_xlabel("training step")
    start = history.test_steps[history.dense_epochs - 1]
    for axes in (top, bottom):
        axes.axvline(start, color=_QUIET, linestyle="--", linewidth=1)
        axes.grid(axis="y", color="#eceff2")
    bottom.annotate("pruning begins", (start, 0.9), textcoords="offset points", xytext=(6, 0), fontsize=8, color="#555")
    figure.tight_layout()
    return _svg(figure)


def mask(kernel: npt.NDArray[Any], name: str) -> str:
    """Which weights of a convolution are left: the whole matrix, and its first columns enlarged.

    Args:
        kernel: HWIO weights; zeros are removed weights.
        name: the layer's name.
    """
    height, width, inputs, outputs = kernel.shape
    kept = np.moveaxis(kernel, 3, 0).reshape(outputs, -1) != 0
    figure, (whole, part) = plt.subplots(2, 1, figsize=(9, 6.2), height_ratios=[1, 2.6])
    whole.imshow(kept, cmap="Blues", vmin=0, vmax=1.4, aspect="auto", interpolation="nearest")
    for position in range(1, height * width):
        whole.axvline(position * inputs - 0.5, color=_ACCENT, linewidth=0.6)
    whole.set_title(
        f"{name}: {outputs} x {kept.shape[1]} weights, {1 - kept.mean():.1%} removed", fontsize=10, loc="left"
    )
    whole.set_xlabel("columns (kernel position, input channel); lines part the kernel positions", fontsize=8)
    columns = min(_ZOOM_COLUMNS, kept.shape[1])
    part.imshow(kept[:, :columns], cmap="Blues", vmin=0, vmax=1.4, aspect="auto", interpolation="nearest")
    part.set_xticks(np.arange(-0.5, columns), minor=True)
    part.set_yticks(np.arange(-0.5, outputs), minor=True)
    part.grid(which="minor", color="white", linewidth=0.4)
    part.tick_params(which="minor", length=0)
    part.set_title(f"the first {columns} columns: groups of four rows start at any row", fontsize=10, loc="left")
    for axes in (whole, part):
        axes.set_ylabel("output channel")
    figure.tight_layout()
    return _png(figure)


def layer_speedups(results: Results) -> str:
    """Measured speed-up of each layer with its quartiles, and what was predicted."""
    predicted = {(layer.subgraph, layer.index): layer.predicted_speedup for layer in results.conversion.layers}
    timings = results.timings
    figure, axes = plt.subplots(figsize=(9, 0.27 * len(timings) + 1.2))
    places = range(len(timings))
    for place, timing in zip(places, timings, strict=True):
        if timing.speedup is None or timing.speedup_quartiles is None:
            axes.barh(place, 1.0, color=_QUIET, height=0.6)
            axes.text(1.04, place, "stays dense", va="center", fontsize=7, color="#555")
            continue
        low, high = timing.speedup_quartiles
        axes.barh(place, timing.speedup, color=_INK if timing.speedup >= 1 else _ACCENT, height=0.6)
        axes.plot([low, high], [place, place], color="black", linewidth=1.2)
        guess = predicted.get((timing.subgraph, timing.index))
        if guess is not None:
            axes.plot(guess, place, "D", color=_ACCENT, markersize=4)
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.set_yticks(places, [short_name(timing.layer) for timing in timings], fontsize=7)
    axes.invert_yaxis()
    axes.set_xlabel("dense time / sparse time (bar: measured, line: quartiles, diamond: predicted)", fontsize=8)
    figure.tight_layout()
    return _svg(figure)


def _svg(figure: Figure) -> str:
    return _encoded(figure, "svg", "image/svg+xml", metadata={"Date": None})


def _png(figure: Figure) -> str:
    return _encoded(figure, "png", "image/png", dpi=130)


def _encoded(figure: Figure, kind: str, media: str, **options: Any) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, **options)
    plt.close(figure)
    return f"data:{media};base64,{base64.b64encode(buffer.getvalue()).decode()}"
