# SPDX-License-Identifier: Apache-2.0
"""The callback during and after training."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tests.keras.conftest import BATCH, STEPS, ZeroWatch, zeros
from tfprune.errors import PruningError, ScheduleError
from tfprune.keras.callback import PruningCallback
from tfprune.keras.layers import to_numpy
from tfprune.keras.masks import MaskConstraint
from tfprune.sparsity.patterns import Groups, Unstructured
from tfprune.sparsity.schedules import ConstantSparsity, PolynomialDecay

# Keras itself meets this one under numpy 2, whenever it saves.

Data = tuple[np.ndarray, np.ndarray]
Build = Callable[..., Any]
HALF = ConstantSparsity(0.5, frequency=1)


def pruning(schedule: Any = HALF, pattern: Any = None, **options: Any) -> PruningCallback:
    return PruningCallback(pattern or Groups(rows=4), schedule, **{"min_weights": 1, **options})


def fit(model: Any, data: Data, *callbacks: Any, epochs: int = 1, **options: Any) -> Any:
    return model.fit(
        *data, batch_size=BATCH, epochs=epochs, verbose=0, shuffle=False, callbacks=[*callbacks], **options
    )


def test_literal_weights_keep_the_best_groups(build: Build) -> None:
    model = build(optimizer=keras.optimizers.SGD(0.0))
    kernel = np.full((16, 8), 0.1, np.float32)
    kernel[0] = [1, 5, 5, 5, 5, 1, 1, 1]
    kernel[1] = [9, 9, 9, 9, 0, 0, 0, 0]
    model.get_layer("hidden").kernel.assign(kernel)
    fit(model, (np.zeros((4, 16)), np.zeros((4, 1))), pruning(ConstantSparsity(1 - 2 / 32)))
    expected = np.zeros((16, 8), np.float32)
    expected[0, 1:5], expected[1, :4] = 5, 9
    np.testing.assert_array_equal(model.get_layer("hidden").kernel.numpy(), expected)


@pytest.mark.backends
def test_zeros_follow_the_schedule_after_every_batch(build: Build, data: Data) -> None:
    model, watch = build("adam"), ZeroWatch("hidden", "head")
    schedule = PolynomialDecay(0.25, 0.75, begin_step=1, end_step=9, power=1, frequency=4)
    history = fit(model, data, pruning(schedule), watch, epochs=2)
    # Chosen at steps 1, 5 and 9: 25 %, 50 % and 75 % of 128; the masks hold in between.
    assert watch.zeros == [[0, 0], *[[32, 0]] * 4, *[[64, 0]] * 4, *[[96, 0]] * 3]
    assert history.history["sparsity"] == [0.5, 0.75]


def test_end_is_70_percent_of_the_fit_by_default(build: Build, data: Data) -> None:
    model, watch = build(), ZeroWatch("hidden")
    fit(
        model,
        data,
        pruning(PolynomialDecay(final_sparsity=0.5, power=1, frequency=1)),
        watch,
        epochs=4,
        initial_epoch=2,
    )
    # 12 steps: the end is step 8, and 32 groups of four go by one sixteenth of the half a step.
    assert [row[0] for row in watch.zeros] == [0, 8, 16, 24, 32, 40, 48, 56, 64, 64, 64, 64]


@pytest.mark.parametrize("options", [{"jit_compile": True}, {"jit_compile": False}, {"run_eagerly": True}], ids=str)
def test_compiled_and_eager_steps(build: Build, data: Data, options: dict[str, bool]) -> None:
    model, watch = build("adam", **options), ZeroWatch("hidden")
    fit(model, data, pruning(), watch)
    assert watch.zeros == [[64]] * STEPS


def test_steps_per_execution(build: Build, data: Data) -> None:
    model, watch = build("adam", steps_per_execution=4), ZeroWatch("hidden")
    callback = pruning(PolynomialDecay(0.0, 0.5, begin_step=0, end_step=5, power=1, frequency=5))
    fit(model, data, callback, watch)
    # 6 steps run as 4 and 2. Step 5 falls into the second run, so its masks come when training ends.
    assert watch.zeros == [[0], [0]]
    assert callback.report.step == 6
    assert zeros(model, "hidden") == 64


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "bfloat16"])
def test_precisions(build: Build, data: Data, policy: str, tmp_path: Path) -> None:
    keras.config.set_dtype_policy(policy)
    model, watch = build("adam"), ZeroWatch("hidden")
    before = len(model.optimizer.variables)
    fit(model, data, pruning(), watch)
    assert watch.zeros == [[64]] * STEPS
    built = build("adam")
    fit(built, data)
    assert before <= len(model.optimizer.variables) == len(built.optimizer.variables)
    reload_and_compare(model, tmp_path)


def test_weight_averaging_leaves_zeros(build: Build, data: Data) -> None:
    model = build(keras.optimizers.SGD(0.1, use_ema=True, ema_overwrite_frequency=2))
    watch = ZeroWatch("hidden")
    fit(model, data, pruning(), watch)
    assert watch.zeros == [[64]] * STEPS
    assert zeros(model, "hidden") == 64


def test_gradient_accumulation(build: Build, data: Data) -> None:
    model, watch = build(keras.optimizers.Adam(gradient_accumulation_steps=2)), ZeroWatch("hidden")
    fit(model, data, pruning(), watch)
    assert watch.zeros == [[64]] * STEPS


def reload_and_compare(model: Any, folder: Path) -> Any:
    model.save(folder / "model.keras")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = keras.saving.load_model(folder / "model.keras")
    for old, new in zip(model.variables, loaded.variables, strict=True):
        np.testing.assert_array_equal(to_numpy(old), to_numpy(new))
    for old, new in zip(model.optimizer.variables, loaded.optimizer.variables, strict=True):
        np.testing.assert_array_equal(to_numpy(old), to_numpy(new))
    return loaded


class SaveAndLoad(keras.callbacks.Callback):
    """Saves in the middle of training, and loads the weights back into the model."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.model.save(self.folder / "middle.keras")
        self.model.save_weights(self.folder / "middle.weights.h5")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            self.model.load_weights(self.folder / "middle.weights.h5")


