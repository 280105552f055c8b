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

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

import tfprune as tp
from arguments import COUNT, SIZE, SPARSITY
from layer_cases import (
    HEAVY,
    NETWORKS,
    PATTERNS,
    PRECISIONS,
    RTOL,
    Case,
    cases,
    chosen_layers,
    network_layers,
)
from results_file import Rows, read_rows, write_rows
from tfprune.mapping.profiling.instructions import AARCH64, aarch64_instructions

LAYER_SPARSITIES = (0.5, 0.75, 0.9)
#: XNNPACK's mode wants more than two thirds of zeros.
XNNPACK_SPARSITIES = (0.7, 0.8, 0.9)
#: Aligned groups of 4 are what suits XNNPACK's kernels best; with other zeros it runs single weights.
XNNPACK_PATTERNS = ("groups4-aligned", "groups4", "single")
IMAGE_SIZE = 224
#: What rows of one mean have in common.
SETTING = ("pattern", "precision", "asked")
#: Layers counted by one start of the emulator.
CHUNK = 16
Row = dict[str, Any]


class Guest:
    """Where aarch64 code runs."""

    def __init__(self, root: Path, library: Path) -> None:
        self._root, self._library = root.absolute(), library.absolute()

    def count(self, groups: Sequence[Sequence[bytes]], rtol: float) -> list[tuple[float, ...]]:
        """Instructions of one inference of the models of each group; models of a group must give the same answer."""
        return aarch64_instructions(groups, self._root, self._library, rtol=rtol)


def layer_rows(wanted: Sequence[Case], guest: Guest, device: str = "arm64") -> list[Row]:
    """Counts layers, dense and sparse in the encodings that the table of `device` chooses."""
    rows: list[Row] = []
    pairs: list[tuple[bytes, bytes]] = []
    for case in wanted:
        row = {"part": "layers", "pattern": case.pattern, "precision": case.precision, "asked": case.sparsity}
        row["layer"] = str(case.layer)
        sparse = case.sparse(device)
        rows.append({**row, "encoding": None if sparse is None else sparse.encoding})
        if sparse is not None:
            pairs.append((case.dense(), sparse.tflite))
    counted = (row for row in rows if row["encoding"] is not None)
    for row, (dense, own) in zip(
        counted, guest.count(pairs, max(RTOL[case.precision] for case in wanted)), strict=True
    ):
        row.update(dense=dense, sparse=own, ratio=own / dense)
    return rows


def xnnpack_row(pattern: str, sparsity: float, size: int, seed: int, guest: Guest) -> Row:
    """Counts the network dense, in XNNPACK's sparse mode and with tfprune."""
    from xnnpack_mobilenet import mobilenet_v1, tflite

    model = mobilenet_v1(size, PATTERNS[pattern].at(sparsity), sparsity, seed)
    dense, densify = tflite(model, sparse_tensors=False), tflite(model, sparse_tensors=True)
    ours = tp.convert(dense, device="arm64").tflite
    counts = guest.count([(dense, densify, ours)], RTOL["float32"])[0]
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
    for setting in dict.fromkeys(tuple(row[name] for name in SETTING) for row in counted):
        same = [row for row in counted if tuple(row[name] for name in SETTING) == setting]
        weights = [counts[row["layer"]] for row in same]
        mean = float(np.exp(np.average(np.log([row["ratio"] for row in same]), weights=weights)))
        worst = max(row["ratio"] for row in same)
        named = dict(zip(SETTING, setting, strict=True))
        found.append({**named, "layers": len(same), "ratio": mean, "worst": worst})
    return found


def count_layers(missing: Sequence[Case], guest: Guest, device: str) -> Iterator[dict[str, Row]]:
    """Counts layers, as many at a time as share one start of the emulator."""
    chunks = [missing[first : first + CHUNK] for first in range(0, len(missing), CHUNK)]
    for chunk in track(chunks, "layers"):
        yield dict(zip((case.key for case in chunk), layer_rows(chunk, guest, device), strict=True))


