# SPDX-License-Identifier: Apache-2.0
"""What the converter did, or would do, with each layer."""

from __future__ import annotations

import dataclasses
from typing import Any

from tfprune.tables import html_table, text_table

_HEADERS = ("layer", "#", "op", "shape", "zeros", "pattern", "verdict", "kB", "packed kB", "speed-up")
_NAME_WIDTH = 40


@dataclasses.dataclass(frozen=True)
class LayerReport:
    """The verdict on one operator.

    Attributes:
        subgraph: number of its subgraph.
        index: its place among the subgraph's operators.
        name: name of its output.
        op: name of the operator in the input.
        shape: shape of its weights, output channels first.
        sparsity: share of zeros in [0, 1], or None where the weights were not looked at.
        pattern: what the zeros look like, or None.
        verdict: ``"sparse"`` (rewritten), ``"dense"`` (left as it is) or ``"restored"`` (made dense again).
        encoding: encoding and group size, or None.
        dense_bytes: bytes of the dense weights.
        packed_bytes: bytes of the packed weights with what the operator takes more in the file, or None.
        predicted_speedup: predicted dense time divided by sparse time, or None.
        break_even: predicted sparsity in [0, 1] from which the encoding reaches ``min_speedup``, or None.
        reason_code: short name of the reason why it stays dense, or None.
        reason: the reason with numbers, or None.
    """

    subgraph: int
    index: int
    name: str
    op: str
    shape: tuple[int, ...]
    sparsity: float | None
    pattern: str | None
    verdict: str
    encoding: str | None
    dense_bytes: int
    packed_bytes: int | None
    predicted_speedup: float | None
    break_even: float | None
    reason_code: str | None
    reason: str | None

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain data."""
        return {**dataclasses.asdict(self), "shape": list(self.shape)}


@dataclasses.dataclass(frozen=True)
class ConversionReport:
    """One entry per operator with weights, and totals.

    Attributes:
        action: ``"convert"`` or ``"inspect"``.
        layers: the verdicts in file order.
        table: name of the cost table behind the predictions.
        table_unit: what its numbers count.
        min_speedup: predicted speed-up below which a layer stays dense.
        input_bytes: size of the dense or input file.
        output_bytes: size of the result; for an inspection None.
        note: what applies to the whole model, or None.
    """

    action: str
    layers: tuple[LayerReport, ...]
    table: str
    table_unit: str
    min_speedup: float
    input_bytes: int
    output_bytes: int | None
    note: str | None = None

    @property
    def converted_layers(self) -> int:
        """Layers with the verdict ``"sparse"``."""
        return sum(layer.verdict == "sparse" for layer in self.layers)

    def outcome(self, noun: str = "layers") -> str:
        """How many layers became sparse, or would; those of a file that was converted before are so already."""
        if self.action != "inspect":
            return f"{self.converted_layers} of {len(self.layers)} {noun} became sparse"
        # An op of ours has no prediction; a layer that is to become one always has.
        before = sum(layer.verdict == "sparse" and layer.predicted_speedup is None for layer in self.layers)
        text = f"{self.converted_layers - before} of {len(self.layers) - before} {noun} would become sparse"
        return f"{text}, {before} are sparse already" if before else text

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data."""
        return {
            "action": self.action,
            "table": self.table,
            "table_unit": self.table_unit,
            "min_speedup": self.min_speedup,
            "input_bytes": self.input_bytes,
            "output_bytes": self.output_bytes,
            "converted_layers": self.converted_layers,
            "note": self.note,
            "layers": [layer.to_dict() for layer in self.layers],
        }

    def __str__(self) -> str:
        """A plain table, the reasons below it and one line of totals."""
        if not self.layers:
            return self._totals()
        return "\n".join([text_table(_HEADERS, self._rows()), *self._reasons(), self._totals()])

    def _repr_html_(self) -> str:
        """The same for notebooks."""
        rows = [[*row, layer.reason or ""] for row, layer in zip(self._rows(), self.layers, strict=True)]
        return html_table((*_HEADERS, "reason"), rows, self._totals())

    def _rows(self) -> list[list[str]]:
        return [
            [
                layer.name if len(layer.name) <= _NAME_WIDTH else "…" + layer.name[1 - _NAME_WIDTH :],
                f"{layer.subgraph}:{layer.index}" if layer.subgraph else str(layer.index),
                layer.op,
                "x".join(map(str, layer.shape)),
                "-" if layer.sparsity is None else f"{layer.sparsity:.1%}",
                layer.pattern or "-",
                layer.encoding if layer.encoding and layer.verdict == "sparse" else layer.verdict,
                f"{layer.dense_bytes / 1000:.1f}",
                "-" if layer.packed_bytes is None else f"{layer.packed_bytes / 1000:.1f}",
                "-" if layer.predicted_speedup is None else f"{layer.predicted_speedup:.2f}x",
            ]
            for layer in self.layers
        ]

    def _reasons(self) -> list[str]:
        return [f"  {layer.index} stays dense: {layer.reason}" for layer in self.layers if layer.reason]

    def _totals(self) -> str:
        total = self.outcome("layers with weights")
        if self.output_bytes is not None:
            share = self.output_bytes / self.input_bytes
            total += f"; {self.input_bytes / 1e6:.3f} MB -> {self.output_bytes / 1e6:.3f} MB ({share:.0%})"
        total += f"; predictions by table {self.table!r} ({self.table_unit}), min_speedup {self.min_speedup:g}"
        return total if self.note is None else f"{total}\n{self.note}"
