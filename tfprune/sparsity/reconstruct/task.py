# SPDX-License-Identifier: Apache-2.0
"""One kernel of a model that is to be pruned in one shot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from tfprune.sparsity.blocks import Mask
from tfprune.sparsity.patterns import Pattern


@dataclass(frozen=True)
class KernelTask:
    """A kernel, and what it shall become.

    Args:
        layer: Name of its layer.
        kernel: Its own name.
        shape: Its shape in the model.
        weights: Its values as a matrix ``[rows, segments, cols]``.
        pattern: The pattern.
        sparsity: Fraction of weights to remove; None: the pattern's own rate.
        target: The same as a number.
        plain: What plain magnitude keeps, ``[rows, segments, cols]``.
        settled: Whether `plain` must be used, because other kernels were chosen with it.
        has_bias: Whether the layer has a bias that may change with the kernel.
        unread: Why the kernel cannot be reconstructed; empty if it can.
        note: What a report says besides.
    """

    layer: str
    kernel: str
    shape: tuple[int, ...]
    weights: npt.NDArray[Any]
    pattern: Pattern
    sparsity: float | None
    target: float
    plain: Mask
    settled: bool = False
    has_bias: bool = False
    unread: str = ""
    note: str = ""
