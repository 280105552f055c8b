# SPDX-License-Identifier: Apache-2.0
"""Weights that begin again from earlier values after a cut."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy.typing as npt

from tfprune.errors import PruningError
from tfprune.keras.backends import attach_state, value_of
from tfprune.keras.progress import Progress


class Rewinding:
    """Values of a model's trainable variables at one step for each schedule that rewinds.

    A kernel goes back to the values of its own schedule's step. Variables that nothing prunes go back whenever some
    kernel does, to the values of the first such schedule.

    Args:
        model: Built Keras model.
        progress: The weights that are pruned.
        values: Values that were saved before, by an object for the same weights.
    """

    def __init__(
        self, model: Any, progress: Sequence[Progress], values: Mapping[int, npt.NDArray[Any]] | None = None
    ) -> None:
        """Takes earlier values."""
        self._model = model
        self._progress = progress
        pruned = {id(each.weight.variable) for each in progress}
        self._others = [each for each in model.trainable_variables if id(each) not in pruned]
        #: Saved values by position of the weight; those of other variables under -1, -2, ...
        self.values: dict[int, npt.NDArray[Any]] = dict(values or {})

    def save(self, steps: Iterable[int]) -> None:
        """Saves the values that a schedule wants of one of the steps, which are those of now.

        Args:
            steps: The steps that have not been looked at yet.
        """
        listed = list(steps)
        due = [
            (index, each.weight.variable)
            for index, each in enumerate(self._progress)
            if any(each.schedule.saves_values(step) for step in listed)
        ]
        if not due:
            return
        attach_state(self._model)
        self.values |= {index: value_of(variable) for index, variable in due}
        for place, other in enumerate(self._others):
            if -1 - place not in self.values:
                self.values[-1 - place] = value_of(other)

    def restore(self, indices: Iterable[int]) -> None:
        """Sets kernels, and all variables that nothing prunes, back to their saved values.

        Args:
            indices: Positions of the kernels; their masks are applied by the caller.

        Raises:
            PruningError: Values that were never saved.
        """
        listed = list(indices)
        for index in listed:
            if index not in self.values:
                each = self._progress[index]
                raise PruningError(
                    "Weights go back to values that were saved at `rewind_step`. Received: a cut of layer "
                    f"{each.weight.layer!r} in a training that did not pass through that step. Begin at an earlier "
                    "step, or set rewind_step=None."
                )
            self._progress[index].weight.variable.assign(self.values[index])
        if listed:
            for place, other in enumerate(self._others):
                other.assign(self.values[-1 - place])