@pytest.mark.backends
@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_files_saved_while_training(build: Build, data: Data, tmp_path: Path, policy: str) -> None:
    keras.config.set_dtype_policy(policy)
    model, watch = build("adam"), ZeroWatch("hidden")
    fit(model, data, pruning(), SaveAndLoad(tmp_path), watch, epochs=2)
    assert watch.zeros == [[64]] * STEPS * 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = keras.saving.load_model(tmp_path / "middle.keras")
    assert zeros(loaded, "hidden") == 64
    # With float16, loss scaling skips a step or two: the optimizer does not count them, the callback does.
    assert int(loaded.optimizer.iterations.numpy()) == int(model.optimizer.iterations.numpy()) > STEPS
    assert any(np.abs(to_numpy(each)).sum() > 0 for each in loaded.optimizer.variables[2:])


@pytest.mark.backends
def test_nothing_is_left_on_the_model(build: Build, data: Data, tmp_path: Path) -> None:
    model = build("adam")
    fit(model, data)  # fitted before: the callback must still act
    before = [each.path for each in model.optimizer.variables]
    fit(model, data, pruning())
    assert zeros(model, "hidden") == 64
    assert [each.path for each in model.optimizer.variables] == before
    assert all(each.constraint is None for each in model.variables)
    assert not {"save_own_variables", "load_own_variables"} & set(vars(model.optimizer))
    loaded = reload_and_compare(model, tmp_path)
    # Without the callback zeros fill in; this is what the documentation says.
    fit(loaded, data)
    assert zeros(loaded, "hidden") == 0
    fit(model, data)
    assert zeros(model, "hidden") == 0


