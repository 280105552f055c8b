# SPDX-License-Identifier: Apache-2.0
"""Every pattern in several forms, and kernels of every layout: what the contract of patterns is tested on."""

from __future__ import annotations

from collections.abc import Iterator

from tfprune.errors import PatternError
from tfprune.sparsity.layouts import LAYOUTS, Layout, einsum_layout, matrix_shape
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

PATTERNS: tuple[Pattern, ...] = (
    Unstructured(),
    Groups(),
    Groups(1),
    Groups(3, 2),
    Groups(64, 64),
    Groups(2, 3, along="input"),
    Groups(1, 4, along="input"),
    Groups(2, 2, along="both"),
    Groups(1, 3, along="both"),
    Groups(8, 1, aligned=True),
    Groups(2, 2, aligned=True),
    Groups(64, 64, aligned=True),
    Groups(2, 2, balanced=True, unit_rows=4),
    Groups(2, 1, balanced=True, unit_rows=3),
    Groups(1, 3, along="input", balanced=True, unit_rows=2),
    Groups(2, 1, aligned=True, balanced=True, unit_rows=4),
    Groups(2, 2, along="both", balanced=True, unit_rows=4),
    Groups(2, balanced=True),
    BlockPunched(),
    BlockPunched(1, 1),
    BlockPunched(2, 3),
    BlockPunched(64, 64),
    BlockRowsColumns(),
    BlockRowsColumns(1, 1),
    BlockRowsColumns(2, 3),
    BlockRowsColumns(64, 64),
    KernelPatterns(),
    KernelPatterns(1, 2),
    KernelPatterns(1, ((0,), (2,))),
    KernelPatterns(2, [[0, 1], [1, 2], [0, 2]]),
    KernelElements(),
    KernelElements(share="kernel"),
    KernelElements(share="channel"),
    KernelElements(share="layer"),
    KernelElements(share=3),
    KernelElements(1),
    KernelElements(2, "kernel"),
    KernelElements(2, "channel"),
    KernelElements(2, "layer"),
    KernelElements(2, 64),
    NofM(),
    NofM(1, 2),
    NofM(1, 4),
    NofM(3, 5),
    Filters(),
    Channels(),
)

# Sizes that divide and sizes that do not, axes of one, single positions.
KERNELS: tuple[tuple[Layout, tuple[int, ...]], ...] = (
    (LAYOUTS["dense"], (7, 10)),
    (LAYOUTS["dense"], (8, 16)),
    (LAYOUTS["dense"], (1, 9)),
    (LAYOUTS["dense"], (9, 1)),
    (LAYOUTS["dense"], (1, 1)),
    (LAYOUTS["conv1d"], (3, 5, 6)),
    (LAYOUTS["conv2d"], (3, 3, 4, 6)),
    (LAYOUTS["conv2d"], (2, 2, 5, 7)),
    (LAYOUTS["conv2d"], (1, 1, 6, 8)),
    (LAYOUTS["conv2d"], (3, 3, 1, 5)),
    (LAYOUTS["conv2d_transpose"], (3, 3, 6, 4)),
    (LAYOUTS["depthwise_conv1d"], (3, 6, 1)),
    (LAYOUTS["depthwise_conv2d"], (3, 3, 6, 2)),
    (einsum_layout("abc,cde->abde"), (5, 3, 4)),
    (einsum_layout("abc,acd->abd"), (3, 4, 6)),
)


def applies(pattern: Pattern, layout: Layout, kernel: tuple[int, ...]) -> bool:
    """Whether the pattern has cells in a kernel."""
    try:
        pattern.check(matrix_shape(kernel, layout))
    except PatternError:
        return False
    return True


def kernels_for(pattern: Pattern) -> Iterator[tuple[Layout, tuple[int, ...]]]:
    """Kernels that the pattern applies to."""
    return ((layout, kernel) for layout, kernel in KERNELS if applies(pattern, layout, kernel))


def sparsities_for(pattern: Pattern, layout: Layout, kernel: tuple[int, ...]) -> list[float]:
    """Sparsities above 0 that the pattern reaches: its least or own, and some more."""
    listed = {pattern.min_sparsity(kernel, layout), 1e-6, 0.3, 0.5, 0.62, 0.75, 0.9, 0.999}
    return sorted(each for each in listed if 0 < each < 1 and pattern.reaches(each, kernel, layout))
