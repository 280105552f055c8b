# SPDX-License-Identifier: Apache-2.0
"""A sparsity that rises slowly at both ends."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tfprune.sparsity.schedules.base import register
from tfprune.sparsity.schedules.rising import RisingSchedule


@register
@dataclass(frozen=True)
class CosineDecay(RisingSchedule):
    """Sparsity rises from `initial_sparsity` to `final_sparsity`, slowly at both ends and fastest in the middle.

    ``sparsity(step) = final + (initial - final) * (1 + cos(pi * p)) / 2`` with
    ``p = clip((step - begin_step) / (end_step - begin_step), 0, 1)``.

    Masks are chosen every `frequency` steps from `begin_step` on, and at `end_step` itself.

    Args:
        initial_sparsity: Sparsity at `begin_step`, in [0, 1). Default 0.
        final_sparsity: Sparsity from `end_step` on, in [0, 1). None (default): the own rate of a pattern that has one
            (`NofM`, `KernelElements` with `keep`); other patterns need a number.
        begin_step: First pruning step, at least 0. Default 0.
        end_step: Last pruning step, after `begin_step`. None (default): 70 % of the training the schedule is used in.
        frequency: Steps from one choice of masks to the next, at least 1. Default 100.

    Raises:
        ScheduleError: An argument that breaks a rule above.

    Example:
        >>> schedule = CosineDecay(0.0, 0.8, begin_step=0, end_step=200)
        >>> [round(schedule.sparsity(step), 3) for step in (0, 50, 100, 150, 200, 300)]
        [0.0, 0.117, 0.4, 0.683, 0.8, 0.8]
    """

    initial_sparsity: float = 0.0
    final_sparsity: float | None = None
    begin_step: int = 0
    end_step: int | None = None
    frequency: int = 100

    def __post_init__(self) -> None:
        """Checks the fields."""
        self._check_rise()

    def _share_left(self, progress: float) -> float:
        """``(1 + cos(pi * progress)) / 2``."""
        return (1 + math.cos(math.pi * progress)) / 2
