# SPDX-License-Identifier: Apache-2.0
"""One small picture of a layer's mask, for pages with many of them."""

from __future__ import annotations

import io

from tfprune.plotting import panels, style
from tfprune.plotting.masks import matplotlib_classes
from tfprune.plotting.weights import LayerWeights

_WIDTH, _HEIGHT, _DPI = 10.0, 2.7, 110


def mask_png(layer: LayerWeights) -> bytes:
    """Draws the whole mask and, weight by weight, its first rows and columns.

    A mask of more than 256 rows or 640 columns is averaged: its pixels show how many of their weights stay.

    Args:
        layer: The weights.

    Returns:
        A PNG file. Equal weights give equal bytes.

    Raises:
        OutputError: matplotlib is missing.
    """
    figure_class, canvas_class, context = matplotlib_classes("pictures of masks")
    with context(style.RC):
        figure = figure_class(figsize=(_WIDTH, _HEIGHT), dpi=_DPI, facecolor="white")
        canvas_class(figure)
        # Fixed places: laying out costs more than drawing.
        mask, corner = figure.subplots(1, 2, width_ratios=(3.0, 1.7))
        figure.subplots_adjust(left=0.055, right=0.99, top=0.9, bottom=0.165, wspace=0.13)
        panels.draw_mask(mask, figure, layer)
        panels.draw_corner(corner, layer)
        content = io.BytesIO()
        figure.savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()
