# SPDX-License-Identifier: Apache-2.0
"""Weights that begin again from earlier values after a cut."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy.typing as npt

from tfprune.errors import PruningError
from tfprune.keras.backends import attach_state, value_of
from tfprune.keras.progress import Progress

Array = npt.NDArray[Any]


class Rewinding:
    """Values of a model's trainable variables at one step for each schedule that rewinds.

    A kernel goes back to the values of its own schedule's step. Variables that nothing prunes go back whenever some
    kernel does, to the values of the first such schedule.

    Args:
        model: Built Keras model.
        progress: The weights that are pruned.
        earlier: The object of an earlier training of the model, whose values are taken over.
    """

    def __init__(self, model: Any, progress: Sequence[Progress], earlier: Rewinding | None = None) -> None:
        """Takes earlier values."""
        self._model = model
        self._progress = progress
        pruned = {id(each.weight.variable) for each in progress}
        self._others = [each for each in model.trainable_variables if id(each) not in pruned]
        # By identity, because places change where a layer is frozen between two trainings; with the variable, whose
        # identity is nobody else's as long as it lives.
        self._saved: dict[int, tuple[Any, Array]] = dict(earlier._saved) if earlier is not None else {}

    @property
    def values(self) -> dict[int, Array]:
        """Saved values by position of the weight; those of other variables under -1, -2, ..."""
        return {
            place: self._saved[id(variable)][1] for place, variable in self._places() if id(variable) in self._saved
        }

    def load(self, values: Mapping[int, Array]) -> None:
        """Takes the values of a saved state in place of its own.

        Args:
            values: What `values` was in a training of the same weights.
        """
        self._saved = {id(variable): (variable, values[place]) for place, variable in self._places() if place in values}

    def save(self, steps: Iterable[int]) -> None:
        """Saves the values that a schedule wants of one of the steps, which are those of now.

        Args:
            steps: The steps that have not been looked at yet.
        """
        listed = list(steps)
        due = [
            each.weight.variable for each in self._progress if any(each.schedule.saves_values(step) for step in listed)
        ]
        if not due:
            return
        attach_state(self._model)
        due += [other for other in self._others if id(other) not in self._saved]
        self._saved |= {id(variable): (variable, value_of(variable)) for variable in due}

    def restore(self, indices: Iterable[int]) -> None:
        """Sets kernels, and all variables that nothing prunes, back to their saved values.

        Args:
            indices: Positions of the kernels; their masks are applied by the caller.

        Raises:
            PruningError: Values that were never saved.
        """
        listed = list(indices)
        if not listed:
            return
        back = [(self._progress[index].weight.variable, self._progress[index].weight.layer) for index in listed]
        # Variables of tf_keras have no path.
        back += [(other, getattr(other, "path", other.name)) for other in self._others]
        for variable, name in back:
            if id(variable) not in self._saved:
                raise PruningError(
                    f"Weights go back to values that were saved at `rewind_step`. Received: a cut, and for {name!r} a "
                    "training that did not pass through that step. Begin at an earlier step, or set rewind_step=None."
                )
        for variable, _ in back:
            variable.assign(self._saved[id(variable)][1])

    def _places(self) -> Iterator[tuple[int, Any]]:
        yield from enumerate(each.weight.variable for each in self._progress)
        yield from ((-1 - place, other) for place, other in enumerate(self._others))
