# SPDX-License-Identifier: Apache-2.0
"""Single weights on their way to a pattern: what fits, where each ends, and what is asked of it at a step."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.errors import PatternError, PruningError, ScheduleError
from tfprune.keras.layers import PrunableWeight, SkippedWeight, match_weights
from tfprune.keras.state import PackedMask, WeightState
from tfprune.recipe import Recipe
from tfprune.sparsity.blocks import Mask
from tfprune.sparsity.layouts import matrix_shape
from tfprune.sparsity.measure import Density, density
from tfprune.sparsity.patterns import Pattern
from tfprune.sparsity.penalties import Penalty
from tfprune.sparsity.schedules import Schedule


@dataclass(frozen=True)
class MaskRequest:
    """A mask to choose.

    Args:
        weight: The weight.
        pattern: What to select with.
        sparsity: How much; None: the pattern's own rate.
        values: What to choose from; None (default): the weights as they are.
    """

    weight: PrunableWeight
    pattern: Pattern
    sparsity: float | None
    values: npt.NDArray[Any] | None = None


@dataclass
class Progress:
    """Where one weight stands.

    Args:
        weight: The weight, with its rule.
        pattern: The rule's pattern.
        schedule: The rule's schedule, with the sparsity that it ends at.
        own_rate: Whether that is the pattern's own rate, which `select` finds by itself.
        kept: Its mask; see `keep`.
        mask: Counts of it.
        penalty: The rule's penalty.
        target: Its target so far.
        reason: Why it is dense; empty if it is not.
        penalty_state: What the penalty goes by, while it acts; see `WeightPenalty.load`.
    """

    weight: PrunableWeight
    pattern: Pattern
    schedule: Schedule
    own_rate: bool
    kept: Mask
    mask: Density
    penalty: Penalty | None = None
    target: float = 0.0
    reason: str = "no pruning step yet"
    penalty_state: Mapping[str, npt.NDArray[Any]] | None = None

    @classmethod
    def begin(cls, weight: PrunableWeight) -> Progress:
        """What a wrapper's mask keeps or everything, and the schedule ending at the pattern's own rate if it has one.

        Args:
            weight: The weight, which its rule's pattern can apply to.

        Returns:
            The beginning.

        Raises:
            PruningError: A final sparsity is missing, or is not the pattern's own.
        """
        pattern, schedule = weight.rule.pattern, weight.rule.training_schedule()
        assert pattern is not None  # a rule without one skips
        shape = tuple(weight.variable.shape)
        own = pattern.own_sparsity(matrix_shape(shape, weight.layout))
        given = schedule.final
        if own is None and given is None:
            raise no_final_sparsity(schedule, pattern)
        if own is not None and given is not None and not pattern.reaches(given, shape, weight.layout):
            raise PruningError(
                f"Layer {weight.layer!r}: {pattern!r} fixes the sparsity of its weights of shape {shape} at {own:.6g}. "
                f"Received: a schedule that ends at {given}. Leave the final sparsity out (None)."
            )
        own_rate = own is not None and given != 0  # 0 keeps everything, always
        if own is not None and own_rate:
            schedule = schedule.with_final(own)
        kept = np.ones(shape, np.bool_) if weight.held_mask is None else weight.held_mask.numpy()
        return cls(weight, pattern, schedule, own_rate, kept, density(kept), weight.rule.penalty)

    def keep(self, mask: Mask) -> None:
        """Takes a mask.

        Args:
            mask: True where a weight stays.
        """
        self.kept, self.mask = mask, density(mask)

    @property
    def name(self) -> str:
        """Layer and variable."""
        return f"{self.weight.layer}/{self.weight.variable.name}"

    def state(self) -> WeightState:
        """Where the weight stands, without the weight itself."""
        return WeightState(
            name=self.name,
            shape=self.shape,
            pattern=repr(self.pattern),
            schedule=repr(self.schedule),
            penalty=repr(self.penalty),
            target=self.target,
            reason=self.reason,
            mask=PackedMask.pack(self.kept),
            penalty_state=self.penalty_state,
        )

    def take(self, state: WeightState) -> None:
        """Undoes `state`, as far as it changes while a model trains.

        Args:
            state: State of this weight.
        """
        self.target, self.reason = state.target, state.reason
        self.keep(state.mask.unpack())
        self.penalty_state = state.penalty_state

    @property
    def is_masked(self) -> bool:
        """Whether all that the mask removes is zero; something may have replaced the weights."""
        return not self.weight.effective[~self.kept].any()

    @property
    def is_refilled(self) -> bool:
        """Whether there are more weights than the mask keeps."""
        return density(self.weight.effective).kept > self.mask.kept

    @property
    def last_step(self) -> int:
        """The step from which on the target does not change; only of a schedule without an open end."""
        assert self.schedule.last_step is not None
        return self.schedule.last_step

    def plan(self, total_steps: int | None) -> None:
        """Sets the open ends of schedule and penalty.

        Args:
            total_steps: Steps of the training that begins; None if unknown.

        Raises:
            PruningError: The schedule has no end, and the length of the training is unknown.
            ScheduleError: The schedule has no end, and begins too late for one; or the penalty begins too late.
        """
        if self.schedule.last_step is None:
            if total_steps is None:
                raise PruningError(
                    f"The number of steps must be known for a schedule without an end. Received: {self.schedule!r} and "
                    "a training of unknown length. Give `end_step` to the schedule, `steps_per_epoch` to fit, or "
                    "`total_steps` to Pruner.start."
                )
            self.schedule = self.schedule.resolve(total_steps)
        if self.penalty is not None:
            self.penalty = _ending_with(self.penalty, self.last_step)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the kernel."""
        return tuple(self.weight.variable.shape)

    @property
    def can_end(self) -> bool:
        """Whether the pattern reaches the final sparsity."""
        final = self.schedule.final
        return final is not None and (self.own_rate or self.pattern.reaches(final, self.shape, self.weight.layout))

    @property
    def ends_empty(self) -> bool:
        """Whether the final sparsity leaves no cell, as far as counts of cells tell beforehand."""
        final = self.schedule.final
        if not final or self.own_rate or not self.can_end:
            return False
        return self.pattern.count_cells(final, matrix_shape(self.shape, self.weight.layout)) == 0

    @property
    def unfinished(self) -> str:
        """What the schedule still has to come to; empty at its end."""
        final, last = self.schedule.final, self.schedule.last_step
        if final is None or last is None or self.target == final:
            return ""
        return f"the schedule reaches sparsity {final:g} at step {last}"

    @property
    def status(self) -> tuple[str, str]:
        """Status and reason of a report, by what the mask is now."""
        reason = self.reason
        if not reason and self.mask.kept == self.mask.total:
            reason = f"sparsity {self.target:.4f} removes no cell of the pattern here"
        if reason:
            return "dense", f"{reason}; its penalty acts" if self.penalty_state is not None else reason
        if not self.mask.kept:
            return "pruned", f"keeps no cell: what sparsity {self.target:g} leaves is too little for one"
        return "pruned", ""

    def is_cut(self, step: int) -> bool:
        """Whether the final sparsity is reached at a step."""
        last = self.schedule.last_step
        return last is not None and step >= last

    def at_end(self) -> MaskRequest:
        """What is to be chosen in the end."""
        return MaskRequest(self.weight, self.pattern, None if self.own_rate else self.schedule.final)

    def ask(self, step: int) -> MaskRequest | None:
        """Sets the target of a step.

        Args:
            step: Training step.

        Returns:
            What is to be chosen; None where everything stays, for the `reason` set.
        """
        target = self.target = self.schedule.sparsity(step)
        if target == 0:
            self.reason = "the schedule asks for sparsity 0"
            return None
        pattern = self.pattern.during(target, self.shape, self.weight.layout)
        if pattern is not None:
            self.reason = ""
            return MaskRequest(self.weight, pattern, None if self.own_rate else target)
        if self.own_rate:
            self.reason = f"sparsity {target:.4f} removes no cell of the pattern yet"
        else:
            least = self.pattern.min_sparsity(self.shape, self.weight.layout)
            self.reason = f"the pattern reaches no sparsity below {least:.4f} here"
        return None


