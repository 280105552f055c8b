# SPDX-License-Identifier: Apache-2.0
"""Every mask a pattern allows on a tiny matrix, written down from the patterns' definitions alone.

Masks are rows of 0 and 1 over the weights ``[rows, segments, cols]``, in an order in which the first of several best
ones is the one that `select` promises.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterable, Sequence
from fractions import Fraction

import numpy as np

from tfprune.sparsity.patterns import (
    BlockPunched,
    Channels,
    Filters,
    Groups,
    KernelElements,
    KernelPatterns,
    NofM,
    Pattern,
    Unstructured,
)

Size = tuple[int, int, int]


def integer_scores(weights: np.ndarray) -> np.ndarray:
    """Magnitudes in units of ``2 ** -30`` of the largest."""
    magnitude = np.abs(weights.astype(np.float64))
    largest = magnitude.max()
    return np.rint(magnitude / largest * 2**30).astype(np.int64) if largest else np.zeros(weights.shape, np.int64)


def wanted_cells(sparsity: float, weights: int, cell: int) -> int:
    """``round_half_up((1 - sparsity) * weights / cell)``, with the sparsity as it is written."""
    return math.floor((1 - Fraction(repr(sparsity))) * weights / cell + Fraction(1, 2))


def masks(pattern: Pattern, size: Size, sparsity: float | None) -> np.ndarray:
    """All masks that the pattern allows at a sparsity, ``[masks, weights]``."""
    if isinstance(pattern, NofM):
        return _of_every_unit(_runs(size, pattern.of), pattern.keep, size)
    if isinstance(pattern, KernelElements) and pattern.keep is not None:
        return _of_every_unit(_planes(size, pattern.share), pattern.keep, size)
    assert sparsity is not None
    if isinstance(pattern, KernelPatterns):
        count = wanted_cells(sparsity, math.prod(size), pattern.keep)
        assert isinstance(pattern.library, tuple)
        return _kernels(size, pattern.library, count)
    cells = cells_of(pattern, size)
    count = wanted_cells(sparsity, math.prod(size), max(map(len, cells)))
    return _subsets(tuple(cells), count, size)


def cells_of(pattern: Pattern, size: Size) -> list[tuple[tuple[int, int, int], ...]]:
    """The cells of a pattern that ranks disjoint cells, in its order of preference; each a tuple of weights."""
    rows, segments, cols = size
    if isinstance(pattern, (Unstructured, Groups, BlockPunched)):
        sizes = (1, 1) if isinstance(pattern, Unstructured) else (pattern.rows, pattern.cols)
        height, width = min(sizes[0], rows), min(sizes[1], cols)
        return [
            tuple((r, s, c) for r in range(top, min(top + height, rows)) for c in range(left, min(left + width, cols)))
            for top in range(0, rows, height)
            for s in range(segments)
            for left in range(0, cols, width)
        ]
    if isinstance(pattern, Filters):
        return [tuple((r, s, c) for s in range(segments) for c in range(cols)) for r in range(rows)]
    if isinstance(pattern, Channels):
        return [tuple((r, s, c) for r in range(rows) for s in range(segments)) for c in range(cols)]
    assert isinstance(pattern, KernelElements)
    return [cell for unit in _planes(size, pattern.share) for cell in unit]


def _planes(size: Size, share: str | int) -> list[list[tuple[tuple[int, int, int], ...]]]:
    """Units of kernels that share positions: for each unit its positions, each with all its weights."""
    rows, segments, cols = size
    every = list(itertools.product(range(rows), range(cols)))
    if share == "kernel":
        units: list[list[tuple[int, int]]] = [[kernel] for kernel in every]
    elif share == "channel":
        units = [[kernel for kernel in every if kernel[1] == col] for col in range(cols)]
    elif share == "layer":
        units = [every]
    else:
        height = 1 if share == "filter" else int(share)
        units = [[kernel for kernel in every if kernel[0] // height == unit] for unit in range(-(-rows // height))]
    return [[tuple((r, s, c) for r, c in kernels) for s in range(segments)] for kernels in units]


def _runs(size: Size, of: int) -> list[list[tuple[tuple[int, int, int], ...]]]:
    """Runs of neighbouring input channels: for each run its weights."""
    rows, segments, cols = size
    return [
        [((r, s, c),) for c in range(left, min(left + of, cols))]
        for r in range(rows)
        for s in range(segments)
        for left in range(0, cols, of)
    ]


def _rows(chosen: Iterable[Iterable[tuple[int, int, int]]], size: Size) -> np.ndarray:
    listed = [[np.ravel_multi_index(weight, size) for weight in weights] for weights in chosen]
    result = np.zeros((len(listed), math.prod(size)), np.int64)
    for row, weights in zip(result, listed, strict=True):
        row[weights] = 1
    return result


@functools.cache
def _subsets(cells: tuple[tuple[tuple[int, int, int], ...], ...], count: int, size: Size) -> np.ndarray:
    return _rows((itertools.chain(*chosen) for chosen in itertools.combinations(cells, count)), size)


def _of_every_unit(units: Sequence[Sequence[tuple[tuple[int, int, int], ...]]], keep: int, size: Size) -> np.ndarray:
    return _of_units(tuple(tuple(unit) for unit in units), keep, size)


@functools.cache
def _of_units(units: tuple[tuple[tuple[tuple[int, int, int], ...], ...], ...], keep: int, size: Size) -> np.ndarray:
    choices = [list(itertools.combinations(unit, min(keep, len(unit)))) for unit in units]
    return _rows(
        (itertools.chain(*itertools.chain(*chosen)) for chosen in itertools.product(*choices)),
        size,
    )


@functools.cache
def _kernels(size: Size, library: tuple[tuple[int, ...], ...], count: int) -> np.ndarray:
    rows, _, cols = size
    kernels = list(itertools.product(range(rows), range(cols)))
    return _rows(
        (
            [(r, s, c) for (r, c), positions in zip(chosen, shapes, strict=True) for s in positions]
            for chosen in itertools.combinations(kernels, count)
            for shapes in itertools.product(library, repeat=count)
        ),
        size,
    )


@functools.cache
def window_masks(size: Size, rows: int, cols: int, along: str, count: int) -> np.ndarray:
    """All choices of `count` disjoint groups that start anywhere along one axis, on a grid along the other."""
    found = []
    for chosen in itertools.combinations(_places(size, rows, cols, along), count):
        union = frozenset[tuple[int, int, int]]().union(*chosen)
        if len(union) == sum(map(len, chosen)):
            found.append(union)
    return _rows(found, size)


@functools.cache
def most_windows(size: Size, rows: int, cols: int, along: str) -> int:
    """The largest number of disjoint groups, by placing them one after the other in every way."""

    def most(places: Sequence[frozenset[tuple[int, int, int]]]) -> int:
        if not places:
            return 0
        first, rest = places[0], places[1:]
        overlapping = [place for place in rest if place & first]
        # What overlaps nothing costs nothing; else the first is left out or taken.
        taken = 1 + most([place for place in rest if not place & first])
        return max(taken, most(rest)) if overlapping else taken

    return most(_places(size, rows, cols, along))


def _places(size: Size, rows: int, cols: int, along: str) -> list[frozenset[tuple[int, int, int]]]:
    """Every place for a group, as its weights."""
    height, segments, width = size
    step = (1, cols) if along == "output" else (rows, 1)
    places = []
    for top, s, left in itertools.product(range(0, height, step[0]), range(segments), range(0, width, step[1])):
        if (top + rows > height and along == "output") or (left + cols > width and along == "input"):
            continue
        inside = itertools.product(range(top, min(top + rows, height)), range(left, min(left + cols, width)))
        places.append(frozenset((r, s, c) for r, c in inside))
    return places


@functools.cache
def row_column_masks(size: Size, rows: int, cols: int) -> np.ndarray:
    """Every choice of rows and columns of every block, ``[masks, weights]``."""
    height, segments, width = size
    options = []
    for top, s, left in itertools.product(range(0, height, rows), range(segments), range(0, width, cols)):
        inside_rows, inside_cols = range(top, min(top + rows, height)), range(left, min(left + cols, width))
        choices = itertools.product(_every_subset(inside_rows), _every_subset(inside_cols))
        options.append(sorted({tuple((r, s, c) for r in kept for c in others) for kept, others in choices}))
    return _rows((itertools.chain(*chosen) for chosen in itertools.product(*options)), size)


def _every_subset(items: Sequence[int]) -> list[tuple[int, ...]]:
    return [chosen for count in range(len(items) + 1) for chosen in itertools.combinations(items, count)]
