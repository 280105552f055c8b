# SPDX-License-Identifier: Apache-2.0
"""A sparsity that rises fast at first and ever slower."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

from tfprune.errors import ScheduleError
from tfprune.sparsity.schedules.base import Schedule, register

# Where a schedule without an end ends: the rest of the training recovers accuracy at the final sparsity.
_DEFAULT_END_FRACTION = 0.7


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
        final_sparsity: Sparsity from `end_step` on, in [0, 1). None (default): the own rate of a pattern that has one
            (`NofM`, `KernelElements` with `keep`); other patterns need a number.
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

    final_field: ClassVar[str] = "final_sparsity"

    initial_sparsity: float = 0.0
    final_sparsity: float | None = None
    begin_step: int = 0
    end_step: int | None = None
    power: float = 3
    frequency: int = 100

    def __post_init__(self) -> None:
        """Checks the fields."""
        self._check_fields(("initial_sparsity", *(() if self.final_sparsity is None else ("final_sparsity",))))
        if self.end_step is not None:
            self._set_whole("end_step", 1)
            if self.end_step <= self.begin_step:
                raise ScheduleError(
                    "`end_step` of `PolynomialDecay` must come after `begin_step`. Received: "
                    f"begin_step={self.begin_step}, end_step={self.end_step}."
                )
        self._set_positive("power")

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
            ScheduleError: `end_step` or `final_sparsity` is None: call `resolve` or `with_final` first.
        """
        end_step = self._known_end()
        final = self._known_final()
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
        end_step = max(1, round(_DEFAULT_END_FRACTION * total_steps))
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
