# SPDX-License-Identifier: Apache-2.0
"""Checks of arguments that several functions of the runtime take."""

from __future__ import annotations

import numbers
from typing import Any

from tfprune.errors import RuntimeInputError


def positive_whole_number(name: str, value: Any) -> int:
    """Returns a whole number from 1, of Python's or numpy's types, as ``int``.

    Args:
        name: what the message calls it.
        value: what was received.

    Raises:
        RuntimeInputError: anything else, booleans included.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
        raise RuntimeInputError(f"{name}: must be a whole number from 1, got {value!r}")
    return int(value)
