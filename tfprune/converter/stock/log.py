# SPDX-License-Identifier: Apache-2.0
"""What the passes say about layers while they work."""

from __future__ import annotations

import dataclasses
from typing import Any

from tfprune.converter.capability import Refused


@dataclasses.dataclass(frozen=True)
class Considered:
    """An encoding that was priced, whether or not it was written.

    Attributes:
        encoding: its name.
        stored: weights that it stores.
        macs: multiply-adds of a run.
        time: predicted.
        most_stored: how many weights it may store to be fast enough.
    """

    encoding: str
    stored: int
    macs: int
    time: float
    most_stored: int


class Log:
    """For each operator what became of it and, by pass, why a pass left it as it is.

    Operators are told apart by identity: passes change them in place and never replace one that has weights.
    """

    def __init__(self) -> None:
        """Begins empty."""
        self._reasons: dict[int, dict[str, Refused]] = {}
        self._considered: dict[int, Considered] = {}
        self.changes = 0

    def changed(self, op: Any, by: str) -> None:
        """Says that a pass changed an operator; what it said against that before holds no longer."""
        self.changes += 1
        self._reasons.get(id(op), {}).pop(by, None)

    def refused(self, op: Any, by: str, code: str, text: str) -> None:
        """Says why a pass leaves an operator as it is."""
        self._reasons.setdefault(id(op), {})[by] = Refused(code, text)

    def considered(self, op: Any, encoding: Considered) -> None:
        """Says what an encoding of an operator would bring."""
        self._considered[id(op)] = encoding

    def encoding(self, op: Any) -> Considered | None:
        """The encoding that was priced for an operator."""
        return self._considered.get(id(op))

    def reasons(self, op: Any) -> list[Refused]:
        """The reasons of all passes, in the order in which they were first given."""
        return list(self._reasons.get(id(op), {}).values())
