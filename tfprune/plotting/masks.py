# SPDX-License-Identifier: Apache-2.0
"""`plot_masks`: one figure that shows what pruning did to the layers of a model."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfprune.errors import OutputError, PatternError
from tfprune.files import check_target, write_file
from tfprune.plotting import panels, style
from tfprune.plotting.comparison import compare, described_by
from tfprune.plotting.picture_files import picture_bytes, picture_format
from tfprune.plotting.weights import LayerWeights, choose_layers, read_layers
from tfprune.sparsity.patterns import Pattern
from tfprune.sparsity.patterns.base import check_sparsity

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_LAYERS = 3
_WIDTH, _HEIGHT, _FOOT = 16.0, 3.7, 0.35
_DPI = 110
# At which sparsity patterns are compared where a layer has no zeros yet.
_DENSE_TARGET = 0.75


def plot_masks(
    model: Any,
    layers: str | Sequence[str] | None = None,
    *,
    output: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    sparsity: float | None = None,
    patterns: Pattern | Sequence[Pattern] | None = None,
    custom_objects: Mapping[str, Any] | None = None,
) -> Figure:
    """Draws masks of layers, how much magnitude each pattern would keep there, and how groups spread over bands.

    A row a layer: the mask ``[output channels, (kernel position, input channel)]`` as a whole and its first rows and
    columns weight by weight; the magnitude that every pattern keeps when `tfprune.select` chooses at the layer's
    sparsity, in parts of what as many single weights keep; and a histogram of the groups in each band of rows, for the
    pattern that describes the layer's zeros with the smallest index (its name is bold). On a pruned layer a pattern at
    100 % is one that its zeros have: removed weights count as 0 there, so the comparison says what the layer has become
    and favours the pattern that was used. To find out which pattern suits a layer, draw it before it is pruned.

    Needs matplotlib: ``pip install tfprune[report]``.

    Args:
        model: A Keras model, a ``.keras`` file, a SavedModel folder, a ``.tflite`` file (one that `convert` wrote,
            too), the bytes of one, what `convert` returned, or a mapping from names to kernels (dense, conv1d or
            conv2d by rank).
        layers: Names of layers, or patterns with ``*`` and ``?``. None (default): the three largest layers with zeros,
            or of all where none has any.
        output: Where to write the picture, a ``.png``, ``.svg`` or ``.pdf`` file. None (default): nothing is written.
        overwrite: Whether an existing file may be replaced. Default False.
        sparsity: Sparsity at which patterns are compared, in (0, 1). None (default): that of each layer; 0.75 where it
            has no zeros.
        patterns: What to compare, one pattern or several. None (default): a list of everyday ones.
        custom_objects: Classes and functions by name that a ``.keras`` file needs.

    Returns:
        A `matplotlib.figure.Figure` of its own: `pyplot` does not know it, so nothing has to be closed. Notebooks show
        it where it ends a cell.

    Raises:
        OutputError: matplotlib is missing, or `output` must not or cannot be written.
        ModelError: Not a model, or a layer that it does not have.
        PatternError: A sparsity outside (0, 1), or `patterns` that are none.

    Example:
        >>> import numpy as np
        >>> from tfprune import patterns, select
        >>> kernel = np.random.default_rng(0).standard_normal((3, 3, 16, 32))
        >>> mask = select(kernel, patterns.Groups(rows=4), 0.8)
        >>> figure = plot_masks({"conv": kernel * mask}, patterns=[patterns.Unstructured(), patterns.Groups(rows=4)])
        >>> [axes.get_title(loc="left") for axes in figure.axes[-1:]]
        ['Groups in bands of 4 rows']
    """
    figure_class, canvas_class, context = matplotlib_classes("plot_masks")
    suffix = None if output is None else picture_format(output, "plot_masks")
    target = None if sparsity is None else _checked_target(sparsity)
    compared = None if patterns is None else _checked_patterns(patterns)
    source = _source(model)
    if output is not None:
        # Before the work, so that a refused output costs no time.
        check_target(output, overwrite=overwrite, source=source)
    chosen = choose_layers(read_layers(model, custom_objects), layers, _MOST_LAYERS)
    with context(style.RC):
        height = _HEIGHT * len(chosen) + _FOOT
        figure: Figure = figure_class(figsize=(_WIDTH, height), dpi=_DPI, facecolor="white")
        # Some room above the headline of the first layer.
        figure.set_layout_engine("constrained", h_pad=0.07)
        canvas_class(figure)
        parts = figure.subfigures(len(chosen) + 1, 1, height_ratios=[_HEIGHT] * len(chosen) + [_FOOT], squeeze=False)
        for part, layer in zip(parts[:-1, 0], chosen, strict=True):
            _draw_layer(part, layer, target, compared)
        _draw_legend(parts[-1, 0])
        if output is not None and suffix is not None:
            write_file(output, picture_bytes(figure, suffix), overwrite=overwrite, source=source)
    return figure


def _draw_layer(part: Any, layer: LayerWeights, target: float | None, patterns: Sequence[Pattern] | None) -> None:
    """One row: four panels and a headline."""
    found = layer.density
    part.suptitle(
        f"{layer.short_name}   {layer.size_text}   {found.sparsity:.1%} of {found.total:,} weights are zero",
        x=0.008,
        ha="left",
        fontsize=10.5,
        fontweight="bold",
        color=style.INK,
    )
    mask, corner, bars, bands = part.subplots(1, 4, width_ratios=(3.7, 2.4, 2.5, 1.7))
    panels.draw_mask(mask, part, layer)
    panels.draw_corner(corner, layer)
    if not found.kept:
        panels.draw_text(bars, "All weights are zero: there is nothing to compare.")
        panels.draw_text(bands, "")
        return
    at = target if target is not None else found.sparsity or _DENSE_TARGET
    candidates = compare(layer.matrix, at, patterns)
    described = described_by(candidates) if target is None else None
    if not candidates:
        panels.draw_text(bars, f"None of the patterns can have {at:.1%} zeros here.")
    else:
        panels.draw_comparison(bars, candidates, at, described, pruned=found.sparsity > 0)
    if described is None:
        panels.draw_text(bands, "No pattern that is compared\nhas these zeros." if found.sparsity else "No zeros yet.")
    else:
        panels.draw_bands(bands, described.found.bands, str(described.pattern))


def _draw_legend(part: Any) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(color=style.OTHER, label="single weights")]
    handles += [Patch(color=colour, label=name) for name, colour, _ in style.FAMILIES]
    part.legend(handles=handles, loc="center right", ncols=len(handles), handlelength=1.1, columnspacing=1.4)


def matplotlib_classes(subject: str) -> tuple[Any, Any, Any]:
    """The classes that draw without any state outside the figure."""
    try:
        from matplotlib import rc_context
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        from tfprune.plotting.notebook_figure import NotebookFigure
    except ImportError as error:
        raise OutputError(
            f"{subject}: drawing needs matplotlib. Received: {error}. Install it with `pip install tfprune[report]`."
        ) from error
    return NotebookFigure, FigureCanvasAgg, rc_context


def _source(model: Any) -> Path | None:
    """The file that a model comes from, which must not be overwritten by its picture."""
    from tfprune.converter import Converted

    if isinstance(model, Converted):
        return model.source
    return Path(os.fsdecode(model)) if isinstance(model, (str, os.PathLike)) else None


def _checked_target(sparsity: float) -> float:
    if check_sparsity(sparsity) == 0:
        raise PatternError(
            f"plot_masks: `sparsity` must be above 0, where patterns differ. Received: sparsity={sparsity!r}."
        )
    return float(sparsity)


def _checked_patterns(patterns: Pattern | Sequence[Pattern]) -> list[Pattern]:
    listed: list[Any] = list(patterns) if isinstance(patterns, (list, tuple)) else [patterns]
    if not listed or not all(isinstance(each, Pattern) for each in listed):
        raise PatternError(
            "plot_masks: `patterns` must be a pattern such as Groups(rows=4), a list of at least one, or None. "
            f"Received: patterns={patterns!r}."
        )
    return listed
