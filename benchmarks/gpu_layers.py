# SPDX-License-Identifier: Apache-2.0
"""Single layers on this machine's OpenCL device: sparse against our own dense kernel of the same layer.

    python benchmarks/gpu_layers.py --output benchmarks/results/gpu_layers.json
    python benchmarks/gpu_layers.py --network mobilenet_v1 --sparsity 0.75 --pattern groups4 --limit 3

Layers come from ``benchmarks/shapes``, from 20 million multiply-adds on. Each is built dense and with ``tp.convert``,
which chooses the encoding but may not keep the layer dense for its speed. Both answers are compared with LiteRT's on
the CPU; then both run in turns. The time is that of the layer's launches by the driver's clock; "wall" is from call to
return, with the way of input and output to the device and back. The share of ideal is the speed-up times
``1 - sparsity``. Means are geometric, each layer as often as its network has it.

Where the device is no GPU the first line says so: its times say nothing about one, and each is of one round only.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from arguments import COUNT, SECONDS, SPARSITY
from cpu_layers import SPARSITIES, geometric_mean
from gpu_measure import STORAGES, Device, GpuModel, device_rounds, find_device
from layer_cases import NETWORKS, PATTERNS, Case, cases, chosen_layers, network_layers
from results_file import Rows, read_rows, write_rows
from tfprune.mapping.profiling.timing import Model, relative_error

#: Least multiply-adds of a layer whose speed is promised.
LARGE = 20_000_000
#: Largest error by the largest magnitude. Halves: weights, inputs and outputs are rounded by up to 2^-11 of themselves.
RTOL = {"f32": 1e-4, "f16": 2e-3}
DEFAULT_PATTERNS = (
    "groups4",
    "groups4-balanced",
    "groups8",
    "groups4-aligned",
    "groups4-aligned-balanced",
    "single",
    "block-punched",
    "elements-filter",
    "kernel-patterns",
)
#: What rows of one mean have in common.
SETTING = ("device", "is gpu", "pattern", "storage", "asked")
Row = dict[str, Any]


def measure(case: Case, storage: str, device: Device, seconds: float, programs: Path) -> Row:
    """Builds, checks and times one case."""
    row: Row = {
        "device": device.name,
        "is gpu": device.is_gpu,
        "pattern": case.pattern,
        "storage": storage,
        "asked": case.sparsity,
        "sparsity": case.achieved,
        "layer": str(case.layer),
        "macs": case.layer.macs,
    }
    sparse = case.sparse("host")
    if sparse is None:
        return {**row, "encoding": None}
    content = case.dense()
    expected = Model(content).answer()
    models = [GpuModel(each, storage, programs) for each in (content, sparse.tflite)]
    errors = [relative_error(expected, model.answer()) for model in models]
    if not max(errors) <= RTOL[storage]:
        raise SystemExit(f"{case.key}, {storage}: the dense and the sparse answer are off by {errors}")
    rounds = device_rounds(models, seconds, device)
    ratios = rounds.launches[:, 0] / rounds.launches[:, 1]
    dense_us, sparse_us = np.median(rounds.launches, axis=0) * 1e6
    return {
        **row,
        "encoding": sparse.encoding,
        "kernels": [_layer_kernel(model) for model in models],
        "dense error": errors[0],
        "error": errors[1],
        "rounds": len(ratios),
        "dense_us": float(dense_us),
        "sparse_us": float(sparse_us),
        "speedup": float(np.median(ratios)),
        "speedup_quartiles": [float(value) for value in np.quantile(ratios, (0.25, 0.75))],
        "share": float(np.median(ratios)) * (1 - case.achieved),
        "wall speedup": float(np.median(rounds.wall[:, 0] / rounds.wall[:, 1])),
    }


def _layer_kernel(model: GpuModel) -> str:
    """The kernels between the conversions of input and output."""
    return " ".join(name.removeprefix("gpu/") for name in model.kernels()[1:-1])


def summary(rows: Rows) -> list[Row]:
    """Geometric means by device, pattern, storage and sparsity, over all layers that are sparse."""
    counts = {str(layer): sum(by_network.values()) for layer, by_network in network_layers(NETWORKS).items()}
    sparse = [row for row in rows.values() if row["encoding"] is not None]
    found = []
    for setting in dict.fromkeys(tuple(row[name] for name in SETTING) for row in sparse):
        same = [row for row in sparse if tuple(row[name] for name in SETTING) == setting]
        weights = [counts[row["layer"]] for row in same]
        names = ("speedup", "share", "wall speedup")
        found.append(
            {
                **dict(zip(SETTING, setting, strict=True)),
                "layers": len(same),
                "kernels": sorted({row["kernels"][1] for row in same}),
                **{name: geometric_mean([row[name] for row in same], weights) for name in names},
                "slowest": min(row["speedup"] for row in same),
                "error": max(row["error"] for row in same),
            }
        )
    return found


def show_layers(rows: Rows, device: Device, console: Console) -> None:
    """Prints a line a layer."""
    times = [device.times() + name for name in ("dense us", "sparse us", "speed-up", "share", "wall")]
    table = Table("pattern", "layer", "storage", "zeros", "encoding", "kernel", "error", *times)
    for row in rows.values():
        head = (row["pattern"], row["layer"], row["storage"], f"{row['sparsity']:.1%}")
        if row["encoding"] is None:
            table.add_row(*head, "stays dense")
            continue
        numbers = (f"{row['dense_us']:.1f}", f"{row['sparse_us']:.1f}", f"{row['speedup']:.2f}", f"{row['share']:.2f}")
        answer = (row["encoding"], row["kernels"][1], f"{row['error']:.1e}")
        table.add_row(*head, *answer, *numbers, f"{row['wall speedup']:.2f}")
    console.print(table)


def show_summary(means: list[Row], device: Device, console: Console) -> None:
    """Prints the geometric means."""
    times = [device.times() + name for name in ("speed-up", "share of ideal", "slowest", "wall")]
    title = f"Geometric means; {device.headline()}"
    table = Table("pattern", "storage", "asked", "layers", "kernels", "largest error", *times, title=title)
    for row in means:
        numbers = (f"{row['speedup']:.2f}x", f"{row['share']:.3f}", f"{row['slowest']:.2f}x")
        head = (row["pattern"], row["storage"], f"{row['asked']:g}", str(row["layers"]), ", ".join(row["kernels"]))
        table.add_row(*head, f"{row['error']:.1e}", *numbers, f"{row['wall speedup']:.2f}x")
    console.print(table)


@click.command()
@click.option("--network", "networks", multiple=True, type=click.Choice(NETWORKS), help="Default: all.")
@click.option("--sparsity", "sparsities", multiple=True, type=SPARSITY, help=f"Default: {SPARSITIES}.")
@click.option("--pattern", "patterns", multiple=True, type=click.Choice(list(PATTERNS)), default=DEFAULT_PATTERNS)
@click.option("--storage", "storages", multiple=True, type=click.Choice(STORAGES), default=STORAGES)
@click.option("--min-macs", type=COUNT, default=LARGE, show_default=True, help="Smaller layers are left out.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many layers.")
@click.option("--seconds", type=SECONDS, default=0.25, show_default=True, help="For the timing of one case.")
@click.option("--seed", type=COUNT, default=0, show_default=True)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Results as JSON. Cases that the same library has measured there on the same device already are kept.",
)
def main(
    networks: tuple[str, ...],
    sparsities: tuple[float, ...],
    patterns: tuple[str, ...],
    storages: tuple[str, ...],
    min_macs: int,
    limit: int | None,
    seconds: float,
    seed: int,
    output: Path | None,
) -> None:
    """Measures the layers and prints a table of them, and one of the means."""
    console = Console(width=200)
    device = find_device(console)
    layers = list(chosen_layers(network_layers(networks or NETWORKS), min_macs))[:limit]
    wanted = cases(layers, patterns, sparsities or SPARSITIES, seed)
    rows = read_rows(output) if output else {}
    missing = {f"{case.key}, {storage}, {device.name}": (case, storage) for case in wanted for storage in storages}
    missing = {key: each for key, each in missing.items() if key not in rows}
    with tempfile.TemporaryDirectory() as programs:
        for key, (case, storage) in track(missing.items(), "measuring", total=len(missing)):
            rows[key] = measure(case, storage, device, seconds, Path(programs))
            if output:
                write_rows(output, rows)
    means = summary(rows)
    show_layers(rows, device, console)
    show_summary(means, device, console)
    if output:
        write_rows(output, rows, means)


if __name__ == "__main__":
    main()
