# SPDX-License-Identifier: Apache-2.0
"""Weights that another callback or the optimizer replaces at the end of training."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tests.keras.conftest import BATCH, STEPS, zeros
from tfprune.errors import PruningError
from tfprune.keras.callback import PruningCallback
from tfprune.keras.state import PruningState
from tfprune.sparsity.patterns import Unstructured
from tfprune.sparsity.schedules import ConstantSparsity, PolynomialDecay

Build = Callable[..., Any]
Data = tuple[np.ndarray, np.ndarray]
# A quarter of 128 weights in the first epoch, a half in the second, three quarters from the third on.
STEPPED = PolynomialDecay(0.25, 0.75, end_step=2 * STEPS, power=1, frequency=STEPS)


class BestIs(keras.callbacks.Callback):
    """Logs a loss whose best epoch is the given one."""

    def __init__(self, epoch: int) -> None:
        super().__init__()
        self.epoch = epoch

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs["wanted"] = abs(epoch - self.epoch)


def pruning(schedule: Any = STEPPED, **options: Any) -> PruningCallback:
    return PruningCallback(Unstructured(), schedule, min_weights=1, **options)


def stopping() -> Any:
    return keras.callbacks.EarlyStopping("wanted", mode="min", patience=9, restore_best_weights=True)


def fit(model: Any, data: Data, *callbacks: Any, epochs: int = 3) -> list[str]:
    """Trains, and returns what our callback warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(*data, batch_size=BATCH, epochs=epochs, verbose=0, shuffle=False, callbacks=[*callbacks])
    return [str(each.message) for each in caught if "PruningCallback" in str(each.message)]


def in_order(order: str, prune: PruningCallback, best: int = 0) -> list[Any]:
    return [BestIs(best), *([stopping(), prune] if order == "behind" else [prune, stopping()])]


@pytest.mark.parametrize("order", ["before", "behind"])
def test_replaced_weights_are_said_once_and_kept(order: str, build: Build, data: Data, tmp_path: Path) -> None:
    model = build("adam")
    prune = pruning(checkpoint=tmp_path / "pruning.npz")
    seen: list[Any] = []
    look = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(model.get_layer("hidden").kernel.numpy())
    )
    found = fit(model, data, look, *in_order(order, prune))
    assert len(found) == 1
    assert "replaced the weights after the last step" in found[0]
    assert "reproject=True prunes them again): hidden" in found[0]
    np.testing.assert_array_equal(model.get_layer("hidden").kernel.numpy(), seen[0])  # the best ones, as they were
    row = prune.report.layers[0]
    assert (row.target, row.achieved) == (0.75, 0.25)
    assert "replaced its weights" in row.reason
    # The state on disk belongs to the weights that the model ended with.
    callback = pruning(checkpoint=tmp_path / "pruning.npz")
    assert fit(model, data, callback, epochs=1) == []
    assert zeros(model, "hidden") == 96
    assert callback.report.step == 4 * STEPS


@pytest.mark.parametrize("order", ["before", "behind"])
def test_reproject_prunes_again(order: str, build: Build, data: Data, tmp_path: Path) -> None:
    model = build("adam")
    prune = pruning(reproject=True, checkpoint=tmp_path / "pruning.npz")
    seen: list[Any] = []
    look = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(model.get_layer("hidden").kernel.numpy())
    )
    assert fit(model, data, look, *in_order(order, prune)) == []
    # The largest of the best weights stay; those of the last masks are others.
    best = seen[0]
    least = np.sort(np.abs(best), axis=None)[-32]
    np.testing.assert_array_equal(model.get_layer("hidden").kernel.numpy(), np.where(np.abs(best) >= least, best, 0))
    row = prune.report.layers[0]
    assert (row.target, row.achieved, row.reason) == (0.75, 0.75, "")
    mask = PruningState.load(tmp_path / "pruning.npz").weights[0].mask.unpack()
    np.testing.assert_array_equal(mask, np.abs(best) >= least)


@pytest.mark.parametrize("order", ["before", "behind"])
def test_the_best_epoch_may_be_the_last(order: str, build: Build, data: Data) -> None:
    model = build("adam")
    prune = pruning()
    assert fit(model, data, *in_order(order, prune, best=2)) == []
    assert zeros(model, "hidden") == 96
    assert prune.report.layers[0].reason == ""


