# SPDX-License-Identifier: Apache-2.0
"""What a mapping must keep to: a latency, a size or a number of multiply-adds."""

from __future__ import annotations

import dataclasses
import math
import numbers
from typing import Any

from tfprune.errors import MappingError

#: What is limited: milliseconds of a device, share of the dense model's predicted latency, bytes of the layers' kernels
#: as they are stored, share of the dense layers' multiply-adds.
BUDGETS = ("latency_ms", "latency_ratio", "size_bytes", "mac_ratio")
#: From here on a share is read as a multiple.
_MANY = 10
_RATIOS = ("latency_ratio", "mac_ratio")


@dataclasses.dataclass(frozen=True)
class Budget:
    """An upper limit.

    Args:
        kind: one of :data:`BUDGETS`.
        limit: above 0; of a ratio at most 1.

    Raises:
        MappingError: another kind, or a limit outside its range.
    """

    kind: str
    limit: float

    def __post_init__(self) -> None:
        """Checks the fields."""
        if self.kind not in BUDGETS:
            raise MappingError(f"budget must be one of {', '.join(BUDGETS)}, got {self.kind!r}")
        number = isinstance(self.limit, numbers.Real) and not isinstance(self.limit, bool)
        if not number or not math.isfinite(self.limit) or self.limit <= 0:
            raise MappingError(f"{self.kind} must be a finite number above 0, got {self.limit!r}")
        if self.kind in _RATIOS and self.limit > 1:
            raise MappingError(f"{self.kind} must be a share of the dense model in (0, 1], got {self.limit!r}")

        # Numbers of numpy and others end here: reports are plain JSON.
        plain = int(self.limit) if isinstance(self.limit, numbers.Integral) else float(self.limit)
        object.__setattr__(self, "limit", plain)

    @classmethod
    def of(cls, **limits: Any) -> Budget:
        """The one budget that is given.

        Args:
            **limits: by kind; None: not given.

        Raises:
            MappingError: none or several are given, or one is wrong.
        """
        given = {kind: limit for kind, limit in limits.items() if limit is not None}
        if len(given) != 1:
            raise MappingError(f"give exactly one of {', '.join(limits)}; got {', '.join(given) or 'none'}")
        return cls(*next(iter(given.items())))


def used_text(share: float) -> str:
    """How much of a budget is used, in words.

    Args:
        share: of the budget.

    Example:
        >>> used_text(0.987), used_text(1.2), used_text(3.5264e8)
        ('98.7% of it used', '120.0% of it used', '3.5e+08 times the budget used')
    """
    return f"{share:.1%} of it used" if share < _MANY else f"{share:.2g} times the budget used"
