# SPDX-License-Identifier: Apache-2.0
"""What the reports of pruning share, while training and at once: a row a kernel, and what they sum up to."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

from tfprune.sparsity.measure import Density, total_density
from tfprune.tables import html_table, text_table


class Row(Protocol):
    """A dataclass of one kernel."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the kernel."""

    @property
    def kept(self) -> int:
        """Weights that are not zero."""

    @property
    def total(self) -> int:
        """Weights."""

    @property
    def status(self) -> str:
        """``"skipped"``, or what was done."""

    def cells(self) -> tuple[str, ...]:
        """The texts of a table row."""


class LayerTable(ABC):
    """A report with a row for each kernel: text (``str``), HTML in notebooks, or plain values."""

    headings: ClassVar[tuple[str, ...]]
    layers: Sequence[Row]

    @property
    @abstractmethod
    def title(self) -> str:
        """One line on the whole."""

    @property
    def sparsity(self) -> float:
        """Fraction of zeros in all kernels that are not skipped; 0 where all are."""
        chosen = [Density(row.kept, row.total) for row in self.layers if row.status != "skipped"]
        return total_density(chosen).sparsity

    def _plain_rows(self) -> list[dict[str, Any]]:
        """Rows as dictionaries of what JSON knows."""
        return [{**dataclasses.asdict(row), "shape": list(row.shape)} for row in self.layers]

    def _cells(self) -> list[tuple[str, ...]]:
        return [row.cells() for row in self.layers]

    def __str__(self) -> str:
        """A table of plain text."""
        return f"{self.title}\n{text_table(self.headings, self._cells(), numbers=False)}"

    def _repr_html_(self) -> str:
        return html_table(self.headings, self._cells(), self.title)
