# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.models.builder import VALID, ModelBuilder
from tests.runtime.tiny_models import conv_layer, dense_layer
from tfprune.errors import DelegateError, ModelError, RuntimeInputError
from tfprune.runtime import library, reference
from tfprune.runtime.interpreter import Interpreter


def _images(batch: int, shape: tuple[int, ...], seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal((batch, *shape[1:])).astype(np.float32)


@pytest.mark.parametrize("batch", [1, 2, 5])
@pytest.mark.parametrize("signature", [True, False])
def test_predict_at_any_batch(batch: int, signature: bool) -> None:
    layer = conv_layer()
    x = _images(batch, layer.input_shape)
    expected = reference.conv2d(x, layer.packed(), layer.bias)
    for content in (layer.dense(signature=signature), layer.sparse(signature=signature)):
        y = Interpreter(content).predict(x)
        assert isinstance(y, np.ndarray)
        np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)


def test_batches_of_changing_size_in_one_interpreter() -> None:
    layer = dense_layer()
    interpreter = Interpreter(layer.sparse())
    for batch in (1, 4, 2, 1):
        x = _images(batch, layer.input_shape, seed=batch)
        np.testing.assert_allclose(
            interpreter.predict(x), reference.fully_connected(x, layer.packed(), layer.bias), rtol=1e-5, atol=1e-5
        )


def test_result_is_a_copy() -> None:
    layer = dense_layer()
    interpreter = Interpreter(layer.dense())
    first = interpreter.predict(_images(1, layer.input_shape, 1))
    kept = np.array(first)
    interpreter.predict(_images(1, layer.input_shape, 2))
    np.testing.assert_array_equal(first, kept)


def test_inputs_by_name_and_as_list() -> None:
    layer = dense_layer()
    interpreter = Interpreter(layer.dense())
    x = _images(2, layer.input_shape)
    expected = interpreter.predict(x)
    np.testing.assert_array_equal(interpreter.predict({"image": x}), expected)
    np.testing.assert_array_equal(interpreter.predict([x]), expected)
    assert [spec.name for spec in interpreter.inputs()] == ["image"]
    assert interpreter.inputs()[0].shape == (-1, 24)
    assert interpreter.signatures == ("serving_default",)


def test_float64_is_taken_for_float32() -> None:
    layer = dense_layer()
    x = _images(2, layer.input_shape)
    interpreter = Interpreter(layer.dense())
    np.testing.assert_array_equal(interpreter.predict(x.astype(np.float64)), interpreter.predict(x))


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((1, 7, 7, 9), np.float32), r"`image`: must be float32 of shape \[batch, 7, 7, 8\], got shape"),
        (np.zeros((7, 7, 8), np.float32), r"got shape \[7, 7, 8\]"),
        (np.zeros((0, 7, 7, 8), np.float32), "at least one example"),
        (np.zeros((1, 7, 7, 8), np.uint8), "got uint8; scale and convert it"),
        ({"picture": np.zeros((1, 7, 7, 8), np.float32)}, "must hold exactly `image`, got `picture`"),
        ([np.zeros((1, 7, 7, 8), np.float32)] * 2, r"takes 1 \(`image`\), got 2"),
    ],
)
def test_wrong_inputs_are_refused(x: Any, message: str) -> None:
    interpreter = Interpreter(conv_layer().dense())
    with pytest.raises(RuntimeInputError, match=message):
        interpreter.predict(x)


@pytest.mark.parametrize("num_threads", [0, -1, True, 1.5, 1025, 2**31, 10**12])
def test_wrong_number_of_threads_is_refused(num_threads: Any) -> None:
    with pytest.raises(RuntimeInputError, match="num_threads"):
        Interpreter(conv_layer().dense(), num_threads=num_threads)


def test_threads_give_the_same_answer() -> None:
    layer = conv_layer(size=16, out_channels=32)
    x = _images(3, layer.input_shape)
    one = Interpreter(layer.sparse(), num_threads=1).predict(x)
    two = Interpreter(layer.sparse(), num_threads=2).predict(x)
    np.testing.assert_allclose(one, two, rtol=1e-6, atol=1e-6)


def test_unknown_signature_is_refused() -> None:
    with pytest.raises(RuntimeInputError, match="has `serving_default`, got `train`"):
        Interpreter(dense_layer().dense()).predict(np.zeros((1, 24), np.float32), signature="train")


