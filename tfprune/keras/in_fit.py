# SPDX-License-Identifier: Apache-2.0
"""What the callbacks of Keras 3 and of tf_keras share."""

from __future__ import annotations

import warnings
from typing import Any

from tfprune.errors import PruningError
from tfprune.keras.pruning import Pruning
from tfprune.keras.report import PruningReport
from tfprune.recipe import DEFAULT_MIN_WEIGHTS, LayerFilters, Recipe, RecipeLike, Rule
from tfprune.sparsity.patterns import Pattern
from tfprune.sparsity.penalties import Penalty
from tfprune.sparsity.schedules import Schedule
from tfprune.sparsity.scores import Scores


class PrunesInFit:
    """The part of a callback that knows no Keras: its pruning, report, plan and log."""

    #: Set by Keras when a fit begins.
    params: Any
    _pruning: Pruning | None = None
    #: Whether the schedules are fitted to the training that runs.
    _planned = False

    @property
    def report(self) -> PruningReport:
        """What each layer's pattern, target and achieved sparsity are now, or why it was skipped.

        Raises:
            PruningError: No ``fit`` has begun with this callback.
        """
        if self._pruning is None:
            raise PruningError("There is no report before training: pass the callback to model.fit(...) first.")
        return self._pruning.report()

    def _plan(self, pruning: Pruning, epoch: int) -> list[str]:
        """Fits the schedules to the epochs from this one on; returns what will not be reached."""
        steps = self.params.get("steps")
        return pruning.plan(None if steps is None else steps * (self.params["epochs"] - epoch))

    def _log(self, logs: dict[str, Any] | None) -> None:
        """Gives Keras the sparsity."""
        if logs is not None and self._pruning is not None:
            logs["sparsity"] = self._pruning.sparsity


def recipe_of(
    pattern: Pattern | None = None,
    schedule: Schedule | None = None,
    *,
    recipe: RecipeLike | None = None,
    filters: LayerFilters = None,
    scores: Scores = "l1",
    scope: str = "layer",
    penalty: Penalty | None = None,
    min_weights: int = DEFAULT_MIN_WEIGHTS,
) -> Recipe:
    """The recipe that the arguments of a callback, see `tfprune.PruningCallback`, are or make.

    Raises:
        PruningError: A recipe beside what has its place in one, or arguments that make none.
    """
    if recipe is None:
        return Recipe(Rule(filters, pattern, None, schedule, scores, penalty, min_weights), scope)
    given = {"pattern": pattern, "schedule": schedule, "filters": filters, "penalty": penalty}
    _check_alone({**given, "scores": scores, "scope": scope, "min_weights": min_weights})
    return Recipe.of(recipe)


def warn_once(problems: list[str]) -> None:
    """One warning of everything that is wrong with a fit; none where nothing is.

    Args:
        problems: What is wrong.
    """
    if problems:
        # From here over the callback's method to Keras, which calls it.
        warnings.warn(f"PruningCallback: {'; '.join(problems)}.", UserWarning, stacklevel=3)


def _check_alone(arguments: dict[str, Any]) -> None:
    """With a recipe, nothing may be given that has its place in one."""
    defaults = {"scores": "l1", "scope": "layer", "min_weights": DEFAULT_MIN_WEIGHTS}
    given = [name for name, value in arguments.items() if value is not defaults.get(name)]
    if given:
        raise PruningError(
            "`PruningCallback` takes a recipe, or a pattern and schedule with their options. Received: `recipe` and "
            f"`{given[0]}`. Write that into the recipe."
        )