def no_final_sparsity(schedule: Schedule, pattern: Pattern) -> PruningError:
    """The error for a schedule without an end and a pattern without a rate of its own."""
    return PruningError(
        f"A schedule needs a final sparsity for a pattern without a rate of its own. Received: {schedule!r} with "
        f"{pattern!r}. Write for example PolynomialDecay(final_sparsity=0.8) or ConstantSparsity(0.8)."
    )


def _ending_with(penalty: Penalty, last: int) -> Penalty:
    """The penalty with its open end set to the step of the last cut."""
    if penalty.ramp.begin_step >= last:
        raise ScheduleError(
            "A penalty must begin before the last weights are cut, or it does nothing. Received: "
            f"begin_step={penalty.ramp.begin_step} of {penalty.ramp!r}, and a schedule whose last cut is at "
            f"step {last}. Let the penalty begin earlier, or the schedule cut later (begin_step of ConstantSparsity)."
        )
    return dataclasses.replace(penalty, strength=penalty.ramp.resolve(last))


def sort_by_pattern(weights: Sequence[PrunableWeight]) -> tuple[list[PrunableWeight], list[SkippedWeight]]:
    """Weights that the pattern of their rule can apply to, and the others with the reason.

    Args:
        weights: The weights.

    Returns:
        ``(fitting, skipped)``.

    Raises:
        PruningError: A layer that its rule names has none of the former.
    """
    fitting, unfit, named = [], [], {}
    for weight in weights:
        try:
            assert weight.rule.pattern is not None  # a rule without one skips
            weight.rule.pattern.check(matrix_shape(tuple(weight.variable.shape), weight.layout))
        except PatternError as error:
            unfit.append(SkippedWeight(weight.layer, weight.variable, str(error)))
            if weight.named:
                named[weight.layer] = str(error)
        else:
            fitting.append(weight)
    wrong = {layer: reason for layer, reason in named.items() if layer not in {each.layer for each in fitting}}
    if wrong:
        raise PruningError(
            "The pattern must be able to apply to every layer named in `filters` or a rule. Received: "
            f"{'; '.join(f'layer {layer!r}: {reason}' for layer, reason in wrong.items())} Leave these layers out, "
            "or give them another pattern by a rule of their own."
        )
    return fitting, unfit


def choose_weights(model: Any, recipe: Recipe) -> tuple[list[PrunableWeight], list[SkippedWeight]]:
    """The weights that a recipe prunes, and the others with the reason.

    Args:
        model: Built Keras model.
        recipe: The rules.

    Returns:
        ``(prunable, skipped)``; the first is empty only where every rule says that layers stay dense.

    Raises:
        PruningError: The model is not built, a rule does not fit it, or there is nothing to prune.
    """
    prunable, skipped = match_weights(model, recipe)
    fitting, unfit = sort_by_pattern(prunable)
    # Of a mapping that leaves every layer dense: nothing is wrong.
    if not fitting and not all(rule.skip for rule in recipe.rules):
        listed = "; ".join(f"{each.layer}: {each.reason}" for each in [*skipped, *unfit]) or "no layer with a kernel"
        raise PruningError(
            f"The model {model.name!r} has no layer to prune. Received: {listed}. Choose layers with `filters` or a "
            "rule, or lower `min_weights`."
        )
    return fitting, [*skipped, *unfit]
