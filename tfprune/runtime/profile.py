# SPDX-License-Identifier: Apache-2.0
"""The report of a profile: the time of every operator of a model."""

from __future__ import annotations

import dataclasses
from typing import Any

from tfprune.tables import html_table, text_table

IN_MODEL, ALONE = "in the model", "alone"
IN_PLACE, REPACKED = "in place", "repacked"
HEADERS = ("node", "op", "layer", "kernel", "chain", "us", "share", "timed", "weights")
TEXT_COLUMNS = (2, 1, 3, 7, 8)  # the names of layers may be cut short


@dataclasses.dataclass(frozen=True)
class OpTiming:
    """Time of one operator.

    Attributes:
        node: its place among the operators of its subgraph.
        op: the op's name, e.g. ``"TfpruneConv2D"`` or ``"ADD"``.
        layer: name of its output tensor.
        kernel: what ran: a kernel of the delegate, ``"LiteRT"``, or ``"in node 7"`` where a neighbour in a chain does
            its work.
        chain: number of its chain, counted from 1 in the order of the file; None outside chains.
        microseconds: time of one inference; None where the op cannot run alone.
        share: of the sum over all operators; None where there is no time.
        timed: ``"in the model"`` or ``"alone"``: cut into a file of its own, with warm caches.
        weights_in_place: bytes of weights that the delegate reads where they lie in the file; 0 with LiteRT, which
            does not tell.
        weights_repacked: bytes of weights that the delegate copied, widened or reordered when the model was loaded.
        offset_bytes: bytes of addresses that it made from the columns of the weights.
    """

    node: int
    op: str
    layer: str
    kernel: str
    chain: int | None
    microseconds: float | None
    share: float | None
    timed: str
    weights_in_place: int = 0
    weights_repacked: int = 0
    offset_bytes: int = 0


@dataclasses.dataclass(frozen=True)
class ModelProfile:
    """Times of all operators of one model.

    Attributes:
        name: the model's file name.
        num_threads: CPU threads.
        milliseconds: median time of one inference of the whole model, with the clocks of the profile running.
        ops: one entry an operator, in the order of the file.
        copies: microseconds of copying the inputs and outputs of chains, one entry a chain.
    """

    name: str
    num_threads: int
    milliseconds: float
    ops: tuple[OpTiming, ...]
    copies: tuple[float, ...]

    def __str__(self) -> str:
        """The table and the caption, in plain text."""
        return f"{text_table(HEADERS, self.rows(), numbers=False)}\n{self.caption()}"

    def _repr_html_(self) -> str:
        return html_table(HEADERS, self.rows(), self.caption())

    def rows(self) -> list[list[str]]:
        """The table's cells as text, a row for each operator, and one for the copies of each chain."""
        rows = [_row(op) for op in self.ops]
        total = self.total()
        for chain, copy in enumerate(self.copies, 1):
            share = copy / total if total else None
            rows.append(["-", "-", "inputs and outputs", "copy", str(chain), *_numbers(copy, share), IN_MODEL, "-"])
        return rows

    def total(self) -> float:
        """Microseconds of all operators and copies."""
        return sum(op.microseconds or 0.0 for op in self.ops) + sum(self.copies)

    def caption(self) -> str:
        """What the numbers are."""
        in_place = sum(op.weights_in_place for op in self.ops)
        repacked = sum(op.weights_repacked for op in self.ops)
        offsets = sum(op.offset_bytes for op in self.ops)
        threads = "1 thread" if self.num_threads == 1 else f"{self.num_threads} threads"
        return (
            f"{self.name}: {self.milliseconds * 1e3:.0f} us an inference, {self.total():.0f} us in the rows above; "
            f"{threads}; "
            "an op timed alone meets warm caches, and LiteRT may run it together with its neighbours in the model; "
            f"weights of the delegate: {_kilobytes(in_place)} read in place, {_kilobytes(repacked)} repacked, "
            f"{_kilobytes(offsets)} of offsets"
        )

    def to_dict(self) -> dict[str, Any]:
        """Returns the profile as plain data for JSON."""
        return dataclasses.asdict(self)


def _row(op: OpTiming) -> list[str]:
    chain = "-" if op.chain is None else str(op.chain)
    numbers = _numbers(op.microseconds, op.share)
    return [str(op.node), op.op, op.layer, op.kernel, chain, *numbers, op.timed, _weights(op)]


def _weights(op: OpTiming) -> str:
    parts = [(op.weights_in_place, IN_PLACE), (op.weights_repacked, REPACKED)]
    return ", ".join(f"{_kilobytes(size)} {how}" for size, how in parts if size) or "-"


def _kilobytes(size: int) -> str:
    return f"{size / 1e3:.1f} kB"


def _numbers(microseconds: float | None, share: float | None) -> tuple[str, str]:
    time = "-" if microseconds is None else f"{microseconds:.1f}"
    return time, "-" if share is None else f"{share:.1%}"
