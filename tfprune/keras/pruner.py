# SPDX-License-Identifier: Apache-2.0
"""`Pruner`: pruning a model while it trains, in any training loop."""

from __future__ import annotations

import warnings
from typing import Any

import keras

from tfprune.errors import PruningError
from tfprune.keras.arguments import keras_model, whole_number
from tfprune.keras.backends import attach_state
from tfprune.keras.pruning import Pruning
from tfprune.keras.report import PruningReport
from tfprune.keras.state import PruningState
from tfprune.recipe import RecipeLike


class Pruner:
    """Prunes the kernels of one model step by step, in a training loop of your own.

    Call `start` before the training step is compiled or run for the first time, `step` after every update of the
    optimizer, and `finalize` after the last. Removed weights are zero after each update. Nothing is added to the model.

    Args:
        model: Built Keras model.
        recipe: Which layers get what: a `Recipe`, one or several `Rule` objects, a dictionary, or the path of a YAML or
            JSON file.
        optimizer: What trains the model; None (default): the optimizer that the model is compiled with.

    Raises:
        PruningError: No model.
        RecipeError: No recipe.

    Example:
        >>> import keras, numpy as np
        >>> from tfprune.recipe import Rule
        >>> from tfprune.sparsity.patterns import Groups
        >>> model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(64), keras.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> pruner = Pruner(model, Rule(None, Groups(rows=4), 0.75))
        >>> pruner.start(total_steps=10)
        >>> for _ in range(10):
        ...     _ = model.train_on_batch(np.ones((4, 64)), np.ones(4))
        ...     pruner.step()
        >>> pruner.finalize()
        >>> pruner.sparsity
        0.75
    """

    def __init__(self, model: Any, recipe: RecipeLike, *, optimizer: Any = None) -> None:
        """Takes the arguments; `start` does the work."""
        self._pruning = Pruning(keras_model(model), recipe, optimizer=optimizer)
        self._loaded: PruningState | None = None
        self._before_training: Any = None

    def start(self, total_steps: int | None = None) -> None:
        """Puts the masks in place and carries out what is due at the first step.

        A pruner that was finalized goes on where it was: at its step, with its masks.

        Args:
            total_steps: Steps of the training that begins, at least 1; schedules without an end need it. Default None:
                unknown.

        Raises:
            PruningError: Another number of steps, no optimizer, nothing to prune, a rule that matches nothing, a
                pattern that cannot apply to a layer that its rule names, a final sparsity that is missing or that a
                pattern with a rate of its own cannot have, a model that cannot be pruned, a schedule without an end and
                a training of unknown length, or a loaded state of another model or recipe.
            ScheduleError: A schedule or penalty that begins too late.

        Warns:
            UserWarning: Once, of everything that this training will not reach.
        """
        if total_steps is not None:
            total_steps = whole_number("`total_steps` of Pruner.start", total_steps, 1)
        self._pruning.attach()
        if self._loaded is not None:
            self._pruning.load_state(self._loaded)
            self._loaded = None
        problems = self._pruning.plan(total_steps)
        if problems:
            warnings.warn(f"Pruner: {'; '.join(problems)}.", UserWarning, stacklevel=2)
        self._pruning.prepare()
        self._before_training = self._value()

    def step(self, count: int = 1) -> None:
        """Call after each training step: counts it, and does what is due before the next.

        Args:
            count: Training steps done since the last call, at least 1.

        Raises:
            PruningError: Another count; `start` has not been called, or only after the training step was compiled;
                another pruner has taken a weight over; a mask cannot be chosen for a layer, such as one with NaN
                weights; on JAX, a training step whose results were never assigned to the variables.
        """
        count = whole_number("`count` of Pruner.step", count, 1)
        self._pruning.check_step()
        self._check_trained()
        self._pruning.advance(count)
        self._pruning.prepare()

    def finalize(self) -> None:
        """Call after training: carries out what is due, zeros once more, and takes masks and constraints away.

        Weight averaging (``use_ema``) and restored weights may have filled removed weights in after the last step.
        """
        if self._pruning.is_attached:
            self._pruning.finalize()

    def state(self) -> PruningState:
        """Where this pruning stands, to go on from there with `load_state`, in this process or, saved, in another.

        Returns:
            The state: steps, masks, targets and what weights go back to; the weights themselves are the model's.

        Raises:
            PruningError: `start` has not been called.
        """
        return self._pruning.state()

    def load_state(self, state: PruningState) -> None:
        """Goes on from a state: at its step, with its masks. Call it before `start`.

        Args:
            state: What `state` returned, for this model and recipe. The model must have the weights of then.

        Raises:
            PruningError: No state, or that of another model or recipe; before `start`, the latter comes up there.
        """
        if not isinstance(state, PruningState):
            raise PruningError(
                "`state` of Pruner.load_state must be a `PruningState`, from Pruner.state() or PruningState.load(...). "
                f"Received: {state!r}."
            )
        if self._pruning.is_attached:
            self._pruning.load_state(state)
        else:
            self._loaded = state

    @property
    def step_count(self) -> int:
        """Training steps done; the pruner's own count, which says where the schedules are."""
        return self._pruning.step_count

    @property
    def sparsity(self) -> float:
        """Fraction of weights that the current masks remove, over all weights that are not skipped.

        Raises:
            PruningError: `start` has not been called.
        """
        self._check_started("sparsity")
        return self._pruning.sparsity

    def report(self) -> PruningReport:
        """Counts the weights as they are now.

        Returns:
            The report.

        Raises:
            PruningError: `start` has not been called.
        """
        self._check_started("report")
        return self._pruning.report()

    def _check_started(self, asked: str) -> None:
        if not self._pruning.progress:
            raise PruningError(
                f"A pruner knows its layers once it has begun. Received: `{asked}` of one that was not started. Call "
                "start() first."
            )

    def _value(self) -> Any:
        """On JAX the array that one of the weights is now, replaced by each update; None elsewhere."""
        if keras.backend.backend() != "jax" or not self._pruning.is_attached:
            return None
        attach_state(self._pruning.model)
        return self._pruning.progress[0].weight.variable.value

    def _check_trained(self) -> None:
        """A stateless step leaves variables as they are, and keeps the masks that they had when it was given them."""
        if self._before_training is not None and self._value() is self._before_training:
            raise PruningError(
                "A training step must change the variables of the model. Received: a stateless step, none of whose "
                "results was assigned to them. Assign its trainable variables and those of the optimizer before "
                "Pruner.step(), and give the next step what they hold afterwards: the masks are among them."
            )
        self._before_training = None
