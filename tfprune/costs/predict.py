# SPDX-License-Identifier: Apache-2.0
"""The one predictor: time of a layer from a cost table, linear in counts of work."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tfprune.costs.table import BYTE_STEPS, WEIGHT_BYTES, CostTable, KindCosts, StockCosts, steps_of
from tfprune.errors import NotModelledError

_FEW_PIXELS = 16
_QUAD = 4  # int8 inputs that are one operand
_TILE_PART = 8  # positions go one by one up to this part of a tile
# Of a single position, int8 kernels collect the inputs of single columns by windows of so many columns where these hold
# so many groups on average: tflite_ops/kernels/conv2d_int8/pixel.cc.
_WINDOW_COLUMNS = 64
_FEWEST_IN_WINDOW = 3
_BY_WINDOWS = ("int8", "dynamic")


@dataclasses.dataclass(frozen=True)
class StockOp:
    """Sizes of a stock op.

    Attributes:
        name: one of :data:`tfprune.costs.table.STOCK_OPS`.
        macs: its multiply-adds in one run; 0 where it only moves values.
        values: its output values.
    """

    name: str
    macs: int
    values: int


@dataclasses.dataclass(frozen=True)
class LayerShape:
    """Sizes of a layer, as the sparse op sees them: an expanded matrix where ``dense_op`` is another operator.

    Attributes:
        fully_connected: whether it is a fully-connected layer.
        out_channels: rows of the weight matrix.
        columns: columns of the weight matrix.
        kernel_size: kernel positions, ``kernel_h * kernel_w``.
        pixels: output positions of one run, batch included (fully connected: the batch).
        input_values: values of the input tensor.
        precision: one of :data:`tfprune.costs.table.PRECISIONS`; ``"dynamic"`` is int8 weights and float32 activations.
        dense_op: the dense operator where it is no ordinary convolution or fully-connected layer.
        layout_ops: stock ops that the sparse layer, or a smaller dense one, needs round it and the dense one does not.
        dense_precision: of the dense layer, where tables know it under another one.
    """

    fully_connected: bool
    out_channels: int
    columns: int
    kernel_size: int
    pixels: int
    input_values: int
    precision: str = "float32"
    dense_op: StockOp | None = None
    layout_ops: tuple[StockOp, ...] = ()
    dense_precision: str | None = None

    @property
    def kind(self) -> str:
        """The kind whose coefficients apply: a 1x1 convolution of few pixels runs as a fully-connected layer does."""
        if self.fully_connected or (self.kernel_size == 1 and self.pixels < _FEW_PIXELS):
            return "fully_connected_single" if self.pixels == 1 else "fully_connected_batch"
        return "conv_1x1" if self.kernel_size == 1 else "conv_kxk"

    @property
    def macs(self) -> int:
        """Multiply-adds of the whole matrix."""
        return self.out_channels * self.columns * self.pixels

    @property
    def dense_macs(self) -> int:
        """Multiply-adds of the dense operator."""
        return self.macs if self.dense_op is None else self.dense_op.macs


@dataclasses.dataclass(frozen=True)
class PackedShape:
    """Sizes of packed weights.

    Attributes:
        encoding: ``"row_band"``, ``"sliding_row"``, ``"block_rows"`` or ``"block_columns"``.
        rows: group rows; of blocks the mean number of rows that a loaded column is used for.
        cols: group columns.
        lines: bands or start rows, or blocks.
        groups: groups stored; of blocks how often a column is loaded.
        used_columns: columns that hold any non-zero weight.
        visits: rows of all blocks; 0 for other encodings.
        filling: group columns of zeros that fill up the lines of int8 weights to whole operands.
    """

    encoding: str
    rows: float
    cols: int
    lines: int
    groups: int
    used_columns: int
    visits: int = 0
    filling: int = 0


def predict_dense(table: CostTable, layer: LayerShape) -> float:
    """Time of the dense layer in the table's unit.

    ``dense_layer + dense_mac * multiply-adds + dense_value * output values + dense_far * bytes of weights that the
    cache does not hold``; of another operator `dense_op` the time of that.

    Raises:
        NotModelledError: the table was not fitted on the precision or the operator.
    """
    if layer.dense_precision is not None:
        layer = dataclasses.replace(layer, precision=layer.dense_precision, dense_precision=None)
    if layer.dense_op is not None:
        return predict_stock(table, layer.precision, layer.dense_op)
    costs = kind_costs(table, layer)
    moved = costs.dense_value * layer.out_channels * layer.pixels + costs.dense_far * far_bytes(
        table.cache_bytes, layer
    )
    return costs.dense_layer + costs.dense_mac * layer.macs + moved


def far_bytes(cache_bytes: int | None, layer: LayerShape) -> int:
    """Bytes of dense weights beyond those that a cache of the size holds; 0 for None."""
    if cache_bytes is None:
        return 0
    return max(0, layer.out_channels * layer.columns * WEIGHT_BYTES[layer.precision] - cache_bytes)


def predict_stock(table: CostTable, precision: str, op: StockOp) -> float:
    """Time of a stock op: ``layer + mac * multiply-adds + value * output values``, in the table's unit.

    Raises:
        NotModelledError: the table was not fitted on the precision or the operator.
    """
    return stock_time(table.stock_op(precision, op.name), op)


def predict_layout(table: CostTable, layer: LayerShape) -> float:
    """Time of the stock ops round the layer, in the table's unit.

    Raises:
        NotModelledError: the table was not fitted on one of them.
    """
    return sum(predict_stock(table, layer.precision, op) for op in layer.layout_ops)


def stock_time(costs: StockCosts, op: StockOp) -> float:
    """Time of a stock op from its coefficients."""
    return costs.layer + costs.mac * op.macs + costs.value * op.values


def kind_costs(table: CostTable, layer: LayerShape) -> KindCosts:
    """The coefficients of the layer's precision and kind.

    Raises:
        NotModelledError: the table was not fitted on the precision.
    """
    return table.costs(layer.precision).kinds[layer.kind]


def predict_sparse(table: CostTable, layer: LayerShape, packed: PackedShape) -> float:
    """Time of the sparse layer in the table's unit.

    The sum of: once per layer; bringing the input into planar form; per used column, line, group column, visited row
    and what collecting inputs for a single position takes, for each output position; storing the outputs; the stock ops
    round it.

    Args:
        table: coefficients of the device.
        layer: sizes of the layer.
        packed: sizes of its packed weights. The ``step`` of rows that the table lacks lies on the straight line between
            its neighbours; above the most rows of the table it grows with the rows, below the fewest it is theirs.

    Raises:
        NotModelledError: the table was not fitted on the precision, the encoding in it or a stock op.
    """
    return _predict(table, layer, packed, sparse_work(table.costs(layer.precision).tile, layer, packed))


def _predict(table: CostTable, layer: LayerShape, packed: PackedShape, work: SparseWork) -> float:
    costs = table.costs(layer.precision).kinds[work.kind]
    if work.step not in costs.step:
        raise NotModelledError(f"the cost table {table.name} was not fitted on {work.step} in {layer.precision}")
    per_position = (
        costs.column_value * packed.used_columns
        + (costs.line + costs.line_row * packed.rows) * packed.lines
        + _step(costs.step[work.step], packed.rows) * work.columns
        + costs.visit.get(packed.encoding, 0.0) * packed.visits
        + costs.window * work.windows
        + costs.collected * work.collected
    )
    moved = sum(predict_moves(costs, layer))
    return costs.sparse_layer + moved + per_position * work.positions + predict_layout(table, layer)


def predict_moves(costs: KindCosts, layer: LayerShape) -> tuple[float, float]:
    """Time of bringing the layer's input into planar form, and of bringing its output back.

    Args:
        costs: coefficients of the layer, as :func:`kind_costs` finds them.
        layer: sizes of the layer.
    """
    return costs.input_value * layer.input_values, costs.output_value * layer.out_channels * layer.pixels


def predict_in_chain(table: CostTable, layer: LayerShape, alone: float) -> float:
    """Time of a sparse layer's multiplications in a chain, where it moves nothing and is no delegate kernel of its own.

    Args:
        table: coefficients of the device.
        layer: sizes of the layer.
        alone: what :func:`predict_sparse` says of it.
    """
    costs = kind_costs(table, layer)
    return alone - sum(predict_moves(costs, layer)) - costs.sparse_layer


class SparseWork(NamedTuple):
    """How a sparse layer is computed.

    Attributes:
        kind: whose coefficients apply; few positions are computed one by one, as a single one is.
        step: name of the steps of its groups.
        positions: output positions computed, whole tiles.
        columns: group columns multiplied at each position.
        windows: windows of columns of all lines whose inputs are collected at each position.
        collected: group columns whose inputs are collected one by one at each position.
    """

    kind: str
    step: str
    positions: int
    columns: int
    windows: int = 0
    collected: int = 0


def sparse_work(tile: Mapping[str, int], layer: LayerShape, packed: PackedShape) -> SparseWork:
    """How the sparse layer is computed; `tile` is that of :class:`tfprune.costs.table.PrecisionCosts`."""
    step, kind, columns = _step_name(layer, packed), layer.kind, packed.groups * packed.cols
    if kind == "fully_connected_batch" and layer.pixels * _TILE_PART <= tile["row_band"]:
        kind = "fully_connected_single"
    if kind == "fully_connected_single":
        return SparseWork(kind, step, layer.pixels, columns, *_collecting(layer, packed, step))
    whole = 1 if kind == "conv_kxk" else tile.get(step, 1)
    return SparseWork(kind, step, -(-layer.pixels // whole) * whole, columns + packed.filling)


def _collecting(layer: LayerShape, packed: PackedShape, step: str) -> tuple[int, int]:
    """Windows, and group columns one by one; groups of four int8 columns have steps of their own that know it."""
    if layer.precision not in _BY_WINDOWS or step.endswith("_quads"):
        return 0, 0
    windows = packed.lines * -(-layer.columns // _WINDOW_COLUMNS)
    if packed.cols == 1 and packed.groups >= windows * _FEWEST_IN_WINDOW:
        return windows, 0
    return 0, packed.groups * packed.cols


def predict_break_even(
    table: CostTable, layer: LayerShape, packed: PackedShape, sparsity: float, min_speedup: float = 1.0
) -> float | None:
    """The sparsity from which the layer is predicted to be worth it, in [0, 1], or None where no sparsity is.

    Groups are thought away or added until ``predict_dense / predict_sparse`` is ``min_speedup``; lines, used columns,
    visited rows and windows stay as they are, which makes the answer a little too high where fewer groups need fewer of
    them.

    Args:
        table: coefficients of the device.
        layer: sizes of the layer.
        packed: sizes of its packed weights at ``sparsity``; at least one group.
        sparsity: share of zeros in [0, 1) that ``packed`` was counted at.
        min_speedup: wanted dense time divided by sparse time, above 0.
    """
    tile, empty = table.costs(layer.precision).tile, dataclasses.replace(packed, groups=0)
    work = sparse_work(tile, layer, packed)
    fixed = _predict(table, layer, empty, sparse_work(tile, layer, empty)._replace(windows=work.windows))
    groups = _predict(table, layer, packed, work) - fixed
    room = predict_dense(table, layer) / min_speedup - fixed
    return None if room <= 0 else max(0.0, 1 - (1 - sparsity) * room / groups)


def _step_name(layer: LayerShape, packed: PackedShape) -> str:
    """Which steps of the table the groups take: those of operands where int8 kernels read four inputs at once."""
    in_channels = layer.columns // layer.kernel_size
    aligned = packed.encoding == "row_band" or (packed.encoding == "sliding_row" and in_channels % _QUAD == 0)
    quads = aligned and packed.cols % _QUAD == 0 and packed.cols <= in_channels
    return f"{packed.encoding}_quads" if quads and steps_of(layer.precision) is BYTE_STEPS else packed.encoding


def step_parts(known: Iterable[int], rows: float) -> dict[int, float]:
    """How much of the cost of each known number of rows makes that of ``rows``; see `predict_sparse`."""
    sizes = sorted(known)
    fewer = max((size for size in sizes if size <= rows), default=sizes[0])
    more = min((size for size in sizes if size >= rows), default=fewer)
    if fewer >= more:
        return {fewer: max(1.0, rows / fewer)}
    part = (rows - fewer) / (more - fewer)
    return {fewer: 1 - part, more: part}


def _step(steps: dict[int, float], rows: float) -> float:
    return sum(part * steps[size] for size, part in step_parts(steps, rows).items())
