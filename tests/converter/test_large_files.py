# SPDX-License-Identifier: Apache-2.0
"""A file of more than 2 GiB: written with its data behind the FlatBuffer, read, converted, run and made dense again."""

from __future__ import annotations

import os
import tracemalloc

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tfl

import tfprune
from tests.converter.helpers import convert, names
from tests.models import ModelBuilder, fully_connected_model, pruned
from tfprune.converter.schema import AlignedBuffer, write_model

MEMORY = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(MEMORY < 10 << 30, reason="needs 10 GB of free memory")]
# Weights of 2.2 GB without a zero.
OUTPUTS, FEATURES = 16_384, 33_000


def large_file() -> bytes:
    builder = ModelBuilder()
    image, features = builder.tensor("image", [1, 8, 8, 32]), builder.tensor("features", [1, FEATURES])
    small = builder.conv_2d(image, pruned((64, 3, 3, 32)), np.ones(64, np.float32), name="small")
    weights = np.full((OUTPUTS, FEATURES), 0.001, np.float32)
    weights[:, 0] = np.arange(1, OUTPUTS + 1)
    builder.model.buffers = [AlignedBuffer(buffer.data) for buffer in builder.model.buffers]
    builder.model.buffers.append(AlignedBuffer(weights.reshape(-1).view(np.uint8)))
    large = builder.tensor("large/kernel", weights.shape, buffer=len(builder.model.buffers) - 1)
    builder.io([image, features], [small, builder.fully_connected(features, large, name="large")])
    return write_model(builder.model)


def _starts(data: bytes, size: int) -> list[int]:
    buffers = tfl.ModelT.InitFromPackedBuf(data).buffers
    return [buffer.offset for buffer in buffers if buffer.size == size]


def test_a_file_above_2_gib() -> None:
    dense = large_file()
    assert len(dense) > 2**31
    sparse = convert(dense).tflite
    assert names(sparse) == ["TfpruneConv2D", "FULLY_CONNECTED"]
    assert 2**31 < len(sparse) < len(dense)
    size = 4 * OUTPUTS * FEATURES
    (start,) = _starts(sparse, size)
    places = np.frombuffer(dense, np.uint8)[-size:], np.frombuffer(sparse, np.uint8, size, start)
    assert np.array_equal(*places)
    del dense, places
    model = tfprune.Interpreter(sparse)
    image = np.random.default_rng(0).standard_normal((1, 8, 8, 32), np.float32)
    features = np.zeros((1, FEATURES), np.float32)
    features[0, 0], features[0, -1] = 1, 1000
    found = model.predict({"image": image, "features": features})
    assert isinstance(found, dict)
    np.testing.assert_allclose(found["large"][0], np.arange(OUTPUTS) + 2, rtol=1e-6)


@pytest.mark.parametrize(("sparsity", "rows"), [(0.8, 4), (0.6, 1)])
def test_one_large_layer_takes_three_times_its_file(sparsity: float, rows: int) -> None:
    data = fully_connected_model(pruned((8192, 8192), sparsity, rows), np.ones(8192, np.float32))
    tracemalloc.start()
    try:
        converted = convert(data, min_speedup=0.01)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert converted.tflite != data
    # The file itself is not traced.
    assert peak < 2 * len(data)
