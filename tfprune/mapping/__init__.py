# SPDX-License-Identifier: Apache-2.0
"""The best-suited pattern, block size and rate for every layer, from latency measured on the device.

Names are loaded when they are first used, as those of :mod:`tfprune` are.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfprune.mapping.choice import Choice
    from tfprune.mapping.mapping import Mapping
    from tfprune.mapping.profiling import profile
    from tfprune.mapping.rule_based import rules
    from tfprune.mapping.searching import search
    from tfprune.mapping.sensitivity_analysis import sensitivity
    from tfprune.mapping.training import train

__all__ = ["Choice", "Mapping", "profile", "rules", "search", "sensitivity", "train"]

# Public name: its module.
_LAZY = {
    "Choice": "tfprune.mapping.choice",
    "Mapping": "tfprune.mapping.mapping",
    "profile": "tfprune.mapping.profiling",
    "rules": "tfprune.mapping.rule_based",
    "search": "tfprune.mapping.searching",
    "sensitivity": "tfprune.mapping.sensitivity_analysis",
    "train": "tfprune.mapping.training",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