@pytest.mark.backends
def test_users_constraint_is_applied_and_restored(build: Build, data: Data) -> None:
    constraint = keras.constraints.MaxNorm(0.5)
    model = build(keras.optimizers.SGD(0.05), constraint)
    seen = []
    watch = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(model.get_layer("hidden").kernel.constraint)
    )
    fit(model, data, pruning(), watch)
    kernel = model.get_layer("hidden").kernel
    assert isinstance(seen[0], MaskConstraint)
    assert kernel.constraint is constraint
    assert np.linalg.norm(kernel.numpy(), axis=0).max() <= 0.5 + 1e-5
    assert zeros(model, "hidden") == 64


@pytest.mark.backends
def test_second_fit_with_the_same_callback_goes_on(build: Build, data: Data) -> None:
    model, watch = build(), ZeroWatch("hidden")
    callback = pruning(PolynomialDecay(final_sparsity=0.5, frequency=1))
    fit(model, data, callback)
    fit(model, data, callback, watch)
    assert watch.zeros == [[64]] * STEPS
    assert callback.report.step == 2 * STEPS
    other = build()
    fit(other, data, callback)
    assert callback.report.step == STEPS
    assert zeros(other, "hidden") == 64


def test_second_callback(build: Build, data: Data) -> None:
    model, watch = build(), ZeroWatch("hidden")
    fit(model, data, pruning())
    fit(model, data, pruning(ConstantSparsity(0.75), Unstructured()), watch)
    assert watch.zeros == [[96]] * STEPS


def test_two_callbacks_on_different_layers(build: Build, data: Data, tmp_path: Path) -> None:
    model = build("adam")
    first = pruning(filters="hidden")
    second = pruning(ConstantSparsity(0.25), Unstructured(), filters=["head"])
    fit(model, data, first, second, SaveAndLoad(tmp_path), epochs=2)
    assert (zeros(model, "hidden"), zeros(model, "head")) == (64, 2)
    assert not {"save_own_variables", "load_own_variables"} & set(vars(model.optimizer))
    with pytest.raises(PruningError, match="pruned by one callback"):
        fit(model, data, pruning(), pruning())


@pytest.mark.backends
def test_interrupted_training_is_taken_over(build: Build, data: Data) -> None:
    class StopError(Exception):
        pass

    def stop(batch: int, logs: Any) -> None:
        raise StopError

    model = build("adam")
    with pytest.raises(StopError):
        fit(model, data, pruning(), keras.callbacks.LambdaCallback(on_train_batch_end=stop))
    assert zeros(model, "hidden") == 64
    count = len(model.optimizer.variables)
    fit(model, data, pruning(ConstantSparsity(0.75)))
    assert zeros(model, "hidden") == 96
    assert len(model.optimizer.variables) == count - 1
    assert model.get_layer("hidden").kernel.constraint is None


def test_early_stopping_restores_weights_that_are_pruned(build: Build, data: Data) -> None:
    model = build()
    stopping = keras.callbacks.EarlyStopping("loss", mode="max", patience=1, restore_best_weights=True)
    for callbacks in ([pruning(), stopping], [stopping, pruning()]):
        fit(model, data, *callbacks, epochs=4)
        assert zeros(model, "hidden") == 64


def test_removed_weights_are_positive_zero(build: Build, data: Data) -> None:
    model = build()
    fit(model, data, pruning())
    kernel = model.get_layer("hidden").kernel.numpy()
    assert not np.signbit(kernel[kernel == 0]).any()


def test_other_layers_train_as_without_the_callback(build: Build, data: Data) -> None:
    plain, pruned = build(), build()
    pruned.set_weights(plain.get_weights())
    fit(plain, data)
    fit(pruned, data, pruning(ConstantSparsity(0.0)))
    for old, new in zip(plain.get_weights(), pruned.get_weights(), strict=True):
        np.testing.assert_allclose(new, old, rtol=1e-6, atol=1e-7)


