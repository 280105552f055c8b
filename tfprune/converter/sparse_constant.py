# SPDX-License-Identifier: Apache-2.0
"""Constants in TFLite's own sparse encoding.

The format is that of TACO: dimensions in traversal order, each dense or compressed (CSR), blocks as dimensions of their
own behind those of the tensor.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.converter.schema import TensorType, text, tfl
from tfprune.errors import ModelError

_DTYPES = {TensorType.FLOAT32: np.float32, TensorType.FLOAT16: np.float16, TensorType.INT8: np.int8}
# A weight matrix above this cannot be written to a file again.
_MOST_BYTES = 2**31 - 1

Indices = npt.NDArray[np.int64]


def decode_tensor(tensor: Any, data: npt.NDArray[np.uint8] | None, where: str = "") -> npt.NDArray[Any]:
    """Decodes a sparse ``TensorT`` with the bytes of its buffer; ``where`` names it in messages, by default its name.

    Raises:
        ModelError: the parts contradict each other, or the type is none of float32, float16 and int8.
    """
    shape = () if tensor.shape is None else tuple(int(size) for size in tensor.shape)
    stored = np.zeros(0, np.uint8) if data is None else data
    return decode(tensor.sparsity, shape, tensor.type, stored, where or f"tensor {text(tensor.name)!r}")


def stored_bytes(tensor: Any, data: npt.NDArray[np.uint8] | None) -> int:
    """Bytes of values and indices of a sparse ``TensorT`` in the file, without the tables round them."""
    vectors = [v for each in tensor.sparsity.dimMetadata or [] for v in (each.arraySegments, each.arrayIndices)]
    indices = sum(np.asarray(v.values).nbytes for v in vectors if v is not None and v.values is not None)
    return indices + (0 if data is None else len(data))


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
    limit = max([count, *(len(index_values(each.arraySegments)) for each in metadata)])
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
    segments, indices = index_values(dimension.arraySegments), index_values(dimension.arrayIndices)
    counts = np.diff(segments)
    if len(segments) != entries + 1 or segments[0] != 0 or (counts < 0).any() or segments[-1] != len(indices):
        raise _malformed(where, f"{len(segments)} segment ends do not fit {entries} lines and {len(indices)} indices")
    if len(indices) and not 0 <= indices.min() <= indices.max() < size:
        raise _malformed(where, f"an index lies outside 0 .. {size - 1}")
    return np.repeat(np.arange(entries), counts), indices


def index_values(vector: Any) -> Indices:
    """Numbers of a list of segment ends or indices, whatever their width."""
    return np.zeros(0, np.int64) if vector is None or vector.values is None else np.asarray(vector.values, np.int64)


def _malformed(where: str, what: str) -> ModelError:
    return ModelError(f"{where}: sparse weights are corrupt: {what}")
