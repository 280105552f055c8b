# SPDX-License-Identifier: Apache-2.0
"""Very large fully connected layers: a part of their outputs stands for the whole."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np
import pytest

from tfprune.costs import load_table
from tfprune.mapping import network as network_module
from tfprune.mapping.choice import Choice
from tfprune.mapping.latency import LatencyModel
from tfprune.mapping.network import Network
from tfprune.sparsity.patterns import BlockRowsColumns, Filters, Groups, Pattern


def large(inputs: int, outputs: int) -> Any:
    keras.utils.set_random_seed(0)
    x = given = keras.Input((inputs,))
    for name, units in (("hidden", outputs), ("classes", 10)):
        x = keras.layers.Dense(units, name=name)(x)
    return keras.Model(given, x)


@pytest.fixture(scope="module")
def network() -> Network:
    return Network(large(4096, 1536))


# Which of few filters stay differs more between a part and the whole than which of many groups.
@pytest.mark.parametrize(
    ("pattern", "error"), [(Groups(rows=4), 0.01), (BlockRowsColumns(16, 16), 0.01), (Filters(), 0.06)], ids=str
)
def test_a_part_predicts_what_the_whole_does(
    pattern: Pattern, error: float, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    choices = {"hidden": Choice(pattern, 0.8)}
    part = LatencyModel(network, load_table("arm64")).predict(choices).layers["hidden"]
    assert network.layer("hidden").part.repeats == 2
    monkeypatch.setattr(network_module, "_MOST_WEIGHTS", 1 << 30)
    whole_network = Network(large(4096, 1536))
    assert whole_network.layer("hidden").part.repeats == 1
    whole = LatencyModel(whole_network, load_table("arm64")).predict(choices).layers["hidden"]
    assert part.sparse
    assert part.encoding == whole.encoding
    assert part.dense_time == whole.dense_time
    for name in ("time", "stored_bytes", "macs", "sparsity"):
        assert getattr(part, name) == pytest.approx(getattr(whole, name), rel=error), name


@pytest.mark.parametrize(
    ("inputs", "outputs", "repeats"),
    [(4096, 1024, 1), (4100, 1024, 2), (8192, 4096, 8), (8192, 700, 1), (70000, 64, 1)],
)
def test_parts_hold_whole_bands_of_outputs(inputs: int, outputs: int, repeats: int) -> None:
    weights = np.broadcast_to(np.float32(1), (inputs, outputs))
    layer = Network(large(16, 8)).layer("hidden")
    wide = dataclasses.replace(layer, weights=weights)
    assert wide.part.repeats == repeats
    assert wide.part.weights.shape == (inputs, outputs // repeats)
