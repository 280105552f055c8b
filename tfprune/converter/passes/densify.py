# SPDX-License-Identifier: Apache-2.0
"""Undoes TFLite's own sparse encoding: sparse constants become dense ones, and ``DENSIFY`` operators go."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfprune.converter.graph import Graph
from tfprune.converter.schema import BuiltinOperator, builtin_code, text
from tfprune.converter.sparse_constant import decode_tensor, index_values
from tfprune.converter.weights import holds_quantized


def stops_stock(graph: Graph) -> bool:
    """Whether stock LiteRT cannot run a model for its sparse constants.

    XNNPACK then refuses every file that holds quantized tensors too, and ``DEQUANTIZE`` reads a sparse constant as if
    it were dense.
    """
    sparse = [
        {index for index, tensor in enumerate(subgraph.tensors) if tensor.sparsity is not None}
        for subgraph in graph.model.subgraphs
    ]
    if not any(sparse):
        return False
    read_as_dense = (
        number
        for number, _, op in graph.operators()
        if graph.op_name(op) == "DEQUANTIZE" and sparse[number].intersection(map(int, op.inputs))
    )
    return holds_quantized(graph) or any(True for _ in read_as_dense)


def rewrite(graph: Graph) -> int:
    """Makes every sparse constant of ``graph`` dense, and its ``DENSIFY`` operator's output the constant itself.

    Buffers that several sparse tensors share stay shared.

    Returns:
        How many tensors were sparse.

    Raises:
        ModelError: sparse weights whose indices contradict their shape, or of an unknown type.
    """
    dense: dict[tuple[Any, ...], int] = {}
    found = 0
    for number, subgraph in enumerate(graph.model.subgraphs):
        for index, tensor in enumerate(subgraph.tensors):
            if tensor.sparsity is not None:
                _make_dense(graph, tensor, f"tensor {index} of subgraph {number} ({text(tensor.name)})", dense)
                found += 1
        subgraph.operators = [op for op in subgraph.operators if not _take_over(graph, subgraph, op)]
    _plain_versions(graph)
    return found


def _make_dense(graph: Graph, tensor: Any, where: str, dense: dict[tuple[Any, ...], int]) -> None:
    key = (int(tensor.buffer), tensor.type, tuple(graph.shape(tensor)), _identity(tensor.sparsity))
    if key not in dense:
        values = decode_tensor(tensor, graph.raw(tensor), where)
        dense[key] = graph.add_buffer(values.reshape(-1).view(np.uint8))
    tensor.buffer = dense[key]
    tensor.sparsity = None


def _identity(sparsity: Any) -> tuple[Any, ...]:
    lists = [sparsity.traversalOrder, sparsity.blockMap]
    for each in sparsity.dimMetadata or []:
        lists += [[each.format, each.denseSize], index_values(each.arraySegments), index_values(each.arrayIndices)]
    return tuple(np.asarray([] if each is None else each, np.int64).tobytes() for each in lists)


def _take_over(graph: Graph, subgraph: Any, op: Any) -> bool:
    """Gives the output of a ``DENSIFY`` operator the dense constant behind it; the operator is then not needed."""
    if builtin_code(graph.model.operatorCodes[op.opcodeIndex]) != BuiltinOperator.DENSIFY:
        return False
    if len(op.inputs) != 1 or len(op.outputs) != 1 or min(op.inputs[0], op.outputs[0]) < 0:
        return False
    source, result = subgraph.tensors[op.inputs[0]], subgraph.tensors[op.outputs[0]]
    if graph.raw(source) is None or source.type != result.type or graph.raw(result) is not None:
        return False
    result.buffer = source.buffer
    # A written tensor may be called so; LiteRT loads no constant that is.
    result.externalBuffer, result.isVariable = 0, False
    users = [list(each.inputs) for each in subgraph.operators if each is not op]
    if not any(op.inputs[0] in inputs for inputs in (*users, list(subgraph.inputs), list(subgraph.outputs))):
        source.buffer = 0
    return True


def _plain_versions(graph: Graph) -> None:
    """Version 8 of ``FULLY_CONNECTED`` says "sparse weights"; without them, older runtimes know the operator too."""
    for _, _, op in graph.operators():
        code = graph.model.operatorCodes[op.opcodeIndex]
        if builtin_code(code) == BuiltinOperator.FULLY_CONNECTED and code.version == 8:
            version = plain_version(op)
            graph.set_builtin(op, BuiltinOperator.FULLY_CONNECTED, version, op.builtinOptionsType, op.builtinOptions)


def plain_version(op: Any) -> int:
    """Version of a ``FULLY_CONNECTED`` of float32 weights that are not sparse."""
    without_bias = len(op.inputs) < 3 or op.inputs[2] < 0
    return 6 if without_bias else 5 if getattr(op.builtinOptions, "keepNumDims", False) else 1
