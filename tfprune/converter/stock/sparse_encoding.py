# SPDX-License-Identifier: Apache-2.0
"""TFLite's own sparse encoding, in the one form that its fully-connected kernel multiplies without unpacking.

A float32 matrix ``[R, C]`` is cut into blocks of 1 row and 4 columns. Rows are dense, the blocks of a row compressed
(CSR), the 4 values of a block dense. Stock runtimes multiply the stored blocks only.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.converter.schema import tfl

#: Columns of a block: the only size that the float32 kernel has.
BLOCK = 4
#: What reports call it.
ENCODING = f"sparse encoding 1x{BLOCK}"
# Vectors of the schema from small to large: largest number, numpy type, and number in the union.
_VECTORS = (
    (2**8 - 1, np.uint8, tfl.Uint8VectorT, tfl.SparseIndexVector.Uint8Vector),
    (2**16 - 1, np.uint16, tfl.Uint16VectorT, tfl.SparseIndexVector.Uint16Vector),
    (2**31 - 1, np.int32, tfl.Int32VectorT, tfl.SparseIndexVector.Int32Vector),
)


def kept_blocks(nonzero: npt.NDArray[np.bool_], block: int = BLOCK) -> npt.NDArray[np.bool_]:
    """Which blocks ``[R, C / block]`` of a matrix ``[R, C]``, C a multiple of ``block``, hold a non-zero."""
    return np.asarray(nonzero.reshape(nonzero.shape[0], -1, block).any(axis=2))


def encode(matrix: npt.NDArray[Any], block: int = BLOCK) -> tuple[Any, npt.NDArray[Any]]:
    """Encodes a matrix ``[R, C]``, C a multiple of the block's columns.

    Returns:
        The ``SparsityParametersT`` of its tensor, and the values of the kept blocks, row by row.
    """
    rows, columns = matrix.shape
    kept = kept_blocks(matrix != 0, block)
    sparsity = tfl.SparsityParametersT()
    sparsity.traversalOrder = np.array([0, 1, 2], np.int32)
    sparsity.blockMap = np.array([1], np.int32)
    blocks = tfl.DimensionMetadataT()
    blocks.format = tfl.DimensionType.SPARSE_CSR
    segments = np.concatenate(([0], np.cumsum(kept.sum(axis=1))))
    blocks.arraySegmentsType, blocks.arraySegments = _vector(segments)
    blocks.arrayIndicesType, blocks.arrayIndices = _vector(np.nonzero(kept)[1])
    sparsity.dimMetadata = [_dense(rows), blocks, _dense(block)]
    return sparsity, matrix.reshape(rows, columns // block, block)[kept].reshape(-1)


def encoded_bytes(kept: npt.NDArray[np.bool_]) -> int:
    """Bytes of values and indices of blocks ``[R, C / 4]``."""
    count = int(np.count_nonzero(kept))
    segment = next(dtype for most, dtype, _, _ in _VECTORS if count <= most)
    index = next(dtype for most, dtype, _, _ in _VECTORS if kept.shape[1] - 1 <= most)
    return int(4 * BLOCK * count + np.dtype(segment).itemsize * (kept.shape[0] + 1) + np.dtype(index).itemsize * count)


def _dense(size: int) -> Any:
    dimension = tfl.DimensionMetadataT()
    dimension.format = tfl.DimensionType.DENSE
    dimension.denseSize = size
    return dimension


def _vector(values: npt.NDArray[Any]) -> tuple[Any, Any]:
    """The values in the smallest vector that holds them, and its number in the union."""
    top = int(values.max(initial=0))
    dtype, table, number = next((dtype, table, kind) for most, dtype, table, kind in _VECTORS if top <= most)
    vector = table()
    vector.values = values.astype(dtype)
    return number, vector
