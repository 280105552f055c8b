# SPDX-License-Identifier: Apache-2.0
"""Room for groups, and what balanced units keep of it, where sizes do not divide."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.sparsity.enumeration import most_windows
from tfprune.sparsity.layouts import MatrixShape
from tfprune.sparsity.patterns import Groups
from tfprune.sparsity.select import select


@pytest.mark.parametrize("along", ["output", "input"])
def test_room_is_the_most_that_can_be_placed(along: str) -> None:
    for height, segments, width in itertools.product(range(1, 6), (1, 2), range(1, 6)):
        for rows, cols in itertools.product(range(1, 4), repeat=2):
            if height * segments * width > 20:
                continue
            found = Groups(rows, cols, along=along).most_groups(MatrixShape(height, segments, width))
            clipped = min(rows, height), min(cols, width)
            assert found == most_windows((height, segments, width), *clipped, along), (height, width, rows, cols)


def test_aligned_room_counts_shorter_blocks_and_room_on_both_axes_does_not() -> None:
    shape = MatrixShape(5, 2, 3)
    assert Groups(3, 2, aligned=True).most_groups(shape) == 2 * 2 * 2
    assert Groups(3, 2, along="both").most_groups(shape) == 2


@pytest.mark.parametrize(
    ("kernel", "sparsity", "pattern", "groups", "weights"),
    [
        # Five outputs, three inputs in blocks of two and one: a group of six weights and one of three.
        ((3, 5), 0.4, Groups(3, 2), 2, 9),
        # One input: a group is a run of one, three outputs high at most.
        ((1, 5), 0.1, Groups(3, along="input"), 2, 5),
    ],
    ids=str,
)
def test_one_balanced_unit_keeps_what_the_pattern_keeps(
    kernel: tuple[int, int], sparsity: float, pattern: Groups, groups: int, weights: int
) -> None:
    values = np.random.default_rng(0).standard_normal(kernel)
    balanced = Groups(pattern.rows, pattern.cols, along=pattern.along, balanced=True, unit_rows=5)
    for each in (pattern, balanced):
        assert each.kept_cells(sparsity, kernel) == groups
        assert select(values, each, sparsity).sum() == weights


def test_units_of_tiny_weights_are_chosen_by_their_own() -> None:
    random = np.random.default_rng(2)
    large, small = random.standard_normal((6, 16)), random.standard_normal((6, 16))
    pattern = Groups(2, balanced=True, unit_rows=16)
    mask = select(np.concatenate((large, 1e-12 * small), axis=1), pattern, 0.5)
    assert np.array_equal(mask[:, :16], select(large, Groups(2), 0.5))
    assert np.array_equal(mask[:, 16:], select(small, Groups(2), 0.5))
