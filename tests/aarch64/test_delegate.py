# SPDX-License-Identifier: Apache-2.0
"""The cross-compiled library in the stock aarch64 LiteRT, under qemu."""

from __future__ import annotations

import numpy as np
import pytest

import tfprune as tp
from tests.aarch64.conftest import Guest
from tests.models.builder import conv_model, fully_connected_model, pruned

pytestmark = pytest.mark.aarch64


def _inputs(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(7).standard_normal(shape).astype(np.float32)


def _bias(channels: int) -> np.ndarray:
    return np.linspace(-1, 1, channels, dtype=np.float32)


def _unaligned(shape: tuple[int, ...], sparsity: float) -> np.ndarray:
    weights = np.random.default_rng(3).standard_normal(shape).astype(np.float32)
    matrix = weights.reshape(shape[0], -1)
    # LiteRT's order is output channels first, so rank selects: the pattern's rows are the matrix's.
    mask = tp.select(matrix.T, tp.patterns.Groups(rows=4, along="output"), sparsity).T
    return (matrix * mask).reshape(shape)


CASES = {
    "pointwise": (conv_model(pruned((64, 1, 1, 64)), _bias(64), size=(1, 9, 7)), (1, 9, 7, 64)),
    "3x3": (conv_model(pruned((32, 3, 3, 24)), _bias(32), size=(1, 11, 10)), (1, 11, 10, 24)),
    "unaligned": (conv_model(_unaligned((48, 3, 3, 16), 0.85), _bias(48), size=(1, 8, 8)), (1, 8, 8, 16)),
    "fully connected": (fully_connected_model(pruned((128, 256)), _bias(128), shape=[4, 256]), (4, 256)),
}


@pytest.mark.parametrize("name", CASES)
def test_a_converted_model_equals_the_dense_one_on_neon(name: str, guest: Guest) -> None:
    model, shape = CASES[name]
    converted = tp.convert(model, min_speedup=0.01)
    x = _inputs(shape)
    dense, _ = guest(model, x, delegate=False)
    sparse, kernel = guest(converted.tflite, x)
    assert "neon" in kernel
    scale = np.abs(dense).max()
    np.testing.assert_allclose(sparse, dense, rtol=1e-4, atol=1e-5 * scale)


def test_the_comparison_sees_one_changed_weight(guest: Guest) -> None:
    weights = pruned((64, 1, 1, 64))
    x = _inputs((1, 9, 7, 64))
    dense, _ = guest(conv_model(weights, _bias(64), size=(1, 9, 7)), x, delegate=False)
    changed = weights.copy()
    place = np.argmax(np.abs(changed))
    changed.flat[place] *= 1.01
    sparse, _ = guest(tp.convert(conv_model(changed, _bias(64), size=(1, 9, 7)), min_speedup=0.01).tflite, x)
    assert np.abs(sparse - dense).max() > 1e-4 * np.abs(dense).max()


def test_the_reference_kernel_can_be_asked_for(guest: Guest) -> None:
    model, shape = CASES["pointwise"]
    sparse = tp.convert(model, min_speedup=0.01).tflite
    x = _inputs(shape)
    neon, _ = guest(sparse, x)
    reference, kernel = guest(sparse, x, arch="reference")
    assert "reference" in kernel
    np.testing.assert_allclose(neon, reference, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_half_precision_is_near_single_precision(name: str, guest: Guest) -> None:
    model, shape = CASES[name]
    sparse = tp.convert(model, min_speedup=0.01).tflite
    # Below an eighth of a tile, pixels go one by one and in float32: more rows for the fully-connected layer.
    x = _inputs((16, *shape[1:]) if name == "fully connected" else shape)
    single, _ = guest(sparse, x)
    half, kernel = guest(sparse, x, precision="f16")
    assert kernel.endswith("/neon_fp16")
    error = np.abs(half - single).max() / np.abs(single).max()
    # A few roundings of 2^-11 each; and not the bytes of float32.
    assert 2.0**-16 < error < 8 * 2.0**-11


def test_a_batch_of_one_says_that_it_runs_in_single_precision(guest: Guest) -> None:
    model, shape = CASES["fully connected"]
    sparse = tp.convert(model, min_speedup=0.01).tflite
    x = _inputs((1, *shape[1:]))
    single, _ = guest(sparse, x)
    half, kernel = guest(sparse, x, precision="f16")
    assert "single" in kernel
    assert "fp16" not in kernel
    np.testing.assert_array_equal(half, single)
