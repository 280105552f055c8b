# SPDX-License-Identifier: Apache-2.0
"""Operators of 8 bits that XNNPACK leaves to LiteRT's builtin kernels: converted files equal stock LiteRT's bits."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.converter.expand.operators import (
    NONE,
    RELU,
    RELU6,
    RELU_N1_TO_1,
    SAME,
    TANH,
    VALID,
    Dense,
    Maker,
)
from tests.converter.expand.test_expanded_ops import forced, predict
from tests.converter.expand.test_other_integers import refusal
from tests.converter.helpers import convert
from tests.models.builder import model_file
from tests.models.one_op import constant, one_op, run_stock, tfl
from tfprune.converter.graph import Graph
from tfprune.converter.packed_report import packed_operators
from tfprune.formats import Rounding

SIGN_BIT = 5
SEEDS = st.integers(0, 2**16)
SIZES = st.tuples(st.integers(1, 9), st.integers(1, 9))
KERNELS = st.sampled_from([(1, 1), (2, 1), (3, 3), (2, 3)])
IGNORED = st.sampled_from([TANH, SIGN_BIT])
# Channels of whole blocks of eight, of none, and of some with a rest.
CHANNELS = st.sampled_from([1, 3, 8, 12, 16, 21])


def computed_shape(dense: Dense) -> Dense:
    """The file with the output shape packed by an operator, as Keras writes it for a batch of any size."""
    model = tfl.ModelT.InitFromPackedBuf(dense.data, 0)
    (graph,) = model.subgraphs
    (op,) = graph.operators
    sizes = np.frombuffer(bytes(model.buffers[graph.tensors[op.inputs[0]].buffer].data), np.int32)
    scalars = []
    for size in sizes:
        buffer, tensor = tfl.BufferT(), tfl.TensorT()
        buffer.data = np.frombuffer(np.int32(size).tobytes(), np.uint8)
        tensor.name, tensor.shape, tensor.type = f"size_{len(scalars)}", [], tfl.TensorType.INT32
        tensor.hasRank, tensor.buffer = True, len(model.buffers)
        model.buffers.append(buffer)
        graph.tensors.append(tensor)
        scalars.append(len(graph.tensors) - 1)
    shape = tfl.TensorT()
    shape.name, shape.shape, shape.type, shape.buffer, shape.hasRank = "shape", [4], tfl.TensorType.INT32, 0, True
    graph.tensors.append(shape)
    code, pack = tfl.OperatorCodeT(), tfl.OperatorT()
    code.builtinCode = code.deprecatedBuiltinCode = tfl.BuiltinOperator.PACK
    code.version = 1
    model.operatorCodes.append(code)
    pack.opcodeIndex, pack.inputs, pack.outputs = 1, scalars, [len(graph.tensors) - 1]
    pack.builtinOptions, pack.builtinOptionsType = tfl.PackOptionsT(), tfl.BuiltinOptions.PackOptions
    pack.builtinOptions.valuesCount = len(scalars)
    op.inputs = [len(graph.tensors) - 1, *op.inputs[1:]]
    graph.operators = [pack, op]
    return dataclasses.replace(dense, data=model_file(model))


def fully_connected(seed: int, batch: int, rows: int, features: int, zero_point: int, activation: int) -> Dense:
    """An int8 layer whose weights have a zero point."""
    maker = Maker("int8", seed)
    x, random = maker.activation((batch, features)), np.random.default_rng(seed)
    keep = random.random((rows, features)) < 0.4
    keep[0, 0] = False
    values = np.clip(random.integers(-127, 128, (rows, features)) * keep + zero_point, -128, 127)
    weights = constant(values.astype(np.int8), np.float32(random.uniform(0.002, 0.01)), zero_point)
    options = tfl.FullyConnectedOptionsT()
    options.fusedActivationFunction = activation
    bias = maker.bias(weights, rows) if seed % 3 else None
    return maker.dense("FULLY_CONNECTED", options, [x, weights, bias], x, (batch, rows))


def check(dense: Dense, rounding: Rounding, *, same_again: bool = True) -> None:
    """Equal bits, in the kernels of ``rounding``; made dense again, equal or at most a step away."""
    y = run_stock(dense.data, dense.x)
    sparse = forced(dense.data)
    ((*_, packed),) = packed_operators(Graph(sparse))
    assert packed.header.rounding == rounding
    np.testing.assert_array_equal(predict(sparse, dense.x), y)
    restored = run_stock(convert(sparse, target="dense").tflite, dense.x).astype(int)
    assert np.abs(restored - y).max() <= (0 if same_again else 1)


def differ(dense: Dense) -> bool:
    """Whether the operator rounds otherwise than the same one would in XNNPACK: a test of the tests."""
    model = tfl.ModelT.InitFromPackedBuf(dense.data, 0)
    model.subgraphs[0].operators[-1].builtinOptions.fusedActivationFunction = NONE
    return not np.array_equal(run_stock(model_file(model), dense.x), run_stock(dense.data, dense.x))


@given(SEEDS, st.sampled_from(["int8", "uint8"]), SIZES, KERNELS, st.sampled_from([1, 2, 4]), IGNORED, st.booleans())
@settings(max_examples=12, deadline=None)
def test_convolutions_with_an_activation_that_is_ignored(
    seed: int, precision: str, size: tuple[int, int], kernel: tuple[int, int], groups: int, activation: int, odd: bool
) -> None:
    window: dict[str, Any] = {"stride": (2, 1), "dilation": (1, 2)} if odd else {}
    dense = Maker(precision, seed).conv_2d((2, *size, 8), 12, kernel, groups, activation=activation, **window)
    check(dense, Rounding.BUILTIN if groups == 1 else Rounding.BUILTIN_AWAY)


@given(SEEDS, SIZES, KERNELS, st.sampled_from([(1, 1), (2, 2), (2, 3)]), CHANNELS, st.booleans(), st.booleans())
@settings(max_examples=12, deadline=None)
def test_transposed_convolutions_with_a_computed_shape(
    seed: int,
    size: tuple[int, int],
    kernel: tuple[int, int],
    strides: tuple[int, int],
    channels: int,
    padded: bool,
    bias: bool,
) -> None:
    maker = Maker("int8", seed)
    activation = [NONE, RELU, RELU6, RELU_N1_TO_1][seed % 4]
    dense = maker.transpose_conv(
        (2, *size, 8), channels, kernel, strides, padding=SAME if padded else VALID, bias=bias, activation=activation
    )
    check(computed_shape(dense), Rounding.BUILTIN_CHANNELS, same_again=False)


@pytest.mark.parametrize(("kernel", "padding"), [((2, 2), SAME), ((3, 2), SAME), ((1, 1), VALID)])
def test_transposed_convolutions_that_xnnpack_runs(kernel: tuple[int, int], padding: int) -> None:
    check(Maker("int8").transpose_conv((2, 4, 5, 8), 6, kernel, (2, 2), padding=padding), Rounding.XNNPACK)


@pytest.mark.parametrize("kernel", [(1, 3), (3, 1), (1, 1)])
@pytest.mark.parametrize("precision", ["int8", "uint8"])
def test_transposed_convolutions_with_gaps_in_their_output(precision: str, kernel: tuple[int, int]) -> None:
    dense = Maker(precision).transpose_conv((2, 4, 5, 8), 16, kernel, (2, 2))
    check(dense, Rounding.BUILTIN_CHANNELS, same_again=False)


def test_uint8_images_of_whole_blocks_only() -> None:
    maker = Maker("uint8", 1)
    whole = maker.transpose_conv((2, 4, 4, 8), 8, (3, 3), (1, 1))
    check(computed_shape(whole), Rounding.BUILTIN_CHANNELS, same_again=False)
    for channels, size in ((12, 4), (8, 3)):
        dense = maker.transpose_conv((1, size, size, 8), channels, (3, 3), (1, 1))
        assert refusal(computed_shape(dense).data) == "rounding"


@given(SEEDS, SIZES, st.integers(1, 40), CHANNELS, st.booleans(), st.booleans(), st.booleans())
@settings(max_examples=12, deadline=None)
def test_products_with_a_constant_on_the_left(
    seed: int, batch: tuple[int, int], rows: int, out: int, each: bool, stored: bool, moved: bool
) -> None:
    options = {"left": True, "constant_transposed": stored, "activation_transposed": moved}
    dense = Maker("int8", seed).batch_matmul(batch, 2 if each else 0, rows, 16, out, **options)
    check(dense, Rounding.BUILTIN_AWAY, same_again=False)


@given(
    SEEDS,
    st.sampled_from([1, 2, 9]),
    st.sampled_from([1, 3, 4, 33]),
    st.sampled_from([4, 7, 8, 50]),
    st.integers(-128, 127).filter(bool),
    st.sampled_from([NONE, RELU, RELU6, RELU_N1_TO_1]),
)
@settings(max_examples=12, deadline=None)
def test_fully_connected_weights_with_a_zero_point(
    seed: int, batch: int, rows: int, features: int, zero_point: int, activation: int
) -> None:
    check(fully_connected(seed, batch, rows, features, zero_point, activation), Rounding.BUILTIN)


@given(SEEDS, SIZES, st.sampled_from([(1, 4), (3, 2), (7, 3), (8, 1)]), st.booleans())
@settings(max_examples=12, deadline=None)
def test_depthwise_with_an_activation_that_is_ignored(
    seed: int, size: tuple[int, int], channels: tuple[int, int], odd: bool
) -> None:
    window: dict[str, Any] = {"stride": (2, 2)} if odd else {"dilation": (2, 1), "padding": SAME}
    kernel = (3, 2) if channels[1] == 1 else (3, 3)
    shape = (2, *size, channels[0])
    int8, uint8 = Maker("int8", seed), Maker("uint8", seed)
    check(int8.depthwise(shape, channels[1], kernel, activation=TANH, **window), Rounding.BUILTIN_CHANNELS)
    check(uint8.depthwise(shape, channels[1], kernel, activation=TANH, **window), Rounding.BUILTIN_AWAY)
    check(uint8.depthwise(shape, channels[1], kernel, activation=RELU, **window), Rounding.XNNPACK)


def test_depthwise_whose_multiplier_is_not_that_of_its_shapes() -> None:
    dense = Maker("int8", 1).depthwise((1, 5, 4, 16), 4, (5, 5), padding=SAME)
    model = tfl.ModelT.InitFromPackedBuf(bytearray(dense.data), 0)

    def with_multiplier(multiplier: int) -> Dense:
        model.subgraphs[0].operators[0].builtinOptions.depthMultiplier = multiplier
        return dataclasses.replace(dense, data=model_file(model))

    check(with_multiplier(0), Rounding.BUILTIN_CHANNELS)
    assert convert(with_multiplier(3).data).report.layers[0].reason_code == "malformed"


def test_the_kernels_of_these_operators_do_round_otherwise() -> None:
    assert differ(Maker("int8", 1).conv_2d((2, 17, 17, 16), 32, (3, 3), 1, activation=TANH))
    assert differ(Maker("int8", 2).conv_2d((2, 17, 17, 16), 32, (3, 3), 4, activation=TANH))


def test_scales_that_the_builtin_kernels_do_not_take_are_refused() -> None:
    x, options = Maker("int8").activation((2, 8), scale=1.0), tfl.FullyConnectedOptionsT()
    values = np.random.default_rng(0).integers(-9, 9, (6, 8)).astype(np.int8)
    for scale, code in ((1.0, ""), (200.0, "quantization")):
        weights = constant(values, np.float32(scale), 3)
        assert (
            refusal(one_op("FULLY_CONNECTED", options, [x, weights, None], dataclasses.replace(x, shape=(2, 6))))
            == code
        )


def test_weights_of_convolutions_have_no_zero_point() -> None:
    dense = Maker("int8", 3).conv_2d((1, 6, 6, 8), 8, (3, 3), 1)
    model = tfl.ModelT.InitFromPackedBuf(dense.data, 0)
    (op,) = model.subgraphs[0].operators
    model.subgraphs[0].tensors[op.inputs[1]].quantization.zeroPoint = np.full(8, 5, np.int64)
    assert refusal(model_file(model)) == "quantization"


@pytest.mark.parametrize(("precision", "part"), [("int8", "input"), ("int8", "output"), ("uint8", "weights")])
def test_a_quantized_dimension_that_xnnpack_declines(precision: str, part: str) -> None:
    dense = Maker(precision, 5).transpose_conv((1, 4, 3, 32), 24, (3, 3), (2, 2), padding=1)
    model = tfl.ModelT.InitFromPackedBuf(dense.data, 0)
    (op,) = model.subgraphs[0].operators
    tensor = {"input": op.inputs[2], "output": op.outputs[0], "weights": op.inputs[1]}[part]
    assert refusal(model_file(model)) == ""
    model.subgraphs[0].tensors[tensor].quantization.quantizedDimension = 2
    changed = model_file(model)
    assert refusal(changed) == "quantization"
    # Otherwise it need not be refused.
    assert not runs_in_xnnpack(changed)
    assert runs_in_xnnpack(dense.data)


def runs_in_xnnpack(data: bytes) -> bool:
    """Whether stock LiteRT hands the file's operator over."""
    interpreter = Interpreter(model_content=data)
    interpreter.allocate_tensors()
    return any(op["op_name"] == "DELEGATE" for op in interpreter._get_ops_details())
