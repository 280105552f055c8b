# SPDX-License-Identifier: Apache-2.0
"""The same sparsity at every step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tfprune.errors import ScheduleError
from tfprune.sparsity.schedules.base import Schedule, register


@register
@dataclass(frozen=True)
class ConstantSparsity(Schedule):
    """The same sparsity from `begin_step` on: the target never changes, but which weights go may.

    Args:
        target_sparsity: Sparsity, in [0, 1). None (default): the own rate of a pattern that has one (`NofM`,
            `KernelElements` with `keep`); other patterns need a number.
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

    final_field: ClassVar[str] = "target_sparsity"

    target_sparsity: float | None = None
    begin_step: int = 0
    end_step: int = -1
    frequency: int = 100

    def __post_init__(self) -> None:
        """Checks the fields."""
        self._check_fields()
        self._set_whole("end_step", -1)
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
        """`target_sparsity`, at every step."""
        return self._known_final()

    def should_prune(self, step: int) -> bool:
        """Every `frequency` steps from `begin_step` to `end_step`."""
        return self._is_turn(step, self.end_step)
