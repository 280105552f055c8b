# SPDX-License-Identifier: Apache-2.0
"""Blocks of integers: stored as blocks where that is smaller, priced as the single weights that they run as."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

import tfprune
from tests.converter.helpers import packed_weights
from tests.runtime.quantized_models import quantized_layer, wide_layer
from tfprune.formats import Encoding, Op, OpSpec, Padding, ValueType, count_groups
from tfprune.sparsity.layouts import to_matrix
from tfprune.sparsity.patterns import BlockRowsColumns
from tfprune.sparsity.select import select

SPEC = OpSpec(Op.CONV_2D, 64, 48, 3, 3, padding=Padding.SAME)
SHAPE = (1, 9, 8, 48)


def pruned(layer: Any) -> Any:
    kernel = np.random.default_rng(3).standard_normal((3, 3, 48, 64)).astype(np.float32)
    mask = to_matrix(select(kernel, BlockRowsColumns(16, 16), 0.8), "conv2d").reshape(64, -1)
    zero = layer.quantization.weight_zero_point
    matrix = np.where(layer.matrix == zero, zero + 3, layer.matrix)
    return dataclasses.replace(layer, matrix=np.where(mask, matrix, zero).astype(layer.matrix.dtype))


@pytest.mark.parametrize("activations", ["int8", "uint8", "int16"])
def test_blocks_of_integers_are_chosen_by_size_and_bit_equal(activations: str) -> None:
    if activations == "int8":
        layer = pruned(quantized_layer(SPEC, SHAPE))
    else:
        bias = "int64" if activations == "int16" else "int32"
        layer = pruned(wide_layer(SPEC, SHAPE, activations=activations, bias=bias))
    dense = layer.dense()
    converted = tfprune.convert(dense, min_speedup=0.01)
    packed = packed_weights(converted.tflite)
    assert packed.header.encoding == Encoding.BLOCK_ROWS
    nonzero = layer.matrix != layer.quantization.weight_zero_point
    single = count_groups(nonzero, Encoding.ROW_BAND, 1, 1, ValueType(packed.header.value_type), SPEC.in_channels)
    assert packed.header.total_bytes < 0.95 * single.size
    report = tfprune.verify(dense, converted.tflite, layer.random_input(), rtol=0.0)
    assert report.ok, report
