# SPDX-License-Identifier: Apache-2.0
"""Sound files that the fuzzer starts from: dense and converted ones of every precision and encoding."""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator

import numpy as np

import tfprune
from tests.converter.test_fidelity import everything
from tests.models import ModelBuilder, conv_model, fully_connected_model, pruned
from tests.models.random_networks import PRECISIONS, RandomNetwork


@functools.cache
def seeds() -> tuple[bytes, ...]:
    """The files, dense ones before what they convert to."""
    found = []
    for dense in _dense():
        found.append(dense)
        for device in ("host", "arm64"):
            sparse = tfprune.convert(dense, device=device, min_speedup=1e-6).tflite
            if sparse not in found:
                found.append(sparse)
    return tuple(found)


def _dense() -> Iterator[bytes]:
    bias = np.arange(8, dtype=np.float32)
    yield conv_model(pruned((8, 3, 3, 4), rows=2), bias, (1, 5, 5), activation=1)
    yield conv_model(pruned((8, 1, 1, 8)), size=(2, 3, 3))
    yield fully_connected_model(pruned((8, 32)), bias)
    yield _residual()
    yield everything(2).build()
    yield everything(2).build_with_outside_buffers()
    for precision in PRECISIONS:
        for number in range(3):
            yield RandomNetwork(random.Random(f"{precision} {number}").randint, precision).build()


def _residual() -> bytes:
    builder = ModelBuilder()
    x = builder.tensor("x", [1, 6, 6, 8], batch=True)
    weights = builder.constant("shared", pruned((8, 3, 3, 8)))
    y = builder.conv_2d(x, weights, np.ones(8, np.float32), activation=1, name="a")
    y = builder.conv_2d(y, weights, name="b")
    builder.io([x], [builder.conv_2d(y, pruned((4, 1, 1, 8)), name="c")])
    builder.signature("serve", {"image": x}, {"features": y})
    return builder.build()
