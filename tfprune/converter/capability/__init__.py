# SPDX-License-Identifier: Apache-2.0
"""Which operators tfprune has a sparse kernel for, one a file, and the named reason where it has none for one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tfprune.converter.capability import (
    batch_matmul,
    conv_2d,
    conv_3d,
    conv_3d_transpose,
    depthwise_conv_2d,
    fully_connected,
    lstm,
    transpose_conv,
)
from tfprune.converter.capability.layer import (
    BIAS_INPUT,
    CUSTOM_CODES,
    LSTM_CODE,
    WEIGHTS_INPUT,
    Layer,
    Numbers,
    Refused,
)
from tfprune.converter.capability.lstm import GateMatrix, LstmLayer
from tfprune.converter.graph import Graph
from tfprune.converter.schema import text

__all__ = [
    "BIAS_INPUT",
    "CAPABILITIES",
    "CUSTOM_CODES",
    "LSTM_CODE",
    "WEIGHTS_INPUT",
    "WITHOUT_KERNEL",
    "GateMatrix",
    "Layer",
    "LstmLayer",
    "Numbers",
    "Refused",
    "examine",
    "layer_name",
]

Reader = Callable[[Graph, int, int, Any], Layer | LstmLayer]

#: The operators with a sparse kernel.
CAPABILITIES: dict[str, Reader] = {
    "BATCH_MATMUL": batch_matmul.read,
    "CONV_2D": conv_2d.read,
    "CONV_3D": conv_3d.read,
    "CONV_3D_TRANSPOSE": conv_3d_transpose.read,
    "DEPTHWISE_CONV_2D": depthwise_conv_2d.read,
    "FULLY_CONNECTED": fully_connected.read,
    "TRANSPOSE_CONV": transpose_conv.read,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": lstm.read,
}

#: Operators whose weights people prune and that have no sparse kernel: listed in reports, never rewritten.
WITHOUT_KERNEL = (
    "EMBEDDING_LOOKUP",
    "STABLEHLO_CONVOLUTION",
    "STABLEHLO_DOT_GENERAL",
    "UNIDIRECTIONAL_SEQUENCE_RNN",
)


def examine(graph: Graph, subgraph: int, index: int, op: Any) -> Layer | LstmLayer | Refused | None:
    """Says whether a sparse kernel could run an operator.

    Returns:
        The layer; or the reason why not; or None for an operator that is not about weights at all.
    """
    name = graph.op_name(op)
    if graph.is_custom(op):
        return None
    if name in WITHOUT_KERNEL:
        return Refused("no_kernel", f"no sparse kernel for {name}")
    reader = CAPABILITIES.get(name)
    if reader is None:
        return None
    try:
        return reader(graph, subgraph, index, op)
    except Refused as refused:
        return refused


def layer_name(graph: Graph, subgraph: int, op: Any) -> str:
    """Name of an operator's first output: what people recognise a layer by."""
    return text(graph.tensor(subgraph, int(op.outputs[0])).name) if len(op.outputs) and op.outputs[0] >= 0 else ""
