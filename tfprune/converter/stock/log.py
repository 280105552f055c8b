# SPDX-License-Identifier: Apache-2.0
"""What the passes say about layers while they work."""

from __future__ import annotations

from typing import Any

from tfprune.converter.capability import Refused


class Log:
    """For each operator what became of it and, by pass, why a pass left it as it is.

    Operators are told apart by identity: passes change them in place and never replace one that has weights.
    """

    def __init__(self) -> None:
        """Begins empty."""
        self._reasons: dict[int, dict[str, Refused]] = {}
        self.changes = 0

    def changed(self, op: Any, by: str) -> None:
        """Says that a pass changed an operator; what it said against that before holds no longer."""
        self.changes += 1
        self._reasons.get(id(op), {}).pop(by, None)

    def refused(self, op: Any, by: str, code: str, text: str) -> None:
        """Says why a pass leaves an operator as it is."""
        self._reasons.setdefault(id(op), {})[by] = Refused(code, text)

    def reasons(self, op: Any) -> list[Refused]:
        """The reasons of all passes, in the order in which they were first given."""
        return list(self._reasons.get(id(op), {}).values())
