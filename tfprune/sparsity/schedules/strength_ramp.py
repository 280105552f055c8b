# SPDX-License-Identifier: Apache-2.0
"""How strong a penalty is at which step."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

from tfprune.errors import ScheduleError, TfpruneError
from tfprune.sparsity.configured import Configured


@dataclass(frozen=True)
class StrengthRamp(Configured):
    """How strong a penalty is at which step: nothing, then a rise, then `final`.

    ``strength(step) = initial + (final - initial) * p ** power`` with
    ``p = clip((step - begin_step) / (end_step - begin_step), 0, 1)``, and 0 before `begin_step`.

    Args:
        final: Strength from `end_step` on, a finite number of at least 0.
        begin_step: First step of the penalty, at least 0. Default 0.
        end_step: Step at which `final` is reached, not before `begin_step`; equal to it: `final` at once. None
            (default): when the last weights go, see `resolve`.
        initial: Strength at `begin_step`, at least 0. Default 0.
        power: Exponent above 0. 1 (default) is a straight line, more begins gently.

    Raises:
        ScheduleError: An argument that breaks a rule above.

    Example:
        >>> ramp = StrengthRamp(8.0, begin_step=10, end_step=14)
        >>> [ramp.strength(step) for step in (9, 10, 12, 14, 99)]
        [0.0, 0.0, 4.0, 8.0, 8.0]
    """

    error: ClassVar[type[TfpruneError]] = ScheduleError

    final: float
    begin_step: int = 0
    end_step: int | None = None
    initial: float = 0.0
    power: float = 1

    def __post_init__(self) -> None:
        """Checks the fields."""
        self._set_positive("final", zero=True)
        self._set_positive("initial", zero=True)
        self._set_positive("power")
        self._set_whole("begin_step", 0)
        if self.end_step is not None:
            self._set_whole("end_step", 0)
            if self.end_step < self.begin_step:
                raise ScheduleError(
                    "`end_step` of `StrengthRamp` must not come before `begin_step`. Received: "
                    f"begin_step={self.begin_step}, end_step={self.end_step}."
                )

    def strength(self, step: int) -> float:
        """Strength at a step.

        Args:
            step: Training step, from 0.

        Returns:
            A number of at least 0.

        Raises:
            ScheduleError: `end_step` is None: call `resolve` first.
        """
        if self.end_step is None:
            raise ScheduleError("`StrengthRamp` has no `end_step` yet. Give one, or call resolve(last_step).")
        if step < self.begin_step:
            return 0.0
        length = self.end_step - self.begin_step
        progress = min(1.0, (step - self.begin_step) / length) if length else 1.0
        return float(self.initial + (self.final - self.initial) * progress**self.power)

    def resolve(self, last_step: int) -> StrengthRamp:
        """Sets an open `end_step` to the step at which the last weights go.

        Args:
            last_step: That step.

        Returns:
            A ramp with an `end_step`; itself, if it has one.

        Raises:
            ScheduleError: The ramp begins after that step.
        """
        return self if self.end_step is not None else dataclasses.replace(self, end_step=last_step)
