# SPDX-License-Identifier: Apache-2.0
"""Single weights on their way to a pattern: what fits, where each ends, and what is asked of it at a step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tfprune.errors import PatternError, PruningError
from tfprune.keras.layers import PrunableWeight, SkippedWeight
from tfprune.sparsity.blocks import Mask
from tfprune.sparsity.layouts import matrix_shape
from tfprune.sparsity.measure import Density
from tfprune.sparsity.patterns import Pattern
from tfprune.sparsity.schedules import Schedule


@dataclass(frozen=True)
class MaskRequest:
    """A mask to choose.

    Args:
        weight: The weight.
        pattern: What to select with.
        sparsity: How much; None: the pattern's own rate.
    """

    weight: PrunableWeight
    pattern: Pattern
    sparsity: float | None


@dataclass
class Progress:
    """Where one weight stands.

    Args:
        weight: The weight.
        pattern: Its pattern.
        schedule: Its schedule, with the sparsity that it ends at.
        own_rate: Whether that is the pattern's own rate, which `select` finds by itself.
        mask: Counts of its mask.
        target: Its target so far.
        reason: Why it is dense; empty if it is not.
        prior: The prior mask of a penalty, while that acts.
    """

    weight: PrunableWeight
    pattern: Pattern
    schedule: Schedule
    own_rate: bool
    mask: Density
    target: float = 0.0
    reason: str = "no pruning step yet"
    prior: Mask | None = None

    @classmethod
    def begin(cls, weight: PrunableWeight, pattern: Pattern, schedule: Schedule) -> Progress:
        """Everything kept, and the schedule ending at the pattern's own rate if it has one.

        Args:
            weight: The weight.
            pattern: A pattern that can apply to it.
            schedule: The schedule.

        Returns:
            The beginning.

        Raises:
            PruningError: A final sparsity is missing, or is not the pattern's own.
        """
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
        everything = Density(kept=weight.size, total=weight.size)
        return cls(weight, pattern, schedule, own_rate=own_rate, mask=everything)

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
    def status(self) -> tuple[str, str]:
        """Status and reason of a report, by what the mask is now."""
        reason = self.reason
        if not reason and self.mask.kept == self.mask.total:
            reason = f"sparsity {self.target:.4f} removes no cell of the pattern here"
        if reason:
            return "dense", f"{reason}; its penalty acts" if self.prior is not None else reason
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


def sort_by_pattern(
    pattern: Pattern, weights: Sequence[PrunableWeight]
) -> tuple[list[PrunableWeight], list[SkippedWeight]]:
    """Weights that a pattern can apply to, and the others with the reason.

    Args:
        pattern: The pattern.
        weights: The weights.

    Returns:
        ``(fitting, skipped)``.

    Raises:
        PruningError: A layer named in `filters` has none of the former.
    """
    fitting, unfit, named = [], [], {}
    for weight in weights:
        try:
            pattern.check(matrix_shape(tuple(weight.variable.shape), weight.layout))
        except PatternError as error:
            unfit.append(SkippedWeight(weight.layer, weight.variable, str(error)))
            if weight.named:
                named[weight.layer] = str(error)
        else:
            fitting.append(weight)
    wrong = {layer: reason for layer, reason in named.items() if layer not in {each.layer for each in fitting}}
    if wrong:
        raise PruningError(
            "The pattern must be able to apply to every layer named in `filters`. Received: "
            f"{'; '.join(f'layer {layer!r}: {reason}' for layer, reason in wrong.items())} Leave these layers out of "
            "`filters`, or prune them with another callback and pattern."
        )
    return fitting, unfit
