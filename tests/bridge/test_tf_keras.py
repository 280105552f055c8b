# SPDX-License-Identifier: Apache-2.0
"""Models of tf_keras (Keras 2) are pruned by the same rules; ``make test-elsewhere`` has it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras

import tfprune
from tfprune import Pruner, Rule
from tfprune.bridge.tf_keras import PruningCallback
from tfprune.errors import PruningError
from tfprune.sparsity.patterns import Groups, Unstructured
from tfprune.sparsity.penalties import PriorMaskPenalty
from tfprune.sparsity.schedules import ConstantSparsity, PolynomialDecay, StrengthRamp

layers = tf_keras.layers
X = np.random.default_rng(0).standard_normal((24, 6, 6, 4)).astype(np.float32)
Y = np.zeros((24, 1), np.float32)
TWO_CUTS = PolynomialDecay(0.25, 0.5, begin_step=0, end_step=1, power=1, frequency=1)


@pytest.fixture(autouse=True)
def _seed() -> Any:
    tf_keras.utils.set_random_seed(1)
    yield
    tf_keras.mixed_precision.set_global_policy("float32")


def network() -> Any:
    given = tf_keras.Input((6, 6, 4))
    x = layers.Conv2D(8, 3, padding="same", name="conv", kernel_constraint=tf_keras.constraints.MaxNorm(1.0))(given)
    x = layers.SeparableConv2D(8, 3, name="separable")(x)
    x = layers.Conv2DTranspose(8, 3, name="transpose")(x)
    x = layers.DepthwiseConv2D(3, name="depthwise")(x)
    x = layers.Reshape((16, 8))(x)
    x = layers.LSTM(8, name="lstm", return_sequences=True)(layers.Conv1D(8, 3, name="conv1d")(x))
    x = layers.GRU(8, name="gru")(layers.EinsumDense("abc,cd->abd", (None, 8), name="einsum")(x))
    return tf_keras.Model(given, layers.Dense(1, name="head")(layers.Dense(8, name="hidden")(x)))


def small() -> Any:
    given = tf_keras.Input((6, 6, 4))
    x = layers.Conv2D(8, 3, padding="same", name="conv", kernel_constraint=tf_keras.constraints.MaxNorm(1.0))(given)
    x = layers.DepthwiseConv2D(3, name="depthwise")(x)
    return tf_keras.Model(given, layers.Dense(1, name="head")(layers.Dense(8, name="hidden")(layers.Flatten()(x))))


class Watch(tf_keras.callbacks.Callback):  # type: ignore[misc]  # tf_keras has no type information
    """Fractions of zeros in all kernels, after each step."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[dict[str, float]] = []

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.steps.append(zeros(self.model))


def zeros(model: Any) -> dict[str, float]:
    return {
        weight.name: float((weight.numpy() == 0).mean())
        for weight in model.trainable_weights
        if "kernel" in weight.name
    }


def fit(model: Any, callbacks: list[Any], steps: int = 2, **options: Any) -> Any:
    return model.fit(X[: 4 * steps], Y[: 4 * steps], batch_size=4, verbose=0, callbacks=callbacks, **options).history


@pytest.mark.parametrize(
    ("make", "kernels", "optimizer", "policy"),
    [
        (network, 13, "adam", "float32"),
        (small, 4, "legacy", "float32"),
        (small, 4, "adam", "mixed_float16"),
    ],
)
def test_zeros_hold_after_each_step_in_every_layer(make: Any, kernels: int, optimizer: str, policy: str) -> None:
    tf_keras.mixed_precision.set_global_policy(policy)
    model = make()
    model.compile(tf_keras.optimizers.legacy.SGD(0.01, 0.9) if optimizer == "legacy" else optimizer, "mse")
    watch, pruning = Watch(), PruningCallback(Unstructured(), TWO_CUTS, filters="*", min_weights=1)
    constraint = model.get_layer("conv").kernel.constraint
    history = fit(model, [pruning, watch])
    assert len(watch.steps[0]) == kernels
    for step, sparsity in zip(watch.steps, (0.25, 0.5), strict=True):
        assert all(abs(found - sparsity) < 0.07 for found in step.values()), step
    assert history["sparsity"][-1] == pytest.approx(0.5, abs=0.02)
    assert {row.status for row in pruning.report.layers} == {"pruned"}
    assert model.get_layer("conv").kernel.constraint is constraint


