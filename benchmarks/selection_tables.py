# SPDX-License-Identifier: Apache-2.0
"""Writes the results of ``selection.py`` into the tables of ``docs/patterns.md``.

python benchmarks/selection_tables.py benchmarks/results/selection.json docs/patterns.md

A table stands below a line ``<!-- table: NAME -->``.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]
# A network goes by the name of its file.
_NETWORKS = {"trained": "ResNet-20, Fashion-MNIST"}


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def percent(sparsity: float) -> str:
    """50 %."""
    return f"{sparsity:.0%}".replace("%", " %")


def exactness(rows: Sequence[Row]) -> str:
    """How often the choice is the optimum."""
    return table(("cases", "compared", "equal"), [(r["cases"], f"{r['number']:,}", f"{r['equal']:,}") for r in rows])


def times(rows: Sequence[Row]) -> str:
    """Milliseconds of every algorithm, a column a sparsity."""
    sparsities = sorted({r["sparsity"] for r in rows})
    found = {(r["algorithm"], r["sparsity"]): r for r in rows}
    cells = [
        (name, *(_time(found.get((name, sparsity))) for sparsity in sparsities))
        for name in dict.fromkeys(r["algorithm"] for r in rows)
    ]
    return table(("algorithm", *(f"{percent(each)} zeros" for each in sparsities)), cells)


def _time(row: Row | None) -> str:
    return "" if row is None else f"{row['least ms']:,.1f} ms ({row['median time / exact']:g}x)"


def resnet50(rows: Sequence[Row]) -> str:
    """Seconds for all kernels of ResNet-50."""
    cells = [(str(r["threads"]), r["prices"], f"{r['least s']:.2f} s", f"{r['median s']:.2f} s") for r in rows]
    return table(("threads", "prices of the last choice", "least", "median"), cells)


def scaling(rows: Sequence[Row]) -> str:
    """Time a weight at several sizes."""
    cells = [(f"{r['weights']:,}", f"{r['least s']:.3f} s", f"{r['ns a weight']:g} ns") for r in rows]
    return table(("weights", "least time", "a weight"), cells)


def memory(rows: Sequence[Row]) -> str:
    """Peak memory in units of the kernel."""
    key = "peak / float32 weights"
    return table(("choice", "peak / the kernel's bytes"), [(r["selection"], f"{r[key]:.1f}") for r in rows])


def quality(rows: Sequence[Row]) -> str:
    """Kept magnitude of unaligned groups over aligned ones, a column a sparsity."""
    return _ratios(rows, "unaligned / aligned", lambda value: f"{value:.3f}")


def bed(rows: Sequence[Row]) -> str:
    """Kept magnitude of the optimum over block expansion and division."""
    return _ratios(rows, "unaligned / BED", lambda value: f"{value:.4f}")


def balance(rows: Sequence[Row]) -> str:
    """Kept magnitude of balanced groups over others of the same number."""
    return _ratios(rows, "balanced / not", lambda value: f"{value:.3f}")


def _ratios(rows: Sequence[Row], key: str, text: Callable[[float], str]) -> str:
    sparsities = sorted({r["sparsity"] for r in rows})
    found = {(r["network"], r["groups"], r["sparsity"]): r[key] for r in rows}
    cells = [
        (_network(names[0]), names[1], *(text(found[(*names, sparsity)]) for sparsity in sparsities))
        for names in dict.fromkeys((r["network"], r["groups"]) for r in rows)
    ]
    return table(("weights", "groups", *map(percent, sparsities)), cells)


def _network(name: str) -> str:
    return _NETWORKS.get(name, name)


def both(rows: Sequence[Row]) -> str:
    """Groups free on both axes: over the better reduction, and over the bound."""
    sparsities = sorted({r["sparsity"] for r in rows})
    names = ("network", "layer", "shape", "groups")
    found = {(*(r[name] for name in names), r["sparsity"]): r for r in rows}
    better, bound = "both / better of output and input", "both / bound"
    cells = []
    for key in dict.fromkeys(tuple(r[name] for name in names) for r in rows):
        listed = [found[(*key, sparsity)] for sparsity in sparsities]
        cells.append((_network(key[0]), key[2], key[3], *(f"{r[better]:.3f} ({r[bound]:.3f})" for r in listed)))
    return table(("weights", "layer", "groups", *map(percent, sparsities)), cells)


TABLES: dict[str, tuple[str, Callable[[Sequence[Row]], str]]] = {
    "exactness": ("exactness", exactness),
    "times": ("times", times),
    "resnet50": ("resnet50", resnet50),
    "scaling": ("scaling", scaling),
    "memory": ("memory", memory),
    "unaligned over aligned": ("quality", quality),
    "unaligned over BED": ("quality", bed),
    "balanced over not": ("quality", balance),
    "both": ("both", both),
}


def tables(path: Path) -> dict[str, str]:
    """The tables by name, as far as the results have them."""
    results = json.loads(path.read_text())["results"]
    return {name: draw(results[part]) for name, (part, draw) in TABLES.items() if results.get(part)}


def filled(document: str, found: dict[str, str]) -> str:
    """A document with the tables in their places."""
    for name, text in found.items():
        marker = f"<!-- table: {name} -->\n\n"
        if document.count(marker) != 1:
            sys.exit(f"The document must have one line `{marker.strip()}`, got {document.count(marker)}.")
        before, after = document.split(marker)
        rest = itertools.dropwhile(lambda line: line.startswith("|"), after.splitlines(keepends=True))
        document = f"{before}{marker}{text}\n{''.join(rest)}"
    return document


if __name__ == "__main__":
    results_path, page = map(Path, sys.argv[1:])
    page.write_text(filled(page.read_text(), tables(results_path)))
