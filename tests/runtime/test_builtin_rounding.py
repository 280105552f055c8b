# SPDX-License-Identifier: Apache-2.0
"""Layers that builtin kernels round, and uint8 ones: numpy against stock LiteRT's dense ops, and formulas by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tests.runtime.quantized_models import wide_layer
from tests.runtime.test_quantized_reference import CONVS, oracle, stock
from tfprune.errors import RuntimeInputError
from tfprune.formats import Activation, ActivationType, Op, OpSpec, Quantization
from tfprune.runtime.builtin_rounding import (
    BuiltinRounding,
    int16_rounding,
    quantized_multipliers,
    requantize_builtin,
)

ACTIVATIONS = [Activation.NONE, Activation.RELU, Activation.RELU_N1_TO_1, Activation.RELU6]
#: Types of activations and bias of the convolutions that stock LiteRT runs.
CONV_KINDS = [("int16", "int64"), ("uint8", "int32")]
#: The same for fully-connected ops.
DENSE_KINDS = [("int16", "int64"), ("int16", "int32"), ("int16", None), ("uint8", "int32"), ("uint8", None)]


@pytest.mark.parametrize("spec", CONVS)
@pytest.mark.parametrize("kind", CONV_KINDS)
def test_convolutions_equal_stock_litert(spec: OpSpec, kind: tuple[str, str]) -> None:
    for seed in range(3):
        layer = wide_layer(spec, (2, 9, 8, spec.in_channels), seed, activations=kind[0], bias=kind[1])
        x = layer.random_input(seed)
        expected = stock(layer.dense(), x)
        assert len(np.unique(expected)) > 30
        np.testing.assert_array_equal(oracle(layer, x), expected)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("kind", DENSE_KINDS)
def test_fully_connected_equals_stock_litert(activation: Activation, kind: tuple[str, str | None]) -> None:
    for seed, rows in enumerate((1, 2, 33)):
        spec = OpSpec(Op.FULLY_CONNECTED, rows, 50, activation=activation)
        for batch in (1, 700):
            layer = wide_layer(spec, (batch, 50), seed, activations=kind[0], bias=kind[1])
            x = layer.random_input()
            np.testing.assert_array_equal(oracle(layer, x), stock(layer.dense(), x))


@pytest.mark.parametrize("kind", DENSE_KINDS)
def test_a_million_values(kind: tuple[str, str | None]) -> None:
    """Formulas that differ do so in one value of thousands."""
    spec = OpSpec(Op.FULLY_CONNECTED, 100, 16)
    layer = wide_layer(spec, (10_000, 16), 5, activations=kind[0], bias=kind[1], kept=0.8)
    x = layer.random_input()
    np.testing.assert_array_equal(oracle(layer, x), stock(layer.dense(), x))


def test_formulas_by_hand() -> None:
    sums = np.array([3, -3, 5, -5, 4, 0, 1 << 20], np.int64)[:, None]
    half = Quantization(np.ones(1, np.float32), 0.5, 0, 1.0, 0, ActivationType.INT16)
    for rounding in BuiltinRounding:
        negative = [-2, -3] if rounding == BuiltinRounding.DOUBLE else [-1, -2]
        expected = [2, negative[0], 3, negative[1], 2, 0, 32767]
        found = requantize_builtin(sums, [rounding], Op.CONV_2D, half, Activation.NONE)
        np.testing.assert_array_equal(found[:, 0], expected)
    # Exact quarters: the first rounding leaves them alone, and the second one sees ties.
    quarter = Quantization(np.ones(3, np.float32), 0.25, 0, 1.0, 5, ActivationType.INT8)
    each = [BuiltinRounding.ONCE, BuiltinRounding.TWICE, BuiltinRounding.TWICE_AWAY]
    for total, expected in ((6, [7, 7, 7]), (-6, [4, 4, 3]), (-7, [3, 4, 3]), (2000, [127, 127, 127])):
        found = requantize_builtin(np.full((1, 3), total), each, Op.CONV_2D, quarter, Activation.NONE)
        np.testing.assert_array_equal(found, [expected])
    multiplier, shift = quantized_multipliers(np.array([0.75, 1.0, 0.99999999999, 1e-12]))
    np.testing.assert_array_equal(multiplier, [0x60000000, 0x40000000, 0x40000000, 0])
    np.testing.assert_array_equal(shift, [0, 1, 1, 0])


def test_what_has_no_formula_is_refused() -> None:
    with pytest.raises(RuntimeInputError, match="bias must be int64 or absent, got int32"):
        int16_rounding(Op.CONV_2D, "int32", wide_x86=True)
    with pytest.raises(RuntimeInputError, match="must be below 128, got 200"):
        quantized_multipliers(np.array([0.5, 200.0]))
