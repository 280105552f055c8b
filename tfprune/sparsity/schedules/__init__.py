# SPDX-License-Identifier: Apache-2.0
"""How much is pruned at which training step: pure functions of the step.

Steps count from 0 and a step is one batch. Names and formulas of `PolynomialDecay` and `ConstantSparsity` are those of
the TensorFlow Model Optimization Toolkit, from M. Zhu and S. Gupta, "To prune, or not to prune" (2017). `StrengthRamp`
is for penalties.

Example:
    >>> from tfprune.sparsity import schedules
    >>> schedule = schedules.PolynomialDecay(final_sparsity=0.8)
    >>> schedules.deserialize(schedules.serialize(schedule)) == schedule
    True
"""

from tfprune.sparsity.schedules.base import Schedule, deserialize, find, register, serialize
from tfprune.sparsity.schedules.constant_sparsity import ConstantSparsity
from tfprune.sparsity.schedules.cosine_decay import CosineDecay
from tfprune.sparsity.schedules.iterative_magnitude import IterativeMagnitude
from tfprune.sparsity.schedules.one_shot import OneShot
from tfprune.sparsity.schedules.polynomial_decay import PolynomialDecay
from tfprune.sparsity.schedules.regrowth import Regrowth
from tfprune.sparsity.schedules.strength_ramp import StrengthRamp

__all__ = [
    "ConstantSparsity",
    "CosineDecay",
    "IterativeMagnitude",
    "OneShot",
    "PolynomialDecay",
    "Regrowth",
    "Schedule",
    "StrengthRamp",
    "deserialize",
    "find",
    "register",
    "serialize",
]
