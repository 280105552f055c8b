# SPDX-License-Identifier: Apache-2.0
"""What every schedule has, and how its fields are checked."""

from __future__ import annotations

import dataclasses
import math
import numbers
import operator
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, TypeVar

from tfprune.errors import PatternError, ScheduleError
from tfprune.sparsity.patterns.base import check_sparsity
from tfprune.sparsity.registry import Registry

S = TypeVar("S", bound="Schedule")


class Schedule(ABC):
    """A sparsity for every step; a frozen dataclass whose fields are its configuration."""

    begin_step: int
    frequency: int

    @property
    @abstractmethod
    def last_step(self) -> int | None:
        """The last step at which the target still changes; None: not known before `resolve`."""

    @property
    @abstractmethod
    def final(self) -> float | None:
        """Sparsity from the last step on; None: that of a pattern with a rate of its own, see `with_final`."""

    @abstractmethod
    def with_final(self: S, sparsity: float) -> S:
        """The same schedule ending at this sparsity."""

    @abstractmethod
    def sparsity(self, step: int) -> float:
        """Sparsity asked for at a step, a fraction in [0, 1)."""

    @abstractmethod
    def should_prune(self, step: int) -> bool:
        """Whether masks are chosen anew at a step."""

    @abstractmethod
    def resolve(self: S, total_steps: int) -> S:
        """The same schedule with open ends set for a training of this many steps."""

    def get_config(self) -> dict[str, Any]:
        """Arguments that rebuild the schedule.

        Returns:
            A dictionary of plain values: ``type(s)(**s.get_config()) == s``.
        """
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}  # type: ignore[arg-type]

    @classmethod
    def from_config(cls: type[S], config: Mapping[str, Any]) -> S:
        """Undoes `get_config`.

        Args:
            config: Arguments of the class.

        Returns:
            The schedule.

        Raises:
            ScheduleError: An argument is missing, unknown or wrong.
        """
        try:
            return cls(**config)
        except TypeError as error:
            raise ScheduleError(f"The config of `{cls.__name__}` must fit: {error}. Received: {config!r}.") from error

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

    def _check_fields(self, fractions: tuple[str, ...]) -> None:
        """Checks the fields that both schedules have."""
        name = type(self).__name__
        for field in fractions:
            try:
                object.__setattr__(self, field, check_sparsity(getattr(self, field), field))
            except PatternError as error:
                raise ScheduleError(f"`{name}`: {error}") from error
        set_whole(self, "begin_step", 0)
        set_whole(self, "frequency", 1)


_REGISTRY: Registry[Schedule] = Registry("schedule", ScheduleError)
serialize = _REGISTRY.serialize
deserialize = _REGISTRY.deserialize


def register(cls: type[S]) -> type[S]:
    """Class decorator: makes a schedule known to `serialize` and `deserialize`.

    Args:
        cls: A frozen dataclass derived from `Schedule`.

    Returns:
        The class.
    """
    _REGISTRY.register(cls)
    return cls


def set_whole(schedule: object, field: str, least: int) -> None:
    """Checks a whole-number field and stores it as an int."""
    value = getattr(schedule, field)
    try:
        number = least - 1 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = least - 1
    if number < least:
        raise ScheduleError(
            f"`{field}` of `{type(schedule).__name__}` must be a whole number of at least {least}. "
            f"Received: {field}={value!r}."
        )
    object.__setattr__(schedule, field, number)


def set_positive(schedule: object, field: str, *, zero: bool = False) -> None:
    """Checks a finite number above 0, or at least 0, and stores it as a plain one."""
    value = getattr(schedule, field)
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not real or not (0 < value < math.inf or (zero and value == 0)):
        raise ScheduleError(
            f"`{field}` of `{type(schedule).__name__}` must be a finite number {'of at least' if zero else 'above'} 0. "
            f"Received: {field}={value!r}."
        )
    object.__setattr__(schedule, field, value if isinstance(value, int) else float(value))
