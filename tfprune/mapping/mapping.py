# SPDX-License-Identifier: Apache-2.0
"""A mapping: what becomes of each layer, why, and what it is predicted to bring."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections import abc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tfprune.converter.columns import amount
from tfprune.errors import MappingError
from tfprune.files import check_target, write_file
from tfprune.mapping.budget import Budget, used_text
from tfprune.mapping.choice import DENSE, Choice
from tfprune.mapping.measurements import check_measured, checked_times
from tfprune.mapping.network import repeated_names
from tfprune.mapping.recipe_rules import check_recipe_path, paths_first, rule_for
from tfprune.recipe import Recipe
from tfprune.recipe.reading import written
from tfprune.tables import html_table, text_table

if TYPE_CHECKING:
    from tfprune.mapping.latency import LatencyModel, LayerPrediction, Prediction
    from tfprune.mapping.measured import MeasuredLatency

HEADERS = ("layer", "kind", "shape", "choice", "zeros", "dense", "predicted", "speed-up", "reason")
#: Columns that 100 characters have room for.
NARROW = (0, 3, 4, 5, 6, 7)


@dataclasses.dataclass(frozen=True)
class Tried:
    """A mapping that a search has tried.

    Attributes:
        time: predicted, in the profile's unit.
        accuracy: on the validation data.
        front: whether no other one is at least as fast and as accurate, and better in one of the two.
        chosen: whether it is the one that was taken.
    """

    time: float
    accuracy: float
    front: bool = False
    chosen: bool = False


@dataclasses.dataclass(frozen=True)
class MappedLayer:
    """A layer of a mapping.

    Attributes:
        name: how a recipe's rule names it.
        kind: one of :data:`tfprune.mapping.network.KINDS`.
        shape: of its kernel.
        choice: what becomes of it.
        reason: why, in a sentence.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    choice: Choice
    reason: str

    @property
    def weights(self) -> int:
        """Number of weights."""
        return math.prod(self.shape)