def test_signatures_in_several_subgraphs() -> None:
    builder = ModelBuilder()
    builder.subgraph()
    for graph, (key, factor) in enumerate([("later", 1.0), ("early", 3.0)]):
        x = builder.tensor("x", [1, 4], batch=True, graph=graph)
        y = builder.fully_connected(x, factor * np.eye(4, dtype=np.float32), graph=graph)
        builder.io([x], [y], graph)
        builder.signature(key, {"x": x}, {"y": y}, graph)
    interpreter = Interpreter(builder.build())
    x = np.arange(8, dtype=np.float32).reshape(2, 4)
    assert set(interpreter.signatures) == {"early", "later"}
    np.testing.assert_array_equal(interpreter.predict(x, signature="early"), 3 * x)
    interpreter.invoke()
    np.testing.assert_array_equal(interpreter.predict(x, signature="later"), x)
    with pytest.raises(RuntimeInputError, match="say which one to run"):
        interpreter.predict(x)


def test_several_outputs_come_by_name() -> None:
    builder = ModelBuilder()
    a, b = builder.tensor("a", [1, 4], batch=True), builder.tensor("b", [1, 3], batch=True)
    y = builder.fully_connected(a, np.eye(4, dtype=np.float32), name="y")
    z = builder.fully_connected(b, np.eye(3, dtype=np.float32), name="z")
    builder.io([b, a], [y, z])
    builder.signature("serve", {"a": a, "b": b}, {"first": y, "second": z})
    interpreter = Interpreter(builder.build())
    left, right = np.ones((2, 4), np.float32), np.full((2, 3), 2, np.float32)
    # A list is in the order of the graph's inputs, not of the alphabet.
    for x in ([right, left], {"a": left, "b": right}):
        result = interpreter.predict(x)
        assert isinstance(result, dict)
        np.testing.assert_array_equal(result["first"], left)
        np.testing.assert_array_equal(result["second"], right)


@pytest.mark.parametrize("content", [b"", b"TFL3", b"0000TFL3", b"not a model at all", bytes(4) + b"TFL3" + bytes(99)])
def test_bytes_that_are_no_model_are_refused(content: bytes) -> None:
    with pytest.raises(ModelError):
        Interpreter(content)


def test_truncated_file_is_refused(tmp_path: Path) -> None:
    content = conv_layer().dense()
    for size in (len(content) // 2, 100, 20):
        path = tmp_path / f"cut_{size}.tflite"
        path.write_bytes(content[:size])
        with pytest.raises(ModelError, match=path.name):
            Interpreter(path)


def test_missing_file_and_wrong_type_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.tflite` cannot be read: No such file"):
        Interpreter(tmp_path / "none.tflite")
    with pytest.raises(ModelError, match="got int"):
        Interpreter(3)  # type: ignore[arg-type]


def test_dense_file_needs_no_library_and_sparse_file_does(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(library.LIBRARY_VARIABLE, str(tmp_path / "none.so"))
    layer = dense_layer()
    x = _images(1, layer.input_shape)
    assert Interpreter(layer.dense()).custom_ops == ()
    Interpreter(layer.dense()).predict(x)
    with pytest.raises(DelegateError):
        Interpreter(layer.sparse())


def test_corrupted_packed_weights_are_an_error_with_the_rule() -> None:
    layer = conv_layer()
    packed = layer.packed()
    packed[70] ^= 1
    with pytest.raises(ModelError, match="CRC does not match"):
        Interpreter(layer.sparse(packed))


def test_open_sizes_for_which_1_is_too_small() -> None:
    builder = ModelBuilder()
    x = builder.tensor("x", [1, 1, 1, 4])
    tensor = builder.model.subgraphs[0].tensors[x]
    tensor.shapeSignature = np.array([-1, -1, -1, 4], np.int32)
    y = builder.conv_2d(x, np.ones((2, 3, 3, 4), np.float32), np.zeros(2, np.float32), padding=VALID)
    made = builder.model.subgraphs[0].tensors[y]
    made.shape, made.shapeSignature = np.array([1, 1, 1, 2], np.int32), np.array([-1, -1, -1, 2], np.int32)
    builder.io([x], [y])
    interpreter = Interpreter(builder.build())
    with pytest.raises(RuntimeInputError, match=r"cannot run on inputs of shapes .*\[1, 1, 1, 4\]"):
        interpreter.predict(np.ones((1, 1, 1, 4), np.float32))
    np.testing.assert_array_equal(interpreter.predict(np.ones((1, 4, 3, 4), np.float32)), np.full((1, 2, 1, 2), 36.0))
