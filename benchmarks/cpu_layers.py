# SPDX-License-Identifier: Apache-2.0
"""Single layers on this machine: sparse against dense on stock LiteRT, as a share of the ideal ``1 / (1 - sparsity)``.

    python benchmarks/cpu_layers.py --output benchmarks/results/cpu_layers.json
    python benchmarks/cpu_layers.py --network resnet50 --sparsity 0.75 --pattern block-punched --limit 3

Layers come from ``benchmarks/shapes``. Each is built dense and with ``tp.convert``, which chooses the encoding but may
not keep the layer dense for its speed. Both answers are compared; then both run in turns with a second copy of the
dense file, whose ratio to the first is the noise of that very run. Means are geometric, each layer as often as its
network has it. The first layers of the networks, which read 3 channels, are never pruned and left out. "Disturbed" are
layers during whose timing other processes kept a tenth of a processor busy or more: measure those again.

"Stored / kept" are the weights in the file, each of which is multiplied at every pixel of the output, by the weights
that are not zero. It does not count what vectors compute beyond the image and drop.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from arguments import COUNT, SECONDS, SPARSITY, THREADS
from layer_cases import (
    ANY_SPEED,
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
from results_file import Rows, facts, read_rows, write_rows
from tfprune.mapping.profiling.timing import QUIET, Model, interleaved, relative_error
from tfprune.runtime.library import load_library

SPARSITIES = (0.5, 0.75, 0.9)
#: What rows of one mean have in common.
SETTING = ("pattern", "precision", "asked", "threads", "arch", "verdicts")
Row = dict[str, Any]


def measure(
    case: Case, threads: int, arch: str, seconds: float, device: str, min_speedup: float | None = ANY_SPEED
) -> Row:
    """Builds, checks and times one case."""
    row: Row = {
        "pattern": case.pattern,
        "precision": case.precision,
        "asked": case.sparsity,
        "sparsity": case.achieved,
        "layer": str(case.layer),
        "macs": case.layer.macs,
        "threads": threads,
        "arch": arch,
        "verdicts": "default" if min_speedup is None else "forced",
    }
    sparse = case.sparse(device, min_speedup)
    if sparse is None:
        return {**row, "encoding": None}
    models = [Model(case.dense(), threads), Model(case.dense(), threads), Model(sparse.tflite, threads, arch)]
    row["kernel"] = load_library().last_kernel
    if case.pattern == "kernel-patterns" and case.precision == "float32":
        models.append(Model(case.as_single_weights(), threads, arch))
    errors = [relative_error(models[0].answer(), model.answer()) for model in models[2:]]
    if max(errors) > RTOL[case.precision]:
        raise SystemExit(f"{case.key}: the sparse answers are off by {errors}")
    rounds = interleaved(models, seconds, threads)
    return {
        **row,
        "encoding": sparse.encoding,
        "error": errors[0],
        "others": rounds.others,
        **_ratios(rounds.seconds, row["sparsity"]),
        "stored by kept": sparse.stored / case.kept,
    }


def _ratios(times: Any, sparsity: float) -> Row:
    """What the rounds say: columns are dense, its twin, sparse, and perhaps the same zeros as single weights."""
    dense = np.sqrt(times[:, 0] * times[:, 1])
    speedup = float(np.median(dense / times[:, 2]))
    found = {
        "rounds": len(times),
        "dense_us": float(np.median(dense) * 1e6),
        "sparse_us": float(np.median(times[:, 2]) * 1e6),
        "speedup": speedup,
        "speedup_quartiles": [float(value) for value in np.quantile(dense / times[:, 2], (0.25, 0.75))],
        "share": speedup * (1 - sparsity),
        "dense_by_twin": float(np.median(times[:, 0] / times[:, 1])),
    }
    if times.shape[1] > 3:
        found["against_single"] = float(np.median(times[:, 3] / times[:, 2]))
    return found


def geometric_mean(values: Sequence[float], weights: Sequence[int]) -> float:
    """Mean of logarithms, each as often as its weight says."""
    return float(np.exp(np.average(np.log(values), weights=weights)))


def summary(rows: Rows, counts: dict[str, dict[str, int]]) -> list[Row]:
    """Geometric means by pattern, sparsity and network, and over all networks; of the layers that are sparse."""
    found = []
    for setting in dict.fromkeys(tuple(row[name] for name in SETTING) for row in rows.values()):
        same = [row for row in rows.values() if tuple(row[name] for name in SETTING) == setting]
        timed = [row for row in same if row["encoding"] is not None]
        names = dict.fromkeys(name for row in timed for name in counts[row["layer"]])
        for name in [*names, "all"] if timed else []:
            chosen = {row["layer"]: row for row in timed if name in (*counts[row["layer"]], "all")}
            found.append(
                {
                    **dict(zip(SETTING, setting, strict=True)),
                    "network": name,
                    **_means(chosen, counts, name),
                }
            )
    return found


def _means(chosen: dict[str, Row], counts: dict[str, dict[str, int]], name: str) -> Row:
    weights = [sum(counts[layer].values()) if name == "all" else counts[layer][name] for layer in chosen]
    rows = list(chosen.values())
    means = {key: geometric_mean([row[key] for row in rows], weights) for key in ("speedup", "share", "stored by kept")}
    if any("against_single" in row for row in rows):
        means["against_single"] = geometric_mean([row["against_single"] for row in rows], weights)
    twins = [row["dense_by_twin"] for row in rows]
    disturbed = sum(row["others"] > QUIET for row in rows)
    return {
        "layers": len(rows),
        **means,
        "slowest": min(row["speedup"] for row in rows),
        "dense_by_twin": [min(twins), max(twins)],
        "disturbed": disturbed,
    }


def show_layers(rows: Rows, console: Console) -> None:
    """Prints a line a layer."""
    table = Table(
        "pattern",
        "layer",
        "zeros",
        "encoding",
        "kernel",
        "dense us",
        "sparse us",
        "speed-up",
        "share",
        "dense / twin",
        "stored / kept",
    )
    for row in rows.values():
        head = (row["pattern"], row["layer"], f"{row['sparsity']:.1%}")
        if row["encoding"] is None:
            table.add_row(*head, "stays dense")
            continue
        table.add_row(
            *head,
            row["encoding"],
            row["kernel"],
            f"{row['dense_us']:.1f}",
            f"{row['sparse_us']:.1f}",
            f"{row['speedup']:.2f}",
            f"{row['share']:.2f}",
            f"{row['dense_by_twin']:.2f}",
            f"{row['stored by kept']:.3f}",
        )
    console.print(table)


def show_summary(means: list[Row], console: Console) -> None:
    """Prints the geometric means."""
    table = Table(
        "pattern",
        "precision",
        "asked",
        "threads",
        "arch",
        "verdicts",
        "network",
        "layers",
        "speed-up",
        "share of ideal",
        "slowest",
        "dense / twin",
        "disturbed",
        "stored / kept",
        "against single",
        title=f"Geometric means on {facts()['machine']['processor']}",
    )
    for row in means:
        low, high = row["dense_by_twin"]
        single = f"{row['against_single']:.2f}x" if "against_single" in row else ""
        table.add_row(
            row["pattern"],
            row["precision"],
            f"{row['asked']:g}",
            str(row["threads"]),
            row["arch"],
            row["verdicts"],
            row["network"],
            str(row["layers"]),
            f"{row['speedup']:.2f}x",
            f"{row['share']:.3f}",
            f"{row['slowest']:.2f}x",
            f"{low:.2f} .. {high:.2f}",
            str(row["disturbed"]),
            f"{row['stored by kept']:.3f}",
            single,
        )
    console.print(table)


@click.command()
@click.option("--network", "networks", multiple=True, type=click.Choice(NETWORKS), help="Default: all.")
@click.option("--sparsity", "sparsities", multiple=True, type=SPARSITY, help=f"Default: {SPARSITIES}.")
@click.option("--pattern", "patterns", multiple=True, type=click.Choice(list(PATTERNS)), help="Default: groups4.")
@click.option("--precision", type=click.Choice(PRECISIONS), default="float32", show_default=True)
@click.option("--min-macs", type=COUNT, default=HEAVY, show_default=True, help="Smaller layers are left out.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many layers.")
@click.option("--threads", type=THREADS, default=1, show_default=True)
@click.option("--arch", default="auto", show_default=True, help="Kernels of the delegate.")
@click.option("--device", default="host", show_default=True, help="Cost table that chooses the encoding.")
@click.option("--default-verdicts", is_flag=True, help="Leave dense what tp.convert leaves dense by itself.")
@click.option("--seconds", type=SECONDS, default=0.25, show_default=True, help="For the timing of one case.")
@click.option("--seed", type=COUNT, default=0, show_default=True)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Results as JSON. Cases that the same library has measured there already are kept.",
)
def main(
    networks: tuple[str, ...],
    sparsities: tuple[float, ...],
    patterns: tuple[str, ...],
    precision: str,
    min_macs: int,
    limit: int | None,
    threads: int,
    arch: str,
    device: str,
    default_verdicts: bool,
    seconds: float,
    seed: int,
    output: Path | None,
) -> None:
    """Measures the layers and prints a table of them, and one of the means."""
    known = network_layers(networks or NETWORKS)
    layers = list(chosen_layers(known, min_macs))[:limit]
    wanted = cases(layers, patterns or ("groups4",), sparsities or SPARSITIES, seed, precision)
    rows = read_rows(output) if output else {}
    settings = f"{arch}, {threads} threads{', default verdicts' if default_verdicts else ''}"
    missing = {f"{case.key}, {settings}": case for case in wanted}
    missing = {key: case for key, case in missing.items() if key not in rows}
    for key, case in track(missing.items(), "measuring", total=len(missing)):
        rows[key] = measure(case, threads, arch, seconds, device, None if default_verdicts else ANY_SPEED)
        if output:
            write_rows(output, rows)
    counts = {str(layer): by_network for layer, by_network in network_layers(NETWORKS).items()}
    console = Console(width=180)
    show_layers(rows, console)
    means = summary(rows, counts)
    show_summary(means, console)
    if output:
        write_rows(output, rows, means)


if __name__ == "__main__":
    main()
