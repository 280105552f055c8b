# SPDX-License-Identifier: Apache-2.0
"""The layers of a conversion or an inspection as one table."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import click

from tfprune.cli.console import print_table

if TYPE_CHECKING:
    # The converter loads LiteRT, which `--help` has no use for.
    from tfprune.converter.report import ConversionReport, LayerReport

_HEADERS = ("#", "layer", "weights", "zeros", "pattern", "verdict", "kB", "packed", "speed-up")
_LAYER, _PATTERN, _VERDICT = 1, 4, 5
_NAME_WIDTH = 40
# Names of three or more parts begin with the model's.
_MODEL_LAYER_OP = 3


def print_layers(report: ConversionReport) -> None:
    """Prints a row a layer, then the reasons why layers stay dense, then the totals."""
    if report.layers:
        print_table(_HEADERS, [_row(layer) for layer in report.layers], text_columns=(_LAYER, _PATTERN, _VERDICT))
    reasons: dict[str, list[str]] = defaultdict(list)
    for layer in report.layers:
        if layer.reason:
            reasons[layer.reason].append(str(layer.index))
    for reason, places in reasons.items():
        click.echo(f"# {', '.join(places)}: {reason}")
    click.echo(_totals(report))


def _row(layer: LayerReport) -> list[str]:
    sparse = layer.verdict == "sparse"
    return [
        f"{layer.subgraph}:{layer.index}" if layer.subgraph else str(layer.index),
        _short(layer.name),
        "x".join(map(str, layer.shape)),
        "-" if layer.sparsity is None else f"{layer.sparsity:.1%}",
        layer.pattern or "-",
        f"as {layer.encoding}" if sparse and layer.encoding != layer.pattern else layer.verdict,
        f"{layer.dense_bytes / 1000:.1f}",
        "-" if layer.packed_bytes is None else f"{layer.packed_bytes / 1000:.1f}",
        "-" if layer.predicted_speedup is None else f"{layer.predicted_speedup:.2f}x",
    ]


def _short(name: str) -> str:
    """The telling part of a name that TensorFlow joined from all ops it fused: ``net/conv/x;net/bn/y`` is ``bn/y``."""
    parts = name.rsplit(";", 1)[-1].split("/")
    short = "/".join(parts[1:] if len(parts) > _MODEL_LAYER_OP - 1 else parts)
    return short if len(short) <= _NAME_WIDTH else f"{short[: _NAME_WIDTH - 1]}…"


def _totals(report: ConversionReport) -> str:
    parts = [report.outcome()]
    if report.output_bytes is not None:
        parts.append(f"{report.input_bytes:,} bytes dense, {report.output_bytes:,} bytes written")
    parts.append(f"predicted by cost table `{report.table}`, least speed-up {report.min_speedup:g}")
    return "; ".join(parts) + ("" if report.note is None else f"\n{report.note}")
