# SPDX-License-Identifier: Apache-2.0
"""What schedules share whose sparsity rises from a first to a last step."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from typing import ClassVar, TypeVar

from tfprune.errors import ScheduleError
from tfprune.sparsity.schedules.base import Schedule

R = TypeVar("R", bound="RisingSchedule")

# Where a schedule without an end ends: the rest of the training recovers accuracy at the final sparsity.
_DEFAULT_END_FRACTION = 0.7


def default_end(total_steps: int) -> int:
    """The end of a schedule without one: 70 % of a training.

    Args:
        total_steps: Steps of the training, at least 1.
    """
    return max(1, round(_DEFAULT_END_FRACTION * total_steps))


class RisingSchedule(Schedule):
    """A schedule with the fields `initial_sparsity`, `final_sparsity`, `begin_step`, `end_step` and `frequency`."""

    final_field: ClassVar[str] = "final_sparsity"

    initial_sparsity: float
    final_sparsity: float | None
    end_step: int | None

    @property
    def last_step(self) -> int | None:
        """`end_step`."""
        return self.end_step

    def sparsity(self, step: int) -> float:
        """From `initial_sparsity` before `begin_step` to the final sparsity from `end_step` on."""
        end_step, final = self._known_end(), self._known_final()
        progress = min(1.0, max(0.0, (step - self.begin_step) / (end_step - self.begin_step)))
        return float(final + (self.initial_sparsity - final) * self._share_left(progress))

    @abstractmethod
    def _share_left(self, progress: float) -> float:
        """How much of the way is still to go, from 1 at a progress of 0 to 0 at 1."""

    def should_prune(self, step: int) -> bool:
        """Every `frequency` steps from the first to the last, and at the last."""
        end_step = self._known_end()
        return step == end_step or self._is_turn(step, end_step)

    def resolve(self: R, total_steps: int) -> R:
        """Sets an open `end_step` to 70 % of a training, which must come after `begin_step`."""
        if self.end_step is not None:
            return self
        end_step = default_end(total_steps)
        if end_step <= self.begin_step:
            raise ScheduleError(
                f"`begin_step` of `{type(self).__name__}` must lie before its end, which without `end_step` is 70 % of "
                f"the training: step {end_step} of {total_steps}. Received: begin_step={self.begin_step}. Give "
                "`end_step`, begin earlier or train longer."
            )
        return dataclasses.replace(self, end_step=end_step)  # type: ignore[type-var]  # all are dataclasses

    def _check_rise(self) -> None:
        """Checks the fields."""
        self._check_fields("initial_sparsity")
        if self.end_step is None:
            return
        self._set_whole("end_step", 1)
        if self.end_step <= self.begin_step:
            raise ScheduleError(
                f"`end_step` of `{type(self).__name__}` must come after `begin_step`. Received: "
                f"begin_step={self.begin_step}, end_step={self.end_step}."
            )

    def _known_end(self) -> int:
        if self.end_step is None:
            raise ScheduleError(
                f"`{type(self).__name__}` has no `end_step` yet. Give one, or call resolve(total_steps)."
            )
        return self.end_step
