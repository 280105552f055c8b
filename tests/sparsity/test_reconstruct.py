# SPDX-License-Identifier: Apache-2.0
"""Reconstruction: the best kept weights, the mask that leaves the least error, and what both never do."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from threadpoolctl import threadpool_info

from tfprune.errors import PatternError
from tfprune.sparsity.patterns import (
    BlockPunched,
    BlockRowsColumns,
    Filters,
    Groups,
    KernelElements,
    KernelPatterns,
    NofM,
    Pattern,
    Unstructured,
)
from tfprune.sparsity.reconstruct import Moments, Parts, magnitude, reconstruct
from tfprune.sparsity.reconstruct.choose import MATRIX, Target
from tfprune.sparsity.reconstruct.moments import DAMPING
from tfprune.sparsity.reconstruct.solve import rows_by_mask, solve_kept
from tfprune.sparsity.select import select

PATTERNS = [
    (Unstructured(), 0.7),
    (Groups(rows=4), 0.6),
    (Groups(rows=4, aligned=True), 0.75),
    (Groups(1, 4, along="input"), 0.6),
    (BlockPunched(4, 4), 0.6),
    (BlockRowsColumns(4, 4), 0.6),
    (KernelPatterns(keep=4), 0.7),
    (KernelElements(keep=4), None),
    (NofM(2, 4), None),
    (Filters(), 0.5),
]


def correlated(random: np.random.Generator, samples: int, columns: int, parts: int = 1) -> npt.NDArray[Any]:
    """Inputs as of a layer behind a ReLU: correlated, at least 0, of different sizes."""
    hidden = random.normal(size=(parts, samples, columns // 2)) @ random.normal(size=(parts, columns // 2, columns))
    scales = random.uniform(0.2, 2.0, (parts, 1, columns))
    return np.maximum(hidden + random.normal(size=(parts, samples, columns)), 0) * scales


def layer(seed: int = 0, shape: tuple[int, int, int] = (8, 9, 8)) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Weights and inputs."""
    random = np.random.default_rng(seed)
    return random.normal(size=shape), correlated(random, 400, shape[1] * shape[2])


def error(weights: npt.NDArray[Any], dense: npt.NDArray[Any], inputs: npt.NDArray[Any]) -> float:
    """The definition: squared error of the outputs as a share of their mean square."""
    outputs, wanted = (inputs[0] @ each.reshape(len(each), -1).T for each in (weights, dense))
    return float(np.square(outputs - wanted).sum() / np.square(wanted).sum())


@pytest.mark.parametrize(("pattern", "sparsity"), PATTERNS, ids=str)
@pytest.mark.parametrize("seed", [0, 1])
def test_the_error_is_never_above_that_of_plain_magnitude(pattern: Pattern, sparsity: float | None, seed: int) -> None:
    weights, inputs = layer(seed)
    moments = Moments(weights)
    moments.add(inputs)
    found = reconstruct(weights, pattern, sparsity, moments)
    mask, plain = magnitude(weights, pattern, sparsity)
    assert found.error_before == pytest.approx(error(plain, weights, inputs))
    assert found.error_after == pytest.approx(error(found.weights, weights, inputs))
    assert found.error_after < found.error_before
    # The mask is the pattern's own, as dense as that of plain magnitude, and nothing else is zero.
    assert pattern.fitted(np.abs(weights)).holds(found.mask) or isinstance(pattern, (Groups, KernelPatterns))
    assert np.count_nonzero(found.mask) == np.count_nonzero(mask) or isinstance(pattern, BlockRowsColumns)
    assert np.array_equal(found.weights != 0, found.mask)
    # Under the mask of plain magnitude too.
    settled = reconstruct(weights, pattern, sparsity, moments, mask=mask, settled=True)
    assert np.array_equal(settled.mask, mask)
    assert found.error_after <= settled.error_after + 1e-9
    assert settled.error_after <= settled.error_before + 1e-12


