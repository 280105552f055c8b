# SPDX-License-Identifier: Apache-2.0
"""An operator with weights, and what is to become of it."""

from __future__ import annotations

import dataclasses
from typing import Any

from tfprune.converter.capability import GateMatrix, Layer, LstmLayer, Refused
from tfprune.converter.plan import Plan, Study
from tfprune.converter.report import LayerReport


@dataclasses.dataclass
class Finding:
    """An operator with weights, and what is to become of it.

    Attributes:
        subgraph: number of its subgraph.
        index: its place among the subgraph's operators.
        name: name of its output.
        op: name of the operator.
        shape: shape of its weights.
        dense_bytes: bytes of its weights.
        layer: the layer, where a sparse kernel could run it.
        known: what is known of its zeros.
        outcome: the encoding it gets, or why it stays as it is.
        precision: of its dense weights, as in :class:`LayerReport`.
        zeros: share of zeros where ``known`` is None.
        lstm: the layer, where it is an LSTM. It has a finding for each of its two matrices,
        gates: of which this is the one.
        buffers: numbers of the buffers that hold its weights.
    """

    subgraph: int
    index: int
    name: str
    op: str
    shape: tuple[int, ...]
    dense_bytes: int
    layer: Layer | None
    known: Study | None
    outcome: Plan | Refused
    precision: str | None = None
    zeros: float | None = None
    lstm: LstmLayer | None = None
    gates: GateMatrix | None = None
    buffers: tuple[int, ...] = ()

    def report(self) -> LayerReport:
        """The finding as a line of a report."""
        plan = self.outcome if isinstance(self.outcome, Plan) else None
        refused = self.outcome if isinstance(self.outcome, Refused) else None
        predicted = None if self.known is None or self.known.not_modelled else plan
        return LayerReport(
            subgraph=self.subgraph,
            index=self.index,
            name=self.name,
            op=self.op,
            shape=self.shape,
            sparsity=self.zeros if self.known is None else self.known.sparsity,
            pattern=None if self.known is None else self.known.pattern,
            verdict="dense" if plan is None else "sparse",
            encoding=None if plan is None else plan.encoding_name,
            dense_bytes=self.dense_bytes,
            packed_bytes=None if plan is None else plan.packed_bytes,
            predicted_speedup=None if predicted is None else predicted.speedup,
            break_even=None if predicted is None else predicted.break_even,
            reason_code=None if refused is None else refused.code,
            reason=None if refused is None else refused.text,
            precision="float16" if plan is not None and self._halved else self.precision,
            buffers=self.buffers,
            dense_time=None if self.known is None else self.known.dense_time,
            **self._considered(plan),
        )

    @property
    def prunable(self) -> Layer | None:
        """What would be packed: the layer, or an LSTM's matrix; None where no sparse kernel could run it."""
        return self.layer or self.gates

    @property
    def _halved(self) -> bool:
        return self.prunable is not None and self.prunable.halve

    def _considered(self, plan: Plan | None) -> dict[str, Any]:
        """Multiply-adds, and what the encoding brings or, where the layer stays dense, the fastest one would."""
        layer = self.prunable
        if layer is None:
            return {}
        runs = 1 if self.gates is None else self.gates.runs
        macs = {"dense_macs": layer.cost_shape.dense_macs * runs}
        if plan is None and self.known is not None and self.known.candidates:
            plan = min(self.known.candidates, key=lambda candidate: candidate.sparse_time)
        if plan is None:
            return macs
        modelled = self.known is not None and not self.known.not_modelled
        sparse = {"considered": plan.encoding_name, "fill": plan.fill}
        sparse["sparse_time"] = plan.sparse_time if modelled else None
        return {**macs, **sparse, "sparse_macs": plan.values * layer.cost_shape.pixels * runs}
