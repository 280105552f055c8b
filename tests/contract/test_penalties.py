# SPDX-License-Identifier: Apache-2.0
"""Penalties in the compiled step of every back end: strength and what is penalised change while it runs."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from tfprune.keras.backends import attach_state
from tfprune.keras.callback import PruningCallback
from tfprune.keras.layers import to_numpy
from tfprune.sparsity.patterns import Groups
from tfprune.sparsity.penalties import AdmmPenalty, Penalty, PriorMaskPenalty, ReweightedGroupPenalty
from tfprune.sparsity.penalties.admm import Splitting, draw_to
from tfprune.sparsity.penalties.cells import dropped_cells
from tfprune.sparsity.penalties.prior_mask import shrink_factor
from tfprune.sparsity.schedules import ConstantSparsity, StrengthRamp
from tfprune.sparsity.select import select

RATE, STEPS, CUT = 0.1, 6, 4
PATTERN = Groups(rows=4)
RAMP = StrengthRamp(3.0, end_step=2, initial=1.0)
STRENGTHS = (1.0, 2.0, 3.0, 3.0)


class KernelWatch(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no type information
    """Keeps the kernel after each step, and moves it after the second, so that later choices differ."""

    def __init__(self) -> None:
        super().__init__()
        self.kernels: list[np.ndarray] = []

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        attach_state(self.model)
        kernel = self.model.get_layer("hidden").kernel
        self.kernels.append(to_numpy(kernel).astype(np.float64))
        if batch == 1:
            kernel.assign(moved(self.kernels[-1]))


def moved(kernel: np.ndarray) -> np.ndarray:
    """What was small is large, and the other way round."""
    return np.ascontiguousarray(0.5 - kernel)


def choice(weights: np.ndarray) -> np.ndarray:
    return select(weights.astype(np.float32), PATTERN, 0.5)


def expected(penalty: Penalty, weights: np.ndarray) -> list[np.ndarray]:
    """The kernel after each step until the cut, where no gradient acts. Penalties look at steps 0 and 2."""
    found, splitting, mask, groups = [], None, choice(weights), []
    for step, strength in enumerate(STRENGTHS):
        if step % 2 == 0:
            if splitting is None:
                mask = choice(weights)
                splitting = Splitting.begin(weights, mask)
            else:
                mask = choice(weights)
                splitting = splitting.project(weights, choice(weights + splitting.dual))
            ids = dropped_cells(PATTERN, mask.T[:, None]).ids[:, 0].T
            groups = [(ids == number, np.linalg.norm(weights[ids == number])) for number in range(ids.max())]
        if isinstance(penalty, PriorMaskPenalty):
            weights = np.where(mask, weights, weights * shrink_factor(strength, RATE))
        elif isinstance(penalty, AdmmPenalty):
            weights = draw_to(weights, splitting.target, RATE * strength)
        else:
            weights = weights.copy()
            for group, old in groups:
                norm = np.linalg.norm(weights[group])
                weights[group] *= max(0.0, 1 - RATE * strength / (old + 1.0) / norm) if norm else 0.0
        found.append(weights)
        weights = moved(weights) if step == 1 else weights
    return found


@pytest.mark.backends
@pytest.mark.parametrize(
    "penalty",
    [PriorMaskPenalty(RAMP, refresh=2), AdmmPenalty(RAMP, refresh=2), ReweightedGroupPenalty(RAMP, 2, eps=1.0)],
    ids=lambda penalty: type(penalty).__name__,
)
def test_steps_follow_the_formula(penalty: Penalty) -> None:
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(16, name="hidden"), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(RATE), lambda truth, answer: 0.0 * keras.ops.mean(answer))
    callback = PruningCallback(
        PATTERN, ConstantSparsity(0.5, begin_step=CUT), penalty=penalty, filters="hidden", min_weights=1
    )
    watch = KernelWatch()
    before = to_numpy(model.get_layer("hidden").kernel).astype(np.float64)
    model.fit(np.ones((STEPS, 6)), np.ones(STEPS), batch_size=1, verbose=0, callbacks=[callback, watch])
    for step, kernel in enumerate(expected(penalty, before)):
        np.testing.assert_allclose(watch.kernels[step], kernel, rtol=1e-4, atol=1e-6, err_msg=f"step {step}")
    # The cut ends the penalty: nothing moves any more.
    assert (watch.kernels[CUT] == 0).mean() >= 0.5
    np.testing.assert_array_equal(watch.kernels[-1], watch.kernels[CUT])
    assert not [each.name for each in model.optimizer.variables if "penalty" in each.name or "mask" in each.name]