def test_groups_stay_whole_windows() -> None:
    weights, inputs = layer()
    moments = Moments(weights)
    moments.add(inputs)
    pattern = Groups(rows=4)
    mask = reconstruct(weights, pattern, 0.6, moments).mask
    kept = pattern.kept_cells(0.6, mask.shape, MATRIX)
    # Scores of a mask's own weights lead back to it only if it consists of that many whole groups.
    assert np.array_equal(select(weights, pattern, 0.6, layout=MATRIX, scores=mask.astype(float)), mask)
    assert np.count_nonzero(mask) == kept * 4


@pytest.mark.parametrize("pattern", [Unstructured(), Groups(rows=2)], ids=str)
def test_inputs_without_correlation_leave_weights_unchanged(pattern: Pattern) -> None:
    weights = np.random.default_rng(3).normal(size=(6, 1, 8)).astype(np.float32)
    moments = Moments(weights)
    moments.add(np.eye(8)[np.newaxis] * 3)
    found = reconstruct(weights, pattern, 0.5, moments, scores="squared")
    mask, plain = magnitude(weights, pattern, 0.5, "squared")
    assert np.array_equal(found.mask, mask)
    assert np.array_equal(found.weights, plain)
    assert found.weights.dtype == np.float32
    assert (
        found.error_after
        == found.error_before
        == pytest.approx(float((weights[~mask] ** 2).sum() / (weights**2).sum()))
    )


def test_a_layer_that_needs_half_its_inputs_is_recovered() -> None:
    """Every second input is a copy of its neighbour, so half of the weights can do the work of all."""
    random = np.random.default_rng(4)
    half = random.normal(size=(1, 500, 8))
    inputs = np.repeat(half, 2, axis=2)
    weights = random.normal(size=(5, 1, 16))
    moments = Moments(weights)
    moments.add(inputs)
    found = reconstruct(weights, NofM(1, 2), None, moments)
    assert found.error_before > 0.1
    assert found.error_after < 1e-4  # what the damping leaves
    assert np.allclose(found.weights.reshape(5, 8, 2).sum(axis=2), weights.reshape(5, 8, 2).sum(axis=2), atol=0.03)


def test_the_weights_are_the_least_squares_solution_under_the_mask() -> None:
    weights, inputs = layer(5, (4, 1, 12))
    moments = Moments(weights)
    moments.add(inputs)
    found = reconstruct(weights, Unstructured(), 0.5, moments)
    ridge = np.sqrt(DAMPING * np.mean(inputs**2) * inputs.shape[1])
    for row, kept, dense in zip(found.weights[:, 0], found.mask[:, 0], weights[:, 0], strict=True):
        system = np.concatenate([inputs[0][:, kept], ridge * np.eye(12)[:, kept]])
        wanted = np.concatenate([inputs[0] @ dense, ridge * dense])
        assert np.allclose(row[kept], np.linalg.lstsq(system, wanted, rcond=None)[0])


def test_the_choice_is_near_the_best_of_all_masks() -> None:
    """One row of eight weights: all 70 masks can be tried."""
    ratios = []
    for seed in range(6):
        weights, inputs = layer(10 + seed, (1, 1, 8))
        moments = Moments(weights)
        moments.add(inputs)
        errors = []
        for places in combinations(range(8), 4):
            mask = np.zeros((1, 1, 8), np.bool_)
            mask[..., list(places)] = True
            errors.append(reconstruct(weights, Unstructured(), 0.5, moments, mask=mask, settled=True).error_after)
        ratios.append(reconstruct(weights, Unstructured(), 0.5, moments).error_after / min(errors))
    assert min(ratios) > 0.999
    assert np.mean(ratios) < 1.1


@pytest.mark.parametrize("samples", [1, 5])
def test_fewer_samples_than_columns_do_no_harm(samples: int) -> None:
    random = np.random.default_rng(6)
    weights, inputs = random.normal(size=(8, 1, 32)), correlated(random, samples, 32)
    moments = Moments(weights)
    moments.add(inputs)
    found = reconstruct(weights, Groups(rows=2), 0.5, moments)
    assert np.isfinite(found.weights).all()
    assert found.error_after <= found.error_before
    assert np.abs(found.weights).max() < 10 * np.abs(weights).max()


