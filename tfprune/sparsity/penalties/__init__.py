# SPDX-License-Identifier: Apache-2.0
"""Penalties that train weights towards a pattern before they are cut: pure formulas and configurations.

`tfprune.keras.penalties` carries them out inside the training step, `tfprune.keras.penalty_loss` as a term of a loss.

Example:
    >>> from tfprune.sparsity import penalties
    >>> from tfprune.sparsity.schedules import StrengthRamp
    >>> penalty = penalties.AdmmPenalty(StrengthRamp(10.0), refresh=50)
    >>> penalties.deserialize(penalties.serialize(penalty)) == penalty
    True
"""

from tfprune.sparsity.penalties.admm import AdmmPenalty
from tfprune.sparsity.penalties.base import Penalty, deserialize, find, register, serialize
from tfprune.sparsity.penalties.prior_mask import PriorMaskPenalty
from tfprune.sparsity.penalties.reweighted_group import ReweightedGroupPenalty

__all__ = [
    "AdmmPenalty",
    "Penalty",
    "PriorMaskPenalty",
    "ReweightedGroupPenalty",
    "deserialize",
    "find",
    "register",
    "serialize",
]
