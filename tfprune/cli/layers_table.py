# SPDX-License-Identifier: Apache-2.0
"""The layers of a conversion or an inspection as one table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tfprune.cli.console import print_reasons, print_table

if TYPE_CHECKING:
    # The converter loads LiteRT, which `--help` has no use for.
    from tfprune.converter.report import ConversionReport


def print_layers(report: ConversionReport, *, wide: bool = False) -> None:
    """Prints a row a layer, then the reasons why layers stay dense, then the totals.

    Args:
        report: what to print.
        wide: whether every column is shown, and not only those that fit 100 characters.
    """
    from tfprune.converter.columns import COLUMNS, NARROW, rows_of

    columns = COLUMNS if wide else NARROW
    if report.layers:
        # The layer's name first: it is what may be cut short.
        left = sorted(
            (place for place, column in enumerate(columns) if column.left),
            key=lambda place: columns[place].header != "layer",
        )
        print_table([column.header for column in columns], rows_of(report.layers, columns), text_columns=left)
    print_reasons((layer.place, layer.reason) for layer in report.layers)
    click.echo(_totals(report))


def _totals(report: ConversionReport) -> str:
    parts = [report.outcome()]
    if report.output_bytes is not None:
        parts.append(f"{report.input_bytes:,} bytes dense, {report.output_bytes:,} bytes written")
    if report.predicted:
        parts.append(
            f"predicted by cost table `{report.table}` ({report.table_unit}), least speed-up {report.min_speedup:g}"
        )
    return "; ".join(parts) + ("" if report.note is None else f"\n{report.note}")
