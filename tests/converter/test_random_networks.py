# SPDX-License-Identifier: Apache-2.0
"""Random small networks: the converted file computes what the dense one does, and loses nothing of it."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tfprune
from tests.converter.test_fidelity import unexpected
from tests.models.random_networks import PRECISIONS, RandomNetwork
from tfprune.runtime.random_inputs import random_inputs

# Error by the largest output; integers give the same numbers, a dynamic model rounds its inputs otherwise.
TOLERANCE = {"float32": 1e-4, "float16": 1e-4, "int8": 0, "dynamic": 0.03, "uint8": 0, "int16": 0}
TARGETS = ("delegate", "stock")


def check(
    dense: bytes, tolerance: float, batch: int | None = None, seed: int = 0, target: str = "delegate"
) -> tfprune.Converted:
    """Converts whatever can be packed; every output of every signature must be equal on the same inputs."""
    converted = tfprune.convert(dense, device="host", target=target, min_speedup=1e-6)
    assert tfprune.convert(dense, device="host", target=target, min_speedup=1e-6).tflite == converted.tflite
    models = [tfprune.Interpreter(content) for content in (dense, converted.tflite)]
    assert models[0].signatures == models[1].signatures
    for key in models[0].signatures:
        inputs = random_inputs(models[0].inputs(key), batch, seed)
        results = [model.predict(inputs, signature=key) for model in models]
        pairs = [result if isinstance(result, dict) else {"": result} for result in results]
        assert pairs[0].keys() == pairs[1].keys()
        for name, expected in pairs[0].items():
            found = pairs[1][name]
            assert found.dtype == expected.dtype
            assert found.shape == expected.shape
            error = np.abs(found.astype(np.float64) - expected).max()
            assert error <= tolerance * max(1, np.abs(expected).max()), f"{key} {name}"
    return converted


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("target", TARGETS)
@settings(deadline=None, max_examples=5, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_converted_networks_compute_the_same(data: st.DataObject, target: str, precision: str) -> None:
    dense = RandomNetwork(lambda low, high: data.draw(st.integers(low, high)), precision).build()
    check(dense, TOLERANCE[precision], target=target)


@pytest.mark.slow
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("target", TARGETS)
@settings(deadline=None, max_examples=200, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_many_converted_networks_compute_the_same(data: st.DataObject, target: str, precision: str) -> None:
    dense = RandomNetwork(lambda low, high: data.draw(st.integers(low, high)), precision).build()
    check(dense, TOLERANCE[precision], target=target)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_precision_has_networks_that_are_converted(precision: str) -> None:
    networks = [RandomNetwork(random.Random(f"{precision} {seed}").randint, precision).build() for seed in range(16)]
    for target in TARGETS:
        found = [tfprune.convert(data, device="host", target=target, min_speedup=1e-6) for data in networks]
        assert sum(converted.tflite != converted.dense for converted in found) >= 2, target


@settings(deadline=None, max_examples=10, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_converted_networks_lose_nothing(data: st.DataObject) -> None:
    dense = RandomNetwork(lambda low, high: data.draw(st.integers(low, high))).build()
    sparse = tfprune.convert(dense, device="host", min_speedup=1e-6).tflite
    assert unexpected(dense, sparse) == []
