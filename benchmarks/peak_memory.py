# SPDX-License-Identifier: Apache-2.0
"""Peak memory of a model's run, sparse against dense, each in a process of its own.

    python benchmarks/peak_memory.py --output benchmarks/results/peak_memory.json
    python benchmarks/peak_memory.py --network mobilenet_v2 --threads 2

The models are those of ``cpu_models.py``, loaded from disk as an app loads them. Counted is what comes after the
imports: delegate, model, tensors, scratch, threads, thirty runs. The peak is the kernel's high-water mark of resident
memory, which holds the pages read of the mapped file; anonymous memory, which the system cannot take back, is given
beside it as it is at the end. Each number is the median of several processes.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

import tfprune as tp
from pruned_networks import CACHE, IMAGE_SIZE, NETWORKS, PrunedNetwork
from results_file import facts, read_rows, write_rows

THREADS = (1, 2)
RUNS = 30
Row = dict[str, Any]


def measure(network: PrunedNetwork, threads: tuple[int, ...], processes: int, device: str, cache: Path) -> Row:
    """Peak and anonymous megabytes of the dense and the sparse file, for each number of threads."""
    dense = network.dense_tflite(cache)
    converted = tp.convert(dense, device=device)
    sparse = dense.with_suffix(".sparse")
    converted.save(sparse, overwrite=True)
    row: Row = {"network": network.name, "sparsity": network.sparsity, "threads": {}}
    for path, name in ((dense, "dense"), (sparse, "sparse")):
        row[f"{name} file MB"] = path.stat().st_size / 2**20
    for count in threads:
        # In turns, so that what the machine does meanwhile meets both.
        found = [(alone(dense, count, False), alone(sparse, count, True)) for _ in range(processes)]
        row["threads"][str(count)] = {
            f"{name} {field} MB": statistics.median(pair[place][field] for pair in found)
            for place, name in enumerate(("dense", "sparse"))
            for field in ("peak", "anonymous")
        }
    return row


def alone(path: Path, threads: int, sparse: bool) -> dict[str, float]:
    """Peak and anonymous megabytes that running a file adds to a fresh process."""
    command = [sys.executable, __file__, "--memory-of", str(path), "--threads", str(threads)]
    done = subprocess.run([*command, *(["--sparse"] if sparse else [])], check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def print_memory(path: Path, threads: int, sparse: bool) -> None:
    """Loads a file, runs it many times and prints the megabytes it took."""
    from ai_edge_litert.interpreter import Interpreter

    before, anonymous = megabytes("VmRSS"), megabytes("RssAnon")
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak of the imports
    delegates = [tp.delegate()] if sparse else None
    interpreter = Interpreter(model_path=str(path), num_threads=threads, experimental_delegates=delegates)
    interpreter.allocate_tensors()
    for _ in range(RUNS):
        interpreter.invoke()
    print(json.dumps({"peak": megabytes("VmHWM") - before, "anonymous": megabytes("RssAnon") - anonymous}))


def megabytes(field: str) -> float:
    """A field of this process's status; ``ru_maxrss`` would also count the process that forked it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) / 1024


def show(rows: list[Row], console: Console) -> None:
    """Prints the table."""
    table = Table(title=f"Peak memory of {RUNS} runs in MB, on {facts()['machine']['processor']}")
    for header in (
        "network",
        "zeros",
        "threads",
        "dense",
        "sparse",
        "sparse / dense",
        "anonymous: dense",
        "sparse",
        "file: dense",
        "sparse",
    ):
        table.add_column(header)
    for row in rows:
        for threads, found in row["threads"].items():
            table.add_row(
                row["network"],
                f"{row['sparsity']:g}",
                threads,
                f"{found['dense peak MB']:.1f}",
                f"{found['sparse peak MB']:.1f}",
                f"{found['sparse peak MB'] / found['dense peak MB']:.2f}",
                f"{found['dense anonymous MB']:.1f}",
                f"{found['sparse anonymous MB']:.1f}",
                f"{row['dense file MB']:.1f}",
                f"{row['sparse file MB']:.1f}",
            )
    console.print(table)


@click.command()
@click.option("--network", "networks", multiple=True, type=click.Choice(list(NETWORKS)), help="Default: all.")
@click.option("--sparsity", "sparsities", multiple=True, type=float, default=(0.75,), show_default=True)
@click.option("--threads", multiple=True, type=click.IntRange(min=1), help=f"Default: {THREADS}.")
@click.option("--processes", default=5, show_default=True, type=click.IntRange(min=1), help="For each number.")
@click.option("--device", default="host", show_default=True, help="Cost table of the verdicts.")
@click.option("--size", default=IMAGE_SIZE, show_default=True, help="Rows and columns of an image.")
@click.option("--cache", default=CACHE, type=Path, show_default=True, help="Folder of the dense files.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Results as JSON. Networks that the same library has measured there already are kept.",
)
@click.option("--memory-of", type=click.Path(exists=True, path_type=Path), hidden=True)
@click.option("--sparse", is_flag=True, hidden=True)
def main(
    networks: tuple[str, ...],
    sparsities: tuple[float, ...],
    threads: tuple[int, ...],
    processes: int,
    device: str,
    size: int,
    cache: Path,
    output: Path | None,
    memory_of: Path | None,
    sparse: bool,
) -> None:
    """Measures the networks and prints one table."""
    if memory_of:
        print_memory(memory_of, threads[0], sparse)
        return
    rows = read_rows(output) if output else {}
    for name in networks or NETWORKS:
        for sparsity in sparsities:
            network = PrunedNetwork(name, sparsity, size=size)
            if str(network) not in rows:
                rows[str(network)] = measure(network, threads or THREADS, processes, device, cache)
                if output:
                    write_rows(output, rows)
    show(list(rows.values()), Console(width=180))


if __name__ == "__main__":
    main()
