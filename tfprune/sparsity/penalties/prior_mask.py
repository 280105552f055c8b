# SPDX-License-Identifier: Apache-2.0
"""KEP's penalty: what a prior mask removes is made small."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tfprune.sparsity.penalties.base import Penalty, register


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


@register
@dataclass(frozen=True)
class PriorMaskPenalty(Penalty):
    """KEP's penalty (Zhang et al. 2024): what is going to be cut is made small first, while the rest adapts.

    A *prior mask* ``M`` is the choice at the final sparsity, made from the weights as they are when the penalty begins:
    what a pretrained network knows about its weights. Then ``strength * sum((1 - M) * W ** 2)`` is carried out as a
    proximal step after every update, ``W *= M + (1 - M) / (1 + 2 * learning_rate * strength)``. As a part of the loss
    it would lose its strength under Adam, which divides a gradient by its own size, and diverge under SGD once
    ``learning_rate * strength`` exceeds 1. A weight's penalty ends with the last cut of its schedule.

    Args:
        strength: Strength over steps: a `StrengthRamp`, or a number for one that rises to it. ``learning_rate *
            strength`` decides: at 0.05 a penalised weight loses a tenth a step. Its `begin_step` must come before the
            last cut.
        refresh: Steps from one choice of the prior mask to the next, at least 1; None (default): it is chosen once.

    Raises:
        ScheduleError: Other arguments.

    Example:
        >>> from tfprune.sparsity.schedules import StrengthRamp
        >>> penalty = PriorMaskPenalty(StrengthRamp(100.0, begin_step=50, end_step=250), refresh=80)
        >>> [step for step in range(300) if penalty.should_choose(step)]
        [50, 130, 210, 290]
    """
