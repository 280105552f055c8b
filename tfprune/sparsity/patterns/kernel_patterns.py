# SPDX-License-Identifier: Apache-2.0
"""Pattern-based pruning: every kernel takes one of a few shapes, and some kernels go whole."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.errors import PatternError
from tfprune.sparsity.layouts import MatrixShape
from tfprune.sparsity.patterns.base import Pattern, register
from tfprune.sparsity.patterns.index import choice_bits, list_bits

# Positions of a kernel are bits of an int64 while shapes are counted.
_MOST_POSITIONS = 62
# Filters that vote at a time, to bound the memory.
_VOTING_ROWS = 32


@register
@dataclass(frozen=True)
class KernelPatterns(Pattern):
    """Kernel patterns (Gong et al. 2021, after PatDNN): each kernel keeps one shape of `keep` positions, or nothing.

    The shapes come from a small library. A number asks for a library found from the weights: every kernel votes, with
    the score it would keep, for the shape of its best `keep` positions, and the shapes with most votes form the
    library. Each kernel takes the shape of the library that keeps most of its score. Shapes alone give the sparsity
    ``1 - keep / positions``, the least there is; the rest is spent on removing whole kernels (connectivity), those with
    the least kept score.

    Args:
        keep: Positions of a shape, at least 1 and fewer than the kernel has. Default 4.
        library: Number of shapes, at least 1 (default 8), or the shapes: lists of `keep` positions
            ``kh * kernel_w + kw``, in rising order.

    Raises:
        PatternError: Other arguments.

    Example:
        >>> import numpy as np
        >>> from tfprune.sparsity.select import select
        >>> kernel = np.array([[5.0, 1.0], [4.0, 2.0]]).reshape(2, 2, 1, 1) * np.array([1.0, 3.0])   # two filters
        >>> select(kernel, KernelPatterns(keep=2), 0.75)[:, :, 0, 1].astype(int)   # the stronger one stays
        array([[1, 0],
               [1, 0]])
    """

    keep: int = 4
    library: int | tuple[tuple[int, ...], ...] = 8

    def __post_init__(self) -> None:
        """Checks the fields."""
        self._set_whole("keep")
        if isinstance(self.library, (list, tuple)):
            self._check_library(self.library)
        else:
            self._set_whole("library")

    def _check_library(self, library: Sequence[Any]) -> None:
        try:
            shapes = tuple(tuple(operator.index(position) for position in shape) for shape in library)
        except TypeError:
            shapes = ()
        fits = all(len(shape) == self.keep and list(shape) == sorted({*shape}) and shape[0] >= 0 for shape in shapes)
        if not shapes or not fits or len({*shapes}) != len(shapes):
            raise PatternError(
                f"`library` of `KernelPatterns` must be a number or different lists of keep={self.keep} kernel "
                f"positions in rising order. Received: library={library!r}."
            )
        object.__setattr__(self, "library", shapes)

    def __str__(self) -> str:
        """Short text for tables."""
        return f"KernelPatterns keep {self.keep}, library of {self._library_size}"

    @property
    def _library_size(self) -> int:
        return self.library if isinstance(self.library, int) else len(self.library)

    def check(self, shape: MatrixShape) -> None:
        """Needs kernels of more than `keep` positions, and of all positions that the library names."""
        least = self.keep + 1
        if not isinstance(self.library, int):
            least = max(least, 1 + max(positions[-1] for positions in self.library))
        if not least <= shape.segments <= _MOST_POSITIONS:
            raise PatternError(
                f"{self!r} needs kernels of {least} to {_MOST_POSITIONS} positions. Received: kernels of "
                f"{shape.segments}. Choose another pattern for this layer, such as BlockPunched."
            )

    def cell_size(self, shape: MatrixShape) -> int:
        """Weights of a kept kernel: `keep`."""
        return self.keep

    def most_kept(self, shape: MatrixShape) -> int:
        """`keep` in every kernel."""
        return shape.rows * shape.cols * self.keep

    def fitted(self, scores: npt.NDArray[Any]) -> KernelPatterns:
        """The pattern with the library found from the scores.

        Args:
            scores: Non-negative scores of weights ``[rows, segments, cols]``.

        Returns:
            The pattern; itself if its library is given.
        """
        return replace(self, library=_vote(scores, self.keep, self.library)) if isinstance(self.library, int) else self

    def pool(self, scores: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """One score a kernel and shape, ``[rows, cols, shapes]``. Needs a known library; see `fitted`."""
        sums = [scores[:, positions, :].sum(axis=1) for positions in map(list, self._shapes())]
        return np.stack(sums, axis=2)

    def expand(self, kept: npt.NDArray[np.bool_], shape: MatrixShape) -> npt.NDArray[np.bool_]:
        """The positions of each kernel's shape. Needs a known library; see `fitted`."""
        mask = np.zeros((shape.rows, shape.segments, shape.cols), np.bool_)
        for index, positions in enumerate(self._shapes()):
            for position in positions:
                mask[:, position, :] |= kept[:, :, index]
        return mask

    def holds(self, mask: npt.NDArray[np.bool_]) -> bool:
        """Whether every kernel keeps nothing or a shape of the library; of an unknown one, few enough shapes."""
        kernels = mask.transpose(0, 2, 1).reshape(-1, mask.shape[1])
        found = {tuple(np.flatnonzero(kernel).tolist()) for kernel in np.unique(kernels, axis=0)} - {()}
        if not isinstance(self.library, int):
            return found <= {*self.library}
        return len(found) <= self.library and all(len(positions) == self.keep for positions in found)

    def index_bits(self, mask: npt.NDArray[np.bool_]) -> int:
        """A 16-bit input channel and a shape's number a kept kernel, a 32-bit end a filter, and the library."""
        kernels = int(np.count_nonzero(mask.any(axis=1)))
        library = self._library_size * int(mask.shape[1])
        return list_bits(kernels, mask.shape[0]) + kernels * choice_bits(self._library_size) + library

    def _shapes(self) -> tuple[tuple[int, ...], ...]:
        if isinstance(self.library, int):
            raise PatternError(
                f"The shapes of {self!r} are not known yet: they are found from weights. Call fitted(scores) first."
            )
        return self.library


def _vote(scores: npt.NDArray[Any], keep: int, size: int) -> tuple[tuple[int, ...], ...]:
    """The `size` shapes that kernels vote for with most score; of equal ones those with the earliest positions."""
    votes: dict[int, int] = {}
    for first in range(0, scores.shape[0], _VOTING_ROWS):
        kernels = scores[first : first + _VOTING_ROWS].transpose(0, 2, 1).reshape(-1, scores.shape[1])
        best = np.argsort(-kernels, axis=1, kind="stable")[:, :keep]
        codes = np.bitwise_or.reduce(np.left_shift(1, best), axis=1)
        kept = np.take_along_axis(kernels, best, axis=1).sum(axis=1)
        order = np.argsort(codes, kind="stable")
        starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
        sums = np.add.reduceat(kept[order], starts)
        for code, vote in zip(codes[order][starts].tolist(), sums.tolist(), strict=True):
            votes[code] = votes.get(code, 0) + vote
    chosen = sorted(votes, key=lambda code: (-votes[code], code))[:size]
    return tuple(tuple(each for each in range(scores.shape[1]) if code >> each & 1) for code in chosen)
