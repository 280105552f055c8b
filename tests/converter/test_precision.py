# SPDX-License-Identifier: Apache-2.0
"""Keras models in every precision: packed as they are stored, equal to the dense file, and back again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import tfprune
from tests.converter.helpers import names, operators, packed_weights
from tests.models import conv_model, pruned
from tfprune.converter.schema import text
from tfprune.errors import ConversionError
from tfprune.formats import ValueType

keras = pytest.importorskip("keras")
pytestmark = [
    pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="conversion needs the tensorflow backend"),
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
]

PRECISIONS = {
    "float32": ValueType.FLOAT32,
    "float16": ValueType.FLOAT16,
    "int8": ValueType.INT8,
    "dynamic": ValueType.INT8,
}
STORED = {0: np.float32, 1: np.float16, 9: np.int8}  # by TFLite's number
EXAMPLES = np.random.default_rng(1).standard_normal((8, 12, 12, 16)).astype(np.float32)


def model() -> Any:
    keras.utils.set_random_seed(0)
    net = keras.Sequential(
        [
            keras.Input((12, 12, 16)),
            keras.layers.Conv2D(64, 3, padding="same", activation="relu6", name="stem"),
            keras.layers.Conv2D(128, 1, strides=2, use_bias=False, name="pointwise"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(100, name="head"),
        ]
    )
    for layer in net.layers:
        if hasattr(layer, "kernel"):
            kernel = layer.kernel.numpy()
            layer.kernel.assign(kernel * tfprune.select(kernel, tfprune.patterns.Groups(4, 1, aligned=True), 0.75))
    return net


@pytest.fixture(scope="module", params=PRECISIONS)
def converted(request: pytest.FixtureRequest) -> tuple[str, tfprune.Converted]:
    data = EXAMPLES if request.param == "int8" else None
    return request.param, tfprune.convert(
        model(), precision=request.param, representative_data=data, device="host", min_speedup=0.01
    )


def test_every_layer_is_packed_in_the_type_in_which_it_is_stored(converted: tuple[str, tfprune.Converted]) -> None:
    precision, result = converted
    assert result.report.converted_layers == 3
    assert len(result.tflite) < len(result.dense)
    sparse = [number for number, name in enumerate(names(result.tflite)) if name.startswith("Tfprune")]
    assert {packed_weights(result.tflite, number).header.value_type for number in sparse} == {PRECISIONS[precision]}
    assert "DEQUANTIZE" not in names(result.tflite) or precision == "int8"


def test_outputs_equal_those_of_the_dense_file(converted: tuple[str, tfprune.Converted]) -> None:
    precision, result = converted
    for images in (EXAMPLES, 30 * EXAMPLES):
        report = tfprune.verify(result.dense, result.tflite, images, rtol=0.0 if precision == "int8" else 1e-5)
        assert report.ok, report
        assert report.outputs[0].largest > 0


def test_the_dense_target_gives_the_same_file_back(converted: tuple[str, tfprune.Converted]) -> None:
    _, result = converted
    restored = tfprune.convert(result.tflite, target="dense").tflite
    # Biases in half precision are widened for good.
    computing = [[name for name in names(data) if name != "DEQUANTIZE"] for data in (restored, result.dense)]
    assert computing[0] == computing[1]
    assert constants(restored) == constants(result.dense)
    assert tfprune.verify(result.dense, restored, EXAMPLES, rtol=0.0).ok


def constants(data: bytes) -> set[tuple[Any, ...]]:
    """Type, shape, scales and bytes of the weights of all convolutions and fully-connected ops."""
    found = set()
    for graph, subgraph, op in operators(data):
        if graph.op_name(op) in ("CONV_2D", "FULLY_CONNECTED"):
            writer = graph.writer(subgraph, int(op.inputs[1]))
            tensor = graph.tensor(subgraph, int(op.inputs[1] if writer is None else writer.inputs[0]))
            raw, scales = graph.raw(tensor), getattr(tensor.quantization, "scale", None)
            assert raw is not None
            # The sign of a zero is not stored.
            weights = (raw.view(STORED[tensor.type]) + STORED[tensor.type](0)).tobytes()
            scales = () if scales is None else tuple(np.asarray(scales).tolist())
            found.add((graph.op_name(op), graph.version(op), tensor.type, graph.shape(tensor), scales, weights))
    assert len(found) == 3
    return found


@pytest.fixture(scope="module")
def small() -> tuple[Any, npt.NDArray[np.float32], list[Any]]:
    """A model, examples for it, and the scales that they lead to."""
    keras.utils.set_random_seed(0)
    net = keras.Sequential([keras.Input((16,), name="x"), keras.layers.Dense(8)])
    examples = np.random.default_rng(0).standard_normal((6, 16)).astype(np.float32)
    return net, examples, _scales(tfprune.convert(net, precision="int8", representative_data=examples).dense)


def test_ranges_do_not_depend_on_the_form_of_the_data(small: tuple[Any, Any, list[Any]]) -> None:
    net, examples, expected = small
    for data in (examples.astype(np.float64), lambda: ([example[np.newaxis]] for example in examples)):
        # Names of TensorFlow's temporary functions differ from run to run, ranges must not.
        assert _scales(tfprune.convert(net, precision="int8", representative_data=data).dense) == expected
    assert len(expected) == 3


def test_a_saved_model_says_what_it_takes(tmp_path: Path, small: tuple[Any, Any, list[Any]]) -> None:
    net, examples, expected = small
    net.export(tmp_path / "saved", format="tf_saved_model", verbose=False)
    result = tfprune.convert(tmp_path / "saved", precision="int8", representative_data=examples.astype(np.float64))
    assert _scales(result.dense) == expected
    with pytest.raises(ConversionError, match=r"input 'x': got examples of shape \(9,\) where .* takes \(16,\)"):
        tfprune.convert(tmp_path / "saved", precision="int8", representative_data=np.ones((2, 9)))


def test_a_saved_model_may_name_its_only_signature_freely(tmp_path: Path) -> None:
    tensorflow = pytest.importorskip("tensorflow")

    class Doubled(tensorflow.Module):  # type: ignore[misc, name-defined]
        @tensorflow.function(input_signature=[tensorflow.TensorSpec([None, 4], tensorflow.float32, name="x")])  # type: ignore[untyped-decorator]
        def run(self, x: Any) -> Any:
            return {"y": tensorflow.matmul(x, 2 * tensorflow.eye(4))}

    doubled = Doubled()
    tensorflow.saved_model.save(doubled, str(tmp_path), signatures={"double": doubled.run})
    result = tfprune.convert(tmp_path, precision="int8", representative_data=np.ones((3, 4)))
    assert "QUANTIZE" in names(result.dense)


def _scales(data: bytes) -> list[Any]:
    (graph, *_), *_ = operators(data)
    tensors = graph.model.subgraphs[0].tensors
    return sorted(
        np.asarray(t.quantization.scale).tolist() for t in tensors if getattr(t.quantization, "scale", None) is not None
    )


def test_several_inputs_are_fed_by_name() -> None:
    long, short = keras.Input((12,), name="zeta"), keras.Input((4,), name="alpha")
    net = keras.Model([long, short], keras.layers.Concatenate()([keras.layers.Dense(8)(x) for x in (long, short)]))
    arrays = {"zeta": np.ones((3, 12), np.float32), "alpha": np.ones((3, 4), np.float32)}
    result = tfprune.convert(net, precision="int8", representative_data=list(arrays.values()))
    assert "QUANTIZE" in names(result.dense)
    with pytest.raises(ConversionError, match=r"'zeta', 'alpha'.*got 'zeta', 'beta'"):
        tfprune.convert(net, precision="int8", representative_data={"zeta": arrays["zeta"], "beta": arrays["alpha"]})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "int8"}, "needs representative_data"),
        ({"precision": "float16", "representative_data": EXAMPLES}, "representative_data: is for precision 'int8'"),
        ({"precision": "int4"}, "precision: must be one of"),
        ({"precision": "int8", "representative_data": EXAMPLES[:0]}, "at least one"),
        ({"precision": "int8", "representative_data": EXAMPLES * np.nan}, "must be finite, got 18432 NaN"),
    ],
)
def test_arguments_that_do_not_fit_together(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConversionError, match=message):
        tfprune.convert(model(), **options)


def test_a_file_keeps_its_precision() -> None:
    with pytest.raises(ConversionError, match=r"keeps its precision, got precision 'dynamic'"):
        tfprune.convert(conv_model(pruned((64, 3, 3, 32))), precision="dynamic")
    with pytest.raises(ConversionError, match=r"keeps its precision, got precision 'int8'"):
        tfprune.convert(conv_model(pruned((64, 3, 3, 32))), precision="int8")


@pytest.mark.parametrize("target", ["stock", "dense"])
def test_halves_are_for_packed_float32_weights(target: str) -> None:
    report = tfprune.convert(conv_model(pruned((64, 3, 3, 32))), precision="float16", target=target).report
    assert "precision 'float16' changed nothing" in str(report.note)
    keras_report = tfprune.convert(model(), precision="float16", target=target).report
    assert "changed nothing" not in str(keras_report.note)


def test_halves_are_not_for_int8_weights() -> None:
    data = tfprune.convert(model(), precision="int8", representative_data=EXAMPLES).dense
    for report in (tfprune.convert(data, precision="float16").report, tfprune.inspect(data, precision="float16")):
        assert "precision 'float16' changed nothing" in str(report)


def test_float32_weights_of_a_file_are_packed_as_halves_on_demand() -> None:
    weights = pruned((64, 3, 3, 32))
    data = conv_model(weights, np.ones(64, np.float32))
    whole = tfprune.convert(data, device="host")
    halves = tfprune.convert(data, device="host", precision="float16")
    assert len(halves.tflite) < 0.7 * len(whole.tflite)
    precisions = [report.layers[0].precision for report in (halves.report, tfprune.inspect(halves.tflite))]
    assert precisions == ["float16", "float16"]
    packed = packed_weights(halves.tflite)
    assert packed.header.value_type == ValueType.FLOAT16
    np.testing.assert_array_equal(packed.matrix(), weights.reshape(64, -1).astype(np.float16))
    assert tfprune.verify(data, halves.tflite, rtol=1e-3).ok


def test_weights_beyond_the_range_of_halves_stay_whole() -> None:
    weights = pruned((64, 3, 3, 32))
    weights[np.nonzero(weights)[0][0]] *= 1e6
    (layer,) = tfprune.convert(conv_model(weights), device="host", precision="float16").report.layers
    assert (layer.verdict, layer.reason_code) == ("dense", "range")


def test_names_of_the_packed_tensors_are_those_of_the_weights(converted: tuple[str, tfprune.Converted]) -> None:
    _, result = converted
    for graph, subgraph, op in operators(result.tflite):
        if graph.is_custom(op):
            assert text(graph.tensor(subgraph, int(op.inputs[1])).name).endswith("/packed")
