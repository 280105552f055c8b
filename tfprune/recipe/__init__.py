# SPDX-License-Identifier: Apache-2.0
"""Recipes: which layers get which pattern, sparsity and schedule, as data. Knows no Keras.

A `Recipe` is an ordered list of `Rule` objects, written in Python, YAML, JSON or as a dictionary. Layers are described
by `LayerInfo`; `Recipe.match` says which rule each of their kernels gets.
"""

from tfprune.recipe.matching import LayerFilter, LayerFilters, LayerInfo
from tfprune.recipe.recipe import Match, Recipe, RecipeLike
from tfprune.recipe.rule import DEFAULT_MIN_WEIGHTS, Rule

__all__ = ["DEFAULT_MIN_WEIGHTS", "LayerFilter", "LayerFilters", "LayerInfo", "Match", "Recipe", "RecipeLike", "Rule"]
