# SPDX-License-Identifier: Apache-2.0
"""tfprune: prunes Keras models into shapes of sparsity that phones run fast, and converts them for LiteRT.

Names are loaded when they are first used: ``import tfprune`` loads neither TensorFlow, Keras nor LiteRT.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tfprune import errors

if TYPE_CHECKING:
    from tfprune import mapping, penalties
    from tfprune.converter import convert, inspect
    from tfprune.converter.benchmark import benchmark
    from tfprune.converter.verify import verify
    from tfprune.keras.callback import PruningCallback
    from tfprune.keras.permutation import permute_channels
    from tfprune.keras.pruned import Pruned
    from tfprune.keras.pruner import Pruner
    from tfprune.keras.wrapping import strip, wrap
    from tfprune.one_shot import prune
    from tfprune.plotting import plot_masks
    from tfprune.recipe import Recipe, Rule
    from tfprune.runtime.delegate import delegate
    from tfprune.runtime.interpreter import Interpreter
    from tfprune.sparsity import patterns, schedules, scores
    from tfprune.sparsity.measure import measure
    from tfprune.sparsity.select import select, select_global

__version__ = "0.1.0"

__all__ = [
    "Interpreter",
    "Pruned",
    "Pruner",
    "PruningCallback",
    "Recipe",
    "Rule",
    "__version__",
    "benchmark",
    "convert",
    "delegate",
    "errors",
    "inspect",
    "mapping",
    "measure",
    "patterns",
    "penalties",
    "permute_channels",
    "plot_masks",
    "prune",
    "schedules",
    "scores",
    "select",
    "select_global",
    "strip",
    "verify",
    "wrap",
]

# Public name: its module, and its name there (None: the module itself).
_LAZY: dict[str, tuple[str, str | None]] = {
    "Interpreter": ("tfprune.runtime.interpreter", "Interpreter"),
    "Pruned": ("tfprune.keras.pruned", "Pruned"),
    "Pruner": ("tfprune.keras.pruner", "Pruner"),
    "PruningCallback": ("tfprune.keras.callback", "PruningCallback"),
    "Recipe": ("tfprune.recipe", "Recipe"),
    "Rule": ("tfprune.recipe", "Rule"),
    "benchmark": ("tfprune.converter.benchmark", "benchmark"),
    "convert": ("tfprune.converter", "convert"),
    "delegate": ("tfprune.runtime.delegate", "delegate"),
    "inspect": ("tfprune.converter", "inspect"),
    "mapping": ("tfprune.mapping", None),
    "measure": ("tfprune.sparsity.measure", "measure"),
    "patterns": ("tfprune.sparsity.patterns", None),
    "penalties": ("tfprune.penalties", None),
    "permute_channels": ("tfprune.keras.permutation", "permute_channels"),
    "plot_masks": ("tfprune.plotting", "plot_masks"),
    "prune": ("tfprune.one_shot", "prune"),
    "schedules": ("tfprune.sparsity.schedules", None),
    "scores": ("tfprune.sparsity.scores", None),
    "select": ("tfprune.sparsity.select", "select"),
    "select_global": ("tfprune.sparsity.select", "select_global"),
    "strip": ("tfprune.keras.wrapping", "strip"),
    "verify": ("tfprune.converter.verify", "verify"),
    "wrap": ("tfprune.keras.wrapping", "wrap"),
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
