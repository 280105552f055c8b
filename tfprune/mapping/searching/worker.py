# SPDX-License-Identifier: Apache-2.0
"""A process that judges mappings beside others."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import pickle
import threading
import traceback
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from tfprune.mapping.judging.examples import Batch, batches_of
from tfprune.mapping.judging.metric import Metric
from tfprune.mapping.searching.claims import Claims
from tfprune.mapping.searching.loop import Task, TrialLoop
from tfprune.mapping.searching.options import SearchOptions
from tfprune.mapping.searching.samplers import sampler_of
from tfprune.mapping.searching.space import Floats
from tfprune.mapping.searching.studies import StudyPlace, open_study, quiet_optuna

_THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")


@dataclasses.dataclass(frozen=True)
class Source:
    """Examples that a worker gets, or gets for itself.

    Args:
        name: of the argument, for messages.
        batches: the batches; empty where there is a function.
        function: returns the data.
    """

    name: str
    batches: tuple[Batch, ...] = ()
    function: Callable[[], Any] | None = None

    def read(self, options: SearchOptions) -> list[Batch]:
        """The batches."""
        if self.function is None:
            return list(self.batches)
        return batches_of(self.function, self.name, batch_size=options.batch_size, seed=options.seed)


@dataclasses.dataclass(frozen=True)
class WorkerTask:
    """Everything that a worker needs.

    Attributes:
        model: ``.keras`` file.
        custom_objects: classes and functions by name that the file needs.
        validation: examples with labels.
        training: examples for statistics and training.
        metric: what is measured.
        task: what the trials need; its ``latency`` is a latency model.
        features: what the agent is told of the choices.
        options: of the search.
        place: where the study is.
        population: mappings of a generation of NSGA-II.
    """

    model: str
    custom_objects: Mapping[str, Any] | None
    validation: Source
    training: Source
    metric: Metric
    task: Task
    features: dict[str, Floats]
    options: SearchOptions
    place: StudyPlace
    population: int


def work(path: str, threads: int, to_parent: Connection) -> None:
    """Judges mappings until there are enough; the target of a process.

    Args:
        path: file with a pickled `WorkerTask`.
        threads: CPU threads that it may use.
        to_parent: told of an error: its class and its text.
    """
    # Before anything that loads TensorFlow, which reads them once.
    os.environ.update(dict.fromkeys(_THREADS, str(threads)))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        _work(pickle.loads(Path(path).read_bytes()))
    except Exception as error:
        to_parent.send((f"{type(error).__name__}: {error}", traceback.format_exc()))
        raise SystemExit(1) from None


def _end_with_parent() -> None:
    """Ends this process when the one that started it is gone, killed for example: nobody waits for it then."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _work(given: WorkerTask) -> None:
    import keras

    import tfprune.keras.pruned  # noqa: F401 (makes its wrapper known to Keras)
    from tfprune.mapping.judging.evaluator import Evaluator

    options, latency = given.options, given.task.latency
    # Compiled as it was. The file is the parent's own, so the code of its Lambda layers may be trusted.
    model = keras.saving.load_model(given.model, given.custom_objects, safe_mode=False)
    evaluator = Evaluator(
        model,
        latency.network,  # type: ignore[attr-defined]  # of a LatencyModel
        given.validation.read(options),
        training=given.training.read(options),
        metric=given.metric,
        epochs=options.epochs,
        seed=options.seed,
    )
    with quiet_optuna():
        study = open_study(given.place, options.method, evaluator.metric, options.pruner)
        study.sampler = sampler_of(options.method, given.task.space, given.features, options.seed, given.population)
        TrialLoop(study, given.task, evaluator, Claims(study)).run()
