# SPDX-License-Identifier: Apache-2.0
"""What is left of networks, against counts by hand."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import keras
import numpy as np
import pytest

Load = Callable[[str], ModuleType]


@pytest.fixture
def model() -> Any:
    """1 -> 4 -> 2 channels of 6x6, a depthwise kernel between, and a classifier of three."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    image = keras.Input((6, 6, 1))
    x = layers.Conv2D(4, 3, padding="same", use_bias=False, name="first")(image)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = layers.Conv2D(2, 1, name="second")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(3, name="logits")(x))


def _cut(model: Any, layer: str, place: Any) -> None:
    kernel = model.get_layer(layer).kernel
    values = kernel.numpy()
    values[place] = 0
    kernel.assign(values)


WEIGHTS = 36 + 36 + 8 + 6
MACS = 36 * (36 + 36 + 8) + 6


def test_a_dense_network_is_whole(load: Load, model: Any) -> None:
    found = load("accuracy.counting").left(model)
    assert (found.weights, found.macs, found.shrunk_macs) == (1, 1, 1)


def test_single_weights_shrink_nothing(load: Load, model: Any) -> None:
    _cut(model, "first", np.s_[0, 0, 0, :])
    found = load("accuracy.counting").left(model)
    assert found.weights == pytest.approx((WEIGHTS - 4) / WEIGHTS)
    assert found.macs == found.shrunk_macs == pytest.approx((MACS - 36 * 4) / MACS)


def test_filters_take_along_what_reads_them(load: Load, model: Any) -> None:
    _cut(model, "first", np.s_[..., :3])
    found = load("accuracy.counting").left(model)
    assert found.weights == pytest.approx((WEIGHTS - 27) / WEIGHTS)
    assert found.macs == pytest.approx((MACS - 36 * 27) / MACS)
    # Three depthwise kernels and three inputs of two filters.
    assert found.shrunk_macs == pytest.approx((MACS - 36 * (27 + 27 + 6)) / MACS)


def test_channels_that_a_sum_fills_stay(load: Load) -> None:
    layers = keras.layers
    image = keras.Input((6, 6, 1))
    both = [layers.Conv2D(4, 3, padding="same", name=name)(image) for name in ("left", "right")]
    model = keras.Model(image, layers.Conv2D(2, 1, name="reader")(layers.Add()(both)))
    _cut(model, "left", np.s_[..., :3])
    counting = load("accuracy.counting")
    assert counting.left(model).shrunk_macs == counting.left(model).macs
    _cut(model, "right", np.s_[..., 1:])
    # Channel 0 has the right convolution, channel 3 the left one.
    assert counting.left(model).shrunk_macs == pytest.approx(counting.left(model).macs - 36 * 4 / (36 * (36 + 36 + 8)))
