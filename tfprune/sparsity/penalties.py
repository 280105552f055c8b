# SPDX-License-Identifier: Apache-2.0
"""Penalties that train weights towards a pattern before they are cut: pure formulas and configurations.

`tfprune.keras.penalties` carries them out inside the training step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from tfprune.errors import ScheduleError, TfpruneError
from tfprune.sparsity.configured import Configured
from tfprune.sparsity.schedules import StrengthRamp


def shrink_factor(strength: Any, learning_rate: Any) -> Any:
    """What is left of a penalised weight after one proximal step: ``1 / (1 + 2 * learning_rate * strength)``.

    It minimises ``strength * v ** 2 + (v - w) ** 2 / (2 * learning_rate)`` over ``v = factor * w``: in [0, 1] for every
    strength, so it cannot diverge, and no optimizer's scaling of gradients touches it.

    Args:
        strength: Strength of the penalty, at least 0; a number or tensor.
        learning_rate: The optimizer's learning rate, at least 0.

    Returns:
        The factor, in [0, 1].

    Example:
        >>> shrink_factor(strength=50.0, learning_rate=0.01)
        0.5
    """
    return 1 / (1 + 2 * learning_rate * strength)


@dataclass(frozen=True)
class PriorMaskPenalty(Configured):
    """KEP's penalty (Zhang et al. 2024): what is going to be cut is made small first, while the rest adapts.

    A *prior mask* ``M`` is the choice at the final sparsity, made from the weights as they are when the penalty begins:
    what a pretrained network knows about its weights. Then ``strength * sum((1 - M) * W ** 2)`` is carried out as a
    proximal step after every update, ``W *= M + (1 - M) / (1 + 2 * learning_rate * strength)``. As a part of the loss
    it would lose its strength under Adam, which divides a gradient by its own size, and diverge under SGD once
    ``learning_rate * strength`` exceeds 1. A weight's penalty ends with the last cut of its schedule.

    Args:
        strength: Strength over steps, a `StrengthRamp`. ``learning_rate * strength`` decides: at 0.05 a penalised
            weight loses a tenth a step. Its `begin_step` must come before the last cut.
        refresh: Steps from one choice of the prior mask to the next, at least 1; None (default): it is chosen once.

    Raises:
        ScheduleError: Other arguments.

    Example:
        >>> from tfprune.sparsity.schedules import StrengthRamp
        >>> penalty = PriorMaskPenalty(StrengthRamp(100.0, begin_step=50, end_step=250), refresh=80)
        >>> [step for step in range(300) if penalty.should_choose(step)]
        [50, 130, 210, 290]
    """

    error: ClassVar[type[TfpruneError]] = ScheduleError

    strength: StrengthRamp
    refresh: int | None = None

    def __post_init__(self) -> None:
        """Checks the fields."""
        if not isinstance(self.strength, StrengthRamp):
            raise ScheduleError(
                "`strength` of `PriorMaskPenalty` must be a `StrengthRamp`, such as StrengthRamp(100.0). "
                f"Received: strength={self.strength!r}."
            )
        if self.refresh is not None:
            self._set_whole("refresh")

    def should_choose(self, step: int) -> bool:
        """Whether the prior mask is chosen at a step.

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
        return {"strength": self.strength.get_config(), "refresh": self.refresh}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> PriorMaskPenalty:
        """Undoes `get_config`.

        Args:
            config: Its result.

        Returns:
            The penalty.

        Raises:
            ScheduleError: An argument is missing, unknown or wrong.
        """
        strength = config.get("strength")
        ramp = StrengthRamp.from_config(strength) if isinstance(strength, Mapping) else strength
        return super().from_config({**config, "strength": ramp})
