# SPDX-License-Identifier: Apache-2.0
"""Samples times the weight matrix are what the layer itself computes, for every layer that is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from tfprune.keras.layers import kernels_of
from tfprune.keras.one_shot.readers import Unread, reader_of
from tfprune.sparsity.layouts import to_matrix
from tfprune.sparsity.reconstruct import samples as pieces
from tfprune.sparsity.reconstruct.moments import MOST_COLUMNS, Parts

pytestmark = pytest.mark.backends
L = keras.layers
LAYERS: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    "dense": (lambda: L.Dense(6), (2, 5)),
    "dense of a sequence": (lambda: L.Dense(6), (2, 7, 5)),
    "conv1d": (lambda: L.Conv1D(6, 3, strides=2), (2, 9, 4)),
    "conv1d causal": (lambda: L.Conv1D(6, 3, padding="causal", dilation_rate=2), (2, 9, 4)),
    "conv2d": (lambda: L.Conv2D(6, 3), (2, 7, 8, 4)),
    "conv2d same, strides": (lambda: L.Conv2D(6, (3, 2), strides=2, padding="same"), (2, 7, 8, 4)),
    "conv2d dilated": (lambda: L.Conv2D(6, 3, dilation_rate=2, padding="same"), (2, 9, 9, 4)),
    "conv2d grouped": (lambda: L.Conv2D(6, 3, groups=2), (2, 7, 7, 4)),
    "depthwise": (lambda: L.DepthwiseConv2D(3, depth_multiplier=2, strides=2, padding="same"), (2, 7, 7, 3)),
    "depthwise 1d": (lambda: L.DepthwiseConv1D(3, depth_multiplier=2), (2, 7, 3)),
    "transposed": (lambda: L.Conv2DTranspose(6, 3, strides=2), (2, 4, 5, 3)),
    "transposed same": (lambda: L.Conv2DTranspose(6, (4, 3), strides=2, padding="same"), (2, 4, 5, 3)),
    "transposed, gaps": (lambda: L.Conv2DTranspose(6, 2, strides=3), (2, 4, 5, 3)),
    "einsum": (lambda: L.EinsumDense("abc,cd->abd", (None, 6), bias_axes="d"), (2, 7, 5)),
    "einsum, heads": (lambda: L.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de"), (2, 7, 5)),
    "einsum, ellipsis": (lambda: L.EinsumDense("...x,xy->...y", (6,), bias_axes="y"), (2, 3, 7, 5)),
    "einsum, groups": (lambda: L.EinsumDense("abc,bcd->abd", (3, 6)), (2, 3, 5)),
}


@pytest.mark.parametrize("small", [False, True], ids=["one piece", "many pieces"])
@pytest.mark.parametrize("name", LAYERS)
def test_samples_times_weights_are_the_outputs(name: str, small: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if small:
        monkeypatch.setattr(pieces, "_PIECE", 40)
    make, shape = LAYERS[name]
    keras.utils.set_random_seed(0)
    layer = make()
    inputs = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    outputs = np.asarray(keras.ops.convert_to_numpy(layer(inputs)))
    (kernel, layout) = kernels_of(layer)[0]
    reader = reader_of(layer, kernel, layout)
    weights = reader.parts.split(to_matrix(kernel.numpy(), layout), reader.count)
    found = np.concatenate([piece @ weights.transpose(0, 2, 1) for piece in reader.samples(inputs)], axis=1)
    # [parts, samples, rows of a part] as the layer's outputs.
    rows = np.moveaxis(found, 0, 1)
    if reader.parts is Parts.SEGMENTS:
        assert np.allclose(rows.reshape(outputs.shape), outputs, atol=1e-5)
    else:
        assert np.allclose(rows.reshape(outputs.shape), outputs, atol=1e-5)
    if "einsum, groups" not in name:
        assert reader.bias is layer.bias


def test_the_pointwise_kernel_reads_what_the_depthwise_one_makes() -> None:
    layer = L.SeparableConv2D(6, 3, strides=2, padding="same", depth_multiplier=2)
    inputs = np.random.default_rng(2).normal(size=(2, 7, 7, 3)).astype(np.float32)
    outputs = np.asarray(keras.ops.convert_to_numpy(layer(inputs)))
    (depthwise, first), (pointwise, second) = kernels_of(layer)
    reader = reader_of(layer, pointwise, second)
    (piece,) = reader.samples(inputs)
    found = piece[0] @ to_matrix(pointwise.numpy(), second).reshape(6, 6).T
    assert np.allclose(found.reshape(outputs.shape), outputs, atol=1e-5)
    assert reader.bias is layer.bias
    assert reader_of(layer, depthwise, first).bias is None


def test_a_pruned_depthwise_kernel_does_not_change_what_the_dense_model_reads() -> None:
    layer = L.SeparableConv2D(6, 3)
    inputs = np.random.default_rng(2).normal(size=(2, 7, 7, 3)).astype(np.float32)
    layer(inputs)
    (depthwise, _), (pointwise, layout) = kernels_of(layer)
    reader = reader_of(layer, pointwise, layout)
    (before,) = reader.samples(inputs)
    depthwise.assign(np.zeros(depthwise.shape))
    assert reader.dense_samples is not None
    np.testing.assert_array_equal(next(reader.dense_samples(inputs)), before)
    assert not next(reader.samples(inputs)).any()


def test_a_frozen_bias_does_not_change() -> None:
    layer = L.Dense(3)
    layer.build((None, 4))
    layer.trainable = False
    (kernel, layout) = kernels_of(layer)[0]
    assert reader_of(layer, kernel, layout).bias is None


def test_what_is_not_read_has_a_reason() -> None:
    cell = L.LSTMCell(4)
    cell.build((None, 3))
    with pytest.raises(Unread, match="inputs of LSTMCell are not collected"):
        reader_of(cell, *kernels_of(cell)[0])
    wide = L.Dense(1)
    wide.build((None, MOST_COLUMNS + 1))
    with pytest.raises(Unread, match="8193 columns are more than 8192"):
        reader_of(wide, *kernels_of(wide)[0])
    summed = L.EinsumDense("abc,bd->ad", (6,))
    summed.build((None, 3, 5))
    with pytest.raises(Unread, match="sums up its input"):
        reader_of(summed, *kernels_of(summed)[0])
