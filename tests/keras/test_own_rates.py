# SPDX-License-Identifier: Apache-2.0
"""Patterns with a rate of their own under a schedule; rates and scores that are refused."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from tfprune.errors import PruningError
from tfprune.keras.callback import PruningCallback
from tfprune.sparsity.patterns import (
    Groups,
    KernelElements,
    NofM,
    Pattern,
)
from tfprune.sparsity.schedules import ConstantSparsity, PolynomialDecay

layers = keras.layers


class Zeros(keras.callbacks.Callback):
    """Counts zeros after every step."""

    def __init__(self, layer: str) -> None:
        super().__init__()
        self.layer = layer
        self.counts: list[int] = []

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.counts.append(int((self.model.get_layer(self.layer).kernel.numpy() == 0).sum()))


def small(channels: int = 8) -> Any:
    model = keras.Sequential(
        [
            keras.Input((4, 4, channels)),
            layers.Conv2D(4, 3, name="conv"),
            layers.Flatten(),
            layers.Dense(1, name="head"),
        ]
    )
    model.compile("sgd", "mse", run_eagerly=True)
    return model


def run(model: Any, callback: PruningCallback, steps: int = 10) -> list[int]:
    watch = Zeros("conv")
    images = np.random.default_rng(0).standard_normal((steps, *model.input_shape[1:])).astype(np.float32)
    model.fit(images, np.ones(steps), batch_size=1, verbose=0, callbacks=[callback, watch])
    return watch.counts


@pytest.mark.parametrize("given", [None, 0.5])
def test_a_rate_of_its_own_is_reached_one_cell_after_the_other(given: float | None) -> None:
    schedule = PolynomialDecay(0.0, given, end_step=8, power=1, frequency=1)
    callback = PruningCallback(NofM(2, 4), schedule, min_weights=1)
    counts = run(small(), callback)
    # Of each run of four, (1 - sparsity) * 4 stay, rounded half up: three beyond an eighth, two beyond three eighths.
    one = 9 * 2 * 4
    assert counts == [0, 0, 0, one, one, one, one, 2 * one, 2 * one, 2 * one]
    row = callback.report.layers[0]
    assert (row.target, row.achieved, row.status) == (0.5, 0.5, "pruned")


def test_runs_of_unequal_length_end_at_their_own_rate() -> None:
    callback = PruningCallback(NofM(2, 4), PolynomialDecay(end_step=4, power=1, frequency=1), min_weights=1)
    counts = run(small(channels=6), callback)  # runs of four and two: four of six stay
    assert counts[-1] == counts[4] == 9 * 4 * 2
    assert callback.report.layers[0].target == pytest.approx(1 / 3)


def test_positions_of_a_kernel_go_one_by_one() -> None:
    callback = PruningCallback(
        KernelElements(keep=4, share="layer"), PolynomialDecay(end_step=8, power=1, frequency=1), min_weights=1
    )
    counts = run(small(), callback)
    assert counts[-1] == 5 * 32
    assert set(counts) >= {32, 64, 96, 128, 160}


@pytest.mark.parametrize(
    ("pattern", "schedule", "message"),
    [
        (NofM(2, 4), ConstantSparsity(0.6), r"Layer 'conv': NofM.* at 0\.5\. Received: a schedule that ends at 0\.6"),
        (KernelElements(keep=4), PolynomialDecay(final_sparsity=0.5), r"at 0\.555556\. Received: .* ends at 0\.5\."),
        (KernelElements(), ConstantSparsity(), "needs a final sparsity"),
    ],
    ids=str,
)
def test_wrong_rates_are_refused_before_the_first_step(pattern: Pattern, schedule: Any, message: str) -> None:
    model = small()
    before = model.get_weights()
    with pytest.raises(PruningError, match=message):
        run(model, PruningCallback(pattern, schedule, min_weights=1))
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)
    assert model.get_layer("conv").kernel.constraint is None


def test_a_missing_rate_is_refused_at_once_where_no_layer_is_needed_to_know() -> None:
    for schedule in (PolynomialDecay(), ConstantSparsity()):
        with pytest.raises(PruningError, match="needs a final sparsity"):
            PruningCallback(Groups(), schedule)
    PruningCallback(NofM(), PolynomialDecay())
    PruningCallback(KernelElements(keep=4), ConstantSparsity())


def test_sparsity_zero_keeps_everything_also_with_a_rate_of_its_own() -> None:
    callback = PruningCallback(NofM(2, 4), ConstantSparsity(0.0), min_weights=1)
    assert run(small(), callback, steps=2) == [0, 0]
    assert callback.report.layers[0].reason == "the schedule asks for sparsity 0"


def test_wrong_scores_name_the_layer() -> None:
    callback = PruningCallback(Groups(), ConstantSparsity(0.5), min_weights=1, scores=lambda weights: -abs(weights))
    with pytest.raises(PruningError, match=r"At step 0: Layer 'conv/kernel': `scores` must be finite and at least 0"):
        run(small(), callback, steps=1)


def test_a_second_fit_keeps_what_was_chosen() -> None:
    model = small()
    callback = PruningCallback(NofM(2, 4), PolynomialDecay(end_step=8, power=1, frequency=1), min_weights=1)
    first = run(model, callback, steps=9)
    second = run(model, callback, steps=2)
    assert set(second) == {first[-1]} == {9 * 4 * 4}
