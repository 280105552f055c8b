# SPDX-License-Identifier: Apache-2.0
"""Draws the pictures of docs/patterns.md: every pattern on the same weights, and `tfprune.plot_masks` on a layer.

python tools/draw_patterns.py docs/pictures
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

import tfprune as tp
from tfprune.plotting import style
from tfprune.sparsity.layouts import to_matrix
from tfprune.sparsity.patterns import Pattern

P = tp.patterns
# A dense layer of 24 inputs and 24 outputs, and a convolution of 8 filters that read 6 channels at 3x3 positions.
DENSE, CONV = (24, 24), (3, 3, 6, 12)
DENSE_PATTERNS: tuple[Pattern, ...] = (
    P.Unstructured(),
    P.Groups(4, aligned=True),
    P.Groups(4),
    P.Groups(1, 4, aligned=True),
    P.Groups(1, 4, along="input"),
    P.Groups(4, 4),
    P.Groups(4, 4, along="both"),
    P.Groups(4, balanced=True, unit_rows=12),
    P.NofM(1, 4),
    P.BlockRowsColumns(8, 8),
)
CONV_PATTERNS: tuple[Pattern, ...] = (
    P.BlockPunched(4, 3),
    P.KernelPatterns(4, 4),
    P.KernelElements(2, "filter"),
    P.KernelElements(2, "layer"),
    P.Filters(),
    P.Channels(),
)
SPARSITY = 0.75


def smooth_weights(shape: tuple[int, ...], seed: int) -> npt.NDArray[np.float64]:
    """Random weights whose rows and columns differ in size, as those of trained layers do."""
    random = np.random.default_rng(seed)
    scale = np.exp(0.4 * random.standard_normal(shape[-1])) * np.exp(0.4 * random.standard_normal(shape[-2]))[:, None]
    return np.asarray(random.laplace(size=shape) * scale)


def draw(axes: Any, mask: npt.NDArray[np.bool_], title: str) -> None:
    """A mask ``[rows, segments, cols]``, cell by cell, with lines between kernel positions."""
    rows, segments, cols = mask.shape
    flat = mask.reshape(rows, -1)
    shades = matplotlib.colors.ListedColormap(["#EEF1F4", style.KEPT])
    axes.imshow(flat, cmap=shades, vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    axes.set_xticks(np.arange(-0.5, flat.shape[1]), minor=True)
    axes.set_yticks(np.arange(-0.5, rows), minor=True)
    axes.grid(which="minor", color="white", linewidth=0.7)
    axes.tick_params(which="both", length=0, labelbottom=False, labelleft=False)
    for place in range(1, segments):
        axes.axvline(place * cols - 0.5, color=style.ACCENT, linewidth=1.1)
    axes.set_title(title, loc="center", fontsize=8.5)
    axes.spines[:].set_visible(False)


def patterns_picture() -> Figure:
    """Every pattern at 75 % zeros."""
    dense, conv = smooth_weights(DENSE, 3), smooth_weights(CONV, 4)
    with matplotlib.rc_context(style.RC):
        figure = Figure(figsize=(10.5, 9.2), dpi=80, facecolor="white")
        FigureCanvasAgg(figure)
        figure.set_layout_engine("constrained", h_pad=0.06, w_pad=0.08)
        halves: Any = figure.subfigures(2, 1, height_ratios=(4.9, 4.3))
        upper, lower = halves
        upper.suptitle("A dense layer: 24 outputs (rows) x 24 inputs (columns)", x=0.01, ha="left", fontweight="bold")
        for axes, pattern in zip(upper.subplots(2, 5).flat, DENSE_PATTERNS, strict=True):
            draw(axes, to_matrix(tp.select(dense, pattern, _rate(pattern))), _title(pattern))
        lower.suptitle(
            "A convolution: 12 filters (rows) x 3x3 kernel positions (between lines) x 6 input channels",
            x=0.01,
            ha="left",
            fontweight="bold",
        )
        for axes, pattern in zip(lower.subplots(3, 2).flat, CONV_PATTERNS, strict=True):
            draw(axes, to_matrix(tp.select(conv, pattern, _rate(pattern))), _title(pattern))
    return figure


def _rate(pattern: Pattern) -> float | None:
    return None if pattern.kept_per_unit is not None else SPARSITY


def _title(pattern: Pattern) -> str:
    name, _, rest = str(pattern).partition(", ")
    return name if not rest else f"{name}\n{rest}"


def masks_picture() -> Figure:
    """`plot_masks` on a pruned convolution."""
    kernel = smooth_weights((3, 3, 16, 48), 5)
    return tp.plot_masks({"conv": kernel * tp.select(kernel, P.Groups(4), 0.8)})


def save(figure: Figure, path: Path, dpi: int) -> None:
    """Writes a PNG with a palette: the pictures have few colours, and small files keep a repository light."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=dpi, metadata={"Software": None})
    with Image.open(content) as image:
        image.convert("RGB").quantize(64, dither=Image.Dither.NONE).save(path, optimize=True)


def main() -> None:
    """Draws both pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    save(patterns_picture(), folder / "patterns.png", dpi=95)
    save(masks_picture(), folder / "masks.png", dpi=85)


if __name__ == "__main__":
    main()
