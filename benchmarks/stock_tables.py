# SPDX-License-Identifier: Apache-2.0
"""Writes the results of ``stock_runtime.py`` into the tables of ``docs/conversion.md``.

python benchmarks/stock_tables.py benchmarks/results docs/conversion.md

A table stands below a line ``<!-- table: NAME -->``.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from selection_tables import filled, table

Row = dict[str, Any]
Rows = dict[str, Row]
AARCH64 = " aarch64"
_NETWORKS = {
    "mobilenet_v1": "MobileNetV1",
    "mobilenet_v2": "MobileNetV2",
    "resnet50": "ResNet-50",
    "mlp": "MLP 1024-2048-2048-1000",
}


class DenseLayer(NamedTuple):
    """A measured fully-connected layer; ``speedup`` is dense by sparse."""

    out_channels: int
    features: int
    batch: int
    sparsity: float
    speedup: float


def dense_layers(rows: Rows, aarch64: bool) -> Iterator[DenseLayer]:
    """The layers of ``stock_dense_layers.json``, in time or in instructions."""
    for key, row in rows.items():
        found = re.fullmatch(r"(\d+)x(\d+) batch (\d+) sparsity ([\d.]+)( aarch64)?", key)
        assert found is not None, key
        if bool(found[5]) == aarch64:
            speedup = 1 / row["instructions" if aarch64 else "time"]
            yield DenseLayer(int(found[1]), int(found[2]), int(found[3]), float(found[4]), speedup)


def _dense_table(rows: Rows, aarch64: bool) -> str:
    """A line a layer and number of input rows, a column a sparsity."""
    layers = list(dense_layers(rows, aarch64))
    sparsities = sorted({layer.sparsity for layer in layers})
    cells: dict[tuple[int, int, int], dict[float, str]] = {}
    for out_channels, features, batch, sparsity, speedup in layers:
        cells.setdefault((out_channels, features, batch), {})[sparsity] = f"{speedup:.2f}"
    lines = [
        (f"{out_channels}x{features}", str(batch), *(found.get(sparsity, "") for sparsity in sparsities))
        for (out_channels, features, batch), found in sorted(cells.items())
    ]
    names = (f"{100 * sparsity:g} %" for sparsity in sparsities)
    return table(("layer", "rows of input", *names), lines)


def _network_table(rows: Rows) -> str:
    """A line a network and what is zero in it; without what was measured of none."""
    shares = {"macs": "multiply-adds", "bytes": "bytes", "instructions": "instructions", "time": "time"}
    measured = [name for name in shares if any(name in row for row in rows.values())]
    lines = []
    for key in dict.fromkeys(key.removesuffix(AARCH64) for key in rows):
        both = {**rows.get(key, {}), **rows.get(key + AARCH64, {})}
        found = re.fullmatch(r"(\w+) \d+ (.+) seed \d+", key)
        assert found is not None, key
        cells = (f"{both[name]:.2f}" if name in both else "" for name in measured)
        lines.append((_NETWORKS[found[1]], found[2], f"{both['smaller']} of {both['layers']}", *cells))
    return table(("network", "zero", "layers smaller", *(shares[name] for name in measured)), lines)


def _timed(rows: Rows) -> str:
    return _dense_table(rows, aarch64=False)


def _counted(rows: Rows) -> str:
    return _dense_table(rows, aarch64=True)


#: Results file and maker of each table.
TABLES: dict[str, tuple[str, Callable[[Rows], str]]] = {
    "fully-connected, time": ("stock_dense_layers", _timed),
    "fully-connected, instructions": ("stock_dense_layers", _counted),
    "stock networks": ("stock_networks", _network_table),
}


def tables(folder: Path) -> dict[str, str]:
    """The tables by name."""
    return {
        name: draw(json.loads((folder / f"{file}.json").read_text())["rows"]) for name, (file, draw) in TABLES.items()
    }


if __name__ == "__main__":
    results, page = map(Path, sys.argv[1:])
    page.write_text(filled(page.read_text(), tables(results)))
