# SPDX-License-Identifier: Apache-2.0
"""State and steps of pruning a model while it trains, apart from any training loop."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from tfprune.errors import PruningError, ScheduleError
from tfprune.keras.choice import MaskChooser
from tfprune.keras.layers import Filters, PrunableWeight, SkippedWeight, find_weights, to_numpy
from tfprune.keras.masks import MaskSet
from tfprune.keras.progress import Progress, sort_by_pattern
from tfprune.keras.report import LayerReport, PruningReport
from tfprune.sparsity.blocks import Mask
from tfprune.sparsity.measure import density, total_density
from tfprune.sparsity.patterns import Pattern
from tfprune.sparsity.penalties import PriorMaskPenalty
from tfprune.sparsity.schedules import Schedule
from tfprune.sparsity.scores import Scores


class Pruner:
    """Prunes the kernels of one model step by step.

    Args:
        model: Built and compiled Keras model.
        pattern: Shape of sparsity.
        schedule: Sparsity over steps.
        filters: Layers to prune; see `PruningCallback`.
        scores: Scoring rule; see `select`.
        min_weights: Smaller kernels stay dense.
        penalty: What squeezes weights before they go, or None.
    """

    def __init__(
        self,
        model: Any,
        pattern: Pattern,
        schedule: Schedule,
        *,
        filters: Filters,
        scores: Scores,
        min_weights: int,
        penalty: PriorMaskPenalty | None = None,
    ) -> None:
        """Takes the arguments; `start` does the work."""
        self.model = model
        self.pattern = pattern
        self.schedule = schedule
        self.filters = filters
        self.scores = scores
        self.min_weights = min_weights
        self.penalty = penalty
        self.step_count = 0
        self._checked_step = -1
        self._chosen_step: int | None = None
        self._strength = 0.0
        self._progress: list[Progress] = []
        self._skipped: list[SkippedWeight] = []
        self._masks: MaskSet | None = None
        self._chooser: MaskChooser

    def start(self) -> None:
        """Finds the weights and puts masks on them, at the sparsity reached by an earlier training, if any.

        Raises:
            PruningError: Nothing to prune, a pattern that cannot apply to a layer named in `filters`, a final sparsity
                that is missing or that a pattern with a rate of its own cannot have, or a model and back end that
                cannot be pruned.
        """
        _check_environment(self.model)
        prunable, skipped = find_weights(self.model, self.filters, self.min_weights)
        fitting, unfit = sort_by_pattern(self.pattern, prunable)
        self._skipped = [*skipped, *unfit]
        if not fitting:
            listed = "; ".join(f"{each.layer}: {each.reason}" for each in self._skipped) or "no layer with a kernel"
            raise PruningError(
                f"The model {self.model.name!r} has no layer to prune. Received: {listed}. Choose layers with "
                "`filters` or lower `min_weights`."
            )
        self._chooser = MaskChooser(self.model, self.pattern, self.scores)
        earlier = {id(each.weight.variable): each.prior for each in self._progress}
        self._progress = [Progress.begin(weight, self.pattern, self.schedule) for weight in fitting]
        variables = [weight.variable for weight in fitting]
        self._masks = MaskSet(
            self.model.optimizer, variables, self.model.trainable_variables, penalised=self.penalty is not None
        )
        self._strength = 0.0
        if self._chosen_step is not None:
            self._update([(index, self._chosen_step) for index in range(len(self._progress))])
        for index, each in enumerate(self._progress):
            prior = earlier.get(id(each.weight.variable))
            if prior is not None:
                self._set_prior(index, prior)

    def plan(self, total_steps: int | None) -> list[str]:
        """Sets open ends of the schedule and looks for what cannot come true.

        Args:
            total_steps: Steps of the training that begins; None if unknown.

        Returns:
            What will not be reached, for one warning; empty if all is well.

        Raises:
            PruningError: The schedule has no end, and the length of the training is unknown.
            ScheduleError: The schedule has no end, and begins too late for one; or the penalty begins too late.
        """
        if self.schedule.last_step is None:
            if total_steps is None:
                raise PruningError(
                    f"The number of steps must be known for a schedule without an end. Received: {self.schedule!r} and "
                    "training data of unknown length. Give `end_step` to the schedule or `steps_per_epoch` to fit."
                )
            self.schedule = self.schedule.resolve(total_steps)
            for each in self._progress:
                each.schedule = each.schedule.resolve(total_steps)
        last = self.schedule.last_step
        assert last is not None  # resolve sets it
        if self.penalty is not None:
            self.penalty = _ending_with(self.penalty, last)
        problems = []
        end = None if total_steps is None else self.step_count + total_steps
        if end is not None and end < last:
            finals = {each.schedule.final for each in self._progress}
            text = f"sparsity {finals.pop():g}" if len(finals) == 1 else "sparsities"
            problems.append(f"the schedule reaches its final {text} at step {last}, this training ends at step {end}")
        return [*problems, *self._bad_ends()]

    def _bad_ends(self) -> list[str]:
        """Layers that the final sparsity leaves as they are, and those that it leaves nothing of."""
        problems = []
        unreached = [each for each in self._progress if not each.can_end]
        if unreached:
            problems.append(
                f"{self.pattern} cannot be as dense as sparsity {unreached[0].schedule.final:g}, so these stay dense: "
                f"{_names(unreached)}"
            )
        empty = [] if self._chooser.keeps_channels else [each for each in self._progress if each.ends_empty]
        if empty:
            problems.append(
                f"{self.pattern} keeps no cell at sparsity {empty[0].schedule.final:g}, so all weights go (use smaller "
                f"cells, a lower sparsity or `filters`) of: {_names(empty)}"
            )
        return problems

    def prepare(self) -> None:
        """Call before each training step: chooses masks anew where the schedule asks for it, and sets the penalty.

        Raises:
            PruningError: `start` has not been called, another pruner has taken a weight over, or a mask cannot be
                chosen for a layer, such as one with NaN weights.
        """
        if self._masks is None or not self._masks.active:
            raise PruningError(
                "Masks are not in place: another PruningCallback prunes the same layer, or the pruner was not started. "
                "Let each layer be pruned by one callback (see `filters`)."
            )
        steps = self._steps_to_check()
        self._refresh(steps)
        if self.penalty is not None:
            self._penalise(self.penalty, steps)

    def advance(self, count: int = 1) -> None:
        """Call after each training step.

        Args:
            count: Training steps done since `prepare`, at least 1.
        """
        self.step_count += count

    def finalize(self) -> None:
        """Call after training: carries out what is due, zeros once more, and takes masks and constraints away.

        Weight averaging (``use_ema``) and restored weights may have filled removed weights in after the last step.
        """
        if self._masks is None or not self._masks.active:
            return
        try:
            if self.schedule.last_step is not None:
                self._refresh(self._steps_to_check())
            for index in range(len(self._progress)):
                self._masks.apply(index)
        finally:
            self._masks.remove()

    @property
    def sparsity(self) -> float:
        """Fraction of weights that the current masks remove, over all weights that are not skipped."""
        return total_density(each.mask for each in self._progress).sparsity

    def report(self) -> PruningReport:
        """Counts the weights as they are now.

        Returns:
            The report.
        """
        rows = []
        for each in self._progress:
            status, reason = each.status
            pattern = f"{each.pattern}{self._chooser.note}"
            reason = reason or self._chooser.shape_reason(each.weight)
            rows.append(_row(each.weight, pattern=pattern, target=each.target, status=status, reason=reason))
        rows += [_row(each, pattern=None, target=None, status="skipped", reason=each.reason) for each in self._skipped]
        return PruningReport(tuple(rows), self.step_count)

    def _steps_to_check(self) -> range:
        """The steps not looked at yet, up to now."""
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
        requests = []
        for index, step in due:
            self._chosen_step = step
            request = self._progress[index].ask(step)
            if request is None:
                self._set_mask(index, np.ones(self._progress[index].shape, np.bool_))
            else:
                requests.append((index, request))
        masks = self._chooser.choose([request for _, request in requests], self.step_count)
        for (index, _), mask in zip(requests, masks, strict=True):
            self._set_mask(index, mask)

    def _set_mask(self, index: int, mask: Mask) -> None:
        assert self._masks is not None
        self._progress[index].mask = density(mask)
        self._masks.set_mask(index, mask)

    def _penalise(self, penalty: PriorMaskPenalty, steps: range) -> None:
        """Chooses prior masks where they are due, lifts those of weights that are cut, and sets the strength."""
        assert self._masks is not None
        for index, each in enumerate(self._progress):
            if each.prior is not None and each.is_cut(self.step_count):
                self._set_prior(index, None)
        if any(penalty.should_choose(step) for step in steps):
            waiting = [
                (index, each)
                for index, each in enumerate(self._progress)
                if not each.is_cut(self.step_count) and each.can_end
            ]
            priors = self._chooser.choose([each.at_end() for _, each in waiting], self.step_count)
            for (index, _), prior in zip(waiting, priors, strict=True):
                self._set_prior(index, prior)
        strength = penalty.strength.strength(self.step_count)
        if strength != self._strength:
            self._strength = strength
            self._masks.set_strength(strength)

    def _set_prior(self, index: int, prior: Mask | None) -> None:
        """Sets a prior mask; None: the penalty of this weight is over."""
        assert self._masks is not None
        each = self._progress[index]
        each.prior = prior
        self._masks.set_prior(index, np.ones(each.shape, np.bool_) if prior is None else prior)


def _names(progress: Sequence[Progress]) -> str:
    """Names of layers, for messages."""
    return ", ".join(each.weight.layer for each in progress)


def _ending_with(penalty: PriorMaskPenalty, last: int) -> PriorMaskPenalty:
    """The penalty with its open end set to the step of the last cut."""
    if penalty.strength.begin_step >= last:
        raise ScheduleError(
            "A penalty must begin before the last weights are cut, or it does nothing. Received: "
            f"begin_step={penalty.strength.begin_step} of {penalty.strength!r}, and a schedule whose last cut is at "
            f"step {last}. Let the penalty begin earlier, or the schedule cut later (begin_step of ConstantSparsity)."
        )
    return dataclasses.replace(penalty, strength=penalty.strength.resolve(last))


def _row(
    weight: PrunableWeight | SkippedWeight, *, pattern: str | None, target: float | None, status: str, reason: str
) -> LayerReport:
    """A report's line on a weight, counted now."""
    found = density(to_numpy(weight.variable))
    return LayerReport(
        layer=weight.layer,
        variable=weight.variable.name,
        shape=tuple(weight.variable.shape),
        pattern=pattern,
        target=target,
        achieved=found.sparsity,
        kept=found.kept,
        total=found.total,
        status=status,
        reason=reason,
    )


def _check_environment(model: Any) -> None:
    """Refuses what has not been tested."""
    if keras.backend.backend() != "tensorflow":
        raise PruningError(
            "Pruning while training needs Keras on the TensorFlow backend. Received: backend "
            f"{keras.backend.backend()!r}. Set KERAS_BACKEND=tensorflow before Keras is imported."
        )
    strategy = getattr(model, "distribute_strategy", None)
    if strategy is not None and strategy.num_replicas_in_sync > 1:
        raise PruningError(
            "Pruning while training works on one device. Received: a distribution strategy with "
            f"{strategy.num_replicas_in_sync} replicas. Train without one."
        )
    if getattr(model, "optimizer", None) is None:
        raise PruningError("The model must be compiled before it is pruned. Call model.compile(...) first.")
