# SPDX-License-Identifier: Apache-2.0
"""Colours and type of the pictures. The hues are those of Okabe and Ito, which colour-blind people tell apart."""

from __future__ import annotations

from typing import Any

from tfprune.sparsity.patterns import (
    BlockPunched,
    BlockRowsColumns,
    Channels,
    Filters,
    Groups,
    KernelElements,
    KernelPatterns,
    NofM,
    Pattern,
)

INK = "#1A2733"
QUIET = "#6B7885"
LINE = "#D5DBE1"
KEPT = "#0B4F8A"
ACCENT = "#D55E00"
OTHER = "#8A939C"
#: Families of patterns: their name in the legend, and their colour.
FAMILIES: tuple[tuple[str, str, tuple[type[Pattern], ...]], ...] = (
    ("groups", "#0072B2", (Groups,)),
    ("blocks", "#009E73", (BlockPunched, BlockRowsColumns)),
    ("kernels", "#CC79A7", (KernelPatterns, KernelElements)),
    ("n of m", "#E69F00", (NofM,)),
    ("whole channels", "#56B4E9", (Filters, Channels)),
)

#: Settings while a picture is drawn and written. A fixed salt makes SVG files reproducible.
RC: Any = {
    "font.family": ["DejaVu Sans"],
    "font.size": 8.0,
    "axes.titlesize": 8.5,
    "axes.titleweight": "normal",
    "axes.titlelocation": "left",
    "axes.labelsize": 8.0,
    "axes.labelcolor": INK,
    "axes.edgecolor": LINE,
    "axes.linewidth": 0.8,
    "axes.titlecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.major.width": 0.8,
    "ytick.major.width": 0.8,
    "xtick.major.size": 3.0,
    "ytick.major.size": 3.0,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    "svg.hashsalt": "tfprune",
    "svg.fonttype": "path",
}


def family_colour(pattern: Pattern) -> str:
    """Colour of a pattern's family; grey for those of no family."""
    return next((colour for _, colour, kinds in FAMILIES if isinstance(pattern, kinds)), OTHER)
