# SPDX-License-Identifier: Apache-2.0
"""The parts of pruning a model while it trains; their order is that of a callback or of `tfprune.Pruner`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from tfprune.errors import PruningError
from tfprune.keras.backends import attach_state
from tfprune.keras.choice import MaskChooser
from tfprune.keras.layers import SkippedWeight, to_numpy
from tfprune.keras.legacy import LegacyOptimizer, masking_optimizer
from tfprune.keras.masks import MaskSet
from tfprune.keras.penalising import Penalising
from tfprune.keras.penalties import penalty_on
from tfprune.keras.planning import foreseen_problems
from tfprune.keras.progress import Progress, choose_weights
from tfprune.keras.report import PruningReport
from tfprune.keras.report_rows import count_rows
from tfprune.keras.rewinding import Rewinding
from tfprune.keras.state import PruningState, check_same_pruning, digest_of
from tfprune.recipe import Recipe, RecipeLike
from tfprune.sparsity.blocks import Mask
from tfprune.sparsity.measure import total_density


class Pruning:
    """The parts of pruning one model, for a shell to put in order: `tfprune.Pruner`, or a callback.

    Before the first training step `attach`, then `plan`; round each step `prepare` and `advance`; after the last one
    `settle`, then `detach`. Other callbacks act between the parts: they restore weights, or average them.

    Args:
        model: Built Keras model.
        recipe: Which layers get what.
        optimizer: What trains the model; None (default): the optimizer that the model is compiled with.

    Raises:
        RecipeError: No recipe.
    """

    def __init__(self, model: Any, recipe: RecipeLike, *, optimizer: Any = None) -> None:
        """Takes the arguments; `attach` does the work."""
        self.model = model
        self.recipe = Recipe.of(recipe)
        #: Training steps done; the pruner's own count, which says where the schedules are.
        self.step_count = 0
        self._optimizer = optimizer
        #: The step whose sparsity the masks have; None before the first choice.
        self.chosen_step: int | None = None
        #: Why the masks stay as they are; empty if they do not, see `hold`.
        self.held = ""
        self._checked_step = -1
        self._planned_steps: int | None = None
        self._progress: list[Progress] = []
        self._skipped: list[SkippedWeight] = []
        self._masks: MaskSet | None = None
        self._penalising = Penalising(model)
        self._chooser: MaskChooser
        self._rewinding = Rewinding(model, ())

    def attach(self) -> None:
        """Finds the weights and puts masks on them that keep everything.

        Raises:
            PruningError: Nothing to prune, a rule that matches nothing, a pattern that cannot apply to a layer that its
                rule names, or a model that cannot be pruned.
        """
        optimizer = self._checked_optimizer()
        attach_state(self.model)
        fitting, self._skipped = choose_weights(self.model, self.recipe)
        earlier = {id(each.weight.variable): each for each in self._progress}
        self._progress = [earlier.get(id(weight.variable)) or Progress.begin(weight) for weight in fitting]
        self._chooser = MaskChooser(self.model, [each.pattern for each in self._progress], self.recipe.scope)
        self._rewinding = Rewinding(self.model, self._progress, self._rewinding)
        self._masks = MaskSet(
            optimizer,
            [weight.variable for weight in fitting],
            self.model.trainable_variables,
            held={index: each.held_mask for index, each in enumerate(fitting) if each.held_mask is not None},
            penalties=[penalty_on(each.penalty, each.weight, each.pattern) for each in self._progress],
        )
        self._penalising.begin(self._progress, self._masks.penalties)

    def plan(self, total_steps: int | None) -> list[str]:
        """Takes up the masks of an earlier training, if any, and plans this one.

        It sets open ends of schedules, and looks for what cannot come true. Between `attach` and this, other callbacks
        may restore the weights, and `load_state` the masks.

        Args:
            total_steps: Steps of the training that begins; None if unknown.

        Returns:
            What will not be reached, for one warning; empty if all is well.

        Raises:
            PruningError: A final sparsity that is missing or that a pattern with a rate of its own cannot have, or a
                schedule without an end and a training of unknown length.
            ScheduleError: A schedule or penalty that begins too late.
        """
        if self._planned_steps is None:
            self._planned_steps = total_steps
        for each in self._progress:
            each.plan(self._planned_steps)
        self._put_masks()
        if self.held:
            return []
        end = None if total_steps is None else self.step_count + total_steps
        return foreseen_problems(self._progress, self._chooser, end)

    def prepare(self) -> None:
        """Before each training step: chooses masks where that is due, and sets penalties.

        Raises:
            PruningError: Masks are not in place, or one cannot be chosen, such as for NaN weights.
        """
        if not self.is_attached:
            raise PruningError(
                "Masks are not in place: another PruningCallback prunes the same layer, or the pruner was not started. "
                "Let each layer be pruned by one callback (see `filters`), or give one callback a recipe."
            )
        steps = self._steps_to_check()
        self._rewinding.save(steps)
        self._refresh(steps)
        if not self.held:
            self._penalising.prepare(self._chooser, self.step_count)

    def advance(self, count: int = 1) -> None:
        """After each training step: counts it.

        Args:
            count: Training steps done since `prepare`, at least 1.
        """
        self.step_count += count

    def check_step(self) -> None:
        """After a training step, before `advance`: looks whether it applied the masks.

        Raises:
            PruningError: It did not.
        """
        if not self._progress or not self.is_attached or self.masks.were_read or self.masks.may_wait:
            return
        raise PruningError(
            "The training step must apply the masks, as `optimizer.apply` does. Received: a step that did not. Either "
            "it assigns weights by itself: let a Keras optimizer do that. Or it was compiled before the masks were in "
            "place: call start() before the first step, and make compiled steps anew."
        )

    def settle(self) -> None:
        """After the last step: carries out what is still due, and zeros what the masks remove."""
        assert self._masks is not None
        attach_state(self.model)
        if all(each.schedule.last_step is not None for each in self._progress):
            self._refresh(self._steps_to_check())
        for index in range(len(self._progress)):
            self._masks.apply(index)

    def detach(self) -> None:
        """Takes masks and constraints away."""
        if self._masks is not None:
            attach_state(self.model)
            self._masks.remove()

    def finalize(self) -> None:
        """`settle` and `detach`, where nothing happens between them."""
        try:
            self.settle()
        finally:
            self.detach()

    def reproject(self) -> None:
        """Chooses all masks anew from the weights as they are, at the sparsity reached."""
        attach_state(self.model)
        step = self.chosen_step
        if step is not None:
            self._choose([(index, step) for index in range(len(self._progress))])

    def hold(self, reason: str, state: PruningState | None = None) -> None:
        """Ends the growth of sparsity: from now on the masks stay as they are, and no penalty acts.

        Args:
            reason: Why, for the report.
            state: An earlier state of this pruning, whose masks come back; None (default): those of now stay.
        """
        self.held = reason
        if state is not None:
            self._take_masks(state)
        for each in self._progress:
            each.penalty_state = None
        self._put_masks()

    def state(self) -> PruningState:
        """Where this pruning stands, to go on from there with `load_state`, in this process or, saved, in another.

        Returns:
            The state: steps, masks, targets and what weights go back to; the weights themselves are the model's.

        Raises:
            PruningError: `start` has not been called.
        """
        self._check_started()
        return PruningState(
            step=self.step_count,
            checked_step=self._checked_step,
            looked_step=self._penalising.looked_step,
            chosen_step=self.chosen_step,
            planned_steps=self._planned_steps,
            weights=tuple(each.state() for each in self._progress),
            digest=self.digest(),
            held=self.held,
            values=self._rewinding.values,
        )

    def load_state(self, state: PruningState) -> None:
        """Goes on from a state: at its step, with its masks.

        Args:
            state: What `state` returned, for this model and recipe. The model must have the weights of then.

        Raises:
            PruningError: The state is that of another model or recipe.
        """
        self.check_state(state)
        self.step_count = state.step
        self._checked_step = state.checked_step
        self._penalising.looked_step = state.looked_step
        self.held = state.held
        self._rewinding.load(state.values)
        self._take_masks(state)
        self._put_masks()

    def check_state(self, state: PruningState) -> None:
        """Sets open ends as a state has them, and refuses it if it is of another model or recipe.

        Args:
            state: The state.

        Raises:
            PruningError: The first difference.
        """
        self._check_started()
        self._planned_steps = state.planned_steps
        for each in self._progress:
            if each.schedule.last_step is not None or state.planned_steps is not None:
                each.plan(state.planned_steps)
        check_same_pruning(state.weights, [each.state() for each in self._progress])

    def digest(self) -> str:
        """Digest of the weights that are pruned, as they are now."""
        attach_state(self.model)
        return digest_of(to_numpy(each.weight.variable) for each in self._progress)

    @property
    def is_attached(self) -> bool:
        """Whether its masks are on the model."""
        return self._masks is not None and self._masks.active

    @property
    def masks(self) -> MaskSet:
        """The masks on the model; only once `attach` has been called."""
        assert self._masks is not None
        return self._masks

    @property
    def progress(self) -> Sequence[Progress]:
        """Where each weight stands."""
        return self._progress

    @property
    def unfinished(self) -> list[Progress]:
        """Weights whose schedule still has to change their sparsity; none while masks are held."""
        return [] if self.held else [each for each in self._progress if each.unfinished]

    @property
    def sparsity(self) -> float:
        """Fraction of weights that the current masks remove, over all weights that are not skipped."""
        return total_density(each.mask for each in self._progress).sparsity

    def report(self) -> PruningReport:
        """Counts the weights as they are now.

        Returns:
            The report.
        """
        attach_state(self.model)
        rows = count_rows(self._progress, self._skipped, self._chooser, goes_on=not self.held)
        return PruningReport(tuple(rows), self.step_count, self.held)

    def _checked_optimizer(self) -> Any:
        """What trains the model."""
        optimizer = getattr(self.model, "optimizer", None) if self._optimizer is None else self._optimizer
        if optimizer is None:
            raise PruningError(
                "The model must be compiled before it is pruned, or the optimizer be given. Received: neither. Call "
                "model.compile(...) first, or write Pruner(model, recipe, optimizer=optimizer)."
            )
        holder = masking_optimizer(optimizer)
        if not isinstance(holder, (keras.optimizers.Optimizer, LegacyOptimizer)):
            raise PruningError(
                "`optimizer` must be the optimizer object that trains the model, such as keras.optimizers.Adam(). "
                f"Received: optimizer={optimizer!r}."
            )
        return holder

    def _steps_to_check(self) -> range:
        """The steps not looked at yet, up to now; none while masks are held."""
        if self.held:
            return range(0)
        steps = range(self._checked_step + 1, self.step_count + 1)
        self._checked_step = max(self._checked_step, self.step_count)
        return steps

    def _refresh(self, steps: range) -> None:
        """Chooses the masks of all weights whose schedule asks for it at one of the steps, for the last such step."""
        due = [
            (index, next((step for step in reversed(steps) if each.schedule.should_prune(step)), None))
            for index, each in enumerate(self._progress)
        ]
        self._update([(index, step) for index, step in due if step is not None])

    def _update(self, due: Sequence[tuple[int, int]]) -> None:
        """Chooses the masks of weights, each as its schedule says at a step."""
        if not due:
            return
        attach_state(self.model)
        back = [index for index, step in due if self._progress[index].schedule.rewinds(step)]
        self._choose(due, back)

    def _choose(self, due: Sequence[tuple[int, int]], back: Sequence[int] = ()) -> None:
        """Chooses the masks of weights, each as its schedule says at a step, and rewinds some weights."""
        requests = []
        for index, step in due:
            self.chosen_step = step
            request = self._progress[index].ask(step)
            if request is None:
                self._set_mask(index, np.ones(self._progress[index].shape, np.bool_))
            else:
                requests.append((index, request))
        masks = self._chooser.choose([request for _, request in requests], self.step_count)
        self._rewinding.restore(back)
        for (index, _), mask in zip(requests, masks, strict=True):
            self._set_mask(index, mask)

    def _set_mask(self, index: int, mask: Mask) -> None:
        assert self._masks is not None
        self._progress[index].keep(mask)
        self._masks.set_mask(index, mask)

    def _take_masks(self, state: PruningState) -> None:
        """Takes the masks of a state, and what the report says of them."""
        self.chosen_step = state.chosen_step
        for each, saved in zip(self._progress, state.weights, strict=True):
            each.take(saved)

    def _put_masks(self) -> None:
        """Puts all masks and penalties as they are known into the training step."""
        assert self._masks is not None
        attach_state(self.model)
        for index, each in enumerate(self._progress):
            self._masks.set_mask(index, each.kept)
        self._penalising.put()

    def _check_started(self) -> None:
        if self._masks is None:
            raise PruningError("A pruning has a state once it has begun. Call start() first.")
