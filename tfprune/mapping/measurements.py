# SPDX-License-Identifier: Apache-2.0
"""Checks of measured times that a report is to show beside the predicted ones."""

from __future__ import annotations

import math
import numbers
from collections.abc import Container, Mapping
from typing import Any

from tfprune.errors import MappingError


def checked_times(times: Any, layers: Container[str]) -> dict[str, float]:
    """Times by layer.

    Args:
        times: what is given; None: none.
        layers: the names that there are.

    Raises:
        MappingError: no dictionary, another layer, or something else than a finite number of at least 0.
    """
    if times is None:
        return {}
    if not isinstance(times, Mapping):
        raise MappingError(f"layer_times: must be a dictionary of times by layer, got {type(times).__name__}")
    unknown = sorted(str(name) for name in times if name not in layers)
    if unknown:
        raise MappingError(f"layer_times: must be times of layers of the mapping, got {', '.join(unknown)}")
    for name, time in times.items():
        number = isinstance(time, numbers.Real) and not isinstance(time, bool)
        if not number or not math.isfinite(time) or time < 0:
            raise MappingError(f"layer_times: of {name} must be a finite number of at least 0, got {time!r}")
    return {name: float(time) for name, time in times.items()}


def check_measured(measured: Any) -> None:
    """Refuses what is no measurement of a whole model.

    Raises:
        MappingError: neither None nor a :class:`~tfprune.mapping.measured.MeasuredLatency`.
    """
    # Loads LiteRT, which a mapping without measurements has no use for.
    from tfprune.mapping.measured import MeasuredLatency

    if measured is not None and not isinstance(measured, MeasuredLatency):
        raise MappingError(
            f"measured: must be what tfprune.mapping.measured.measure returns, got {type(measured).__name__}"
        )
