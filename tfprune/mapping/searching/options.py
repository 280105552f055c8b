# SPDX-License-Identifier: Apache-2.0
"""The options of a search, checked."""

from __future__ import annotations

import dataclasses
import math
import os

from tfprune.errors import MappingError
from tfprune.mapping.inputs import whole_number
from tfprune.sparsity.configured import as_float

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
            # Storages are plain JSON.
            object.__setattr__(self, name, whole_number(getattr(self, name), name, least))
        for name in ("max_loss", "timeout"):
            value = getattr(self, name)
            if value is None:
                continue
            if not 0 <= as_float(value) < math.inf:
                raise MappingError(f"{name} must be None or a finite number of at least 0, got {value!r}")
            object.__setattr__(self, name, as_float(value))
        if self.storage is not None and not (isinstance(self.storage, (str, os.PathLike)) and os.fspath(self.storage)):
            raise MappingError(
                f"storage must be the path of a journal file or the URL of a database, got {self.storage!r}"
            )
        if self.study_name is not None and not (isinstance(self.study_name, str) and self.study_name):
            raise MappingError(f"study_name must be a text that is not empty, or None, got {self.study_name!r}")
