# SPDX-License-Identifier: Apache-2.0
"""Sparsity stops growing where a metric falls below its bound."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tests.keras.conftest import BATCH, STEPS, zeros
from tests.keras.test_replaced_weights import fit
from tfprune.errors import PruningError
from tfprune.keras.callback import PruningCallback
from tfprune.keras.state import PruningState
from tfprune.sparsity.patterns import Unstructured
from tfprune.sparsity.penalties import PriorMaskPenalty
from tfprune.sparsity.schedules import PolynomialDecay, StrengthRamp

Build = Callable[..., Any]
Data = tuple[np.ndarray, np.ndarray]
# 16, 32, 48 ... of 128 weights in the epochs of six steps.
GROWING = PolynomialDecay(0.125, 0.75, end_step=5 * STEPS, power=1, frequency=STEPS)


class Metric(keras.callbacks.Callback):
    """Logs given values of a metric, and remembers the weights at the end of each epoch."""

    def __init__(self, values: list[float | None]) -> None:
        super().__init__()
        self.values = values
        self.kernels: list[np.ndarray] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.values[epoch] is not None:
            logs["val_skill"] = self.values[epoch]
        self.kernels.append(self.model.get_layer("hidden").kernel.numpy())


def pruning(bound: float = 0.9, **options: Any) -> PruningCallback:
    return PruningCallback(Unstructured(), GROWING, min_weights=1, stop_below={"val_skill": bound}, **options)


def found_zeros(metric: Metric) -> list[int]:
    return [int((kernel == 0).sum()) for kernel in metric.kernels]


def test_masks_of_the_last_good_epoch_come_back_and_stay(build: Build, data: Data) -> None:
    model = build("adam")
    metric = Metric([0.95, 0.93, 0.5, 0.8, 0.99, 0.99])
    prune = pruning()
    after: list[np.ndarray] = []
    look = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: after.append(model.get_layer("hidden").kernel.numpy())
    )
    assert fit(model, data, metric, prune, look, epochs=6) == []
    # The third epoch falls below the bound; the weights of the second come back, and train on with its masks.
    assert found_zeros(metric) == [16, 32, 48, 32, 32, 32]
    np.testing.assert_array_equal(after[2], metric.kernels[1])
    for kernel in metric.kernels[3:]:
        np.testing.assert_array_equal(kernel == 0, metric.kernels[1] == 0)
        assert (kernel != metric.kernels[1]).any()
    assert zeros(model, "hidden") == 32
    report = prune.report
    assert report.held == "val_skill fell to 0.5, below 0.9 after step 18"
    assert "held: val_skill fell" in str(report)
    assert report.to_dict()["held"] == report.held
    assert (report.step, report.layers[0].target, report.layers[0].achieved) == (36, 0.25, 0.25)
    # A second fit stays there as well.
    assert fit(model, data, Metric([0.99, 0.99, 0.99]), prune) == []
    assert zeros(model, "hidden") == 32


def test_a_network_that_still_learns_is_not_below_yet(build: Build, data: Data) -> None:
    model = build("adam")
    metric = Metric([0.1, 0.5, 0.95, None, 0.85, 0.85])
    prune = pruning()
    fit(model, data, metric, prune, epochs=6)
    assert found_zeros(metric) == [16, 32, 48, 64, 80, 48]
    assert prune.report.held == "val_skill fell to 0.85, below 0.9 after step 30"


def test_an_epoch_without_validation_is_none_to_go_back_to(build: Build, data: Data) -> None:
    metric = Metric([0.95, None, 0.5, 0.95, 0.95, 0.95])
    prune = PruningCallback(Unstructured(), GROWING, min_weights=1, stop_below={"val_skill": 0.9, "loss": -1.0})
    fit(build("adam"), data, metric, prune, epochs=6)
    zeros_after = found_zeros(metric)
    # In the third epoch the growth ends, with what the first one had: the second was not validated.
    assert zeros_after[3:] == [zeros_after[0]] * 3
    assert zeros_after[1] > zeros_after[0]


def test_not_a_number_is_below(build: Build, data: Data) -> None:
    prune = pruning()
    fit(build("adam"), data, Metric([0.95, float("nan"), 0.95]), prune)
    assert "val_skill fell to nan" in prune.report.held


def test_a_penalty_ends_with_the_growth(build: Build, data: Data) -> None:
    model = build(keras.optimizers.SGD(0.001))
    metric = Metric([0.95, 0.5, 0.95, 0.95])
    prune = pruning(penalty=PriorMaskPenalty(StrengthRamp(100.0, end_step=0)))
    fit(model, data, metric, prune, epochs=4)
    before, after = metric.kernels[2:]
    # The penalty would take two thirds of most weights in six steps.
    assert np.median(after[before != 0] / before[before != 0]) > 0.9


def test_a_resumed_training_knows_that_it_was_within_the_bounds(build: Build, data: Data, tmp_path: Path) -> None:
    path = tmp_path / "pruning.npz"
    model = build("adam")
    fit(model, data, Metric([0.95]), pruning(checkpoint=path), epochs=1)
    model.save(tmp_path / "model.keras")
    assert PruningState.load(path).armed
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    prune = pruning(checkpoint=path)
    metric = Metric([0.5, 0.95])
    fit(loaded, data, metric, prune, epochs=2)
    # The epoch before is out of reach, so growth ends with the masks of now.
    assert found_zeros(metric) == [32, 32]
    assert prune.report.held
    loaded.save(tmp_path / "model.keras")
    prune = pruning(checkpoint=path)
    metric = Metric([0.95, 0.95])
    fit(keras.saving.load_model(tmp_path / "model.keras"), data, metric, prune, epochs=2)
    assert found_zeros(metric) == [32, 32]


def test_bounds_without_effect_are_said(build: Build, data: Data) -> None:
    found = fit(build("adam"), data, pruning(), epochs=5)
    assert len(found) == 1
    assert "`stop_below` had no effect: no epoch was validated, so val_skill never came up" in found[0]
    options = {"min_weights": 1, "stop_below": {"skill": 0.5}}
    with pytest.raises(PruningError, match=r"Received: 'skill'; this training has \['loss', 'sparsity'\]"):
        fit(build("adam"), data, PruningCallback(Unstructured(), GROWING, **options))


@pytest.mark.parametrize("value", [{}, 0.9, {"val_accuracy": "high"}, {3: 0.9}, {"val_accuracy": float("nan")}])
def test_wrong_bounds(value: Any) -> None:
    with pytest.raises(PruningError, match="`stop_below` must be None or a dictionary"):
        PruningCallback(Unstructured(), GROWING, stop_below=value)


def test_a_metric_that_a_validation_does_not_have_ends_the_training(build: Build, data: Data) -> None:
    with pytest.raises(PruningError, match=r"Received: 'val_skill'; this training has \[.*'val_loss'\]"):
        build("adam").fit(*data, BATCH, epochs=5, verbose=0, callbacks=[pruning()], validation_data=data)


def test_held_sparsity_asks_for_no_metric(build: Build, data: Data) -> None:
    model, prune = build("adam"), pruning()
    fit(model, data, Metric([0.95, 0.5]), prune, epochs=2)
    assert prune.report.held
    assert fit(model, data, prune, epochs=1) == []
