# SPDX-License-Identifier: Apache-2.0
"""Layouts: which axis of a kernel is what, by literal positions, and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tfprune.errors import PatternError
from tfprune.sparsity.layouts import (
    LAYOUTS,
    Layout,
    MatrixShape,
    einsum_layout,
    from_matrix,
    matrix_shape,
    resolve_layout,
    to_matrix,
)

# Layout, kernel shape, matrix size, and where the matrix holds the kernel's element at the given index.
PLACES: list[tuple[str, tuple[int, ...], tuple[int, int, int], tuple[int, ...], tuple[int, int, int]]] = [
    ("dense", (3, 5), (5, 1, 3), (2, 4), (4, 0, 2)),
    ("conv1d", (2, 3, 5), (5, 2, 3), (1, 2, 4), (4, 1, 2)),
    ("conv2d", (2, 4, 3, 5), (5, 8, 3), (1, 2, 0, 3), (3, 6, 0)),
    ("conv2d_transpose", (2, 4, 5, 3), (5, 8, 3), (1, 2, 3, 0), (3, 6, 0)),
    ("depthwise_conv1d", (4, 3, 2), (6, 4, 1), (3, 2, 1), (5, 3, 0)),
    ("depthwise_conv2d", (2, 4, 3, 2), (6, 8, 1), (1, 2, 2, 1), (5, 6, 0)),
]
EINSUMS: list[tuple[str, tuple[int, ...], tuple[int, int, int], tuple[int, ...], tuple[int, int, int]]] = [
    ("abc,cd->abd", (3, 5), (5, 1, 3), (2, 4), (4, 0, 2)),
    ("abc,cde->abde", (3, 4, 5), (20, 1, 3), (2, 3, 1), (16, 0, 2)),
    ("...acd,cde->...ae", (3, 4, 5), (5, 1, 12), (2, 3, 1), (1, 0, 11)),
    # The label h is in all three: one kernel for each head.
    ("bth,htd->bhd", (2, 3, 5), (5, 2, 3), (1, 2, 4), (4, 1, 2)),
    ("abc , acd -> abd", (2, 3, 5), (5, 2, 3), (1, 0, 4), (4, 1, 0)),
]


@pytest.mark.parametrize(("layout", "shape", "matrix", "index", "place"), PLACES, ids=lambda value: str(value))
def test_places(layout: str, shape: tuple[int, ...], matrix: Any, index: Any, place: Any) -> None:
    check(LAYOUTS[layout], shape, matrix, index, place)
    assert resolve_layout(len(shape), layout) is LAYOUTS[layout]


@pytest.mark.parametrize(("equation", "shape", "matrix", "index", "place"), EINSUMS, ids=lambda value: str(value))
def test_einsum_places(equation: str, shape: tuple[int, ...], matrix: Any, index: Any, place: Any) -> None:
    check(einsum_layout(equation), shape, matrix, index, place)


def check(layout: Layout, shape: tuple[int, ...], matrix: Any, index: Any, place: Any) -> None:
    kernel = np.arange(np.prod(shape)).reshape(shape)
    assert matrix_shape(shape, layout) == MatrixShape(*matrix)
    view = to_matrix(kernel, layout)
    assert view.shape == matrix
    assert view[place] == kernel[index]
    assert np.array_equal(from_matrix(view, shape, layout), kernel)
    assert from_matrix(view, shape, layout).flags.c_contiguous
    assert MatrixShape(*matrix).size == kernel.size
    assert str(layout) == layout.name


def test_an_einsum_computes_what_its_matrix_does() -> None:
    random = np.random.default_rng(0)
    kernel, inputs = random.standard_normal((4, 3, 5)), random.standard_normal((7, 4, 3))
    outputs = np.einsum("bht,hte->bhe", inputs, kernel)
    rows = to_matrix(kernel, einsum_layout("bht,hte->bhe"))
    for head in range(4):
        assert np.allclose(outputs[:, head], inputs[:, head] @ rows[:, head].T)


def test_rank_decides_without_a_layout() -> None:
    assert [resolve_layout(rank, None).name for rank in (2, 3, 4)] == ["dense", "conv1d", "conv2d"]


@pytest.mark.parametrize("equation", ["", "ab,bc", "ab,bc,cd->ad", "ab,bb->ab", "abc,bc->abc", "ab,b1->a1", None, 3])
def test_equations_that_are_none(equation: Any) -> None:
    with pytest.raises(PatternError, match="Received: "):
        einsum_layout(equation)


@pytest.mark.parametrize(
    ("shape", "layout", "message"),
    [
        ((3,), None, "Pass a `layout`"),
        ((), None, "rank 0"),
        ((2, 2, 2, 2, 2), None, "rank 5"),
        ((3, 4), "conv2d", "rank 4"),
        ((3, 4), "hwio", "must be one of"),
        ((3, 4), 7, "must be one of"),
        ((3, 0), None, "must not be empty"),
    ],
)
def test_what_is_no_kernel(shape: tuple[int, ...], layout: Any, message: str) -> None:
    with pytest.raises(PatternError, match=message):
        matrix_shape(shape, layout)


@pytest.mark.parametrize("axes", [((1,), (), (1,)), ((0,), (), ()), ((), (0,), (1,)), ((0,), (1,), (3,))])
def test_layouts_name_every_axis_once(axes: tuple[tuple[int, ...], ...]) -> None:
    if axes == ((0,), (), ()):
        assert Layout("vector", "[out]", *axes).rank == 1
        return
    with pytest.raises(PatternError, match="every axis of the kernel once"):
        Layout("mine", "[a, b]", *axes)
