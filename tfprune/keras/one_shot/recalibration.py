# SPDX-License-Identifier: Apache-2.0
"""New statistics of BatchNormalization again and again, for many prunings of one model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tfprune.keras.layers import walk_layers
from tfprune.keras.one_shot.batch_norm import Statistics, Sums, is_batch_norm
from tfprune.keras.one_shot.hooks import hooked, run


class Recalibration:
    """Gives the BatchNormalization layers of a model the statistics of its pruned kernels.

    What the layers get in the dense model is found out once, so that each pruning costs one run over the batches.

    Args:
        model: Built Keras model, with dense weights and the statistics that belong to them.
        batches: Batches as the model takes them.
    """

    def __init__(self, model: Any, batches: Sequence[Any]) -> None:
        """Runs the dense model."""
        self._model = model
        self._batches = batches
        self._layers = [layer for layer in walk_layers(model) if is_batch_norm(layer)]
        self._dense: list[list[Sums]] = []
        for batch in batches if self._layers else ():
            statistics = [Statistics(layer) for layer in self._layers]
            with hooked({layer: each.dense_hook() for layer, each in zip(self._layers, statistics, strict=True)}):
                run(model, batch)
            self._dense.append([each.dense_batch for each in statistics])

    @property
    def variables(self) -> list[Any]:
        """What it changes."""
        return [variable for layer in self._layers for variable in (layer.moving_mean, layer.moving_variance)]

    def apply(self) -> None:
        """Call with pruned kernels and the statistics of the dense model in place."""
        if not self._layers:
            return
        statistics = [Statistics(layer) for layer in self._layers]
        hooks = {layer: each.hook() for layer, each in zip(self._layers, statistics, strict=True)}
        for batch, dense in zip(self._batches, self._dense, strict=True):
            for each, known in zip(statistics, dense, strict=True):
                each.begin_known_batch(known)
            with hooked(hooks):
                run(self._model, batch)
        for each in statistics:
            each.settle()
