# SPDX-License-Identifier: Apache-2.0
"""Options that several commands have, with one name, default and text each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

DATA_OPTION = "--representative-data"

_VERDICTS = (
    click.option(
        "--precision", default="float32", show_default=True, help="Of a Keras model: float32, float16, int8 or dynamic."
    ),
    click.option(
        DATA_OPTION,
        type=click.Path(path_type=Path),
        help="For --precision int8: a .npy file with examples, or .npz with an array for each input.",
    ),
    click.option("--device", default="arm64", show_default=True, help="Cost table that decides which layers gain."),
    click.option(
        "--min-speedup", type=float, default=1.05, show_default=True, help="A layer predicted to gain less stays dense."
    ),
)
_BACKENDS = (
    click.option("--backend", default="cpu", show_default=True, help="What runs the models: cpu, gpu or auto."),
    click.option(
        "--precision",
        default="f32",
        show_default=True,
        help="How a GPU stores weights and tensors: f32 or f16; on a CPU, the arithmetic of float layers.",
    ),
)
_REPORTS = (
    click.option(
        "--html", type=click.Path(path_type=str), help="Also write one HTML page with a picture of each layer's mask."
    ),
    click.option("--wide", is_flag=True, help="Show every column."),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of a table."),
)


def verdict_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``precision``, ``representative_data``, ``device`` and ``min_speedup``: what a layer's verdict depends on."""
    return _with(command, _VERDICTS)


def backend_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``backend`` and ``precision``: what runs a model."""
    return _with(command, _BACKENDS)


def report_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``html``, ``wide`` and ``as_json``: how a report is shown."""
    return _with(command, _REPORTS)


def _with(
    command: Callable[..., Any], options: tuple[Callable[[Callable[..., Any]], Callable[..., Any]], ...]
) -> Callable[..., Any]:
    for option in reversed(options):
        command = option(command)
    return command
