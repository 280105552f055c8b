# SPDX-License-Identifier: Apache-2.0
"""What one-shot pruning did to each layer, or why it left the layer alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tfprune.sparsity.layer_table import LayerTable
from tfprune.tables import short_name


@dataclass(frozen=True)
class LayerReport:
    """One kernel of one layer.

    Args:
        layer: Layer name; of a file the name of the operator's output.
        kernel: Kernel name.
        shape: Its shape in the model.
        pattern: The pattern in words; None for skipped ones.
        target: Sparsity asked for, a fraction; None for skipped ones.
        achieved: Fraction of the weights that are zero now.
        kept: Weights that are not zero.
        total: Weights.
        error_before: Squared error of the layer's outputs on the calibration data as a share of their mean square in
            the dense model, for plain magnitude behind the same pruned layers; None without data.
        error_after: The same of what was written.
        status: ``"reconstructed"``, ``"pruned"`` (by magnitude alone) or ``"skipped"``.
        reason: Why it was skipped or not reconstructed, and what else there is to say. Else empty.
    """

    layer: str
    kernel: str
    shape: tuple[int, ...]
    pattern: str | None
    target: float | None
    achieved: float
    kept: int
    total: int
    error_before: float | None
    error_after: float | None
    status: str
    reason: str = ""

    def cells(self) -> tuple[str, ...]:
        """The texts of a table row."""
        return (
            short_name(self.layer),
            self.kernel,
            "x".join(map(str, self.shape)),
            self.pattern or "-",
            "-" if self.target is None else f"{self.target:.4f}",
            f"{self.achieved:.4f}",
            "-" if self.error_before is None else f"{self.error_before:.4f}",
            "-" if self.error_after is None else f"{self.error_after:.4f}",
            f"{self.status}: {self.reason}" if self.reason else self.status,
        )


@dataclass(frozen=True)
class PruneReport(LayerTable):
    """What one-shot pruning did: a table a layer, as text (``str``), HTML in notebooks, or a dictionary.

    Args:
        layers: One entry a kernel, pruned ones first, in the order in which they run.
        examples: Examples of the calibration data; 0 without.
        recalibrated: BatchNormalization layers with new moving statistics.
        notes: What else there is to say.
    """

    headings = ("layer", "kernel", "shape", "pattern", "target", "achieved", "error before", "after", "status")

    layers: tuple[LayerReport, ...]
    examples: int = 0
    recalibrated: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values.

        Returns:
            ``{"sparsity", "examples", "recalibrated", "notes", "layers": [{"layer", "kernel", "shape", "pattern",
            "target", "achieved", "kept", "total", "error_before", "error_after", "status", "reason"}, ...]}``.
        """
        return {
            "sparsity": self.sparsity,
            "examples": self.examples,
            "recalibrated": list(self.recalibrated),
            "notes": list(self.notes),
            "layers": self._plain_rows(),
        }

    @property
    def title(self) -> str:
        """One line on the whole."""
        pruned = sum(layer.status != "skipped" for layer in self.layers)
        data = f"with {self.examples} examples" if self.examples else "by magnitude, without data"
        lines = [f"{pruned} of {len(self.layers)} kernels pruned {data}; sparsity {self.sparsity:.4f}"]
        if self.recalibrated:
            lines.append(f"new statistics for {len(self.recalibrated)} BatchNormalization layer(s)")
        return "; ".join([*lines, *self.notes])
