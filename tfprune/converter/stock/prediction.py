# SPDX-License-Identifier: Apache-2.0
"""Predicted times of stock operators: those that the delegate's verdicts compare with, and what stands in front."""

from __future__ import annotations

import dataclasses
from typing import Any

from tfprune.converter.analysis import study_layer
from tfprune.converter.capability import WEIGHTS_INPUT, Layer, LstmLayer, Refused, examine
from tfprune.converter.capability.layer import product
from tfprune.converter.plan import OPEN_IMAGE
from tfprune.converter.stock.editor import Editor
from tfprune.costs import CostTable, LayerShape, StockOp, predict_dense, predict_layout, predict_stock
from tfprune.errors import NotModelledError

#: Operators that lay the image out for a smaller kernel.
MOVES = ("PAD", "SLICE")


@dataclasses.dataclass(frozen=True)
class Predictor:
    """Predicts times, and says what must gain.

    Attributes:
        table: coefficients of the device.
        min_speedup: what a rewrite that may lose must be predicted to gain: one that moves an image, or the sparse
            encoding. Below 1 they are done unpredicted, too.
    """

    table: CostTable
    min_speedup: float

    def time(self, editor: Editor, op: Any) -> float:
        """Time of an operator as it is, and of each PAD and SLICE in front that nothing else reads.

        A size that the file leaves open counts as 1.

        Raises:
            Refused: no time can be predicted.
        """
        try:
            return sum(self._product(editor, op, shape) * runs for shape, runs in _products(editor, op))
        except NotModelledError as error:
            raise Refused("not_modelled", str(error)) from None

    def pattern(self, editor: Editor, op: Any) -> str | None:
        """What the zeros of an operator look like, as the delegate's reports name it; None where they do not."""
        found = examine(editor.graph, editor.number, 0, op)
        if not isinstance(found, Layer):
            return None
        try:
            known = study_layer(editor.graph, found, 0, self.table, self.min_speedup)
        except NotModelledError:
            return None
        return None if isinstance(known, Refused) else known.pattern

    def _product(self, editor: Editor, op: Any, shape: LayerShape) -> float:
        moves = dataclasses.replace(shape, layout_ops=tuple(moves_before(editor, op)))
        tensor = editor.tensor(int(op.inputs[WEIGHTS_INPUT]))
        if tensor.sparsity is None:
            return predict_dense(self.table, shape) + predict_layout(self.table, moves)
        stored = editor.graph.raw(tensor)
        return self.encoded(shape, 0 if stored is None else len(stored) // 4)

    def encoded(self, shape: LayerShape, stored: int) -> float:
        """Time of a fully-connected layer with so many weights in TFLite's sparse encoding.

        Raises:
            NotModelledError: the table was not fitted on it.
        """
        op = StockOp(f"sparse_{shape.kind}", stored * shape.pixels, shape.out_channels * shape.pixels)
        return predict_stock(self.table, shape.precision, op)

    def most_stored(self, shape: LayerShape) -> int:
        """How many weights may be stored so that the sparse encoding gains ``min_speedup``; 0 where none may.

        Raises:
            NotModelledError: the table was not fitted on it.
        """
        empty, one = self.encoded(shape, 0), self.encoded(shape, 1)
        room = predict_dense(self.table, shape) / self.min_speedup - empty
        return max(0, int(room / (one - empty))) if one > empty else shape.out_channels * shape.columns


def layer_shape(editor: Editor, op: Any, open_image: bool = False) -> LayerShape:
    """Sizes of an operator with one weight matrix.

    Args:
        editor: the subgraph.
        op: the operator.
        open_image: whether the file may leave the size of the image open, which then counts as 1.

    Raises:
        Refused: the predictor does not know its form.
    """
    ((shape, _),) = _products(editor, op, open_image)
    return shape


def moves_before(editor: Editor, op: Any) -> list[StockOp]:
    """Each PAD and SLICE right in front of an operator whose result only it reads."""
    found = []
    index = editor.input(op, 0)
    while index is not None and index not in editor.fixed and len(editor.readers(index)) == 1:
        writer = editor.writer(index)
        if writer is None or editor.name(writer) not in MOVES:
            break
        found.append(StockOp(editor.name(writer).lower(), 0, product(editor.shape(index))))
        index = editor.input(writer, 0)
    return found


def _products(editor: Editor, op: Any, open_image: bool = False) -> list[tuple[LayerShape, int]]:
    """The matrix products of an operator, each with how often it is computed in one run."""
    # The place among the operators is for reports only.
    found = examine(editor.graph, editor.number, 0, op)
    if isinstance(found, LstmLayer):
        return [(matrix.cost_shape, matrix.runs) for matrix in found.matrices]
    if found is None or isinstance(found, Refused):
        text = "" if found is None else f": {found.text}"
        raise Refused("not_modelled", f"the predictor does not know this form of {editor.name(op)}{text}")
    if found.image is None and not open_image:
        raise Refused("not_modelled", OPEN_IMAGE)
    return [(found.cost_shape, 1)]
