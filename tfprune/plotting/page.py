# SPDX-License-Identifier: Apache-2.0
"""The report of a conversion or an inspection as one HTML page that loads nothing."""

from __future__ import annotations

import base64
import dataclasses
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfprune.errors import ModelError, OutputError
from tfprune.plotting.masks import matplotlib_classes
from tfprune.plotting.pictures import mask_png
from tfprune.plotting.weights import tflite_layers
from tfprune.tables import short_name

if TYPE_CHECKING:
    from tfprune.converter.report import ConversionReport, LayerReport

_TEMPLATE = "page.html.j2"


@dataclasses.dataclass(frozen=True)
class Card:
    """A layer on the page.

    Attributes:
        anchor: where the table links to.
        name: the telling part of the layer's name.
        layer: the verdict.
        cells: the table's cells: text, and what they are sorted by.
        facts: what the card says in a line each: name and value.
        picture: PNG of the mask as a data URI, or None.
    """

    anchor: str
    name: str
    layer: LayerReport
    cells: tuple[tuple[str, str], ...]
    facts: tuple[tuple[str, str], ...]
    picture: str | None


def render(report: ConversionReport, title: str) -> str:
    """Returns the page.

    Args:
        report: What `tfprune.convert` or `tfprune.inspect` found.
        title: What the page calls the model.

    Raises:
        OutputError: Jinja2 or matplotlib is missing.
        ModelError: The report does not hold the model.
    """
    from tfprune.converter.columns import COLUMNS

    templates = environment()
    pictures = _pictures(report)
    cards = []
    for number, layer in enumerate(report.layers):
        # The two matrices of an LSTM stand one after the other, here and there.
        waiting = pictures.get((layer.subgraph, layer.index))
        cards.append(_card(number, layer, waiting.pop(0) if waiting else None, report))
    page = templates.get_template(_TEMPLATE).render(
        title=title, report=report, columns=COLUMNS, cards=cards, figures=_figures(report)
    )
    return str(page)


def check_dependencies() -> None:
    """Refuses to begin what is to end in a page that cannot be drawn.

    Raises:
        OutputError: Jinja2 or matplotlib is missing.
    """
    environment()
    matplotlib_classes("HTML page")


def environment() -> Any:
    """Jinja2 with the templates of the pages.

    Raises:
        OutputError: Jinja2 is missing.
    """
    try:
        import jinja2
    except ImportError as error:
        raise OutputError(
            f"HTML page: it needs Jinja2. Received: {error}. Install it with `pip install tfprune[report]`."
        ) from error
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        # Names come from the model: all of them are escaped.
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _pictures(report: ConversionReport) -> dict[tuple[int, int], list[str | None]]:
    """Masks of the report's layers by subgraph and operator; None for one without zeros."""
    from tfprune.converter.graph import Graph

    if report.model is None:
        raise ModelError(
            "HTML page: the report must hold the model that it is about. Received: one without. Take the report of "
            "tfprune.convert or tfprune.inspect."
        )
    wanted = {(layer.subgraph, layer.index) for layer in report.layers}
    pictures: dict[tuple[int, int], list[str | None]] = defaultdict(list)
    for subgraph, index, layer in tflite_layers(Graph(report.model)):
        if (subgraph, index) in wanted:
            full = np.count_nonzero(layer.matrix) == layer.matrix.size
            pictures[subgraph, index].append(None if full else data_uri(mask_png(layer)))
    return pictures


def data_uri(png: bytes) -> str:
    """A picture as an address that holds it."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _card(number: int, layer: LayerReport, picture: str | None, report: ConversionReport) -> Card:
    from tfprune.converter.columns import COLUMNS

    cells = tuple((column.text(layer), _sort_key(column.value(layer))) for column in COLUMNS)
    name = short_name(layer.name) or "(no name)"
    return Card(f"layer-{number}", name, layer, cells, tuple(_facts(layer, report)), picture)


def _sort_key(value: float | str | None) -> str:
    return "" if value is None else str(value)


def _facts(layer: LayerReport, report: ConversionReport) -> list[tuple[str, str]]:
    from tfprune.converter.columns import amount, kilobytes, ratio, share

    facts = [("operator", layer.op), ("weights", "x".join(map(str, layer.shape)) or "-")]
    facts += [("precision", layer.precision or "-"), ("zeros", share(layer.sparsity))]
    facts += [("pattern", layer.pattern or "-")]
    # Of a layer that stays dense the numbers are those of the best encoding that was priced.
    before_after = "{} \N{RIGHTWARDS ARROW} {}".format
    if layer.considered is not None:
        facts.append(("stored as" if layer.encoding else "best encoding", layer.considered))
        facts.append(("fill", share(layer.fill)))
    sizes = kilobytes(layer.dense_bytes), kilobytes(layer.packed_bytes)
    facts.append(("kB", before_after(*sizes) if layer.packed_bytes is not None else sizes[0]))
    if layer.dense_macs is not None:
        macs = amount(layer.dense_macs), amount(layer.sparse_macs)
        facts.append(("multiply-adds", before_after(*macs) if layer.sparse_macs is not None else macs[0]))
    if layer.dense_time is not None:
        times = amount(layer.dense_time), amount(layer.sparse_time)
        text = before_after(*times) if layer.sparse_time is not None else times[0]
        facts.append((f"predicted {report.table_unit}", text))
        if layer.sparse_time:
            facts.append(("predicted speed-up", ratio(layer.dense_time / layer.sparse_time)))
    if layer.break_even is not None:
        facts.append(("pays from", f"{share(layer.break_even)} zeros"))
    return facts


def _figures(report: ConversionReport) -> list[tuple[str, str, str]]:
    """The large numbers on top: what, the number, and a remark."""
    from tfprune.converter.columns import amount

    sums = report.totals
    arrow = "{} \N{RIGHTWARDS ARROW} {}".format
    figures = []
    if report.output_bytes is not None:
        text = arrow(f"{report.input_bytes / 1e6:.2f}", f"{report.output_bytes / 1e6:.2f} MB")
        figures.append(("file", text, change(report.input_bytes, report.output_bytes)))
    text = arrow(f"{sums.dense_bytes / 1e6:.2f}", f"{sums.final_bytes / 1e6:.2f} MB")
    figures.append(("weights", text, change(sums.dense_bytes, sums.final_bytes)))
    text = arrow(amount(sums.dense_macs), amount(sums.final_macs))
    figures.append(("multiply-adds", text, change(sums.dense_macs, sums.final_macs)))
    if sums.final_time:
        text = arrow(amount(sums.dense_time), amount(sums.final_time))
        remark = f"{sums.dense_time / sums.final_time:.2f}x as fast: these layers alone"
        figures.append((f"predicted {report.table_unit}", text, remark))
    return figures


def change(before: float, after: float) -> str:
    """What is left of a number, as a share of what it was."""
    return f"{after / before:.0%} of dense" if before else "-"
