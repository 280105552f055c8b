# SPDX-License-Identifier: Apache-2.0
"""Reading weight matrices out of models of every kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tfl

import tfprune as tp
from tests.models.builder import ModelBuilder, conv_model, fully_connected_model, pruned
from tfprune.errors import ModelError, OutputError
from tfprune.plotting.weights import LayerWeights, choose_layers, read_layers

WEIGHTS = pruned((64, 3, 3, 64), 0.9)
BIAS = np.zeros(64, np.float32)


def test_arrays_by_name() -> None:
    kernel = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    dense, conv = read_layers({"fc": np.eye(3, 5), "conv": kernel})
    assert (dense.name, dense.matrix.shape, dense.window, dense.size_text) == ("fc", (5, 1, 3), (), "3x5")
    assert (conv.name, conv.matrix.shape, conv.window, conv.size_text) == ("conv", (4, 2, 3), (2,), "2x3x4")
    assert conv.matrix[3, 1, 2] == kernel[1, 2, 3]
    assert dense.density.sparsity == 0.8
    (mask,) = read_layers({"mask": np.eye(3, 5, dtype=bool)})
    assert mask.density.kept == 3


def test_dense_and_converted_files_give_the_same_matrix(tmp_path: Path) -> None:
    data = conv_model(WEIGHTS, BIAS, (1, 16, 16))
    converted = tp.convert(data, min_speedup=0.01)
    assert converted.report.converted_layers == 1
    path = tmp_path / "model.tflite"
    path.write_bytes(data)
    for model in (data, path, str(path), converted.tflite, converted.dense):
        (layer,) = read_layers(model)
        assert layer.window == (3, 3)
        assert layer.size_text == "3x3x64x64"
        assert np.array_equal(layer.matrix, WEIGHTS.reshape(64, 9, 64))


def test_fully_connected_files() -> None:
    weights = pruned((32, 64), 0.5)
    data = fully_connected_model(weights, np.zeros(32, np.float32), (1, 64))
    for model in (data, tp.convert(data, min_speedup=0.01).tflite):
        (layer,) = read_layers(model)
        assert (layer.window, layer.size_text) == ((), "64x32")
        assert np.array_equal(layer.matrix[:, 0], weights)


def test_depthwise_files() -> None:
    builder = ModelBuilder()
    weights = np.arange(1 * 3 * 2 * 4, dtype=np.float32).reshape(1, 3, 2, 4)
    x, y = builder.tensor("x", (1, 8, 8, 4)), builder.tensor("net/dw/y", (1, 6, 7, 4))
    options = tfl.DepthwiseConv2DOptionsT()
    code = builder.opcode(tfl.BuiltinOperator.DEPTHWISE_CONV_2D)
    builder.operator(code, [x, builder.constant("w", weights)], [y], options, tfl.BuiltinOptions.DepthwiseConv2DOptions)
    builder.io([x], [y])
    (layer,) = read_layers(builder.build())
    assert (layer.short_name, layer.window, layer.matrix.shape) == ("dw/y", (3, 2), (4, 6, 1))
    assert layer.matrix[3, 4, 0] == weights[0, 2, 0, 3]


def test_what_convert_returns(tmp_path: Path) -> None:
    path = tmp_path / "model.png"
    builder = ModelBuilder()
    x = builder.tensor("x", (1, 8, 8, 16))
    y = builder.conv_2d(x, pruned((32, 3, 3, 16), 0.8), np.zeros(32, np.float32), name="first")
    builder.io([x], [y])
    path.write_bytes(builder.build())
    converted = tp.convert(path)
    assert converted.tflite != converted.dense
    (found,), (expected,) = read_layers(converted), read_layers(path)
    assert np.array_equal(found.matrix, expected.matrix)
    with pytest.raises(OutputError, match="output is the input"):
        tp.plot_masks(converted, output=path)


def test_keras_models_and_files(tmp_path: Path) -> None:
    import keras

    model = keras.Sequential(
        [
            keras.Input((8, 8, 4)),
            keras.layers.Conv2D(6, 3, name="conv"),
            keras.layers.SeparableConv2D(5, 3, name="separable"),
            keras.layers.Conv2DTranspose(7, 2, name="up"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, name="head"),
        ]
    )
    model.get_layer("conv").trainable = False
    path = tmp_path / "model.keras"
    model.save(path)
    for source in (model, path, str(path)):
        layers = {layer.name: layer for layer in read_layers(source)}
        assert {name: layer.size_text for name, layer in layers.items()} == {
            "conv": "3x3x4x6",
            "separable/depthwise_kernel": "3x3x1x6",
            "separable/pointwise_kernel": "1x1x6x5",
            "up": "2x2x5x7",
            "head": "7x3",
        }
        kernel = keras.ops.convert_to_numpy(model.get_layer("up").kernel)
        assert layers["up"].matrix[6, 3, 4] == kernel[1, 1, 6, 4]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({}, "must have layers with weights"),
        ({"a": np.full((2, 2), np.nan)}, "layer 'a' must have finite weights.*4 NaN"),
        ({"a": np.ones((4, 4)), "s": 3.0}, r"layer 's' must be a kernel of rank 2 .* Received: shape \(\)\. Reshape"),
        ({"s": np.ones((2, 2, 2, 2, 2))}, r"layer 's' must be a kernel of .* Received: shape \(2, 2, 2, 2, 2\)"),
        ({"a": np.ones((0, 2))}, "layer 'a'.*at least one"),
        ({"a": np.full((2, 2), "x")}, "layer 'a' must have weights that are real numbers"),
        (7, "model must be a Keras model"),
        ("/nowhere/model.keras", "cannot be read"),
        ("/nowhere/model.tflite", "cannot be read"),
        (b"no model", "TFL3"),
    ],
    ids=str,
)
def test_what_is_no_model(model: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        read_layers(model)


def test_a_file_without_weights() -> None:
    builder = ModelBuilder()
    x, y = builder.tensor("x", (1, 4)), builder.tensor("y", (1, 4))
    builder.operator(builder.opcode(tfl.BuiltinOperator.RELU), [x], [y])
    builder.io([x], [y])
    with pytest.raises(ModelError, match="must have layers"):
        read_layers(builder.build())


def layer(name: str, size: int, zeros: bool) -> LayerWeights:
    matrix = np.ones((size, 1, 2))
    matrix[0] = 0 if zeros else 1
    return LayerWeights(name, matrix, ())


LAYERS = [layer("net/a/conv", 9, False), layer("net/b/x;net/b/relu", 3, True), layer("c", 5, True), layer("d", 4, True)]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (None, "cd"),
        ("d", "d"),
        (["d", "a/conv"], "ad"),
        (["net/*"], "ab"),
        (["b/relu"], "b"),
        (["?"], "cd"),
        (["*"], "abcd"),
    ],
    ids=str,
)
def test_choosing_layers(wanted: Any, found: str) -> None:
    chosen = choose_layers(LAYERS, wanted, 2)
    assert [LAYERS.index(each) for each in chosen] == ["abcd".index(each) for each in found]


def test_layers_without_zeros_are_shown_where_none_has_any() -> None:
    dense = [layer("a", 3, False), layer("b", 5, False)]
    assert choose_layers(dense, None, 1) == [dense[1]]


def test_layers_that_are_not_there() -> None:
    with pytest.raises(ModelError, match=r"Received: 'conv7'\. The model has a/conv, b/relu, c, d\."):
        choose_layers(LAYERS, ["c", "conv7"], 2)
    with pytest.raises(ModelError, match=r"a list of at least one, .* Received: layers=\[\]"):
        choose_layers(LAYERS, [], 2)
