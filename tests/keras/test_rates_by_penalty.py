# SPDX-License-Identifier: Apache-2.0
"""Rates of layers that fall out of one threshold, once the reweighted penalty has shrunk what nothing needs."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from tfprune.keras.callback import PruningCallback
from tfprune.sparsity.patterns import Groups
from tfprune.sparsity.penalties import ReweightedGroupPenalty
from tfprune.sparsity.schedules import ConstantSparsity, StrengthRamp
from tfprune.sparsity.select import select_global

SIZE, STEPS, BATCH = 16, 60, 8
PATTERN = Groups(rows=4, aligned=True)


class AtTheEnd(keras.callbacks.Callback):
    """Keeps the kernels of right before the cut; listed before the pruning callback, which cuts then."""

    kernels: dict[str, np.ndarray]

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        names = ("needed", "redundant")
        self.kernels = {name: np.asarray(self.model.get_layer(name).kernel.numpy()) for name in names}


def trained(penalty: ReweightedGroupPenalty | None, seed: int) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Two layers whose outputs add up; the input of one says nothing. Zeros of each, and kernels before the cut."""
    keras.utils.set_random_seed(seed)
    useful, useless = keras.Input((SIZE,)), keras.Input((SIZE,))
    layers = [keras.layers.Dense(SIZE, name="needed"), keras.layers.Dense(SIZE, name="redundant")]
    model = keras.Model([useful, useless], keras.layers.Add()([layers[0](useful), layers[1](useless)]))
    model.compile(keras.optimizers.SGD(0.5), "mse")
    rng = np.random.default_rng(seed)
    for layer in layers:  # weights of about one size, so that size alone says nothing
        layer.kernel.assign(rng.choice([-1, 1], (SIZE, SIZE)) * rng.uniform(0.22, 0.28, (SIZE, SIZE)))
    x = rng.standard_normal((STEPS * BATCH, SIZE)).astype(np.float32)
    noise = 0.01 * rng.standard_normal(x.shape).astype(np.float32)
    pruning = PruningCallback(
        PATTERN,
        ConstantSparsity(0.5, begin_step=STEPS),
        filters=["needed", "redundant"],
        min_weights=1,
        scores="l2",
        scope="global",
        penalty=penalty,
    )
    end = AtTheEnd()
    target = x @ layers[0].kernel.numpy()
    model.fit([x, noise], target, batch_size=BATCH, verbose=0, shuffle=False, callbacks=[end, pruning])
    return {line.layer: line.achieved for line in pruning.report.layers}, end.kernels


def test_a_redundant_layer_gets_a_higher_rate() -> None:
    for seed in (0, 1):
        penalty = ReweightedGroupPenalty(StrengthRamp(0.01, end_step=0), refresh=15)
        rates, kernels = trained(penalty, seed)
        # Both layers together are cut to one half; it comes from the layer that nothing needs, but for the one group
        # that a layer always keeps.
        assert rates["needed"] <= 1 / 64
        assert rates["redundant"] >= 63 / 64
        # One threshold on the norms of all groups of all layers says the same.
        norms = {name: np.linalg.norm(kernel.reshape(SIZE, -1, 4), axis=2) for name, kernel in kernels.items()}
        threshold = np.median(np.concatenate([each.ravel() for each in norms.values()]))
        for name, rate in rates.items():
            assert abs(float((norms[name] <= threshold).mean()) - rate) <= 1 / 64
        # And so does the choice for arrays.
        masks = select_global(kernels, PATTERN, 0.5, scores="l2")
        assert {name: float(mask.mean()) for name, mask in masks.items()} == {"needed": 63 / 64, "redundant": 1 / 64}


def test_without_the_penalty_it_does_not() -> None:
    plain, _ = trained(None, 0)
    assert 0.4 < plain["redundant"] < 0.6
