# SPDX-License-Identifier: Apache-2.0
"""Least times of models on this machine, which run in turns."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tfprune.mapping.profiling.count_guest import random_input
from tfprune.runtime.benchmark import Invocable, interleaved_seconds
from tfprune.runtime.delegate import delegate

FEWEST_ROUNDS, MOST_ROUNDS = 7, 101
QUIET = 0.1  # processors busy with other processes
_SAMPLE_SECONDS, _THREADS_SAMPLE_SECONDS = 1e-3, 5e-2
MORE_TRIES = 3
_STAT = Path("/proc/stat")
#: Files that are measured in turns.
Models = Sequence[bytes]


class Model:
    """A file in stock LiteRT with XNNPACK, and our delegate where it holds tfprune ops; it has run once.

    Args:
        content: the ``.tflite`` file.
        threads: CPU threads.
        arch: kernels of the delegate.
        seed: of the input, which is normal.
    """

    def __init__(self, content: bytes, threads: int = 1, arch: str = "auto", seed: int = 0) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self.sparse = b"Tfprune" in content
        delegates = [delegate(arch=arch)] if self.sparse else None
        self._interpreter = Interpreter(model_content=content, num_threads=threads, experimental_delegates=delegates)
        self._interpreter.allocate_tensors()
        details = self._interpreter.get_input_details()[0]
        self._interpreter.set_tensor(details["index"], random_input(details, seed))
        self.invoke()

    def invoke(self) -> None:
        """Runs on the input."""
        self._interpreter.invoke()

    def answer(self) -> npt.NDArray[Any]:
        """A copy of the first output."""
        found: npt.NDArray[Any] = self._interpreter.get_tensor(self._interpreter.get_output_details()[0]["index"])
        return found


def relative_error(expected: npt.NDArray[Any], got: npt.NDArray[Any]) -> float:
    """Largest difference by the largest expected magnitude."""
    wide = expected.astype(np.float64)  # whole numbers must not wrap
    return float(np.abs(wide - got).max() / np.abs(wide).max())


class Rounds(NamedTuple):
    """What interleaved runs took.

    Attributes:
        seconds: of one run, ``[rounds, models]``.
        others: processors that other processes kept busy meanwhile; above `QUIET` the times are not worth much, since
            two processors are often two threads of one core.
    """

    seconds: npt.NDArray[np.float64]
    others: float


def interleaved(models: Sequence[Invocable], seconds: float, threads: int = 1, more_tries: int = MORE_TRIES) -> Rounds:
    """Runs the models in turns, in as many rounds as fit into `seconds`, 7 to 101.

    With several threads a sample is long, because the first run after another model's has to wake the threads. Where
    other processes disturb, it tries again, up to `more_tries` times, and the quietest try counts.
    """
    sample = _SAMPLE_SECONDS if threads == 1 else _THREADS_SAMPLE_SECONDS
    round_seconds = 0.0
    for model in models:
        start = time.perf_counter()
        model.invoke()
        round_seconds += max(sample, time.perf_counter() - start)
    rounds = min(MOST_ROUNDS, max(FEWEST_ROUNDS, round(seconds / round_seconds)))
    best = _watched(models, rounds, sample)
    for _ in range(more_tries):
        if best.others > QUIET:
            best = min(best, _watched(models, rounds, sample), key=lambda tried: tried.others)
    return best


def _watched(models: Sequence[Invocable], rounds: int, sample: float) -> Rounds:
    wall, own, busy = time.perf_counter(), time.process_time(), _busy_seconds()
    times = np.array(interleaved_seconds(models, rounds, sample))
    wall, own, busy = time.perf_counter() - wall, time.process_time() - own, _busy_seconds() - busy
    return Rounds(times, max(0.0, busy - own) / wall)


def _busy_seconds() -> float:
    """Time that all processors together have not been idle, the host's part (steal) included."""
    user, nice, system, _, _, irq, softirq, steal = map(int, _STAT.read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def host_microseconds(
    groups: Iterable[Models], seconds: float = 0.05, threads: int = 1, more_tries: int = MORE_TRIES
) -> Iterator[tuple[float, ...]]:
    """Least time of one run of the models of each group, interleaved; see :func:`interleaved`."""
    for models in groups:
        times = interleaved([Model(content, threads) for content in models], seconds, threads, more_tries).seconds
        yield tuple((times.min(axis=0) * 1e6).tolist())
