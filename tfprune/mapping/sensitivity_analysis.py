# SPDX-License-Identifier: Apache-2.0
"""How much each layer alone loses under each of its choices: one-shot pruning, new statistics, and the metric."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tfprune.costs import CostTable
from tfprune.errors import MappingError
from tfprune.mapping.choice import DENSE, Choice
from tfprune.mapping.given_choices import given_candidates
from tfprune.mapping.inputs import keras_model, latency_model, whole_number
from tfprune.mapping.judging.evaluator import Evaluator
from tfprune.mapping.judging.examples import batches_of
from tfprune.mapping.judging.metric import Metric
from tfprune.mapping.judging.progress_bar import counting
from tfprune.mapping.latency import LatencyModel
from tfprune.mapping.network import Network
from tfprune.sparsity.patterns import Pattern
from tfprune.tables import html_table, text_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: What the metric is by layer name and choice.
Alone = dict[str, dict[Choice, float]]


@dataclasses.dataclass(frozen=True)
class LayerSensitivity:
    """A layer alone under a choice, in an otherwise dense model.

    Attributes:
        layer: name.
        choice: what it became.
        accuracy: the metric then.
        loss: by how much it is worse than that of the dense model; below 0 where it is better.
        time: predicted time of the layer, in the unit of the profile; None without a profile.
        dense_time: of the dense layer; None without a profile.
        sparse: whether the converter would make the layer sparse; None without a profile.
    """

    layer: str
    choice: Choice
    accuracy: float
    loss: float
    time: float | None = None
    dense_time: float | None = None
    sparse: bool | None = None


@dataclasses.dataclass(frozen=True)
class SensitivityReport:
    """How sensitive layers are: a table a choice, as text (``str``), HTML in notebooks, a dictionary or a picture.

    Attributes:
        rows: a row for each choice of each layer but the dense one, layers in the order of the model.
        dense_accuracy: the metric of the dense model.
        metric: name.
        model: name.
        unit: of times; empty without a profile.
        weights: digest of the model's weights; empty where they are not known.
    """

    rows: tuple[LayerSensitivity, ...]
    dense_accuracy: float
    metric: str
    model: str
    unit: str = ""
    weights: str = ""

    def check(self, model: Any, metric: str) -> None:
        """Refuses a search on another model or by another metric, whose losses would be others.

        Args:
            model: Keras model of the search.
            metric: label of the search's metric.

        Raises:
            MappingError: the report is about something else.
        """
        again = "call sensitivity() for this search, or give sensitivity=True"
        if self.metric != metric:
            raise MappingError(f"sensitivity: the report must be of {metric}, got one of {self.metric}; {again}")
        if self.weights and self.weights != _digest(model):
            raise MappingError(
                f"sensitivity: the report must be of the searched model {model.name!r}, got one of {self.model!r} with "
                f"other weights; {again}"
            )

    @property
    def alone(self) -> Alone:
        """The metric by layer name and choice, as `search` takes it."""
        found: Alone = {}
        for row in self.rows:
            found.setdefault(row.layer, {})[row.choice] = row.accuracy
        return found

    @property
    def title(self) -> str:
        """One line on the whole."""
        layers = len({row.layer for row in self.rows})
        return (
            f"{self.model}: {layers} layers alone under {len(self.rows)} choices; {self.metric} of the dense model "
            f"{self.dense_accuracy:.4f}"
        )

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values.

        Returns:
            ``{"model", "metric", "dense_accuracy", "unit", "layers": [{"layer", "choice", "sparsity", "accuracy",
            "loss", "time", "dense_time", "sparse"}, ...]}``.
        """
        return {
            "model": self.model,
            "metric": self.metric,
            "dense_accuracy": self.dense_accuracy,
            "unit": self.unit,
            "layers": [
                {**dataclasses.asdict(row), "choice": str(row.choice), "sparsity": row.choice.sparsity}
                for row in self.rows
            ],
        }

    def plot(
        self,
        output: str | os.PathLike[str] | None = None,
        *,
        layers: Sequence[str] | None = None,
        overwrite: bool = False,
    ) -> Figure:
        """Draws what each layer loses by its sparsity, a line a pattern.

        Needs matplotlib: ``pip install tfprune[report]``.

        Args:
            output: where to write the picture, a ``.png``, ``.svg`` or ``.pdf`` file. None (default): nowhere.
            layers: names of layers. None (default): the layers of the report.
            overwrite: whether an existing file may be replaced.

        Returns:
            The figure.

        Raises:
            OutputError: matplotlib is missing, or ``output`` must not or cannot be written.
            MappingError: a layer that the report does not have.
        """
        from tfprune.plotting.sensitivity import plot_sensitivity

        return plot_sensitivity(self, output, layers=layers, overwrite=overwrite)

    def __str__(self) -> str:
        """A table of plain text."""
        return f"{self.title}\n{text_table(self._headings(), self._cells(), numbers=False)}"

    def _repr_html_(self) -> str:
        return html_table(self._headings(), self._cells(), self.title)

    def _headings(self) -> tuple[str, ...]:
        return ("layer", "choice", self.metric, "loss", *((self.unit, "of dense") if self.unit else ()))

    def _cells(self) -> list[tuple[str, ...]]:
        return [_cells(row) for row in self.rows]


