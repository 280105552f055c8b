# SPDX-License-Identifier: Apache-2.0
"""Whole networks on this machine: sparse against dense on stock LiteRT, one and two threads.

    python benchmarks/cpu_models.py --output benchmarks/results/cpu_models.json
    python benchmarks/cpu_models.py --network mobilenet_v2 --sparsity 0.9

Networks come from ``pruned_networks.py``: every convolution but the first pruned with unaligned groups of 4 output
channels, depthwise and dense layers not. All files of a network run in turns, with a second copy of the dense one,
whose ratio to the first is the noise of that very run. "Others" are the processors that other processes kept busy
meanwhile. Their memory: ``peak_memory.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.table import Table

import tfprune as tp
from arguments import SPARSITY
from pruned_networks import CACHE, IMAGE_SIZE, NETWORKS, PrunedNetwork
from results_file import facts, read_rows, write_rows
from tfprune.mapping.profiling.timing import Model, interleaved, relative_error
from tfprune.runtime.library import load_library

SPARSITIES = (0.75, 0.9)
THREADS = (1, 2)
RTOL = 1e-4
Row = dict[str, Any]


def measure(network: PrunedNetwork, threads: tuple[int, ...], seconds: float, device: str, cache: Path) -> Row:
    """Converts, checks and times one network."""
    dense_path = network.dense_tflite(cache)
    converted = tp.convert(dense_path, device=device)
    report = converted.report.to_dict()["layers"]
    row: Row = {
        "network": network.name,
        "sparsity": network.sparsity,
        "sparse layers": sum(layer["verdict"] == "sparse" for layer in report),
        "dense layers": sum(layer["verdict"] != "sparse" for layer in report),
        "dense bytes": len(converted.dense),
        "sparse bytes": len(converted.tflite),
    }
    if not row["sparse layers"]:
        raise SystemExit(f"{network}: no layer was converted, so nothing can be compared")
    row |= timed(converted.dense, converted.tflite, threads, seconds)
    return row


def timed(dense: bytes, sparse: bytes, threads: tuple[int, ...], seconds: float) -> Row:
    """Compares answers and times one number of threads after the other.

    They do not share rounds: a second core that slept through runs of one thread slows down the run that follows.
    """
    found: Row = {"threads": {}}
    for count in threads:
        models = [Model(dense, count), Model(dense, count), Model(sparse, count)]
        error = relative_error(models[0].answer(), models[2].answer())
        if error > RTOL:
            raise SystemExit(f"{count} threads: the answers differ by {error:.1e} of the largest value")
        rounds = interleaved(models, seconds / len(threads), count)
        first, twin, own = rounds.seconds.T
        both = np.sqrt(first * twin)
        found["threads"][str(count)] = {
            "rounds": len(own),
            "others": rounds.others,
            "error": error,
            "kernel": load_library().last_kernel,
            "dense_ms": float(np.median(both) * 1e3),
            "sparse_ms": float(np.median(own) * 1e3),
            "speedup": float(np.median(both / own)),
            "speedup_quartiles": [float(value) for value in np.quantile(both / own, (0.25, 0.75))],
            "dense_by_twin": float(np.median(first / twin)),
        }
    alone = found["threads"][str(threads[0])]
    for row in found["threads"].values():
        row["dense_scaling"] = alone["dense_ms"] / row["dense_ms"]
        row["sparse_scaling"] = alone["sparse_ms"] / row["sparse_ms"]
    return found


def show(rows: list[Row], console: Console) -> None:
    """Prints the table."""
    table = Table(title=f"Groups(rows=4) on all convolutions but the first, on {facts()['machine']['processor']}")
    for header in (
        "network",
        "zeros",
        "threads",
        "dense ms",
        "sparse ms",
        "speed-up",
        "quartiles",
        "dense/twin",
        "others",
        "dense scales",
        "sparse scales",
        "file",
    ):
        table.add_column(header)
    for row in rows:
        for threads, found in row["threads"].items():
            low, high = found["speedup_quartiles"]
            table.add_row(
                row["network"],
                f"{row['sparsity']:g}",
                threads,
                f"{found['dense_ms']:.2f}",
                f"{found['sparse_ms']:.2f}",
                f"{found['speedup']:.2f}x",
                f"{low:.2f} .. {high:.2f}",
                f"{found['dense_by_twin']:.2f}",
                f"{found['others']:.2f}",
                f"{found['dense_scaling']:.2f}x",
                f"{found['sparse_scaling']:.2f}x",
                f"{row['sparse bytes'] / row['dense bytes']:.0%}",
            )
    console.print(table)


@click.command()
@click.option("--network", "networks", multiple=True, type=click.Choice(list(NETWORKS)), help="Default: all.")
@click.option("--sparsity", "sparsities", multiple=True, type=SPARSITY, help=f"Default: {SPARSITIES}.")
@click.option("--threads", multiple=True, type=click.IntRange(min=1), help=f"Default: {THREADS}.")
@click.option("--device", default="host", show_default=True, help="Cost table of the verdicts.")
@click.option("--seconds", default=10.0, show_default=True, help="For the timing of one network.")
@click.option("--size", default=IMAGE_SIZE, show_default=True, help="Rows and columns of an image.")
@click.option("--seed", default=0, show_default=True)
@click.option("--cache", default=CACHE, type=Path, show_default=True, help="Folder of the dense files.")
@click.option("--build-only", is_flag=True, help="Only make the dense files in the cache.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Results as JSON. Networks that the same library has measured there already are kept.",
)
def main(
    networks: tuple[str, ...],
    sparsities: tuple[float, ...],
    threads: tuple[int, ...],
    device: str,
    seconds: float,
    size: int,
    seed: int,
    cache: Path,
    build_only: bool,
    output: Path | None,
) -> None:
    """Measures the networks and prints one table."""
    rows = read_rows(output) if output else {}
    for name in networks or NETWORKS:
        for sparsity in sparsities or SPARSITIES:
            network = PrunedNetwork(name, sparsity, seed, size)
            if build_only:
                network.dense_tflite(cache)
            elif str(network) not in rows:
                rows[str(network)] = measure(network, threads or THREADS, seconds, device, cache)
                if output:
                    write_rows(output, rows)
    if not build_only:
        show(list(rows.values()), Console(width=180))


if __name__ == "__main__":
    main()
