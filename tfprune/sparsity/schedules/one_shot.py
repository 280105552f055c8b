# SPDX-License-Identifier: Apache-2.0
"""Everything in one cut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tfprune.sparsity.schedules.base import Schedule, register


@register
@dataclass(frozen=True)
class OneShot(Schedule):
    """Nothing goes before a step, everything at that step, and the masks stay as they are from then on.

    Args:
        final_sparsity: Sparsity from the step on, in [0, 1). None (default): the own rate of a pattern that has one
            (`NofM`, `KernelElements` with `keep`); other patterns need a number.
        begin_step: The step, at least 0. Default 0: before the first one.

    Raises:
        ScheduleError: An argument that breaks a rule above.

    Example:
        >>> schedule = OneShot(0.8, begin_step=50)
        >>> [schedule.sparsity(step) for step in (0, 49, 50, 99)]
        [0.0, 0.0, 0.8, 0.8]
        >>> [step for step in range(1000) if schedule.should_prune(step)]
        [50]
    """

    final_field: ClassVar[str] = "final_sparsity"

    final_sparsity: float | None = None
    begin_step: int = 0

    def __post_init__(self) -> None:
        """Checks the fields."""
        self._check_fields()

    @property
    def last_step(self) -> int | None:
        """`begin_step`."""
        return self.begin_step

    def sparsity(self, step: int) -> float:
        """0 before `begin_step`, then the final sparsity."""
        final = self._known_final()
        return final if step >= self.begin_step else 0.0

    def should_prune(self, step: int) -> bool:
        """At `begin_step` only."""
        return step == self.begin_step
