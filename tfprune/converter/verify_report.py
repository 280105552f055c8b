# SPDX-License-Identifier: Apache-2.0
"""What :func:`tfprune.verify` found."""

from __future__ import annotations

import dataclasses
from typing import Any

from tfprune.tables import html_table, short_name, shortened, text_table

HEADERS = ("output", "signature", "largest", "max error", "mean error", "rel error", "verdict")
LAYER_HEADERS = ("#", "layer", "op", "max error", "mean error", "rel error", "verdict")
#: Columns of the layers' table that hold text, the one that may be cut short first.
LAYER_TEXT_COLUMNS = (1, 2)


@dataclasses.dataclass(frozen=True)
class OutputCheck:
    """One output, compared over all examples.

    Attributes:
        name: the output's name.
        signature: the signature it belongs to, ``""`` in a file without signatures.
        largest: largest finite magnitude of the dense model's output.
        spread: largest minus smallest value of the dense model's output; infinite for a single value.
        max_abs_error: largest ``|sparse - dense|``.
        mean_abs_error: mean ``|sparse - dense|``.
        max_rel_error: ``max_abs_error / largest``; 0 where both models agree exactly.
        passed: ``max_rel_error <= rtol``; for whole numbers and booleans: no difference at all. Values
            that are not finite must be equal, NaN to NaN.
        values: how many values the output has, over all examples.
        compared: how many of them are finite in both models; only those have an error.
    """

    name: str
    signature: str
    largest: float
    spread: float
    max_abs_error: float
    mean_abs_error: float
    max_rel_error: float
    passed: bool
    values: int
    compared: int

    def error_cells(self) -> list[str]:
        """Errors and verdict as cells of a table; no errors where there was nothing to compare."""
        if self.passed and not self.compared:
            return ["-", "-", "-", "equal"]
        errors = (self.max_abs_error, self.mean_abs_error, self.max_rel_error)
        return [*(f"{error:.2e}" for error in errors), "equal" if self.passed else "DIFFERENT"]


@dataclasses.dataclass(frozen=True)
class LayerCheck(OutputCheck):
    """One tensor that an operator writes.

    Attributes:
        index: the operator's place in the dense file's subgraph of the signature.
        op: name of the operator in the dense file.
        sparse_op: name of the operator that writes the tensor in the sparse file.
    """

    index: int
    op: str
    sparse_op: str

    def __str__(self) -> str:
        """What the layer is called in a sentence."""
        ops = self.op if self.op == self.sparse_op else f"{self.op}, sparse {self.sparse_op}"
        where = f" of signature `{self.signature}`" if self.signature else ""
        return f"`{self.name}` (operator {self.index}{where}: {ops})"


@dataclasses.dataclass(frozen=True)
class VerifyReport:
    """What :func:`verify` found. True in a condition when every output and every layer passed.

    Attributes:
        dense: name of the dense model.
        sparse: name of the sparse model.
        rtol: largest relative error that passes.
        outputs: one entry an output of each signature.
        batch_sizes: sizes of the batches that were run.
        examples: examples that were run, over all batches of one signature.
        seed: seed of the random inputs, None where inputs were given.
        notes: what weakens the result, e.g. an output that is zero throughout.
        backend: what ran the sparse model.
        layers: one entry a tensor that an operator writes, in the order of the dense file; empty unless asked for.
        unmatched: names of tensors of the dense model that the sparse one does not have, or has in another shape.
    """

    dense: str
    sparse: str
    rtol: float
    outputs: tuple[OutputCheck, ...]
    batch_sizes: tuple[int, ...]
    examples: int
    seed: int | None
    notes: tuple[str, ...]
    backend: str = "cpu"
    layers: tuple[LayerCheck, ...] = ()
    unmatched: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every output and every layer that was compared passed."""
        return all(check.passed for check in (*self.outputs, *self.layers))

    @property
    def first_difference(self) -> LayerCheck | None:
        """The first layer that differs; None where none does or layers were not compared."""
        return next((layer for layer in self.layers if not layer.passed), None)

    def __bool__(self) -> bool:
        """Whether every output and layer passed."""
        return self.ok

    def __str__(self) -> str:
        """The tables, the verdict and the notes, in plain text."""
        layers = [text_table(LAYER_HEADERS, self.layer_rows()), ""] if self.layers else []
        return "\n".join([*layers, text_table(HEADERS, self.rows()), *self.remarks()])

    def _repr_html_(self) -> str:
        table = html_table(HEADERS, self.rows(), " ".join(self.remarks()))
        return table + (html_table(LAYER_HEADERS, self.layer_rows()) if self.layers else "")

    def rows(self) -> list[list[str]]:
        """The cells of the outputs' table."""
        return [
            [
                output.name,
                output.signature or "-",
                f"{output.largest:.4g}" if output.compared else "-",
                *output.error_cells(),
            ]
            for output in self.outputs
        ]

    def layer_rows(self) -> list[list[str]]:
        """The cells of the layers' table."""
        return [
            [str(layer.index), short_name(layer.name), layer.sparse_op, *layer.error_cells()] for layer in self.layers
        ]

    def remarks(self) -> list[str]:
        """The verdict, the first layer that differs, and the notes, a line each."""
        lines = [self.summary()]
        first = self.first_difference
        if first is not None:
            error = f"max error {first.max_abs_error:.2e}, relative {first.max_rel_error:.2e}"
            lines.append(f"The first layer that differs is {first}: {error}.")
        if self.unmatched:
            names = shortened([short_name(name) for name in self.unmatched])
            lines.append(
                f"{len(self.unmatched)} of the dense model's tensors are not in the sparse one in the same shape, and "
                f"were not compared: {names}."
            )
        return [*lines, *self.notes]

    def summary(self) -> str:
        """One line: the verdict, how many examples, and the rule."""
        verdict = "equal" if self.ok else "DIFFERENT"
        data = "given inputs" if self.seed is None else f"random inputs (seed {self.seed})"
        batches = ", ".join(str(size) for size in self.batch_sizes)
        layers = f", {len(self.layers)} layers compared" if self.layers else ""
        return (
            f"{self.sparse} is {verdict} to {self.dense} within {self.rtol:g} relative, on {self.examples} examples of "
            f"{data}, batch {batches}{layers}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Returns the report as plain data for JSON, with ``ok`` and the name of the first layer that differs."""
        first = self.first_difference
        return {"ok": self.ok, "first_difference": None if first is None else first.name, **dataclasses.asdict(self)}
