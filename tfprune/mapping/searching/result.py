# SPDX-License-Identifier: Apache-2.0
"""What a search has found: the best mapping under the budget, the front, and everything that was tried."""

from __future__ import annotations

import dataclasses
from typing import Any

from tfprune.mapping.budget import Budget
from tfprune.mapping.choice import Choice
from tfprune.mapping.searching.space import Skipped
from tfprune.recipe import Recipe, Rule
from tfprune.tables import html_table, shortened, text_table

#: What became of a trial.
JUDGED, STOPPED, OVER_BUDGET = "judged", "stopped early", "over budget"
SAME, REPEATED, UNKNOWN = "judged before", "repeated", "not judged"


@dataclasses.dataclass(frozen=True)
class Trial:
    """A mapping that was proposed.

    Attributes:
        number: of the trial in the storage.
        status: ``"judged"``; ``"stopped early"``, whose accuracy is that on a part of the validation data; ``"over
            budget"``, which costs nothing; ``"judged before"``; ``"repeated"``, because its process died; or ``"not
            judged"``, with the reason as note.
        choices: by layer name; layers without one stay dense.
        accuracy: the metric, or None.
        latency: predicted, in the unit of the profile; None of repeated trials.
        stored_bytes: predicted bytes of the weights; None of repeated trials.
        macs: multiply-adds of one run; None of repeated trials.
        share: predicted share of the budget, at most 1 where it is met; None of repeated trials.
        seconds: what judging it took.
        note: what else there is to say.
    """

    number: int
    status: str
    choices: dict[str, Choice]
    accuracy: float | None
    latency: float | None
    stored_bytes: int | None
    macs: float | None
    share: float | None
    seconds: float
    note: str = ""

    @property
    def recipe(self) -> Recipe:
        """The mapping as a recipe for training."""
        sparse = {name: choice for name, choice in self.choices.items() if not choice.dense}
        rules = [Rule(name, choice.pattern, choice.sparsity, min_weights=0) for name, choice in sparse.items()]
        return Recipe([*rules, Rule("*", skip=True)])

    def to_dict(self) -> dict[str, Any]:
        """The trial as plain values; choices as text."""
        plain = dataclasses.asdict(self)
        return {**plain, "choices": {name: str(choice) for name, choice in self.choices.items()}}

    def cells(self, sizes: bool = True) -> tuple[str, ...]:
        """The texts of a table row."""
        found = [_number(self.accuracy, ".4f"), _number(self.latency, ",.4g"), _number(self.share, ".0%")]
        if sizes:
            found += [_number(self.stored_bytes and self.stored_bytes / 1000, ",.1f"), _number(self.macs, ",.3g")]
        return (str(self.number), *found, f"{sum(not each.dense for each in self.choices.values())}")


@dataclasses.dataclass(frozen=True)
class SearchResult:
    """What a search has found, as text (``str``), HTML in notebooks, or a dictionary.

    Attributes:
        best: the mapping with the best metric under the budget; where none meets it, the closest one.
        met: whether it meets the budget.
        front: judged mappings that no other one beats in the metric and in latency, from the fastest to the best.
        trials: every trial of the study, in order.
        skipped: choices that were not tried, and why.
        sensitivity: the metric of single layers by layer name and choice, alone in an otherwise dense model.
        budget: what was to be kept to.
        method: ``"policy"``, ``"optuna"`` or ``"nsga2"``.
        metric: name.
        dense_accuracy: the metric of the dense model.
        dense_latency: its predicted latency.
        unit: of latencies.
        seconds: of this call.
        model: name.
    """

    best: Trial
    met: bool
    front: tuple[Trial, ...]
    trials: tuple[Trial, ...]
    skipped: tuple[Skipped, ...]
    sensitivity: dict[str, dict[Choice, float]]
    budget: Budget
    method: str
    metric: str
    dense_accuracy: float
    dense_latency: float
    unit: str
    seconds: float
    model: str

    @property
    def judged(self) -> int:
        """Mappings that were judged, those that were stopped early among them."""
        return sum(trial.status in (JUDGED, STOPPED) for trial in self.trials)

    @property
    def recipe(self) -> Recipe:
        """The best mapping as a recipe for training."""
        return self.best.recipe

    @property
    def title(self) -> str:
        """One line on the whole."""
        best = self.best
        limit = f"{self.budget.kind}={self.budget.limit:g}"
        kept = f"meets {limit}" if self.met else f"no mapping meets {limit}: the closest one"
        faster = self.dense_latency / best.latency if best.latency else 1.0
        return (
            f"{self.model}, {self.method}: {kept}, {self.metric} {_number(best.accuracy, '.4f')} (dense "
            f"{self.dense_accuracy:.4f}), {faster:.2f}x as fast as dense; {self._counts()}; {self.seconds:.0f} s"
        )

    def to_dict(self) -> dict[str, Any]:
        """The result as plain values.

        Returns:
            ``{"model", "method", "metric", "budget", "met", "best", "front", "trials", "skipped", "sensitivity",
            "dense_accuracy", "dense_latency", "unit", "judged", "seconds"}``; trials as `Trial.to_dict` gives them.
        """
        return {
            "model": self.model,
            "method": self.method,
            "metric": self.metric,
            "budget": {self.budget.kind: self.budget.limit},
            "met": self.met,
            "best": self.best.to_dict(),
            "front": [trial.to_dict() for trial in self.front],
            "trials": [trial.to_dict() for trial in self.trials],
            "skipped": [{**dataclasses.asdict(each), "choice": str(each.choice)} for each in self.skipped],
            "sensitivity": {
                name: {str(choice): value for choice, value in found.items()}
                for name, found in self.sensitivity.items()
            },
            "dense_accuracy": self.dense_accuracy,
            "dense_latency": self.dense_latency,
            "unit": self.unit,
            "judged": self.judged,
            "seconds": self.seconds,
        }

    def __str__(self) -> str:
        """The mapping, the front and what was skipped, as plain text."""
        parts = [self.title, text_table(("layer", "choice"), self._choices(), numbers=False)]
        if self.front:
            parts += [f"front of {len(self.front)}", text_table(self._headings(), self._rows())]
        return "\n\n".join([*parts, *self._skipped_lines()])

    def _repr_html_(self) -> str:
        tables = [html_table(("layer", "choice"), self._choices(), self.title)]
        if self.front:
            tables.append(html_table(self._headings(), self._rows(), f"front of {len(self.front)}"))
        if self.skipped:
            rows = [(each.layer, str(each.choice), each.reason) for each in self.skipped]
            tables.append(html_table(("layer", "choice", "reason"), rows, "not tried"))
        return "".join(tables)

    def _choices(self) -> list[tuple[str, str]]:
        return [(name, str(choice)) for name, choice in self.best.choices.items()]

    def _headings(self) -> tuple[str, ...]:
        return ("trial", self.metric, self.unit, "of budget", "kB", "multiply-adds", "sparse layers")

    def _rows(self) -> list[tuple[str, ...]]:
        return [trial.cells() for trial in self.front]

    def _counts(self) -> str:
        found = {JUDGED: 0, STOPPED: 0, OVER_BUDGET: 0}
        for trial in self.trials:
            found[trial.status] = found.get(trial.status, 0) + 1
        return ", ".join(f"{count} {status}" for status, count in found.items() if count)

    def _skipped_lines(self) -> list[str]:
        by_reason: dict[str, list[str]] = {}
        for each in self.skipped:
            by_reason.setdefault(each.reason, []).append(f"{each.layer}: {each.choice}")
        return [f"not tried, {reason}: {shortened(names)}" for reason, names in by_reason.items()]


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
