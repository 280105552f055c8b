# SPDX-License-Identifier: Apache-2.0
"""Ways to train: what each back end keeps, compiles or overwrites, and what the zeros must outlast."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tests.contract.models import KINDS, WAYS, words
from tests.contract.steps import OwnStep, loop_step
from tests.contract.watch import (
    SPARSITIES,
    KernelWatch,
    check_steps,
    kernels_in,
    skip_on_torch,
    two_cuts,
    zeros_at,
)
from tfprune.errors import PruningError
from tfprune.keras.callback import PruningCallback
from tfprune.keras.layers import to_numpy
from tfprune.keras.pruner import Pruner
from tfprune.recipe import Rule
from tfprune.sparsity.patterns import Channels, Filters, Groups, Unstructured
from tfprune.sparsity.schedules import ConstantSparsity, IterativeMagnitude, PolynomialDecay

pytestmark = pytest.mark.backends
layers, optimizers = keras.layers, keras.optimizers
BATCH, STEPS = 4, 4


def small(kind: type = keras.Sequential) -> Any:
    return kind([keras.Input((16,)), layers.Dense(8, name="hidden"), layers.Dense(1, name="head")])


def numbers(steps: int) -> tuple[Any, Any]:
    random = np.random.default_rng(2)
    return random.standard_normal((BATCH * steps, 16)).astype(np.float32), random.random((BATCH * steps, 1), np.float32)


def half(**options: Any) -> PruningCallback:
    """Half of the hidden kernel goes before the first step; no mask is chosen afterwards."""
    return PruningCallback(Groups(rows=4), ConstantSparsity(0.5, frequency=1000), min_weights=100, **options)


def hidden_zeros(model: Any) -> int:
    return int((to_numpy(model.get_layer("hidden").kernel) == 0).sum())


def fit(model: Any, *callbacks: Any, steps: int = STEPS, **options: Any) -> None:
    model.fit(*numbers(steps), batch_size=BATCH, verbose=0, shuffle=False, callbacks=[*callbacks], **options)


def test_masks_change_within_an_epoch_when_no_other_callback_looks() -> None:
    """JAX takes the values off the variables within an epoch, and who writes them unasked is not heard."""
    model, zeros = small(), []
    model.compile("adam", "mse")

    def count(epoch: int, logs: Any) -> None:
        zeros.extend((to_numpy(each.variable) == 0).sum() for each in kernels_in(model))

    # Before the callback zeros everything once more, when training ends.
    fit(model, keras.callbacks.LambdaCallback(on_epoch_end=count), two_cuts(), steps=6)
    assert zeros == [zeros_at(each, 0.5) for each in kernels_in(model)]


def test_a_model_that_was_fitted_is_pruned_and_trains_on_afterwards() -> None:
    """The compiled step of the first fit knows no mask, that of the second must not outlive it."""
    model = small()
    model.compile("adam", "mse")
    fit(model)
    watch = KernelWatch()
    fit(model, two_cuts(), watch, steps=2)
    check_steps(model, watch.steps)
    fit(model)
    assert hidden_zeros(model) == 0


# What PyTorch's compiler says of the code of Keras, with and without pruning.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")
@pytest.mark.parametrize("options", [{"jit_compile": True}, {"jit_compile": False}, {"run_eagerly": True}], ids=str)
def test_compiled_and_eager_steps(options: dict[str, bool]) -> None:
    model, watch = small(), KernelWatch()
    model.compile("adam", "mse", **options)
    fit(model, two_cuts(), watch, steps=2)
    check_steps(model, watch.steps)


def test_many_steps_in_one_call() -> None:
    skip_on_torch("Keras refuses steps_per_execution there")
    model, watch = small(), KernelWatch()
    model.compile(optimizers.SGD(0.1, momentum=0.9), "mse", steps_per_execution=3)
    fit(model, half(), watch, steps=7)
    assert [(step[0] == 0).sum() for step in watch.steps] == [64, 64, 64]


def test_own_train_step() -> None:
    model, watch = small(OwnStep), KernelWatch()
    model.compile("adam", "mse")
    fit(model, two_cuts(), watch, steps=2)
    check_steps(model, watch.steps)


def test_own_loop() -> None:
    model, optimizer, steps = small(), optimizers.Adam(0.01), []
    schedule = PolynomialDecay(*SPARSITIES, begin_step=0, end_step=1, power=1, frequency=1)
    pruner = Pruner(model, Rule("*", Unstructured(), schedule=schedule, min_weights=1), optimizer=optimizer)
    pruner.start()
    step = loop_step(model, optimizer)
    for _ in SPARSITIES:
        step(*numbers(1))
        steps.append([to_numpy(each.variable) for each in kernels_in(model)])
        pruner.step()
    pruner.finalize()
    check_steps(model, steps)


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="only JAX has steps that change no variable")
def test_own_loop_that_assigns_nothing_is_told() -> None:
    model, optimizer = small(), optimizers.Adam(0.01)
    pruner = Pruner(model, Rule("*", Unstructured(), 0.5, ConstantSparsity(), min_weights=1), optimizer=optimizer)
    pruner.start()
    values = [each.value for each in model.trainable_variables]
    trained, _ = optimizer.stateless_apply([each.value for each in optimizer.variables], values, values)
    with pytest.raises(PruningError, match=r"stateless step, none of whose results was assigned.*Assign its trainable"):
        pruner.step()
    assert pruner.step_count == 0
    for variable, value in zip(model.trainable_variables, trained, strict=True):
        variable.assign(value)
    pruner.step()
    pruner.step()
    assert pruner.step_count == 2


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_precisions_and_accumulated_gradients(policy: str) -> None:
    keras.config.set_dtype_policy(policy)
    model, watch = small(), KernelWatch()
    adam = optimizers.Adam(gradient_accumulation_steps=2, use_ema=True, ema_overwrite_frequency=1)
    model.compile(adam, "mse")
    fit(model, half(), watch, steps=6)
    assert [(step[0] == 0).sum() for step in watch.steps] == [64] * 6
    assert hidden_zeros(model) == 64


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_all_layers_in_mixed_precision(policy: str) -> None:
    keras.config.set_dtype_policy(policy)
    # JAX on CPUs has no product of float16 matrices that attention could use.
    kinds = KINDS if policy == "mixed_bfloat16" else tuple(kind for kind in KINDS if kind != "attention")
    model, watch = WAYS["functional"](kinds), KernelWatch()
    model.compile("adam", "mse")
    model.fit(*words(2 * BATCH), batch_size=BATCH, verbose=0, shuffle=False, callbacks=[two_cuts(), watch])
    # Loss scaling drops the first steps with float16.
    check_steps(model, watch.steps, trains=policy != "mixed_float16")


def by_variable() -> Any:
    return optimizers.MultiOptimizer(
        optimizers.OptimizerMap(optimizers.SGD(0.1, momentum=0.9), {"hidden/.*": optimizers.Adam(0.01)})
    )


SHIPPED = {
    name: kind
    for name, kind in vars(optimizers).items()
    if isinstance(kind, type) and issubclass(kind, optimizers.Optimizer)
}
WRAPPERS = {"Optimizer", "LossScaleOptimizer", "MultiOptimizer"}
PLAIN = {name: (lambda kind=kind: kind()) for name, kind in SHIPPED.items() if name not in WRAPPERS}
HEAVY = {
    **{
        name: (lambda kind=kind: kind(weight_decay=0.1, use_ema=True, ema_overwrite_frequency=2))
        for name, kind in SHIPPED.items()
        if name not in WRAPPERS
    },
    "SGD": lambda: optimizers.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.1, use_ema=True),
    "RMSprop": lambda: optimizers.RMSprop(momentum=0.9, centered=True, weight_decay=0.1, use_ema=True),
    "Adam": lambda: optimizers.Adam(amsgrad=True, weight_decay=0.1, clipnorm=1.0, use_ema=True),
    "LossScaleOptimizer": lambda: optimizers.LossScaleOptimizer(optimizers.Adam(weight_decay=0.1, use_ema=True)),
    "MultiOptimizer": by_variable,
}


def test_every_optimizer_is_tested() -> None:
    assert set(HEAVY) == set(SHIPPED) - {"Optimizer"}


def zeros_hold(optimizer: Any) -> None:
    model, watch = small(), KernelWatch()
    model.compile(optimizer, "mse")
    fit(model, half(), watch)
    assert [(step[0] == 0).sum() for step in watch.steps] == [64] * STEPS
    assert all(np.isfinite(step[0]).all() for step in watch.steps)
    assert (watch.steps[0][0] != watch.steps[-1][0]).any()
    # What weight averaging writes last is pruned as well.
    assert hidden_zeros(model) == 64


@pytest.mark.parametrize("name", HEAVY)
def test_zeros_hold_under_momentum_weight_decay_and_averaging(name: str) -> None:
    zeros_hold(HEAVY[name]())


@pytest.mark.slow
@pytest.mark.parametrize("name", PLAIN)
def test_zeros_hold_under_the_defaults_of_every_optimizer(name: str) -> None:
    zeros_hold(PLAIN[name]())


class KernelsInUse(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no type information
    """Keeps the hidden kernel as validation runs with it, and as the end of each epoch finds it."""

    def __init__(self) -> None:
        super().__init__()
        self.validated: list[Any] = []
        self.at_epoch_ends: list[Any] = []

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.validated.append(to_numpy(self.model.get_layer("hidden").kernel))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.at_epoch_ends.append(to_numpy(self.model.get_layer("hidden").kernel))


@pytest.mark.parametrize("swap_on_epoch", [False, True])
@pytest.mark.parametrize("order", ["before", "behind"])
def test_averages_that_are_swapped_in_are_pruned(order: str, swap_on_epoch: bool, tmp_path: Path) -> None:
    """`SwapEMAWeights` validates, and lets others save, with averages, which take in weights before they are masked."""
    model, found = small(), KernelsInUse()
    model.compile(optimizers.SGD(0.1, momentum=0.9, use_ema=True, ema_momentum=0.9), "mse")
    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=swap_on_epoch)
    saver = keras.callbacks.ModelCheckpoint(str(tmp_path / "{epoch}.keras"))
    # A quarter goes at the first step, half at the third, so averages of what goes then are not 0.
    schedule = PolynomialDecay(*SPARSITIES, begin_step=0, end_step=2, power=1, frequency=2)
    pruning = PruningCallback(Unstructured(), schedule, min_weights=100)
    around = [pruning, swap, saver] if order == "before" else [swap, saver, pruning]
    fit(model, *around, found, epochs=2, validation_data=numbers(1))
    # By the first validation all cuts are made.
    assert [(kernel == 0).sum() for kernel in found.validated] == [64, 64]
    assert [(kernel == 0).sum() for kernel in found.at_epoch_ends] == [64, 64]
    # Validation ran with the averages: callbacks find them again at the end of the epoch, or have the weights back.
    for validated, at_end in zip(found.validated, found.at_epoch_ends, strict=True):
        assert np.allclose(validated, at_end, atol=1e-6) == swap_on_epoch
    saved = keras.saving.load_model(tmp_path / "2.keras").get_layer("hidden").kernel
    np.testing.assert_array_equal(to_numpy(saved), found.at_epoch_ends[-1])
    assert hidden_zeros(model) == 64


def test_a_reloaded_model_has_its_slots_and_loses_its_zeros_without_the_callback(tmp_path: Path) -> None:
    model = small()
    model.compile("adam", "mse")
    saver = keras.callbacks.ModelCheckpoint(str(tmp_path / "pruned.keras"))
    fit(model, half(), saver)
    loaded = keras.saving.load_model(tmp_path / "pruned.keras")
    assert hidden_zeros(loaded) == 64
    # A warning about slots that do not fit would be an error here.
    assert [to_numpy(each).tolist() for each in loaded.optimizer.variables] == [
        to_numpy(each).tolist() for each in model.optimizer.variables
    ]
    fit(loaded, half())
    assert hidden_zeros(loaded) == 64
    fit(loaded)
    assert hidden_zeros(loaded) == 0


def test_a_report_can_be_asked_for_while_values_are_with_the_training_step() -> None:
    model, pruning, seen = small(), half(), []
    model.compile("adam", "mse")
    ask = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(pruning.report.sparsity))
    fit(model, pruning, ask)
    assert seen == [0.5] * STEPS


def test_an_embedding_is_pruned_by_word_or_by_feature() -> None:
    for pattern, axis in ((Channels(), 1), (Filters(), 0)):
        model = WAYS["functional"](("dense",))
        model.compile("adam", "mse")
        pruning = PruningCallback(pattern, ConstantSparsity(0.5), filters="embedding", min_weights=1)
        model.fit(*words(2 * BATCH), batch_size=BATCH, verbose=0, callbacks=[pruning])
        table = to_numpy(model.get_layer("embedding").embeddings)
        assert (table == 0).all(axis=axis).mean() == 0.5


def test_an_embedding_is_pruned_only_if_named() -> None:
    model = WAYS["functional"](("dense", "conv2d"))
    model.compile("adam", "mse")
    pruning = PruningCallback(Unstructured(), ConstantSparsity(0.5), min_weights=1)
    model.fit(*words(BATCH), batch_size=BATCH, verbose=0, callbacks=[pruning])
    row = next(row for row in pruning.report.layers if row.layer == "embedding")
    assert row.reason == "embedding table: no sparse kernel reads it (name it in `filters` to prune it)"


def test_values_to_go_back_to_are_saved_within_an_epoch_when_no_other_callback_looks() -> None:
    model, twin = small(), small()
    for each in (model, twin):
        each.compile(optimizers.SGD(0.1), "mse")
    twin.set_weights(model.get_weights())
    # After the cut at step 3 nothing trains but what was there before step 2.
    schedule = IterativeMagnitude(0.5, rounds=1, round_steps=3, rewind_step=2)
    stop = keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 if epoch == 0 else 0.0)
    callback = PruningCallback(Unstructured(), schedule, min_weights=100)
    x, y = numbers(3)
    model.fit(x, y, batch_size=BATCH, epochs=2, verbose=0, shuffle=False, callbacks=[callback, stop])
    twin.fit(x[: 2 * BATCH], y[: 2 * BATCH], batch_size=BATCH, verbose=0, shuffle=False)
    kept = to_numpy(model.get_layer("hidden").kernel) != 0
    assert kept.sum() == 64
    for now, then in zip(model.get_weights(), twin.get_weights(), strict=True):
        mask = kept if now.shape == kept.shape else True
        np.testing.assert_allclose(now, np.where(mask, then, 0), rtol=1e-6)
