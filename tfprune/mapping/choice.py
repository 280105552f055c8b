# SPDX-License-Identifier: Apache-2.0
"""What a layer may become: a pattern at a sparsity, or dense."""

from __future__ import annotations

import dataclasses

from tfprune.errors import PatternError
from tfprune.sparsity.patterns import Pattern
from tfprune.sparsity.patterns.base import check_pattern, check_sparsity


@dataclasses.dataclass(frozen=True)
class Choice:
    """What becomes of a layer.

    Args:
        pattern: the shape of its zeros; None: it stays dense.
        sparsity: fraction of its weights that are zero, in [0, 1). A pattern at 0 removes nothing: that is dense, too.

    Raises:
        PatternError: not a pattern, a sparsity outside [0, 1), or a dense layer with a sparsity.

    Example:
        >>> from tfprune.sparsity.patterns import Groups
        >>> str(Choice(Groups(rows=4), 0.8)), str(DENSE)
        ('Groups 4x1, unaligned along output, 80 %', 'dense')
    """

    pattern: Pattern | None = None
    sparsity: float = 0.0

    def __post_init__(self) -> None:
        """Checks the fields."""
        if self.pattern is not None:
            check_pattern(self.pattern)
        object.__setattr__(self, "sparsity", check_sparsity(self.sparsity))
        if self.pattern is None and self.sparsity:
            raise PatternError(f"a layer without a pattern has no zeros. Received: sparsity={self.sparsity}.")
        if not self.sparsity:
            object.__setattr__(self, "pattern", None)

    @property
    def dense(self) -> bool:
        """Whether the layer stays dense."""
        return self.pattern is None

    def __str__(self) -> str:
        """For tables."""
        return "dense" if self.pattern is None else f"{self.pattern}, {self.sparsity:.0%}"


#: A layer that stays as it is.
DENSE = Choice()
