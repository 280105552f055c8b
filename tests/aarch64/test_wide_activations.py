# SPDX-License-Identifier: Apache-2.0
"""Layers with int16 and uint8 activations on aarch64, where LiteRT's matrix product rounds otherwise than on x86."""

from __future__ import annotations

import numpy as np
import pytest

from tests.aarch64.conftest import Guest
from tests.runtime.quantized_models import wide_layer
from tests.runtime.test_builtin_rounding import CONV_KINDS, DENSE_KINDS
from tfprune.formats import Activation, Encoding, Op, OpSpec, Padding

pytestmark = pytest.mark.aarch64

CONV = OpSpec(Op.CONV_2D, 40, 24, 3, 3, padding=Padding.SAME)
DENSE = OpSpec(Op.FULLY_CONNECTED, 96, 64, activation=Activation.RELU)


@pytest.mark.parametrize(
    ("spec", "shape", "activations", "bias"),
    [
        *((CONV, (1, 20, 19, 24), *kind) for kind in CONV_KINDS),
        *((DENSE, (200, 64), *kind) for kind in DENSE_KINDS),
        (DENSE, (1, 64), "int16", None),
    ],
)
def test_packed_ops_equal_the_dense_one_bit_for_bit(
    spec: OpSpec, shape: tuple[int, ...], activations: str, bias: str | None, guest: Guest
) -> None:
    layer = wide_layer(spec, shape, 3, activations=activations, bias=bias)
    x = layer.random_input(1)
    dense, _ = guest(layer.dense(), x, delegate=False)
    sparse, kernel = guest(layer.sparse(layer.packed(Encoding.SLIDING_ROW, 3)), x)
    assert kernel.endswith("int16/neon")
    np.testing.assert_array_equal(sparse, dense)
