# SPDX-License-Identifier: Apache-2.0
"""How long jobs will take, from some steps of each network on this machine."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from accuracy.point import DataSpec, Point, digest
from accuracy.worker import Job, backend_name, cores, limit_threads
from tfprune.files import write_file

_WARM_UP_STEPS = 2
_TIMED_STEPS = 4
#: Whole trainings take so many times their steps: start-up, masks, conversion, evaluations. Measured on two cores.
_WHOLE = 1.5
_CONTEXT = multiprocessing.get_context("spawn")


class Estimate:
    """Training steps and seconds of jobs; seconds of a step are measured once and kept.

    Args:
        path: where they are kept.
        train_count: training images of data.
    """

    def __init__(self, path: Path, train_count: Callable[[DataSpec], int]) -> None:
        self._path = path
        self._train_count = train_count
        self._seconds = _kept(path)

    def steps(self, job: Job) -> int:
        """Training steps of a job."""
        return job.training.epochs * job.training.steps_per_epoch(self._train_count(job.point.data))

    def epochs(self, jobs: Iterable[Job]) -> int:
        """Epochs of jobs."""
        return sum(job.training.epochs for job in jobs)

    def seconds(self, jobs: list[Job], workers: int) -> float:
        """Seconds that jobs will take with so many processes at a time; more than cores are no faster.

        Of the steps; what else a training does is taken to need half as much again.

        Raises:
            ClickException: a network that cannot be trained on the images.
        """
        each = [self.steps(job) * self._step_seconds(job) for job in jobs]
        return _WHOLE * max(sum(each) / min(workers, cores()), max(each, default=0.0))

    def _step_seconds(self, job: Job) -> float:
        point, batch = job.point, job.training.batch
        spec = {"network": point.network, "width": point.width, "batch": batch, "data": point.data.name}
        key = digest({**spec, "size": point.data.size, "threads": job.threads, "backend": backend_name()})
        if key not in self._seconds:
            self._seconds[key] = _measured(point, batch, job.threads)
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_file(self._path, json.dumps(self._seconds).encode(), overwrite=True)
        return self._seconds[key]


def _kept(path: Path) -> dict[str, float]:
    if not path.exists():
        return {}
    try:
        return {str(key): float(value) for key, value in json.loads(path.read_text()).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise click.ClickException(f"{path}: must hold seconds of steps: {error}; remove it") from error


def _measured(point: Point, batch: int, threads: int) -> float:
    """Seconds of a training step, in a process of its own: networks leave memory behind."""
    receiving, sending = _CONTEXT.Pipe(duplex=False)
    process = _CONTEXT.Process(target=_time_steps, args=(point, batch, threads, sending), daemon=True)
    process.start()
    sending.close()
    try:
        found: Any = receiving.recv()
    except EOFError:
        found = "its process ended"
    process.join()
    if not isinstance(found, float):
        raise click.ClickException(f"{point.network} {point.width:g} on {point.data.name} cannot be trained: {found}")
    return found


def _time_steps(point: Point, batch: int, threads: int, sending: Any) -> None:
    limit_threads(threads)
    try:
        import time

        import numpy as np

        from accuracy.data_sets import load
        from accuracy.training import untrained
        from fashion.training import compile_for

        data = load(point.data)
        model = untrained(point, data)
        compile_for(model, 1e-3, _WARM_UP_STEPS + _TIMED_STEPS, 0)
        images = np.resize(data.few(batch), (batch, *data.shape))
        labels = np.zeros(batch, np.int32)
        for _ in range(_WARM_UP_STEPS):
            model.train_on_batch(images, labels)
        begin = time.perf_counter()
        for _ in range(_TIMED_STEPS):
            model.train_on_batch(images, labels)
        sending.send((time.perf_counter() - begin) / _TIMED_STEPS)
    except Exception as error:
        sending.send(f"{type(error).__name__}: {error}")
