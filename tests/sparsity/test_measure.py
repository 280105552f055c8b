# SPDX-License-Identifier: Apache-2.0
"""Measures, on literal masks and against every pattern's own masks."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from tests.sparsity.cases import PATTERNS, kernels_for, sparsities_for
from tfprune.errors import PatternError
from tfprune.sparsity.layouts import matrix_shape, to_matrix
from tfprune.sparsity.measure import (
    Balance,
    Density,
    band_balance,
    density,
    groups_a_row,
    kept_score,
    measure,
    sparsity,
    total_density,
)
from tfprune.sparsity.patterns import (
    BlockPunched,
    BlockRowsColumns,
    Channels,
    Filters,
    Groups,
    KernelElements,
    KernelPatterns,
    NofM,
    Pattern,
    Unstructured,
)
from tfprune.sparsity.select import select


def test_sparsity_counts_both_zeros() -> None:
    assert sparsity(np.array([0.0, -0.0, 1e-30, np.nan])) == 0.5
    assert density(np.array([[True, False]])) == Density(1, 2)
    assert total_density([Density(1, 4), Density(3, 4)]).sparsity == 0.5
    with pytest.raises(PatternError, match="no weights"):
        sparsity([])


def test_kept_score() -> None:
    weights, mask = np.array([[3.0, -1.0, 6.0]]), np.array([[True, False, False]])
    assert kept_score(weights, mask) == (0.3, 0.6)
    assert kept_score(weights, mask, "squared") == (9 / 46, 36 / 46)
    assert kept_score(weights, mask, np.array([[1.0, 1.0, 0.0]])) == (0.5, 0.5)
    assert kept_score(weights, ~mask) == (0.7, 0.9)
    assert kept_score(weights, mask & False) == (0.0, 0.0)
    assert kept_score(weights, mask | True) == (1.0, 1.0)
    assert kept_score(np.zeros((1, 3)), mask) == (1.0, 1.0)


def test_kept_score_of_plane_shares_needs_the_planes() -> None:
    kernel = np.zeros((2, 1, 2, 1))  # two positions, two channels
    kernel[:, 0, :, 0] = [[9.0, 1.0], [1.0, 3.0]]
    mask = np.zeros(kernel.shape, np.bool_)
    mask[0, 0, 0, 0] = True
    assert kept_score(kernel, mask, "plane_share") == pytest.approx((0.45, 0.45))
    mask[...] = [[[[False], [True]]], [[[False], [False]]]]
    assert kept_score(kernel, mask, "plane_share", layout="conv2d") == pytest.approx((0.125, 0.45))


@pytest.mark.parametrize("mask", [np.ones((2, 1), np.bool_), np.ones((1, 2)), [[True, False]], None], ids=repr)
def test_masks_that_are_none(mask: Any) -> None:
    with pytest.raises(PatternError, match=r"must be bool, of the shape of `weights`, \(1, 2\). Received: "):
        kept_score(np.ones((1, 2)), mask)
    with pytest.raises(PatternError, match="must be bool"):
        measure(np.ones((1, 2)), mask, Unstructured())


# Six rows, one position, four columns.
MASK = np.array(
    [
        [1, 0, 0, 0],
        [1, 1, 0, 0],
        [0, 1, 0, 1],
        [0, 1, 0, 1],
        [0, 1, 0, 0],
        [0, 0, 0, 0],
    ],
    np.bool_,
)[:, None, :]


@pytest.mark.parametrize(
    ("pattern", "rows"),
    [
        (Groups(2), [1, 1, 1, 1, 0, 0]),
        (Groups(1), [1, 2, 2, 2, 1, 0]),
        (Groups(1, aligned=True), [1, 2, 2, 2, 1, 0]),
        (Groups(1, 1, along="input"), [1, 2, 2, 2, 1, 0]),
    ],
    ids=str,
)
def test_groups_by_row(pattern: Groups, rows: list[int]) -> None:
    assert groups_a_row(MASK, pattern).tolist() == rows


def test_groups_by_row_on_a_grid() -> None:
    mask = np.kron(np.array([[1, 0, 1], [0, 0, 0], [1, 1, 1]]), np.ones((2, 2)))[:5, :5].astype(np.bool_)[:, None, :]
    assert groups_a_row(mask, Groups(2, 2, aligned=True)).tolist() == [2, 0, 0, 0, 3]
    assert groups_a_row(mask, Groups(2, aligned=True)).tolist() == [3, 0, 0, 0, 5]
    with pytest.raises(PatternError, match="must consist of whole cells of"):
        groups_a_row(mask, Groups(3, 2, aligned=True))


def test_groups_by_row_along_input_and_both() -> None:
    mask = np.array([[1, 1, 0, 1, 1], [1, 1, 1, 1, 0], [0, 0, 0, 0, 0]], np.bool_)[:, None, :]
    assert groups_a_row(mask, Groups(1, 2, along="input")).tolist() == [2, 2, 0]
    both = np.array([[0, 1, 1, 0], [0, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 1]], np.bool_)[:, None, :]
    assert groups_a_row(both, Groups(2, 2, along="both")).tolist() == [1, 0, 2, 0]
    shifted = np.array([[0, 1, 1, 0, 0], [0, 1, 1, 1, 1], [0, 0, 0, 1, 1]], np.bool_)[:, None, :]
    assert groups_a_row(shifted, Groups(2, 2, along="both")).tolist() == [1, 1, 0]


def test_units_are_cut_before_groups_are_counted() -> None:
    mask = np.array([1, 1, 1, 1, 0, 0, 1, 1, 0], np.bool_)[:, None, None]
    pattern = Groups(2, balanced=True, unit_rows=3)
    with pytest.raises(PatternError, match="must consist of whole cells of"):
        groups_a_row(mask, pattern)
    mask = np.array([1, 1, 0, 0, 1, 1, 1, 1, 0], np.bool_)[:, None, None]
    assert groups_a_row(mask, pattern).tolist() == [1, 0, 0, 0, 1, 0, 1, 0, 0]
    assert band_balance(mask, pattern) == Balance(3, (1, 1, 1))
    assert groups_a_row(mask, Groups(2)).tolist() == [1, 0, 0, 0, 1, 0, 1, 0, 0]


@pytest.mark.parametrize("pattern", [Groups(4), Groups(2, 2), Groups(1, 2, along="input"), Groups(2, 2, along="both")])
def test_masks_of_another_pattern(pattern: Groups) -> None:
    with pytest.raises(PatternError, match=r"a mask with others\. Measure it with the pattern"):
        groups_a_row(MASK[:, :, :3], pattern)


FOUR_IN_A_ROW = select(np.random.default_rng(1).standard_normal((3, 3, 8, 16)), Groups(4), 0.5)
SINGLE = select(np.random.default_rng(1).standard_normal((3, 3, 8, 16)), Unstructured(), 0.5)


@pytest.mark.parametrize(
    ("mask", "pattern"),
    [
        (FOUR_IN_A_ROW, Filters()),
        (FOUR_IN_A_ROW, Channels()),
        (FOUR_IN_A_ROW, NofM(2, 4)),
        (FOUR_IN_A_ROW, BlockPunched(2, 2)),
        (FOUR_IN_A_ROW, BlockRowsColumns(4, 4)),
        (FOUR_IN_A_ROW, KernelPatterns()),
        (FOUR_IN_A_ROW, KernelElements()),
        (SINGLE, KernelElements(keep=2)),
        (SINGLE, KernelElements(keep=2, share="kernel")),
        (SINGLE, Groups(4)),
        (SINGLE, Groups(2, balanced=True)),
        (np.arange(16) < 8 + np.zeros((3, 3, 8, 1)), Groups(2, balanced=True, unit_rows=8)),
    ],
    ids=str,
)
def test_only_masks_of_the_pattern_are_measured(mask: np.ndarray, pattern: Pattern) -> None:
    with pytest.raises(PatternError, match=r"`mask` must consist of whole cells of .*Received: a mask with others"):
        measure(np.ones(mask.shape), mask, pattern)
    assert measure(np.ones(mask.shape), mask | True, pattern).sparsity == 0


@pytest.mark.parametrize(
    ("weights", "pattern", "message"),
    [
        (np.ones((4, 8)), None, "`pattern` must be a pattern.*Received: pattern=None"),
        (np.ones((4, 8)), "g", "`pattern` must be a pattern.*Received: pattern='g'"),
        (np.ones((4, 8)), KernelPatterns(), "needs kernels of .*Choose another pattern"),
        (np.full((4, 8), np.nan), Unstructured(), "`weights` must be finite. Received: 32 of 32"),
        (np.ones((4, 8), complex), Unstructured(), "`weights` must be real numbers. Received: dtype complex128"),
        (np.ones((4, 8), object), Unstructured(), "`weights` must be real numbers. Received: dtype object"),
    ],
    ids=str,
)
def test_what_is_not_measured(weights: np.ndarray, pattern: Any, message: str) -> None:
    with pytest.raises(PatternError, match=message):
        measure(weights, np.ones(weights.shape, np.bool_), pattern)


def test_scores_of_huge_weights_are_summed() -> None:
    assert kept_score(np.full((1, 4), 1.5e308), np.array([[True, False, False, False]])) == (0.25, 0.25)


@pytest.mark.parametrize(
    ("pattern", "band", "counts"),
    [
        (Groups(2), 2, (2, 2, 0)),
        (Groups(1, 1, aligned=True, balanced=True, unit_rows=2), 2, (3, 4, 1)),
        (Unstructured(), 1, (1, 2, 2, 2, 1, 0)),
        (BlockPunched(4, 1), 4, (3, 1)),
        (BlockRowsColumns(64, 1), 6, (3,)),
        (Filters(), 1, (1, 2, 2, 2, 1, 0)),
        (KernelElements(share=3), 3, (3, 2)),
        (KernelElements(share="layer"), 1, (1, 2, 2, 2, 1, 0)),
        (NofM(), 1, (1, 2, 2, 2, 1, 0)),
    ],
    ids=str,
)
def test_bands(pattern: Pattern, band: int, counts: tuple[int, ...]) -> None:
    assert band_balance(MASK, pattern) == Balance(band, counts)


def test_balance_numbers() -> None:
    balance = Balance(4, (2, 4, 6))
    assert (balance.least, balance.most, balance.mean, balance.waiting) == (2, 6, 4.0, 1.5)
    assert balance.variation == pytest.approx(np.sqrt(8 / 3) / 4)
    assert (Balance(4, (0, 0)).waiting, Balance(4, (0, 0)).variation) == (1.0, 0.0)


@pytest.mark.parametrize("pattern", PATTERNS, ids=str)
def test_every_pattern_is_measured(pattern: Pattern) -> None:
    for layout, kernel in kernels_for(pattern):
        weights = np.random.default_rng([*kernel]).standard_normal(kernel)
        for asked in sparsities_for(pattern, layout, kernel)[::2]:
            mask = select(weights, pattern, asked, layout=layout)
            found = measure(weights, mask, pattern, layout=layout, positions=49)
            matrix = to_matrix(mask, layout)
            assert (found.kept, found.total) == (mask.sum(), mask.size)
            assert found.sparsity == sparsity(mask)
            assert found.kept_score == pytest.approx(np.abs(weights[mask]).sum() / np.abs(weights).sum())
            assert found.kept_score <= found.unstructured_score + 1e-12
            largest = np.sort(np.abs(weights), axis=None)[::-1][: found.kept]
            assert found.unstructured_score == pytest.approx(largest.sum() / np.abs(weights).sum())
            assert found.index_bytes == -(-pattern.index_bits(matrix) // 8)
            assert (found.macs, found.dense_macs) == (49 * mask.sum(), 49 * mask.size)
            if isinstance(pattern, Groups) and not mask.all():
                assert sum(found.bands.counts) == pattern.kept_cells(asked, kernel, layout)
            assert len(found.bands.counts) == -(-matrix_shape(kernel, layout).rows // found.bands.band_rows)
            json.dumps(found.to_dict())


def test_balanced_units_do_not_wait() -> None:
    weights = np.random.default_rng(0).standard_normal((64, 64)) * np.geomspace(0.1, 10, 64)
    loose, even = Groups(4), Groups(4, balanced=True, unit_rows=16)
    uneven = measure(weights, select(weights, loose, 0.8), loose)
    level = measure(weights, select(weights, even, 0.8), even)
    assert level.bands.waiting == 1.0
    assert level.bands.variation == 0.0
    assert uneven.bands.waiting > 2
    # Balance is paid for with magnitude where channels differ.
    assert level.kept_score < uneven.kept_score
    assert level.to_dict()["bands"] == {
        "band_rows": 16,
        "least": level.bands.least,
        "most": level.bands.least,
        "mean": float(level.bands.least),
        "variation": 0.0,
        "waiting": 1.0,
    }


def test_sparser_index_with_larger_cells() -> None:
    weights = np.random.default_rng(0).standard_normal((3, 3, 32, 32))
    patterns = (Unstructured(), Groups(4, aligned=True), BlockPunched(8, 4), KernelElements(2, "filter"), Channels())
    sizes = [measure(weights, select(weights, each, 7 / 9), each).index_bytes for each in patterns]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] == 4


def test_full_masks_and_kernel_patterns() -> None:
    full = np.ones((3, 10), np.bool_)
    found = measure(np.ones((3, 10)), full, Groups(4))
    assert found.bands == Balance(4, (3, 3, 3))
    assert (found.sparsity, found.against_unstructured) == (0.0, 1.0)
    weights = np.random.default_rng(0).standard_normal((3, 3, 4, 4))
    pattern = KernelPatterns(4)
    found = measure(weights, select(weights, pattern, 5 / 9), pattern)
    assert found.bands.counts == (16, 16, 16, 16)
    assert found.against_unstructured < 1


@pytest.mark.parametrize("positions", [0, -1, 1.5, True, "3", None])
def test_positions_are_counted(positions: Any) -> None:
    weights = np.ones((3, 4))
    with pytest.raises(PatternError, match=r"`positions` must be a whole number of at least 1\. Received"):
        measure(weights, weights > 0, Unstructured(), positions=positions)
    assert measure(weights, weights > 0, Unstructured(), positions=np.int64(7)).macs == 84
