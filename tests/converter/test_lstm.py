# SPDX-License-Identifier: Apache-2.0
"""Fused LSTMs: converted, equal over runs that go on from each other's state, refused with a reason, and restored."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tfl
from ai_edge_litert.interpreter import Interpreter

import tfprune
from tests.converter.helpers import convert, names, operators
from tests.models.builder import NONE
from tests.models.recurrent import LstmFile
from tfprune.converter.graph import Graph
from tfprune.converter.schema import write_model
from tfprune.errors import AlreadyConvertedError, ModelError
from tfprune.runtime.delegate import delegate


def runs(data: bytes, xs: list[np.ndarray], threads: int = 1, reset: bool = False, **options: str) -> list[np.ndarray]:
    """Outputs of one interpreter for one input after the other."""
    delegates = [delegate(**options)] if any(name.startswith("Tfprune") for name in names(data)) else []
    interpreter = Interpreter(model_content=data, num_threads=threads, experimental_delegates=delegates)
    interpreter.allocate_tensors()
    outputs = []
    for x in xs:
        if reset:
            interpreter.reset_all_variables()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
        interpreter.invoke()
        outputs.append(np.array(interpreter.get_tensor(interpreter.get_output_details()[0]["index"])))
    return outputs


def inputs(file: LstmFile, count: int = 3) -> list[np.ndarray]:
    rng = np.random.default_rng(7)
    shape = (file.steps, file.batch) if file.time_major else (file.batch, file.steps)
    return [2 * rng.standard_normal((*shape, file.features)).astype(np.float32) for _ in range(count)]


FILES = {
    "plain": LstmFile(),
    "batch": LstmFile(batch=3, steps=7),
    "time_major": LstmFile(batch=2, time_major=True),
    "large_batch": LstmFile(batch=18, steps=2, features=40),
    "one_step": LstmFile(steps=1),
    "clipped": LstmFile(cell_clip=0.2),
    "no_clip": LstmFile(cell_clip=0.0),
    "halves": LstmFile(halves=True, batch=2),
    "odd_sizes": LstmFile(units=37, features=19, steps=9),
    "stacked": LstmFile(layers=2),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("threads", [1, 3])
def test_it_equals_the_dense_one_run_after_run(name: str, threads: int) -> None:
    file = FILES[name]
    data = file.build()
    converted = convert(data, min_speedup=0.01)
    assert names(converted.tflite) == ["TfpruneLSTM"] * file.layers
    assert len(converted.tflite) < len(data)
    xs = inputs(file)
    expected = runs(data, xs)
    for want, got in zip(expected, runs(converted.tflite, xs, threads), strict=True):
        np.testing.assert_allclose(got, want, atol=1e-5)
    # The state goes on: the same input again has another output.
    assert np.abs(expected[0] - runs(data, [xs[0], xs[0]])[1]).max() > 1e-3


def test_threads_and_chains_do_not_change_a_byte_and_every_arch_agrees() -> None:
    file = FILES["batch"]
    data = convert(file.build(), min_speedup=0.01).tflite
    xs = inputs(file)
    one = runs(data, xs)
    for got in (runs(data, xs, threads=4), runs(data, xs, chains="0")):
        assert [each.tobytes() for each in got] == [each.tobytes() for each in one]
    for want, got in zip(one, runs(data, xs, arch="reference"), strict=True):
        np.testing.assert_allclose(got, want, atol=1e-5)


def test_the_delegate_lists_it_as_one_layer() -> None:
    interpreter = tfprune.Interpreter(convert(FILES["stacked"].build(), min_speedup=0.01).tflite)
    interpreter.predict(inputs(FILES["stacked"])[0])
    layers = interpreter.delegate_layers()
    assert [layer.node for layer in layers] == [0, 1]
    assert all(layer.kernel.startswith("lstm/") and not layer.chained for layer in layers)
    assert all(layer.weights_in_place > 0 for layer in layers)


def test_states_are_reset_as_in_stock_litert() -> None:
    file = FILES["plain"]
    data = file.build()
    xs = inputs(file, 1) * 2
    first, again = runs(convert(data, min_speedup=0.01).tflite, xs, reset=True)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_allclose(first, runs(data, xs, reset=True)[1], atol=1e-5)


REFUSED = {
    "peephole": (LstmFile(extra=(9, 10, 11)), "lstm_form", "peephole"),
    "projection": (LstmFile(extra=(17,)), "lstm_form", "projection"),
    "layer_norm": (LstmFile(extra=(20, 21, 22, 23)), "lstm_form", "layer normalisation"),
    "coupled": (LstmFile(coupled=True), "lstm_form", "coupled"),
    "diagonal": (LstmFile(diagonal=True), "lstm_form", "diagonal"),
    "activation": (LstmFile(activation=NONE), "activation", "TANH"),
    "dense_state": (LstmFile(recurrent_sparsity=0.0), "no_zeros", "recurrent weights"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_kernel_stays_with_its_reason(name: str) -> None:
    file, code, words = REFUSED[name]
    data = file.build()
    converted = convert(data, min_speedup=0.01)
    assert converted.tflite == data
    assert {layer.reason_code for layer in converted.report.layers} == {code}
    assert words in str(converted.report.layers[0].reason)


@pytest.mark.parametrize("place", [0, 18, 19, -1])
def test_float_activations_with_a_scale_stay_dense(place: int) -> None:
    graph = Graph(LstmFile().build())
    quantized(place)(graph, graph.model.subgraphs[0].operators[0])
    data = write_model(graph.model)
    converted = convert(data, min_speedup=0.01)
    assert converted.tflite == data
    assert {layer.reason_code for layer in converted.report.layers} == {"quantization"}


def test_both_matrices_are_reported_and_decided_together() -> None:
    data = LstmFile(units=64, features=64, batch=16, steps=4).build()
    layers = convert(data, min_speedup=0.01).report.layers
    assert [layer.name for layer in layers] == ["lstm0/input", "lstm0/recurrent"]
    assert [layer.shape for layer in layers] == [(256, 64), (256, 64)]
    assert [layer.dense_macs for layer in layers] == [256 * 64 * 16 * 4] * 2
    assert all(layer.verdict == "sparse" and layer.sparsity > 0.7 for layer in layers)
    refused = convert(data, min_speedup=1e6)
    assert {layer.reason_code for layer in refused.report.layers} == {"too_slow"}
    assert refused.tflite == data


@pytest.mark.parametrize("name", ["plain", "time_major", "halves"])
def test_the_weights_come_back_bit_by_bit(name: str) -> None:
    file = FILES[name]
    data = file.build()
    sparse = convert(data, min_speedup=0.01).tflite
    with pytest.raises(AlreadyConvertedError):
        convert(sparse)
    report = tfprune.inspect(sparse)
    assert [(layer.op, layer.verdict) for layer in report.layers] == [("TfpruneLSTM", "sparse")] * 2
    dense = convert(sparse, target="dense")
    assert [layer.verdict for layer in dense.report.layers] == ["restored"] * 2
    # Weights are stored as they were, biases as float32.
    assert names(dense.tflite).count("DEQUANTIZE") == (8 if file.halves else 0)
    assert names(dense.tflite)[-1] == "UNIDIRECTIONAL_SEQUENCE_LSTM"
    assert weights(dense.tflite) == weights(data)
    xs = inputs(file)
    for want, got in zip(runs(data, xs), runs(dense.tflite, xs), strict=True):
        np.testing.assert_array_equal(got, want)


def weights(data: bytes) -> list[bytes]:
    """The eight matrices and four biases of the LSTM, without the sign of zeros."""
    graph, subgraph, op = next(
        each for each in operators(data) if each[0].op_name(each[2]) == "UNIDIRECTIONAL_SEQUENCE_LSTM"
    )
    found = []
    for place in (*range(1, 9), *range(12, 16)):
        index = int(op.inputs[place])
        writer = graph.writer(subgraph, index)
        tensor = graph.tensor(subgraph, index if writer is None else int(writer.inputs[0]))
        values = graph.constant(tensor, np.float32 if tensor.type == 0 else np.float16)
        assert values is not None
        found.append((values.astype(np.float32) + 0.0).tobytes())
    return found


def test_half_precision_packs_rounded_weights() -> None:
    file = FILES["plain"]
    converted = convert(file.build(), min_speedup=0.01, precision="float16")
    assert len(converted.tflite) < len(convert(file.build(), min_speedup=0.01).tflite)
    xs = inputs(file)
    for want, got in zip(runs(file.build(), xs), runs(converted.tflite, xs), strict=True):
        np.testing.assert_allclose(got, want, atol=2e-3)


def damaged(change: Any) -> bytes:
    graph = Graph(convert(LstmFile().build(), min_speedup=0.01).tflite)
    op = graph.model.subgraphs[0].operators[0]
    change(graph, op)
    return write_model(graph.model)


def set_shape(place: int, shape: list[int]) -> Any:
    def change(graph: Graph, op: Any) -> None:
        graph.tensor(0, int(op.inputs[place])).shape = np.array(shape, np.int32)

    return change


def drop_input(graph: Graph, op: Any) -> None:
    op.inputs = op.inputs[:-1]


def swap_weights(graph: Graph, op: Any) -> None:
    op.inputs = op.inputs[[0, 2, 1, 3, 4, 5, 6, 7]]


def no_variable(graph: Graph, op: Any) -> None:
    graph.tensor(0, int(op.inputs[6])).isVariable = False
    graph.model.subgraphs[0].inputs = np.append(graph.model.subgraphs[0].inputs, op.inputs[6])


def quantize(tensor: Any) -> None:
    tensor.quantization = tfl.QuantizationParametersT()
    tensor.quantization.scale, tensor.quantization.zeroPoint = np.full(1, 0.1, np.float32), np.zeros(1, np.int64)


def quantized(place: int) -> Any:
    """The activation at this place gets a scale; the output where it is -1."""
    return lambda graph, op: quantize(graph.tensor(0, int(op.inputs[place] if place >= 0 else op.outputs[0])))


BROKEN = {
    "geometry": (set_shape(3, [16, 2]), "geometry|fit"),
    "state": (set_shape(6, [1, 16]), "hidden state"),
    "input": (set_shape(0, [1, 5, 8]), "fit"),
    "rank": (set_shape(0, [5, 24]), "3 dimensions"),
    "missing": (drop_input, "needs 8 inputs"),
    "swapped": (swap_weights, "fit"),
    "no_variable": (no_variable, "variable"),
    "quantized_input": (quantized(0), "quantization of the input contradicts"),
    "quantized_hidden": (quantized(6), "quantization of the hidden state contradicts"),
    "quantized_cell": (quantized(7), "quantization of the cell state contradicts"),
    "quantized_output": (quantized(-1), "quantization of the output contradicts"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_files_that_contradict_themselves_are_refused(name: str) -> None:
    change, words = BROKEN[name]
    with pytest.raises(RuntimeError, match=words):
        runs(damaged(change), [np.zeros((1, 5, 24), np.float32)])


def test_restoring_a_broken_file_is_a_typed_error() -> None:
    with pytest.raises(ModelError, match=r"LSTM|packed weights"):
        convert(damaged(drop_input), target="dense")


def test_times_are_those_of_all_steps() -> None:
    def times(steps: int) -> list[float]:
        file = dataclasses.replace(LstmFile(units=128, features=8), steps=steps)
        return [layer.dense_time or 0.0 for layer in convert(file.build(), min_speedup=0.01).report.layers]

    one, many = times(1), times(64)
    assert one[1] > 0
    assert many[1] == pytest.approx(64 * one[1])