def sensitivity(
    model: Any,
    validation_data: Any,
    profile: CostTable | str | os.PathLike[str] | None = None,
    candidates: Mapping[str, Sequence[Choice]] | None = None,
    *,
    training_data: Any = None,
    metric: str = "accuracy",
    higher_is_better: bool | None = None,
    evaluate: Callable[[Any], float] | None = None,
    batch_size: int = 128,
    seed: int = 0,
    min_speedup: float = 1.05,
    precision: str = "float32",
    representative_data: Any = None,
    custom_objects: Mapping[str, Any] | None = None,
    force: bool = False,
    progress: bool = True,
) -> SensitivityReport:
    """Finds out how much each layer alone loses under each of its choices.

    The layer is pruned at once by magnitude, `BatchNormalization` layers get the statistics of what they see then, and
    the metric is taken on the validation data: a run over them for each choice. Some hundred examples show which layers
    matter. What layers lose together is more than the sum, and training wins much of it back.

    Args:
        model: a built and compiled Keras model, which is the same afterwards, or the path of a ``.keras`` file.
        validation_data: ``(x, y)``, or an iterable of batches of this form. May be None with ``evaluate``.
        profile: latency profile, its file, or the name of a cost table: adds the predicted time of each layer.
        candidates: choices by layer name. None (default): those of the kinds of layers.
        training_data: as ``validation_data``: the statistics are of its inputs. None (default): of the validation data;
            where there are none of either the statistics stay as they are.
        metric: name of a compiled metric.
        higher_is_better: None (default): asked of the metric.
        evaluate: ``function(model) -> float`` that is used instead of a metric.
        batch_size: examples of a batch, where the data have no batches.
        seed: of the order of the examples.
        min_speedup: as for `tfprune.convert`.
        precision: of the file that times are predicted of, as for `tfprune.convert`. The metric is that of the Keras
            model in any case.
        representative_data: as for `tfprune.convert`.
        custom_objects: classes and functions by name that a file needs.
        force: whether a profile of another device or library version is used all the same.
        progress: whether a terminal shows a progress bar.

    Raises:
        ProfileError: a profile of another device or library version.
        MappingError: a model, data, candidates or a metric that do not fit.

    Example:
        >>> report = sensitivity(model, (images, labels), "arm64")  # doctest: +SKIP
        >>> report.plot("sensitivity.png")  # doctest: +SKIP
    """
    batch_size, seed = whole_number(batch_size, "batch_size", 1), whole_number(seed, "seed", 0)
    measured = Metric(metric, higher_is_better, evaluate)
    measured.check_data(validation_data)
    model = keras_model(model, custom_objects, compiled=True)
    quantised = {"precision": precision, "representative_data": representative_data}
    if profile is None:
        latency, network = None, Network(model, **quantised)
    else:
        latency = latency_model(model, profile, min_speedup=min_speedup, force=force, **quantised)
        network = latency.network
    chosen = _chosen(network, candidates)
    evaluator = Evaluator(
        model,
        network,
        batches_of(validation_data, "validation_data", batch_size=batch_size, seed=seed),
        training=batches_of(training_data, "training_data", batch_size=batch_size, seed=seed),
        metric=measured,
        seed=seed,
    )
    alone = measure_alone(evaluator, chosen, progress=progress)
    return dataclasses.replace(sensitivity_report(evaluator, alone, latency), weights=_digest(model))


