# SPDX-License-Identifier: Apache-2.0
"""Which process works on which trial, and the trials of processes that are gone: they are repeated.

A trial holds the place of its process (machine, boot, name space of process numbers), the number and start time of the
process, and a count that goes up while it works. On the same machine the process itself says whether it is alive. Of
others the count must change as time passes here: clocks of different machines are never compared.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

#: Seconds from one count of a working process to the next, and after how many of them it is given up.
BEAT_SECONDS = 15.0
_MISSED = 6
#: How often a trial is begun whose process dies.
MOST_ATTEMPTS = 3

_PROCESS, _BEAT = "process", "beat"
ATTEMPT, REPEATS = "attempt", "repeats"


class Claims:
    """The trials of one study, and who works on them.

    Args:
        study: the study.
        beat_seconds: from one count to the next.
    """

    def __init__(self, study: Study, beat_seconds: float = BEAT_SECONDS) -> None:
        """Has seen nothing yet."""
        self._study = study
        self._beat_seconds = beat_seconds
        self._seen: dict[int, tuple[Any, float]] = {}

    @contextlib.contextmanager
    def held(self, trial: Trial) -> Iterator[None]:
        """Says that this process works on a trial, while the body runs."""
        trial.set_user_attr(_PROCESS, this_process())
        done = threading.Event()
        beating = threading.Thread(target=self._beat, args=(trial, done), daemon=True)
        beating.start()
        try:
            yield
        finally:
            done.set()
            beating.join()

    def repeat_lost(self, *, died: bool = True) -> int:
        """Puts the trials of dead processes in line again.

        Args:
            died: whether they died by themselves, and did not end because they were told to: that counts no attempt.

        Returns:
            How many there were.
        """
        lost = [trial for trial in self.running() if self._is_lost(trial)]
        return sum(self._repeat(trial, died) for trial in lost)

    def end(self, trial: Trial, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """Tells the study what became of a trial of this process.

        Args:
            trial: the trial.
            state: how it ended.
            values: its values; None: it has none.

        Returns:
            False where another process took this one for dead meanwhile, and has put the trial in line again.
        """
        try:
            self._study.tell(trial, values, state)
        except (UpdateFinishedTrialError, ValueError):
            if not self._study.get_trials(deepcopy=False)[trial.number].state.is_finished():
                raise
            return False
        return True

    def give_back(self, trial: Trial) -> None:
        """Puts a trial in line again that this process has begun and will not end: an error, or a user who stops it."""
        attempt = trial.user_attrs.get(ATTEMPT, 1)
        if self.end(trial, TrialState.FAIL):
            self._study.enqueue_trial(trial.params, user_attrs={REPEATS: trial.number, ATTEMPT: attempt})

    def running(self) -> list[FrozenTrial]:
        """Trials that some process has begun."""
        return self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))

    def _beat(self, trial: Trial, done: threading.Event) -> None:
        count = 0
        while not done.wait(self._beat_seconds):
            count += 1
            try:
                trial.set_user_attr(_BEAT, count)
            except UpdateFinishedTrialError:
                # Another process took this one for dead; `end` says so.
                return

    def _is_lost(self, trial: FrozenTrial) -> bool:
        process = trial.user_attrs.get(_PROCESS)
        if process is not None and process["place"] == _place():
            return bool(process["started"] != _start_time(process["number"]))
        beat, now = trial.user_attrs.get(_BEAT), time.monotonic()
        last, since = self._seen.get(trial.number, (beat, now))
        self._seen[trial.number] = (beat, since if last == beat else now)
        return now - self._seen[trial.number][1] > _MISSED * self._beat_seconds

    def _repeat(self, trial: FrozenTrial, died: bool) -> bool:
        attempt = trial.user_attrs.get(ATTEMPT, 1)
        again = not died or attempt < MOST_ATTEMPTS
        try:
            self._study.tell(trial.number, state=TrialState.FAIL if again else TrialState.PRUNED)
        except (UpdateFinishedTrialError, ValueError):
            # It has ended, or another process was quicker.
            return False
        # A process that died before its trial had all its choices has proposed nothing yet.
        if again and trial.params:
            self._study.enqueue_trial(trial.params, user_attrs={REPEATS: trial.number, ATTEMPT: attempt + died})
        return True


def this_process() -> dict[str, Any]:
    """Where this process runs, its number and when it started."""
    return {"place": _place(), "number": os.getpid(), "started": _start_time(os.getpid())}


def _place() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id")
    names = Path("/proc/self/ns/pid")
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts += [boot.read_text().strip(), os.readlink(names)]
    return " ".join(parts)


def _start_time(number: int) -> str:
    """When a process started, in ticks since the machine did; empty: there is none."""
    try:
        text = Path(f"/proc/{number}/stat").read_text()
    except FileNotFoundError:
        # Without /proc, as on macOS, what can be asked is whether the number is in use.
        return "" if Path("/proc/self").exists() or not _in_use(number) else "in use"
    fields = text.rpartition(")")[2].split()
    # A zombie has ended and waits for its parent.
    return "" if fields[0] in "ZX" else fields[19]


def _in_use(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
