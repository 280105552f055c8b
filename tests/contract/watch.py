# SPDX-License-Identifier: Apache-2.0
"""What every test of the contract looks at: kernels after each step."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from tfprune.keras.callback import PruningCallback
from tfprune.keras.layers import PrunableWeight, find_weights, to_numpy
from tfprune.sparsity.patterns import Unstructured
from tfprune.sparsity.patterns.base import round_half_up
from tfprune.sparsity.schedules import PolynomialDecay

# A quarter of the weights goes before the first step, half of them before the second: masks that change.
SPARSITIES = (0.25, 0.5)


def two_cuts(**options: Any) -> PruningCallback:
    """A callback that cuts before each of two steps."""
    schedule = PolynomialDecay(*SPARSITIES, begin_step=0, end_step=1, power=1, frequency=1)
    return PruningCallback(Unstructured(), schedule, **{"filters": "*", "min_weights": 1, **options})


def kernels_in(model: Any) -> list[PrunableWeight]:
    """All kernels of a model."""
    return find_weights(model, "*", 1)[0]


def zeros_at(weight: PrunableWeight, sparsity: float) -> int:
    """How many weights a kernel must have lost."""
    return weight.size - round_half_up((1 - sparsity) * weight.size)


class KernelWatch(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no type information
    """Keeps the values of all kernels after each step."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[list[Any]] = []

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.steps.append([to_numpy(each.variable) for each in kernels_in(self.model)])


def check_steps(model: Any, steps: list[list[Any]], *, trains: bool = True) -> None:
    """The zeros of every kernel are those of the schedule after each step, and the rest trains.

    Args:
        model: The model that was trained.
        steps: Values of all kernels, after each of two steps.
        trains: Whether weights that stay must change.
    """
    assert len(steps) == len(SPARSITIES)
    for place, weight in enumerate(kernels_in(model)):
        name = f"{weight.layer}/{weight.variable.name}"
        for sparsity, values in zip(SPARSITIES, steps, strict=True):
            value = values[place]
            assert np.isfinite(value).all(), name
            assert (value == 0).sum() == zeros_at(weight, sparsity), name
            assert not np.signbit(value[value == 0]).any(), name
        kept = steps[1][place] != 0
        assert not trains or (steps[0][place][kept] != steps[1][place][kept]).any(), f"{name} does not train"


def skip_on_torch(reason: str) -> None:
    """Skips what Keras itself does not offer on PyTorch."""
    if keras.backend.backend() == "torch":
        pytest.skip(reason)
