# SPDX-License-Identifier: Apache-2.0
"""What a conversion takes: seconds and peak memory, each conversion in a process of its own.

    python benchmarks/conversion.py --time-and-memory --output benchmarks/results/conversion.json

The files are those of ``conversion_files.py``: ResNet-50 (102 MB) and wide layers (516 MB), 80 % zeros in groups of
four output channels. A process imports tfprune, converts the file and saves the result; seconds are those of reading,
converting and saving, the least of all processes, on the clock and of the processor. The peak is the kernel's
high-water mark of resident memory of the whole process, interpreter and imports included.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

import tfprune as tp
from conversion_files import LARGE, NETWORKS
from peak_memory import megabytes
from results_file import facts, read_rows, write_rows

Row = dict[str, Any]
_MEGABYTE = 2**20


def measure(name: str, processes: int, device: str, folder: Path) -> Row:
    """Least seconds, largest peak, and whether every process wrote the same bytes."""
    dense, sparse = folder / f"{name}.tflite", folder / f"{name}.sparse.tflite"
    dense.write_bytes(NETWORKS[name]())
    command = [sys.executable, __file__, "--convert-only", str(dense), str(sparse), "--device", device]
    found = []
    for _ in range(processes):
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        digest = hashlib.sha256(sparse.read_bytes()).hexdigest()
        found.append(json.loads(done.stdout.splitlines()[-1]) | {"digest": digest})
    size = dense.stat().st_size
    peak = max(each["peak MB"] for each in found)
    return {
        "network": name,
        "file MB": size / _MEGABYTE,
        "sparse by dense": sparse.stat().st_size / size,
        "layers": found[0]["layers"],
        "seconds": min(each["seconds"] for each in found),
        "processor seconds": min(each["processor seconds"] for each in found),
        "peak MB": peak,
        "peak by file": peak * _MEGABYTE / size,
        "same bytes": len({each["digest"] for each in found}) == 1,
        "device": device,
    }


def convert_only(dense: Path, sparse: Path, device: str) -> None:
    """Converts one file and prints what it took as JSON."""
    start, processor = time.perf_counter(), time.process_time()
    converted = tp.convert(dense, device=device)
    converted.save(sparse, overwrite=True)
    taken = {"seconds": time.perf_counter() - start, "processor seconds": time.process_time() - processor}
    layers = [sum(layer.verdict == "sparse" for layer in converted.report.layers), len(converted.report.layers)]
    print(json.dumps({**taken, "peak MB": megabytes("VmHWM"), "layers": layers}))


def show(rows: list[Row], console: Console) -> None:
    """Prints the table."""
    table = Table(title=f"Conversion, on {facts()['machine']['processor']}")
    for header in ("network", "file MB", "sparse / dense", "layers", "s", "CPU s", "peak MB", "peak / file", "same"):
        table.add_column(header)
    for row in rows:
        table.add_row(
            row["network"],
            f"{row['file MB']:.1f}",
            f"{row['sparse by dense']:.3f}",
            "{} of {}".format(*row["layers"]),
            f"{row['seconds']:.2f}",
            f"{row['processor seconds']:.2f}",
            f"{row['peak MB']:.0f}",
            f"{row['peak by file']:.2f}",
            str(row["same bytes"]),
        )
    console.print(table)


@click.command()
@click.option("--time-and-memory", is_flag=True, help="Seconds and peak memory of converting large files.")
@click.option(
    "--network", "networks", multiple=True, type=click.Choice(list(NETWORKS)), help="Default: the large ones."
)
@click.option("--processes", default=3, show_default=True, type=click.IntRange(min=1), help="For each network.")
@click.option("--device", default="arm64", show_default=True, help="Cost table of the verdicts.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Results as JSON. Networks that the same library has measured there already are kept.",
)
@click.option("--convert-only", "files", nargs=2, type=click.Path(path_type=Path), hidden=True)
def main(
    time_and_memory: bool,
    networks: tuple[str, ...],
    processes: int,
    device: str,
    output: Path | None,
    files: tuple[Path, Path] | None,
) -> None:
    """Measures conversions and prints one table."""
    if files:
        convert_only(*files, device)
        return
    if not time_and_memory:
        raise click.UsageError("say what to measure: --time-and-memory")
    rows = read_rows(output) if output else {}
    with tempfile.TemporaryDirectory() as folder:
        for name in networks or LARGE:
            key = f"time and memory, {name}, {device}"
            if key not in rows:
                rows[key] = measure(name, processes, device, Path(folder))
                if output:
                    write_rows(output, rows)
    show([row for key, row in rows.items() if key.startswith("time and memory")], Console(width=140))


if __name__ == "__main__":
    main()
