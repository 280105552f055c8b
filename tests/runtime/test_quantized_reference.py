# SPDX-License-Identifier: Apache-2.0
"""The oracle of int8 layers: by hand, and against stock LiteRT's dense ops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter as StockInterpreter

from tests.runtime.quantized_models import QuantizedLayer, quantized_layer
from tfprune.errors import RuntimeInputError
from tfprune.formats import Activation, Encoding, Op, OpSpec, Padding, Quantization, encode
from tfprune.runtime import reference

CONVS = [
    OpSpec(Op.CONV_2D, 24, 16, padding=Padding.SAME),
    OpSpec(Op.CONV_2D, 24, 16, stride_h=2, stride_w=2, padding=Padding.SAME, activation=Activation.RELU),
    OpSpec(Op.CONV_2D, 17, 9, 3, 3, padding=Padding.SAME, activation=Activation.RELU6),
    OpSpec(Op.CONV_2D, 13, 8, 3, 2, 2, 1, padding=Padding.VALID),
    OpSpec(Op.CONV_2D, 8, 5, 3, 3, dilation_h=2, dilation_w=2, padding=Padding.SAME),
]


def stock(model: bytes, x: Any) -> Any:
    interpreter = StockInterpreter(model_content=model, num_threads=1)
    index = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(index, x.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(index, x)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def oracle(layer: QuantizedLayer, x: Any) -> Any:
    run = reference.conv2d if layer.spec.op == Op.CONV_2D else reference.fully_connected
    return run(x, layer.packed(rows=1), layer.bias)


def test_int8_by_hand() -> None:
    spec = OpSpec(Op.FULLY_CONNECTED, 2, 3)
    quantization = Quantization(np.array([0.5, 0.25], np.float32), 0.5, 10, 1.0, -20)
    packed = encode(np.array([[1, 2, 0], [-4, 0, 100]], np.int8), spec, Encoding.ROW_BAND, 1, quantization=quantization)
    x = np.array([[12, 11, 10], [10, 20, 127]], np.int8)
    bias = np.array([1, -2], np.int32)
    # Sums [2 + 2 + 1, -8 - 2] and [20 + 1, 11700 - 2]; factors 0.25 and 0.125; 1.25 -> 1, -1.25 -> -1, 5.25 -> 5.
    np.testing.assert_array_equal(reference.fully_connected(x, packed, bias), [[-19, -21], [-15, 127]])


@pytest.mark.parametrize("spec", CONVS)
def test_int8_convolutions_equal_stock_litert(spec: OpSpec) -> None:
    for seed in range(3):
        layer = quantized_layer(spec, (2, 9, 8, spec.in_channels), seed)
        x = layer.random_input(seed)
        expected = stock(layer.dense(), x)
        assert len(np.unique(expected)) > 30
        np.testing.assert_array_equal(oracle(layer, x), expected)


def test_int8_fully_connected_equals_stock_litert() -> None:
    layer = quantized_layer(OpSpec(Op.FULLY_CONNECTED, 33, 50, activation=Activation.RELU), (7, 50), 1)
    x = layer.random_input()
    np.testing.assert_array_equal(oracle(layer, x), stock(layer.dense(), x))


@pytest.mark.parametrize("spec", [*CONVS, OpSpec(Op.FULLY_CONNECTED, 33, 50)])
def test_dynamic_range_equals_stock_litert(spec: OpSpec) -> None:
    shape = (4, 50) if spec.op == Op.FULLY_CONNECTED else (3, 9, 8, spec.in_channels)
    for seed in range(3):
        layer = quantized_layer(spec, shape, seed, dynamic=True)
        x = layer.random_input(seed)
        expected = stock(layer.dense(), x)
        np.testing.assert_allclose(oracle(layer, x), expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())


def test_types_that_do_not_fit_are_refused() -> None:
    spec = OpSpec(Op.FULLY_CONNECTED, 4, 8)
    int8, dynamic = quantized_layer(spec, (1, 8)), quantized_layer(spec, (1, 8), dynamic=True)
    with pytest.raises(RuntimeInputError, match="x must be int8, got float32"):
        reference.fully_connected(np.zeros((1, 8), np.float32), int8.packed(), int8.bias)
    with pytest.raises(RuntimeInputError, match="x must be float32, got int8"):
        reference.fully_connected(np.zeros((1, 8), np.int8), dynamic.packed(), dynamic.bias)
    with pytest.raises(RuntimeInputError, match="bias must be int32, got float32"):
        reference.fully_connected(np.zeros((1, 8), np.int8), int8.packed(), dynamic.bias)
