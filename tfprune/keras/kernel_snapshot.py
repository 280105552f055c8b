# SPDX-License-Identifier: Apache-2.0
"""Kernels as they are before a training step."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from tfprune.errors import PruningError
from tfprune.keras.layers import match_weights, to_numpy
from tfprune.recipe import Recipe


class KernelSnapshot(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no type information
    """Keeps the kernels that a recipe prunes as they are before one step of ``fit``.

    It must stand before the `PruningCallback` in the list of callbacks, to see what that is about to cut.

    Args:
        recipe: Whose rules name the kernels; each rule names one, and its `place` is the kernel's key.
        step: The training step, from 0.

    Attributes:
        kernels: Values by key, once the step has begun.
    """

    def __init__(self, recipe: Recipe, step: int) -> None:
        """Sees nothing yet."""
        super().__init__()
        self.kernels: dict[str, npt.NDArray[np.floating[Any]]] = {}
        self._recipe = recipe
        self._step = step
        self._begun = 0
        self._variables: dict[str, Any] = {}

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Finds the kernels."""
        prunable, _ = match_weights(self.model, self._recipe)
        self._variables = {each.rule.place: each.variable for each in prunable}

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Looks at them, if this is the step."""
        if self._begun == self._step:
            self.kernels = {name: to_numpy(variable).copy() for name, variable in self._variables.items()}
        self._begun += 1

    def restore(self) -> None:
        """Gives the kernels these values back.

        Raises:
            PruningError: `fit` ended before the step.
        """
        if not self.kernels:
            raise PruningError(
                f"training was to have {self._step + 1} steps. Received: {self._begun}. Leave out callbacks that "
                "end it early, or pass `steps_per_epoch` where the data has fewer batches than it says."
            )
        for name, value in self.kernels.items():
            self._variables[name].assign(value)