def test_defaults_spare_what_they_spare_in_keras_3() -> None:
    model = small()
    model.compile("sgd", "mse")
    pruning = PruningCallback(Groups(rows=2), ConstantSparsity(0.5), min_weights=200)
    fit(model, [pruning])
    rows = {(row.layer, row.variable): row for row in pruning.report.layers}
    assert rows["conv", "kernel"].status == "pruned"
    assert "makes an output of the model" in rows["head", "kernel"].reason or "fewer" in rows["head", "kernel"].reason
    assert "depthwise kernel" in rows["depthwise", "depthwise_kernel"].reason


def test_an_optimizer_class_of_ones_own_is_one_of_tf_keras() -> None:
    class Own(tf_keras.optimizers.SGD):  # type: ignore[misc]  # tf_keras has no type information
        """SGD by another name."""

    model = small()
    model.compile(Own(), "mse")
    pruning = PruningCallback(recipe=Rule("conv", Unstructured(), 0.5, ConstantSparsity(frequency=1), min_weights=1))
    fit(model, [pruning], steps=2)
    assert (model.get_layer("conv").kernel.numpy() == 0).mean() == 0.5


def test_a_second_fit_goes_on_and_steps_that_run_together_are_counted() -> None:
    model = small()
    model.compile("adam", "mse", steps_per_execution=2)
    pruning = PruningCallback(recipe=Rule("conv", Unstructured(), 0.5, ConstantSparsity(frequency=1), min_weights=1))
    fit(model, [pruning], steps=5)
    assert pruning.report.step == 5
    fit(model, [pruning], steps=4)
    assert pruning.report.step == 9
    assert (model.get_layer("conv").kernel.numpy() == 0).mean() == 0.5
    fit(model, [], steps=1)
    assert (model.get_layer("conv").kernel.numpy() == 0).mean() == 0


@pytest.mark.parametrize("rate", [0.5, "schedule"])
def test_a_penalty_squeezes_by_the_learning_rate_of_the_step(rate: Any) -> None:
    model = small()
    if rate == "schedule":
        rate = tf_keras.optimizers.schedules.PiecewiseConstantDecay([0], [0.5, 0.0])
    model.compile(tf_keras.optimizers.SGD(rate, use_ema=False), lambda y, y_pred: 0 * y_pred)
    kernel = model.get_layer("hidden").kernel
    before = kernel.numpy()
    rule = Rule(
        "hidden",
        Unstructured(),
        0.5,
        ConstantSparsity(begin_step=5),
        penalty=PriorMaskPenalty(StrengthRamp(1.0, 0, 0)),
        min_weights=1,
    )
    pruner = Pruner(model, rule)
    pruner.start(total_steps=10)
    model.train_on_batch(X[:4], Y[:4])
    kept = np.abs(before) >= np.median(np.abs(before))
    np.testing.assert_allclose(kernel.numpy(), np.where(kept, before, before / 2), rtol=1e-6)
    pruner.finalize()


def test_a_pruned_model_saves_as_a_plain_one(tmp_path: Any) -> None:
    model = small()
    model.compile("adam", "mse")
    names = {variable.name for variable in model.optimizer.variables}
    fit(model, [PruningCallback(Unstructured(), TWO_CUTS, filters="*", min_weights=1)])
    assert not any("mask" in variable.name for variable in model.optimizer.variables)
    model.save(tmp_path / "model.keras")
    loaded = tf_keras.models.load_model(tmp_path / "model.keras")
    assert zeros(loaded).keys() == zeros(model).keys()
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))
    assert names <= {variable.name for variable in loaded.optimizer.variables}


def test_models_convert_with_their_zeros() -> None:
    given = tf_keras.Input((64,), batch_size=1)
    model = tf_keras.Model(given, layers.Dense(8)(layers.Dense(256, activation="relu", name="hidden")(given)))
    model.compile("sgd", "mse")
    fit_x = np.random.default_rng(1).standard_normal((4, 64)).astype(np.float32)
    pruning = PruningCallback(Groups(rows=4), ConstantSparsity(0.9, frequency=1))
    model.fit(fit_x, np.zeros((4, 8)), batch_size=1, verbose=0, callbacks=[pruning])
    converted = tfprune.convert(model, device="host")
    assert max(layer.sparsity or 0 for layer in converted.report.layers) == pytest.approx(0.9, abs=0.01)
    y = tfprune.Interpreter(converted.dense).predict(fit_x[:1])
    np.testing.assert_allclose(y, model.predict(fit_x[:1], verbose=0), atol=1e-5)


