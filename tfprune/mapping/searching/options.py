# SPDX-License-Identifier: Apache-2.0
"""The options of a search, checked."""

from __future__ import annotations

import dataclasses
import math
import os

from tfprune.errors import MappingError

METHODS = ("policy", "optuna", "nsga2")
PRUNERS = ("median", "halving", "none")
_LEAST = {"trials": 1, "epochs": 0, "batch_size": 1, "workers": 1, "seed": 0}


@dataclasses.dataclass(frozen=True)
class SearchOptions:
    """How to search; the fields are arguments of `search`.

    Raises:
        MappingError: one that is out of its range.
    """

    method: str = "policy"
    trials: int = 200
    epochs: int = 0
    max_loss: float | None = None
    pruner: str = "median"
    batch_size: int = 128
    timeout: float | None = None
    storage: str | os.PathLike[str] | None = None
    study_name: str | None = None
    workers: int = 1
    seed: int = 0
    min_speedup: float = 1.05
    progress: bool = True

    def __post_init__(self) -> None:
        """Checks the fields."""
        for name, known in (("method", METHODS), ("pruner", PRUNERS)):
            value = getattr(self, name)
            if value not in known:
                raise MappingError(f"{name} must be one of {', '.join(known)}, got {value!r}")
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise MappingError(f"{name} must be a whole number of at least {least}, got {value!r}")
        for name in ("max_loss", "timeout"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, (int, float)) and math.isfinite(value) and value >= 0):
                raise MappingError(f"{name} must be None or a finite number of at least 0, got {value!r}")
