# SPDX-License-Identifier: Apache-2.0
"""TFLite's own sparse encoding, written by its definition, and a file that holds it."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from tests.models.builder import ModelBuilder, pruned

_SPARSE_VERSION = 8
VECTORS = {
    "uint8": (tfl.Uint8VectorT, tfl.SparseIndexVector.Uint8Vector, np.uint8),
    "uint16": (tfl.Uint16VectorT, tfl.SparseIndexVector.Uint16Vector, np.uint16),
    "int32": (tfl.Int32VectorT, tfl.SparseIndexVector.Int32Vector, np.int32),
}


def _vector(values: list[int], width: str) -> tuple[Any, int]:
    table, kind, dtype = VECTORS[width]
    found = table()
    found.values = np.array(values, dtype)
    return found, kind


def reference_encode(
    dense: np.ndarray, blocks: dict[int, int], order: list[int], compressed: set[int], width: str
) -> tuple[Any, np.ndarray]:
    """Walks the dimensions in traversal order: dense ones fully, compressed ones where something is not zero."""
    block_map = sorted(blocks)
    sizes = [size // blocks.get(axis, 1) for axis, size in enumerate(dense.shape)] + [blocks[a] for a in block_map]
    split = dense.reshape([each for a in range(dense.ndim) for each in (sizes[a], blocks.get(a, 1))])
    outer = [2 * axis for axis in range(dense.ndim)]
    expanded = split.transpose(outer + [2 * axis + 1 for axis in range(dense.ndim)])
    expanded = expanded.reshape(sizes).transpose(order)
    lines: list[tuple[int, ...]] = [()]
    sparsity = tfl.SparsityParametersT()
    sparsity.traversalOrder, sparsity.blockMap = np.array(order, np.int32), np.array(block_map, np.int32)
    sparsity.dimMetadata = []
    for level, dimension in enumerate(order):
        entry = tfl.DimensionMetadataT()
        if dimension in compressed:
            entry.format = tfl.DimensionType.SPARSE_CSR
            kept = [[i for i in range(sizes[dimension]) if np.any(expanded[(*line, i)])] for line in lines]
            segments = [0, *itertools.accumulate(len(each) for each in kept)]
            entry.arraySegments, entry.arraySegmentsType = _vector(segments, width)
            entry.arrayIndices, entry.arrayIndicesType = _vector([i for each in kept for i in each], width)
            lines = [(*line, i) for line, each in zip(lines, kept, strict=True) for i in each]
        else:
            entry.format, entry.denseSize = tfl.DimensionType.DENSE, sizes[dimension]
            lines = [(*line, i) for line in lines for i in range(sizes[dimension])]
        sparsity.dimMetadata.append(entry)
        assert level < expanded.ndim
    return sparsity, np.array([expanded[line] for line in lines], dense.dtype)


def sparse_model(halves: bool = False) -> bytes:
    """A convolution whose weights come out of ``DENSIFY``, and a fully-connected layer that has sparse ones itself."""
    builder = ModelBuilder()
    x = builder.tensor("x", [1, 5, 4, 16])
    kernel = pruned((32, 3, 3, 16), 0.9)
    encoded = sparse_constant(
        builder, "kernel", kernel.astype(np.float16 if halves else np.float32), {3: 4}, [0, 1, 2, 3, 4]
    )
    weights = builder.tensor("kernel/dense", kernel.shape, "float16" if halves else "float32")
    builder.operator(builder.opcode(tfl.BuiltinOperator.DENSIFY), [encoded], [weights])
    if halves:
        widened = builder.tensor("kernel/wide", kernel.shape)
        options, kind = tfl.DequantizeOptionsT(), tfl.BuiltinOptions.DequantizeOptions
        code = builder.opcode(tfl.BuiltinOperator.DEQUANTIZE, version=3)
        builder.operator(code, [weights], [widened], options, kind)
        weights = widened
    y = builder.conv_2d(x, weights, np.ones(32, np.float32), activation=1)
    outputs = [y]
    if not halves:
        matrix = np.repeat(pruned((40, 5 * 4 * 8), 0.8, rows=1), 4, axis=1)
        outputs.append(
            builder.fully_connected(
                y, sparse_constant(builder, "matrix", matrix, {1: 4}, [0, 1, 2]), np.ones(40, np.float32)
            )
        )
        # Under an older version XNNPACK takes the weights for dense ones and reads beyond their end.
        dense = builder.model.subgraphs[0].operators[-1]
        dense.opcodeIndex = builder.opcode(tfl.BuiltinOperator.FULLY_CONNECTED, version=_SPARSE_VERSION)
    builder.io([x], outputs)
    return builder.build()


def sparse_constant(
    builder: ModelBuilder, name: str, dense: np.ndarray, blocks: dict[int, int], order: list[int]
) -> int:
    """A sparse constant whose last unblocked dimension is compressed."""
    sparsity, values = reference_encode(dense, blocks, order, {dense.ndim - 1}, "int32")
    index = builder.tensor(name, dense.shape, str(dense.dtype), builder.buffer(values))
    builder.model.subgraphs[0].tensors[index].sparsity = sparsity
    return index
