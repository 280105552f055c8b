# SPDX-License-Identifier: Apache-2.0
"""What the callbacks of Keras 3 and of tf_keras are: a pruning in the course of a ``fit``."""

from __future__ import annotations

import dataclasses
import os
import warnings
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from tfprune.errors import PruningError
from tfprune.keras.arguments import true_or_false
from tfprune.keras.backends import attach_state
from tfprune.keras.bounds import MetricBounds
from tfprune.keras.checkpoint import Checkpoint
from tfprune.keras.ending import Ending
from tfprune.keras.pruning import Pruning
from tfprune.keras.report import PruningReport
from tfprune.keras.summaries import MaskSummaries
from tfprune.recipe import DEFAULT_MIN_WEIGHTS, LayerFilters, Recipe, RecipeLike, Rule
from tfprune.sparsity.patterns import Pattern
from tfprune.sparsity.penalties import Penalty
from tfprune.sparsity.schedules import Schedule
from tfprune.sparsity.scores import Scores


class PrunesInFit:
    """What both callbacks do; each stands before the callback class of its Keras.

    The arguments are those of `tfprune.PruningCallback`.
    """

    #: Set by Keras when a fit begins.
    model: Any
    params: Any

    def __init__(
        self,
        pattern: Pattern | None = None,
        schedule: Schedule | None = None,
        *,
        recipe: RecipeLike | None = None,
        filters: LayerFilters = None,
        scores: Scores = "l1",
        scope: str = "layer",
        penalty: Penalty | None = None,
        min_weights: int = DEFAULT_MIN_WEIGHTS,
        checkpoint: str | os.PathLike[str] | None = None,
        reproject: bool = False,
        stop_below: Mapping[str, float] | None = None,
        log_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        """Checks the arguments."""
        super().__init__()
        given = {"pattern": pattern, "schedule": schedule, "filters": filters, "penalty": penalty}
        if recipe is None:
            self._recipe = Recipe(Rule(filters, pattern, None, schedule, scores, penalty, min_weights), scope)
        else:
            _check_alone({**given, "scores": scores, "scope": scope, "min_weights": min_weights})
            self._recipe = Recipe.of(recipe)
        self._checkpoint = None if checkpoint is None else Checkpoint(checkpoint)
        self._reproject = true_or_false("reproject", reproject)
        self._bounds = None if stop_below is None else MetricBounds(stop_below)
        self._summaries = None if log_dir is None else MaskSummaries(log_dir)
        self._pruning: Pruning | None = None
        self._ending: Ending | None = None
        #: The parameters of the fit that runs.
        self._running_in: Any = None
        #: Whether the schedules are fitted to the training that runs, and whether it was said that it is too short.
        self._planned = self._said_too_short = False

    @property
    def report(self) -> PruningReport:
        """What each layer's pattern, target and achieved sparsity are now, or why it was skipped.

        Raises:
            PruningError: No ``fit`` has begun with this callback.
        """
        if self._pruning is None:
            raise PruningError("There is no report before training: pass the callback to model.fit(...) first.")
        return self._pruning.report()

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Puts the masks in place; which ones is known when all callbacks have begun."""
        if self.params is self._running_in:
            raise PruningError(
                "A PruningCallback must stand once in the callbacks of a fit. Received: the same object twice. Take "
                "one of them out."
            )
        pruning = self._pruning
        if pruning is None or pruning.model is not self.model:
            pruning = Pruning(self.model, self._recipe)
        pruning.attach()
        self._pruning = pruning
        self._running_in = self.params
        self._planned = False
        self._ending = Ending(self.model, self._conclude)
        # A step compiled by an earlier fit knows nothing of the constraints.
        self.model.make_train_function(force=True)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Takes up an earlier state, and fits the schedule to this training; only here is its first epoch known."""
        if self._planned or self._pruning is None:
            return
        self._planned = True
        problems = self._resume(self._pruning)
        problems += self._plan(self._pruning, epoch)
        _warn_once(problems)

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Chooses masks anew where the schedule asks for it."""
        if self._pruning is not None:
            self._pruning.prepare()
            if self._summaries is not None:
                self._summaries.write_scalars(self._pruning)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Counts the steps and logs the sparsity."""
        if self._pruning is not None:
            self._pruning.check_step()
            self._pruning.advance(self._steps_run(batch))
        self._log(logs)

    @abstractmethod
    def _steps_run(self, batch: int) -> int:
        """How many training steps a call of Keras ran together, as it ends and names this batch."""

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Logs the sparsity, and looks at the bounds."""
        if self._pruning is None:
            return
        self._log(logs)
        if self._summaries is not None:
            self._summaries.write_images(self._pruning)
        if self._bounds is not None:
            self._bounds.check(self._pruning, self.model, logs or {})

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Leaves the model pruned, unless a callback before this one has replaced its weights."""
        if self._pruning is None or self._ending is None:
            return
        attach_state(self._pruning.model)
        if all(each.is_masked for each in self._pruning.progress):
            self._pruning.settle()
        self._log(logs)
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
        _warn_once(problems)

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
        """Ends bounds, summaries and checkpoint."""
        if self._summaries is not None:
            self._summaries.write_scalars(pruning)
            self._summaries.write_images(pruning)
            self._summaries.close()
        if self._checkpoint is not None:
            self._write_state()
        return [] if self._bounds is None else self._bounds.problems()

    def _resume(self, pruning: Pruning) -> list[str]:
        """Goes on from the checkpoint, or from the fit before; returns what is wrong with that."""
        state = None if self._checkpoint is None else self._checkpoint.find(pruning)
        if state is not None:
            pruning.load_state(state)
        if self._bounds is not None:
            earlier = self._bounds.armed and pruning.step_count > 0
            self._bounds.begin(armed=earlier if state is None else state.armed)
        # What BackupAndRestore leaves when it has restored a model.
        if not pruning.step_count and getattr(self.model, "_initial_epoch", None):
            return [
                "the training was restored from a backup, and the schedule begins anew at step 0: give `checkpoint` a "
                "path to have the state of pruning saved with each backup"
            ]
        return []

    def _write_state(self) -> None:
        # Before, the masks are not known.
        if self._planned:
            assert self._pruning is not None
            assert self._checkpoint is not None
            armed = self._bounds is not None and self._bounds.armed
            self._checkpoint.write(dataclasses.replace(self._pruning.state(), armed=armed))

    def _plan(self, pruning: Pruning, epoch: int) -> list[str]:
        """Fits the schedules to the epochs from this one on; returns what will not be reached."""
        steps = self.params.get("steps")
        problems = pruning.plan(None if steps is None else steps * (self.params["epochs"] - epoch))
        self._said_too_short = bool(problems)
        return problems

    def _log(self, logs: dict[str, Any] | None) -> None:
        """Gives Keras the sparsity."""
        if logs is not None and self._pruning is not None:
            logs["sparsity"] = self._pruning.sparsity


def _warn_once(problems: list[str]) -> None:
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
