# SPDX-License-Identifier: Apache-2.0
"""Rounds of training, each ended by a cut, after which the kept weights begin again from earlier values."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

from tfprune.errors import ScheduleError
from tfprune.sparsity.schedules.base import Schedule, register


@register
@dataclass(frozen=True)
class IterativeMagnitude(Schedule):
    """Rounds of training, each ended by a cut, after which the kept weights begin again from earlier values.

    Iterative magnitude pruning with rewinding: J. Frankle and M. Carbin, "The lottery ticket hypothesis" (2019). Each
    of `rounds` cuts removes the same share of what is left. After cut ``k`` the sparsity is
    ``1 - (1 - final_sparsity) ** (k / rounds)``; the cut is at step ``begin_step + k * round_steps``.

    At each cut the kept weights of the kernel go back to what they were before step `rewind_step`, and with them all
    trainable variables that nothing prunes, such as biases. The step count, the learning rate and the moments of the
    optimizer go on.

    Args:
        final_sparsity: Sparsity after the last cut, in [0, 1). None (default): the own rate of a pattern that has one
            (`NofM`, `KernelElements` with `keep`); other patterns need a number.
        rounds: Number of cuts, at least 1. Default 5.
        begin_step: First step of the first round, at least 0. Default 0.
        round_steps: Steps of a round, at least 1. None (default): so many that the training after the last cut is as
            long as a round.
        rewind_step: The step to go back to, before the first cut; a little after 0 works best for large networks.
            Default 0. None: weights stay as they are, plain iterative pruning.

    Raises:
        ScheduleError: An argument that breaks a rule above.

    Example:
        >>> schedule = IterativeMagnitude(0.75, rounds=2, round_steps=100, rewind_step=10)
        >>> [schedule.sparsity(step) for step in (0, 99, 100, 199, 200, 299)]
        [0.0, 0.0, 0.5, 0.5, 0.75, 0.75]
        >>> [step for step in range(300) if schedule.rewinds(step)]
        [100, 200]
    """

    final_field: ClassVar[str] = "final_sparsity"

    final_sparsity: float | None = None
    rounds: int = 5
    begin_step: int = 0
    round_steps: int | None = None
    rewind_step: int | None = 0

    def __post_init__(self) -> None:
        """Checks the fields."""
        self._check_fields()
        self._set_whole("rounds")
        if self.round_steps is not None:
            self._set_whole("round_steps")
        if self.rewind_step is None:
            return
        self._set_whole("rewind_step", 0)
        if self.round_steps is not None and self.rewind_step >= self.begin_step + self.round_steps:
            raise ScheduleError(
                "`rewind_step` of `IterativeMagnitude` must come before the first cut, at step "
                f"{self.begin_step + self.round_steps}. Received: rewind_step={self.rewind_step}. Go back to an "
                "earlier step, or make rounds longer."
            )

    @property
    def last_step(self) -> int | None:
        """The step of the last cut."""
        return None if self.round_steps is None else self.begin_step + self.rounds * self.round_steps

    def sparsity(self, step: int) -> float:
        """``1 - (1 - final) ** (k / rounds)`` after ``k`` cuts."""
        final = self._known_final()
        cuts = min(self.rounds, max(0, (step - self.begin_step) // self._known_round()))
        # The end is exact, without the rounding of a power.
        return final if cuts == self.rounds else float(1 - (1 - final) ** (cuts / self.rounds))

    def should_prune(self, step: int) -> bool:
        """At the cuts."""
        cut, rest = divmod(step - self.begin_step, self._known_round())
        return rest == 0 and 1 <= cut <= self.rounds

    def saves_values(self, step: int) -> bool:
        """At `rewind_step`."""
        return step == self.rewind_step

    def rewinds(self, step: int) -> bool:
        """At the cuts, unless `rewind_step` is None."""
        return self.rewind_step is not None and self.should_prune(step)

    def resolve(self, total_steps: int) -> IterativeMagnitude:
        """Sets open `round_steps` so that the training holds the rounds and one more."""
        if self.round_steps is not None:
            return self
        length = (total_steps - self.begin_step) // (self.rounds + 1)
        if length < 1:
            raise ScheduleError(
                f"The training must hold {self.rounds} rounds of `IterativeMagnitude` and one more. Received: "
                f"{total_steps} steps, begin_step={self.begin_step}. Train longer, or take fewer rounds."
            )
        return dataclasses.replace(self, round_steps=length)

    def _known_round(self) -> int:
        if self.round_steps is None:
            raise ScheduleError(
                "`IterativeMagnitude` has no `round_steps` yet. Give them, or call resolve(total_steps)."
            )
        return self.round_steps
