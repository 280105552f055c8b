# SPDX-License-Identifier: Apache-2.0
"""What every pattern has: cells, counts, the least sparsity it reaches, and a configuration."""

from __future__ import annotations

import math
import numbers
from abc import ABC, abstractmethod
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, ClassVar, TypeVar

import numpy as np
import numpy.typing as npt

from tfprune.errors import PatternError, TfpruneError
from tfprune.sparsity.configured import Configured, as_float
from tfprune.sparsity.layouts import LayoutLike, MatrixShape, matrix_shape
from tfprune.sparsity.registry import Registry

P = TypeVar("P", bound="Pattern")

# A rate of a pattern's own, such as 5/9, may be written with six decimals.
_OWN_TOLERANCE = 1e-6

_REGISTRY: Registry[Pattern] = Registry("pattern", PatternError)
serialize = _REGISTRY.serialize
deserialize = _REGISTRY.deserialize
find = _REGISTRY.find
register = _REGISTRY.register


def check_sparsity(value: object, name: str = "sparsity") -> float:
    """Checks a sparsity, the fraction of weights that are zero.

    Args:
        value: Number in [0, 1).
        name: Its name in the message.

    Returns:
        The value as a float.

    Raises:
        PatternError: Not a number, or outside [0, 1).
    """
    number = as_float(value)
    if not 0 <= number < 1:
        hint = " Sparsity is a fraction: write 0.8 for 80 %." if isinstance(value, numbers.Real) else ""
        raise PatternError(f"`{name}` must be a number in [0, 1). Received: {name}={value!r}.{hint}")
    return number


def check_pattern(value: object) -> Pattern:
    """Checks that something is a pattern.

    Args:
        value: What a caller passed as one.

    Returns:
        The pattern.

    Raises:
        PatternError: It is none.
    """
    if not isinstance(value, Pattern):
        raise PatternError(f"`pattern` must be a pattern, such as `Groups(rows=4)`. Received: pattern={value!r}.")
    return value


def exact_fraction(value: float) -> Fraction:
    """A float as the shortest decimal that means the same float: 0.8 is 8/10."""
    return Fraction(repr(float(value)))


def round_half_up(value: Fraction) -> int:
    """The nearest whole number; halves go up."""
    return math.floor(value + Fraction(1, 2))


def kept_during(sparsity: float, keep: int, of: int) -> int:
    """Of `of` cells those that a sparsity keeps, while a schedule is on its way to the last `keep`.

    Args:
        sparsity: Fraction in [0, 1).
        keep: Cells that stay in the end.
        of: All cells.

    Returns:
        ``max(keep, round_half_up((1 - sparsity) * of))``.

    Raises:
        PatternError: Not a sparsity.
    """
    return max(keep, round_half_up((1 - exact_fraction(check_sparsity(sparsity))) * of))


