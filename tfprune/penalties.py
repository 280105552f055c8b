# SPDX-License-Identifier: Apache-2.0
"""Penalties that train weights towards a pattern: configurations, and `PenaltyLoss` for training loops of one's own.

Only `PenaltyLoss` needs Keras, which is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfprune.sparsity.penalties import (
    AdmmPenalty,
    Penalty,
    PriorMaskPenalty,
    ReweightedGroupPenalty,
    deserialize,
    find,
    register,
    serialize,
)

if TYPE_CHECKING:
    from tfprune.keras.penalty_loss import PenaltyLoss

__all__ = [
    "AdmmPenalty",
    "Penalty",
    "PenaltyLoss",
    "PriorMaskPenalty",
    "ReweightedGroupPenalty",
    "deserialize",
    "find",
    "register",
    "serialize",
]


def __getattr__(name: str) -> Any:
    if name == "PenaltyLoss":
        from tfprune.keras.penalty_loss import PenaltyLoss

        return PenaltyLoss
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
