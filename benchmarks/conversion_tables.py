# SPDX-License-Identifier: Apache-2.0
"""Writes the results of ``conversion_models.py`` into the tables of ``docs/conversion.md``.

python benchmarks/conversion_tables.py benchmarks/results/conversion_models.json docs/conversion.md
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from conversion_models import PACKAGE_SPARSITIES, SPARSITIES
from real_models import PRECISIONS
from selection_tables import filled, percent, table

Row = dict[str, Any]


def applications(rows: Sequence[Row]) -> str:
    """A line a network: file ratios by precision and zeros, errors, time and memory."""
    found = {(row["model"], row["precision"], row["sparsity"]): row for row in rows if "package" not in row}
    lines = []
    for model in dict.fromkeys(model for model, *_ in found):
        by = {precision: [found.get((model, precision, each)) for each in SPARSITIES] for precision in PRECISIONS}
        known = [row for each in by.values() for row in each if row is not None and "failure" not in row]
        dense = by["float32"][0]
        size = "" if dense is None else f"{dense['bytes'] / 1e6:.0f}"
        lines.append((model, size, *(" / ".join(map(_ratio, by[each])) for each in PRECISIONS), *_costs(known)))
    zeros = " / ".join(f"{each:.0%}".rstrip("%") for each in SPARSITIES)
    headers = ("network", "MB", *(f"{each}, {zeros} %" for each in PRECISIONS), "sparse", "error", "s", "peak / file")
    return table(headers, lines)


def _ratio(row: Row | None) -> str:
    if row is None:
        return "-"
    return "**failed**" if "failure" in row else f"{row['sparse by dense']:.0%}".rstrip("%")


def _costs(rows: Sequence[Row]) -> tuple[str, str, str, str]:
    """Share of the prunable layers that became sparse, the largest error, seconds and peak by the file."""
    if not rows:
        return ("", "", "", "")
    sparse = sum(row["layers"].get("sparse", 0) for row in rows)
    layers = sum(count for row in rows for name, count in row["layers"].items() if name != "no_zeros")
    largest = max(row.get("relative error", 0) for row in rows)
    peak = max(row["peak MB"] * 2**20 / row["bytes"] for row in rows if row["precision"] == "float32")
    return (
        percent(sparse / layers),
        f"{largest:.0e}",
        f"{max(row['processor seconds'] for row in rows):.1f}",
        f"{peak:.1f}",
    )


def packages(rows: Sequence[Row]) -> str:
    """A line a file of a package: as it is, and with zeros put in."""
    found = {(row["package"], row["model"], row["sparsity"]): row for row in rows if "package" in row}
    lines = []
    for package, model in dict.fromkeys((package, model) for package, model, _ in found):
        both = [found.get((package, model, sparsity)) for sparsity in PACKAGE_SPARSITIES]
        cells = [part for row in both for part in _cells(row)]
        precisions = next((", ".join(row["precisions"]) for row in both if row and "failure" not in row), "")
        lines.append((f"`{model}`", package.partition("==")[0], precisions, *cells))
    headers = ("file", "package", "weights", "as it is", "outputs", "75 % zeros", "sparse layers", "outputs")
    # As it is, the layers follow from the file and are left out.
    return table(headers, [(*line[:4], line[5], *line[6:]) for line in lines])


def _cells(row: Row | None) -> tuple[str, str, str]:
    if row is None:
        return ("-", "", "")
    if "failure" in row:
        return ("**failed**", "", row["failure"])
    outputs = row["outputs"]
    if outputs == "equal":
        outputs = f"equal, {row['relative error']:.0e}" if row["relative error"] else "equal bits"
    layers = sum(row["layers"].values()) - row["layers"].get("no_zeros", 0)
    return (percent(row["sparse by dense"]), f"{row['layers'].get('sparse', 0)} of {layers}", outputs)


TABLES: dict[str, Callable[[Sequence[Row]], str]] = {"applications": applications, "packages": packages}


def tables(path: Path) -> dict[str, str]:
    """The tables by name."""
    rows = list(json.loads(path.read_text())["rows"].values())
    return {name: draw(rows) for name, draw in TABLES.items()}


if __name__ == "__main__":
    results_path, page = map(Path, sys.argv[1:])
    page.write_text(filled(page.read_text(), tables(results_path)))
