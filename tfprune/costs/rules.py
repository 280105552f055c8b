# SPDX-License-Identifier: Apache-2.0
"""Rules that numbers, texts and objects of a cost table keep."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

from tfprune.errors import ConversionError


def refuse(where: str, rule: str, got: Any) -> NoReturn:
    """Says which rule a table breaks."""
    raise ConversionError(f"cost table {where}: {rule}, got {got!r}")


def text(value: Any, where: str, path: str) -> None:
    """A text that says something."""
    if not isinstance(value, str) or not value:
        refuse(where, f"{path} must be a text", value)


def only_keys(data: Any, expected: set[str], where: str, path: str) -> None:
    """An object with these keys and no others."""
    if not isinstance(data, dict):
        raise ConversionError(f"cost table {where}: {path} must be an object, got {type(data).__name__}")
    if set(data) != expected:
        missing, unknown = sorted(expected - set(data)), sorted(set(data) - expected)
        raise ConversionError(
            f"cost table {where}: {path} must have exactly the keys {sorted(expected)}; missing {missing}, "
            f"unknown {unknown}"
        )


def number(value: Any, where: str, path: str) -> float:
    """A cost or an error."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # Python's whole numbers have no end, and JSON's neither.
    if not is_number or not 0 <= value <= sys.float_info.max:
        refuse(where, f"{path} must be a finite number of at least 0", value)
    return float(value)
