# SPDX-License-Identifier: Apache-2.0
"""How much is pruned at which training step: pure functions of the step.

Steps count from 0 and a step is one batch. Names and formulas are those of the TensorFlow Model Optimization Toolkit,
from M. Zhu and S. Gupta, "To prune, or not to prune" (2017).
"""

from __future__ import annotations

import dataclasses
import math
import numbers
import operator
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from tfprune.errors import PatternError, ScheduleError
from tfprune.sparsity.patterns.base import check_sparsity
from tfprune.sparsity.registry import Registry

S = TypeVar("S", bound="Schedule")

# Where a schedule without an end ends: the rest of the training recovers accuracy at the final sparsity.
DEFAULT_END_FRACTION = 0.7


class Schedule(ABC):
    """A sparsity for every step; a frozen dataclass whose fields are its configuration."""

    begin_step: int
    frequency: int

    @property
    @abstractmethod
    def last_step(self) -> int | None:
        """The last step at which the target still changes; None: not known before `resolve`."""

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

    def _check_fields(self, fractions: tuple[str, ...]) -> None:
        """Checks the fields that both schedules have."""
        name = type(self).__name__
        for field in fractions:
            try:
                object.__setattr__(self, field, check_sparsity(getattr(self, field), field))
            except PatternError as error:
                raise ScheduleError(f"`{name}`: {error}") from error
        _set_whole(self, "begin_step", 0)
        _set_whole(self, "frequency", 1)


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


def _set_whole(schedule: Schedule, field: str, least: int) -> None:
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


@register
@dataclass(frozen=True)
class PolynomialDecay(Schedule):
    """Sparsity rises from `initial_sparsity` to `final_sparsity`, fast at first and ever slower.

    ``sparsity(step) = final + (initial - final) * (1 - p) ** power`` with
    ``p = clip((step - begin_step) / (end_step - begin_step), 0, 1)``.

    Masks are chosen every `frequency` steps from `begin_step` on, and at `end_step` itself, so that the final sparsity
    is reached whatever the frequency.

    Args:
        initial_sparsity: Sparsity at `begin_step`, in [0, 1). Default 0.
        final_sparsity: Sparsity from `end_step` on, in [0, 1). Must be given.
        begin_step: First pruning step, at least 0. Default 0.
        end_step: Last pruning step, after `begin_step`. None (default): 70 % of the training the schedule is used in.
        power: Exponent above 0. Default 3.
        frequency: Steps from one choice of masks to the next, at least 1. Default 100.

    Raises:
        ScheduleError: An argument that breaks a rule above.

    Example:
        >>> schedule = PolynomialDecay(0.0, 0.8, begin_step=0, end_step=200, frequency=100)
        >>> [round(schedule.sparsity(step), 3) for step in (0, 100, 200, 300)]
        [0.0, 0.7, 0.8, 0.8]
    """

    initial_sparsity: float = 0.0
    final_sparsity: float | None = None
    begin_step: int = 0
    end_step: int | None = None
    power: float = 3
    frequency: int = 100

    def __post_init__(self) -> None:
        """Checks the fields."""
        if self.final_sparsity is None:
            raise ScheduleError(
                "`PolynomialDecay` needs `final_sparsity`, the fraction of weights that are zero in the end. "
                "Received: final_sparsity=None. Write for example PolynomialDecay(final_sparsity=0.8)."
            )
        self._check_fields(("initial_sparsity", "final_sparsity"))
        if self.end_step is not None:
            _set_whole(self, "end_step", 1)
            if self.end_step <= self.begin_step:
                raise ScheduleError(
                    "`end_step` of `PolynomialDecay` must come after `begin_step`. Received: "
                    f"begin_step={self.begin_step}, end_step={self.end_step}."
                )
        power = self.power
        if isinstance(power, bool) or not isinstance(power, numbers.Real) or not 0 < power < math.inf:
            raise ScheduleError(f"`power` of `PolynomialDecay` must be a number above 0. Received: power={power!r}.")
        object.__setattr__(self, "power", power if isinstance(power, int) else float(power))

    @property
    def last_step(self) -> int | None:
        """`end_step`."""
        return self.end_step

    def sparsity(self, step: int) -> float:
        """Sparsity asked for at a step.

        Args:
            step: Training step, from 0.

        Returns:
            A fraction in [0, 1).

        Raises:
            ScheduleError: `end_step` is None: call `resolve` first.
        """
        end_step = self._known_end()
        final = float(self.final_sparsity or 0.0)
        progress = min(1.0, max(0.0, (step - self.begin_step) / (end_step - self.begin_step)))
        return float(final + (self.initial_sparsity - final) * (1 - progress) ** self.power)

    def should_prune(self, step: int) -> bool:
        """Whether masks are chosen anew at a step: every `frequency` steps from the first to the last, and at the last.

        Args:
            step: Training step, from 0.

        Returns:
            True or False.

        Raises:
            ScheduleError: `end_step` is None: call `resolve` first.
        """
        end_step = self._known_end()
        return step == end_step or self._is_turn(step, end_step)

    def resolve(self, total_steps: int) -> PolynomialDecay:
        """Sets an open `end_step` to 70 % of a training.

        Args:
            total_steps: Steps of the training, at least 1.

        Returns:
            A schedule with an `end_step`; itself, if it has one.

        Raises:
            ScheduleError: `begin_step` is later than 70 % of the training.
        """
        if self.end_step is not None:
            return self
        end_step = max(1, round(DEFAULT_END_FRACTION * total_steps))
        if end_step <= self.begin_step:
            raise ScheduleError(
                f"`begin_step` of `PolynomialDecay` must lie before its end, which without `end_step` is 70 % of the "
                f"training: step {end_step} of {total_steps}. Received: begin_step={self.begin_step}. Give `end_step`, "
                "begin earlier or train longer."
            )
        return dataclasses.replace(self, end_step=end_step)

    def _known_end(self) -> int:
        if self.end_step is None:
            raise ScheduleError("`PolynomialDecay` has no `end_step` yet. Give one, or call resolve(total_steps).")
        return self.end_step


