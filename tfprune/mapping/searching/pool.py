# SPDX-License-Identifier: Apache-2.0
"""Several processes that judge mappings, and others in the place of those that die."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tfprune.errors import MappingError
from tfprune.mapping.searching.claims import Claims
from tfprune.mapping.searching.worker import WorkerTask, work

#: Processes that are started in the place of dead ones, for each worker.
_REPLACEMENTS = 3
_POLL_SECONDS = 0.2


class WorkerPool:
    """Processes with one task.

    Args:
        task: what they do.
        workers: how many.
        folder: where their task is written.

    Raises:
        MappingError: the task cannot be sent to another process.
    """

    def __init__(self, task: WorkerTask, workers: int, folder: Path) -> None:
        """Writes the task."""
        self._path = folder / "worker.pickle"
        try:
            self._path.write_bytes(pickle.dumps(task))
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise MappingError(
                f"workers={workers}: what judges mappings cannot be sent to another process: {error}; give functions "
                "and classes of the top level of a module, or workers=1"
            ) from error
        self._workers = workers
        self._threads = max(1, len(os.sched_getaffinity(0)) // workers if hasattr(os, "sched_getaffinity") else 1)
        self._context = multiprocessing.get_context("spawn")
        self._running: list[tuple[Any, Connection]] = []
        self._left = _REPLACEMENTS * workers

    def run(
        self,
        is_over: Callable[[], bool],
        wanted: Callable[[], bool],
        advance: Callable[[], None],
        claims: Claims,
    ) -> None:
        """Runs until the search is over and every process has ended the trial that it has begun.

        Args:
            is_over: whether it is.
            wanted: whether a trial is left that another process could begin; puts trials of dead ones in line.
            advance: called again and again meanwhile.
            claims: gives the trials back of processes that are ended here, after an error.

        Raises:
            MappingError: a worker failed, or too many died.
        """
        try:
            while self._running or not is_over():
                self._running = [each for each in self._running if not self._has_ended(*each)]
                while len(self._running) < self._workers and not is_over() and wanted():
                    self._start()
                advance()
                time.sleep(_POLL_SECONDS)
        except BaseException:
            # Those that have died by themselves come first: they count as dead.
            claims.repeat_lost()
            for process, _ in self._running:
                process.terminate()
                process.join()
            claims.repeat_lost(died=False)
            raise

    def _start(self) -> None:
        receiver, sender = self._context.Pipe(duplex=False)
        process = self._context.Process(target=work, args=(str(self._path), self._threads, sender), daemon=True)
        process.start()
        sender.close()
        self._running.append((process, receiver))

    def _has_ended(self, process: Any, receiver: Connection) -> bool:
        alive = process.is_alive()
        try:
            # While it lives, too: it waits until a long message is read.
            text, trace = receiver.recv() if receiver.poll() else ("", "")
        except EOFError:
            text = trace = ""
        if alive and not text:
            return False
        process.join()
        receiver.close()
        if process.exitcode == 0:
            return True
        if text:
            error = MappingError(f"a worker of the search failed: {text}")
            error.__cause__ = RuntimeError(trace)
            raise error
        self._left -= 1
        if self._left < 0:
            raise MappingError(
                f"workers of the search keep dying, the last one with exit code {process.exitcode}; it may be memory: "
                "use fewer workers or fewer examples. The search goes on where it is when it is called again"
            )
        return True
