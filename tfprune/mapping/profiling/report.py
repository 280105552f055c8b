# SPDX-License-Identifier: Apache-2.0
"""What a profile says of itself."""

from __future__ import annotations

import dataclasses
from typing import Any

from tfprune.costs.facts import HeldOut
from tfprune.costs.table import CostTable
from tfprune.tables import html_table, text_table

HEADERS = ("measured", "samples", "median error", "90 % within")
TEXT_COLUMNS = (0,)


@dataclasses.dataclass(frozen=True)
class Part:
    """One line of the report.

    Attributes:
        name: a kind of layer or a stock op.
        samples: how many were measured.
        errors: of predictions on those that the fit did not see; None where there were too few.
    """

    name: str
    samples: int
    errors: HeldOut | None


@dataclasses.dataclass(frozen=True)
class ProfileReport:
    """What :func:`tfprune.mapping.profiling.profile` measured.

    Attributes:
        table: what predicts.
        content: the same as JSON has it.
        precision: that was measured.
        parts: what was measured, with errors on what the fit did not see: of layers of the predicted speed-up, of stock
            ops of the predicted time.
        lacking: what the profile says nothing about.
        notes: what to know of the numbers.
        seconds: that it took.
        reused: measurements that an earlier run had left.
        output: the file that was written, or None.
    """

    table: CostTable
    content: dict[str, Any]
    precision: str
    parts: tuple[Part, ...]
    lacking: tuple[str, ...]
    notes: tuple[str, ...]
    seconds: float
    reused: int
    output: str | None = None

    def __str__(self) -> str:
        """The table and what it does not cover, in plain text."""
        return f"{text_table(HEADERS, self.rows())}\n{self.caption()}"

    def _repr_html_(self) -> str:
        return html_table(HEADERS, self.rows(), self.caption())

    def rows(self) -> list[list[str]]:
        """The table's cells as text."""
        return [
            [
                part.name,
                str(part.samples),
                f"{part.errors.median:.0%}" if part.errors else "-",
                f"{part.errors.within_90:.0%}" if part.errors else "-",
            ]
            for part in self.parts
        ]

    def caption(self) -> str:
        """What was measured, how far predictions are off, and what is not covered."""
        costs = self.table.precisions[self.precision]
        layers = costs.held_out["layers"]
        found = [
            f"{costs.source}, in {self.seconds:.0f} s" + (f", {self.reused} of them earlier" if self.reused else ""),
            f"error of the predicted speed-up on {layers.count} held-out layers: {layers}",
        ]
        if self.lacking:
            found.append(f"not covered: {', '.join(self.lacking)}")
        found.extend(self.notes)
        if self.output is not None:
            found.append(f"written to {self.output}")
        return "\n".join(found)

    def to_dict(self) -> dict[str, Any]:
        """Returns the report as plain data for JSON; the table is in its file."""
        return {
            "name": self.table.name,
            "unit": self.table.unit,
            "precision": self.precision,
            "device": dataclasses.asdict(self.table.device),
            "held_out": {
                name: dataclasses.asdict(errors)
                for name, errors in self.table.precisions[self.precision].held_out.items()
            },
            "parts": [dataclasses.asdict(part) for part in self.parts],
            "lacking": list(self.lacking),
            "notes": list(self.notes),
            "seconds": self.seconds,
            "reused": self.reused,
            "output": self.output,
        }
