# SPDX-License-Identifier: Apache-2.0
"""What every penalty has: a strength over steps, and when it looks at the weights anew."""

from __future__ import annotations

import numbers
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
        strength: Strength over steps, a `StrengthRamp`; a number of at least 0 is a ramp to that.
            As in files it may be a dictionary, ``{"final": 100.0}`` or ``{"StrengthRamp": {"final": 100.0}}``.
        refresh: Steps from one look at the weights to the next, at least 1; None (default): one look, when the penalty
            begins.

    Raises:
        ScheduleError: Other arguments.
    """

    error: ClassVar[type[TfpruneError]] = ScheduleError

    strength: StrengthRamp | float
    refresh: int | None = None

    def __post_init__(self) -> None:
        """Checks the fields."""
        object.__setattr__(self, "strength", self._ramp_from(self.strength))
        if self.refresh is not None:
            self._set_whole("refresh")

    @property
    def ramp(self) -> StrengthRamp:
        """The strength over steps."""
        assert isinstance(self.strength, StrengthRamp)  # since __post_init__
        return self.strength

    def should_choose(self, step: int) -> bool:
        """Whether the penalty looks at the weights at a step.

        Args:
            step: Training step, from 0.

        Returns:
            True or False.
        """
        after = step - self.ramp.begin_step
        return after == 0 or (self.refresh is not None and after > 0 and after % self.refresh == 0)

    def get_config(self) -> dict[str, Any]:
        """Arguments that rebuild the penalty.

        Returns:
            A dictionary of plain values for `from_config`.
        """
        return {**super().get_config(), "strength": self.ramp.get_config()}

    def _ramp_from(self, value: Any) -> StrengthRamp:
        """The ramp that an argument is, or stands for."""
        subject = f"`strength` of `{type(self).__name__}`"
        try:
            if isinstance(value, Mapping):
                config = value["StrengthRamp"] if set(value) == {"StrengthRamp"} else value
                return StrengthRamp.from_config(config)
            if isinstance(value, numbers.Real) and not isinstance(value, bool):
                return StrengthRamp(value)  # type: ignore[arg-type]  # which it makes a plain number
        except ScheduleError as error:
            raise ScheduleError(f"{subject}: {error}") from error
        if not isinstance(value, StrengthRamp):
            raise ScheduleError(
                f"{subject} must be a number, or a `StrengthRamp`, such as StrengthRamp(100.0, begin_step=500). "
                f"Received: strength={value!r}."
            )
        return value


_REGISTRY: Registry[Penalty] = Registry("penalty", ScheduleError)
serialize = _REGISTRY.serialize
deserialize = _REGISTRY.deserialize
find = _REGISTRY.find
register = _REGISTRY.register
