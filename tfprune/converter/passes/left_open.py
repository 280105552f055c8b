# SPDX-License-Identifier: Apache-2.0
"""An operator that no delegate claims, where LiteRT would else leave XNNPACK out of the other subgraphs.

Found by experiment: LiteRT 2.3 applies its default delegate to no subgraph once another delegate runs the whole first
one. Layers of the other subgraphs would then run in the builtin kernels: slower, and int8 ones rounded otherwise. A
``SHAPE`` costs nothing, for it is computed when tensors are allocated.
"""

from __future__ import annotations

from typing import Any

from tfprune.converter.chains import PLANAR_OPS
from tfprune.converter.graph import Graph
from tfprune.converter.schema import BuiltinOperator, TensorType, text, tfl

_NAME = "tfprune/left_open"
# What the delegate may run beside its own operators.
_CLAIMED = PLANAR_OPS | {"PAD", "MEAN", "DEQUANTIZE"}


def rewrite(graph: Graph) -> None:
    """Puts the operator into the first subgraph, where it is needed; all others must have been rewritten."""
    first, *others = graph.model.subgraphs
    if not others or not len(first.inputs) or not all(_claimed(graph, op) for op in first.operators):
        return
    if all(_claimed(graph, op) for subgraph in others for op in subgraph.operators):
        return
    source = int(first.inputs[0])
    options, sizes = tfl.ShapeOptionsT(), tfl.TensorT()
    options.outType = sizes.type = TensorType.INT32
    made = graph.add_activation(0, _NAME, sizes, [len(graph.shape(graph.tensor(0, source)))])
    kind = tfl.BuiltinOptions.ShapeOptions
    graph.append_operator(0, graph.new_builtin(BuiltinOperator.SHAPE, 1, kind, options, [source], [made]))


def drop(graph: Graph) -> None:
    """Takes the operator out again."""
    first = graph.model.subgraphs[0]
    for index, op in enumerate(first.operators):
        if graph.op_name(op) == "SHAPE" and text(graph.tensor(0, int(op.outputs[0])).name) == _NAME:
            graph.set_inputs(0, op, [])
            graph.replace_operator(0, index, [])


def _claimed(graph: Graph, op: Any) -> bool:
    name = graph.op_name(op)
    return name.startswith("Tfprune") if graph.is_custom(op) else name in _CLAIMED
