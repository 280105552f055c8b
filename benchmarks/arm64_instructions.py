# SPDX-License-Identifier: Apache-2.0
"""aarch64 instructions of one inference, sparse against dense, with the real aarch64 LiteRT under qemu.

    make test-aarch64 && python benchmarks/arm64_instructions.py --output benchmarks/results/arm64_instructions.json
    python benchmarks/arm64_instructions.py --part layers --network resnet50 --sparsity 0.75 --limit 3

``layers``: the layers of ``cpu_layers.py``. ``xnnpack``: a MobileNetV1 that XNNPACK's own sparse mode accepts
(``xnnpack_mobilenet.py``): dense, in that mode, and converted by tfprune from the same zeros. That the mode is on shows
in its count, which falls with the zeros; a file that breaks one of its rules costs what the dense one costs.
Instructions are not time: caches and memory are not modelled.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

import tfprune as tp
from layer_cases import ANY_SPEED, HEAVY, NETWORKS, PATTERNS, Case, cases, chosen_layers, network_layers
from measure import AARCH64, aarch64_instructions
from results_file import Rows, read_rows, write_rows

LAYER_SPARSITIES = (0.5, 0.75, 0.9)
#: XNNPACK's mode wants more than two thirds of zeros.
XNNPACK_SPARSITIES = (0.7, 0.8, 0.9)
#: Aligned groups of 4 are what suits XNNPACK's kernels best; with other zeros it runs single weights.
XNNPACK_PATTERNS = ("groups4-aligned", "groups4", "single")
IMAGE_SIZE = 224
Row = dict[str, Any]


class Guest:
    """Where aarch64 code runs."""

    def __init__(self, root: Path, library: Path) -> None:
        self._root, self._library = root.absolute(), library.absolute()

    def count(self, *models: bytes) -> tuple[float, ...]:
        """Instructions of one inference of each model; all must give the same answer."""
        return aarch64_instructions([models], self._root, self._library)[0]


def layer_row(case: Case, guest: Guest) -> Row:
    """Counts a layer, dense and sparse."""
    row: Row = {"part": "layers", "pattern": case.pattern, "asked": case.sparsity, "layer": str(case.layer)}
    sparse = case.sparse("arm64")
    if sparse is None:
        return {**row, "encoding": None}
    dense, own = guest.count(case.dense(), sparse.tflite)
    return {**row, "encoding": sparse.encoding, "dense": dense, "sparse": own, "ratio": own / dense}


def xnnpack_row(pattern: str, sparsity: float, size: int, seed: int, guest: Guest) -> Row:
    """Counts the network dense, in XNNPACK's sparse mode and with tfprune."""
    from xnnpack_mobilenet import mobilenet_v1, tflite

    model = mobilenet_v1(size, PATTERNS[pattern].at(sparsity), sparsity, seed)
    dense, densify = tflite(model, sparse_tensors=False), tflite(model, sparse_tensors=True)
    ours = tp.convert(dense, device="arm64", min_speedup=ANY_SPEED).tflite
    counts = guest.count(dense, densify, ours)
    return {
        "part": "xnnpack",
        "pattern": pattern,
        "asked": sparsity,
        "size": size,
        "dense": counts[0],
        "xnnpack": counts[1],
        "sparse": counts[2],
        "ratio": counts[2] / counts[0],
        "xnnpack by dense": counts[1] / counts[0],
        "against xnnpack": counts[2] / counts[1],
    }


def summary(rows: Rows) -> list[Row]:
    """Geometric means of the layers' ratios, by pattern and sparsity, each layer as often as all networks have it."""
    counts = {str(layer): sum(by_network.values()) for layer, by_network in network_layers(NETWORKS).items()}
    counted = [row for row in rows.values() if row["part"] == "layers" and row["encoding"] is not None]
    found = []
    for pattern, asked in dict.fromkeys((row["pattern"], row["asked"]) for row in counted):
        same = [row for row in counted if (row["pattern"], row["asked"]) == (pattern, asked)]
        weights = [counts[row["layer"]] for row in same]
        mean = float(np.exp(np.average(np.log([row["ratio"] for row in same]), weights=weights)))
        worst = max(row["ratio"] for row in same)
        found.append({"pattern": pattern, "sparsity": asked, "layers": len(same), "ratio": mean, "worst": worst})
    return found


