# SPDX-License-Identifier: Apache-2.0
"""The same number of weights in every few neighbours: what sparse tensor cores run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from tfprune.errors import PatternError
from tfprune.sparsity.blocks import join, split
from tfprune.sparsity.layouts import LayoutLike, MatrixShape, matrix_shape
from tfprune.sparsity.patterns.base import Pattern, kept_during, register
from tfprune.sparsity.patterns.index import choice_bits


@register
@dataclass(frozen=True)
class NofM(Pattern):
    """`keep` of every `of` neighbouring input channels stay, in every row and at every kernel position.

    The sparsity follows: ``1 - keep / of``. A last, shorter run of ``r`` input channels keeps ``min(keep, r)``.

    Args:
        keep: Weights that stay, at least 1. Default 2.
        of: Neighbours, more than `keep`. Default 4.

    Raises:
        PatternError: Other numbers.

    Example:
        >>> import numpy as np
        >>> from tfprune.sparsity.select import select
        >>> select(np.array([[1.0], [-4.0], [3.0], [2.0]]), NofM(keep=2, of=4)).ravel().astype(int)
        array([0, 1, 1, 0])
    """

    single_weights: ClassVar[bool] = True

    keep: int = 2
    of: int = 4

    def __post_init__(self) -> None:
        """Checks the fields."""
        self._set_whole("keep")
        self._set_whole("of")
        if self.keep >= self.of:
            raise PatternError(
                f"`keep` of `NofM` counts weights that stay, fewer than `of`. Received: keep={self.keep}, of={self.of}."
            )

    def __str__(self) -> str:
        """Short text for tables."""
        return f"{self.keep} of {self.of}"

    @property
    def kept_per_unit(self) -> int:
        """`keep`."""
        return self.keep

    @property
    def extent(self) -> tuple[int, int]:
        """``(1, of)``."""
        return 1, self.of

    def cell_size(self, shape: MatrixShape) -> int:
        """Always 1."""
        return 1

    def check(self, shape: MatrixShape) -> None:
        """Needs more input channels than `keep`."""
        if shape.cols <= self.keep:
            raise PatternError(
                f"{self!r} needs more than {self.keep} input channels. Received: {shape.cols}. "
                "Choose another pattern for this layer."
            )

    def count_cells(self, sparsity: float, shape: MatrixShape) -> int:
        """`keep` in every full run, and what the last, shorter one keeps."""
        full, rest = divmod(shape.cols, self.of)
        return shape.rows * shape.segments * (full * self.keep + min(self.keep, rest))

    def own_sparsity(self, shape: MatrixShape) -> float:
        """``1 - keep / of``, a little less or more with a shorter last run."""
        return float(1 - Fraction(self.count_cells(0.0, shape), shape.size))

    def during(self, sparsity: float, shape: Sequence[int], layout: LayoutLike = None) -> Pattern | None:
        """As many of every `of` as the sparsity says, but at least `keep`."""
        matrix = matrix_shape(shape, layout)
        self.check(matrix)
        now = kept_during(sparsity, self.keep, self.of)
        # With a shorter last run the sparsity of the pattern itself can be a little below 1 - keep / of.
        if sparsity >= self.own_sparsity(matrix):
            now = self.keep
        return replace(self, keep=now) if now < min(self.of, matrix.cols) else None

    def pool(self, scores: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The scores, ``[rows, segments, runs, of]``."""
        return split(scores, self.of, axis=2, fill=-1)

    def expand(self, kept: npt.NDArray[np.bool_], shape: MatrixShape) -> npt.NDArray[np.bool_]:
        """The mask itself, without what filled the last run up."""
        return join(kept, axis=2, length=shape.cols)

    def index_bits(self, mask: npt.NDArray[np.bool_]) -> int:
        """The place of every kept weight in its run: ``ceil(log2(of))`` bits each."""
        return int(np.count_nonzero(mask)) * choice_bits(self.of)
