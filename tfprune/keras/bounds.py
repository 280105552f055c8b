# SPDX-License-Identifier: Apache-2.0
"""Sparsity that stops growing where accuracy falls below a bound."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import Any

from tfprune.errors import PruningError
from tfprune.keras.pruning import Pruning
from tfprune.keras.state import PruningState

_EXAMPLE = 'stop_below={"val_accuracy": 0.9}'


class MetricBounds:
    """Takes a model back to the last epoch within its bounds, and lets sparsity grow no more.

    Bounds count from the first epoch on that is within all of them: a network that still learns is not below them yet.

    Args:
        bounds: Least value of each metric of the Keras logs.

    Raises:
        PruningError: Something else.
    """

    def __init__(self, bounds: Mapping[str, float]) -> None:
        """Checks the bounds."""
        numeric = isinstance(bounds, Mapping) and all(
            isinstance(name, str) and isinstance(value, numbers.Real) and math.isfinite(value)
            for name, value in bounds.items()
        )
        if not numeric or not bounds:
            raise PruningError(
                "`stop_below` must be None or a dictionary of metric names and their least values, such as "
                f"{_EXAMPLE}. Received: {bounds!r}."
            )
        self._bounds = {name: float(value) for name, value in bounds.items()}
        self._missing = set(self._bounds)
        self.armed = False
        self._good: tuple[PruningState, list[Any]] | None = None

    def begin(self, armed: bool) -> None:
        """Begins a training.

        Args:
            armed: Whether an earlier one, which this one continues, was within the bounds.
        """
        self.armed = armed
        self._missing = set(self._bounds)
        self._good = None

    def check(self, pruning: Pruning, model: Any, logs: Mapping[str, Any]) -> None:
        """Looks at the metrics of an epoch.

        Args:
            pruning: Its pruning.
            model: The model.
            logs: The metrics.

        Raises:
            PruningError: A metric is missing; those of a validation may be so in epochs without one.
        """
        if pruning.held:
            self._missing = set()
            return
        self._missing -= set(logs)
        validated = any(name.startswith("val_") for name in logs)
        for name in sorted(self._missing):
            if validated or not name.startswith("val_"):
                raise PruningError(
                    f"`stop_below` must name metrics of the Keras logs. Received: {name!r}; this training has "
                    f"{sorted(logs)}. Name one of these, or compile the model with that metric."
                )
        known = {name: float(logs[name]) for name in self._bounds if name in logs}
        if not known:
            return
        below = [
            f"{name} fell to {value:.4g}, below {self._bounds[name]:g}"
            for name, value in known.items()
            if not value >= self._bounds[name]
        ]
        if not below:
            # An epoch without validation says nothing of its metrics.
            if len(known) == len(self._bounds):
                self.armed = True
                self._good = (pruning.state(), model.get_weights())
        elif self.armed:
            self._go_back(pruning, model, "; ".join(below))

    def problems(self) -> list[str]:
        """What is to be said when training ends."""
        if not self._missing:
            return []
        missing = ", ".join(sorted(self._missing))
        return [f"`stop_below` had no effect: no epoch was validated, so {missing} never came up"]

    def _go_back(self, pruning: Pruning, model: Any, reason: str) -> None:
        state = None
        if self._good is not None:
            state, weights = self._good
            model.set_weights(weights)
        pruning.hold(f"{reason} after step {pruning.step_count}", state)
        self._good = None
