# SPDX-License-Identifier: Apache-2.0
"""The sparsity from which each kernel is faster than the dense layer on this machine, by type of layer.

    python benchmarks/break_even.py --output benchmarks/results/break_even.json

One layer stands for each type. Each pattern is measured at several sparsities as ``cpu_layers.py`` does it; between the
last one that loses and the next, the speed-up is interpolated. Beside the measured break-even stands the one that the
cost table of this machine predicts: the converter's verdicts are as good as the two agree.
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

import tfprune as tp
from arguments import COUNT, SECONDS, SPARSITY
from cpu_layers import measure
from layer_cases import ANY_SPEED, PATTERNS, Case, cases
from results_file import Rows, read_rows, write_rows
from tfprune.mapping.profiling.layer_sizes import LayerSizes

#: One layer of each type.
LAYERS = {
    "1x1": LayerSizes("conv", 14, 14, 512, 512, 1, 1, 1),
    "1x1, few channels": LayerSizes("conv", 56, 56, 24, 144, 1, 1, 1),
    "1x1, few pixels": LayerSizes("conv", 7, 7, 1024, 1024, 1, 1, 1),
    "3x3": LayerSizes("conv", 28, 28, 128, 128, 3, 1, 1),
    "3x3, stride 2": LayerSizes("conv", 56, 56, 128, 128, 3, 2, 1),
    "5x5": LayerSizes("conv", 28, 28, 64, 96, 5, 1, 1),
    "fully connected": LayerSizes("fc", 1, 1, 1024, 1000, 1, 1, 1),
    "fully connected, batch 16": LayerSizes("fc", 1, 1, 1024, 1000, 1, 1, 16),
}
SPARSITIES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
DEFAULT_PATTERNS = ("groups4", "groups8", "groups4-aligned", "block-punched", "block-rows-columns", "single")
Row = dict[str, Any]


def crossing(sparsities: Sequence[float], speedups: Sequence[float]) -> float | None:
    """Where the speed-up passes 1 for good; 0 where it always is above, None where it never is."""
    losing = [place for place, speedup in enumerate(speedups) if speedup < 1]
    if not losing:
        return 0.0
    last = losing[-1]
    if last + 1 == len(speedups):
        return None
    low, high = np.log(speedups[last]), np.log(speedups[last + 1])
    return float(sparsities[last] + (sparsities[last + 1] - sparsities[last]) * -low / (high - low))


def predicted(case: Case, device: str) -> float | None:
    """The speed-up that the converter expects; None where no encoding is smaller than the dense weights."""
    (layer,) = tp.convert(case.dense(), device=device, min_speedup=ANY_SPEED).report.layers
    return layer.predicted_speedup


def study(kind: str, case: Case, seconds: float, device: str) -> Row:
    """Measures and predicts one point."""
    row = measure(case, 1, "auto", seconds, device)
    return {**row, "kind": kind, "predicted": predicted(case, device)}


def points(kinds: Sequence[str], patterns: Sequence[str], sparsities: Sequence[float], seed: int) -> dict[str, Any]:
    """What is to be measured, by key."""
    found = {}
    for kind in kinds:
        for pattern in patterns:
            # Single weights are asked for on every type of layer here.
            fitting = [Case(LAYERS[kind], pattern, sparsity, seed) for sparsity in sparsities]
            if pattern != "single":
                fitting = cases([LAYERS[kind]], [pattern], sparsities, seed)
            found.update({case.key: (kind, case) for case in fitting})
    return found


def summary(rows: Rows) -> list[Row]:
    """Break-even by type of layer and pattern."""
    found = []
    timed = [row for row in rows.values() if row["encoding"] is not None]
    for kind, pattern in dict.fromkeys((row["kind"], row["pattern"]) for row in timed):
        same = sorted((r for r in timed if (r["kind"], r["pattern"]) == (kind, pattern)), key=lambda r: r["sparsity"])
        at = [row["sparsity"] for row in same]
        found.append(
            {
                "kind": kind,
                "pattern": pattern,
                "encodings": list(dict.fromkeys(row["encoding"] for row in same)),
                "from": at[0],
                "measured": crossing(at, [row["speedup"] for row in same]),
                "predicted": crossing(at, [row["predicted"] for row in same]),
            }
        )
    return found


def show(means: list[Row], console: Console) -> None:
    """Prints the table."""
    table = Table(
        "layer", "pattern", "encodings", "faster from", "predicted", title="Zeros at which sparse equals dense"
    )
    for row in means:
        texts = []
        for value in (row["measured"], row["predicted"]):
            below = value == 0.0
            texts.append("never" if value is None else f"below {row['from']:.0%}" if below else f"{value:.0%}")
        table.add_row(row["kind"], row["pattern"], ", ".join(row["encodings"]), *texts)
    console.print(table)


@click.command()
@click.option("--kind", "kinds", multiple=True, type=click.Choice(list(LAYERS)), help="Default: all.")
@click.option("--pattern", "patterns", multiple=True, type=click.Choice(list(PATTERNS)), default=DEFAULT_PATTERNS)
@click.option("--sparsity", "sparsities", multiple=True, type=SPARSITY, default=SPARSITIES, show_default=True)
@click.option("--device", default="host", show_default=True, help="Cost table that chooses and predicts.")
@click.option("--seconds", type=SECONDS, default=0.1, show_default=True, help="For the timing of one case.")
@click.option("--seed", type=COUNT, default=0, show_default=True)
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Results as JSON, resumed.")
def main(
    kinds: tuple[str, ...],
    patterns: tuple[str, ...],
    sparsities: tuple[float, ...],
    device: str,
    seconds: float,
    seed: int,
    output: Path | None,
) -> None:
    """Measures and prints a table."""
    rows = read_rows(output) if output else {}
    wanted = points(kinds or list(LAYERS), patterns, sorted(sparsities), seed)
    missing = {key: work for key, work in wanted.items() if key not in rows}
    for key, (kind, case) in track(missing.items(), "measuring", total=len(missing)):
        rows[key] = study(kind, case, seconds, device)
        if output:
            write_rows(output, rows)
    means = summary(rows)
    show(means, Console(width=150))
    if output:
        write_rows(output, rows, means)


if __name__ == "__main__":
    main()
