# SPDX-License-Identifier: Apache-2.0
"""The verdict on an op of ours that is already in the file, from its packed weights."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from typing import Any

import numpy as np

from tfprune.converter.analysis import packed_operators
from tfprune.converter.capability import LSTM_CODE, WEIGHTS_INPUT, layer_name
from tfprune.converter.expand.surround import SPARSE_OUTPUT
from tfprune.converter.graph import Graph
from tfprune.converter.report import LayerReport
from tfprune.converter.schema import read_flexbuffer_map
from tfprune.converter.weights import PRECISIONS, type_name
from tfprune.costs import CostTable, LayerShape, PackedShape, StockOp, predict_dense, predict_sparse
from tfprune.errors import NotModelledError
from tfprune.formats import Encoding, Op, PackedWeights, ValueType
from tfprune.sparsity.measure import Density

#: Name of the metadata entry in which a converted file says how it was made.
METADATA_NAME = "tfprune"
_EXPANDED_OPS = {
    "BATCH_MATMUL": "batch_matmul",
    "CONV_3D": "conv_3d",
    "CONV_3D_TRANSPOSE": "conv_3d_transpose",
    "DEPTHWISE_CONV_2D": "depthwise_conv_2d",
    "TRANSPOSE_CONV": "transpose_conv",
}
_LSTM_PARTS = ("input", "recurrent")


def packed_reports(graph: Graph, table: CostTable) -> list[LayerReport]:
    """A line of a report for every tfprune op of a model.

    Args:
        graph: the model.
        table: coefficients of the device, for the predicted times.

    Raises:
        ModelError: an op's weights are missing or break a rule of the format.
    """
    operators = packed_operators(graph)
    patterns = _patterns(graph)
    if len(patterns) != len(operators):
        patterns = [None] * len(operators)
    reports = []
    seen: Counter[tuple[int, int]] = Counter()
    for operator, pattern in zip(operators, patterns, strict=True):
        layer = packed_report(graph, *operator, "sparse", table)
        place = (layer.subgraph, layer.index)
        # An LSTM stands twice, with its weights in its inputs 1 and 2; all others have theirs in input 1.
        buffers = _buffers(graph, layer.subgraph, operator[2], WEIGHTS_INPUT + seen[place])
        name = f"{layer.name}/{_LSTM_PARTS[seen[place]]}" if layer.op == LSTM_CODE else layer.name
        reports.append(dataclasses.replace(layer, name=name, pattern=pattern, buffers=buffers))
        seen[place] += 1
    return reports


def packed_report(
    graph: Graph,
    subgraph: int,
    index: int,
    op: Any,
    packed: PackedWeights,
    verdict: str,
    table: CostTable | None = None,
) -> LayerReport:
    """A line of a report for a tfprune op.

    Args:
        graph: the model.
        subgraph: number of the op's subgraph.
        index: its place among the subgraph's operators.
        op: the op.
        packed: its weights.
        verdict: ``"sparse"``, or ``"restored"`` where it is made dense again.
        table: coefficients of the device; None leaves the predictions out.
    """
    header = packed.header
    weights = _dense_weights(op, packed)
    kernel = () if header.op == Op.FULLY_CONNECTED else (header.kernel_h, header.kernel_w)
    name = f"{Encoding(header.encoding).name.lower()} {header.group_rows}x{header.group_cols}"
    nonzero = int(np.count_nonzero(packed.values))
    shape = _layer_shape(graph, subgraph, op, packed)
    # The two matrices of an LSTM are timed together, when it is converted.
    timed = table is not None and graph.op_name(op) != LSTM_CODE
    dense_time, sparse_time = _times(table, shape, packed) if timed and table is not None else (None, None)
    return LayerReport(
        subgraph=subgraph,
        index=index,
        name=layer_name(graph, subgraph, op).removesuffix(SPARSE_OUTPUT),
        op=graph.op_name(op),
        shape=(header.out_channels, *kernel, header.in_channels),
        sparsity=Density(nonzero, weights).sparsity,
        pattern=None,
        verdict=verdict,
        encoding=name,
        dense_bytes=ValueType(header.value_type).size * weights,
        packed_bytes=header.total_bytes,
        predicted_speedup=dense_time / sparse_time if dense_time and sparse_time else None,
        break_even=None,
        reason_code=None,
        reason=None,
        precision=shape.precision,
        considered=name,
        fill=nonzero / header.value_count if header.value_count else 1.0,
        dense_macs=shape.dense_macs,
        sparse_macs=header.value_count * shape.pixels,
        dense_time=dense_time,
        sparse_time=sparse_time,
        buffers=() if graph.op_name(op) == LSTM_CODE else _buffers(graph, subgraph, op, WEIGHTS_INPUT),
    )


def _buffers(graph: Graph, subgraph: int, op: Any, position: int) -> tuple[int, ...]:
    weights = graph.input_tensor(subgraph, op, position)
    return () if weights is None else (int(weights.buffer),)


def _times(table: CostTable, shape: LayerShape, packed: PackedWeights) -> tuple[float | None, float | None]:
    """Predicted times dense and sparse; None for what the table was not fitted on."""
    try:
        return predict_dense(table, shape), predict_sparse(table, shape, _packed_shape(packed))
    except NotModelledError:
        return None, None


def _precision(graph: Graph, subgraph: int, op: Any, packed: PackedWeights) -> str:
    stored = ValueType(packed.header.value_type).name.lower()
    x = graph.input_tensor(subgraph, op, 0)
    widened = "float32" if stored == "float16" else stored
    return stored if x is None else PRECISIONS.get((type_name(x), widened, stored), stored)


def _layer_shape(graph: Graph, subgraph: int, op: Any, packed: PackedWeights) -> LayerShape:
    """The layer's sizes in the shapes of the file; a size that the file leaves open counts as 1."""
    header = packed.header
    x = graph.input_tensor(subgraph, op, 0)
    y = graph.tensor(subgraph, int(op.outputs[0])) if len(op.outputs) and op.outputs[0] >= 0 else None
    input_shape, output_shape = ([max(1, size) for size in (() if t is None else graph.shape(t))] for t in (x, y))
    input_values = int(np.prod(input_shape, dtype=object))
    fully_connected = header.op == Op.FULLY_CONNECTED
    by_input = fully_connected and graph.op_name(op) != LSTM_CODE
    pixels = input_values // header.columns if by_input else int(np.prod(output_shape[:-1], dtype=object))
    pixels = max(1, pixels)
    return LayerShape(
        fully_connected=fully_connected,
        out_channels=header.out_channels,
        columns=header.columns,
        kernel_size=header.kernel_h * header.kernel_w,
        pixels=pixels,
        input_values=input_values,
        precision=_precision(graph, subgraph, op, packed),
        dense_op=_dense_op(op, packed, pixels),
    )