def test_inputs_that_are_always_zero_leave_plain_magnitude() -> None:
    weights = np.random.default_rng(7).normal(size=(4, 1, 8))
    moments = Moments(weights)
    moments.add(np.zeros((1, 10, 8)))
    found = reconstruct(weights, Unstructured(), 0.5, moments)
    mask, plain = magnitude(weights, Unstructured(), 0.5)
    assert np.array_equal(found.mask, mask)
    assert np.array_equal(found.weights, plain)
    assert found.error_before == found.error_after == 0


def test_a_bias_takes_up_the_mean() -> None:
    random = np.random.default_rng(8)
    weights, inputs = random.normal(size=(6, 1, 10)), correlated(random, 300, 10)
    moments = Moments(weights)
    moments.add(inputs)
    without = reconstruct(weights, Unstructured(), 0.7, moments)
    found = reconstruct(weights, Unstructured(), 0.7, moments, with_bias=True)
    assert without.bias_change is None
    assert found.bias_change is not None
    outputs = inputs[0] @ found.weights[:, 0].T + found.bias_change
    wanted = inputs[0] @ weights[:, 0].T
    assert np.allclose(outputs.mean(axis=0), wanted.mean(axis=0))
    assert found.error_after == pytest.approx(np.square(outputs - wanted).sum() / np.square(wanted).sum())
    assert found.error_before == pytest.approx(without.error_before)
    assert found.error_after < without.error_after


def test_errors_of_layers_before_are_taken_up() -> None:
    """The layer's inputs came out smaller and noisy: its weights aim at the outputs of the dense model."""
    random = np.random.default_rng(9)
    weights, dense_inputs = random.normal(size=(6, 1, 10)), correlated(random, 2000, 10)
    inputs = 0.7 * dense_inputs + 0.1 * random.normal(size=dense_inputs.shape)
    moments, unaware = Moments(weights), Moments(weights)
    moments.add(inputs, dense_inputs)
    unaware.add(inputs)
    wanted = dense_inputs[0] @ weights[:, 0].T

    def share(found: npt.NDArray[Any]) -> float:
        return float(np.square(inputs[0] @ found[:, 0].T - wanted).sum() / np.square(wanted).sum())

    aware = reconstruct(weights, Unstructured(), 0.3, moments)
    assert aware.error_after == pytest.approx(share(aware.weights))
    assert share(aware.weights) < 0.6 * share(reconstruct(weights, Unstructured(), 0.3, unaware).weights)


@pytest.mark.parametrize("layout", [Parts.ROWS, Parts.SEGMENTS])
def test_parts_with_inputs_of_their_own_are_solved_apart(layout: Parts) -> None:
    random = np.random.default_rng(11)
    shape = (6, 3, 8)
    weights = random.normal(size=shape)
    columns = 8 if layout is Parts.SEGMENTS else 24
    inputs = correlated(random, 200, columns, parts=3)
    moments = Moments(weights, layout, 3)
    moments.add(inputs)
    found = reconstruct(weights, Unstructured(), 0.5, moments, with_bias=True)
    assert np.array_equal(layout.join(layout.split(weights, 3), shape), weights)
    assert found.bias_change is not None
    assert found.bias_change.size == (18 if layout is Parts.SEGMENTS else 6)
    for part in range(3):
        if layout is Parts.SEGMENTS:
            dense, mask, mine = weights[:, part : part + 1], found.mask[:, part : part + 1], found.weights[:, part]
        else:
            rows = slice(2 * part, 2 * part + 2)
            dense, mask, mine = weights[rows], found.mask[rows], found.weights[rows]
        alone = Moments(dense)
        alone.add(inputs[part : part + 1])
        expected = reconstruct(dense, Unstructured(), 0.5, alone, mask=mask, settled=True, with_bias=True)
        assert np.allclose(mine.reshape(expected.weights.shape), expected.weights)