@dataclasses.dataclass(frozen=True)
class Mapping:
    """What becomes of each layer of a model; shows itself as a table, in notebooks too.

    Attributes:
        model: name of the model.
        layers: every layer, in the model's order.
        prediction: what the model is predicted to take under the mapping.
        dense: what the dense model is.
        budget: what was asked for.
        method: what made the mapping, such as ``"rules"``.
        profile: name of the profile.
        profile_errors: relative errors of the profile's predictions on what it was not fitted to, in words.
        min_speedup: what the converter must be given for the prediction to hold.
        precision: the same.
        notes: what else there is to say, such as why the budget is not met.
        tried: what a search has tried; none where no search was made.
        metric: name of what the accuracies of ``tried`` are.
    """

    model: str
    layers: tuple[MappedLayer, ...]
    prediction: Prediction
    dense: Prediction
    budget: Budget
    method: str
    profile: str
    profile_errors: tuple[str, ...] = ()
    min_speedup: float = 1.05
    precision: str = "float32"
    notes: tuple[str, ...] = ()
    tried: tuple[Tried, ...] = ()
    metric: str = "accuracy"

    @classmethod
    def of(
        cls,
        latency: LatencyModel,
        choices: abc.Mapping[str, Choice],
        *,
        budget: Budget,
        method: str,
        reasons: abc.Mapping[str, str],
        notes: abc.Sequence[str] = (),
        tried: abc.Sequence[Tried] = (),
        metric: str = "accuracy",
    ) -> Mapping:
        """Predicts choices and says what they are.

        Args:
            latency: predicts the model.
            choices: by layer name; a layer that is not among them stays dense.
            budget: what was asked for.
            method: what made the choices.
            reasons: a sentence for each layer; of a layer without one the converter's verdict.
            notes: what else there is to say.
            tried: what a search has tried.
            metric: name of what their accuracies are.

        Raises:
            MappingError: an unknown layer, a pattern that a layer cannot have, or layers that share a name.
        """
        shared = repeated_names(latency.network.layers)
        if shared:
            raise MappingError(
                f"layers must have names of their own, several are called {', '.join(shared)}; name them when they are "
                "made, or the models that hold them"
            )
        prediction = latency.predict(choices)
        layers = tuple(
            MappedLayer(
                name=layer.name,
                kind=layer.kind,
                shape=tuple(layer.weights.shape),
                choice=choices.get(layer.name, DENSE),
                reason=reasons.get(layer.name) or prediction.layers[layer.name].reason,
            )
            for layer in latency.network.layers
        )
        notes = [*notes, *(f"{name} stays dense: {why}" for name, why in latency.network.unsupported.items())]
        notes = [*notes, *latency.notes]
        lacking = latency.others.not_modelled
        if lacking:
            notes = [*notes, f"the profile knows nothing of {', '.join(lacking)}, which count as nothing"]
        return cls(
            model=latency.network.name,
            layers=layers,
            prediction=prediction,
            dense=latency.dense,
            budget=budget,
            method=method,
            profile=latency.table.name,
            profile_errors=_errors(latency),
            min_speedup=latency.min_speedup,
            precision=latency.network.precision,
            notes=tuple(notes),
            tried=tuple(tried),
            metric=metric,
        )

    @property
    def choices(self) -> dict[str, Choice]:
        """What becomes of each layer, by name."""
        return {layer.name: layer.choice for layer in self.layers}

    @property
    def reasons(self) -> dict[str, str]:
        """Why, by name."""
        return {layer.name: layer.reason for layer in self.layers}

    @property
    def used(self) -> float:
        """Share of the budget that is predicted to be used."""
        return self.prediction.share(self.budget, self.dense)

    @property
    def met(self) -> bool:
        """Whether the budget is predicted to be met."""
        return self.used <= 1

    @property
    def recipe(self) -> Recipe:
        """A rule for each layer, for :class:`tfprune.PruningCallback` and :func:`tfprune.prune`."""
        return Recipe([rule_for(layer.name, layer.choice, layer.weights) for layer in self._in_order()])

    @property
    def title(self) -> str:
        """One line on the whole."""
        sparse = sum(layer.sparse for layer in self.prediction.layers.values())
        outcome = "met" if self.met else "not met"
        return (
            f"{self.model}: {sparse} of {len(self.layers)} layers sparse by {self.method}; {self._before_after()}; "
            f"budget {self.budget.kind} {self.budget.limit:g}: {outcome}, {used_text(self.used)}; "
            f"profile {self.profile}"
        )

    def rows(self) -> list[tuple[str, ...]]:
        """The texts of the table, under :data:`HEADERS`."""
        return [self._cells(layer) for layer in self.layers]

    def caption(self) -> str:
        """The title, the notes and what the profile knows of its errors."""
        return "\n".join([self.title, *self.notes, *self.remarks])

    @property
    def remarks(self) -> list[str]:
        """What is to be known of the predictions, in sentences."""
        found = f"held-out errors of profile {self.profile}: {'; '.join(self.profile_errors)}"
        return [found] if self.profile_errors else []

    def to_dict(self) -> dict[str, Any]:
        """The mapping as plain values.

        Returns:
            ``{"model", "method", "profile", "profile_errors", "min_speedup", "precision", "budget": {"kind", "limit"},
            "met", "used", "unit", "time", "dense_time", "other_time", "stored_bytes", "dense_bytes", "macs",
            "dense_macs", "notes", "layers": [{"name", "kind", "shape", "pattern", "sparsity", "sparse", "time",
            "dense_time", "stored_bytes", "macs", "encoding", "reason"}, ...], "tried":
            [{"time", "accuracy", "front", "chosen"}, ...]}``.
        """
        return {
            "model": self.model,
            "method": self.method,
            "profile": self.profile,
            "profile_errors": list(self.profile_errors),
            "min_speedup": self.min_speedup,
            "precision": self.precision,
            "budget": dataclasses.asdict(self.budget),
            "met": self.met,
            "used": self.used,
            "unit": self.prediction.unit,
            "time": self.prediction.time,
            "dense_time": self.dense.time,
            "other_time": self.prediction.other_time,
            "stored_bytes": self.prediction.stored_bytes,
            "dense_bytes": self.dense.stored_bytes,
            "macs": self.prediction.macs,
            "dense_macs": self.dense.macs,
            "notes": list(self.notes),
            "layers": [self._plain(layer) for layer in self.layers],
            "tried": [dataclasses.asdict(each) for each in self.tried],
        }

    def save_recipe(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Writes the recipe, as a whole or not at all.

        Args:
            path: a ``.yaml``, ``.yml`` or ``.json`` file; YAML says the reason of each rule beside it.
            overwrite: whether an existing file may be replaced.

        Raises:
            MappingError: no path, or another suffix.
            OutputError: the file exists and ``overwrite`` is False, or cannot be written.
        """
        check_recipe_path(path)
        check_target(path, overwrite=overwrite)
        text = self._json() if Path(os.fsdecode(path)).suffix.lower() == ".json" else self._yaml()
        write_file(path, text.encode(), overwrite=overwrite)

    def to_html(
        self,
        *,
        title: str | None = None,
        measured: MeasuredLatency | None = None,
        layer_times: abc.Mapping[str, float] | None = None,
    ) -> str:
        """One HTML page with pictures, which holds everything it shows. Needs ``pip install tfprune[report]``.

        Args:
            title: what the page calls the model. Default: the model's name.
            measured: what the whole model was measured at, by :func:`tfprune.mapping.measured.measure`.
            layer_times: measured times by layer, in the profile's unit.

        Raises:
            OutputError: Jinja2 or matplotlib is missing.
            MappingError: a measured layer that the mapping does not have, or measurements that are none.
        """
        from tfprune.plotting.mapping_page import render

        times = checked_times(layer_times, self.choices)
        check_measured(measured)
        return render(self, self.model if title is None else title, times, measured)

    def save_report(self, path: str | os.PathLike[str], *, overwrite: bool = False, **options: Any) -> None:
        """Writes :meth:`to_html` to a file, as a whole or not at all.

        Args:
            path: where to; its folder must exist.
            overwrite: whether an existing file may be replaced.
            **options: as for :meth:`to_html`.

        Raises:
            OutputError: the file exists and ``overwrite`` is False, cannot be written, or what draws is missing.
            MappingError: a measured layer that the mapping does not have, or measurements that are none.
        """
        check_target(path, overwrite=overwrite)
        write_file(path, self.to_html(**options).encode(), overwrite=overwrite)

    def _in_order(self) -> list[MappedLayer]:
        """The layers in the order of their rules."""
        return sorted(self.layers, key=lambda layer: paths_first(layer.name))

    def _before_after(self) -> str:
        # In the budget's own measure, whatever that is.
        before, after = self.dense.share(self.budget, self.dense), self.used
        limit = self.budget.limit
        return f"{self.budget.kind} {before * limit:.6g} dense, {after * limit:.6g} predicted"

    def _cells(self, layer: MappedLayer) -> tuple[str, ...]:
        found = self.prediction.layers[layer.name]
        speedup = f"{found.dense_time / found.time:.2f}x" if found.sparse and found.time else "-"
        return (
            layer.name,
            layer.kind,
            "x".join(map(str, layer.shape)),
            str(layer.choice.pattern or "dense"),
            f"{found.sparsity:.1%}" if not layer.choice.dense else "-",
            amount(found.dense_time),
            amount(found.time),
            speedup,
            layer.reason,
        )

    def _plain(self, layer: MappedLayer) -> dict[str, Any]:
        found: LayerPrediction = self.prediction.layers[layer.name]
        pattern = layer.choice.pattern
        return {
            "name": layer.name,
            "kind": layer.kind,
            "shape": list(layer.shape),
            "pattern": None if pattern is None else written(pattern, "pattern"),
            "sparsity": layer.choice.sparsity,
            "sparse": found.sparse,
            "time": found.time,
            "dense_time": found.dense_time,
            "stored_bytes": found.stored_bytes,
            "macs": found.macs,
            "encoding": found.encoding,
            "reason": layer.reason,
        }

    def _json(self) -> str:
        return json.dumps(self.recipe.to_dict(), indent=2) + "\n"

    def _yaml(self) -> str:
        lines = [f"# {line}" for line in self.caption().splitlines()]
        lines.append("rules:")
        for layer, rule in zip(self._in_order(), self.recipe.to_dict()["rules"], strict=True):
            lines += [f"  # {line}" for line in layer.reason.splitlines()]
            text = yaml.safe_dump([rule], sort_keys=False, allow_unicode=True, width=1000, default_flow_style=None)
            lines += [f"  {line}" for line in text.splitlines()]
        return "\n".join(lines) + "\n"

    def __str__(self) -> str:
        """A table of plain text."""
        return f"{self.caption()}\n{text_table(HEADERS, self.rows(), numbers=False)}"

    def _repr_html_(self) -> str:
        return html_table(HEADERS, self.rows(), self.caption())


def _errors(latency: LatencyModel) -> tuple[str, ...]:
    """What a profile knows of its own errors in the precision of a model."""
    held_out = latency.table.costs(latency.network.precision).held_out
    return tuple(f"{part.replace('_', ' ')}: {errors}" for part, errors in held_out.items())