class Pattern(Configured, ABC):
    """A shape of sparsity; a frozen dataclass whose fields are its configuration.

    A pattern divides a weight matrix ``[rows, segments, cols]`` into *cells*, the smallest things it keeps or removes.
    `pool` turns scores of weights into scores of cells, `expand` turns kept cells into a mask of weights. `select`
    ranks cells, so a pattern of one's own needs no more than the abstract methods below and `register`.
    """

    error: ClassVar[type[TfpruneError]] = PatternError
    #: TFLite counts the entries of an axis in 32 bits.
    most: ClassVar[int | None] = 2**31 - 1
    #: Cells are single weights: their scores are compared as they are, not rounded to integers first.
    single_weights: ClassVar[bool] = False

    @abstractmethod
    def cell_size(self, shape: MatrixShape) -> int:
        """Weights in one full cell of a matrix of this size."""

    @abstractmethod
    def pool(self, scores: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Scores of all cells: the sums of the scores of their weights.

        Args:
            scores: Non-negative scores of weights ``[rows, segments, cols]``.

        Returns:
            Scores of cells, in a shape of the pattern's own; -1 where there is no cell.
        """

    @abstractmethod
    def expand(self, kept: npt.NDArray[np.bool_], shape: MatrixShape) -> npt.NDArray[np.bool_]:
        """Mask of the weights in kept cells.

        Args:
            kept: Mask of cells, in the shape that `pool` returns.
            shape: Matrix size.

        Returns:
            Mask ``[rows, segments, cols]``, True stays.
        """

    @abstractmethod
    def index_bits(self, mask: npt.NDArray[np.bool_]) -> int:
        """Bits that say which cells a mask keeps, in a plain form of the pattern; packed files take less.

        Args:
            mask: Mask of this pattern, ``[rows, segments, cols]``.

        Returns:
            Number of bits; the values themselves are not counted.
        """

    def holds(self, mask: npt.NDArray[np.bool_]) -> bool:
        """Whether a mask consists of whole cells, and of `kept_per_unit` in each unit where that is fixed.

        Args:
            mask: Mask of a matrix that the pattern applies to, ``[rows, segments, cols]``.

        Returns:
            True or False. A mask that keeps everything, as any pattern has at sparsity 0, need not hold.
        """
        shape = MatrixShape(*mask.shape)
        sizes, kept = self.pool(np.ones(mask.shape, np.int64)), self.pool(mask.astype(np.int64))
        real = sizes > 0
        whole = real & (kept == sizes)
        if self.kept_per_unit is not None:
            wanted = np.minimum(self.kept_per_unit, real.sum(axis=-1))
            if not np.array_equal(whole.sum(axis=-1), wanted):
                return False
        return np.array_equal(self.expand(whole, shape), mask)

    def most_kept(self, shape: MatrixShape) -> int:
        """The most weights that cells can cover in a matrix of this size. By default all."""
        return shape.size

    def check(self, shape: MatrixShape) -> None:
        """Refuses matrices that the pattern cannot apply to. By default none.

        Raises:
            PatternError: The pattern has no cells in a matrix of this size.
        """

    def own_sparsity(self, shape: MatrixShape) -> float | None:
        """The only sparsity besides 0 that a pattern with a rate of its own has. By default None: any."""
        return None

    @property
    def kept_per_unit(self) -> int | None:
        """Cells that stay along the last axis of what `pool` returns, in each unit the same. By default None: any."""
        return None

    @property
    def extent(self) -> tuple[int, int]:
        """Neighbouring output and input channels that a cell joins. By default ``(1, 1)``: their order is no matter."""
        return 1, 1

    def fitted(self, scores: npt.NDArray[Any]) -> Pattern:
        """The pattern with everything filled in that it finds from the weights. By default itself.

        Args:
            scores: Non-negative scores of weights ``[rows, segments, cols]``.
        """
        return self

    def during(self, sparsity: float, shape: Sequence[int], layout: LayoutLike = None) -> Pattern | None:
        """What stands in for the pattern while a schedule is on its way to the final sparsity.

        A pattern with a rate of its own removes its cells one after the other: it comes back with more kept cells.

        Args:
            sparsity: Sparsity asked for now, in [0, 1).
            shape: Kernel shape.
            layout: Name of a layout, a `Layout`, or None to go by rank.

        Returns:
            The pattern to select with now; None where everything still stays.

        Raises:
            PatternError: Not a sparsity or not a kernel shape.
        """
        return self if sparsity > 0 and self.reaches(sparsity, shape, layout) else None

    def min_sparsity(self, shape: Sequence[int], layout: LayoutLike = None) -> float:
        """Least sparsity above 0 that can be asked for: ``1 - most weights that cells can cover / weights``.

        Sparsity 0 itself is always possible: it keeps everything. Cells are counted whole (see `kept_cells`), so with
        sizes that do not divide the weight the share of zeros can lie above what is asked for, here too.

        Args:
            shape: Kernel shape, such as ``[in, out]`` or ``[kernel_h, kernel_w, in, out]``.
            layout: Name of a layout, a `Layout`, or None to go by rank.

        Returns:
            A fraction in [0, 1).

        Raises:
            PatternError: Not a kernel shape, or one that the pattern cannot apply to.

        Example:
            >>> from tfprune.sparsity.patterns import Groups
            >>> Groups(rows=4).min_sparsity([3, 10])   # 10 outputs: two groups of four fit into a line
            0.2
        """
        matrix = matrix_shape(shape, layout)
        self.check(matrix)
        own = self.own_sparsity(matrix)
        return float(1 - Fraction(self.most_kept(matrix), matrix.size)) if own is None else own

    def reaches(self, sparsity: float, shape: Sequence[int], layout: LayoutLike = None) -> bool:
        """Whether the pattern can have this sparsity.

        It can have 0, its own if it fixes one (to 6 decimals), else any not below `min_sparsity`.

        Args:
            sparsity: Fraction in [0, 1).
            shape: Kernel shape.
            layout: Name of a layout, a `Layout`, or None to go by rank.

        Returns:
            True or False.

        Raises:
            PatternError: Not a sparsity or not a kernel shape, or one that the pattern cannot apply to.
        """
        if check_sparsity(sparsity) == 0:
            return True
        matrix = matrix_shape(shape, layout)
        self.check(matrix)
        own = self.own_sparsity(matrix)
        return sparsity >= self.min_sparsity(shape, layout) if own is None else abs(sparsity - own) < _OWN_TOLERANCE

    def resolve_sparsity(self, sparsity: float | None, shape: Sequence[int], layout: LayoutLike = None) -> float:
        """The sparsity to select with: the one asked for, or the pattern's own where None is asked for.

        Args:
            sparsity: Fraction in [0, 1), or None.
            shape: Kernel shape.
            layout: Name of a layout, a `Layout`, or None to go by rank.

        Returns:
            A sparsity that the pattern reaches on this shape.

        Raises:
            PatternError: None for a pattern without a rate of its own, or a sparsity it cannot have on this shape.
        """
        matrix = matrix_shape(shape, layout)
        self.check(matrix)
        own = self.own_sparsity(matrix)
        if sparsity is None:
            if own is None:
                raise PatternError(f"`sparsity` is needed: {self!r} has no rate of its own. Received: sparsity=None.")
            return own
        if not self.reaches(sparsity, shape, layout):
            if own is not None:
                raise PatternError(
                    f"{self!r} fixes the sparsity of weights of shape {tuple(shape)} at {own:.6g}. Received: "
                    f"sparsity={sparsity}. Use None, or that value."
                )
            least = self.min_sparsity(shape, layout)
            raise PatternError(
                f"{self!r} cannot keep {1 - sparsity:.2%} of weights of shape {tuple(shape)}: its cells cover at most "
                f"{1 - least:.2%}. Received: sparsity={sparsity}. Use 0 (keep everything) or at least {least:.6g}."
            )
        return sparsity if own is None or sparsity == 0 else own

    def kept_cells(self, sparsity: float, shape: Sequence[int], layout: LayoutLike = None) -> int:
        """Cells kept at a sparsity: ``round_half_up((1 - sparsity) * weights / cell size)``.

        The sparsity is read as the shortest decimal that means the same float, so 0.8 is exactly 8/10. A shorter last
        cell, where the pattern's sizes do not divide the weight, counts as a whole one. So more weights can go than the
        sparsity says, and many more where such cells are many: ``BlockPunched(8, 4)`` on a 3 x 3 kernel of 5 inputs and
        12 outputs removes 29 % of the weights at sparsity 0.1. Sizes that divide the weight do not have this.

        Args:
            sparsity: Fraction in (0, 1); at 0 everything is kept and no cells are counted.
            shape: Kernel shape.
            layout: Name of a layout, a `Layout`, or None to go by rank.

        Returns:
            Number of cells, at least 0.

        Raises:
            PatternError: A sparsity outside (0, 1), or one that the pattern cannot have on this shape.

        Example:
            >>> from tfprune.sparsity.patterns import Groups
            >>> Groups(rows=4).kept_cells(0.5, [3, 8])
            3
        """
        if check_sparsity(sparsity) == 0:
            raise PatternError("`sparsity` must be above 0 to count cells: at 0 every weight is kept.")
        self.resolve_sparsity(sparsity, shape, layout)
        return self.count_cells(sparsity, matrix_shape(shape, layout))

    def count_cells(self, sparsity: float, shape: MatrixShape) -> int:
        """`kept_cells` of a matrix, unchecked.

        Args:
            sparsity: Fraction in (0, 1) that the pattern reaches.
            shape: Matrix size.

        Returns:
            Number of cells.
        """
        return round_half_up((1 - exact_fraction(sparsity)) * shape.size / self.cell_size(shape))
