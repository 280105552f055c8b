# SPDX-License-Identifier: Apache-2.0
"""Undoes TFLite's own sparse encoding: sparse constants become dense ones, and ``DENSIFY`` operators go.

The format is that of TACO: dimensions in traversal order, each dense or compressed (CSR), blocks as dimensions of their
own behind those of the tensor.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.converter.graph import Graph
from tfprune.converter.schema import AlignedBuffer, BuiltinOperator, TensorType, builtin_code, text, tfl
from tfprune.errors import ModelError

_DTYPES = {TensorType.FLOAT32: np.float32, TensorType.FLOAT16: np.float16, TensorType.INT8: np.int8}
# A weight matrix above this cannot be written to a file again.
_MOST_BYTES = 2**31 - 1

Indices = npt.NDArray[np.int64]


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
        data = graph.raw(tensor)
        values = decode(
            tensor.sparsity, graph.shape(tensor), tensor.type, np.zeros(0, np.uint8) if data is None else data, where
        )
        graph.model.buffers.append(AlignedBuffer(values.reshape(-1).view(np.uint8)))
        dense[key] = len(graph.model.buffers) - 1
    tensor.buffer = dense[key]
    tensor.sparsity = None


def _identity(sparsity: Any) -> tuple[Any, ...]:
    lists = [sparsity.traversalOrder, sparsity.blockMap]
    for each in sparsity.dimMetadata or []:
        lists += [[each.format, each.denseSize], _values(each.arraySegments), _values(each.arrayIndices)]
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
    users = [list(each.inputs) for each in subgraph.operators if each is not op]
    if not any(op.inputs[0] in inputs for inputs in (*users, list(subgraph.inputs), list(subgraph.outputs))):
        source.buffer = 0
    return True


def _plain_versions(graph: Graph) -> None:
    """Version 8 of ``FULLY_CONNECTED`` says "sparse weights"; without them, older runtimes know the operator too."""
    for _, _, op in graph.operators():
        code = graph.model.operatorCodes[op.opcodeIndex]
        if builtin_code(code) == BuiltinOperator.FULLY_CONNECTED and code.version == 8:
            without_bias = len(op.inputs) < 3 or op.inputs[2] < 0
            version = 6 if without_bias else 5 if getattr(op.builtinOptions, "keepNumDims", False) else 1
            graph.set_builtin(op, BuiltinOperator.FULLY_CONNECTED, version, op.builtinOptionsType, op.builtinOptions)


def decode(
    sparsity: Any, shape: tuple[int, ...], kind: int, data: npt.NDArray[np.uint8], where: str
) -> npt.NDArray[Any]:
    """Decodes one sparse constant.

    Args:
        sparsity: its ``SparsityParametersT``.
        shape: its dense shape.
        kind: its ``TensorType``: float32, float16 or int8.
        data: its stored values.
        where: names it in messages.

    Returns:
        The dense values; what is not stored is 0.

    Raises:
        ModelError: the parts contradict each other, or the type is another one.
    """
    dtype = _DTYPES.get(kind)
    if dtype is None:
        raise _malformed(where, f"their type must be float32, float16 or int8, got type {kind}")
    if min(shape, default=0) < 1 or math.prod(shape) * np.dtype(dtype).itemsize > _MOST_BYTES:
        raise _malformed(where, f"their shape must be positive and below 2 GiB, got {list(shape)}")
    if len(data) % np.dtype(dtype).itemsize:
        raise _malformed(where, f"{len(data)} bytes are no whole number of values")
    values = np.frombuffer(data.tobytes(), dtype)
    sizes, block_map, order = _dimensions(sparsity, shape, where)
    coordinates = _coordinates(sparsity.dimMetadata, sizes, order, len(values), where)
    rank = len(shape)
    place = np.zeros(len(values), np.int64)
    for axis in range(rank):
        along = coordinates[axis]
        for block, blocked in enumerate(block_map):
            if blocked == axis:
                along = along * sizes[rank + block] + coordinates[rank + block]
        place = place * shape[axis] + along
    dense = np.zeros(math.prod(shape), dtype)
    dense[place] = values
    return dense.reshape(shape)


def _dimensions(sparsity: Any, shape: tuple[int, ...], where: str) -> tuple[list[int], list[int], list[int]]:
    """Sizes of all dimensions (those of the tensor counted in blocks), which dimension each block cuts, the order."""
    block_map = [int(each) for each in ([] if sparsity.blockMap is None else sparsity.blockMap)]
    order = [int(each) for each in ([] if sparsity.traversalOrder is None else sparsity.traversalOrder)]
    metadata = sparsity.dimMetadata or []
    rank = len(shape)
    if sorted(order) != list(range(rank + len(block_map))) or len(metadata) != len(order):
        raise _malformed(where, f"the traversal order {order} does not fit {rank} dimensions and {len(metadata)} lists")
    if len(set(block_map)) != len(block_map) or any(not 0 <= each < rank for each in block_map):
        raise _malformed(where, f"the block map {block_map} does not fit {rank} dimensions")
    sizes = [*shape, *([1] * len(block_map))]
    for level, dimension in enumerate(order):
        if dimension >= rank:
            size = int(metadata[level].denseSize)
            axis = block_map[dimension - rank]
            if metadata[level].format != tfl.DimensionType.DENSE or size < 1 or shape[axis] % size:
                raise _malformed(where, f"blocks of {size} do not divide dimension {axis} of {shape[axis]}")
            sizes[dimension] = size
            sizes[axis] = shape[axis] // size
    return sizes, block_map, order


def _coordinates(metadata: Any, sizes: list[int], order: list[int], count: int, where: str) -> list[Indices]:
    """Where each stored value lies along each dimension."""
    # What is open at a level was named by an earlier list or leads to values: nothing can be larger than these.
    limit = max([count, *(len(_values(each.arraySegments)) for each in metadata)])
    found: list[Indices | None] = [None] * len(sizes)
    entries = 1
    for level, dimension in enumerate(order):
        parents: Indices
        if metadata[level].format == tfl.DimensionType.DENSE:
            size = sizes[dimension]
            if metadata[level].denseSize != size or entries * size > limit:
                raise _malformed(where, f"dimension {dimension} must have size {size} within {count} values")
            parents, along = np.repeat(np.arange(entries), size), np.tile(np.arange(size), entries)
        else:
            parents, along = _compressed(metadata[level], entries, sizes[dimension], where)
        found = [None if each is None else each[parents] for each in found]
        found[dimension] = along
        entries = len(along)
    if entries != count:
        raise _malformed(where, f"the lists name {entries} values, the buffer holds {count}")
    return [each for each in found if each is not None]


def _compressed(dimension: Any, entries: int, size: int, where: str) -> tuple[Indices, Indices]:
    """Parent and index of each entry of a compressed dimension."""
    segments, indices = _values(dimension.arraySegments), _values(dimension.arrayIndices)
    counts = np.diff(segments)
    if len(segments) != entries + 1 or segments[0] != 0 or (counts < 0).any() or segments[-1] != len(indices):
        raise _malformed(where, f"{len(segments)} segment ends do not fit {entries} lines and {len(indices)} indices")
    if len(indices) and not 0 <= indices.min() <= indices.max() < size:
        raise _malformed(where, f"an index lies outside 0 .. {size - 1}")
    return np.repeat(np.arange(entries), counts), indices


def _values(vector: Any) -> Indices:
    return np.zeros(0, np.int64) if vector is None or vector.values is None else np.asarray(vector.values, np.int64)


def _malformed(where: str, what: str) -> ModelError:
    return ModelError(f"{where}: sparse weights are corrupt: {what}")
