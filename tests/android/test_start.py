# SPDX-License-Identifier: Apache-2.0
"""How long until a large model is ready, with the delegate and without anything that needs it."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest

import tfprune as tp
from tests.android.conftest import Java

ROUNDS, TURNS = 10, 5
#: What the delegate may add to the start of ResNet-50, in milliseconds.
MOST = 50.0


@pytest.mark.slow
def test_resnet50_starts_at_most_50_ms_later_than_dense(java: Java, tmp_path: Path) -> None:
    import keras

    keras.utils.set_random_seed(0)
    network = keras.applications.ResNet50(weights=None, input_shape=(224, 224, 3))
    pruned = tp.prune(network, tp.Rule(None, tp.patterns.Groups(rows=4), 0.75)).model
    made = tp.convert(pruned, min_speedup=0.01)
    assert sum(layer.converted for layer in made.report.layers) > 40
    files = {"dense": made.dense, "pruned": made.tflite}
    for name, content in files.items():
        (tmp_path / f"{name}.tflite").write_bytes(content)
    starts: dict[str, list[float]] = {name: [] for name in files}
    for _ in range(TURNS):
        for name in files:
            done = java("Rounds", tmp_path / f"{name}.tflite", ROUNDS)
            assert done.returncode == 0, done.stderr
            (line,) = (line for line in done.stdout.splitlines() if line.startswith("start "))
            starts[name].append(float(line.split()[1]) / 1000)
    for name, found in starts.items():
        print(
            f"ResNet-50, {name}, ready after {statistics.median(found):.1f} ms ({min(found):.1f} to {max(found):.1f})"
        )
    assert statistics.median(starts["pruned"]) < statistics.median(starts["dense"]) + MOST
