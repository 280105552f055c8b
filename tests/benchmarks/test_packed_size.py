# SPDX-License-Identifier: Apache-2.0
"""The packed size of ordinary layers is near what there is to store."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest

from tfprune.formats import Encoding, Op, OpSpec, Quantization, ValueType, encode

Load = Callable[[str], ModuleType]
PACKINGS = [(rows, cols, aligned) for rows, cols in ((4, 1), (8, 1), (1, 4)) for aligned in (True, False)]


def check(sizes: ModuleType, kernel: tuple[int, ...], packing: tuple[int, int, bool]) -> None:
    for sparsity in sizes.SPARSITIES:
        nonzero = sizes.pruned(kernel, sizes.Packing(*packing), sparsity)
        assert np.count_nonzero(nonzero) == pytest.approx((1 - sparsity) * nonzero.size, rel=0.001)
        for value_type, limit in sizes.LIMITS.items():
            ratio = sizes.size_ratio(nonzero, sizes.Packing(*packing), value_type, kernel[-2])
            assert 1 <= ratio <= limit, f"{kernel} {packing} {sparsity} {value_type.name}: {ratio:.4f}"


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("kernel", [(256, 256), (3, 3, 64, 64)])
def test_layers_take_little_more_than_values_and_information(
    load: Load, kernel: tuple[int, ...], packing: tuple[int, int, bool]
) -> None:
    check(load("packed_size"), kernel, packing)


@pytest.mark.slow
@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("kernel", [(2048, 1000), (1, 1, 512, 128), (3, 3, 512, 512)])
def test_large_layers_take_little_more(load: Load, kernel: tuple[int, ...], packing: tuple[int, int, bool]) -> None:
    check(load("packed_size"), kernel, packing)


def test_information_is_the_number_of_placements(load: Load) -> None:
    sizes = load("packed_size")
    assert sizes.log2_choices(10, 4) == pytest.approx(math.log2(math.comb(10, 4)))
    aligned = np.zeros((8, 4), bool)
    aligned[:4, [0, 2]] = True
    # Two of eight cells; two places for one group of four in a column of five, in each of three.
    assert sizes.information_bytes(aligned, sizes.Packing(4, 1, True)) == pytest.approx(math.log2(28) / 8)
    unaligned = np.zeros((5, 4), bool)
    unaligned[1:, :3] = True
    assert sizes.information_bytes(unaligned, sizes.Packing(4, 1, False)) == pytest.approx(3 / 8)


def test_the_size_is_that_of_the_bytes(load: Load) -> None:
    sizes = load("packed_size")
    packing = sizes.Packing(4, 1, False)
    nonzero = sizes.pruned((64, 64), packing, 0.75)
    spec = OpSpec(Op.FULLY_CONNECTED, 64, 64)
    scales = Quantization(np.ones(64, np.float32))
    packed = encode(nonzero.astype(np.int8), spec, Encoding.SLIDING_ROW, 4, quantization=scales)
    stored = int(nonzero.sum()) + 4 * 64 + sizes.information_bytes(nonzero, packing)
    assert sizes.size_ratio(nonzero, packing, ValueType.INT8, 64) == pytest.approx(len(packed) / stored)
