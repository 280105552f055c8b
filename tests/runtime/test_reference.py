# SPDX-License-Identifier: Apache-2.0
"""The oracle itself: against answers worked out by hand and against stock LiteRT."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.runtime.tiny_models import TinyLayer, conv_layer, dense_layer
from tfprune.errors import RuntimeInputError
from tfprune.formats import Activation, Encoding, Op, OpSpec, Padding, encode
from tfprune.runtime import reference
from tfprune.runtime.interpreter import Interpreter


def test_convolution_by_hand() -> None:
    spec = OpSpec(Op.CONV_2D, 1, 1, 2, 2, padding=Padding.VALID)
    packed = encode(np.array([[1, 2, 0, -1]], np.float32), spec, Encoding.ROW_BAND, rows=1)
    x = np.arange(9, dtype=np.float32).reshape(1, 3, 3, 1)
    # Top left: 0 * 1 + 1 * 2 - 4 * 1; the window then moves by one.
    np.testing.assert_array_equal(reference.conv2d(x, packed)[0, :, :, 0], [[-2, 0], [4, 6]])
    biased = reference.conv2d(x, packed, np.array([1], np.float32))
    np.testing.assert_array_equal(biased[0, :, :, 0], [[-1, 1], [5, 7]])


def test_same_padding_puts_the_odd_zero_last() -> None:
    spec = OpSpec(Op.CONV_2D, 1, 1, 1, 2, padding=Padding.SAME)
    packed = encode(np.array([[1, 10]], np.float32), spec, Encoding.ROW_BAND, rows=1)
    x = np.array([1, 2, 3], np.float32).reshape(1, 1, 3, 1)
    np.testing.assert_array_equal(reference.conv2d(x, packed).ravel(), [21, 32, 3])


def test_activations_by_hand() -> None:
    x = np.array([[-1, 2, 9]], np.float32)
    for activation, expected in (
        (Activation.NONE, [-1, 2, 9]),
        (Activation.RELU, [0, 2, 9]),
        (Activation.RELU6, [0, 2, 6]),
        (Activation.RELU_N1_TO_1, [-1, 1, 1]),
    ):
        spec = OpSpec(Op.FULLY_CONNECTED, 3, 3, activation=activation)
        packed = encode(np.eye(3, dtype=np.float32), spec, Encoding.ROW_BAND, rows=1)
        np.testing.assert_array_equal(reference.fully_connected(x, packed)[0], expected)


def test_fully_connected_shapes() -> None:
    matrix = np.ones((2, 6), np.float32)
    flat = encode(matrix, OpSpec(Op.FULLY_CONNECTED, 2, 6), Encoding.ROW_BAND, rows=2)
    kept = encode(matrix, OpSpec(Op.FULLY_CONNECTED, 2, 6, keep_num_dims=True), Encoding.ROW_BAND, rows=2)
    assert reference.fully_connected(np.ones((4, 2, 3), np.float32), flat).shape == (4, 2)
    assert reference.fully_connected(np.ones((4, 5, 6), np.float32), flat).shape == (20, 2)
    assert reference.fully_connected(np.ones((4, 5, 6), np.float32), kept).shape == (4, 5, 2)


def test_inputs_that_do_not_fit_are_refused() -> None:
    layer = conv_layer()
    packed = layer.packed()
    with pytest.raises(RuntimeInputError, match=r"\[N, H, W, 8\], got \[1, 7, 7, 9\]"):
        reference.conv2d(np.zeros((1, 7, 7, 9), np.float32), packed)
    with pytest.raises(RuntimeInputError, match=r"bias must have shape \[16\]"):
        reference.conv2d(np.zeros((1, 7, 7, 8), np.float32), packed, np.zeros(3, np.float32))
    with pytest.raises(RuntimeInputError, match="FULLY_CONNECTED"):
        reference.fully_connected(np.zeros((1, 8), np.float32), packed)
    with pytest.raises(RuntimeInputError, match="multiply to 24"):
        reference.fully_connected(np.zeros((1, 23), np.float32), dense_layer().packed())


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    kernel=st.integers(1, 4),
    stride=st.integers(1, 3),
    size=st.integers(4, 9),
    channels=st.integers(1, 9),
    padding=st.sampled_from(Padding),
    activation=st.sampled_from(Activation),
)
def test_convolution_equals_stock_litert(
    seed: int, kernel: int, stride: int, size: int, channels: int, padding: Padding, activation: Activation
) -> None:
    layer = conv_layer(
        seed,
        in_channels=channels,
        kernel=kernel,
        stride=stride,
        size=size,
        padding=padding,
        activation=activation,
        out_channels=5,
    )
    _equals_stock(layer, reference.conv2d, seed)


def test_dilated_convolution_equals_stock_litert() -> None:
    for padding in Padding:
        spec = OpSpec(Op.CONV_2D, 4, 3, 3, 2, dilation_h=2, dilation_w=3, padding=padding)
        matrix = np.random.default_rng(0).standard_normal((4, spec.columns)).astype(np.float32)
        _equals_stock(TinyLayer(spec, matrix, None, (1, 9, 8, 3)), reference.conv2d, 0)


def test_fully_connected_equals_stock_litert() -> None:
    _equals_stock(dense_layer(), reference.fully_connected, 0)


def _equals_stock(layer: TinyLayer, oracle: object, seed: int) -> None:
    x = np.random.default_rng(seed).standard_normal((2, *layer.input_shape[1:])).astype(np.float32)
    assert callable(oracle)
    np.testing.assert_allclose(
        Interpreter(layer.dense()).predict(x), oracle(x, layer.packed(rows=1), layer.bias), rtol=1e-4, atol=1e-4
    )
