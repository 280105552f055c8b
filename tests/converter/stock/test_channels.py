# SPDX-License-Identifier: Apache-2.0
"""Channels through the graph: which go, which stay and why, and that outputs stay equal."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tfl

from tests.converter.stock.graphs import Network, assert_same, shrunk
from tests.models.builder import NONE, RELU, SAME, TANH, VALID
from tfprune.converter.stock.channels.activations import requantize

PRECISIONS = ["float32", "float16", "int8", "uint8", "int16"]
rng = np.random.default_rng(5)


def weights(out: int, size: int, inputs: int, empty: int = 0, unread: int = 0) -> np.ndarray:
    """The first ``empty`` filters and the first ``unread`` input channels are zero."""
    values = np.random.default_rng(out + size).normal(size=(out, size, size, inputs)) / np.sqrt(size * size * inputs)
    values[:empty] = 0
    values[..., :unread] = 0
    return values


def encodings(data: bytes, exact: bool = False) -> list[str | None]:
    after, layers = shrunk(data)
    assert_same(data, after, exact)
    return [layer.encoding for layer in layers]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_unread_channels_go_whatever_they_hold(precision: str) -> None:
    net = Network(precision, (1, 6, 6, 8), 0)
    y = net.conv(net.x, weights(16, 3, 8), np.ones(16), activation=RELU)
    data = net.build(net.conv(y, weights(4, 3, 16, unread=6), np.ones(4)))
    # XNNPACK adds the products of a filter in the same order.
    assert encodings(data, exact=True) == ["filters 16 to 10", "inputs 16 to 10"]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_zeros_go_even_where_images_are_padded(precision: str) -> None:
    net = Network(precision, (1, 6, 6, 8), 0)
    y = net.conv(net.x, weights(16, 3, 8, empty=5), -np.ones(16), activation=RELU)
    assert encodings(net.build(net.conv(y, weights(4, 3, 16), np.ones(4)))) == ["filters 16 to 11", "inputs 16 to 11"]


@pytest.mark.parametrize("precision", PRECISIONS[:-1])
@pytest.mark.parametrize("size", [1, 3])
def test_constants_become_part_of_the_bias(precision: str, size: int) -> None:
    net = Network(precision, (1, 6, 6, 8), 0)
    bias = np.linspace(-0.9, 1.8, 16)
    y = net.conv(net.x, weights(16, 3, 8, empty=5), bias, activation=NONE)
    options = {"padding": VALID} if size > 1 else {}
    data = net.build(net.conv(y, weights(4, size, 16), np.zeros(4), **options))
    assert encodings(data) == ["filters 16 to 11", "inputs 16 to 11"]


def test_of_constants_before_a_padding_one_stays() -> None:
    net = Network("float32", (1, 6, 6, 8), 0)
    y = net.conv(net.x, weights(16, 3, 8, empty=5), np.linspace(0.5, 2, 16))
    data = net.build(net.conv(y, weights(4, 3, 16), np.zeros(4)))
    assert encodings(data) == ["filters 16 to 12", "inputs 16 to 12"]


def test_int8_constants_before_a_padding_stay_with_a_reason() -> None:
    net = Network("int8", (1, 6, 6, 8), 0)
    y = net.conv(net.x, weights(16, 3, 8, empty=5), np.linspace(0.5, 2, 16))
    data = net.build(net.conv(y, weights(4, 3, 16), np.zeros(4)))
    after, layers = shrunk(data)
    assert layers[0].reason_code == "kernel_positions"
    assert "5 empty filters stay: they have one value everywhere" in (layers[0].reason or "")
    assert_same(data, after, exact=True)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_residuals_are_respected(precision: str) -> None:
    """Of the three channels that are empty in one branch, two are in the other."""
    net = Network(precision, (1, 6, 6, 8), 0)
    first = net.conv(net.x, weights(8, 1, 8, empty=2), -np.ones(8), activation=RELU)
    second = net.conv(first, weights(8, 3, 8, empty=3), -np.ones(8), activation=RELU)
    total = net.add(first, second, RELU)
    data = net.build(net.conv(total, weights(4, 3, 8), np.zeros(4)))
    assert encodings(data) == ["filters 8 to 6", "inputs 8 to 6, filters 8 to 6", "inputs 8 to 6"]


def test_a_residual_from_the_input_holds_all() -> None:
    net = Network("float32", (1, 6, 6, 8), 0)
    y = net.conv(net.x, weights(8, 3, 8, empty=3), np.zeros(8))
    _, layers = shrunk(net.build(net.conv(net.add(net.x, y), weights(4, 3, 8), np.zeros(4))))
    assert [layer.verdict for layer in layers] == ["dense", "dense"]
    assert "3 empty filters stay: the channels come from outside" in (layers[0].reason or "")


@pytest.mark.parametrize("precision", PRECISIONS)
def test_outputs_of_the_model_keep_their_shape(precision: str) -> None:
    net = Network(precision, (1, 6, 6, 8), 0)
    data = net.build(net.conv(net.x, weights(16, 1, 8, empty=5), np.ones(16)))
    after, layers = shrunk(data)
    assert layers[0].reason_code == "output"
    assert_same(data, after, exact=True)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_concatenation_depthwise_pooling_and_padding(precision: str) -> None:
    net = Network(precision, (1, 9, 9, 4), 0)
    a = net.conv(net.x, weights(8, 1, 4, empty=3), -np.ones(8), activation=RELU)
    b = net.conv(net.x, weights(6, 3, 4, empty=2), -np.ones(6), activation=RELU)
    y = net.concat([a, b])
    y = net.pool(net.pad(y, [[0, 0], [1, 0], [0, 1], [0, 0]]), tfl.BuiltinOperator.MAX_POOL_2D)
    y = net.depthwise(y, np.random.default_rng(0).normal(size=(1, 3, 3, 28)) / 3, -0.1 * np.ones(28), activation=RELU)
    data = net.build(net.conv(y, weights(4, 1, 28), np.zeros(4)))
    assert encodings(data) == ["filters 8 to 5", "filters 6 to 4", "channels 28 to 18", "inputs 28 to 18"]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("batch", [False, True])
def test_flattened_channels(precision: str, batch: bool) -> None:
    net = Network(precision, (1, 3, 5, 4), 0, batch)
    y = net.conv(net.x, weights(8, 3, 4, empty=3), np.linspace(-1, 1, 8))
    y = net.reshape(y, [1, 3 * 5 * 8])
    data = net.build(net.dense(y, np.random.default_rng(0).normal(size=(6, 120)) / 11, np.ones(6)))
    assert encodings(data) == ["filters 8 to 5", "inputs 120 to 75"]
    assert_same(data, shrunk(data)[0], batch=4 if batch else None)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_dense_units(precision: str) -> None:
    net = Network(precision, (1, 16), 0)
    first = np.random.default_rng(0).normal(size=(12, 16)) / 4
    first[:5] = 0
    y = net.dense(net.x, first, np.linspace(-2, 2, 12), RELU)
    data = net.build(net.dense(y, np.random.default_rng(1).normal(size=(3, 12)) / 3, np.zeros(3)))
    assert encodings(data) == ["filters 12 to 7", "inputs 12 to 7"]


def test_constants_that_follow_channels_are_cut_too() -> None:
    """Batch normalization that was not folded: a factor and an offset a channel."""
    net = Network("float32", (1, 6, 6, 4), 0)
    y = net.conv(net.x, weights(8, 1, 4, empty=3), np.zeros(8))
    y = net.multiply(y, net.constant("factor", np.linspace(1, 2, 8)))
    y = net.relu(net.add(y, net.constant("offset", np.linspace(-1, 1, 8).reshape(1, 1, 1, 8))))
    data = net.build(net.conv(y, weights(4, 3, 8), np.zeros(4)))
    assert encodings(data) == ["filters 8 to 5", "inputs 8 to 5"]


def test_a_bias_that_several_layers_share_is_cut_apart() -> None:
    net = Network("float32", (1, 6, 6, 8), 0)
    y = net.conv(net.x, weights(8, 1, 8, empty=3), np.zeros(8))
    z = net.conv(y, weights(8, 1, 8, empty=1), np.zeros(8))
    first, second = net.builder.model.subgraphs[0].operators
    second.inputs[2] = first.inputs[2]
    data = net.build(net.conv(z, weights(4, 1, 8), np.zeros(4)))
    assert encodings(data) == ["filters 8 to 5", "inputs 8 to 5, filters 8 to 7", "inputs 8 to 7"]


def test_one_channel_stays_where_none_is_needed() -> None:
    net = Network("float32", (1, 6, 6, 4), 0)
    y = net.conv(net.x, np.zeros((8, 3, 3, 4)), np.ones(8))
    data = net.build(net.conv(y, weights(4, 1, 8), np.zeros(4)))
    assert encodings(data) == ["kernel 3x3 to 1x1, filters 8 to 1", "inputs 8 to 1"]


def test_what_is_not_understood_holds_its_channels() -> None:
    net = Network("float32", (1, 6, 6, 4), 0)
    y = net.conv(net.x, weights(8, 1, 4, empty=3), np.zeros(8))
    mystery = net.activation("mystery", [1, 6, 6, 8])
    net.builder.operator(net.builder.opcode(tfl.BuiltinOperator.CUSTOM, "Mystery"), [y], [mystery])
    _, layers = shrunk(net.build(net.conv(mystery, weights(4, 1, 8), np.zeros(4))))
    assert "custom Mystery needs all channels" in (layers[0].reason or "")


def test_softmax_over_channels_holds_them() -> None:
    net = Network("float32", (1, 8), 0)
    first = np.ones((6, 8))
    first[:2] = 0
    y = net.dense(net.x, first, np.zeros(6))
    out = net.activation("p", [1, 6])
    options = tfl.SoftmaxOptionsT()
    options.beta = 1.0
    opcode = net.builder.opcode(tfl.BuiltinOperator.SOFTMAX)
    net.builder.operator(opcode, [y], [out], options, tfl.BuiltinOptions.SoftmaxOptions)
    data = net.build(net.dense(out, np.ones((3, 6)), np.zeros(3)))
    after, layers = shrunk(data)
    assert layers[0].reason_code == "operator"
    assert_same(data, after, exact=True)


@pytest.mark.parametrize("precision", ["float32", "int8", "uint8", "int16"])
def test_an_activation_that_is_not_followed(precision: str) -> None:
    """TANH keeps what it makes of a constant to itself; unread channels may go all the same."""
    net = Network(precision, (1, 6, 6, 4), 0)
    if precision == "int8":
        pytest.skip("stock int8 convolutions have no TANH")
    y = net.conv(net.x, weights(8, 1, 4, empty=3), np.ones(8), activation=TANH)
    data = net.build(net.conv(y, weights(4, 1, 8, unread=2), np.zeros(4), padding=SAME))
    assert encodings(data) == ["filters 8 to 6", "inputs 8 to 6"]


def test_run_time_ranges_are_kept() -> None:
    """An operator that quantizes its float32 input by its range may lose zeros only."""
    net = Network("float32", (1, 16), 0)
    y = net.dense(net.x, np.random.default_rng(0).normal(size=(12, 16)) / 4, np.zeros(12))
    second = np.random.default_rng(1).normal(size=(3, 12)) / 3
    second[:, :4] = 0
    data = net.build(net.dense(y, second, np.zeros(3)))
    graph_tensor = net.tensors[net.builder.model.subgraphs[0].operators[1].inputs[1]]
    stored = np.clip(np.rint(second / 0.01), -127, 127).astype(np.int8)
    graph_tensor.type = tfl.TensorType.INT8
    graph_tensor.buffer = net.builder.buffer(stored)
    net.quantize(net.tensors.index(graph_tensor), [0.01], 0)
    code = net.builder.opcode(tfl.BuiltinOperator.FULLY_CONNECTED, version=3)
    net.builder.model.subgraphs[0].operators[1].opcodeIndex = code
    data = net.builder.build()
    after, layers = shrunk(data)
    assert [layer.encoding for layer in layers] == [None, None]
    assert layers[1].reason_code == "run_time_range"
    assert_same(data, after, exact=True)


def test_zeros_of_a_transposed_convolution() -> None:
    net = Network("float32", (1, 4, 4, 4), 0)
    y = net.conv(net.x, weights(8, 1, 4, empty=3), np.zeros(8))
    options = tfl.TransposeConvOptionsT()
    options.padding, options.strideH, options.strideW = SAME, 2, 2
    shape = net.builder.constant("shape", np.array([1, 8, 8, 6], np.int32))
    out = net.activation("up", [1, 8, 8, 6])
    values = net.constant("up/kernel", weights(6, 3, 8, empty=2))
    opcode = net.builder.opcode(tfl.BuiltinOperator.TRANSPOSE_CONV)
    kind = tfl.BuiltinOptions.TransposeConvOptions
    net.builder.operator(opcode, [shape, values, y], [out], options, kind)
    data = net.build(net.conv(out, weights(4, 3, 6), np.zeros(4)))
    assert encodings(data) == ["filters 8 to 5", "inputs 8 to 5, filters 6 to 4", "inputs 6 to 4"]


def test_int16_results_are_known_only_where_every_kernel_rounds_to_them() -> None:
    """Builtin convolutions of int16 have factors of 16 bits, ``m16``, or of 31 ones, or compute in float64."""
    rng = np.random.default_rng(0)
    sums, factors = rng.integers(-(2**24), 2**24, 20_000).astype(np.float64), rng.uniform(2e-5, 1e-2, 20_000)
    found = requantize(sums, factors, 0, 1.0, NONE, -(2**15))
    known = np.isfinite(found)
    assert 0.2 < known.mean() < 0.95
    fractions, exponents = np.frexp(factors)
    shifts = 15 - exponents.astype(np.int64)
    m16 = np.minimum((np.rint(fractions * 2**31).astype(np.int64) + 2**15) >> 16, 2**15 - 1)
    narrow = np.clip((sums.astype(np.int64) * m16 + (1 << (shifts - 1))) >> shifts, -(2**15), 2**15 - 1)
    exact = np.clip(np.rint(sums * factors), -(2**15), 2**15 - 1)
    assert (narrow != exact).any()
    for expected in (narrow, exact):
        np.testing.assert_array_equal(found[known], expected[known])


def test_int16_values_are_known_only_where_16_bits_of_a_factor_are_enough() -> None:
    """Stock int16 convolutions round the factor of their sums: a large value that never changes may be another by 1."""
    for seed in range(20):
        net = Network("int16", (1, 3, 3, 4), seed)
        bias = np.random.default_rng(seed).uniform(2, 6, 12)
        y = net.conv(net.x, weights(12, 1, 4, empty=8), bias)
        data = net.build(net.conv(y, weights(4, 1, 12), np.zeros(4)))
        assert_same(data, shrunk(data)[0], exact=True)


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_a_constant_that_two_operators_read_is_cut_for_both(precision: str) -> None:
    net = Network(precision, (1, 6, 6, 4), 3)
    y = net.conv(net.x, weights(8, 3, 4, empty=3), np.zeros(8), activation=RELU)
    factors = net.constant("factors", np.linspace(0.5, 2, 8).astype(np.float32))
    ends = [net.conv(net.multiply(each, factors), weights(4, 1, 8), np.zeros(4)) for each in (y, net.relu(y))]
    data = net.build(*ends)
    assert encodings(data)[0] == "filters 8 to 5"
    assert_same(data, shrunk(data)[0])
