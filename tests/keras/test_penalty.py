# SPDX-License-Identifier: Apache-2.0
"""The penalty of a prior mask: its formula inside the training step, and that weights are small before they are cut."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from tests.keras.conftest import BATCH, STEPS, zeros
from tfprune.errors import PruningError, ScheduleError
from tfprune.keras.callback import PruningCallback
from tfprune.keras.masks import MaskConstraint
from tfprune.sparsity import patterns
from tfprune.sparsity.penalties import PriorMaskPenalty
from tfprune.sparsity.penalties.prior_mask import shrink_factor
from tfprune.sparsity.schedules import ConstantSparsity, PolynomialDecay, StrengthRamp
from tfprune.sparsity.select import select

Data = tuple[np.ndarray, np.ndarray]
Build = Callable[..., Any]
optimizers = keras.optimizers
GROUPS = patterns.Groups(rows=4)
CUT = 4


def pruning(strength: float = 30.0, cut: int = CUT, **options: Any) -> PruningCallback:
    """A penalty from step 0 on, a cut to half of the weights at a later step."""
    penalty = PriorMaskPenalty(StrengthRamp(strength, initial=strength))
    schedule = ConstantSparsity(0.5, begin_step=cut)
    return PruningCallback(
        options.pop("pattern", GROUPS),
        schedule,
        **{"min_weights": 1, "penalty": penalty, "filters": "hidden", **options},
    )


def fit(model: Any, data: Data, *callbacks: Any, steps: int = STEPS, **options: Any) -> Any:
    x, y = (part[: steps * BATCH] for part in data)
    return model.fit(x, y, batch_size=BATCH, verbose=0, shuffle=False, callbacks=[*callbacks], **options)


def kernel(model: Any) -> np.ndarray:
    return np.asarray(model.get_layer("hidden").kernel.numpy(), np.float64)


def quietly(callback: Callable[[], Any]) -> None:
    """Ends before the cut, of which the callback warns."""
    with pytest.warns(UserWarning, match="this training ends at step"):
        callback()


@pytest.mark.parametrize(
    ("optimizer", "rate"),
    [
        (lambda: optimizers.SGD(0.1), 0.1),
        (lambda: optimizers.Adam(0.02), 0.02),
        (lambda: optimizers.Adam(optimizers.schedules.ExponentialDecay(0.05, 1, 0.5)), 0.05),
        (lambda: optimizers.LossScaleOptimizer(optimizers.SGD(0.1), initial_scale=4.0), 0.1),
    ],
    ids=["sgd", "adam", "schedule", "loss-scale"],
)
def test_one_step_is_the_optimizers_and_then_the_formula(
    build: Build, data: Data, optimizer: Callable[[], Any], rate: float
) -> None:
    plain, squeezed = build(optimizer()), build(optimizer())
    squeezed.set_weights(plain.get_weights())
    mask = select(kernel(plain), GROUPS, 0.5)
    fit(plain, data, steps=1)
    quietly(lambda: fit(squeezed, data, pruning(), steps=1))
    expected = kernel(plain) * np.where(mask, 1.0, 1 / (1 + 2 * rate * 30.0))
    np.testing.assert_allclose(kernel(squeezed), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("options", [{"jit_compile": True}, {"jit_compile": False}, {"run_eagerly": True}], ids=str)
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_without_gradients_only_the_formula_acts(
    build: Build, data: Data, optimizer: str, options: dict[str, bool]
) -> None:
    model = build(optimizer)
    model.compile(optimizer, lambda truth, answer: 0.0 * keras.ops.mean(answer), **options)
    before = kernel(model)
    mask = select(before, GROUPS, 0.5)
    quietly(lambda: fit(model, data, pruning(), steps=2))
    factor = shrink_factor(30.0, float(model.optimizer.learning_rate.numpy())) ** 2
    np.testing.assert_allclose(kernel(model), np.where(mask, before, before * factor), rtol=1e-5)


@pytest.mark.backends
def test_a_learning_rate_schedule_counts_as_it_is_at_each_step(build: Build, data: Data) -> None:
    rates = optimizers.schedules.PiecewiseConstantDecay([1], [0.1, 0.4])  # steps 0 and 1, then 2 and 3
    model = build()
    model.compile(optimizers.SGD(rates), lambda truth, answer: 0.0 * keras.ops.mean(answer))
    before = kernel(model)
    quietly(lambda: fit(model, data, pruning(1.0), steps=3))
    squeezed = ~select(before, GROUPS, 0.5)
    factor = shrink_factor(1.0, 0.1) ** 2 * shrink_factor(1.0, 0.4)
    np.testing.assert_allclose(kernel(model)[squeezed], before[squeezed] * factor, rtol=1e-5)


@pytest.mark.backends
def test_accumulated_gradients_are_one_step(build: Build, data: Data) -> None:
    model = build()
    model.compile(
        optimizers.SGD(0.1, gradient_accumulation_steps=3), lambda truth, answer: 0.0 * keras.ops.mean(answer)
    )
    before = kernel(model)
    quietly(lambda: fit(model, data, pruning(1.0, cut=9), steps=5))  # updates at the end of steps 2 and 5
    squeezed = ~select(before, GROUPS, 0.5)
    np.testing.assert_allclose(kernel(model)[squeezed], before[squeezed] * shrink_factor(1.0, 0.1), rtol=1e-5)


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "bfloat16"])
@pytest.mark.parametrize("strength", [1e38, 0.0])
def test_stable_for_every_strength(build: Build, data: Data, policy: str, strength: float) -> None:
    keras.config.set_dtype_policy(policy)
    model = build("adam")
    mask = select(np.asarray(model.get_layer("hidden").kernel.numpy(), np.float32), GROUPS, 0.5)
    quietly(lambda: fit(model, data, pruning(strength), steps=3))
    after = kernel(model)
    assert np.isfinite(after).all()
    assert (np.abs(after[~mask]).max() < 1e-30) == (strength > 0)
    assert np.abs(after[mask]).min() > 0


def convolutional() -> Any:
    model = keras.Sequential(
        [
            keras.Input((8, 8, 4)),
            keras.layers.Conv2D(8, 3, activation="relu", name="hidden"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2, name="head"),
        ]
    )
    model.compile(optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


class Watch(keras.callbacks.Callback):
    """Remembers the kernel after every batch."""

    def __init__(self) -> None:
        super().__init__()
        self.kernels: list[np.ndarray] = []

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.kernels.append(kernel(self.model))


def test_little_is_left_to_cut_and_less_with_more_strength() -> None:
    rng = np.random.default_rng(4)
    images = rng.standard_normal((160, 8, 8, 4)).astype(np.float32)
    labels = (images[:, ::2].mean((1, 2, 3)) > 0).astype(np.int32)
    pattern = patterns.KernelElements(keep=4, share="filter")
    shares, start = [], convolutional().get_weights()
    for strength in (0.0, 1.0, 10.0, 100.0):
        model, watch = convolutional(), Watch()
        model.set_weights(start)
        callback = PruningCallback(
            pattern,
            ConstantSparsity(begin_step=36),
            penalty=PriorMaskPenalty(StrengthRamp(strength, end_step=12)),
            filters="hidden",
            min_weights=1,
        )
        model.fit(images, labels, batch_size=4, verbose=0, shuffle=False, callbacks=[callback, watch])
        before_cut, after_cut = watch.kernels[35], watch.kernels[36]
        removed = after_cut == 0
        assert removed.sum() == 5 * 8 * 4  # five of nine positions
        shares.append(float(np.abs(before_cut[removed]).sum() / np.abs(before_cut).sum()))
        assert zeros(model, "hidden") == 5 * 8 * 4
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.3
    assert shares[-1] < 0.05


@pytest.mark.parametrize(
    "pattern",
    [
        patterns.Unstructured(),
        patterns.Groups(rows=2, cols=2, along="input"),
        patterns.BlockPunched(4, 2),
        patterns.BlockRowsColumns(4, 4),
        patterns.KernelPatterns(keep=4),
        patterns.KernelElements(keep=4, share="channel"),
        patterns.NofM(2, 4),
        patterns.Filters(),
        patterns.Channels(),
    ],
    ids=str,
)
def test_every_pattern_is_squeezed_into_its_final_choice(pattern: patterns.Pattern) -> None:
    model = convolutional()
    before = kernel(model)
    free = pattern.min_sparsity(before.shape) == 0
    final = 0.5 if free else 0.75 if isinstance(pattern, patterns.KernelPatterns) else None
    callback = PruningCallback(
        pattern,
        PolynomialDecay(final_sparsity=final, begin_step=1, end_step=2),
        penalty=PriorMaskPenalty(StrengthRamp(1e9, end_step=0)),
        filters="hidden",
        min_weights=1,
    )
    images = np.random.default_rng(4).standard_normal((4, 8, 8, 4)).astype(np.float32)
    watch = Watch()
    with pytest.warns(UserWarning, match="at step 2, this training ends at step 1"):
        model.fit(images, np.zeros(4), batch_size=4, verbose=0, callbacks=[callback, watch])
    np.testing.assert_array_equal(np.abs(watch.kernels[0]) > 1e-6, select(before, pattern, final))


def test_the_report_says_that_a_penalty_acts(build: Build, data: Data) -> None:
    model, callback = build(), pruning()
    quietly(lambda: fit(model, data, callback, steps=2))
    assert callback.report.layers[0].reason == "no pruning step yet; its penalty acts"
    fit(model, data, callback, steps=3)
    assert (callback.report.layers[0].status, callback.report.layers[0].reason) == ("pruned", "")


def test_after_the_cut_training_goes_on_without_the_penalty(build: Build, data: Data) -> None:
    model, watch = build(), Watch()
    callback = pruning(1e4, cut=2)
    fit(model, data, callback, watch, steps=3)
    mask = watch.kernels[-1] != 0
    # What the penalty would shrink a thousandfold in each step moves a little, as without it.
    assert mask.sum() == 64
    assert np.abs(watch.kernels[-1][mask] / watch.kernels[-2][mask]).min() > 0.5
    # A choice at the cut that differs from the prior mask is not squeezed either.
    model, watch = build(), Watch()
    other = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: (
            model.get_layer("hidden").kernel.assign(np.random.default_rng(0).standard_normal((16, 8)))
            if batch == 1
            else None
        )
    )
    fit(model, data, pruning(1e4, cut=2), other, watch, steps=3)
    assert (np.abs(watch.kernels[-1]) > 1e-3).sum() == 64


@pytest.mark.parametrize(("refresh", "squeezed"), [(None, slice(4, 8)), (1, slice(0, 4))])
def test_the_prior_mask_stays_or_is_chosen_anew(build: Build, data: Data, refresh: int | None, squeezed: slice) -> None:
    model = build(optimizers.SGD(1e-9))
    weights = np.repeat([[5.0] * 4 + [1.0] * 4], 16, axis=0)
    model.get_layer("hidden").kernel.assign(weights)

    def swap(batch: int, logs: Any) -> None:
        if batch == 0:
            model.get_layer("hidden").kernel.assign(weights[:, ::-1])

    penalty = PriorMaskPenalty(StrengthRamp(1e15, end_step=0), refresh=refresh)
    quietly(
        lambda: fit(
            model, data, pruning(penalty=penalty, cut=9), keras.callbacks.LambdaCallback(on_train_batch_end=swap)
        )
    )
    expected = np.zeros((16, 8), bool)
    expected[:, squeezed] = True
    np.testing.assert_array_equal(np.abs(kernel(model)) < 1e-3, expected)


@pytest.mark.backends
def test_a_second_fit_goes_on_with_prior_mask_and_ramp(build: Build, data: Data) -> None:
    whole, parts = build("sgd"), build("sgd")
    parts.set_weights(whole.get_weights())
    penalty = PriorMaskPenalty(StrengthRamp(3.0, begin_step=1))
    fit(whole, data, pruning(penalty=penalty))
    callback = pruning(penalty=penalty)
    quietly(lambda: fit(parts, data, callback, steps=3))
    rest = (data[0][3 * BATCH :], data[1][3 * BATCH :])
    fit(parts, rest, callback)
    np.testing.assert_allclose(kernel(parts), kernel(whole), rtol=1e-5, atol=1e-7)
    assert zeros(parts, "hidden") == 64


def test_strength_is_constant_within_an_execution(build: Build, data: Data) -> None:
    model = build()
    model.compile("sgd", lambda truth, answer: 0.0 * keras.ops.mean(answer), steps_per_execution=3)
    before = kernel(model)
    penalty = PriorMaskPenalty(StrengthRamp(8.0, end_step=4, initial=4.0))
    quietly(lambda: fit(model, data, pruning(penalty=penalty, cut=9)))
    squeezed = ~select(before, GROUPS, 0.5)
    factor = shrink_factor(4.0, 0.01) ** 3 * shrink_factor(7.0, 0.01) ** 3  # the strengths of steps 0 and 3
    np.testing.assert_allclose(kernel(model)[squeezed], before[squeezed] * factor, rtol=1e-5)


def test_without_a_penalty_there_is_no_trace_of_one(build: Build, data: Data) -> None:
    model, seen = build("adam"), []

    def look(batch: int, logs: Any) -> None:
        seen.append((model.get_layer("hidden").kernel.constraint, [each.name for each in model.optimizer.variables]))

    fit(model, data, pruning(penalty=None), keras.callbacks.LambdaCallback(on_train_batch_end=look))
    constraint, names = seen[0]
    assert isinstance(constraint, MaskConstraint)
    assert constraint.penalty is None
    assert [name for name in names if "prior" in name or "strength" in name] == []
    fit(model, data, pruning(), keras.callbacks.LambdaCallback(on_train_batch_end=look))
    assert sum("prior" in name or "strength" in name for name in seen[-1][1]) == 2


def test_a_penalty_must_begin_before_the_cut(build: Build, data: Data) -> None:
    late = PriorMaskPenalty(StrengthRamp(1.0, begin_step=4))
    with pytest.raises(ScheduleError, match=r"begin_step=4 .* last cut is at step 4"):
        fit(build(), data, pruning(penalty=late))
    with pytest.raises(PruningError, match="`penalty`"):
        PruningCallback(GROUPS, ConstantSparsity(0.5), penalty=3.0)  # type: ignore[arg-type]
