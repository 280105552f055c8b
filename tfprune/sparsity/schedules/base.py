# SPDX-License-Identifier: Apache-2.0
"""What every schedule has, and how its fields are checked."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from typing import ClassVar, TypeVar

from tfprune.errors import PatternError, ScheduleError, TfpruneError
from tfprune.sparsity.configured import Configured
from tfprune.sparsity.patterns.base import check_sparsity
from tfprune.sparsity.registry import Registry

S = TypeVar("S", bound="Schedule")


class Schedule(Configured, ABC):
    """A sparsity for every step; a frozen dataclass whose fields are its configuration."""

    error: ClassVar[type[TfpruneError]] = ScheduleError

    #: Name of the field that holds the sparsity from the last step on.
    final_field: ClassVar[str]

    begin_step: int
    frequency: int

    @property
    @abstractmethod
    def last_step(self) -> int | None:
        """The last step at which the target still changes; None: not known before `resolve`."""

    @property
    def final(self) -> float | None:
        """Sparsity from the last step on; None: that of a pattern with a rate of its own, see `with_final`."""
        final: float | None = getattr(self, self.final_field)
        return final

    def with_final(self: S, sparsity: float) -> S:
        """The same schedule ending at this sparsity.

        Args:
            sparsity: Fraction in [0, 1).

        Returns:
            The schedule.

        Raises:
            ScheduleError: Not a fraction in [0, 1).
        """
        return dataclasses.replace(self, **{self.final_field: sparsity})  # type: ignore[type-var]

    @abstractmethod
    def sparsity(self, step: int) -> float:
        """Sparsity asked for at a step.

        Args:
            step: Training step, from 0.

        Returns:
            A fraction in [0, 1).

        Raises:
            ScheduleError: Something is open that `resolve` or `with_final` sets.
        """

    @abstractmethod
    def should_prune(self, step: int) -> bool:
        """Whether masks are chosen anew at a step.

        Args:
            step: Training step, from 0.

        Returns:
            True or False.

        Raises:
            ScheduleError: Something is open that `resolve` sets.
        """

    def resolve(self: S, total_steps: int) -> S:
        """The same schedule with open ends set for a training; by default nothing is open.

        Args:
            total_steps: Steps of the training, at least 1.

        Returns:
            A schedule without open ends; itself, if it had none.

        Raises:
            ScheduleError: The training is too short.
        """
        return self

    def saves_values(self, step: int) -> bool:
        """Whether the weights before a step are those that `rewinds` goes back to; by default never.

        Args:
            step: Training step, from 0.

        Returns:
            True or False.
        """
        return False

    def rewinds(self, step: int) -> bool:
        """Whether kept weights go back to their saved values when masks are chosen at a step; by default never.

        Args:
            step: Training step, from 0.

        Returns:
            True or False.
        """
        return False

    def _is_turn(self, step: int, end_step: int | None) -> bool:
        """Every `frequency` steps from `begin_step` to `end_step` (None or negative: for ever)."""
        if step < self.begin_step or (end_step is not None and 0 <= end_step < step):
            return False
        return (step - self.begin_step) % self.frequency == 0

    def _known_final(self) -> float:
        if self.final is None:
            raise ScheduleError(
                f"`{type(self).__name__}` without a final sparsity takes that of a pattern with a rate of its own, and "
                f"has none yet. Received: {self!r}. Give one, or call with_final(sparsity)."
            )
        return self.final

    def _check_fields(self, *fractions: str) -> None:
        """Checks fractions, and the fields that most schedules have."""
        name = type(self).__name__
        for field in (*fractions, *(() if self.final is None else (self.final_field,))):
            try:
                object.__setattr__(self, field, check_sparsity(getattr(self, field), field))
            except PatternError as error:
                raise ScheduleError(f"`{name}`: {error}") from error
        self._set_whole("begin_step", 0)
        if hasattr(self, "frequency"):
            self._set_whole("frequency", 1)


_REGISTRY: Registry[Schedule] = Registry("schedule", ScheduleError)
serialize = _REGISTRY.serialize
deserialize = _REGISTRY.deserialize
find = _REGISTRY.find
register = _REGISTRY.register
