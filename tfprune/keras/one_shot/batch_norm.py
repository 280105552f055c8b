# SPDX-License-Identifier: Apache-2.0
"""New moving statistics for BatchNormalization behind pruned layers.

A layer with moving mean ``M`` and variance ``V`` gets inputs of mean ``m0`` and variance ``v0`` in the dense model, and
``m1`` and ``v1`` now. Its outputs have the mean and variance of the dense model again with::

    V' = V v1 / v0            M' = m1 - (m0 - M) sqrt(v1 / v0)

Where the moving statistics are those of the data, that is ``V' = v1`` and ``M' = m1``, the usual recalibration. Unlike
that it leaves a model as it is that was not pruned, whatever the data, and what few examples get wrong falls out.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from tfprune.keras.one_shot.hooks import Hook
from tfprune.keras.one_shot.readers import as_array

Floats = npt.NDArray[np.float64]

#: Statistics of fewer values a channel are worse than the old ones.
LEAST_VALUES = 64


class Sums:
    """Mean and variance of values, channel by channel."""

    def __init__(self, channels: int) -> None:
        self.count = 0
        self.sums = np.zeros(channels)
        self.squares = np.zeros(channels)

    def add(self, values: npt.NDArray[Any], axis: int) -> None:
        """Takes values up."""
        others = tuple(place for place in range(values.ndim) if place != axis % values.ndim)
        numbers = values.astype(np.float64)
        self.count += values.size // max(1, values.shape[axis])
        self.sums += numbers.sum(axis=others)
        self.squares += np.square(numbers).sum(axis=others)

    def merge(self, other: Sums) -> None:
        """Takes up what another has taken up."""
        self.count += other.count
        self.sums += other.sums
        self.squares += other.squares

    def moments(self) -> tuple[Floats, Floats]:
        """Mean and variance."""
        mean = self.sums / max(1, self.count)
        return mean, np.maximum(self.squares / max(1, self.count) - np.square(mean), 0.0)


class Statistics:
    """What a BatchNormalization layer gets, in the dense model and now, over all batches.

    While that is found out, each batch gets statistics of its own, so that layers behind see what they will.

    Args:
        layer: The layer.
    """

    def __init__(self, layer: Any) -> None:
        """Nothing seen yet."""
        self._layer = layer
        self._axis = layer.axis if isinstance(layer.axis, int) else layer.axis[0]
        self._old = [as_array(variable.value) for variable in (layer.moving_mean, layer.moving_variance)]
        channels = len(self._old[0])
        self._dense, self._now = Sums(channels), Sums(channels)
        self._dense_batch = Sums(channels)

    def begin_batch(self) -> None:
        """Call before a batch runs in the dense model."""
        self._dense_batch = Sums(len(self._old[0]))

    def begin_known_batch(self, dense: Sums) -> None:
        """Call instead where it is known what the layer gets from a batch in the dense model.

        Args:
            dense: That.
        """
        self._dense.merge(dense)
        self._dense_batch = dense

    @property
    def dense_batch(self) -> Sums:
        """What the layer got in the dense model since the last batch began."""
        return self._dense_batch

    def dense_hook(self) -> Hook:
        """What `hooked` takes while the dense model runs."""

        def look(call: Any, inputs: Any, *rest: Any, **named: Any) -> Any:
            found = Sums(len(self._old[0]))
            found.add(as_array(inputs), self._axis)
            self._dense.merge(found)
            self._dense_batch.merge(found)
            return call(inputs, *rest, **named)

        return look

    def hook(self) -> Hook:
        """What `hooked` takes while the pruned model runs, each batch behind the same one in the dense model."""

        def look(call: Any, inputs: Any, *rest: Any, **named: Any) -> Any:
            batch = Sums(len(self._old[0]))
            batch.add(as_array(inputs), self._axis)
            self._now.merge(batch)
            if batch.count >= LEAST_VALUES:
                self._match(self._dense_batch, batch)
            return call(inputs, *rest, **named)

        return look

    def settle(self) -> bool:
        """Gives the layer the statistics of everything seen.

        Returns:
            Whether there was enough of it; otherwise it has the old ones again.
        """
        if self._now.count < LEAST_VALUES:
            self._assign(*self._old)
            return False
        self._match(self._dense, self._now)
        return True

    def _match(self, dense: Sums, now: Sums) -> None:
        """Statistics with which the outputs are as those of the dense model."""
        (dense_mean, dense_variance), (mean, variance) = dense.moments(), now.moments()
        old_mean, old_variance = self._old
        ratio = np.divide(variance, dense_variance, out=np.ones_like(variance), where=dense_variance > 0)
        self._assign(mean - (dense_mean - old_mean) * np.sqrt(ratio), old_variance * ratio)

    def _assign(self, mean: npt.NDArray[Any], variance: npt.NDArray[Any]) -> None:
        self._layer.moving_mean.assign(mean.astype(np.float32))
        self._layer.moving_variance.assign(variance.astype(np.float32))


def is_batch_norm(layer: Any) -> bool:
    """Whether a layer has moving statistics that can be taken anew."""
    return isinstance(layer, keras.layers.BatchNormalization) and not getattr(layer, "renorm", False)