def _chosen(network: Network, candidates: Mapping[str, Sequence[Choice]] | None) -> dict[str, tuple[Choice, ...]]:
    chosen = default_candidates(network) if candidates is None else given_candidates(network, candidates)
    if all(choice == DENSE for choices in chosen.values() for choice in choices):
        received = "none by the kinds and sizes of the layers" if candidates is None else repr(candidates)
        raise MappingError(
            f"candidates must have at least one choice that is not dense, got {received}; give layers some, such as "
            "{'conv': [Choice(Groups(4), 0.8)]}"
        )
    return chosen


def default_candidates(network: Network) -> dict[str, tuple[Choice, ...]]:
    """The choices of all layers by their kinds."""
    from tfprune.mapping.candidates import candidates

    return candidates(network)


def measure_alone(
    evaluator: Evaluator,
    candidates: Mapping[str, Sequence[Choice]],
    *,
    known: Mapping[str, Mapping[Choice, float]] | None = None,
    keep: Callable[[str, dict[Choice, float]], None] | None = None,
    enough: float | None = None,
    progress: bool = True,
) -> Alone:
    """The metric of each layer alone under each of its choices but the dense one.

    Args:
        evaluator: judges them.
        candidates: choices by layer name.
        known: what was found out before, which is not done again.
        keep: told of each layer that is done.
        enough: a pattern that loses more than this at one rate is not run at higher ones. None: all are run.
        progress: whether a terminal shows a progress bar.

    Returns:
        The metric of the choices that were run, now or before.
    """
    found: Alone = {name: dict(values) for name, values in (known or {}).items()}
    wanted = {name: [choice for choice in choices if choice != DENSE] for name, choices in candidates.items()}
    missing = {
        name: [choice for choice in choices if choice not in found.get(name, {})] for name, choices in wanted.items()
    }
    sign = evaluator.metric.sign
    with counting("layers alone", sum(map(len, missing.values())), progress) as advance:
        for name, choices in missing.items():
            values = found.setdefault(name, {})
            lost: set[Pattern | None] = set()
            for choice in sorted(wanted[name], key=lambda choice: choice.sparsity):
                if choice not in values and choice.pattern not in lost:
                    values[choice] = evaluator.accuracy({name: choice})
                if choice in values and enough is not None and sign * (evaluator.dense - values[choice]) > enough:
                    lost.add(choice.pattern)
                if choice in choices:
                    advance()
            if choices and keep is not None:
                keep(name, values)
    return {
        name: {choice: found[name][choice] for choice in choices if choice in found[name]}
        for name, choices in wanted.items()
        if choices
    }


def sensitivity_report(evaluator: Evaluator, alone: Alone, latency: LatencyModel | None) -> SensitivityReport:
    """What was found out, with predicted times where there is a latency model."""
    dense, sign = evaluator.dense, evaluator.metric.sign
    rows = []
    for name, values in alone.items():
        for choice, accuracy in values.items():
            row = LayerSensitivity(name, choice, accuracy, sign * (dense - accuracy))
            if latency is not None:
                layer = latency.predict({name: choice}).layers[name]
                row = dataclasses.replace(row, time=layer.time, dense_time=layer.dense_time, sparse=layer.sparse)
            rows.append(row)
    unit = "" if latency is None else latency.table.unit
    return SensitivityReport(tuple(rows), dense, evaluator.metric.label, evaluator.network.name, unit)


def _digest(model: Any) -> str:
    # The package of searches imports this module.
    from tfprune.mapping.searching.fingerprints import model_digest

    return model_digest(model)


def _cells(row: LayerSensitivity) -> tuple[str, ...]:
    cells = (row.layer, str(row.choice), f"{row.accuracy:.4f}", f"{row.loss:+.4f}")
    if row.time is None or row.dense_time is None:
        return cells
    share = f"{row.time / row.dense_time:.0%}" if row.sparse else "stays dense"
    return (*cells, f"{row.time:,.4g}", share)
