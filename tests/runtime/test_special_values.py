# SPDX-License-Identifier: Apache-2.0
"""NaN, infinity and denormals go through our kernels as through XNNPACK, which LiteRT uses by default."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from tests.models.builder import NONE, RELU6
from tests.runtime.chain_files import ChainBuilder, image, invoke, ours, sparse_file


def _kept(b: ChainBuilder, kernel: int, activation: int, scale: float = 1.0) -> bytes:
    """Two convolutions without zeros: a pruned weight does not hand on what a zero times NaN would."""
    y = b.x
    for seed in range(2):
        values = np.random.default_rng(seed).uniform(0.5, 1.5, (8, kernel, kernel, 8)).astype(np.float32)
        y = b.conv_2d(y, values * scale, np.zeros(8, np.float32), activation=activation)
    return b.finish(y)


@pytest.mark.parametrize("chains", ["0", "1"])
@pytest.mark.parametrize("activation", [NONE, RELU6])
@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite(value: float, kernel: int, activation: int, chains: str) -> None:
    dense = _kept(ChainBuilder(), kernel, activation)
    x = image(dense)
    x[0, 5, 6, 3] = value
    (expected,) = invoke(Interpreter(model_content=dense), x)
    (got,) = ours(sparse_file(dense), x, chains=chains).outputs
    assert activation != NONE or not np.isfinite(expected).all()
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("num_threads", [1, 2])
@pytest.mark.parametrize("chains", ["0", "1"])
@pytest.mark.parametrize("kernel", [1, 3])
def test_denormals_become_zero(kernel: int, chains: str, num_threads: int) -> None:
    read = _kept(ChainBuilder(), kernel, NONE)
    computed = _kept(ChainBuilder(), kernel, NONE, scale=1e-30)
    for dense, scale in ((read, 1e-39), (computed, 1e-10)):
        x = image(dense) * np.float32(scale)
        assert np.count_nonzero(x) == x.size
        (expected,) = invoke(Interpreter(model_content=dense), x)
        (got,) = ours(sparse_file(dense), x, chains=chains, num_threads=num_threads).outputs
        assert not expected.any()
        assert not got.any()
