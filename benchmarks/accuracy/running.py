# SPDX-License-Identifier: Apache-2.0
"""Runs the points of a plan: a process each, some at a time, and nothing twice."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import multiprocessing
import os
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from accuracy.plan import Plan
from accuracy.point import Point
from accuracy.table import ResultTable
from accuracy.worker import ROW_FILE, Job, backend_name, work
from tfprune.errors import OutputError
from tfprune.mapping.judging.progress_bar import progress_bar

_LOOK_SECONDS = 0.5
_MEGABYTE = 1e6
#: Bytes without which no training begins: weights, those of the optimizer, and those of the epoch before.
_LEAST_FREE = 200 * _MEGABYTE
_CONTEXT = multiprocessing.get_context("spawn")


@dataclasses.dataclass(frozen=True)
class Failure:
    """A job that ended with an error.

    Attributes:
        job: the job.
        reason: the last line that its process printed, or how that ended; all of them are in the job's log.
    """

    job: Job
    reason: str


class UnusableResult(click.ClickException):
    """What a process left is no row of the table."""


class Runner:
    """Runs jobs.

    Args:
        table: where rows go; must be locked.
        workers: processes at a time.
        console: for the progress bar and one line a result.
    """

    def __init__(self, table: ResultTable, workers: int, console: Console) -> None:
        self._table = table
        self._workers = workers
        self._console = console
        self.failures: list[Failure] = []

    def run(self, jobs: list[Job], steps_of: Callable[[Job], int]) -> None:
        """Runs all jobs; checkpoints first where points wait for them.

        Args:
            jobs: as :func:`jobs_of` makes them.
            steps_of: training steps of a job, for the bar.
        """
        waiting = [job for job in jobs if not self._collect(job)]
        for folder in {job.folder for job in waiting}:
            Path(folder).mkdir(parents=True, exist_ok=True)
        total = sum(map(steps_of, waiting))
        bar = progress_bar(self._console, shown=self._console.is_terminal)
        with bar, _processes() as running:
            task = bar.add_task("training steps", total=total)
            done = 0
            while waiting or running:
                waiting = self._start(waiting, running)
                if not running:
                    _check_stuck(waiting)
                time.sleep(_LOOK_SECONDS)
                for each in list(running):
                    if each.process.is_alive():
                        continue
                    running.remove(each)
                    done += steps_of(each.job)
                    waiting = self._ended(each, waiting)
                now = sum(min(each.steps.value, steps_of(each.job)) for each in running)
                names = "; ".join(str(each.job) for each in running)
                bar.update(task, completed=done + now, description=names or "done")

    def _start(self, waiting: list[Job], running: list[_Running]) -> list[Job]:
        """Starts what may begin, and returns what still waits."""
        left = []
        for job in waiting:
            trains = {each.job.point.checkpoint_key for each in running if each.job.dense_only}
            needed = job.point.checkpoint_key in trains or (not job.dense_only and not _has_checkpoint(job))
            if len(running) >= self._workers or needed or _free(job) < _LEAST_FREE:
                left.append(job)
            else:
                running.append(_Running.begin(job))
        return left

    def _ended(self, each: _Running, waiting: list[Job]) -> list[Job]:
        """Keeps what a process left; without its checkpoint a point cannot run."""
        try:
            if each.process.exitcode == 0 and (each.job.dense_only or self._collect(each.job)):
                return waiting
            self.failures.append(each.failure())
        except UnusableResult as error:
            self.failures.append(Failure(each.job, error.message))
        lost = [job for job in waiting if each.job.dense_only and job.point.checkpoint_key == each.job.key]
        without = f"; without it {len(lost)} points cannot be trained" if lost else ""
        self._console.print(f"failed {each.job}: {self.failures[-1].reason}{without}", markup=False, soft_wrap=True)
        return [job for job in waiting if job not in lost]

    def _collect(self, job: Job) -> bool:
        """Whether the result of a job is there; one that the runner before did not come to add is added."""
        if job.dense_only:
            return _has_checkpoint(job)
        if job.key in self._table.rows:
            return True
        path = job.place / ROW_FILE
        if not path.exists():
            return False
        try:
            row = json.loads(path.read_text())
            point = job.point
            expected = {"key": job.key, "network": point.network, "width": point.width, "seed": point.seed}
            expected["backend"] = backend_name()
            found = {name: row[name] for name in expected}
            if found != expected:
                raise ValueError(f"it is of {found}, not of {expected}")
            self._table.add(row)
        except OutputError as error:
            raise click.ClickException(
                f"{error}; make room, and run it again: {path} is kept, and added then"
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise UnusableResult(
                f"{path}: must be a result of this version: {error}; remove it, to train {job} anew"
            ) from error
        self._console.print(
            f"{job}: {row['accuracy']:.2%} (int8 {row['int8_accuracy']:.2%})", highlight=False, soft_wrap=True
        )
        return True


@dataclasses.dataclass
class _Running:
    """A process at work."""

    job: Job
    process: Any
    steps: Any

    @classmethod
    def begin(cls, job: Job) -> _Running:
        steps = _CONTEXT.Value("q", 0)
        process = _CONTEXT.Process(target=work, args=(job, steps, os.getpid()), daemon=True)
        process.start()
        return cls(job, process, steps)

    def failure(self) -> Failure:
        code = self.process.exitcode
        if code < 0:
            # HDF5 crashes where it cannot write.
            room = f"{_free(self.job) / _MEGABYTE:.0f} MB are free in its folder"
            return Failure(self.job, f"its process was ended by signal {-code}, {room}")
        printed = self.job.log.read_text(errors="replace").split("\n") if self.job.log.exists() else []
        # Of a traceback the last line says what it was.
        return Failure(self.job, next((line for line in reversed(printed) if line.strip()), f"exit code {code}"))


def jobs_of(plan: Plan, folder: Path, command: str, commit: str, threads: int) -> list[Job]:
    """Checkpoints and points, those of one network and seed behind each other.

    Args:
        plan: the plan.
        folder: of checkpoints and points.
        command: how the runner was called.
        commit: of the sources.
        threads: of each process.
    """
    groups: dict[str, list[Point]] = defaultdict(list)
    for point in plan.points:
        groups[point.checkpoint_key].append(point)
    jobs = []
    for points in groups.values():
        dense = Job(points[0], True, str(folder), command, commit, threads)
        jobs += [dense, *(dataclasses.replace(dense, point=point, dense_only=False) for point in points)]
    return jobs


def open_jobs(jobs: list[Job], table: ResultTable) -> list[Job]:
    """Jobs without a result; checkpoints that no open point needs are none."""
    points = [job for job in jobs if not job.dense_only and job.key not in table.rows]
    needed = {job.point.checkpoint_key for job in points if not (job.place / ROW_FILE).exists()}
    dense = [job for job in jobs if job.dense_only and job.key in needed and not _has_checkpoint(job)]
    wanted = {id(job) for job in (*points, *dense)}
    return [job for job in jobs if id(job) in wanted]


def _has_checkpoint(job: Job) -> bool:
    return job.point.checkpoint_path(Path(job.folder)).exists()


def _check_stuck(waiting: list[Job]) -> None:
    """Where nothing runs and nothing can begin, a run ends: what is trained is kept."""
    if not waiting:
        return
    job, left = waiting[0], f"run it again: {len(waiting)} trainings are left"
    if _free(job) < _LEAST_FREE:
        raise click.ClickException(
            f"{job.folder}: must have {_LEAST_FREE / _MEGABYTE:.0f} MB free for what a training keeps, has "
            f"{_free(job) / _MEGABYTE:.0f} MB; make room, and {left}"
        )
    raise click.ClickException(f"{job.point.checkpoint_path(Path(job.folder))}: must stay while points wait; {left}")


def _free(job: Job) -> int:
    """Bytes that are free where a job writes."""
    return shutil.disk_usage(job.folder).free


@contextlib.contextmanager
def _processes() -> Iterator[list[_Running]]:
    """Processes that end with the runner, whatever ends it."""
    running: list[_Running] = []
    try:
        yield running
    finally:
        for each in running:
            each.process.terminate()
        for each in running:
            each.process.join()
