# SPDX-License-Identifier: Apache-2.0
"""One-shot pruning of ``.tflite`` files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest

import tfprune as tp
from tests.models.builder import conv_model, pruned
from tests.one_shot.models import images, network, recipe
from tfprune.converter.graph import Graph
from tfprune.errors import AlreadyConvertedError, ModelError, OutputError, PruningError, RecipeError
from tfprune.one_shot.file_layers import FileLayer, read_layers, samples_of
from tfprune.sparsity.patterns import Groups, NofM, Unstructured

L = keras.layers
HELD = images(64, seed=7)


@pytest.fixture(scope="module")
def dense() -> bytes:
    """The network with its BatchNormalization folded into convolutions and biases."""
    return bytes(tp.convert(network()).dense)


def answers(content: bytes | None, data: npt.NDArray[Any] = HELD) -> npt.NDArray[Any]:
    assert content is not None
    return np.asarray(tp.Interpreter(content).predict(data))


def error(content: bytes | None, dense: bytes) -> float:
    wanted = answers(dense)
    return float(np.square(answers(content) - wanted).sum() / np.square(wanted - wanted.mean(axis=0)).sum())


def test_data_make_the_outputs_differ_less(dense: bytes) -> None:
    plain = tp.prune(dense, recipe())
    found = tp.prune(dense, recipe(), calibration=images(96))
    assert error(found.tflite, dense) < 0.3 * error(plain.tflite, dense)
    assert [layer.status for layer in found.report.layers] == ["reconstructed"] * 3 + ["skipped"] * 2
    for layer in found.report.layers[:3]:
        assert layer.achieved == pytest.approx(0.6, abs=0.01)
        assert layer.error_after is not None
        assert layer.error_before is not None
        assert layer.error_after < layer.error_before
    reasons = [layer.reason for layer in found.report.layers[3:]]
    assert "depthwise kernel" in reasons[0]
    assert "makes an output of the model" in reasons[1]


def test_the_layers_see_what_the_same_layers_of_a_keras_model_see() -> None:
    keras_model = network(norm=False)
    content = bytes(tp.convert(keras_model).dense)
    data = images(96)
    from_file = tp.prune(content, recipe(), calibration=data).report.layers
    from_keras = tp.prune(keras_model, recipe(), calibration=data).report.layers
    for one, other in zip(from_file[:2], from_keras[:2], strict=True):
        assert one.error_before == pytest.approx(other.error_before, rel=1e-3)
        assert one.error_after == pytest.approx(other.error_after, rel=1e-2)


def test_without_data_only_zeros_are_new(dense: bytes) -> None:
    found = tp.prune(dense, recipe())
    assert found.tflite is not None
    before, after = (
        {layer.layer: layer.values for layer in read_layers(Graph(each))} for each in (dense, found.tflite)
    )
    for name, values in after.items():
        assert np.array_equal(values[values != 0], before[name][values != 0])
    assert found.report.sparsity == pytest.approx(0.6, abs=0.01)
    assert len(found.tflite) < 1.02 * len(dense)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (lambda: L.Conv2D(6, 3, strides=2, padding="same"), (7, 8, 4)),
        (lambda: L.Conv2D(6, 3, groups=2), (7, 8, 4)),
        (lambda: L.DepthwiseConv2D(3, strides=2, padding="same"), (7, 7, 4)),
        (lambda: L.Conv2DTranspose(6, 3, strides=2, padding="same"), (4, 5, 3)),
        (lambda: L.Conv2DTranspose(6, 3, strides=2), (4, 5, 3)),
        (lambda: L.Dense(6), (5,)),
    ],
)
def test_samples_times_weights_are_the_outputs(layer: Any, shape: tuple[int, ...]) -> None:
    model = keras.Sequential([keras.Input(shape), layer()])
    content = bytes(tp.convert(model).dense)
    graph = Graph(content)
    (found,) = read_layers(graph)
    data = np.random.default_rng(0).normal(size=(1, *shape)).astype(np.float32)
    outputs = answers(content, data)
    assert np.allclose(_computed(found, data, outputs.shape), outputs, atol=1e-4)


def _computed(layer: FileLayer, data: npt.NDArray[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    from tfprune.one_shot.file_layers import OPERATORS, parts_of
    from tfprune.sparsity.layouts import to_matrix

    parts, count = parts_of(layer, data.shape[-1])
    weights = parts.split(to_matrix(layer.values, OPERATORS[layer.operator][0]), count)
    found = [piece @ weights.transpose(0, 2, 1) for piece in samples_of(layer, data, shape[1:3])]
    return np.moveaxis(np.concatenate(found, axis=1), 0, 1).reshape(shape)


def test_named_depthwise_and_last_layers_are_pruned(dense: bytes) -> None:
    rules = [
        tp.Rule("DEPTHWISE_CONV_2D", Unstructured(), 0.4, min_weights=0),
        tp.Rule(["FULLY_CONNECTED", "Dense"], NofM(2, 4), min_weights=0),
        tp.Rule("*", skip=True),
    ]
    report = tp.prune(dense, rules, calibration=images(64)).report
    found = {layer.pattern: layer for layer in report.layers if layer.pattern}
    assert len(found) == 2
    for layer in found.values():
        assert layer.error_after is not None
        assert layer.error_before is not None
        assert layer.error_after < layer.error_before
    assert sum(layer.status == "reconstructed" for layer in report.layers) == 3
    assert any("skipped by rule 3" in layer.reason for layer in report.layers)


def test_integer_weights_keep_their_values_with_a_reason() -> None:
    model = network(norm=False)
    content = bytes(tp.convert(model, precision="dynamic").dense)
    found = tp.prune(content, recipe(), calibration=images(16))
    assert found.tflite is not None
    layers = [layer for layer in found.report.layers if layer.pattern]
    quantized = [layer for layer in layers if layer.status == "pruned"]
    assert quantized
    assert all("plain magnitude: weights of precision dynamic" in layer.reason for layer in quantized)
    assert all(layer.achieved == pytest.approx(0.6, abs=0.02) for layer in layers)
    before, after = ([layer.values for layer in read_layers(Graph(each))] for each in (content, found.tflite))
    for one, other, layer in zip(before, after, read_layers(Graph(content)), strict=True):
        if layer.found is not None and layer.found.precision == "dynamic":
            assert np.array_equal(one[other != 0], other[other != 0])
    answers(found.tflite)


def test_half_precision_is_pruned_by_magnitude() -> None:
    content = bytes(tp.convert(network(norm=False), precision="float16").dense)
    found = tp.prune(content, recipe())
    assert found.report.sparsity == pytest.approx(0.6, abs=0.01)
    reasons = tp.prune(content, recipe(), calibration=images(8)).report.layers[0].reason
    assert "weights of precision float16 keep their values" in reasons
    answers(found.tflite)


def test_files_and_bad_input(tmp_path: Path, dense: bytes) -> None:
    source, target = tmp_path / "dense.tflite", tmp_path / "pruned.tflite"
    source.write_bytes(dense)
    found = tp.prune(source, recipe())
    assert found.tflite == tp.prune(dense, recipe()).tflite
    with pytest.raises(OutputError, match=r"must end in \.tflite"):
        found.save(tmp_path / "pruned.keras")
    found.save(target)
    assert target.read_bytes() == found.tflite
    sparse = tp.convert(conv_model(pruned((64, 3, 3, 64), 0.9), np.zeros(64, np.float32), (1, 16, 16)), device="host")
    cases: list[tuple[Any, Any, Any, type, str]] = [
        (b"no model", recipe(), None, ModelError, "model"),
        (tmp_path, recipe(), None, ModelError, "SavedModel folder"),
        (dense, recipe(sparsity=0.6), images(4, channels=3), PruningError, "calibration for input"),
        (dense, tp.Rule("CONV_3D", Groups(rows=4), 0.5), None, RecipeError, "must match a layer"),
        (dense, tp.Rule(None, Groups(rows=4), 0.5, min_weights=9999), None, PruningError, "has no layer to prune"),
        (dense, tp.Recipe(tp.Rule(None, Groups(rows=4), 0.5), "global"), None, PruningError, "One budget"),
        (sparse.tflite, recipe(), None, AlreadyConvertedError, "already holds"),
    ]
    for subject, rules, data, kind, message in cases:
        with pytest.raises(kind, match=message):
            tp.prune(subject, rules, calibration=data)


def test_a_recipe_that_skips_every_layer_changes_nothing(dense: bytes) -> None:
    pruned = tp.prune(dense, tp.Recipe([tp.Rule("*", skip=True)]))
    assert pruned.report.layers
    assert all("skip" in layer.cells()[-1] for layer in pruned.report.layers)
    assert pruned.report.to_dict()["sparsity"] == 0
    before, after = (read_layers(Graph(data)) for data in (dense, pruned.tflite))
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one.values, other.values)
