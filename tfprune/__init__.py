# SPDX-License-Identifier: Apache-2.0
"""tfprune: prunes Keras models into shapes of sparsity that phones run fast, and converts them for LiteRT.

Names are loaded when they are first used: ``import tfprune`` loads neither TensorFlow, Keras nor LiteRT.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tfprune import errors

if TYPE_CHECKING:
    from tfprune.converter import convert, inspect
    from tfprune.converter.benchmark import benchmark
    from tfprune.converter.verify import verify
    from tfprune.keras.callback import PruningCallback
    from tfprune.keras.permutation import permute_channels
    from tfprune.plotting import plot_masks
    from tfprune.runtime.delegate import delegate
    from tfprune.runtime.interpreter import Interpreter
    from tfprune.sparsity import patterns, penalties, schedules, scores
    from tfprune.sparsity.measure import measure
    from tfprune.sparsity.select import select, select_global

__version__ = "0.1.0"

__all__ = [
    "Interpreter",
    "PruningCallback",
    "__version__",
    "benchmark",
    "convert",
    "delegate",
    "errors",
    "inspect",
    "measure",
    "patterns",
    "penalties",
    "permute_channels",
    "plot_masks",
    "schedules",
    "scores",
    "select",
    "select_global",
    "verify",
]

# Public name: its module, and its name there (None: the module itself).
_LAZY: dict[str, tuple[str, str | None]] = {
    "Interpreter": ("tfprune.runtime.interpreter", "Interpreter"),
    "PruningCallback": ("tfprune.keras.callback", "PruningCallback"),
    "benchmark": ("tfprune.converter.benchmark", "benchmark"),
    "convert": ("tfprune.converter", "convert"),
    "delegate": ("tfprune.runtime.delegate", "delegate"),
    "inspect": ("tfprune.converter", "inspect"),
    "measure": ("tfprune.sparsity.measure", "measure"),
    "patterns": ("tfprune.sparsity.patterns", None),
    "penalties": ("tfprune.sparsity.penalties", None),
    "permute_channels": ("tfprune.keras.permutation", "permute_channels"),
    "plot_masks": ("tfprune.plotting", "plot_masks"),
    "schedules": ("tfprune.sparsity.schedules", None),
    "scores": ("tfprune.sparsity.scores", None),
    "select": ("tfprune.sparsity.select", "select"),
    "select_global": ("tfprune.sparsity.select", "select_global"),
    "verify": ("tfprune.converter.verify", "verify"),
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module_name, attribute = _LAZY[name]
    module = importlib.import_module(module_name)
    value = module if attribute is None else getattr(module, attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
