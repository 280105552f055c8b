# SPDX-License-Identifier: Apache-2.0
"""Operators that XNNPACK leaves to LiteRT's builtin kernels, on aarch64, where some of these round otherwise."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.aarch64.conftest import Guest
from tests.converter.expand.operators import NONE, RELU, RELU6, TANH, Dense, Maker
from tests.converter.expand.test_builtin_kernels import computed_shape, fully_connected
from tests.converter.expand.test_expanded_ops import forced
from tests.runtime.quantized_models import QuantizedLayer, wide_layer
from tfprune.formats import Op, OpSpec

pytestmark = pytest.mark.aarch64

INT8, UINT8 = Maker("int8", 3), Maker("uint8", 4)
CASES: dict[str, Dense] = {
    "convolution": INT8.conv_2d((2, 15, 17, 16), 24, (3, 3), 1, activation=TANH),
    "one pixel": INT8.conv_2d((1, 1, 1, 64), 600, (1, 1), 1, activation=TANH),
    "one pixel, few columns": INT8.conv_2d((1, 1, 1, 7), 600, (1, 1), 1, activation=TANH),
    "grouped": INT8.conv_2d((2, 15, 17, 16), 24, (3, 3), 4, activation=TANH),
    "uint8 convolution": UINT8.conv_2d((2, 15, 17, 16), 24, (3, 3), 1, activation=TANH),
    "depthwise": INT8.depthwise((2, 15, 17, 20), 1, (3, 3), activation=TANH),
    "uint8 depthwise": UINT8.depthwise((2, 15, 17, 20), 1, (5, 3), activation=TANH),
    "transposed": computed_shape(INT8.transpose_conv((2, 9, 11, 16), 16, (3, 3), (2, 2))),
    "transposed, odd channels": computed_shape(
        INT8.transpose_conv((2, 9, 11, 16), 21, (3, 2), (2, 2), activation=RELU)
    ),
    "transposed, few channels": computed_shape(
        INT8.transpose_conv((2, 9, 11, 16), 3, (3, 3), (2, 2), activation=RELU6)
    ),
    "uint8 transposed": computed_shape(UINT8.transpose_conv((2, 8, 8, 16), 16, (3, 3), (1, 1))),
    "product": INT8.batch_matmul((2,), 1, 60, 32, 40, left=True),
    "fully connected": fully_connected(1, 300, 33, 50, -7, NONE),
    "fully connected, one row": fully_connected(2, 1, 900, 50, 9, NONE),
    "fully connected, one short row": fully_connected(3, 1, 900, 7, 9, RELU),
    "fully connected, few outputs": fully_connected(4, 1, 3, 500, 9, NONE),
}


@pytest.mark.parametrize("name", CASES)
def test_packed_ops_equal_the_dense_one_bit_for_bit(name: str, guest: Guest) -> None:
    case = CASES[name]
    dense, _ = guest(case.data, case.x, delegate=False)
    sparse, kernel = guest(forced(case.data), case.x)
    assert kernel.endswith(("int16/neon", "/neon_dotprod"))
    np.testing.assert_array_equal(sparse, dense)


def ties(layer: QuantizedLayer) -> QuantizedLayer:
    """A layer whose biases are its sums where every input is its zero point: each next to a tie of the rounding."""
    known = layer.quantization
    factor = np.float32(known.input_scale) * known.scales / np.float32(known.output_scale)
    halves = np.random.default_rng(0).integers(-120, 120, len(known.scales)) + 0.5
    return dataclasses.replace(layer, bias=np.rint(halves / factor).astype(np.int32))


def test_sums_next_to_ties_of_uint8(guest: Guest) -> None:
    layer = ties(wide_layer(OpSpec(Op.FULLY_CONNECTED, 4000, 16), (2, 16), 7, activations="uint8", bias="int32"))
    x = np.full((2, 16), layer.quantization.input_zero_point, np.uint8)
    dense, _ = guest(layer.dense(), x, delegate=False)
    sparse, _ = guest(layer.sparse(), x)
    np.testing.assert_array_equal(sparse, dense)
