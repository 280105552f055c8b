# SPDX-License-Identifier: Apache-2.0
"""When penalties look at the weights, how strong they are, and their step after the optimizer's."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from keras import ops

from tfprune.keras.backends import attach_state
from tfprune.keras.choice import MaskChooser
from tfprune.keras.penalties import State, WeightPenalty
from tfprune.keras.progress import MaskRequest, Progress


class ProximalStep:
    """Carries a penalty out after the optimizer's update of a kernel, by the learning rate that it has now.

    It runs before the optimizer counts the step, so it sees the learning rate of that very update. Between the updates
    of an optimizer that accumulates gradients it does nothing.

    Args:
        penalty: The penalty.
        optimizer: The optimizer that applies the updates.
    """

    def __init__(self, penalty: WeightPenalty, optimizer: Any) -> None:
        """Stores the parts."""
        self.penalty = penalty
        self.optimizer = optimizer

    def __call__(self, weights: Any) -> Any:
        """Weights after the proximal step, exactly as they were where the strength is 0."""
        rate = ops.cast(ops.convert_to_tensor(self.optimizer.learning_rate), "float32")
        strength = self._strength_now()
        return ops.where(strength > 0, self.penalty.proximal(weights, strength, rate), weights)

    def _strength_now(self) -> Any:
        strength = ops.convert_to_tensor(self.penalty.strength)
        together = self.optimizer.gradient_accumulation_steps
        if not together:
            return strength
        # The public counter counts updates, and this step may be on the way to one.
        is_update = ops.equal((ops.convert_to_tensor(self.optimizer._iterations) + 1) % together, 0)
        return ops.where(is_update, strength, ops.zeros_like(strength))


def look(chooser: MaskChooser, due: Sequence[tuple[WeightPenalty, MaskRequest]], step: int) -> list[State]:
    """Lets penalties look at their weights, after one choice for all that need one.

    Args:
        chooser: Makes the choice.
        due: The penalties, each with what is to be chosen in the end.
        step: Training step, for messages.

    Returns:
        What each goes by from now on.

    Raises:
        PruningError: A mask cannot be chosen, such as for a layer with NaN weights.
    """
    asking = [
        (penalty, dataclasses.replace(request, values=penalty.values()))
        for penalty, request in due
        if penalty.needs_choice
    ]
    masks = chooser.choose([request for _, request in asking], step)
    chosen = {id(penalty): mask for (penalty, _), mask in zip(asking, masks, strict=True)}
    return [penalty.look(chosen.get(id(penalty))) for penalty, _ in due]


class Penalising:
    """The penalties of one pruner: each acts from the beginning of its ramp to the last cut of its weight.

    Args:
        model: Keras model.
    """

    def __init__(self, model: Any) -> None:
        """Starts without any."""
        self._model = model
        self._all: list[tuple[Progress, WeightPenalty]] = []
        #: The last step at which penalties that were due have looked. Not the pruner's: at the end of a training, where
        #: that still chooses masks, no penalty acts any more.
        self.looked_step = -1

    def begin(self, progress: Sequence[Progress], penalties: Sequence[WeightPenalty | None]) -> None:
        """Takes the weights of a training that begins.

        Args:
            progress: The weights.
            penalties: Their penalties, None for those without one.
        """
        self._all = [(each, term) for each, term in zip(progress, penalties, strict=True) if term is not None]

    def put(self) -> None:
        """Puts what the weights say of their penalties into the training step."""
        for each, term in self._all:
            if each.penalty_state is None:
                term.release()
            else:
                term.load(each.penalty_state)

    def prepare(self, chooser: MaskChooser, now: int) -> None:
        """Call before a training step: ends penalties of weights that are cut, looks where due, and sets strengths.

        Args:
            chooser: Chooses masks.
            now: Number of the step.

        Raises:
            PruningError: A mask cannot be chosen.
        """
        steps = range(self.looked_step + 1, now + 1)
        self.looked_step = max(self.looked_step, now)
        ending = [(each, term) for each, term in self._all if term.active and each.is_cut(now)]
        due = [
            (each, term)
            for each, term in self._all
            if not each.is_cut(now) and each.can_end and any(term.penalty.should_choose(step) for step in steps)
        ]
        if ending or due:
            attach_state(self._model)
            for each, term in ending:
                each.penalty_state = None
                term.release()
            states = look(chooser, [(term, each.at_end()) for each, term in due], now)
            for (each, _), state in zip(due, states, strict=True):
                each.penalty_state = state
        strengths = [(term, _strength(each, now)) for each, term in self._all if term.active]
        if any(strength != term.strength_now for term, strength in strengths):
            attach_state(self._model)
            for term, strength in strengths:
                term.set_strength(strength)


def _strength(progress: Progress, step: int) -> float:
    """By the penalty of the progress: its end is set, and that of the term may be open."""
    assert progress.penalty is not None
    return progress.penalty.ramp.strength(step)
