# SPDX-License-Identifier: Apache-2.0
"""The ``DEQUANTIZE`` that stands behind float16 weights."""

from __future__ import annotations

from typing import Any

from tfprune.converter.graph import Graph
from tfprune.converter.schema import BuiltinOperator, TensorType, text, tfl

# Float16 weights are what version 3 of DEQUANTIZE added.
_VERSION = 3


def dequantize(graph: Graph, subgraph: int, halves: int) -> Any:
    """An operator that makes float32 of the constant at ``halves``; its output is a new tensor."""
    tensor = graph.tensor(subgraph, halves)
    widened = graph.add_activation(subgraph, f"{text(tensor.name)}/float32", tensor, graph.shape(tensor))
    graph.tensor(subgraph, widened).type = TensorType.FLOAT32
    options = tfl.DequantizeOptionsT()
    kind = tfl.BuiltinOptions.DequantizeOptions
    return graph.new_builtin(BuiltinOperator.DEQUANTIZE, _VERSION, kind, options, inputs=[halves], outputs=[widened])
