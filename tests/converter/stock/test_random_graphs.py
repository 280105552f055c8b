# SPDX-License-Identifier: Apache-2.0
"""Random networks through all passes: equal outputs on stock LiteRT, never more multiply-adds."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.converter.stock.graphs import assert_same, macs, random_network, shrunk

_SETTINGS = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}


@pytest.mark.parametrize("precision", ["float32", "float16", "int8", "uint8", "int16"])
@settings(max_examples=20, **_SETTINGS)
@given(st.integers(0, 2**32), st.booleans())
def test_the_outputs_stay(precision: str, seed: int, batch: bool) -> None:
    check(seed, precision, batch)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "float16", "int8", "uint8", "int16"])
@settings(max_examples=1500, **_SETTINGS)
@given(st.integers(0, 2**32), st.booleans())
def test_the_outputs_stay_in_many_networks(precision: str, seed: int, batch: bool) -> None:
    check(seed, precision, batch)


def check(seed: int, precision: str, batch: bool) -> None:
    data = random_network(seed, precision, batch)
    after, layers = shrunk(data)
    assert_same(data, after)
    if batch:
        assert_same(data, after, batch=3)
    before, now = macs(layers)
    assert now <= before
    again, more = shrunk(after)
    assert not any(layer.verdict == "smaller" for layer in more)
    assert len(again) == len(after)


def test_most_networks_get_smaller() -> None:
    found = [macs(shrunk(random_network(seed, "float32"))[1]) for seed in range(30)]
    assert sum(now < before for before, now in found) >= 20
