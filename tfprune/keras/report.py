# SPDX-License-Identifier: Apache-2.0
"""What pruning did to each layer, or why it left the layer alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tfprune.sparsity.layer_table import LayerTable


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
class PruningReport(LayerTable):
    """What pruning did: a table a layer, as text (``str``), HTML in notebooks, or a dictionary.

    Args:
        layers: One entry a weight, pruned ones first.
        step: Training steps done so far.
        held: Why sparsity does not grow any more; empty if it does.
    """

    headings = ("layer", "variable", "shape", "pattern", "target", "achieved", "kept", "of", "status")

    layers: tuple[LayerReport, ...]
    step: int
    held: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values.

        Returns:
            ``{"step", "sparsity", "held", "layers": [{"layer", "variable", "shape", "pattern", "target", "achieved",
            "kept", "total", "status", "reason"}, ...]}``.
        """
        return {"step": self.step, "sparsity": self.sparsity, "held": self.held, "layers": self._plain_rows()}

    @property
    def title(self) -> str:
        """One line on the whole."""
        pruned = sum(layer.status == "pruned" for layer in self.layers)
        title = f"{pruned} of {len(self.layers)} weights pruned; sparsity {self.sparsity:.4f} after {self.step} steps"
        return f"{title}; held: {self.held}" if self.held else title
