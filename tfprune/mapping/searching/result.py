# SPDX-License-Identifier: Apache-2.0
"""What a search has found: the best mapping under the budget, the front, and everything that was tried."""

from __future__ import annotations

import dataclasses
import html
from typing import TYPE_CHECKING, Any

from tfprune.mapping.budget import Budget
from tfprune.mapping.choice import Choice
from tfprune.mapping.mapping import Mapping, Tried
from tfprune.mapping.searching.space import Skipped
from tfprune.tables import html_table, shortened, text_table

if TYPE_CHECKING:
    from tfprune.mapping.latency import LatencyModel

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

    def to_dict(self) -> dict[str, Any]:
        """The trial as plain values; choices as text."""
        plain = dataclasses.asdict(self)
        return {**plain, "choices": {name: str(choice) for name, choice in self.choices.items()}}

    def cells(self) -> tuple[str, ...]:
        """The texts of a table row."""
        return (
            str(self.number),
            _number(self.accuracy, ".4f"),
            _number(self.latency, ",.4g"),
            _number(self.share, ".0%"),
            _number(self.stored_bytes and self.stored_bytes / 1000, ",.1f"),
            _number(self.macs, ",.3g"),
            f"{sum(not each.dense for each in self.choices.values())}",
        )


@dataclasses.dataclass(frozen=True)
class SearchResult:
    """What a search has found, as text (``str``), HTML in notebooks, or a dictionary.

    Attributes:
        best: the mapping with the best metric under the budget; where none meets it, the closest one.
        trial: the trial that it was.
        front: judged mappings that no other one beats in the metric and in latency, from the fastest to the best.
        trials: every trial of the study, in order.
        skipped: choices that were not tried, and why.
        sensitivity: the metric of single layers by layer name and choice, alone in an otherwise dense model; empty
            where it was not asked for.
        metric: name.
        higher_is_better: which way.
        dense_accuracy: the metric of the dense model.
        seconds: of this call.
        latency: what predicted the latencies.
    """

    best: Mapping
    trial: Trial
    front: tuple[Trial, ...]
    trials: tuple[Trial, ...]
    skipped: tuple[Skipped, ...]
    sensitivity: dict[str, dict[Choice, float]]
    metric: str
    higher_is_better: bool
    dense_accuracy: float
    seconds: float
    latency: LatencyModel = dataclasses.field(repr=False, compare=False)

    @property
    def met(self) -> bool:
        """Whether the best mapping meets the budget."""
        return self.best.met

    @property
    def accuracy(self) -> float | None:
        """The metric of the best mapping; None where it is no finite number."""
        return self.trial.accuracy

    @property
    def judged(self) -> int:
        """Mappings that were judged, those that were stopped early among them."""
        return sum(trial.status in (JUDGED, STOPPED) for trial in self.trials)

    @property
    def budget(self) -> Budget:
        """What was to be kept to."""
        return self.best.budget

    @property
    def title(self) -> str:
        """One line on the whole."""
        limit = f"{self.budget.kind} {self.budget.limit:g}"
        kept = f"within {limit}" if self.met else f"no mapping meets {limit}, the closest one:"
        faster = self.best.dense.time / self.best.prediction.time
        return (
            f"{self.best.model}, {self.best.method}: {kept} {self.metric} {_number(self.accuracy, '.4f')} (dense "
            f"{self.dense_accuracy:.4f}) at {faster:.2f}x the dense speed; {self._counts()}; {self.seconds:.0f} s"
        )

    def mapping_of(self, trial: Trial) -> Mapping:
        """A trial as a mapping, with its recipe and report: one of the front, for example."""
        tried = [
            Tried(each.latency, each.accuracy, each in self.front, each.number == trial.number)
            for each in self.trials
            if each.status == JUDGED and each.latency is not None and each.accuracy is not None
        ]
        return Mapping.of(
            self.latency,
            trial.choices,
            budget=self.budget,
            method=self.best.method,
            reasons=self.best.reasons if trial is self.trial else {},
            tried=tried,
            metric=self.metric,
        )

    def to_dict(self) -> dict[str, Any]:
        """The result as plain values.

        Returns:
            ``{"best", "trial", "met", "metric", "higher_is_better", "accuracy", "dense_accuracy", "front", "trials",
            "skipped", "sensitivity", "judged", "seconds"}``; the best mapping as `Mapping.to_dict` gives it.
        """
        return {
            "best": self.best.to_dict(),
            "trial": self.trial.to_dict(),
            "met": self.met,
            "metric": self.metric,
            "higher_is_better": self.higher_is_better,
            "accuracy": self.accuracy,
            "dense_accuracy": self.dense_accuracy,
            "front": [trial.to_dict() for trial in self.front],
            "trials": [trial.to_dict() for trial in self.trials],
            "skipped": [
                {"layer": each.layer, "choice": str(each.choice), "rule": each.rule, "reason": each.reason}
                for each in self.skipped
            ],
            "sensitivity": {
                name: {str(choice): value for choice, value in found.items()}
                for name, found in self.sensitivity.items()
            },
            "judged": self.judged,
            "seconds": self.seconds,
        }

    def __str__(self) -> str:
        """The mapping, the front and what was skipped, as plain text."""
        parts = [self.title, str(self.best)]
        if self.front:
            parts.append(f"front of {len(self.front)}\n{text_table(self._headings(), self._rows())}")
        return "\n\n".join([*parts, *self._skipped_lines()])

    def _repr_html_(self) -> str:
        tables = [f"<p>{html.escape(self.title)}</p>", self.best._repr_html_()]
        if self.front:
            tables.append(html_table(self._headings(), self._rows(), f"front of {len(self.front)}"))
        if self.skipped:
            rows = [(each.layer, str(each.choice), f"{each.rule}: {each.reason}") for each in self.skipped]
            tables.append(html_table(("layer", "choice", "reason"), rows, "not tried"))
        return "".join(tables)

    def _headings(self) -> tuple[str, ...]:
        unit = self.best.prediction.unit
        return ("trial", self.metric, unit, "of budget", "kB", "multiply-adds", "sparse layers")

    def _rows(self) -> list[tuple[str, ...]]:
        return [trial.cells() for trial in self.front]

    def _counts(self) -> str:
        found = {JUDGED: 0, STOPPED: 0, OVER_BUDGET: 0}
        for trial in self.trials:
            found[trial.status] = found.get(trial.status, 0) + 1
        return ", ".join(f"{count} {status}" for status, count in found.items() if count) or "nothing was tried"

    def _skipped_lines(self) -> list[str]:
        by_rule: dict[str, list[str]] = {}
        for each in self.skipped:
            by_rule.setdefault(each.rule, []).append(f"{each.layer}: {each.choice}")
        return [f"{len(names)} not tried, {rule}: {shortened(names)}" for rule, names in by_rule.items()]


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
