# SPDX-License-Identifier: Apache-2.0
"""The report of a mapping as one HTML page that loads nothing."""

from __future__ import annotations

from collections.abc import Mapping as Dictionary
from typing import TYPE_CHECKING

from tfprune.mapping.budget import used_text
from tfprune.plotting.mapping_pictures import front_png, layers_png
from tfprune.plotting.page import change, data_uri, environment

if TYPE_CHECKING:
    from tfprune.mapping.mapping import MappedLayer, Mapping
    from tfprune.mapping.measured import MeasuredLatency

_TEMPLATE = "mapping.html.j2"
_HEADERS = (
    "layer",
    "kind",
    "shape",
    "choice",
    "zeros",
    "dense",
    "predicted",
    "measured",
    "speed-up",
    "bytes",
    "reason",
)
_LEFT = ("layer", "kind", "shape", "choice", "reason")


def render(mapping: Mapping, title: str, layer_times: Dictionary[str, float], measured: MeasuredLatency | None) -> str:
    """Returns the page.

    Args:
        mapping: the mapping.
        title: what the page calls the model.
        layer_times: measured times by layer, in the profile's unit.
        measured: measured times of the whole model, or None.

    Raises:
        OutputError: Jinja2 or matplotlib is missing.
    """
    template = environment().get_template(_TEMPLATE)
    page = template.render(
        title=title,
        mapping=mapping,
        figures=_figures(mapping, measured),
        headers=[(header, header in _LEFT) for header in _HEADERS if layer_times or header != "measured"],
        rows=[_row(mapping, layer, layer_times) for layer in mapping.layers],
        layers_picture=data_uri(layers_png(mapping, layer_times)),
        front_picture=data_uri(front_png(mapping)) if mapping.tried else None,
    )
    return str(page)


def _row(mapping: Mapping, layer: MappedLayer, layer_times: Dictionary[str, float]) -> list[tuple[str, str, bool]]:
    """A layer's cells: text, what they are sorted by, and whether they stand left."""
    from tfprune.converter.columns import amount

    found = mapping.prediction.layers[layer.name]
    speedup = found.dense_time / found.time if found.sparse and found.time else None
    time = layer_times.get(layer.name)
    cells: dict[str, tuple[str, float | str | None]] = {
        "layer": (layer.name, layer.name),
        "kind": (layer.kind, layer.kind),
        "shape": ("x".join(map(str, layer.shape)), layer.weights),
        "choice": (str(layer.choice.pattern or "dense"), str(layer.choice.pattern or "")),
        "zeros": (f"{found.sparsity:.1%}" if found.sparsity else "-", found.sparsity),
        "dense": (amount(found.dense_time), found.dense_time),
        "predicted": (amount(found.time), found.time),
        "measured": (amount(time), time),
        "speed-up": ("-" if speedup is None else f"{speedup:.2f}x", speedup),
        "bytes": (f"{found.stored_bytes:,}", found.stored_bytes),
        "reason": (layer.reason, layer.reason),
    }
    if not layer_times:
        del cells["measured"]
    return [(text, "" if key is None else str(key), name in _LEFT) for name, (text, key) in cells.items()]


def _figures(mapping: Mapping, measured: MeasuredLatency | None) -> list[tuple[str, str, str]]:
    """The large numbers on top: what, the number, and a remark."""
    from tfprune.converter.columns import amount

    before, after = mapping.dense, mapping.prediction
    arrow = "{} \N{RIGHTWARDS ARROW} {}".format
    figures = [
        (
            f"predicted {after.unit}",
            arrow(amount(before.time), amount(after.time)),
            f"{before.time / after.time:.2f}x as fast" if after.time else "-",
        ),
        (
            "weights",
            arrow(f"{before.stored_bytes / 1e6:.2f}", f"{after.stored_bytes / 1e6:.2f} MB"),
            change(before.stored_bytes, after.stored_bytes),
        ),
        ("multiply-adds", arrow(amount(before.macs), amount(after.macs)), change(before.macs, after.macs)),
        (
            f"budget {mapping.budget.kind} {mapping.budget.limit:g}",
            "met" if mapping.met else "not met",
            used_text(mapping.used),
        ),
    ]
    if measured is not None:
        times = arrow(f"{measured.dense_ms:.3g}", f"{measured.sparse_ms:.3g} ms")
        figures.insert(1, ("measured", times, f"{measured.speedup:.2f}x as fast"))
    return figures
