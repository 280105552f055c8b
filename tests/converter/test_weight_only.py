# SPDX-License-Identifier: Apache-2.0
"""Int8 weights that ``DEQUANTIZE`` makes float32: packed as the float32 numbers that they stand for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tfl

import tfprune
from tests.converter.helpers import convert, matrix, names
from tests.models import ModelBuilder, pruned

SHAPES = {"conv": (64, 3, 3, 32), "dense": (256, 256)}


def integers(shape: tuple[int, ...], sparsity: float = 0.8, zero_point: int = 0) -> np.ndarray:
    """Weights that are ``zero_point`` where a pruned one is zero."""
    weights = pruned(shape, sparsity)
    return np.clip(np.rint(30 * weights) + zero_point, -128, 127).astype(np.int8)


def weight_only_model(kind: str, stored: np.ndarray, scales: Any, zero_points: Any, axis: int = 0) -> bytes:
    """A convolution or a fully-connected layer behind a ``DEQUANTIZE`` of its int8 weights."""
    builder = ModelBuilder()
    index = builder.constant("stored", stored)
    quantization = tfl.QuantizationParametersT()
    quantization.scale, quantization.zeroPoint = np.asarray(scales, np.float32), np.asarray(zero_points, np.int64)
    quantization.quantizedDimension = axis
    builder.model.subgraphs[0].tensors[index].quantization = quantization
    weights = builder.tensor("weights", stored.shape)
    builder.operator(builder.opcode(tfl.BuiltinOperator.DEQUANTIZE, version=2), [index], [weights])
    bias = np.linspace(-1, 1, len(stored)).astype(np.float32)
    if kind == "conv":
        x = builder.tensor("x", [1, 8, 8, stored.shape[-1]])
        y = builder.conv_2d(x, weights, bias)
    else:
        x = builder.tensor("x", [1, stored.shape[-1]])
        y = builder.fully_connected(x, weights, bias)
    builder.io([x], [y])
    return builder.build()


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("form", ["per_tensor", "per_channel", "zero_points", "input_axis"])
def test_they_are_packed_smaller_and_equal(kind: str, form: str) -> None:
    shape = SHAPES[kind]
    axis = len(shape) - 1 if form == "input_axis" else 0
    count = 1 if form == "per_tensor" else shape[axis]
    scales = np.linspace(0.01, 0.02, count)
    zero_point = 5 if form == "zero_points" else 0
    stored = integers(shape, zero_point=zero_point)
    data = weight_only_model(kind, stored, scales, np.full(count, zero_point), axis)
    converted = convert(data, min_speedup=0.01)
    (layer,) = converted.report.layers
    assert (layer.precision, layer.verdict, layer.dense_bytes) == ("weight_only", "sparse", stored.size)
    assert "DEQUANTIZE" not in names(converted.tflite)
    assert len(converted.tflite) < 0.95 * len(data)
    along = [-1 if place == axis else 1 for place in range(len(shape))]
    real = (stored.astype(np.float32) - zero_point) * scales.astype(np.float32).reshape(along)
    np.testing.assert_array_equal(matrix(converted.tflite), real.reshape(shape[0], -1))
    report = tfprune.verify(data, converted.tflite, rtol=1e-5)
    assert report, str(report)
    assert tfprune.verify(data, convert(converted.tflite, target="dense").tflite, rtol=1e-5)


def test_packed_as_halves_they_take_half_the_bytes() -> None:
    data = weight_only_model("conv", integers(SHAPES["conv"]), [0.01], [0])
    single, half = (convert(data, min_speedup=0.01, precision=precision) for precision in ("float32", "float16"))
    assert len(half.tflite) < 0.65 * len(single.tflite)
    assert tfprune.verify(data, half.tflite)


def test_too_few_zeros_are_refused_with_numbers() -> None:
    stored = integers(SHAPES["conv"], sparsity=0.6)
    data = weight_only_model("conv", stored, [0.01], [0])
    converted = convert(data, min_speedup=0.01)
    (layer,) = converted.report.layers
    assert converted.tflite == data
    assert layer.reason_code == "not_smaller"
    assert f"dense {stored.size}" in (layer.reason or "")


@pytest.mark.parametrize(
    ("scales", "zero_points", "axis"),
    [([], [], 0), ([0.1, 0.2], [0, 0], 0), ([np.nan], [0], 0), ([0.1] * 64, [0], 0), ([0.1] * 64, [0] * 64, 7)],
)
def test_scales_that_do_not_fit_are_refused(scales: list[float], zero_points: list[int], axis: int) -> None:
    data = weight_only_model("conv", integers(SHAPES["conv"]), scales, zero_points, axis)
    converted = convert(data, min_speedup=0.01)
    assert [layer.reason_code for layer in converted.report.layers] == ["quantization"]
    assert converted.tflite == data
