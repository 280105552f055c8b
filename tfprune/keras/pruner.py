# SPDX-License-Identifier: Apache-2.0
"""State and steps of pruning a model while it trains, apart from any training loop."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from tfprune.errors import PruningError
from tfprune.keras.layers import Filters, PrunableWeight, SkippedWeight, find_weights
from tfprune.keras.masks import MaskSet
from tfprune.keras.report import LayerReport, PruningReport
from tfprune.sparsity.measure import Density, density, total_density
from tfprune.sparsity.patterns import Pattern
from tfprune.sparsity.schedules import Schedule
from tfprune.sparsity.scores import Scores
from tfprune.sparsity.select import select


@dataclasses.dataclass
class _Progress:
    """Where one weight stands: its target so far, the counts of its mask, and why it is dense."""

    weight: PrunableWeight
    mask: Density
    target: float = 0.0
    reason: str = "no pruning step yet"


class Pruner:
    """Prunes the kernels of one model step by step.

    Args:
        model: Built and compiled Keras model.
        pattern: Shape of sparsity.
        schedule: Sparsity over steps.
        filters: Layers to prune; see `PruningCallback`.
        scores: Scoring rule; see `select`.
        min_weights: Smaller kernels stay dense.
    """

    def __init__(
        self, model: Any, pattern: Pattern, schedule: Schedule, *, filters: Filters, scores: Scores, min_weights: int
    ) -> None:
        """Takes the arguments; `start` does the work."""
        self.model = model
        self.pattern = pattern
        self.schedule = schedule
        self.filters = filters
        self.scores = scores
        self.min_weights = min_weights
        self.step_count = 0
        self._checked_step = -1
        self._target: float | None = None
        self._progress: list[_Progress] = []
        self._skipped: list[SkippedWeight] = []
        self._masks: MaskSet | None = None

    def start(self) -> None:
        """Finds the weights and puts masks on them, at the sparsity reached by an earlier training, if any.

        Raises:
            PruningError: Nothing to prune, or a model and back end that cannot be pruned.
        """
        _check_environment(self.model)
        prunable, skipped = find_weights(self.model, self.filters, self.min_weights)
        if not prunable:
            listed = "; ".join(f"{each.layer}: {each.reason}" for each in skipped) or "no Conv2D or Dense layer"
            raise PruningError(
                f"The model {self.model.name!r} has no layer to prune. Received: {listed}. Choose layers with "
                "`filters` or lower `min_weights`."
            )
        self._skipped = skipped
        self._progress = [_Progress(weight, density(np.ones(weight.variable.shape, bool))) for weight in prunable]
        variables = [weight.variable for weight in prunable]
        self._masks = MaskSet(self.model.optimizer, variables, self.model.trainable_variables)
        if self._target is not None:
            self._refresh(self._target)

    def plan(self, total_steps: int | None) -> list[str]:
        """Sets open ends of the schedule and looks for what cannot come true.

        Args:
            total_steps: Steps of the training that begins; None if unknown.

        Returns:
            What will not be reached, for one warning; empty if all is well.

        Raises:
            PruningError: The schedule has no end, and the length of the training is unknown.
            ScheduleError: The schedule has no end, and begins too late for one.
        """
        if self.schedule.last_step is None:
            if total_steps is None:
                raise PruningError(
                    f"The number of steps must be known for a schedule without an end. Received: {self.schedule!r} and "
                    "training data of unknown length. Give `end_step` to the schedule or `steps_per_epoch` to fit."
                )
            self.schedule = self.schedule.resolve(total_steps)
        last = self.schedule.last_step
        assert last is not None  # resolve sets it
        final = self.schedule.sparsity(last)
        problems = []
        end = None if total_steps is None else self.step_count + total_steps
        if end is not None and end < last:
            problems.append(
                f"the schedule reaches its final sparsity {final:g} at step {last}, this training ends at step {end}"
            )
        unreached = [each.weight for each in self._progress if not self._reaches(each.weight, final)]
        if unreached:
            names = ", ".join(weight.layer for weight in unreached)
            problems.append(f"{self.pattern} cannot be as dense as sparsity {final:g}, so these stay dense: {names}")
        return problems

    def prepare(self) -> None:
        """Call before each training step: chooses masks anew where the schedule asks for it.

        Raises:
            PruningError: `start` has not been called, or another pruner has taken a weight over.
        """
        if self._masks is None or not self._masks.active:
            raise PruningError(
                "Masks are not in place: another PruningCallback prunes the same layer, or the pruner was not started. "
                "Let each layer be pruned by one callback (see `filters`)."
            )
        self._refresh_if_due(self.step_count)

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
                self._refresh_if_due(self.step_count)
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
        rows = [
            _row(
                each.weight,
                pattern=str(self.pattern),
                target=each.target,
                status="dense" if each.reason else "pruned",
                reason=each.reason,
            )
            for each in self._progress
        ]
        rows += [_row(each, pattern=None, target=None, status="skipped", reason=each.reason) for each in self._skipped]
        return PruningReport(tuple(rows), self.step_count)

    def _refresh_if_due(self, step: int) -> None:
        """Chooses masks for the last due step among those not looked at yet, up to `step`."""
        due = [each for each in range(self._checked_step + 1, step + 1) if self.schedule.should_prune(each)]
        self._checked_step = max(self._checked_step, step)
        if due:
            self._refresh(self.schedule.sparsity(due[-1]))

    def _refresh(self, target: float) -> None:
        """Chooses all masks for a sparsity."""
        assert self._masks is not None
        self._target = target
        for index, each in enumerate(self._progress):
            weight = each.weight
            each.target = target
            if self._reaches(weight, target):
                mask = select(
                    _finite(weight, self.step_count), self.pattern, target, layout=weight.layout, scores=self.scores
                )
                each.reason = "" if target > 0 else "the schedule asks for sparsity 0"
            else:
                mask = np.ones(weight.variable.shape, np.bool_)
                least = self.pattern.min_sparsity(tuple(weight.variable.shape), weight.layout)
                each.reason = f"the pattern reaches no sparsity below {least:.4f} here"
            each.mask = density(mask)
            self._masks.set_mask(index, mask)

    def _reaches(self, weight: PrunableWeight, sparsity: float) -> bool:
        return self.pattern.reaches(sparsity, tuple(weight.variable.shape), weight.layout)


def _row(
    weight: PrunableWeight | SkippedWeight, *, pattern: str | None, target: float | None, status: str, reason: str
) -> LayerReport:
    """A report's line on a weight, counted now."""
    found = density(_to_numpy(weight.variable))
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


def _finite(weight: PrunableWeight, step: int) -> npt.NDArray[Any]:
    """The value of a weight, which a training that diverged has lost."""
    value = _to_numpy(weight.variable)
    if not np.isfinite(value).all():
        raise PruningError(
            f"Weights must be finite to be pruned. Received: NaN or infinite weights in layer {weight.layer!r} at step "
            f"{step}. The training has diverged: lower the learning rate, or stop it with TerminateOnNaN."
        )
    return value


def _to_numpy(variable: Any) -> npt.NDArray[Any]:
    """The value of a variable; bfloat16, which numpy does not know, as float32."""
    value: npt.NDArray[Any] = variable.numpy()
    return value if value.dtype.kind == "f" else value.astype(np.float32)
