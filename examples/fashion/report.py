# SPDX-License-Identifier: Apache-2.0
"""Writes ``report.html``: one file, everything embedded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import numpy.typing as npt

from fashion import pictures
from fashion.results import LAYER_HEADERS, SUMMARY_HEADERS, Results

_TEMPLATE = "report.html.j2"


def write(path: Path, results: Results, kernel: npt.NDArray[Any], kernel_name: str) -> None:
    """Renders the report.

    Args:
        path: the file to write.
        results: what is shown.
        kernel: HWIO weights of the layer whose mask is drawn.
        kernel_name: that layer's name.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template(_TEMPLATE).render(
        results=results,
        summary_headers=SUMMARY_HEADERS,
        layer_headers=LAYER_HEADERS,
        machine=results.benchmark.machine,
        curves=pictures.training_curves(results.history),
        mask=pictures.mask(np.asarray(kernel), kernel_name),
        speedups=pictures.layer_speedups(results),
    )
    path.write_text(text, encoding="utf-8")
