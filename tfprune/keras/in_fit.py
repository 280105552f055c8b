# SPDX-License-Identifier: Apache-2.0
"""What the callbacks of Keras 3 and of tf_keras share."""

from __future__ import annotations

import warnings
from typing import Any

from tfprune.errors import PruningError
from tfprune.keras.backends import attach_state
from tfprune.keras.ending import Ending
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
    model: Any
    params: Any
    _pruning: Pruning | None = None
    #: Whether the schedules are fitted to the training that runs.
    _planned = False
    #: Whether it was said that this training is too short for them.
    _said_too_short = False
    _reproject = False
    #: The parameters of the fit that runs.
    _running_in: Any = None
    _ending: Ending | None = None

    @property
    def report(self) -> PruningReport:
        """What each layer's pattern, target and achieved sparsity are now, or why it was skipped.

        Raises:
            PruningError: No ``fit`` has begun with this callback.
        """
        if self._pruning is None:
            raise PruningError("There is no report before training: pass the callback to model.fit(...) first.")
        return self._pruning.report()

    def _begin(self, recipe: Recipe) -> Pruning:
        """Puts the masks in place."""
        if self.params is self._running_in:
            raise PruningError(
                "A PruningCallback must stand once in the callbacks of a fit. Received: the same object twice. Take "
                "one of them out."
            )
        pruning = self._pruning
        if pruning is None or pruning.model is not self.model:
            pruning = Pruning(self.model, recipe)
        pruning.attach()
        self._pruning = pruning
        self._running_in = self.params
        self._planned = False
        self._ending = Ending(self.model, self._conclude)
        # A step compiled by an earlier fit knows nothing of the constraints.
        self.model.make_train_function(force=True)
        return pruning

    def _plan(self, pruning: Pruning, epoch: int) -> list[str]:
        """Fits the schedules to the epochs from this one on; returns what will not be reached."""
        steps = self.params.get("steps")
        problems = pruning.plan(None if steps is None else steps * (self.params["epochs"] - epoch))
        self._said_too_short = bool(problems)
        return problems

    def _settle(self) -> None:
        """When training ends: leaves the model pruned, unless a callback before this one has replaced its weights."""
        if self._pruning is None or self._ending is None:
            return
        attach_state(self._pruning.model)
        if all(each.is_masked for each in self._pruning.progress):
            self._pruning.settle()
        self._ending.reached()

    def _conclude(self) -> None:
        """Leaves everything but the weights as it was; called when the other callbacks have ended."""
        pruning = self._pruning
        assert pruning is not None
        attach_state(pruning.model)
        problems = [*self._ended_early(pruning), *self._replaced(pruning), *self._closed(pruning)]
        pruning.detach()
        # The next fit compiles a step without the masks.
        self.model.train_function = None
        self._running_in = self._ending = None
        warn_once(problems)

    def _ended_early(self, pruning: Pruning) -> list[str]:
        """What the schedules did not come to, unless it was said when training began."""
        late = [] if self._said_too_short else pruning.unfinished
        # Layers of one schedule come to the same.
        found = dict.fromkeys(f"sparsity is {each.target:.4g}, and {each.unfinished}" for each in late)
        return [f"training ended at step {pruning.step_count}: {'; '.join(found)}"] if found else []

    def _replaced(self, pruning: Pruning) -> list[str]:
        """Prunes weights again that another callback has replaced, if that is wanted; says so if not."""
        if all(each.is_masked for each in pruning.progress):
            return []
        refilled = [each.weight.layer for each in pruning.progress if each.is_refilled]
        if self._reproject or not refilled:
            pruning.reproject()
            return []
        return [
            "another callback replaced the weights after the last step, and these have fewer zeros than asked for (see "
            f"`report`; reproject=True prunes them again): {', '.join(refilled)}"
        ]

    def _closed(self, pruning: Pruning) -> list[str]:
        """What a callback has of its own to end; returns what is to be said. By default nothing."""
        return []

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