@pytest.mark.parametrize("order", ["before", "behind"])
def test_other_masks_of_equal_sparsity_are_taken_over(order: str, build: Build, data: Data) -> None:
    model = build("adam")
    prune = pruning(ConstantSparsity(0.5, frequency=100))
    kernel = model.get_layer("hidden").kernel
    turned: list[np.ndarray] = []

    def turn(logs: Any) -> None:
        turned.append(kernel.numpy()[::-1])
        kernel.assign(turned[0])

    other = keras.callbacks.LambdaCallback(on_train_end=turn)
    assert fit(model, data, *([other, prune] if order == "behind" else [prune, other])) == []
    np.testing.assert_array_equal(kernel.numpy(), turned[0])
    assert prune.report.layers[0].reason == ""
    fit(model, data, prune, epochs=1)
    np.testing.assert_array_equal(kernel.numpy() == 0, turned[0] == 0)


def test_a_history_of_the_users_own(build: Build, data: Data) -> None:
    model = build("adam")
    history = keras.callbacks.History()
    prune = pruning(reproject=True)
    assert fit(model, data, history, *in_order("behind", prune)) == []
    assert zeros(model, "hidden") == 96
    assert "on_train_end" not in vars(history)
    assert model.get_layer("hidden").kernel.constraint is None


@pytest.mark.parametrize("order", ["before", "behind"])
@pytest.mark.parametrize("frequency", [None, 4])
def test_averages_of_the_optimizer_are_pruned(order: str, frequency: int | None, build: Build, data: Data) -> None:
    """``use_ema`` overwrites the weights after the last step, and averages take in weights before they are masked."""
    model = build(keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=frequency))
    prune = pruning()
    weights: list[Any] = []
    look = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: weights.append(model.get_layer("hidden").kernel.numpy()),
    )
    callbacks = [look, prune] if order == "behind" else [prune, look]
    assert fit(model, data, *callbacks) == []
    kernel = model.get_layer("hidden").kernel.numpy()
    assert (kernel == 0).sum() == 96
    assert (kernel != weights[-1]).any()  # they are the averages
    assert prune.report.layers[0].reason == ""


def test_the_same_callback_twice_in_a_fit(build: Build, data: Data) -> None:
    model = build("adam")
    prune = pruning()
    with pytest.raises(PruningError, match="the same object twice"):
        fit(model, data, prune, prune)
    # The callback is none the worse for it.
    assert fit(model, data, prune) == []
    assert zeros(model, "hidden") == 96


def test_a_training_that_ends_early_says_what_is_missing(build: Build, data: Data) -> None:
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.model.stop_training = epoch == 0

    model, prune = build("adam"), pruning()
    reason = "the schedule reaches sparsity 0.75 at step 12"
    assert fit(model, data, Stop(), prune) == [
        f"PruningCallback: training ended at step 6: sparsity is 0.5, and {reason}."
    ]
    (row, _) = prune.report.layers
    assert (row.status, row.target, row.reason) == ("pruned", 0.5, reason)
    assert fit(model, data, prune, epochs=1) == []
    assert prune.report.layers[0].reason == ""


def test_a_step_that_assigns_weights_by_itself_is_refused(data: Data) -> None:
    class Own(keras.Model):
        def train_step(self, batch: Any) -> Any:
            for variable in self.trainable_variables:
                variable.assign(keras.ops.multiply(variable, 0.99))
            return {"loss": 0.0}

    given = keras.Input((16,))
    hidden = keras.layers.Dense(8, name="hidden")(given)
    model = Own(given, keras.layers.Dense(1)(hidden))
    model.compile("adam", "mse")
    with pytest.raises(PruningError, match=r"must apply the masks.*assigns weights by itself"):
        fit(model, data, pruning())


def test_steps_that_loss_scaling_skips_are_none(build: Build, data: Data) -> None:
    model = build(keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(), initial_scale=1e30), run_eagerly=True)
    prune = pruning(ConstantSparsity(0.5))
    with np.errstate(over="ignore"):
        model.fit(data[0][: 2 * BATCH] * 1e20, data[1][: 2 * BATCH], batch_size=BATCH, verbose=0, callbacks=[prune])
    assert int(model.optimizer.iterations) == 0
    assert zeros(model, "hidden") == 64


def test_a_word_is_no_switch() -> None:
    with pytest.raises(PruningError, match=r"`reproject` must be True or False. Received: reproject='no'"):
        pruning(reproject="no")