def test_batches_add_up() -> None:
    weights, inputs = layer(12)
    whole, halves = Moments(weights), Moments(weights)
    whole.add(inputs)
    halves.add(inputs[:, :100])
    halves.add(inputs[:, 100:])
    assert halves.samples == whole.samples == 400
    for each in ("moments", "cross", "energy"):
        assert np.allclose(
            getattr(whole.errors(0, with_bias=True), each), getattr(halves.errors(0, with_bias=True), each)
        )


def test_both_forms_of_the_solution_agree() -> None:
    random = np.random.default_rng(13)
    inputs = correlated(random, 100, 12)[0]
    moments = inputs.T @ inputs / 100 + 0.1 * np.eye(12)
    optimum = random.normal(size=(40, 12))
    mask = random.random((40, 12)) < random.random((40, 1))
    mask[0], mask[1], mask[2] = True, False, mask[3]
    found = solve_kept(moments, np.linalg.inv(moments), optimum, mask)
    assert np.array_equal(found[0], optimum[0])
    assert not found[1].any()
    for row, kept, dense in zip(found, mask, optimum, strict=True):
        assert np.allclose((row - dense) @ moments @ np.diag(kept), 0, atol=1e-9)  # no slope along what stays
        assert not row[~kept].any()
    groups = [rows.tolist() for rows, _ in rows_by_mask(mask)]
    assert sorted(row for rows in groups for row in rows) == list(range(40))
    assert [2, 3] in groups


def test_mixed_batches_and_broken_inputs_are_refused() -> None:
    moments = Moments(np.ones((2, 1, 4)))
    moments.add(np.ones((1, 3, 4)))
    with pytest.raises(PatternError, match="for every batch, or for none"):
        moments.add(np.ones((1, 3, 4)), np.ones((1, 3, 4)))
    with pytest.raises(PatternError, match="finite"):
        moments.add(np.full((1, 3, 4), np.nan))


@pytest.mark.parametrize("dense_too", [False, True])
def test_inputs_whose_products_overflow_are_refused(dense_too: bool) -> None:
    large, small = np.full((1, 3, 4), 1e25, np.float32), np.ones((1, 3, 4), np.float32)
    with pytest.raises(PatternError, match=r"inputs of up to 1e\+25 of type float32, which overflow"):
        Moments(np.ones((2, 1, 4))).add(*((small, large) if dense_too else (large,)))
    fits = Moments(np.ones((2, 1, 4)))
    fits.add(large.astype(np.float64))
    assert np.isfinite(fits.errors(0, with_bias=False).of(np.zeros((2, 4)))).all()


def test_the_way_to_a_pattern_with_its_own_rate_removes_cells_one_by_one() -> None:
    targets = Target(NofM(1, 4), None, (4, 1, 8)).rounds(8)
    assert [target.pattern for target in targets][-1] == NofM(1, 4)
    assert {target.pattern for target in targets} == {NofM(1, 4), NofM(2, 4), NofM(3, 4)}
    assert {target.sparsity for target in targets} == {None}
    # A given rate that equals the pattern's own is the same.
    assert [each.sparsity for each in Target(NofM(1, 4), 0.75, (4, 1, 8)).rounds(8)][:-1] == [None] * (len(targets) - 1)


def test_systems_side_by_side_leave_the_threads_of_numpy_as_they_were() -> None:
    random = np.random.default_rng(0)
    inputs = random.standard_normal((64, 12))
    moments = inputs.T @ inputs
    optimum, mask = random.standard_normal((40, 12)), random.random((40, 12)) < 0.5
    before = threadpool_info()
    found = solve_kept(moments, np.linalg.inv(moments), optimum, mask)
    assert threadpool_info() == before
    for row, kept, wanted in zip(found, mask, optimum, strict=True):
        alone = np.linalg.lstsq(inputs[:, kept], inputs @ wanted, rcond=None)[0]
        np.testing.assert_allclose(row[kept], alone, rtol=1e-6, atol=1e-9)
        assert not row[~kept].any()
