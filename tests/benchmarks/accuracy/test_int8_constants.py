# SPDX-License-Identifier: Apache-2.0
"""Constant channels of int8 files, with and without their rounding errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import keras
import numpy as np
import pytest

import tfprune as tp
from tests.benchmarks.conftest import Script

Load = Callable[[str], ModuleType]

#: Of the second convolution: two read constants only, with large weights.
CONSTANT = [0, 1]


@pytest.fixture
def model() -> keras.Model:
    """Two filters of the first convolution are pruned, and two of the second read nothing else."""
    keras.utils.set_random_seed(0)
    layers = [
        keras.layers.Conv2D(4, 3, padding="same", activation="relu"),
        keras.layers.Conv2D(4, 1),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(10),
    ]
    network = keras.Sequential([keras.Input((28, 28, 1)), *layers])
    first, second = (layer.get_weights() for layer in layers[:2])
    first[0][..., :2], first[1][:2] = 0, (0.13, 0.05)
    second[0][:, :, :, :2], second[0][:, :, :2, :2] = 0, [[20, -9], [-15, 30]]
    layers[0].set_weights(first)
    layers[1].set_weights(second)
    return network


def test_constants_are_exact_and_all_else_stays(model: keras.Model, load: Load, script: Script, tmp_path: Path) -> None:
    errors, constants = load("int8_errors"), load("int8_constants")
    images = errors.test_images()
    single = tp.convert(model, target="dense").tflite
    rounded = tp.convert(model, target="dense", precision="int8", representative_data=images).tflite
    exact = [each.values for each in errors.outputs(single, images) if each.op == "CONV_2D"]
    changed, count = constants.with_exact_constants(rounded, exact)
    # Those of the first convolution have no weights.
    assert count == len(CONSTANT)
    before, after = ([each.values for each in errors.outputs(file, images)][1] for file in (rounded, changed))
    step = np.ptp(exact[1]) / 255
    off = [np.abs(each - exact[1])[..., CONSTANT].max() for each in (before, after)]
    assert off[0] > 1.5 * step
    assert off[1] < 0.51 * step
    np.testing.assert_array_equal(np.delete(after, CONSTANT, axis=-1), np.delete(before, CONSTANT, axis=-1))

    for name, content in (("float32", single), ("int8", rounded)):
        (tmp_path / f"{name}.tflite").write_bytes(content)
    assert f"| {tmp_path.name} | " in script("int8_constants", tmp_path)


def test_files_must_be_there(script: Script, tmp_path: Path) -> None:
    assert "float32.tflite`: must be there" in script("int8_constants", tmp_path, code=1)
