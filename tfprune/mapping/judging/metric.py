# SPDX-License-Identifier: Apache-2.0
"""The number by which mappings are compared: a compiled metric of the model, or a function of the user's."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tfprune.errors import MappingError
from tfprune.mapping.judging.examples import Batch

#: After these shares of the validation data a bad candidate may be given up.
PARTS = (0.25, 0.5, 1.0)


@dataclasses.dataclass(frozen=True)
class Metric:
    """What is measured, and which way is better.

    Args:
        name: of a compiled metric, as ``model.evaluate(..., return_dict=True)`` names it.
        higher_is_better: None: asked of the metric.
        function: measures a model instead, ``function(model) -> float``.
    """

    name: str = "accuracy"
    higher_is_better: bool | None = None
    function: Callable[[Any], float] | None = None

    def settled(self, model: Any) -> Metric:
        """The same metric with its direction known.

        Raises:
            MappingError: a direction that is not known.
        """
        if self.higher_is_better is not None:
            return self
        higher = True if self.function is not None else _direction(model, self.name)
        return dataclasses.replace(self, higher_is_better=higher)

    @property
    def label(self) -> str:
        """What tables call it."""
        return "evaluate" if self.function is not None else self.name

    @property
    def sign(self) -> int:
        """1 where more is better, -1 where less is."""
        return 1 if self.higher_is_better else -1

    def values(self, model: Any, batches: Sequence[Batch]) -> Iterator[tuple[float, bool]]:
        """The metric over growing parts of the batches, and whether it is that over all, the last.

        Args:
            model: compiled Keras model.
            batches: the validation data; not used by a function.

        Raises:
            MappingError: the metric is not compiled into the model, or a function returns no number.
        """
        if self.function is not None:
            yield self._checked(self.function(model)), True
            return
        ends = sorted({math.ceil(part * len(batches)) for part in PARTS})
        model.reset_metrics()
        for start, end in itertools.pairwise([0, *ends]):
            logs: dict[str, Any] = {}
            # Metrics add up from one call to the next until they are reset.
            for inputs, labels, weights in batches[start:end]:
                logs = model.test_on_batch(inputs, labels, weights, return_dict=True)
            if self.name not in logs:
                raise MappingError(f"metric must be one of the compiled {', '.join(logs)}, got {self.name!r}")
            yield float(logs[self.name]), end == ends[-1]

    def _checked(self, value: Any) -> float:
        try:
            return float(value)
        except (TypeError, ValueError) as error:
            raise MappingError(f"evaluate must return a number, got {type(value).__name__}: {value!r}") from error


def _direction(model: Any, name: str) -> bool:
    """Whether more of a metric is better, by what Keras' own metrics say of themselves, or by its name."""
    for metric in _metrics_of(model):
        direction = getattr(metric, "_direction", None)
        if metric.name == name and direction in ("up", "down"):
            return bool(direction == "up")
    if name == "loss" or name.endswith(("_loss", "error")):
        return False
    if name.endswith(("acc", "accuracy", "auc")):
        return True
    raise MappingError(f"metric {name!r}: whether more or less of it is better is not known; pass higher_is_better")


def _metrics_of(model: Any) -> Iterator[Any]:
    for metric in getattr(model, "metrics", ()):
        yield metric
        yield from getattr(metric, "metrics", ())
