# SPDX-License-Identifier: Apache-2.0
"""Choices as rules of a recipe."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tfprune.errors import MappingError
from tfprune.mapping.choice import Choice
from tfprune.recipe import DEFAULT_MIN_WEIGHTS, Rule


def rule_for(name: str, choice: Choice, weights: int) -> Rule:
    """The rule of one layer.

    Args:
        name: of the layer.
        choice: what becomes of it.
        weights: how many it has.
    """
    if choice.pattern is None:
        return Rule(exactly(name), skip=True)
    # Somebody chose this layer: the usual limit, which leaves small layers alone, must not undo that.
    least = weights if weights < DEFAULT_MIN_WEIGHTS else None
    return Rule(exactly(name), choice.pattern, choice.sparsity, min_weights=least)


def paths_first(name: str) -> int:
    """Sorts names of layers for rules: a mere name matches layers of that name inside of models, too.

    Args:
        name: of a layer.

    Example:
        >>> sorted(["conv", "inner/conv"], key=paths_first)
        ['inner/conv', 'conv']
    """
    return -name.count("/")


def exactly(name: str) -> str:
    """What a rule must say to name this layer and no other.

    Args:
        name: of a layer.

    Example:
        >>> exactly("block[1]"), exactly("Dense"), exactly("conv2d_1")
        ('block[[]1]', '[D]ense', 'conv2d_1')
    """
    escaped = re.sub(r"([*?[])", r"[\1]", name)
    # A class of layers may be called so too, and names all of its layers.
    return f"[{escaped[0]}]{escaped[1:]}" if escaped.isidentifier() and escaped[0].isupper() else escaped


def check_recipe_path(path: str | os.PathLike[str]) -> None:
    """Refuses a name that no recipe can be read from.

    Raises:
        MappingError: no path, or it ends in something else than ``.yaml``, ``.yml`` or ``.json``.
    """
    if not isinstance(path, str | os.PathLike):
        raise MappingError(f"recipe: must be a path, got {type(path).__name__}: {path!r}; give a file name")
    suffixes, name = (".yaml", ".yml", ".json"), os.fsdecode(path)
    if Path(name).suffix.lower() not in suffixes:
        raise MappingError(f"recipe: must be written to a file that ends in {', '.join(suffixes)}, got `{name}`")
