# SPDX-License-Identifier: Apache-2.0
"""The reweighted group penalty and ADMM inside the training step, against their formulas in numpy."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tests.keras.conftest import BATCH, STEPS
from tfprune.errors import PruningError
from tfprune.keras.backends import attach_state
from tfprune.keras.callback import PruningCallback
from tfprune.keras.layers import to_numpy
from tfprune.sparsity import patterns
from tfprune.sparsity.layouts import MatrixShape, to_matrix
from tfprune.sparsity.penalties import AdmmPenalty, Penalty, PriorMaskPenalty, ReweightedGroupPenalty
from tfprune.sparsity.penalties.admm import Splitting, draw_to
from tfprune.sparsity.penalties.cells import dropped_cells, pattern_cells
from tfprune.sparsity.schedules import ConstantSparsity, PolynomialDecay, StrengthRamp
from tfprune.sparsity.select import select

pytestmark = pytest.mark.filterwarnings("ignore:.*this training ends at step:UserWarning")

Data = tuple[np.ndarray, np.ndarray]
Build = Callable[..., Any]
optimizers = keras.optimizers
GRID = patterns.Groups(rows=4, aligned=True)
FREE = patterns.Groups(rows=4)
CUT = 4


def constant(strength: float) -> StrengthRamp:
    return StrengthRamp(strength, end_step=0)


def pruning(
    penalty: Penalty, pattern: patterns.Pattern = GRID, cut: int = CUT, checkpoint: Path | None = None
) -> PruningCallback:
    schedule = ConstantSparsity(0.5, begin_step=cut)
    return PruningCallback(pattern, schedule, penalty=penalty, filters="hidden", min_weights=1, checkpoint=checkpoint)


def fit(model: Any, data: Data, *callbacks: Any, steps: int = STEPS) -> None:
    x, y = (part[: steps * BATCH] for part in data)
    model.fit(x, y, batch_size=BATCH, verbose=0, shuffle=False, callbacks=[*callbacks])


def kernel(model: Any) -> np.ndarray:
    attach_state(model)  # on JAX kernels have no value within an epoch
    return to_numpy(model.get_layer("hidden").kernel).astype(np.float64)


def still(model: Any, optimizer: Any) -> None:
    """Compiles with a loss whose gradient is 0, so that only penalties act."""
    model.compile(optimizer, lambda truth, answer: 0.0 * keras.ops.mean(answer))


def group_step(weights: np.ndarray, old: np.ndarray, pattern: patterns.Pattern, pull: float, eps: float) -> np.ndarray:
    """A proximal step, group by group. The matrix of a dense kernel is its transpose."""
    found = pattern_cells(pattern, MatrixShape(8, 1, 16))
    mask = select(old, pattern, 0.5)
    cells = dropped_cells(pattern, to_matrix(mask)) if found is None else found
    result = weights.copy()
    ids = cells.ids[:, 0].T
    for number in range(cells.count):
        group = ids == number
        threshold = pull / (np.linalg.norm(old[group]) + eps)
        result[group] *= max(0.0, 1 - threshold / max(np.linalg.norm(weights[group]), 1e-30))
    return result


@pytest.mark.parametrize(
    ("optimizer", "rate"),
    [
        (lambda: optimizers.SGD(0.1, momentum=0.9), 0.1),
        (lambda: optimizers.Adam(0.02), 0.02),
        (lambda: optimizers.LossScaleOptimizer(optimizers.SGD(0.1), initial_scale=4.0), 0.1),
    ],
    ids=["sgd", "adam", "loss-scale"],
)
@pytest.mark.parametrize("penalty", [ReweightedGroupPenalty(constant(1.0), eps=0.1), AdmmPenalty(constant(3.0))])
def test_one_step_is_the_optimizers_and_then_the_formula(
    build: Build, data: Data, optimizer: Callable[[], Any], rate: float, penalty: Penalty
) -> None:
    plain, penalised = build(optimizer()), build(optimizer())
    penalised.set_weights(plain.get_weights())
    old = kernel(plain)
    fit(plain, data, steps=1)
    fit(penalised, data, pruning(penalty), steps=1)
    if isinstance(penalty, AdmmPenalty):
        expected = draw_to(kernel(plain), old * select(old, GRID, 0.5), 3.0 * rate)
    else:
        expected = group_step(kernel(plain), old, GRID, rate, 0.1)
        assert (expected == 0).any() == (rate == 0.1)
    np.testing.assert_allclose(kernel(penalised), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("pattern", [GRID, FREE], ids=str)
def test_denominators_and_groups_are_found_anew_at_every_refresh(
    build: Build, data: Data, pattern: patterns.Pattern
) -> None:
    model = build()
    still(model, optimizers.SGD(0.1))
    expected = old = kernel(model)
    fit(model, data, pruning(ReweightedGroupPenalty(constant(0.2), refresh=2), pattern, cut=9), steps=5)
    for step in range(5):
        old = expected if step % 2 == 0 else old
        expected = group_step(expected, old, pattern, 0.1 * 0.2, 1e-3)
    np.testing.assert_allclose(kernel(model), expected, rtol=1e-4, atol=1e-6)
    kept = select(expected, pattern, 0.5)
    assert (kernel(model)[~kept] == 0).any()


def test_of_unaligned_groups_nothing_is_penalised_that_the_choice_keeps(build: Build, data: Data) -> None:
    model = build()
    still(model, "sgd")
    before = kernel(model)
    kept = select(before, FREE, 0.5)
    fit(model, data, pruning(ReweightedGroupPenalty(constant(1e6)), FREE), steps=2)
    np.testing.assert_array_equal(kernel(model), np.where(kept, before, 0))


def test_without_overlap_all_groups_compete(build: Build, data: Data) -> None:
    model = build()
    still(model, "sgd")
    before = kernel(model)
    fit(model, data, pruning(ReweightedGroupPenalty(constant(1e-3))), steps=3)
    assert (np.abs(kernel(model)) < np.abs(before)).all()


def test_admm_projects_and_remembers_at_every_refresh(build: Build, data: Data) -> None:
    model = build()
    still(model, optimizers.SGD(0.1))
    weights = kernel(model)
    splitting = Splitting.begin(weights, select(weights, FREE, 0.5))
    fit(model, data, pruning(AdmmPenalty(constant(5.0), refresh=2), FREE, cut=9), steps=5)
    for step in range(5):
        if step in (2, 4):
            splitting = splitting.project(weights, select(weights + splitting.dual, FREE, 0.5))
        weights = draw_to(weights, splitting.target, 0.5)
    np.testing.assert_allclose(kernel(model), weights, rtol=1e-4, atol=1e-6)
    assert np.abs(splitting.dual).max() > 0.05  # else this would not be ADMM


@pytest.mark.parametrize("penalty", [ReweightedGroupPenalty(constant(1e30)), AdmmPenalty(constant(1e30))])
@pytest.mark.parametrize("policy", ["mixed_float16", "bfloat16"])
def test_stable_for_every_strength(build: Build, data: Data, policy: str, penalty: Penalty) -> None:
    keras.config.set_dtype_policy(policy)
    model = build("adam")
    mask = select(kernel(model).astype(np.float32), FREE, 0.5)
    fit(model, data, pruning(penalty, FREE), steps=3)
    assert np.isfinite(kernel(model)).all()
    assert np.abs(kernel(model)[~mask]).max() < 1e-3
    assert np.abs(kernel(model)[mask]).max() > 0


@pytest.mark.parametrize("penalty", [ReweightedGroupPenalty(constant(1e6)), AdmmPenalty(constant(1e6), refresh=1)])
def test_after_the_cut_training_goes_on_as_without_it(build: Build, data: Data, penalty: Penalty) -> None:
    model = build()
    kernels: list[np.ndarray] = []
    watch = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: kernels.append(kernel(model)))
    callback = pruning(penalty, FREE, cut=2)
    fit(model, data, callback, watch, steps=3)
    moved = kernels[2] - kernels[1]
    assert (kernels[2] != 0).sum() == 64
    assert 1e-6 < np.abs(moved[kernels[2] != 0]).max() < 0.5
    assert callback.report.layers[0].reason == ""


@pytest.mark.parametrize(
    "penalty",
    [ReweightedGroupPenalty(StrengthRamp(0.3, begin_step=1), refresh=2), AdmmPenalty(StrengthRamp(9.0), refresh=2)],
)
@pytest.mark.parametrize("saved", [False, True])
def test_a_second_fit_goes_on(build: Build, data: Data, tmp_path: Path, saved: bool, penalty: Penalty) -> None:
    whole, parts = build("sgd"), build("sgd")
    parts.set_weights(whole.get_weights())
    kernels: list[np.ndarray] = []
    watch = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: kernels.append(kernel(whole)))
    fit(whole, data, pruning(penalty, FREE, cut=9), watch)
    checkpoint = tmp_path / "pruning.npz" if saved else None
    callback = pruning(penalty, FREE, cut=9, checkpoint=checkpoint)
    fit(parts, data, callback, steps=2)  # the next look is at step 2 or 3
    assert callback.report.layers[0].reason.endswith("its penalty acts")
    if saved:
        callback = pruning(penalty, FREE, cut=9, checkpoint=checkpoint)
    rest = (data[0][2 * BATCH :], data[1][2 * BATCH :])
    fit(parts, rest, callback, steps=4)
    np.testing.assert_allclose(kernel(parts), kernels[-1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", [ReweightedGroupPenalty, AdmmPenalty, PriorMaskPenalty])
@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_optimizer_and_files_know_nothing_of_it(
    build: Build, data: Data, tmp_path: Path, policy: str, kind: type[Penalty]
) -> None:
    keras.config.set_dtype_policy(policy)
    model = build("adam")
    fit(model, data)
    paths = [each.path for each in model.optimizer.variables]
    saved: list[list[np.ndarray]] = []

    def save(batch: int, logs: Any) -> None:
        if batch == 2:
            attach_state(model)
            model.save(tmp_path / "middle.keras")
            saved.append([np.asarray(each.value) for each in model.optimizer.variables])

    fit(model, data, pruning(kind(constant(1.0))), keras.callbacks.LambdaCallback(on_train_batch_end=save))
    # While it acts the variables are there, at the end of the list; after `fit` they are gone.
    assert len(saved[0]) > len(paths)
    assert [each.path for each in model.optimizer.variables] == paths
    assert not {"save_own_variables", "load_own_variables"} & set(vars(model.optimizer))
    assert model.get_layer("hidden").kernel.constraint is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = keras.saving.load_model(tmp_path / "middle.keras")
    assert len(loaded.optimizer.variables) == len(paths)
    for old, new in zip(saved[0], loaded.optimizer.variables, strict=False):
        np.testing.assert_array_equal(np.asarray(new.value), old)
    fit(loaded, data)


@pytest.mark.parametrize("penalty", [ReweightedGroupPenalty(constant(1e4)), AdmmPenalty(constant(1e8))])
@pytest.mark.parametrize(
    "pattern",
    [patterns.KernelElements(keep=4, share="filter"), patterns.BlockRowsColumns(4, 4), patterns.KernelPatterns(keep=4)],
    ids=str,
)
def test_convolutions(pattern: patterns.Pattern, penalty: Penalty) -> None:
    model = keras.Sequential([keras.Input((6, 6, 4)), keras.layers.Conv2D(8, 3, name="hidden")])
    model.compile("adam", "mse")
    before = kernel(model)
    final = None if isinstance(pattern, patterns.KernelElements) else 0.75
    schedule = PolynomialDecay(final_sparsity=final, begin_step=1, end_step=2)
    callback = PruningCallback(pattern, schedule, penalty=penalty, filters="hidden", min_weights=1)
    images = np.random.default_rng(4).standard_normal((4, 6, 6, 4)).astype(np.float32)
    seen: list[np.ndarray] = []
    watch = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(kernel(model)))
    model.fit(images, np.zeros((4, 4, 4, 8)), batch_size=4, verbose=0, callbacks=[callback, watch])
    mask = select(before, pattern, final)
    if isinstance(pattern, patterns.KernelElements) and isinstance(penalty, ReweightedGroupPenalty):
        assert (seen[0] == 0).all()  # far too strong, and nothing is chosen where cells do not overlap
    else:
        assert np.abs(seen[0][~mask]).max() < 1e-3
        assert np.abs(seen[0][mask]).mean() > 0.01


def test_a_penalty_of_another_class_is_refused_before_anything_is_changed(build: Build, data: Data) -> None:
    class Mine(Penalty):
        pass

    model = build()
    with pytest.raises(PruningError, match=r"must be one of .*'AdmmPenalty'.* Received: .*Mine"):
        fit(model, data, pruning(Mine(constant(1.0))))
    assert model.get_layer("hidden").kernel.constraint is None
    assert not [each for each in model.optimizer.variables if "mask" in each.name]
