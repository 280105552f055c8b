# SPDX-License-Identifier: Apache-2.0
"""KEP, kernel-element pruning: which positions of the kernel planes stay."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.errors import PatternError
from tfprune.sparsity.blocks import block_sums, spread
from tfprune.sparsity.layouts import LayoutLike, MatrixShape, matrix_shape
from tfprune.sparsity.patterns.base import Pattern, kept_during, register
from tfprune.sparsity.patterns.index import choice_bits

_SHARES = ("kernel", "channel", "filter", "layer")


@register
@dataclass(frozen=True)
class KernelElements(Pattern):
    """Kernel-element pruning (Zhang et al. 2024): positions of the K x K plane go, in all kernels of a unit together.

    A cell is one kernel position of one unit. With `keep`, every unit keeps exactly that many positions and the
    sparsity follows, ``1 - keep / positions``; without it, positions of all units compete and the sparsity decides.
    Which elements of a plane matter is the pooled score; ``scores="plane_share"`` weighs every plane alike. The index
    is one set of positions a unit, so large units need next to none. Scores are rounded to ``2 ** -30`` of the layer's
    largest, also where each unit has its `keep`: in a unit of far smaller scores, what falls below counts as equal.

    Args:
        keep: Positions that every unit keeps, at least 1 and fewer than the kernel has; None (default): by sparsity.
        share: Kernels that share their positions: ``"kernel"`` (each its own), ``"channel"`` (all that read an input
            channel), ``"filter"`` (default; all of a filter), ``"layer"``, or a whole number of filters.

    Raises:
        PatternError: Other arguments.

    Example:
        >>> import numpy as np
        >>> from tfprune.sparsity.select import select
        >>> kernel = np.zeros((3, 3, 2, 4)) + np.arange(9.0).reshape(3, 3, 1, 1)
        >>> select(kernel, KernelElements(keep=2, share="layer"))[:, :, 0, 0].astype(int)
        array([[0, 0, 0],
               [0, 0, 0],
               [0, 1, 1]])
    """

    keep: int | None = None
    share: str | int = "filter"

    def __post_init__(self) -> None:
        """Checks the fields."""
        if self.keep is not None:
            self._set_whole("keep")
        if not isinstance(self.share, str):
            self._set_whole("share")
        elif self.share not in _SHARES:
            raise PatternError(
                f"`share` of `KernelElements` must be one of {_SHARES} or a number of filters. "
                f"Received: share={self.share!r}."
            )

    def __str__(self) -> str:
        """Short text for tables."""
        unit = self.share if isinstance(self.share, str) else f"unit of {self.share} filters"
        return f"KernelElements {'' if self.keep is None else f'keep {self.keep}, '}a {unit}"

    @property
    def kept_per_unit(self) -> int | None:
        """`keep`."""
        return self.keep

    @property
    def extent(self) -> tuple[int, int]:
        """Filters that share their positions."""
        return (self.share if isinstance(self.share, int) else 1), 1

    def check(self, shape: MatrixShape) -> None:
        """Needs kernels of several positions, and more than `keep`."""
        least = 2 if self.keep is None else self.keep + 1
        if shape.segments < least:
            raise PatternError(
                f"{self!r} needs kernels of at least {least} positions. Received: kernels of {shape.segments}. "
                "Choose another pattern for this layer, such as Groups."
            )

    def own_sparsity(self, shape: MatrixShape) -> float | None:
        """``1 - keep / positions``; None without `keep`."""
        return None if self.keep is None else float(1 - Fraction(self.keep, shape.segments))

    def during(self, sparsity: float, shape: Sequence[int], layout: LayoutLike = None) -> Pattern | None:
        """With `keep`: as many positions as the sparsity says, but at least `keep`."""
        if self.keep is None:
            return super().during(sparsity, shape, layout)
        matrix = matrix_shape(shape, layout)
        self.check(matrix)
        now = kept_during(sparsity, self.keep, matrix.segments)
        return replace(self, keep=now) if now < matrix.segments else None

    def cell_size(self, shape: MatrixShape) -> int:
        """Kernels of a full unit."""
        if isinstance(self.share, int):
            return min(self.share, shape.rows) * shape.cols
        return {"kernel": 1, "channel": shape.rows, "filter": shape.cols, "layer": shape.rows * shape.cols}[self.share]

    def count_cells(self, sparsity: float, shape: MatrixShape) -> int:
        """`keep` in every unit, or by sparsity."""
        return super().count_cells(sparsity, shape) if self.keep is None else self.keep * self._units(shape)

    def pool(self, scores: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """One score a position of a unit, ``[units..., segments]``."""
        if self.share == "kernel":
            return scores.transpose(0, 2, 1)
        sums: npt.NDArray[Any]
        if self.share == "channel":
            sums = scores.sum(axis=0).T
        elif self.share == "layer":
            sums = scores.sum(axis=(0, 2))[None, :]
        else:
            filters: npt.NDArray[Any] = scores.sum(axis=2)
            sums = block_sums(filters, self._rows(filters.shape[0]), 0)
        return sums

    def expand(self, kept: npt.NDArray[np.bool_], shape: MatrixShape) -> npt.NDArray[np.bool_]:
        """The position in every kernel of the unit."""
        if self.share == "kernel":
            return kept.transpose(0, 2, 1)
        if self.share == "channel":
            mask = kept.T[None, :, :]
        elif self.share == "layer":
            mask = kept[0][None, :, None]
        else:
            mask = spread(kept, self._rows(shape.rows), 0, shape.rows)[:, :, None]
        return np.broadcast_to(mask, (shape.rows, shape.segments, shape.cols)).copy()

    def index_bits(self, mask: npt.NDArray[np.bool_]) -> int:
        """A unit: with `keep` the number of its set among all sets of that size, else one bit a position."""
        shape = MatrixShape(*mask.shape)
        each = shape.segments if self.keep is None else choice_bits(math.comb(shape.segments, self.keep))
        return self._units(shape) * each

    def _rows(self, rows: int) -> int:
        return min(self.share, rows) if isinstance(self.share, int) else 1

    def _units(self, shape: MatrixShape) -> int:
        if isinstance(self.share, int):
            return -(-shape.rows // self._rows(shape.rows))
        return {"kernel": shape.rows * shape.cols, "channel": shape.cols, "filter": shape.rows, "layer": 1}[self.share]
