# SPDX-License-Identifier: Apache-2.0
"""Random weights with zeros as each encoding likes them, and what they are once packed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tfprune.costs.predict import PackedShape
from tfprune.formats import Encoding, ValueType, count_blocks, count_groups, cut
from tfprune.formats.blocks import BAND_SIZES
from tfprune.mapping.profiling.integers import INTEGERS, Matrix
from tfprune.mapping.profiling.layer_sizes import LayerSizes


def grouped_weights(
    layer: LayerSizes, encoding: Encoding, rows: int, sparsity: float, seed: int, cols: int = 1
) -> Matrix:
    """Random weights in groups of ``rows`` output channels, aligned for row-band and anywhere for sliding-row.

    Groups of several columns start at multiples of them, row bands with an odd seed anywhere.
    """
    random = np.random.default_rng(seed)
    shape = (layer.out_channels, layer.columns)
    blocks = -(-shape[1] // cols)
    if encoding == Encoding.SLIDING_ROW:
        mask = _runs((shape[0], blocks), rows, sparsity, random)
    else:
        bands = -(-shape[0] // rows)
        if cols > 1 and seed % 2:
            mask, cols = _runs((shape[1], bands), cols, sparsity, random).T, 1
        else:
            mask = random.random((bands, blocks)) >= sparsity
        mask = np.repeat(mask, rows, axis=0)[: shape[0]]
    mask = np.repeat(mask, cols, axis=1)[:, : shape[1]]
    return (random.normal(size=shape) * mask).astype(np.float32)


def _runs(shape: tuple[int, int], length: int, sparsity: float, random: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Runs of ``length`` along the first axis, anywhere."""
    mask = np.zeros(shape, bool)
    free = np.zeros(shape[1], np.int64)
    # A start at each free place with this probability makes gaps of mean length s / (1 - s) * length.
    start = (1 - sparsity) / ((1 - sparsity) + sparsity * length)
    for place in range(shape[0] - length + 1):
        begins = (free <= place) & (random.random(shape[1]) < start)
        mask[place : place + length, begins] = True
        free[begins] = place + length
    return mask


def block_weights(layer: LayerSizes, encoding: Encoding, rows: int, sparsity: float, seed: int) -> Matrix:
    """Random weights in blocks of about ``rows`` rows: rows and columns of blocks, or few shapes of kernels."""
    random = np.random.default_rng(seed)
    shape = (layer.out_channels, layer.columns)
    mask = (_row_column_mask if encoding == Encoding.BLOCK_ROWS else _shape_mask)(layer, rows, sparsity, random)
    return (random.normal(size=shape) * mask).astype(np.float32)


def _row_column_mask(
    layer: LayerSizes, rows: int, sparsity: float, random: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Blocks of 8, 32 or 256 columns that keep equal shares of their rows and columns."""
    share = (1 - sparsity) ** 0.5
    height = min(BAND_SIZES, key=lambda size: abs(size - rows / share))
    width = (8, 32, 256)[int(random.integers(3))]
    blocks = (-(-layer.out_channels // height), -(-layer.columns // width))
    kept_rows = np.repeat(random.random((blocks[0] * height, blocks[1])) < share, width, axis=1)
    kept_columns = np.repeat(random.random((blocks[0], blocks[1] * width)) < share, height, axis=0)
    mask: npt.NDArray[np.bool_] = (kept_rows & kept_columns)[: layer.out_channels, : layer.columns]
    return mask


def _shape_mask(layer: LayerSizes, rows: int, sparsity: float, random: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Kernels of a few shapes of two to four positions; four neighbouring columns where a kernel has one position."""
    positions = layer.kernel**2 if layer.kernel > 1 else 4
    keep = int(random.integers(2, 5)) if positions > 4 else 2
    kernels = (layer.out_channels, -(-layer.columns // positions))
    kept = min(1.0, (1 - sparsity) * positions / keep)
    library = max(1, round(min(64, layer.out_channels) * kept / rows))
    shapes = random.permuted(np.arange(library * positions).reshape(library, positions) % positions < keep, axis=1)
    chosen = shapes[random.integers(library, size=kernels)] & (random.random(kernels) < kept)[..., None]
    if layer.kernel > 1:
        chosen = chosen.transpose(0, 2, 1)
    mask: npt.NDArray[np.bool_] = chosen.reshape(layer.out_channels, -1)[:, : layer.columns]
    return mask


def packed_shape(
    layer: LayerSizes, weights: Matrix, encoding: Encoding, rows: int, cols: int = 1, precision: str = "float32"
) -> PackedShape:
    """The packed weights as the cost tables see them."""
    nonzero = weights != 0
    used = int(nonzero.any(axis=0).sum())
    if encoding.in_blocks:
        found = count_blocks([cut(nonzero, encoding, layer.in_channels)], encoding, rows)
        name = encoding.name.lower()
        return PackedShape(name, found.values / found.loads, 1, found.blocks, found.loads, used, found.visits)
    values = ValueType.INT8 if precision in INTEGERS else ValueType.FLOAT32
    groups = count_groups(nonzero, encoding, rows, cols, values, layer.in_channels)
    bands = -(-weights.shape[0] // rows)
    lines = bands if encoding == Encoding.ROW_BAND else weights.shape[0] - rows + 1
    name = "row_band" if encoding == Encoding.ROW_BAND else "sliding_row"
    return PackedShape(name, rows, cols, lines, groups.groups, used, filling=groups.filling)
