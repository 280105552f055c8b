# SPDX-License-Identifier: Apache-2.0
"""One process that trains one point, or the checkpoint of several, and leaves what came of it as a file."""

from __future__ import annotations

import dataclasses
import fcntl
import importlib.metadata
import json
import os
import subprocess
import time
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any

from accuracy.point import Point, Training
from results_file import today
from tfprune.files import write_file

ROW_FILE = "row.json"
_KEPT_DIGITS = 5
#: What a study itself writes in the repository.
_MADE = ("benchmarks/results", "docs")


@dataclasses.dataclass(frozen=True)
class Job:
    """What a process does.

    Attributes:
        point: what is trained.
        dense_only: whether only its dense checkpoint is.
        folder: of all points.
        command: of the runner, for the table.
        commit: of the repository, for the table.
        threads: of the process.
    """

    point: Point
    dense_only: bool
    folder: str
    command: str
    commit: str
    threads: int

    @property
    def key(self) -> str:
        """Tells it from the others."""
        return self.point.checkpoint_key if self.dense_only else self.point.key

    @property
    def place(self) -> Path:
        """The folder of its point."""
        return Path(self.folder) / self.point.key

    @property
    def training(self) -> Training:
        """The training that it does, besides a checkpoint that is missing."""
        return self.point.dense if self.dense_only else self.point.training

    @property
    def log(self) -> Path:
        """What its process printed."""
        return Path(self.folder) / f"{self.key}.log"

    def __str__(self) -> str:
        """What a progress bar says."""
        if not self.dense_only:
            return str(self.point)
        return f"{self.point.network} {self.point.width:g}, dense checkpoint, seed {self.point.seed}"


def work(job: Job, steps: Synchronized[int], runner: int) -> None:
    """Runs a job in a process of its own; what it and its libraries print, and an error, go to its log.

    Args:
        job: the job.
        steps: counts the training steps that are done.
        runner: the process that began this one; when it is gone, so is this one at the next step.
    """
    limit_threads(job.threads)
    with open(f"{job.log}.lock", "w") as lock:
        # The process that a killed runner left behind may still be at it, and end it.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not job.dense_only and (job.place / ROW_FILE).exists():
            return
        # Libraries write to the descriptors themselves.
        log = os.open(job.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        for descriptor in (1, 2):
            os.dup2(log, descriptor)
        _run(job, steps, runner)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def backend_name() -> str:
    """The framework that processes train with, told without loading it."""
    return os.environ.get("KERAS_BACKEND", "tensorflow")


def limit_threads(threads: int) -> None:
    """Sets what libraries read when they are loaded; must come before."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Before what Keras's own file says.
    os.environ["KERAS_BACKEND"] = backend_name()
    # Several processes share a GPU; each takes what it needs and not all of it.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    for name in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS"):
        os.environ[name] = str(threads)


def _run(job: Job, steps: Synchronized[int], runner: int) -> None:
    # Here, because these load Keras.
    from accuracy.data_sets import load
    from accuracy.training import checkpoint, clean_up, trained

    def step() -> None:
        if os.getppid() != runner:
            raise SystemExit("the runner is gone; the next one goes on from here")
        with steps.get_lock():
            steps.value += 1

    begin = time.monotonic()
    data = load(job.point.data)
    folder = Path(job.folder)
    folder.mkdir(parents=True, exist_ok=True)
    weights = checkpoint(job.point, data, folder, step)
    if job.dense_only:
        return
    job.place.mkdir(parents=True, exist_ok=True)
    model = trained(job.point, data, weights, job.place, step)
    row = _row(job, model, data, weights, begin)
    write_file(job.place / ROW_FILE, json.dumps(row).encode(), overwrite=True)
    clean_up(job.place)


def _row(job: Job, model: Any, data: Any, weights: Path, begin: float) -> dict[str, Any]:
    import keras

    from accuracy.deployed import deployed, deployed_by_tensorflow
    from accuracy.magnitude import kept_magnitude

    point = job.point
    if keras.backend.backend() == "tensorflow":
        found = deployed(model, data, job.place)
    else:
        found = deployed_by_tensorflow(model, point.data, job.place)
    kept = kept_magnitude(point, data, weights)
    return {
        "key": point.key,
        "data": point.data.name,
        "network": point.network,
        "width": point.width,
        "method": point.method,
        "training": point.phase,
        "sparsity": point.sparsity,
        "seed": point.seed,
        "epochs": f"{point.dense.epochs}+{point.training.epochs}",
        "train_images": data.train_count,
        "test_images": sum(len(labels) for _, labels in data.test()),
        "accuracy": found.accuracy,
        "int8_accuracy": found.int8_accuracy,
        **{name: round(share, _KEPT_DIGITS) for name, share in dataclasses.asdict(found.left).items()},
        "kept_magnitude": None if kept is None else round(kept, _KEPT_DIGITS),
        "bytes": found.size,
        "int8_bytes": found.int8_size,
        "sparse_layers": found.sparse_layers,
        "layers": found.layers,
        "seconds": round(time.monotonic() - begin, 1),
        "date": today(),
        "tfprune": importlib.metadata.version("tfprune"),
        "commit": job.commit,
        "keras": keras.__version__,
        "backend": keras.backend.backend(),
        "machine": _machine(),
        "command": job.command,
    }


def _machine() -> str:
    from tfprune.runtime.machine import machine_facts

    facts = machine_facts()
    return f"{facts['processor']}, {facts['cores']} cores"


def commit_of(repository: Path) -> str:
    """The commit of the sources, ``"+"`` behind it where they differ from it; ``"unknown"`` outside of git.

    Results and pages change while a study runs.
    """
    git = ["git", "-C", os.fspath(repository)]
    try:
        found = subprocess.run([*git, "rev-parse", "--short=10", "HEAD"], capture_output=True, text=True, check=True)
        sources = ["--", ".", *(f":!{made}" for made in _MADE)]
        changed = subprocess.run([*git, "diff", "--quiet", "HEAD", *sources], capture_output=True).returncode
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip() + ("+" if changed else "")
