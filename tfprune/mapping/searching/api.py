# SPDX-License-Identifier: Apache-2.0
"""``search``: the mapping with the best accuracy under a budget."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tfprune.costs import CostTable
from tfprune.errors import MappingError
from tfprune.mapping.budget import Budget
from tfprune.mapping.choice import Choice
from tfprune.mapping.judging.metric import Metric
from tfprune.mapping.mapping import Mapping as Mapped
from tfprune.mapping.searching.options import SearchOptions
from tfprune.mapping.searching.result import SearchResult
from tfprune.mapping.sensitivity_analysis import SensitivityReport


def search(
    model: Any,
    profile: CostTable | str | os.PathLike[str],
    *,
    latency_ms: float | None = None,
    latency_ratio: float | None = None,
    size_bytes: float | None = None,
    mac_ratio: float | None = None,
    validation_data: Any = None,
    training_data: Any = None,
    method: str = "policy",
    trials: int = 200,
    candidates: Mapping[str, Sequence[Choice]] | None = None,
    start: Iterable[Mapped | Mapping[str, Choice]] | None = None,
    metric: str = "accuracy",
    higher_is_better: bool | None = None,
    evaluate: Callable[[Any], float] | None = None,
    epochs: int = 0,
    sensitivity: bool | SensitivityReport = True,
    max_loss: float | None = None,
    pruner: str = "median",
    batch_size: int = 128,
    timeout: float | None = None,
    storage: str | os.PathLike[str] | None = None,
    study_name: str | None = None,
    workers: int = 1,
    seed: int = 0,
    min_speedup: float = 1.05,
    precision: str = "float32",
    representative_data: Any = None,
    custom_objects: Mapping[str, Any] | None = None,
    force: bool = False,
    progress: bool = True,
) -> SearchResult:
    """Searches a pattern, block size and rate for every layer: the best accuracy under a budget.

    Each mapping is judged from the same trained weights: its latency is predicted from the profile, and one over the
    budget costs nothing more. The others are pruned at once by magnitude, `BatchNormalization` layers get new
    statistics, for ``epochs`` above 0 the model trains on with the zeros held, and the metric is taken on growing parts
    of the validation data, so that a bad one is given up early. What a mapping is judged at is a proxy: train with the
    recipe of `SearchResult.best`, or of others on its front, to have their accuracy.

    A search with a ``storage`` goes on where it was killed when it is called again, and several processes, also on
    several machines, work on it together when each calls it with the same arguments. The model is the same afterwards.

    Needs Optuna: ``pip install tfprune[search]``.

    Args:
        model: a built and compiled Keras model, or the path of a ``.keras`` or ``.h5`` file.
        profile: latency profile, its file, or the name of a cost table (``"arm64"``).
        latency_ms: budget: milliseconds of the profile's device. Exactly one budget must be given.
        latency_ratio: budget: share of the dense model's predicted latency, in (0, 1].
        size_bytes: budget: bytes of the layers' kernels as they are stored.
        mac_ratio: budget: share of the dense layers' multiply-adds, in (0, 1].
        validation_data: ``(x, y)``, or an iterable of batches of this form, or a function that returns one; all of it
            is held in memory. Not needed with ``evaluate``.
        training_data: as ``validation_data``, for the statistics and for training. None (default): the statistics are
            of the inputs of the validation data; where there are none of either they stay as they are.
        method: ``"policy"`` (default): policy gradient, layer by layer; ``"optuna"``: Optuna's TPE; ``"nsga2"``: the
            front of accuracy and latency.
        trials: how many mappings are judged, by all processes together.
        candidates: choices by layer name. None (default): those of the kinds of layers.
        start: mappings that are tried first: what rules found, or choices by layer name. None (default): none.
        metric: name of a compiled metric, default ``"accuracy"``.
        higher_is_better: None (default): asked of the metric; of ``evaluate`` True.
        evaluate: ``function(model) -> float`` that is used instead of a metric.
        epochs: of training on ``training_data`` before a mapping is judged; 0 (default): none.
        sensitivity: whether single layers are looked at first, so that hopeless choices are skipped (default), or what
            `sensitivity` returned for the same model, data and candidates.
        max_loss: choices that alone lose more than this are skipped; None (default): none are for that reason.
        pruner: what stops bad trials early: ``"median"`` (default), ``"halving"`` (successive halving) or ``"none"``.
            With ``"nsga2"`` no trial is stopped.
        batch_size: examples of a batch, where the data have no batches.
        timeout: seconds after which no trial is begun any more; None (default): none.
        storage: path of a journal file, or URL of a database that Optuna knows. None (default): nothing is kept.
        study_name: name in the storage. None (default): the model's.
        workers: processes that judge mappings. From 2 on each loads the model from a file of its own; the calling
            script must then have its work below ``if __name__ == "__main__":``.
        seed: of everything that is drawn. The same call with one worker gives the same result.
        min_speedup: as for `tfprune.convert`.
        precision: of the file, as for `tfprune.convert`. The metric is that of the Keras model in any case.
        representative_data: as for `tfprune.convert`.
        custom_objects: classes and functions by name that a file, or a worker, needs to load the model.
        force: whether a profile of another device or library version is used all the same.
        progress: whether a terminal shows progress, the best mapping and the front.

    Returns:
        The result. Where no mapping meets the budget, ``met`` is False and ``best`` the closest one.

    Raises:
        ProfileError: a profile of another device or library version.
        MappingError: arguments that do not fit, Optuna is missing, the storage holds another search, or workers keep
            dying.

    Example:
        >>> result = search(model, "arm64", latency_ratio=0.5, validation_data=(x, y))  # doctest: +SKIP
        >>> result.best.save_recipe("recipe.yaml")  # doctest: +SKIP
    """
    budget = Budget.of(latency_ms=latency_ms, latency_ratio=latency_ratio, size_bytes=size_bytes, mac_ratio=mac_ratio)
    options = SearchOptions(
        method=method,
        trials=trials,
        epochs=epochs,
        max_loss=max_loss,
        pruner=pruner,
        batch_size=batch_size,
        timeout=timeout,
        storage=storage,
        study_name=study_name,
        workers=workers,
        seed=seed,
        min_speedup=min_speedup,
        progress=progress,
    )
    if not isinstance(sensitivity, (bool, SensitivityReport)):
        raise MappingError(f"sensitivity must be True, False or what sensitivity() returned, got {sensitivity!r}")
    measured = Metric(metric, higher_is_better, evaluate)
    measured.check_data(validation_data)
    check_dependencies()
    from tfprune.mapping.searching.session import Session

    session = Session(
        model,
        profile,
        budget,
        options,
        validation_data=validation_data,
        training_data=training_data,
        metric=measured,
        candidates=candidates,
        start=start,
        custom_objects=custom_objects,
        precision=precision,
        representative_data=representative_data,
        force=force,
    )
    return session.run(sensitivity)


def check_dependencies() -> None:
    """Refuses a search without what it needs.

    Raises:
        MappingError: Optuna is missing.
    """
    try:
        import optuna  # noqa: F401
    except ImportError as error:
        raise MappingError(
            f"search: it needs Optuna. Received: {error}. Install it with `pip install tfprune[search]`."
        ) from error
