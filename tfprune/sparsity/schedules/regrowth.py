# SPDX-License-Identifier: Apache-2.0
"""Masks that open now and then, so that removed weights can come back."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

from tfprune.errors import ScheduleError
from tfprune.sparsity.schedules.base import Schedule, register
from tfprune.sparsity.schedules.rising import default_end


@register
@dataclass(frozen=True)
class Regrowth(Schedule):
    """The final sparsity at once, and masks that open before each new choice, so that removed weights can come back.

    A removed weight is zero at the end of every step, so no choice by magnitude would take it back. Here all weights
    train for `open_steps` steps before each choice but the first, the removed ones from zero on; then the choice is
    made over all of them. What a removed weight is worth by then is the sum of its updates: the larger its gradient,
    the sooner it comes back. Choices are at ``begin_step + k * frequency``, as long as that is not after `end_step`;
    between opening and choice the sparsity is 0, else `final_sparsity`.

    Args:
        final_sparsity: Sparsity, in [0, 1). None (default): the own rate of a pattern that has one (`NofM`,
            `KernelElements` with `keep`); other patterns need a number.
        begin_step: First choice, at least 0. Default 0.
        end_step: No choice is later, at least `begin_step` + `frequency`. None (default): 70 % of the training the
            schedule is used in.
        frequency: Steps from one choice to the next, at least 2. Default 100.
        open_steps: Steps without masks before a choice, at least 1 and fewer than `frequency`; not fewer than
            ``steps_per_execution``. Default 10.

    Raises:
        ScheduleError: An argument that breaks a rule above.

    Example:
        >>> schedule = Regrowth(0.8, end_step=9, frequency=4, open_steps=2)
        >>> [schedule.sparsity(step) for step in range(10)]
        [0.8, 0.8, 0.0, 0.0, 0.8, 0.8, 0.0, 0.0, 0.8, 0.8]
    """

    final_field: ClassVar[str] = "final_sparsity"

    final_sparsity: float | None = None
    begin_step: int = 0
    end_step: int | None = None
    frequency: int = 100
    open_steps: int = 10

    def __post_init__(self) -> None:
        """Checks the fields."""
        self._check_fields()
        self._set_whole("frequency", 2)
        self._set_whole("open_steps")
        if self.open_steps >= self.frequency:
            raise ScheduleError(
                "`open_steps` of `Regrowth` must be fewer than `frequency`. Received: "
                f"open_steps={self.open_steps}, frequency={self.frequency}."
            )
        if self.end_step is None:
            return
        self._set_whole("end_step", 1)
        if self.end_step < self.begin_step + self.frequency:
            raise ScheduleError(
                "`end_step` of `Regrowth` must leave room for a second choice, `frequency` steps after `begin_step`. "
                f"Received: begin_step={self.begin_step}, frequency={self.frequency}, end_step={self.end_step}."
            )

    @property
    def last_step(self) -> int | None:
        """The step of the last choice."""
        if self.end_step is None:
            return None
        return self.end_step - (self.end_step - self.begin_step) % self.frequency

    def sparsity(self, step: int) -> float:
        """0 before `begin_step` and while masks are open, else the final sparsity."""
        final = self._known_final()
        if step < self.begin_step:
            return 0.0
        is_open = (step - self.begin_step) % self.frequency >= self.frequency - self.open_steps
        return 0.0 if is_open and step < self._known_last() else final

    def should_prune(self, step: int) -> bool:
        """Where masks are chosen, and where they open."""
        last = self._known_last()
        opening = self._is_turn(step + self.open_steps, last) and step > self.begin_step
        return self._is_turn(step, last) or opening

    def resolve(self, total_steps: int) -> Regrowth:
        """Sets an open `end_step` to 70 % of a training, which must leave room for a second choice."""
        if self.end_step is not None:
            return self
        return dataclasses.replace(self, end_step=default_end(total_steps))

    def _known_last(self) -> int:
        if self.last_step is None:
            raise ScheduleError("`Regrowth` has no `end_step` yet. Give one, or call resolve(total_steps).")
        return self.last_step
