# SPDX-License-Identifier: Apache-2.0
"""The number by which mappings are compared: a compiled metric of the model, or a function of the user's."""

from __future__ import annotations

import dataclasses
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

    Raises:
        MappingError: something else.
    """

    name: str = "accuracy"
    higher_is_better: bool | None = None
    function: Callable[[Any], float] | None = None

    def __post_init__(self) -> None:
        """Checks the fields."""
        if not isinstance(self.name, str):
            raise MappingError(f"metric must be the name of a compiled metric, got {self.name!r}")
        if self.higher_is_better not in (None, True, False):
            raise MappingError(f"higher_is_better must be True, False or None, got {self.higher_is_better!r}")
        if self.function is not None and not callable(self.function):
            raise MappingError(f"evaluate must be a function of a model, got {self.function!r}")

    def check_data(self, validation_data: Any) -> None:
        """Refuses to measure a compiled metric on nothing.

        Args:
            validation_data: what a caller gave; None: nothing.

        Raises:
            MappingError: neither examples nor a function.
        """
        if validation_data is None and self.function is None:
            raise MappingError(
                "validation_data: give examples with labels to judge mappings on, or a function as evaluate"
            )

    def settled(self, model: Any, batches: Sequence[Batch]) -> Metric:
        """The same metric with its direction known.

        Args:
            model: Keras model, compiled unless the metric is a function.
            batches: the validation data.

        Raises:
            MappingError: a direction that is not known.
        """
        if self.higher_is_better is not None:
            return self
        if self.function is None:
            # Keras makes its metrics when it first needs them.
            model.test_on_batch(*batches[0])
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

    def measure(self, model: Any, batches: Sequence[Batch], report: Callable[[float], None] | None = None) -> float:
        """The metric over all batches.

        Args:
            model: compiled Keras model.
            batches: the validation data; not used by a function.
            report: told of the metric after each of `PARTS`; may raise, to end it.

        Raises:
            MappingError: the metric is not compiled into the model, or a function returns no number.
        """
        if self.function is not None:
            return self._checked(self.function(model))
        ends = {math.ceil(part * len(batches)) for part in PARTS} - {len(batches)}

        def after_batch(done: int, logs: dict[str, Any]) -> None:
            if report is not None and done in ends:
                report(self._found(logs))

        # Keras adds a metric up over the batches of one call only.
        given = (
            (inputs, labels) if weights is None else (inputs, labels, weights) for inputs, labels, weights in batches
        )
        callback = _batch_callback(after_batch)
        logs = model.evaluate(given, steps=len(batches), verbose=0, return_dict=True, callbacks=[callback])
        return self._found(logs)

    def part(self, batches: Sequence[Batch]) -> Sequence[Batch]:
        """The first part of the batches."""
        return batches[: math.ceil(PARTS[0] * len(batches))]

    def _found(self, logs: dict[str, Any]) -> float:
        if self.name not in logs:
            raise MappingError(f"metric must be one of the compiled {', '.join(logs)}, got {self.name!r}")
        return float(logs[self.name])

    def _checked(self, value: Any) -> float:
        try:
            return float(value)
        except (TypeError, ValueError) as error:
            raise MappingError(f"evaluate must return a number, got {type(value).__name__}: {value!r}") from error


def _batch_callback(after_batch: Callable[[int, dict[str, Any]], None]) -> Any:
    """A callback of Keras that is told how many batches are done, and of the metrics over these."""
    import keras

    class AfterBatch(keras.callbacks.Callback):  # type: ignore[misc]
        def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
            after_batch(batch + 1, logs or {})

    return AfterBatch()


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
