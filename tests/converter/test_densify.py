# SPDX-License-Identifier: Apache-2.0
"""TFLite's own sparse encoding read back: against an encoder by definition, and files of the TFLite converter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tfl
from hypothesis import given, settings
from hypothesis import strategies as st

import tfprune
from tests.models import fully_connected_model
from tests.models.sparse_encoding import VECTORS, reference_encode
from tfprune.converter.graph import Graph
from tfprune.converter.passes import densify
from tfprune.converter.sparse_constant import decode
from tfprune.converter.stock.sparse_encoding import encode
from tfprune.errors import ModelError

_TYPES = {np.float32: tfl.TensorType.FLOAT32, np.float16: tfl.TensorType.FLOAT16, np.int8: tfl.TensorType.INT8}


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, dict[int, int], list[int], set[int], str]:
    rank = draw(st.integers(1, 4))
    blocks = {axis: draw(st.integers(1, 4)) for axis in range(rank) if draw(st.booleans())}
    shape = [draw(st.integers(1, 3)) * blocks.get(axis, 1) for axis in range(rank)]
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    dense = rng.integers(1, 99, shape) * (rng.random(shape) < 0.4)
    # The dimensions of blocks come last, as every writer has them.
    order = [*draw(st.permutations(range(rank))), *(rank + place for place in range(len(blocks)))]
    compressed = {axis for axis in range(rank) if draw(st.booleans())}
    dtype = draw(st.sampled_from(list(_TYPES)))
    return dense.astype(dtype), blocks, order, compressed, draw(st.sampled_from(list(VECTORS)))


@settings(max_examples=200, deadline=None)
@given(cases())
def test_every_form_is_decoded(case: tuple[np.ndarray, dict[int, int], list[int], set[int], str]) -> None:
    dense, *form = case
    sparsity, values = reference_encode(dense, *form)
    kind = _TYPES[dense.dtype.type]
    found = decode(sparsity, dense.shape, kind, np.frombuffer(values.tobytes(), np.uint8), "it")
    np.testing.assert_array_equal(found, dense)
    assert found.dtype == dense.dtype


def test_our_own_encoding_is_decoded() -> None:
    rng = np.random.default_rng(0)
    for rows, columns in ((3, 8), (300, 1200), (1, 4)):
        kept = rng.random((rows, columns // 4)) < 0.3
        dense = (rng.normal(size=(rows, columns)) * np.repeat(kept, 4, 1)).astype(np.float32)
        sparsity, values = encode(dense)
        expected, same = reference_encode(dense, {1: 4}, [0, 1, 2], {1}, "int32")
        np.testing.assert_array_equal(values, same)
        np.testing.assert_array_equal(
            sparsity.dimMetadata[1].arraySegments.values, expected.dimMetadata[1].arraySegments.values
        )
        found = decode(sparsity, dense.shape, tfl.TensorType.FLOAT32, values.view(np.uint8), "it")
        np.testing.assert_array_equal(found, dense)


@pytest.mark.parametrize(
    "damage",
    [
        lambda s: setattr(s, "traversalOrder", np.array([0, 1, 1], np.int32)),
        lambda s: setattr(s, "traversalOrder", None),
        lambda s: setattr(s, "blockMap", np.array([7], np.int32)),
        lambda s: setattr(s, "blockMap", np.array([], np.int32)),
        lambda s: setattr(s, "dimMetadata", s.dimMetadata[:2]),
        lambda s: setattr(s.dimMetadata[0], "denseSize", 2**30),
        lambda s: setattr(s.dimMetadata[2], "denseSize", 0),
        lambda s: setattr(s.dimMetadata[2], "denseSize", 3),
        lambda s: setattr(s.dimMetadata[1], "arraySegments", None),
        lambda s: setattr(s.dimMetadata[1].arraySegments, "values", np.array([0, 5, 2, 3], np.uint8)),
        lambda s: setattr(s.dimMetadata[1].arrayIndices, "values", np.full(3, 99, np.uint8)),
        lambda s: setattr(s.dimMetadata[1], "arrayIndices", None),
    ],
)
def test_corrupt_encodings_are_named(damage: Any) -> None:
    dense = np.zeros((3, 8), np.float32)
    dense[:, :2] = 1
    sparsity, values = encode(dense)
    damage(sparsity)
    with pytest.raises(ModelError, match="it: sparse weights are corrupt"):
        decode(sparsity, dense.shape, tfl.TensorType.FLOAT32, values.view(np.uint8), "it")


@pytest.mark.parametrize("shape", [(2**20, 2**20), (0, 8), ()])
def test_shapes_outside_the_range_are_named(shape: tuple[int, ...]) -> None:
    sparsity, values = encode(np.ones((3, 8), np.float32))
    with pytest.raises(ModelError, match="shape"):
        decode(sparsity, shape, tfl.TensorType.FLOAT32, values.view(np.uint8), "it")


def test_a_dense_file_is_left_alone() -> None:
    data = fully_connected_model(np.eye(8, dtype=np.float32), np.ones(8, np.float32))
    graph = Graph(data)
    assert densify.rewrite(graph) == 0
    assert graph.to_bytes() == Graph(data).to_bytes()


def converted_by_tensorflow(halves: bool = False, dynamic: bool = False) -> tuple[bytes, list[np.ndarray], Any]:
    """A file of a convolution and two products in TFLite's sparse encoding, their weights, and the function."""
    tf = pytest.importorskip("tensorflow")
    rng = np.random.default_rng(1)
    kernel = (rng.normal(size=(3, 3, 16, 64)) * np.repeat(rng.random((3, 3, 16, 16)) < 0.1, 4, 3)).astype(np.float32)
    matrix = (rng.normal(size=(64, 64)) * np.repeat(rng.random((64, 16)) < 0.1, 4, 1)).astype(np.float32)
    single = (rng.normal(size=(400, 64)) * np.repeat(rng.random((100, 64)) < 0.1, 4, 0)).astype(np.float32)
    # In halves from the start, so that rounding makes no difference.
    kernel, matrix, single = (each.astype(np.float16).astype(np.float32) for each in (kernel, matrix, single))
    weights = [tf.Variable(each) for each in (kernel, matrix, single)]

    @tf.function(input_signature=[tf.TensorSpec([1, 6, 6, 16], tf.float32)])
    def network(x: Any) -> Any:
        x = tf.reduce_mean(tf.nn.conv2d(x, weights[0], 1, "SAME"), [1, 2])
        x = tf.linalg.matmul(x, weights[1], transpose_b=True)
        return tf.linalg.matmul(x, weights[2], transpose_b=True)

    module = tf.Module()
    module.network, module.weights = network, weights
    converter = tf.lite.TFLiteConverter.from_concrete_functions([network.get_concrete_function()], module)
    converter.optimizations = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY]
    if halves or dynamic:
        converter.optimizations.append(tf.lite.Optimize.DEFAULT)
    if halves:
        converter.target_spec.supported_types = [tf.float16]
    return converter.convert(), [kernel, matrix, single], network


