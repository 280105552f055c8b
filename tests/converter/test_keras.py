# SPDX-License-Identifier: Apache-2.0
"""Keras models, ``.keras`` files and SavedModel folders as input."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfprune
from tests.converter.helpers import convert, matrix, names
from tests.models import pruned
from tfprune.errors import ConversionError, ModelError

keras = pytest.importorskip("keras")
pytestmark = [
    pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="conversion needs the tensorflow backend"),
    # Keras's own code for TensorFlow variables under numpy 2; nothing that tfprune could call differently.
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
]


def model(name: str = "net", **options: Any) -> Any:
    keras.utils.set_random_seed(0)
    net = keras.Sequential(
        [
            keras.Input((8, 8, 32)),
            keras.layers.Conv2D(64, 3, padding="same", use_bias=False, name="stem"),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(10, name=options.get("head", "head")),
        ],
        name=name,
    )
    net.get_layer("stem").set_weights([np.transpose(pruned((64, 3, 3, 32)), (1, 2, 3, 0))])
    return net


class Doubled(keras.layers.Layer):
    def call(self, x: Any) -> Any:
        return x * 2.0


@pytest.fixture(scope="module")
def converted() -> Any:
    return convert(model())


def test_a_keras_model(converted: Any) -> None:
    assert "TfpruneConv2D" in names(converted.tflite)
    assert "CONV_2D" in names(converted.dense)
    number = names(converted.tflite).index("TfpruneConv2D")
    np.testing.assert_array_equal(matrix(converted.tflite, number), matrix(converted.dense, number))
    # Batch normalisation is folded by a factor per output channel: the zeros are those of the Keras kernel.
    np.testing.assert_array_equal(matrix(converted.tflite, number) == 0, pruned((64, 3, 3, 32)).reshape(64, -1) == 0)


class Subclassed(keras.Model):
    """Two inputs in a dictionary; nothing but its code says how they are used."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = keras.layers.Conv2D(64, 3, padding="same")
        self.pool = keras.layers.GlobalAveragePooling2D()

    def call(self, inputs: Any) -> Any:
        return self.pool(self.conv(inputs["image"])) + inputs["more"]


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_subclassed_model(precision: str) -> None:
    net = Subclassed()
    rng = np.random.default_rng(0)
    image, more = rng.random((1, 8, 8, 32), np.float32), rng.random((1, 64), np.float32)
    net({"image": image, "more": more})
    net.conv.set_weights([np.transpose(pruned((64, 3, 3, 32)), (1, 2, 3, 0)), np.zeros(64)])
    expected = net({"image": image, "more": more}).numpy()
    # Keras exports the parts of an argument under these names.
    feed = {"args_0": image, "args_0_1": more}
    converted = convert(net, precision=precision, representative_data=[feed] if precision == "int8" else None)
    assert [layer.precision for layer in converted.report.layers] == [precision]
    found = tfprune.Interpreter(converted.tflite).predict(feed)
    np.testing.assert_allclose(found, expected, atol=1e-5 if precision == "float32" else 0.1)


class Unwilling(keras.Model):
    """Runs until it is told not to."""

    willing = True

    def call(self, x: Any) -> Any:
        if not self.willing:
            raise ValueError("this model does not want to")
        return x + 1.0


def test_what_a_model_raises_when_it_is_exported_is_said() -> None:
    net = Unwilling()
    net(np.zeros((1, 4), np.float32))
    net.willing = False
    with pytest.raises(ConversionError, match="this model does not want to"):
        convert(net)


def test_a_keras_file(tmp_path: Path, converted: Any) -> None:
    path = tmp_path / "net.keras"
    model().save(path)
    from_file = convert(path)
    assert names(from_file.tflite) == names(converted.tflite)
    np.testing.assert_array_equal(matrix(from_file.tflite), matrix(converted.tflite))
    assert tfprune.inspect(str(path)).layers[0].pattern == "row_band 4x1"


def test_a_saved_model_folder(tmp_path: Path, converted: Any) -> None:
    model().export(tmp_path / "saved", verbose=False)
    assert "TfpruneConv2D" in names(convert(tmp_path / "saved").tflite)


def test_a_model_that_is_not_built() -> None:
    net = keras.Sequential([keras.layers.Dense(4)], name="unborn")
    with pytest.raises(ConversionError, match=r"'unborn'.*not built"):
        convert(net)


@pytest.mark.parametrize("name", ["b:0", "a b", "für"])
def test_an_input_name_that_tensorflow_refuses(name: str) -> None:
    x = keras.Input((4,), name=name)
    with pytest.raises(ConversionError, match=f"names of inputs must be of letters.*'{name}'"):
        convert(keras.Model(x, keras.layers.Dense(3)(x)))


def test_a_layer_name_that_tensorflow_refuses() -> None:
    for name in ("_head", "a b", "ü", "a(b)"):
        with pytest.raises(ConversionError, match=rf"layer names must be of letters.*got {re.escape(repr(name))}"):
            convert(model(head=name))
    outer = keras.Sequential([keras.Input((8, 8, 32)), model(head="_inner")], name="outer")
    with pytest.raises(ConversionError, match="'_inner'"):
        convert(outer)


