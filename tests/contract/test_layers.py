# SPDX-License-Identifier: Apache-2.0
"""Back ends x layers x ways to build a model: pruned weights are exactly zero after each of two steps."""

from __future__ import annotations

import keras
import pytest

from tests.contract.models import KERNELS, KINDS, WAYS, words
from tests.contract.watch import KernelWatch, check_steps, kernels_in, skip_on_torch, two_cuts

BATCH = 4


def train_two_steps(way: str, kinds: tuple[str, ...], jit_compile: bool | str = "auto") -> None:
    model = WAYS[way](kinds)
    assert len(kernels_in(model)) == sum(KERNELS.get(kind, 1) for kind in {"embedding", *kinds}) + 1
    model.compile(keras.optimizers.Adam(0.01), "mse", jit_compile=jit_compile)
    watch = KernelWatch()
    model.fit(*words(2 * BATCH), batch_size=BATCH, verbose=0, shuffle=False, callbacks=[two_cuts(), watch])
    check_steps(model, watch.steps)


@pytest.mark.backends
def test_all_layers() -> None:
    """One model holds all kinds: compiling a step is what takes the time."""
    train_two_steps("functional", KINDS)


@pytest.mark.backends
@pytest.mark.parametrize("way", WAYS)
def test_all_ways(way: str) -> None:
    train_two_steps(way, ("embedding", "einsum", "separable"))


@pytest.mark.backends
@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_all_layers_in_all_ways(way: str) -> None:
    train_two_steps(way, KINDS)


@pytest.mark.backends
@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("jit_compile", [True, False])
def test_each_layer_alone(kind: str, jit_compile: bool) -> None:
    if jit_compile:
        skip_on_torch("its compiler takes minutes for all of them; test_training.py has one")
    train_two_steps("functional", (kind,), jit_compile)
