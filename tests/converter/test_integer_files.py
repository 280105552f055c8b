# SPDX-License-Identifier: Apache-2.0
"""Files with quantised activations of every type: packed as they are, bit-equal to stock LiteRT, and back again."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

import tfprune
from tests.converter.helpers import names, operators, packed_weights
from tests.runtime.quantized_models import quantized_layer, wide_layer
from tfprune.converter.graph import Graph
from tfprune.formats import Activation, Op, OpSpec, Padding

CONV = OpSpec(Op.CONV_2D, 32, 16, 3, 3, 2, 1, padding=Padding.SAME, activation=Activation.RELU)
DENSE = OpSpec(Op.FULLY_CONNECTED, 64, 128, activation=Activation.RELU6)
SHAPES: dict[Op, tuple[int, ...]] = {Op.CONV_2D: (1, 9, 7, 16), Op.FULLY_CONNECTED: (3, 128)}


def layer(spec: OpSpec, activations: str) -> Any:
    shape = SHAPES[spec.op]
    if activations == "int8":
        return quantized_layer(spec, shape)
    return wide_layer(spec, shape, activations=activations, bias="int64" if activations == "int16" else "int32")


@pytest.mark.parametrize("activations", ["int8", "uint8", "int16"])
@pytest.mark.parametrize("spec", [CONV, DENSE], ids=["conv", "dense"])
def test_quantised_layers_are_packed_and_bit_equal(spec: OpSpec, activations: str) -> None:
    known = layer(spec, activations)
    dense = known.dense()
    converted = tfprune.convert(dense, min_speedup=0.01)
    assert [found.verdict for found in converted.report.layers] == ["sparse"], converted.report
    header = packed_weights(converted.tflite).header
    assert header.activation_type == known.quantization.activation_type
    assert header.weight_zero_point == known.quantization.weight_zero_point
    report = tfprune.verify(dense, converted.tflite, known.random_input(), rtol=0.0)
    assert report.ok, report
    assert report.outputs[0].largest > 0

    restored = tfprune.convert(converted.tflite, target="dense").tflite
    assert names(restored) == names(dense)
    weights = [_weights(data) for data in (restored, dense)]
    np.testing.assert_array_equal(weights[0], weights[1])
    assert tfprune.verify(dense, restored, known.random_input(), rtol=0.0).ok


def _weights(data: bytes) -> np.ndarray:
    ((graph, subgraph, op),) = operators(data)
    tensor = graph.input_tensor(subgraph, op, 1)
    raw = graph.raw(tensor)
    assert raw is not None
    zero_points = tensor.quantization.zeroPoint
    return np.concatenate((raw.astype(np.int64), np.unique(zero_points), [tensor.type]))


@pytest.mark.parametrize(
    ("activations", "change", "code"),
    [
        ("int8", {"zero_point": 3}, "quantization"),
        ("uint8", {"scales": 2}, "quantization"),
        ("int16", {"input_zero_point": 1}, "quantization"),
        ("int16", {"input_scale": 1e6}, "quantization"),
        ("int16", {"bias": "int32"}, "bias_not_constant"),
        ("int8", {"bias_values": 2**31 - 1}, "sums"),
    ],
)
def test_what_no_kernel_computes_stays_with_a_named_reason(activations: str, change: dict[str, Any], code: str) -> None:
    data = _changed(layer(CONV, activations), change)
    (found,) = tfprune.convert(data, min_speedup=0.01).report.layers
    assert (found.verdict, found.reason_code) == ("dense", code), found.reason


def _changed(known: Any, change: dict[str, Any]) -> bytes:
    if "bias" in change:
        known = dataclasses.replace(known, bias=known.bias.astype(change["bias"]))
    if "bias_values" in change:
        known = dataclasses.replace(known, bias=np.full_like(known.bias, change["bias_values"]))
    graph = Graph(known.dense())
    x, weights = (graph.input_tensor(0, graph.model.subgraphs[0].operators[0], place) for place in (0, 1))
    if "zero_point" in change:
        weights.quantization.zeroPoint = np.full(len(weights.quantization.zeroPoint), change["zero_point"], np.int64)
    if "scales" in change:
        weights.quantization.scale = np.full(change["scales"], 0.5, np.float32)
    if "input_zero_point" in change:
        x.quantization.zeroPoint = np.array([change["input_zero_point"]], np.int64)
    if "input_scale" in change:
        x.quantization.scale = np.array([change["input_scale"]], np.float32)
    return graph.to_bytes()