def show(rows: Rows, means: list[Row], console: Console) -> None:
    """Prints layers, their means, and the comparison with XNNPACK's sparse mode."""
    layers = Table("pattern", "layer", "asked", "encoding", "dense", "sparse", "sparse / dense", title="aarch64")
    xnnpack = Table("pattern", "asked", "dense", "XNNPACK sparse", "tfprune", "XNNPACK / dense", "tfprune / XNNPACK")
    for row in rows.values():
        if row["part"] == "xnnpack":
            numbers = (f"{row[name] / 1e6:.1f} M" for name in ("dense", "xnnpack", "sparse"))
            ratios = (f"{row['xnnpack by dense']:.3f}", f"{row['against xnnpack']:.3f}")
            xnnpack.add_row(row["pattern"], f"{row['asked']:g}", *numbers, *ratios)
        elif row["encoding"] is None:
            layers.add_row(row["pattern"], row["layer"], f"{row['asked']:g}", "stays dense")
        else:
            numbers = (f"{row['dense'] / 1e6:.2f} M", f"{row['sparse'] / 1e6:.2f} M", f"{row['ratio']:.3f}")
            layers.add_row(row["pattern"], row["layer"], f"{row['asked']:g}", row["encoding"], *numbers)
    table = Table("pattern", "asked", "layers", "sparse / dense", "worst", title="Geometric means")
    for row in means:
        numbers = (f"{row['ratio']:.3f}", f"{row['worst']:.3f}")
        table.add_row(row["pattern"], f"{row['sparsity']:g}", str(row["layers"]), *numbers)
    for each in (layers, table, xnnpack):
        if each.row_count:
            console.print(each)


@click.command()
@click.option("--part", "parts", multiple=True, type=click.Choice(["layers", "xnnpack"]), help="Default: both.")
@click.option("--network", "networks", multiple=True, type=click.Choice(NETWORKS), help="Of the layers; default: all.")
@click.option("--sparsity", "sparsities", multiple=True, type=float, help="Default: 0.5 0.75 0.9; xnnpack 0.7 0.8 0.9.")
@click.option("--pattern", "patterns", multiple=True, type=click.Choice(list(PATTERNS)), help="Default: groups4, etc.")
@click.option("--min-macs", default=HEAVY, show_default=True, help="Smaller layers are left out.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many layers.")
@click.option("--size", default=IMAGE_SIZE, show_default=True, help="Pixels of the network's images.")
@click.option("--root", default=AARCH64 / "root", type=Path, help="A root of tools/aarch64/make_root.sh.")
@click.option("--library", default=AARCH64 / "libtfprune.so", type=Path, help="libtfprune for aarch64.")
@click.option("--seed", default=0, show_default=True)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Results as JSON. Counts that the same library has there already are kept.",
)
def main(
    parts: tuple[str, ...],
    networks: tuple[str, ...],
    sparsities: tuple[float, ...],
    patterns: tuple[str, ...],
    min_macs: int,
    limit: int | None,
    size: int,
    root: Path,
    library: Path,
    seed: int,
    output: Path | None,
) -> None:
    """Counts and prints tables."""
    guest = Guest(root, library)
    rows = read_rows(output, library) if output else {}
    work: dict[str, Any] = {}
    if "layers" in (parts or ("layers",)):
        layers = list(chosen_layers(network_layers(networks or NETWORKS), min_macs))[:limit]
        for case in cases(layers, patterns or ("groups4",), sparsities or LAYER_SPARSITIES, seed):
            work[case.key] = lambda case=case: layer_row(case, guest)
    if "xnnpack" in (parts or ("xnnpack",)):
        for pattern in patterns or XNNPACK_PATTERNS:
            for sparsity in sparsities or XNNPACK_SPARSITIES:
                key = f"xnnpack, {pattern}, {sparsity:g}, {size} px, seed {seed}"
                work[key] = lambda args=(pattern, sparsity): xnnpack_row(*args, size, seed, guest)
    missing = {key: run for key, run in work.items() if key not in rows}
    for key, run in track(missing.items(), "counting", total=len(missing)):
        rows[key] = run()
        if output:
            write_rows(output, rows, summary(rows), library)
    show(rows, summary(rows), Console(width=160))


if __name__ == "__main__":
    main()