@register
@dataclass(frozen=True)
class ConstantSparsity(Schedule):
    """The same sparsity from `begin_step` on: the target never changes, but which weights go may.

    Args:
        target_sparsity: Sparsity, in [0, 1).
        begin_step: First pruning step, at least 0. Default 0.
        end_step: Last step at which masks may change; -1 (default): they may for ever.
        frequency: Steps from one choice of masks to the next, at least 1. Default 100.

    Raises:
        ScheduleError: An argument that breaks a rule above.

    Example:
        >>> schedule = ConstantSparsity(0.5, begin_step=10, frequency=5)
        >>> [step for step in range(22) if schedule.should_prune(step)]
        [10, 15, 20]
    """

    target_sparsity: float
    begin_step: int = 0
    end_step: int = -1
    frequency: int = 100

    def __post_init__(self) -> None:
        """Checks the fields."""
        self._check_fields(("target_sparsity",))
        _set_whole(self, "end_step", -1)
        if 0 <= self.end_step < self.begin_step:
            raise ScheduleError(
                "`end_step` of `ConstantSparsity` must be -1 or not before `begin_step`. Received: "
                f"begin_step={self.begin_step}, end_step={self.end_step}."
            )

    @property
    def last_step(self) -> int | None:
        """`begin_step`: the target is reached there."""
        return self.begin_step

    def sparsity(self, step: int) -> float:
        """`target_sparsity`, at every step.

        Args:
            step: Training step, from 0.

        Returns:
            A fraction in [0, 1).
        """
        return self.target_sparsity

    def should_prune(self, step: int) -> bool:
        """Whether masks are chosen anew at a step.

        Args:
            step: Training step, from 0.

        Returns:
            True or False.
        """
        return self._is_turn(step, self.end_step)

    def resolve(self, total_steps: int) -> ConstantSparsity:
        """Itself: nothing is open.

        Args:
            total_steps: Steps of the training.

        Returns:
            This schedule.
        """
        return self
