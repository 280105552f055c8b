# SPDX-License-Identifier: Apache-2.0
"""A pruned LSTM in its loop: size and time against dense, for several block sizes.

    python benchmarks/recurrent.py --output benchmarks/results/recurrent.json

A Keras LSTM of 256 units on 32 steps of 128 features, batch 1, 80 % zeros in ``BlockRowsColumns(size, size)``; both
files are compared, then timed in alternation. Times of a machine that does other things are worth nothing.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.table import Table

import tfprune as tp
from results_file import facts, read_rows, write_rows
from tfprune.keras.layers import find_weights

UNITS, STEPS, FEATURES, SPARSITY = 256, 32, 128, 0.8
SIZES = (16, 64, 128, 256)


def pruned_lstm(size: int) -> Any:
    """The model with zeros in blocks of ``size`` rows and columns."""
    keras: Any = importlib.import_module("keras")
    keras.utils.set_random_seed(0)
    x = keras.Input((STEPS, FEATURES), batch_size=1)
    model = keras.Model(x, keras.layers.LSTM(UNITS)(x))
    pattern = tp.patterns.BlockRowsColumns(size, size)
    for weight in find_weights(model, "*", 1)[0]:
        kernel = np.array(weight.variable)
        weight.variable.assign(kernel * tp.select(kernel, pattern, SPARSITY, layout=weight.layout))
    return model


def measure(size: int, device: str, runs: int) -> dict[str, Any]:
    """One line of the table; fails where the outputs differ."""
    converted = tp.convert(pruned_lstm(size), device=device, min_speedup=0.01)
    checked = tp.verify(converted.dense, converted.tflite, rtol=1e-4)
    if not checked:
        raise click.ClickException(str(checked))
    timed = tp.benchmark(converted.dense, converted.tflite, runs=runs)
    return {
        "block": size,
        "size ratio": len(converted.tflite) / len(converted.dense),
        "speedup": timed.timings[1].speedup,
        "encodings": [layer.encoding for layer in converted.report.layers],
        "relative error": max(output.max_rel_error for output in checked.outputs),
    }


@click.command()
@click.option("--device", default="host", show_default=True, help="Cost table that chooses the encodings.")
@click.option("--runs", default=400, show_default=True, help="Interleaved runs of each file.")
@click.option("--block", "sizes", multiple=True, type=int, default=SIZES, show_default=True)
@click.option("--output", type=click.Path(path_type=Path), help="Results file; rows that it has are not run again.")
def main(device: str, runs: int, sizes: tuple[int, ...], output: Path | None) -> None:
    """Measure a pruned LSTM."""
    rows = {} if output is None else read_rows(output)
    for size in sizes:
        if str(size) not in rows:
            rows[str(size)] = measure(size, device, runs)
            if output is not None:
                write_rows(output, rows)
    table = Table(
        "blocks", "size", "speed-up", "encodings", title=f"LSTM({UNITS}), on {facts()['machine']['processor']}"
    )
    for row in rows.values():
        encodings = ", ".join(map(str, row["encodings"]))
        table.add_row(str(row["block"]), f"{row['size ratio']:.1%}", f"{row['speedup']:.2f}x", encodings)
    Console().print(table)


if __name__ == "__main__":
    main()
