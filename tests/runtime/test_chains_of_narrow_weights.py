# SPDX-License-Identifier: Apache-2.0
"""Chains of layers: float16 constants join them, widened; int8 weights stay outside, each layer an op of its own."""

from __future__ import annotations

import ctypes
from typing import Any

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

import tfprune as tp
from tests.converter.helpers import convert
from tests.models.builder import RELU, VALID, ModelBuilder, model_file
from tests.runtime.chain_files import ChainBuilder, check, compare, image, ours, sparse_file, stock
from tfprune.formats import Encoding, Quantization, decode, encode, read
from tfprune.runtime.library import load_library

layers = keras.layers


@pytest.fixture(scope="module")
def sparse() -> bytes:
    """Two pointwise convolutions with a depthwise one between them, float32: a chain."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((9, 9, 16), batch_size=1),
            layers.Conv2D(32, 1, activation="relu"),
            layers.DepthwiseConv2D(3, padding="same"),
            layers.Conv2D(16, 1),
        ]
    )
    for layer in (model.layers[0], model.layers[2]):
        kernel, bias = layer.get_weights()
        kernel *= tp.select(kernel, tp.patterns.Groups(rows=4, aligned=True), 0.75, layout="conv2d")
        layer.set_weights([kernel, bias])
    converted = convert(model, min_speedup=1e-9)
    assert [layer.verdict for layer in converted.report.layers].count("sparse") == 2
    return bytes(converted.tflite)


def repacked(data: bytes, dtype: str) -> bytes:
    """The file with packed weights of another type; ``"rounded"`` are float32 ones that float16 holds exactly."""
    model = schema.ModelT.InitFromPackedBuf(data, 0)
    graph = model.subgraphs[0]
    for op in graph.operators:
        if not (model.operatorCodes[op.opcodeIndex].customCode or b"").startswith(b"Tfprune"):
            continue
        tensor = graph.tensors[op.inputs[1]]
        packed = np.asarray(model.buffers[tensor.buffer].data, np.uint8)
        spec, matrix, quantization = read(packed).header.spec, decode(packed), None
        values: Any = matrix.astype(np.float16)
        if dtype == "rounded":
            values = values.astype(np.float32)
        elif dtype == "int8":
            scales = np.abs(matrix).max(axis=1) / 127 + np.float32(1e-9)
            values, quantization = np.round(matrix / scales[:, None]).astype(np.int8), Quantization(scales)
        content = encode(values, spec, Encoding.ROW_BAND, 4, quantization=quantization)
        buffer = schema.BufferT()
        buffer.data = content
        model.buffers.append(buffer)
        tensor.buffer, tensor.shape = len(model.buffers) - 1, np.array(content.shape, np.int32)
    return model_file(model)


def run(data: bytes, chains: str) -> tuple[np.ndarray, list[tuple[int, str]]]:
    """The answer, and of each layer that the delegate ran the number of its op and its kernel."""
    delegate = tp.delegate(chains=chains)
    interpreter = Interpreter(model_content=data, num_threads=1, experimental_delegates=[delegate])
    interpreter.allocate_tensors()
    details = interpreter.get_input_details()[0]
    x = np.random.default_rng(3).standard_normal(details["shape"]).astype(np.float32)
    interpreter.set_tensor(details["index"], x)
    interpreter.invoke()
    describe = ctypes.CDLL(str(load_library().path)).tfprune_describe
    describe.argtypes, describe.restype = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t), ctypes.c_size_t
    text = ctypes.create_string_buffer(4096)
    describe(delegate._get_native_delegate_pointer(), text, len(text))
    rows = [line.split("\t") for line in text.value.decode().splitlines()]
    answer: np.ndarray = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    return answer, [(int(row[0]), row[2]) for row in rows]


def test_float16_weights_join_a_chain(sparse: bytes) -> None:
    expected, _ = run(repacked(sparse, "rounded"), "1")
    answer, ran = run(repacked(sparse, "float16"), "1")
    assert {op for op, _ in ran} == {0}
    assert [kernel.split("/")[0] for _, kernel in ran][1:4] == ["row_band", "depthwise_3x3_s1", "row_band"]
    np.testing.assert_array_equal(answer, expected)


def test_int8_weights_stay_out_of_chains(sparse: bytes) -> None:
    expected, _ = run(sparse, "1")
    answer, ran = run(repacked(sparse, "int8"), "1")
    assert [op for op, _ in ran] == [0, 1]
    alone, _ = run(repacked(sparse, "int8"), "0")
    np.testing.assert_array_equal(answer, alone)
    assert np.abs(answer - expected).max() < 0.05 * np.abs(expected).max()


def halved(dense: bytes, *, first: bool = False, shared: bool = False) -> bytes:
    """The file with the constants of depthwise layers as halves, each behind a ``DEQUANTIZE``.

    ``first``: all of these stand in front of the others, as some exporters write them; ``shared``: layers whose
    constants are equal in shape share the first one's.
    """
    builder = ModelBuilder()
    builder.model = model = schema.ModelT.InitFromPackedBuf(bytearray(dense), 0)
    graph = model.subgraphs[0]
    operators, known = list(graph.operators), {}
    for op in operators:
        if model.operatorCodes[op.opcodeIndex].builtinCode != schema.BuiltinOperator.DEPTHWISE_CONV_2D:
            continue
        for place in (1, 2):
            tensor = graph.tensors[op.inputs[place]]
            shape = tuple(int(size) for size in tensor.shape)
            if not shared or shape not in known:
                values = np.frombuffer(bytes(model.buffers[tensor.buffer].data), np.float32).astype(np.float16)
                source, known[shape] = (
                    builder.constant("halves", values.reshape(shape)),
                    builder.tensor("widened", shape),
                )
                code = builder.opcode(schema.BuiltinOperator.DEQUANTIZE, version=3)
                kind = schema.BuiltinOptions.DequantizeOptions
                builder.operator(code, [source], [known[shape]], schema.DequantizeOptionsT(), kind)
                widening = graph.operators.pop()
                graph.operators.insert(0 if first else graph.operators.index(op), widening)
            op.inputs[place] = known[shape]
    return builder.build()


def mobile() -> bytes:
    """Two depthwise layers with a PAD before one of them, between sparse convolutions."""
    builder = ChainBuilder()
    y = builder.sparse(builder.x, 12)
    y = builder.depthwise(builder.pad(y, [[0, 1], [0, 1]]), padding=VALID)
    y = builder.sparse(y, 12)
    y = builder.depthwise(y, activation=RELU)
    return builder.finish(builder.sparse(y, 8))


@pytest.mark.parametrize("first", [False, True], ids=["before_each", "in_front"])
@pytest.mark.parametrize("shared", [False, True], ids=["own", "shared"])
@pytest.mark.parametrize("num_threads", [1, 2])
def test_layers_whose_constants_are_widened_stay_in_the_chain(first: bool, shared: bool, num_threads: int) -> None:
    dense = halved(mobile(), first=first, shared=shared)
    run = check(dense, num_threads=num_threads)
    assert len({layer.op for layer in run.layers}) == 1
    assert sum(layer.kernel.startswith("depthwise") for layer in run.layers) == 2
    assert all(layer.chained for layer in run.layers)


def test_widened_constants_that_a_layer_outside_of_the_chain_reads_are_right_for_both() -> None:
    builder = ChainBuilder()
    y = builder.sparse(builder.depthwise(builder.sparse(builder.x, 12)), 12)
    dense = halved(builder.finish(builder.depthwise(builder.unary(y))), shared=True)
    check(dense)
    check(dense, chains="0")


def test_widened_constants_that_are_outputs_are_not_claimed() -> None:
    """XNNPACK never writes such outputs, also without tfprune, so only the first is compared."""
    builder = ModelBuilder()
    builder.model = model = schema.ModelT.InitFromPackedBuf(bytearray(halved(mobile())), 0)
    graph = model.subgraphs[0]
    widened = [op.outputs[0] for op in graph.operators if len(op.inputs) == 1]
    graph.outputs = np.array([*graph.outputs, widened[0]], np.int32)
    dense = builder.build()
    x = image(dense)
    run_ = ours(sparse_file(dense), x)
    compare(run_.outputs[:1], stock(dense, x)[:1])
    assert not run_.chained


def test_widened_constants_survive_a_resize() -> None:
    dense = halved(mobile())
    for batch in (1, 3):
        check(dense, image(dense, batch=batch))
    check(dense, image(dense, size=(17, 9)))
