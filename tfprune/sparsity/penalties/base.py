# SPDX-License-Identifier: Apache-2.0
"""What every penalty has: a strength over steps, and when it looks at the weights anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from tfprune.errors import ScheduleError, TfpruneError
from tfprune.sparsity.configured import Configured
from tfprune.sparsity.registry import Registry
from tfprune.sparsity.schedules import StrengthRamp

P = TypeVar("P", bound="Penalty")


@dataclass(frozen=True)
class Penalty(Configured):
    """What makes weights small before they are cut; a frozen dataclass whose fields are its configuration.

    Args:
        strength: Strength over steps, a `StrengthRamp` (or its configuration).
        refresh: Steps from one look at the weights to the next, at least 1; None (default): one look, when the penalty
            begins.

    Raises:
        ScheduleError: Other arguments.
    """

    error: ClassVar[type[TfpruneError]] = ScheduleError

    strength: StrengthRamp
    refresh: int | None = None

    def __post_init__(self) -> None:
        """Checks the fields."""
        if isinstance(self.strength, Mapping):
            object.__setattr__(self, "strength", StrengthRamp.from_config(self.strength))
        if not isinstance(self.strength, StrengthRamp):
            raise ScheduleError(
                f"`strength` of `{type(self).__name__}` must be a `StrengthRamp`, such as StrengthRamp(100.0). "
                f"Received: strength={self.strength!r}."
            )
        if self.refresh is not None:
            self._set_whole("refresh")

    def should_choose(self, step: int) -> bool:
        """Whether the penalty looks at the weights at a step.

        Args:
            step: Training step, from 0.

        Returns:
            True or False.
        """
        after = step - self.strength.begin_step
        return after == 0 or (self.refresh is not None and after > 0 and after % self.refresh == 0)

    def get_config(self) -> dict[str, Any]:
        """Arguments that rebuild the penalty.

        Returns:
            A dictionary of plain values for `from_config`.
        """
        return {**super().get_config(), "strength": self.strength.get_config()}


_REGISTRY: Registry[Penalty] = Registry("penalty", ScheduleError)
serialize = _REGISTRY.serialize
deserialize = _REGISTRY.deserialize
find = _REGISTRY.find
register = _REGISTRY.register