def test_late_schedule_warns_once_before_the_first_step(build: Build, data: Data) -> None:
    model = build()
    callback = pruning(PolynomialDecay(0.0, 0.05, end_step=100, frequency=50), Groups(rows=3))
    with pytest.warns(UserWarning, match="PruningCallback") as caught:
        fit(model, data, callback)
    (text,) = [str(each.message) for each in caught if "PruningCallback" in str(each.message)]
    assert "step 100, this training ends at step 6" in text
    assert "these stay dense: hidden" in text


def test_end_equal_to_the_number_of_steps_is_reached(build: Build, data: Data) -> None:
    model = build()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(model, data, pruning(PolynomialDecay(0.0, 0.5, end_step=STEPS, frequency=100)))
    assert zeros(model, "hidden") == 64


def test_layer_stays_dense_until_the_pattern_reaches_the_target(build: Build, data: Data) -> None:
    model, watch = build(), ZeroWatch("hidden")
    callback = pruning(PolynomialDecay(0.125, 0.5, end_step=3, power=1, frequency=1), Groups(rows=3))
    fit(model, data, callback, watch)  # 8 outputs, groups of 3: at most 6 of 8 can be kept
    assert [row[0] for row in watch.zeros] == [0, 32, 47, 65, 65, 65]


@pytest.mark.filterwarnings("ignore:Your input ran out of data:UserWarning")  # how Keras finds the length
def test_data_of_unknown_length(build: Build, data: Data) -> None:
    def batches() -> Any:
        for start in range(0, len(data[0]), BATCH):
            yield data[0][start : start + BATCH], data[1][start : start + BATCH]

    model = build()
    with pytest.raises(PruningError, match="unknown length"):
        model.fit(batches(), verbose=0, shuffle=False, callbacks=[pruning(PolynomialDecay(final_sparsity=0.5))])
    callback = pruning()
    model.fit(batches(), verbose=0, shuffle=False, callbacks=[callback])
    assert zeros(model, "hidden") == 64
    assert callback.report.step == STEPS


def test_diverged_training_is_named(build: Build, data: Data) -> None:
    model = build(keras.optimizers.SGD(0.0))
    model.get_layer("hidden").kernel.assign(np.full((16, 8), np.nan))
    with pytest.raises(PruningError, match="layer 'hidden' at step 0"):
        fit(model, data, pruning())


def test_open_end_before_the_beginning(build: Build, data: Data) -> None:
    with pytest.raises(ScheduleError, match="70 % of the training"):
        fit(build(), data, pruning(PolynomialDecay(final_sparsity=0.5, begin_step=100)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((None, HALF), "`pattern`"),
        ((Groups(), 0.5), "`schedule`"),
    ],
)
def test_wrong_arguments(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(PruningError, match=message):
        PruningCallback(*arguments)


def test_wrong_options() -> None:
    with pytest.raises(PruningError, match="min_weights"):
        PruningCallback(Groups(), HALF, min_weights=-1)
    for value in (True, np.bool_(True), 2.0, "2", np.int64(-1)):
        with pytest.raises(PruningError, match="min_weights"):
            PruningCallback(Groups(), HALF, min_weights=value)  # type: ignore[arg-type]
    with pytest.raises(PruningError, match=r"one array cannot fit every kernel .*shape \(16, 8\)\. Pass a function"):
        PruningCallback(Groups(), HALF, scores=np.ones((16, 8)))


def test_numpy_integers_are_whole_numbers(build: Callable[..., Any], data: Any) -> None:
    model = build()
    schedule = ConstantSparsity(0.5, np.int32(0), np.int64(-1), frequency=np.int64(1))  # type: ignore[arg-type]
    pruning = PruningCallback(Groups(rows=np.int64(4)), schedule, min_weights=np.int64(128))  # type: ignore[arg-type]
    model.fit(*data, batch_size=BATCH, verbose=0, callbacks=[pruning])
    assert zeros(model, "hidden") == 64
    with pytest.raises(ValueError, match="`scores`"):
        PruningCallback(Groups(), HALF, scores="l7")
    with pytest.raises(PruningError, match="no report before"):
        _ = PruningCallback(Groups(), HALF).report
