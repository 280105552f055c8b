# SPDX-License-Identifier: Apache-2.0
"""Measurements in a file, so that a killed run goes on; those of another device or library are left alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tfprune.errors import ProfileError
from tfprune.files import write_file

#: Goes up where the same name of a measurement comes to mean something else.
_VERSION = 1


#: Times by their names, by name of the measurement.
Rows = dict[str, dict[str, float]]


class Measurements:
    """Rows by name, each a few times, and what they depend on.

    Args:
        path: the file; None: nothing is kept.
        conditions: what the times depend on; plain JSON.

    Attributes:
        rows: times by name of the measurement.

    Raises:
        ProfileError: the file is not one of measurements, or they were made under other conditions; both are named.
    """

    def __init__(self, path: Path | None, conditions: dict[str, Any]) -> None:
        self.path = path
        self.conditions = {"version": _VERSION, **conditions}
        self.rows: Rows = {}
        if path is None or not path.exists():
            return
        try:
            content = json.loads(path.read_text("utf-8"))
            found = {
                str(name): {key: float(time) for key, time in row.items()} for name, row in content["rows"].items()
            }
            there = dict(content["conditions"])
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise ProfileError(
                f"`{path}` must hold measurements, which it does not: {error}; remove it or choose another output"
            ) from error
        # They say nothing of this device or library, and may have taken hours.
        if found and there != self.conditions:
            raise ProfileError(
                f"`{path}`: holds {len(found)} measurements made with "
                f"{_difference(there, self.conditions)}; choose another output, or remove the file to measure anew"
            )
        self.rows = found

    def write(self) -> None:
        """Writes the whole file or, where that fails, nothing."""
        if self.path is not None:
            content = json.dumps({"conditions": self.conditions, "rows": self.rows}, indent=1) + "\n"
            write_file(self.path, content.encode(), overwrite=True)

    def remove(self) -> None:
        """Removes the file, once what was measured is in a table."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def _difference(there: dict[str, Any], here: dict[str, Any]) -> str:
    """What differs, on both sides."""
    old, new = _flat(there), _flat(here)
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return "; ".join(f"{name} {old.get(name)} and not {new.get(name)}" for name in names)


def _flat(conditions: dict[str, Any]) -> dict[str, Any]:
    """The conditions with those of the device beside the others."""
    found: dict[str, Any] = {}
    for name, value in conditions.items():
        found |= value if isinstance(value, dict) else {name: value}
    return found
