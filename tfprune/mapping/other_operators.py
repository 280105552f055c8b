# SPDX-License-Identifier: Apache-2.0
"""Time of the operators of a model that no pattern changes: sums, pooling, activations and whatever moves values."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

from tfprune.converter.capability import Layer, examine
from tfprune.converter.graph import Graph
from tfprune.costs import CostTable, LayerShape, StockOp, predict_dense, predict_stock
from tfprune.errors import NotModelledError

#: Operators of LiteRT, by what cost tables call them. Tables count multiply-adds of a batch_matmul, values read by a
#: reduction, values written times positions of the window of a pooling, and values written of all of them.
STOCK_NAMES = {
    **dict.fromkeys(("ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE"), "elementwise"),
    **dict.fromkeys(("RELU", "RELU6", "RELU_N1_TO_1", "LEAKY_RELU", "PRELU", "ABS", "NEG", "SQUARE"), "elementwise"),
    # A few multiplications and no exponential, unlike the activations below.
    "HARD_SWISH": "elementwise",
    **dict.fromkeys(("QUANTIZE", "DEQUANTIZE", "CAST", "RSQRT", "SQRT"), "elementwise"),
    **dict.fromkeys(("LOGISTIC", "TANH", "GELU", "ELU", "EXP", "LOG"), "activation"),
    **dict.fromkeys(("SOFTMAX", "LOG_SOFTMAX"), "activation"),
    **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D"), "pooling"),
    **dict.fromkeys(("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN"), "reduction"),
    **dict.fromkeys(("PAD", "PADV2", "MIRROR_PAD"), "pad"),
    **dict.fromkeys(("CONCATENATION", "PACK"), "concatenation"),
    **dict.fromkeys(("SLICE", "STRIDED_SLICE", "SPLIT", "SPLIT_V", "UNPACK", "GATHER"), "slice"),
    **dict.fromkeys(("DEPTH_TO_SPACE", "SPACE_TO_DEPTH"), "depth_to_space"),
    **dict.fromkeys(("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"), "resize"),
    "TRANSPOSE": "transpose",
    "BATCH_MATMUL": "batch_matmul",
    "DEPTHWISE_CONV_2D": "depthwise_conv_2d",
}
#: Operators that LiteRT only takes note of.
FREE = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS", "SHAPE")
#: Subgraph and number of an operator.
Place = tuple[int, int]


class OtherOperators:
    """The operators of a file beside its layers.

    Attributes:
        not_modelled: names of the operators that the table says nothing about; they count as nothing.
    """

    def __init__(self, graph: Graph, table: CostTable, precision: str, layers: Iterable[Place]) -> None:
        """Predicts each of them alone.

        Args:
            graph: the dense file.
            table: coefficients of the device.
            precision: that of the file.
            layers: subgraph and number of the operators that are layers.
        """
        known = set(layers)
        self._times: dict[Place, float] = {}
        lacking = []
        for subgraph, index, op in graph.operators():
            name = graph.op_name(op)
            if (subgraph, index) in known or name in FREE or not len(op.outputs) or _widens(graph, subgraph, op):
                continue
            try:
                self._times[subgraph, index] = predict_stock(table, precision, stock_op(graph, subgraph, op))
            except NotModelledError:
                # Weights that no layer of the mapping has, such as those of a layer of the user's own.
                layer = examine(graph, subgraph, index, op)
                if isinstance(layer, Layer):
                    self._times[subgraph, index] = dense_time(table, layer.cost_shape)
                else:
                    lacking.append(name)
        self.not_modelled = tuple(dict.fromkeys(lacking))

    def time(self, chained: Mapping[Place, float]) -> float:
        """All of them together, in the table's unit.

        Args:
            chained: what operators take that run in chains, by place.
        """
        return sum(chained.get(place, time) for place, time in self._times.items())


def dense_time(table: CostTable, shape: LayerShape) -> float:
    """Time of a dense operator; one that the table lacks counts as its multiply-adds in a 1x1 convolution would."""
    try:
        return predict_dense(table, shape)
    except NotModelledError:
        ordinary = dataclasses.replace(shape, precision="float32", dense_op=None, layout_ops=(), dense_precision=None)
        return predict_dense(table, ordinary) * shape.dense_macs / max(1, shape.macs)


def _widens(graph: Graph, subgraph: int, op: Any) -> bool:
    """Whether an operator turns a constant into float32, which LiteRT does once."""
    return graph.op_name(op) == "DEQUANTIZE" and graph.raw(graph.tensor(subgraph, int(op.inputs[0]))) is not None


def stock_op(graph: Graph, subgraph: int, op: Any) -> StockOp:
    """An operator as cost tables see it."""
    name = graph.op_name(op)
    values = _values(graph, subgraph, int(op.outputs[0]))
    read = _values(graph, subgraph, int(op.inputs[0])) if len(op.inputs) else 0
    macs = 0
    if name.endswith("POOL_2D"):
        macs = values * op.builtinOptions.filterHeight * op.builtinOptions.filterWidth
    elif STOCK_NAMES.get(name) == "reduction":
        macs = read
    elif name == "BATCH_MATMUL":
        inner = graph.shape(graph.tensor(subgraph, int(op.inputs[0])))[-2 if op.builtinOptions.adjX else -1]
        macs = values * max(1, inner)
    elif name == "DEPTHWISE_CONV_2D":
        macs = values * math.prod(graph.shape(graph.tensor(subgraph, int(op.inputs[1])))[1:3])
    return StockOp(STOCK_NAMES.get(name, name.lower()), macs, values)


def _values(graph: Graph, subgraph: int, index: int) -> int:
    """Values of a tensor; an open batch counts as 1."""
    return math.prod(max(1, size) for size in graph.shape(graph.tensor(subgraph, index)))
