# SPDX-License-Identifier: Apache-2.0
"""One call of ``search``: from the model to the result."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from optuna.study import Study

from tfprune.costs import CostTable
from tfprune.mapping.budget import Budget
from tfprune.mapping.choice import DENSE, Choice
from tfprune.mapping.given_choices import given_candidates, given_mappings
from tfprune.mapping.inputs import keras_model, latency_model
from tfprune.mapping.judging.evaluator import Evaluator
from tfprune.mapping.judging.examples import batches_of
from tfprune.mapping.judging.metric import Metric
from tfprune.mapping.mapping import Mapping as Mapped
from tfprune.mapping.searching.claims import Claims
from tfprune.mapping.searching.display import SearchDisplay
from tfprune.mapping.searching.fingerprints import data_digest, function_label, loss_label, model_digest
from tfprune.mapping.searching.hopeless import with_losses, without_hopeless
from tfprune.mapping.searching.loop import Task, TrialLoop, is_over, judged_count, may_begin
from tfprune.mapping.searching.options import SearchOptions
from tfprune.mapping.searching.pool import WorkerPool
from tfprune.mapping.searching.result import JUDGED, OVER_BUDGET, UNKNOWN, SearchResult, Trial
from tfprune.mapping.searching.rows import front, rows_of
from tfprune.mapping.searching.samplers import sampler_of
from tfprune.mapping.searching.space import Floats, Space, features_of, key_of, space_of
from tfprune.mapping.searching.studies import (
    StudyPlace,
    agreed_population,
    agreed_space,
    claim_study,
    keep_sensitivity,
    known_sensitivity,
    open_study,
    quiet_optuna,
    storage_text,
)
from tfprune.mapping.searching.worker import Source, WorkerTask
from tfprune.mapping.sensitivity_analysis import Alone, SensitivityReport, default_candidates, measure_alone


class Session:
    """A search that is set up: model, latencies, data and choices are known.

    The arguments are those of `tfprune.mapping.searching.search`.
    """

    def __init__(
        self,
        model: Any,
        profile: CostTable | str | os.PathLike[str],
        budget: Budget,
        options: SearchOptions,
        *,
        validation_data: Any,
        training_data: Any,
        metric: Metric,
        candidates: Mapping[str, Sequence[Choice]] | None,
        start: Iterable[Mapped | Mapping[str, Choice]] | None,
        custom_objects: Mapping[str, Any] | None,
        precision: str,
        representative_data: Any,
        force: bool,
    ) -> None:
        """Predicts the choices, reads the data and runs the dense model."""
        self._begin = time.perf_counter()
        model = keras_model(model, custom_objects, compiled=True)
        self._model = model
        self._options = options
        self._budget = budget
        self._custom_objects = custom_objects
        self._latency = latency_model(
            model,
            profile,
            min_speedup=options.min_speedup,
            precision=precision,
            representative_data=representative_data,
            force=force,
        )
        self._network = self._latency.network
        listed = (
            default_candidates(self._network) if candidates is None else given_candidates(self._network, candidates)
        )
        self._start = given_mappings(self._network, start)
        self._wanted = {
            layer.name: tuple(dict.fromkeys(mapping[layer.name] for mapping in self._start if layer.name in mapping))
            for layer in self._network.layers
        }
        choices = {
            layer.name: (*listed.get(layer.name, ()), *self._wanted[layer.name]) for layer in self._network.layers
        }
        self._space, self._skipped = space_of(self._latency, choices, budget)
        self._sources = {
            name: self._source(name, data)
            for name, data in (("validation_data", validation_data), ("training_data", training_data))
        }
        self._data = {name: source.read(options) for name, source in self._sources.items()}
        self._evaluator = Evaluator(
            model,
            self._network,
            self._data["validation_data"],
            training=self._data["training_data"],
            metric=metric,
            epochs=options.epochs,
            latency=self._latency,
            seed=options.seed,
        )
        self._sign = self._evaluator.metric.sign
        self._alone: Alone = {}

    def run(self, sensitivity: bool | SensitivityReport) -> SearchResult:
        """Searches."""
        options = self._options
        if isinstance(sensitivity, SensitivityReport):
            sensitivity.check(self._model, self._evaluator.metric.label)
        with quiet_optuna(), tempfile.TemporaryDirectory(prefix="tfprune-search-") as name:
            folder = Path(name)
            storage = None if options.storage is None else storage_text(options.storage)
            if storage is None and options.workers > 1:
                storage = str(folder / "journal")
            place = StudyPlace(storage, options.study_name or self._network.name)
            study = open_study(place, options.method, self._evaluator.metric, options.pruner)
            if options.storage is not None:
                claim_study(study, place, self._subject(sensitivity))
            space = self._narrowed(study, sensitivity)
            deadline = None if options.timeout is None else time.time() + options.timeout
            task = Task(space, self._latency, self._budget, options.trials, deadline)
            first = space.fit([0] * len(space.layers), task.share)
            if first is None:
                return self._unmet(study, task)
            self._enqueue(study, space, first)
            self._run_trials(study, place, task, folder)
            return self._result(study, space, first)

    def _run_trials(self, study: Study, place: StudyPlace, task: Task, folder: Path) -> None:
        options, space = self._options, task.space
        features = features_of(space, {layer.name: layer for layer in self._network.layers})
        population = agreed_population(study, min(50, max(6, options.trials // 8)))
        study.sampler = sampler_of(options.method, space, features, options.seed, population)
        title = f"{self._network.name}, {options.method}"
        display = SearchDisplay(title, options.trials, self._evaluator.metric.label, options.progress)
        with display.live():
            if options.workers == 1:
                loop = TrialLoop(study, task, self._evaluator, Claims(study), lambda: self._show(display, study, space))
                loop.run_to_end()
                return
            claims = Claims(study)

            def wanted() -> bool:
                claims.repeat_lost()
                return may_begin(study, task)

            pool = WorkerPool(self._worker_task(place, task, features, population, folder), options.workers, folder)
            pool.run(lambda: is_over(study, task), wanted, lambda: self._show(display, study, space), claims)

    def _source(self, name: str, data: Any) -> Source:
        if callable(data) and not hasattr(data, "__iter__"):
            return Source(name, function=data)
        options = self._options
        return Source(name, tuple(batches_of(data, name, batch_size=options.batch_size, seed=options.seed)))

    def _subject(self, sensitivity: bool | SensitivityReport) -> dict[str, Any]:
        """What the search is about, in plain values."""
        keys = json.dumps({"choices": self._space.keys(), "wanted": _wanted_keys(self._wanted)}, sort_keys=True)
        options = self._options
        latency = self._latency
        profile = (
            f"{latency.table.name}, {self._network.precision}, dense {latency.dense.time:.6g} {latency.dense.unit}"
        )
        metric = self._evaluator.metric
        return {
            "method": options.method,
            "model": self._network.name,
            "weights of the model": model_digest(self._model),
            **{name: data_digest(batches) for name, batches in self._data.items()},
            "budget": [self._budget.kind, self._budget.limit],
            "metric": metric.label if metric.function is None else function_label(metric.function),
            "seed": options.seed,
            "epochs": options.epochs,
            # What a model without training is judged by is the metric alone.
            "loss": loss_label(self._model.loss) if options.epochs else "",
            "batch_size": options.batch_size,
            "max_loss": options.max_loss,
            "sensitivity": bool(sensitivity),
            "profile": profile,
            "candidates": hashlib.sha256(keys.encode()).hexdigest()[:16],
        }

    def _narrowed(self, study: Study, sensitivity: bool | SensitivityReport) -> Space:
        """The space without hopeless choices: the one that the study began with, where it has begun."""
        space = self._space
        if sensitivity is not False:
            self._alone = self._layers_alone(study, sensitivity)
            space = with_losses(space, self._alone, self._evaluator.dense, self._sign)
            narrow, hopeless = without_hopeless(
                space,
                self._alone,
                self._evaluator.dense,
                self._sign,
                max_loss=self._options.max_loss,
                wanted=self._wanted,
            )
        else:
            narrow, hopeless = space, ()
        agreed = agreed_space(study, narrow.keys())
        keep = {
            name: np.array([choice == DENSE or key_of(choice) in agreed.get(name, ()) for choice in choices])
            for name, choices in space.choices.items()
        }
        self._skipped = (*self._skipped, *hopeless)
        return space.kept(keep)

    def _layers_alone(self, study: Study, sensitivity: bool | SensitivityReport) -> Alone:
        choices = {name: {key_of(choice): choice for choice in found} for name, found in self._space.choices.items()}

        def stored() -> Alone:
            return {
                name: {choices[name][key]: value for key, value in values.items() if key in choices[name]}
                for name, values in known_sensitivity(study).items()
                if name in choices
            }

        known = stored()
        if isinstance(sensitivity, SensitivityReport):
            # Of other choices than these nothing is kept: those that read the storage know these alone.
            for name, values in sensitivity.alone.items():
                given = {choice: value for choice, value in values.items() if key_of(choice) in choices.get(name, {})}
                known[name] = {**given, **known.get(name, {})}

        def keep(layer: str, values: Mapping[Choice, float]) -> None:
            keep_sensitivity(study, layer, {key_of(choice): value for choice, value in values.items()})

        options = self._options
        found = measure_alone(
            self._evaluator,
            self._space.choices,
            known=known,
            keep=keep,
            enough=options.max_loss,
            progress=options.progress,
        )
        # As the storage has it: another process may have been quicker.
        quicker = stored()
        return {name: {**found.get(name, {}), **quicker.get(name, {})} for name in choices}

    def _enqueue(self, study: Study, space: Space, first: list[int]) -> None:
        """Puts the given mappings in line, and the one that is expected to lose least."""
        if study.get_trials(deepcopy=False):
            return
        given = [
            [
                choices.index(mapping.get(name, DENSE)) if mapping.get(name, DENSE) in choices else 0
                for name, choices in space.choices.items()
            ]
            for mapping in self._start
        ]
        for places in (*given, first):
            study.enqueue_trial(space.keys_at(places), skip_if_exists=True)

    def _worker_task(
        self, place: StudyPlace, task: Task, features: dict[str, Floats], population: int, folder: Path
    ) -> WorkerTask:
        path = folder / "model.keras"
        self._model.save(path)
        return WorkerTask(
            model=str(path),
            custom_objects=self._custom_objects,
            validation=self._sources["validation_data"],
            training=self._sources["training_data"],
            metric=self._evaluator.metric,
            task=task,
            features=features,
            options=self._options,
            place=place,
            population=population,
        )

    def _show(self, display: SearchDisplay, study: Study, space: Space) -> None:
        rows = self._rows(study, space)
        over = sum(row.status == OVER_BUDGET for row in rows)
        others = f", {over} over budget" if over else ""
        display.update(judged_count(study), others, front(rows, self._sign), self._best(rows))

    def _rows(self, study: Study, space: Space) -> tuple[Trial, ...]:
        fixed = {layer.name: DENSE for layer in self._network.layers if layer.name not in space.choices}
        return rows_of(study.get_trials(deepcopy=False), space, fixed)

    def _best(self, rows: Sequence[Trial]) -> Trial | None:
        judged = [row for row in rows if row.status == JUDGED]
        return max(judged, key=lambda row: (self._sign * (row.accuracy or 0), -(row.latency or 0)), default=None)

    def _result(self, study: Study, space: Space, first: list[int]) -> SearchResult:
        rows = self._rows(study, space)
        best = self._best(rows) or self._trial(space.at(first), UNKNOWN, "no trial was judged")
        return self._found(best, rows)

    def _unmet(self, study: Study, task: Task) -> SearchResult:
        """What is left where even the fastest mapping is over the budget: that one."""
        fastest = task.space.at(task.space.fastest())
        closest = self._trial(fastest, OVER_BUDGET, "the closest to the budget")
        return self._found(closest, self._rows(study, task.space))

    def _trial(self, choices: Mapping[str, Choice], status: str, note: str) -> Trial:
        """A mapping that is no trial of the study, judged here."""
        prediction = self._latency.predict(choices)
        found = self._evaluator.evaluate(choices, prediction)
        return Trial(
            number=-1,
            status=status,
            choices={layer.name: choices.get(layer.name, DENSE) for layer in self._network.layers},
            accuracy=found.accuracy if math.isfinite(found.accuracy) else None,
            latency=found.latency,
            stored_bytes=found.stored_bytes,
            macs=found.macs,
            share=prediction.share(self._budget, self._latency.dense),
            seconds=found.seconds,
            note=note,
        )

    def _found(self, best: Trial, rows: tuple[Trial, ...]) -> SearchResult:
        metric = self._evaluator.metric
        notes = _notes(best, rows)
        mapping = Mapped.of(
            self._latency,
            best.choices,
            budget=self._budget,
            method=self._options.method,
            reasons=self._reasons(best),
            notes=notes,
            metric=metric.label,
        )
        result = SearchResult(
            best=mapping,
            trial=best,
            front=front(rows, self._sign),
            trials=rows,
            skipped=self._skipped,
            sensitivity=self._alone,
            metric=metric.label,
            higher_is_better=bool(metric.higher_is_better),
            dense_accuracy=self._evaluator.dense,
            seconds=time.perf_counter() - self._begin,
            latency=self._latency,
        )
        tried = result.mapping_of(best).tried
        return dataclasses.replace(result, best=dataclasses.replace(mapping, tried=tried))

    def _reasons(self, best: Trial) -> dict[str, str]:
        """Why each layer is what it is; layers that nobody could choose for have the converter's reason."""
        found = {}
        for name, choices in self._space.choices.items():
            choice = best.choices[name]
            value = self._alone.get(name, {}).get(choice)
            loss = (
                ""
                if value is None or not math.isfinite(value)
                else f"; alone it loses {self._sign * (self._evaluator.dense - value):.4f}"
            )
            found[name] = f"the best mapping that {self._options.method} found, of {len(choices)} choices{loss}"
        for each in self._skipped:
            if each.layer not in self._space.choices:
                found.setdefault(each.layer, f"no choice takes less than dense; {each.choice}: {each.reason}")
        return found


def _notes(best: Trial, rows: Sequence[Trial]) -> list[str]:
    """What there is to say of a mapping that is no judged one within the budget."""
    if best.status == OVER_BUDGET:
        return ["even the fastest choice of every layer is over the budget"]
    if best.status != UNKNOWN:
        return []
    why = ", ".join(dict.fromkeys(row.note for row in rows if row.status == UNKNOWN)) or "the search ended before"
    return [f"nothing was judged ({why}): the mapping is the one that is expected to lose least, not a result"]


def _wanted_keys(wanted: Mapping[str, Sequence[Choice]]) -> dict[str, list[str]]:
    return {name: sorted(map(key_of, choices)) for name, choices in wanted.items()}
