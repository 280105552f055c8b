# SPDX-License-Identifier: Apache-2.0
"""Two ways to measure pairs of models: time on this machine, and exact aarch64 instruction counts under qemu."""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from rich.progress import track

import tfprune as tp

FOLDER = Path(__file__).resolve().parent
REPOSITORY = FOLDER.parent
Pair = tuple[bytes, bytes]


def host_microseconds(
    pairs: Iterable[Pair], rounds: int = 15, sample_seconds: float = 2e-3
) -> Iterator[tuple[float, float]]:
    """Median time of one run of both models of each pair, interleaved, one thread, on stock LiteRT."""
    for pair in track(list(pairs), "timing"):
        interpreters = [_ready(model) for model in pair]
        counts = [max(1, round(sample_seconds / _seconds(item.invoke, 3))) for item in interpreters]
        samples: list[list[float]] = [[], []]
        for turn in range(rounds):
            for which in (0, 1) if turn % 2 else (1, 0):
                samples[which].append(_seconds(interpreters[which].invoke, counts[which]) * 1e6)
        yield statistics.median(samples[0]), statistics.median(samples[1])


def _ready(model: bytes):  # type: ignore[no-untyped-def]
    from ai_edge_litert.interpreter import Interpreter

    delegates = [tp.delegate()] if b"Tfprune" in model else None
    interpreter = Interpreter(model_content=model, num_threads=1, experimental_delegates=delegates)
    interpreter.allocate_tensors()
    interpreter.invoke()
    return interpreter


def _seconds(call: Callable[[], None], count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - start) / count


def aarch64_instructions(pairs: Iterable[Pair], root: Path, library: Path, runs: int = 2) -> list[tuple[float, float]]:
    """Instructions of one run of both models of each pair on an emulated Cortex-A76, with the real aarch64 LiteRT."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for index, (dense, sparse) in enumerate(pairs):
            (folder / f"{index:04}_dense.tflite").write_bytes(dense)
            (folder / f"{index:04}_sparse.tflite").write_bytes(sparse)
        paths = [REPOSITORY / "tools/aarch64/run.sh", root, FOLDER / "count_guest.py", folder, library]
        done = subprocess.run(
            [*map(str, paths), str(runs)],
            env={**os.environ, "COUNT_INSTRUCTIONS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise SystemExit(f"qemu failed with {done.returncode}:\n{done.stderr[-2000:]}")
    counts = [int(line.split()[1]) for line in done.stderr.splitlines() if line.startswith("mark ")]
    per_run = [(after - before) / runs for before, after in zip(counts[::2], counts[1::2], strict=True)]
    return list(zip(per_run[::2], per_run[1::2], strict=True))
