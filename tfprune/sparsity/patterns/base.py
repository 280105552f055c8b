# SPDX-License-Identifier: Apache-2.0
"""What every pattern has: cells, counts, the least sparsity it reaches, and a configuration."""

from __future__ import annotations

import dataclasses
import math
import numbers
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, TypeVar

from tfprune.errors import PatternError
from tfprune.sparsity.layouts import MatrixShape, matrix_shape
from tfprune.sparsity.registry import Registry

P = TypeVar("P", bound="Pattern")

_REGISTRY: Registry[Pattern] = Registry("pattern", PatternError)
serialize = _REGISTRY.serialize
deserialize = _REGISTRY.deserialize


def register(cls: type[P]) -> type[P]:
    """Class decorator: makes a pattern known to `serialize` and `deserialize`.

    Args:
        cls: A frozen dataclass derived from `Pattern`.

    Returns:
        The class.
    """
    _REGISTRY.register(cls)
    return cls


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
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 <= float(value) < 1:
        hint = " Sparsity is a fraction: write 0.8 for 80 %." if isinstance(value, numbers.Real) else ""
        raise PatternError(f"`{name}` must be a number in [0, 1). Received: {name}={value!r}.{hint}")
    return float(value)


class Pattern(ABC):
    """A shape of sparsity; a frozen dataclass whose fields are its configuration."""

    @abstractmethod
    def cell_size(self, shape: MatrixShape) -> int:
        """Weights in one full cell of a matrix of this size."""

    @abstractmethod
    def most_kept(self, shape: MatrixShape) -> int:
        """The most weights that cells can cover in a matrix of this size."""

    def min_sparsity(self, shape: Sequence[int], layout: str | None = None) -> float:
        """Least sparsity above 0 that the pattern can reach: ``1 - most weights that cells can cover / weights``.

        Sparsity 0 itself is always possible: it keeps everything.

        Args:
            shape: Kernel shape, ``[in, out]`` or ``[kernel_h, kernel_w, in, out]``.
            layout: ``"dense"``, ``"conv2d"``, or None to go by rank.

        Returns:
            A fraction in [0, 1).

        Raises:
            PatternError: Not a kernel shape.

        Example:
            >>> from tfprune.sparsity.patterns import Groups
            >>> Groups(rows=4).min_sparsity([3, 10])   # 10 outputs: two groups of four fit into a line
            0.2
        """
        matrix = matrix_shape(shape, layout)
        return float(1 - Fraction(self.most_kept(matrix), matrix.size))

    def reaches(self, sparsity: float, shape: Sequence[int], layout: str | None = None) -> bool:
        """Whether the pattern can have this sparsity: it is 0, or not below `min_sparsity`.

        Args:
            sparsity: Fraction in [0, 1).
            shape: Kernel shape.
            layout: ``"dense"``, ``"conv2d"``, or None to go by rank.

        Returns:
            True or False.

        Raises:
            PatternError: Not a sparsity or not a kernel shape.
        """
        return check_sparsity(sparsity) == 0 or sparsity >= self.min_sparsity(shape, layout)

    def kept_cells(self, sparsity: float, shape: Sequence[int], layout: str | None = None) -> int:
        """Cells kept at a sparsity: ``round_half_up((1 - sparsity) * weights / cell size)``.

        The sparsity is read as the shortest decimal that means the same float, so 0.8 is exactly 8/10.

        Args:
            sparsity: Fraction in (0, 1); at 0 everything is kept and no cells are counted.
            shape: Kernel shape.
            layout: ``"dense"``, ``"conv2d"``, or None to go by rank.

        Returns:
            Number of cells, at least 0.

        Raises:
            PatternError: A sparsity outside (0, 1), or below what the pattern can reach on this shape.

        Example:
            >>> from tfprune.sparsity.patterns import Groups
            >>> Groups(rows=4).kept_cells(0.5, [3, 8])
            3
        """
        if check_sparsity(sparsity) == 0:
            raise PatternError("`sparsity` must be above 0 to count cells: at 0 every weight is kept.")
        if not self.reaches(sparsity, shape, layout):
            least = self.min_sparsity(shape, layout)
            raise PatternError(
                f"{self!r} cannot keep {1 - sparsity:.2%} of weights of shape {tuple(shape)}: its groups cover at most "
                f"{1 - least:.2%}. Received: sparsity={sparsity}. Use 0 (keep everything) or at least {least:.6g}."
            )
        matrix = matrix_shape(shape, layout)
        exact = (1 - Fraction(repr(float(sparsity)))) * matrix.size / self.cell_size(matrix)
        return math.floor(exact + Fraction(1, 2))

    def get_config(self) -> dict[str, Any]:
        """Arguments that rebuild the pattern.

        Returns:
            A dictionary of plain values: ``type(p)(**p.get_config()) == p``.
        """
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}  # type: ignore[arg-type]

    @classmethod
    def from_config(cls: type[P], config: Mapping[str, Any]) -> P:
        """Undoes `get_config`.

        Args:
            config: Arguments of the class.

        Returns:
            The pattern.

        Raises:
            PatternError: An argument is missing, unknown or wrong.
        """
        try:
            return cls(**config)
        except TypeError as error:
            raise PatternError(f"The config of `{cls.__name__}` must fit: {error}. Received: {config!r}.") from error
