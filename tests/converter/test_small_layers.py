# SPDX-License-Identifier: Apache-2.0
"""Layers that gain time but no bytes: packed as long as what the other layers save pays for them."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tfl

import tfprune
from tests.converter.helpers import convert
from tests.models import ModelBuilder, pruned


def _tiny_layers(number: int, image: int = 64, filters: int = 96) -> bytes:
    """Layers too small to save bytes, which gain time on large images, and one layer that saves some."""
    builder = ModelBuilder()
    x = builder.tensor("x", [1, image, image, 3])
    shapes = {**{f"tiny{n}": (6, 3, 3, 3) for n in range(number)}, "large": (filters, 5, 5, 3)}
    ys = [
        builder.conv_2d(x, pruned(shape, sparsity=0.9, seed=n), np.zeros(shape[0], np.float32), name=name)
        for n, (name, shape) in enumerate(shapes.items())
    ]
    builder.io([x], ys)
    return builder.build()


def test_layers_that_gain_time_but_no_bytes_are_paid_by_what_the_others_save() -> None:
    data = _tiny_layers(2)
    converted = convert(data)
    assert [layer.verdict for layer in converted.report.layers] == ["sparse"] * 3
    tiny = converted.report.layers[0]
    assert (tiny.packed_bytes or 0) > tiny.dense_bytes
    assert len(converted.tflite) < len(data)
    assert tfprune.verify(data, converted.tflite).ok


def test_half_of_what_is_saved_is_the_limit() -> None:
    *tiny, large = convert(_tiny_layers(150, filters=16)).report.layers
    paid = [(layer.packed_bytes or 0) - layer.dense_bytes for layer in tiny if layer.verdict == "sparse"]
    saved = large.dense_bytes - (large.packed_bytes or 0)
    assert saved / 2 - 2 * max(paid) < sum(paid) <= saved / 2
    assert "not_smaller" in {layer.reason_code for layer in tiny}


def test_nothing_is_paid_for_layers_that_gain_no_time() -> None:
    *tiny, large = convert(_tiny_layers(2, image=8), min_speedup=0.01).report.layers
    assert large.verdict == "sparse"
    assert all((layer.sparse_time or 0) > (layer.dense_time or 0) for layer in tiny)
    assert [layer.reason_code for layer in tiny] == ["not_smaller"] * 2


@pytest.mark.parametrize(("bias", "code"), [(1000, None), (2**31 - 1, "sums")])
def test_sums_of_integer_layers_that_are_paid_for_are_checked(bias: int, code: str | None) -> None:
    builder = ModelBuilder()
    x = builder.tensor("x", [1, 28, 28, 8], "int8")
    ys = []
    for name, shape, value in (("tiny", (8, 3, 3, 8), bias), ("large", (96, 3, 3, 8), 0)):
        weights = np.clip(np.rint(pruned(shape, sparsity=0.9) * 100), -127, 127).astype(np.int8)
        ys.append(builder.conv_2d(x, weights, np.full(shape[0], value, np.int32), name=name))
        builder.model.subgraphs[0].tensors[ys[-1]].type = tfl.TensorType.INT8
    for tensor in builder.model.subgraphs[0].tensors:
        tensor.quantization = tfl.QuantizationParametersT()
        part = tensor.name.rpartition("/")[2]
        tensor.quantization.scale = [{"x": 0.04, "kernel": 0.01, "bias": 4e-4}.get(part, 0.37)]
        tensor.quantization.zeroPoint = [0]
    builder.io([x], ys)
    data = builder.build()
    converted = tfprune.convert(data)
    tiny, large = converted.report.layers
    assert (tiny.reason_code, large.verdict) == (code, "sparse"), converted.report
    if code is None:
        assert (tiny.packed_bytes or 0) > tiny.dense_bytes
    assert tfprune.verify(data, converted.tflite).ok
