# SPDX-License-Identifier: Apache-2.0
"""Fully-connected layers of batch 1 against the bandwidth of memory, which bounds them: one thread.

    python benchmarks/fc_bandwidth.py --output benchmarks/results/fc_bandwidth.json

A layer reads each of its packed weights once. The bound is the time in which the C library's ``memchr`` looks
through a buffer of as many bytes and finds nothing, in turns with the layer in the same run. Before each timed run a
buffer larger than the caches is read: dense, sparse and the bound all read from memory, as in a network whose other
layers have passed through the caches meanwhile.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from arguments import COUNT, SECONDS, SIZE, SPARSITY
from layer_cases import PATTERNS as KNOWN_PATTERNS
from layer_cases import Case
from results_file import read_rows, write_rows
from tfprune.converter.analysis import packed_operators
from tfprune.converter.graph import Graph
from tfprune.mapping.profiling.layer_sizes import LayerSizes
from tfprune.mapping.profiling.timing import Model, relative_error
from tfprune.runtime.benchmark import Invocable
from tfprune.runtime.library import load_library

PATTERNS = ("groups16", "groups4")
#: Largest error of each precision, by the largest magnitude of the output.
RTOL = {"float32": 1e-4, "float16": 2e-3, "dynamic": 3e-2}
#: More than the last-level cache of common machines.
EVICTING_BYTES = 96 << 20
FEWEST_ROUNDS = 7
Row = dict[str, Any]


class Reader:
    """Reads a buffer from end to end; the least that a layer of as many weights has to do."""

    def __init__(self, size: int) -> None:
        # Not zeros: the system would map all their pages to one. Bytes as the content of the model, on pages of the
        # same size: NumPy asks for huge pages, which are read an eighth faster.
        self._content = b"\2" * size
        self._buffer = np.frombuffer(self._content, np.uint8)
        self._search = ctypes.CDLL(None).memchr
        self._search.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t)
        self._search.restype = ctypes.c_void_p

    def invoke(self) -> None:
        """Reads it."""
        found = self._search(self._buffer.ctypes.data, 1, self._buffer.size)
        if found is not None:
            raise RuntimeError("a buffer of twos held a one")


def from_memory(models: Sequence[Invocable], seconds: float) -> npt.NDArray[np.float64]:
    """Seconds of one run of each model in turns, ``[rounds, models]``; no run finds its bytes in a cache."""
    others = Reader(EVICTING_BYTES)
    for model in models:
        model.invoke()
    rounds: list[list[float]] = []
    end = time.perf_counter() + seconds
    while len(rounds) < FEWEST_ROUNDS or time.perf_counter() < end:
        times = []
        for model in models:
            others.invoke()
            start = time.perf_counter()
            model.invoke()
            times.append(time.perf_counter() - start)
        rounds.append(times)
    return np.array(rounds)


def measure(case: Case, precision: str, seconds: float) -> Row:
    """Times a layer dense, sparse, and the reading of its packed weights."""
    sparse = case.sparse("host") if precision == "float32" else case.packed(precision)
    if sparse is None:
        raise SystemExit(f"{case.key}: stays dense in {precision}")
    ((*_, packed),) = packed_operators(Graph(sparse.tflite, "a converted layer"))
    models = [Model(case.dense()), Model(sparse.tflite)]
    kernel = load_library().last_kernel
    error = relative_error(*(model.answer() for model in models))
    if not error <= RTOL[precision]:
        raise SystemExit(f"{case.key}: the sparse answer is off by {error:.1e}")
    size = packed.header.total_bytes
    dense, own, reading = from_memory([*models, Reader(size)], seconds).T
    return {
        "pattern": case.pattern,
        "precision": precision,
        "sparsity": case.achieved,
        "layer": str(case.layer),
        "encoding": sparse.encoding,
        "kernel": kernel,
        "error": error,
        "packed bytes": size,
        "dense_us": float(np.median(dense) * 1e6),
        "sparse_us": float(np.median(own) * 1e6),
        "speedup": float(np.median(dense / own)),
        "GB/s": float(size / np.median(own) / 1e9),
        "GB/s of reading": float(size / np.median(reading) / 1e9),
        "share of bandwidth": float(np.median(reading / own)),
    }


def show(rows: list[Row], console: Console) -> None:
    """Prints the table."""
    names = ("layer", "pattern", "precision", "encoding", "kernel")
    table = Table(*names, "MB", "dense us", "sparse us", "speed-up", "GB/s", "reading GB/s", "share")
    for row in rows:
        table.add_row(
            *(str(row[name]) for name in names),
            f"{row['packed bytes'] / 1e6:.2f}",
            f"{row['dense_us']:.0f}",
            f"{row['sparse_us']:.0f}",
            f"{row['speedup']:.2f}x",
            f"{row['GB/s']:.1f}",
            f"{row['GB/s of reading']:.1f}",
            f"{row['share of bandwidth']:.2f}",
        )
    console.print(table)


@click.command()
@click.option("--inputs", type=SIZE, default=4096, show_default=True)
@click.option("--outputs", type=SIZE, default=4096, show_default=True)
@click.option("--sparsity", type=SPARSITY, default=0.75, show_default=True)
@click.option("--pattern", "patterns", multiple=True, type=click.Choice(list(KNOWN_PATTERNS)), default=PATTERNS)
@click.option("--precision", "precisions", multiple=True, type=click.Choice(list(RTOL)), default=list(RTOL))
@click.option("--seconds", type=SECONDS, default=2.0, show_default=True, help="For the timing of one case.")
@click.option("--seed", type=COUNT, default=0, show_default=True)
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Results as JSON, resumed.")
def main(
    inputs: int,
    outputs: int,
    sparsity: float,
    patterns: tuple[str, ...],
    precisions: tuple[str, ...],
    seconds: float,
    seed: int,
    output: Path | None,
) -> None:
    """Measures and prints a table."""
    rows = read_rows(output) if output else {}
    layer = LayerSizes("fc", 1, 1, inputs, outputs, 1, 1, 1)
    for precision in precisions:
        for pattern in patterns:
            case = Case(layer, pattern, sparsity, seed)
            key = f"{case.key}, {precision}"
            if key not in rows:
                rows[key] = measure(case, precision, seconds)
                if output:
                    write_rows(output, rows)
    show(list(rows.values()), Console(width=170))


if __name__ == "__main__":
    main()