def show(rows: Rows, means: list[Row], console: Console, machine: str = "aarch64") -> None:
    """Prints layers, their means, and the comparison with XNNPACK's sparse mode."""
    layers = Table(
        "pattern", "precision", "layer", "asked", "encoding", "dense", "sparse", "sparse / dense", title=machine
    )
    xnnpack = Table("pattern", "asked", "dense", "XNNPACK sparse", "tfprune", "XNNPACK / dense", "tfprune / XNNPACK")
    for row in rows.values():
        if row["part"] == "xnnpack":
            numbers = (f"{row[name] / 1e6:.1f} M" for name in ("dense", "xnnpack", "sparse"))
            ratios = (f"{row['xnnpack by dense']:.3f}", f"{row['against xnnpack']:.3f}")
            xnnpack.add_row(row["pattern"], f"{row['asked']:g}", *numbers, *ratios)
        elif row["encoding"] is None:
            layers.add_row(row["pattern"], row["precision"], row["layer"], f"{row['asked']:g}", "stays dense")
        else:
            counts = (f"{row['dense'] / 1e6:.2f} M", f"{row['sparse'] / 1e6:.2f} M", f"{row['ratio']:.3f}")
            layers.add_row(
                row["pattern"], row["precision"], row["layer"], f"{row['asked']:g}", row["encoding"], *counts
            )
    table = Table(*SETTING, "layers", "sparse / dense", "worst", title="Geometric means")
    for row in means:
        ratios = (f"{row['ratio']:.3f}", f"{row['worst']:.3f}")
        table.add_row(*(str(row[name]) for name in SETTING), str(row["layers"]), *ratios)
    for each in (layers, table, xnnpack):
        if each.row_count:
            console.print(each)


@click.command()
@click.option("--part", "parts", multiple=True, type=click.Choice(["layers", "xnnpack"]), help="Default: both.")
@click.option("--network", "networks", multiple=True, type=click.Choice(NETWORKS), help="Of the layers; default: all.")
@click.option(
    "--sparsity", "sparsities", multiple=True, type=SPARSITY, help="Default: 0.5 0.75 0.9; xnnpack 0.7 0.8 0.9."
)
@click.option("--pattern", "patterns", multiple=True, type=click.Choice(list(PATTERNS)), help="Default: groups4, etc.")
@click.option("--precision", type=click.Choice(PRECISIONS), default="float32", show_default=True, help="Of the layers.")
@click.option("--min-macs", type=COUNT, default=HEAVY, show_default=True, help="Smaller layers are left out.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many layers.")
@click.option("--size", type=SIZE, default=IMAGE_SIZE, show_default=True, help="Pixels of the network's images.")
@click.option("--root", default=AARCH64 / "root", type=Path, help="A root of tools/aarch64/make_root.sh.")
@click.option("--library", default=AARCH64 / "libtfprune.so", type=Path, help="libtfprune for aarch64.")
@click.option("--seed", type=COUNT, default=0, show_default=True)
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
    precision: str,
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

    def keep(found: dict[str, Row]) -> None:
        rows.update(found)
        if output:
            write_rows(output, rows, summary(rows), library)

    if not parts or "layers" in parts:
        layers = list(chosen_layers(network_layers(networks or NETWORKS), min_macs))[:limit]
        wanted = cases(layers, patterns or ("groups4",), sparsities or LAYER_SPARSITIES, seed, precision)
        missing = [case for case in wanted if case.key not in rows]
        for found in count_layers(missing, guest, "arm64"):
            keep(found)
    if not parts or "xnnpack" in parts:
        asked = [(name, zeros) for name in patterns or XNNPACK_PATTERNS for zeros in sparsities or XNNPACK_SPARSITIES]
        for pattern, sparsity in track(asked, "XNNPACK"):
            key = f"xnnpack, {pattern}, {sparsity:g}, {size} px, seed {seed}"
            if key not in rows:
                keep({key: xnnpack_row(pattern, sparsity, size, seed, guest)})
    show(rows, summary(rows), Console(width=160))


if __name__ == "__main__":
    main()