def test_custom_objects_are_asked_for_by_name(tmp_path: Path) -> None:
    path = tmp_path / "custom.keras"
    net = keras.Sequential([keras.Input((8, 8, 32)), Doubled(), keras.layers.Conv2D(64, 3)])
    net.layers[1].set_weights([np.transpose(pruned((64, 3, 3, 32)), (1, 2, 3, 0)), np.zeros(64)])
    net.save(path)
    with pytest.raises(ConversionError, match=r"custom_objects=\{'Doubled'"):
        convert(path)
    assert "TfpruneConv2D" in names(convert(path, custom_objects={"Doubled": Doubled}).tflite)
    assert tfprune.inspect(path, custom_objects={"Doubled": Doubled}).layers


def test_a_custom_function_is_asked_for_by_name(tmp_path: Path) -> None:
    def wavy(x: Any) -> Any:
        return x

    path = tmp_path / "function.keras"
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(4, activation=wavy)]).save(path)
    with pytest.raises(ConversionError, match=r"custom_objects=\{'wavy'"):
        convert(path)
    assert names(convert(path, custom_objects={"wavy": wavy}).tflite)


@pytest.mark.parametrize("content", [b"", b"no zip at all", b"PK\x03\x04 broken"])
def test_a_file_that_is_no_keras_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.keras"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"broken\.keras.*ZIP archive"):
        convert(path)


def test_a_truncated_keras_file(tmp_path: Path) -> None:
    path = tmp_path / "net.keras"
    model().save(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ModelError, match=r"net\.keras"):
        convert(path)


def test_a_folder_with_a_broken_saved_model(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"garbage")
    with pytest.raises((ModelError, ConversionError)):
        convert(tmp_path)


def test_a_missing_keras_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        convert(tmp_path / "missing.keras")


def test_converting_a_tflite_file_needs_neither_tensorflow_nor_keras(tmp_path: Path, converted: Any) -> None:
    path = tmp_path / "dense.tflite"
    path.write_bytes(converted.dense)
    code = (
        "import sys, tfprune\n"
        "assert not {'numpy', 'ai_edge_litert', 'keras', 'tensorflow'} & set(sys.modules)\n"
        f"print(tfprune.convert({str(path)!r}, min_speedup=0.01).report.converted_layers)\n"
        "assert not {'keras', 'tensorflow'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 1


def test_converting_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    convert(model())
    assert capsys.readouterr().out == ""


def test_converting_prints_nothing_in_a_notebook(caplog: pytest.LogCaptureFixture) -> None:
    import tensorflow as tf

    logger = tf.get_logger()
    level = logger.level
    # What TensorFlow does where Python is interactive.
    logger.setLevel("INFO")
    logger.addHandler(caplog.handler)
    try:
        convert(model())
        assert logger.level == logging.INFO
    finally:
        logger.removeHandler(caplog.handler)
        logger.setLevel(level)
    assert caplog.messages == []


def test_mixed_precision_is_refused_with_the_remedy() -> None:
    net = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(8, dtype="mixed_float16", name="half"),
            keras.layers.Dense(4, dtype="float32"),
        ]
    )
    with pytest.raises(ConversionError, match=r"float32, got float16 in layer 'half'.*set_weights"):
        convert(net)


@pytest.mark.slow
def test_an_int8_decoder_with_an_open_batch() -> None:
    """XNNPACK leaves its transposed convolutions, whose output shapes are computed, to a kernel that rounds twice."""
    layers = keras.layers
    keras.utils.set_random_seed(0)
    x = image = keras.Input((16, 16, 16))
    for filters in (64, 32):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.Conv2DTranspose(filters, 3, strides=2, padding="same", activation="relu")(x)
    net = keras.Model(image, x)
    for layer in net.layers[1:]:
        kernel, bias = layer.get_weights()
        transposed = isinstance(layer, layers.Conv2DTranspose)
        layout = "conv2d_transpose" if transposed else "conv2d"
        layer.set_weights([kernel * tfprune.select(kernel, tfprune.patterns.Groups(rows=4), 0.8, layout=layout), bias])
    examples = np.random.default_rng(0).standard_normal((20, 16, 16, 16)).astype(np.float32)
    result = tfprune.convert(net, precision="int8", representative_data=examples)
    rows = {row.op: row.verdict for row in result.report.layers}
    assert rows == {"CONV_2D": "sparse", "TRANSPOSE_CONV": "sparse"}
    assert len(result.tflite) < 0.5 * len(result.dense)
    assert all(row.predicted_speedup > 1.05 for row in result.report.layers)
    for batch in (1, 3):
        expected, found = (
            tfprune.Interpreter(data).predict(examples[:batch]) for data in (result.dense, result.tflite)
        )
        np.testing.assert_array_equal(found, expected)
