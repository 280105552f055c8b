# SPDX-License-Identifier: Apache-2.0
"""What pruning did to each layer, or why it left the layer alone."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from tfprune.sparsity.measure import Density, total_density
from tfprune.tables import html_table, text_table

_HEADINGS = ("layer", "variable", "shape", "pattern", "target", "achieved", "kept", "of", "status")


@dataclass(frozen=True)
class LayerReport:
    """One weight of one layer.

    Args:
        layer: Layer name.
        variable: Weight name.
        shape: Kernel shape.
        pattern: The pattern in words; None for skipped weights.
        target: Sparsity asked for so far, a fraction; None for skipped weights.
        achieved: Fraction of the weights that are zero now.
        kept: Weights that are not zero.
        total: Weights.
        status: ``"pruned"``, ``"dense"`` (is to be pruned, but keeps everything so far) or ``"skipped"``.
        reason: Why it is dense or skipped; of pruned weights, that nothing is left, or why the arrays of whole channels
            that go could not shrink. Else empty.
    """

    layer: str
    variable: str
    shape: tuple[int, ...]
    pattern: str | None
    target: float | None
    achieved: float
    kept: int
    total: int
    status: str
    reason: str = ""

    def cells(self) -> tuple[str, ...]:
        """The texts of a table row."""
        return (
            self.layer,
            self.variable,
            "x".join(map(str, self.shape)),
            self.pattern or "-",
            "-" if self.target is None else f"{self.target:.4f}",
            f"{self.achieved:.4f}",
            f"{self.kept}",
            f"{self.total}",
            f"{self.status}: {self.reason}" if self.reason else self.status,
        )


@dataclass(frozen=True)
class PruningReport:
    """What pruning did: a table a layer, as text (``str``), HTML in notebooks, or a dictionary.

    Args:
        layers: One entry a weight, pruned ones first.
        step: Training steps done so far.
        held: Why sparsity does not grow any more; empty if it does.
    """

    layers: tuple[LayerReport, ...]
    step: int
    held: str = ""

    @property
    def sparsity(self) -> float:
        """Fraction of zeros in all weights that are not skipped."""
        chosen = [layer for layer in self.layers if layer.status != "skipped"]
        return total_density(Density(layer.kept, layer.total) for layer in chosen).sparsity

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values.

        Returns:
            ``{"step", "sparsity", "held", "layers": [{"layer", "variable", "shape", "pattern", "target", "achieved",
            "kept", "total", "status", "reason"}, ...]}``.
        """
        layers = [{**dataclasses.asdict(layer), "shape": list(layer.shape)} for layer in self.layers]
        return {"step": self.step, "sparsity": self.sparsity, "held": self.held, "layers": layers}

    def _title(self) -> str:
        pruned = sum(layer.status == "pruned" for layer in self.layers)
        title = f"{pruned} of {len(self.layers)} weights pruned; sparsity {self.sparsity:.4f} after {self.step} steps"
        return f"{title}; held: {self.held}" if self.held else title

    def __str__(self) -> str:
        """A table of plain text."""
        table = text_table(_HEADINGS, [layer.cells() for layer in self.layers], numbers=False)
        return f"{self._title()}\n{table}"

    def _repr_html_(self) -> str:
        return html_table(_HEADINGS, [layer.cells() for layer in self.layers], self._title())