def _dense_op(op: Any, packed: PackedWeights, pixels: int) -> StockOp | None:
    """The dense operator where it was expanded, as the options name it."""
    options = read_flexbuffer_map(op.customOptions)
    name = _EXPANDED_OPS.get(str(options.get("dense_op")))
    if name is None and options.get("groups", 1) != 1:
        name = "grouped_conv_2d"
    if name is None:
        return None
    # Whatever the operator was, each of its weights is used once for each pixel that the sparse op puts out.
    return StockOp(name, _dense_weights(op, packed) * pixels, packed.header.out_channels * pixels)


def _dense_weights(op: Any, packed: PackedWeights) -> int:
    """Weights of the dense operator; its matrix has more places where it was expanded."""
    places = packed.header.out_channels * packed.header.columns
    said = read_flexbuffer_map(op.customOptions).get("dense_weights")
    least = max(1, int(np.count_nonzero(packed.values)))
    return said if isinstance(said, int) and least <= said <= places else places


def _packed_shape(packed: PackedWeights) -> PackedShape:
    header = packed.header
    encoding = Encoding(header.encoding)
    name = encoding.name.lower()
    if packed.blocks is None:
        # Bounded by the file: the matrix of a header that claims too much is never made.
        starts = np.unique(packed.starts)
        used = np.unique(starts[:, None] + np.arange(header.group_cols)).size
        sizes = (header.group_rows, header.group_cols, header.line_count, header.group_count)
        # Rows of int8 lines hold whole operands.
        filling = max(0, header.value_count // header.group_rows - header.group_count * header.group_cols)
        return PackedShape(name, *sizes, used_columns=used, filling=filling)
    blocks = packed.blocks
    rows, columns = blocks.row_counts, blocks.column_counts
    chunks = np.ones_like(rows) if encoding == Encoding.BLOCK_COLUMNS else -(-rows // header.group_rows)
    loads = int(chunks @ columns)
    step_rows = header.value_count / loads if loads else 1.0
    return PackedShape(name, step_rows, 1, len(rows), loads, np.unique(blocks.columns).size, int(rows.sum()))


def _patterns(graph: Graph) -> list[str | None]:
    """What the metadata of a converted file say about the zeros of its layers, in the order of their operators.

    Their numbers are those of the dense file, in which other operators stood between.
    """
    try:
        return [str(layer["pattern"]) for layer in json.loads(graph.metadata(METADATA_NAME) or b"{}")["layers"]]
    # Metadata are anybody's: what cannot be read says nothing.
    except (ValueError, TypeError, KeyError, AttributeError):
        return []
