# SPDX-License-Identifier: Apache-2.0
"""Norms of groups in a training step: by sums over boxes and by number, against numpy."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from tfprune.keras.group_norms import BoxedGroups, GroupNorms, IndexedGroups
from tfprune.sparsity import patterns
from tfprune.sparsity.layouts import LAYOUTS, Layout, einsum_layout, from_matrix, matrix_shape, to_matrix
from tfprune.sparsity.penalties.cells import PenaltyCells, box_sizes, dropped_cells, pattern_cells

KERNELS: list[tuple[tuple[int, ...], Layout]] = [
    ((10, 7), LAYOUTS["dense"]),
    ((3, 7, 10), LAYOUTS["conv1d"]),
    ((3, 2, 7, 10), LAYOUTS["conv2d"]),
    ((3, 2, 10, 7), LAYOUTS["conv2d_transpose"]),
    ((3, 2, 5, 2), LAYOUTS["depthwise_conv2d"]),
    ((5, 3, 2), einsum_layout("abc,dce->abde")),  # outputs round the input: they have no place side by side
]
BOXES = [
    patterns.Unstructured(),
    patterns.Groups(4, aligned=True),
    patterns.Groups(3, 2, aligned=True),
    patterns.BlockPunched(4, 2),
    patterns.Filters(),
    patterns.Channels(),
]


def boxed(shape: tuple[int, ...], layout: Layout, cells: PenaltyCells) -> GroupNorms:
    sizes = box_sizes(cells)
    assert sizes is not None
    return BoxedGroups(shape, layout, sizes)


def indexed(shape: tuple[int, ...], layout: Layout, cells: PenaltyCells) -> GroupNorms:
    ids = keras.Variable(from_matrix(cells.ids, shape, layout), dtype="int32", trainable=False)
    return IndexedGroups(ids, cells.count + 3)


@pytest.mark.backends
@pytest.mark.parametrize("make", [boxed, indexed])
@pytest.mark.parametrize(("shape", "layout"), KERNELS, ids=str)
@pytest.mark.parametrize("pattern", BOXES, ids=str)
def test_norms_and_factors_are_those_of_the_groups(
    pattern: patterns.Pattern, shape: tuple[int, ...], layout: Layout, make: Any
) -> None:
    random = np.random.default_rng(1)
    weights = random.standard_normal(shape).astype(np.float32)
    cells = pattern_cells(pattern, matrix_shape(shape, layout))
    assert cells is not None
    groups = make(shape, layout, cells)
    norms = cells.norms(to_matrix(weights, layout))
    found = keras.ops.convert_to_numpy(groups.norms(keras.ops.convert_to_tensor(weights)))
    assert found.shape == groups.shape
    np.testing.assert_allclose(found, groups.arrange(cells, norms), rtol=1e-5, atol=1e-6)
    factors = random.random(cells.count).astype(np.float32)
    scaled = groups.scale(
        keras.ops.convert_to_tensor(weights), keras.ops.convert_to_tensor(groups.arrange(cells, factors))
    )
    expected = weights * from_matrix(factors[cells.ids], shape, layout)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(scaled), expected)


@pytest.mark.parametrize(("shape", "layout"), KERNELS, ids=str)
def test_single_weights_of_which_some_are_in_no_group(shape: tuple[int, ...], layout: Layout) -> None:
    matrix = matrix_shape(shape, layout)
    kept = np.random.default_rng(2).random((matrix.rows, matrix.segments, matrix.cols)) < 0.25
    cells = dropped_cells(patterns.BlockRowsColumns(4, 4), kept)
    factors = np.arange(1, cells.count + 1, dtype=np.float32)
    groups = BoxedGroups(shape, layout, (1, 1, 1))
    found = groups.scale(keras.ops.ones(shape), keras.ops.convert_to_tensor(groups.arrange(cells, factors)))
    expected = from_matrix(np.append(factors, np.float32(0))[cells.ids], shape, layout)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(found), expected)