@pytest.mark.parametrize("halves", [False, True])
def test_files_of_the_tflite_converter(halves: bool) -> None:
    """Convolutions come as DENSIFY operators, fully-connected blocks as sparse weights of the operator itself."""
    data, (kernel, matrix, single), network = converted_by_tensorflow(halves)
    graph = Graph(data)
    names = [graph.op_name(op) for _, _, op in graph.operators()]
    assert "DENSIFY" in names
    assert densify.rewrite(graph) == 3
    after = Graph(graph.to_bytes())
    assert "DENSIFY" not in [after.op_name(op) for _, _, op in after.operators()]
    constants = {}
    for tensor in after.model.subgraphs[0].tensors:
        found = after.constant(tensor, np.float16 if tensor.type == tfl.TensorType.FLOAT16 else np.float32)
        if found is not None:
            constants[found.shape] = found
    np.testing.assert_array_equal(constants[64, 3, 3, 16], kernel.transpose(3, 0, 1, 2))
    np.testing.assert_array_equal(constants[64, 64], matrix)
    np.testing.assert_array_equal(constants[400, 64], single)

    packed = tfprune.convert(data, device="host", min_speedup=0.01)
    verdicts = {layer.shape: layer.verdict for layer in packed.report.layers}
    # The third one is small: in float32 it keeps its form, as our operator would take more than its few weights.
    assert verdicts == {(64, 3, 3, 16): "sparse", (400, 64): "sparse", (64, 64): "sparse" if halves else "dense"}
    assert len(packed.tflite) < (len(packed.dense) / 3 if halves else len(data))
    # In halves DEQUANTIZE reads the third one's sparse constant, which stock LiteRT takes for a dense one.
    x = np.random.default_rng(2).standard_normal((1, 6, 6, 16)).astype(np.float32)
    np.testing.assert_allclose(tfprune.Interpreter(packed.tflite).predict(x), network(x).numpy(), atol=1e-4)
    assert ("made dense first" in (packed.report.note or "")) == halves
    assert (tfprune.convert(data, min_speedup=1e6).tflite == data) != halves
    dense = tfprune.convert(data, target="dense")
    assert "3 constant(s) lost TFLite's own sparse encoding" in (dense.report.note or "")
    assert all(tensor.sparsity is None for tensor in Graph(dense.tflite).model.subgraphs[0].tensors)


@pytest.mark.parametrize(("field", "value"), [("externalBuffer", 1), ("isVariable", True)])
def test_marks_of_a_written_tensor_go_when_it_becomes_a_constant(field: str, value: Any) -> None:
    """Stock LiteRT looks at them in constants only. Found by the fuzzer."""
    graph = Graph(converted_by_tensorflow()[0])
    written = [int(op.outputs[0]) for _, _, op in graph.operators() if graph.op_name(op) == "DENSIFY"]
    assert written
    for index in written:
        setattr(graph.tensor(0, index), field, value)
    dense = tfprune.convert(graph.to_bytes(), target="dense").tflite
    assert tfprune.Interpreter(dense).predict(np.ones((1, 6, 6, 16), np.float32)).shape == (1, 400)


def test_a_sparse_encoding_beside_quantized_weights_is_undone() -> None:
    """XNNPACK refuses such files whole, as the TFLite converter writes them."""
    data, _, network = converted_by_tensorflow(dynamic=True)
    with pytest.raises(ModelError, match="cannot be loaded"):
        tfprune.Interpreter(data)
    packed = tfprune.convert(data, device="host", min_speedup=0.01)
    assert {layer.verdict for layer in packed.report.layers} == {"sparse"}
    assert {layer.precision for layer in packed.report.layers} == {"dynamic"}
    assert len(packed.tflite) < 0.6 * len(packed.dense)
    x = np.random.default_rng(2).standard_normal((1, 6, 6, 16)).astype(np.float32)
    expected = network(x).numpy()
    found = np.asarray(tfprune.Interpreter(packed.tflite).predict(x))
    assert np.abs(found - expected).max() < 0.02 * np.abs(expected).max()
    assert tfprune.verify(packed.dense, packed.tflite, rtol=1e-6)
    for report in (packed.report, tfprune.inspect(data)):
        assert f"{len(data)} bytes became {len(packed.dense)}" in (report.note or "")
    assert tfprune.convert(data, min_speedup=1e6).tflite == packed.dense