def test_models_without_weights_and_bad_arguments_are_named() -> None:
    model = tf_keras.Sequential([layers.Dense(3)])
    model.compile("sgd", "mse")
    pruning = PruningCallback(Unstructured(), ConstantSparsity(0.5))
    with pytest.raises(PruningError, match="no report before training"):
        _ = pruning.report
    with pytest.raises(PruningError, match="must be built"):
        fit(model, [pruning])
    with pytest.raises(PruningError, match="must be a Schedule"):
        PruningCallback(Unstructured(), 0.5)


class Metric(tf_keras.callbacks.Callback):  # type: ignore[misc]
    """Logs given values of a metric."""

    def __init__(self, *values: float) -> None:
        super().__init__()
        self.values = values

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs["skill"] = self.values[epoch]


RISING = PolynomialDecay(0.25, 0.75, end_step=4, power=1, frequency=2)


def test_growth_ends_below_a_bound_and_is_seen_in_tensorboard(tmp_path: Path) -> None:
    model = small()
    model.compile("adam", "mse")
    pruning = PruningCallback(Unstructured(), RISING, min_weights=1, stop_below={"skill": 0.9}, log_dir=tmp_path)
    fit(model, [Metric(0.95, 0.5, 0.95), pruning], epochs=3)
    assert pruning.report.held == "skill fell to 0.5, below 0.9 after step 4"
    assert zeros(model)["conv/kernel:0"] == pytest.approx(0.25, abs=0.05)
    assert list((tmp_path / "pruning").iterdir())


def test_a_training_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    def trained(epochs: int, folder: Path) -> tuple[list[Any], PruningCallback]:
        folder.mkdir(exist_ok=True)
        tf_keras.utils.set_random_seed(1)
        model = small()
        model.compile("adam", "mse")
        pruning = PruningCallback(Unstructured(), RISING, min_weights=1, checkpoint=folder / "pruning.npz")
        backup = tf_keras.callbacks.BackupAndRestore(folder / "backup", delete_checkpoint=False)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "PruningCallback: the schedule reaches")
            fit(model, [pruning, backup], epochs=epochs, shuffle=False)
        return model.get_weights(), pruning

    whole, _ = trained(3, tmp_path / "whole")
    trained(1, tmp_path / "parts")
    parts, pruning = trained(3, tmp_path / "parts")
    assert pruning.report.step == 6
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("order", [1, -1])
def test_replaced_weights_are_said_or_pruned_again_in_either_order(order: int) -> None:
    class BestIsTheFirst(tf_keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            logs["wanted"] = epoch

    def trained(reproject: bool) -> tuple[Any, PruningCallback]:
        model = small()
        model.compile("adam", "mse")
        pruning = PruningCallback(Unstructured(), RISING, min_weights=1, reproject=reproject)
        stopping = tf_keras.callbacks.EarlyStopping("wanted", mode="min", patience=9, restore_best_weights=True)
        fit(model, [BestIsTheFirst(), *[pruning, stopping][::order]], epochs=3)
        return model, pruning

    with pytest.warns(UserWarning, match="replaced the weights after the last step.*reproject=True"):
        model, pruning = trained(reproject=False)
    assert zeros(model)["conv/kernel:0"] == pytest.approx(0.25, abs=0.05)
    assert "replaced its weights" in pruning.report.layers[0].reason
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        model, pruning = trained(reproject=True)
    assert zeros(model)["conv/kernel:0"] == pytest.approx(0.75, abs=0.05)


def test_one_callback_twice_is_refused() -> None:
    model = small()
    model.compile("sgd", "mse")
    pruning = PruningCallback(Unstructured(), ConstantSparsity(0.5), min_weights=1)
    with pytest.raises(PruningError, match="once in the callbacks"):
        fit(model, [pruning, pruning])
