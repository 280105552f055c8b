# SPDX-License-Identifier: Apache-2.0
"""`PruningCallback` for models of tf_keras (Keras 2)."""

from __future__ import annotations

from typing import Any

import tf_keras

from tfprune.errors import PruningError
from tfprune.keras.in_fit import PrunesInFit, recipe_of, warn_once


class PruningCallback(PrunesInFit, tf_keras.callbacks.Callback):  # type: ignore[misc]  # tf_keras has no type information
    """Prunes a model of tf_keras while it trains; as `tfprune.PruningCallback` does with one of Keras 3.

    Before a training step at which a schedule asks for it, masks are chosen anew; after every update of the optimizer,
    in the same compiled step, removed weights are exactly zero. Nothing is added to the model: after ``fit`` it is a
    plain model of tf_keras with zeros in its weights.

    Args:
        *args: As for `tfprune.PruningCallback`: a pattern and a schedule.
        reproject: As there.
        **kwargs: Its `recipe`, or `filters`, `scores`, `scope`, `penalty` and `min_weights`; nothing else.

    Raises:
        PruningError: As `tfprune.PruningCallback`.

    Example:
        >>> import numpy as np, tf_keras
        >>> from tfprune import patterns, schedules
        >>> from tfprune.bridge.tf_keras import PruningCallback
        >>> model = tf_keras.Sequential([tf_keras.layers.Dense(64, input_shape=(64,)), tf_keras.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> pruning = PruningCallback(patterns.Groups(rows=4), schedules.PolynomialDecay(final_sparsity=0.75))
        >>> history = model.fit(np.ones((32, 64)), np.ones(32), epochs=3, verbose=0, callbacks=[pruning])
        >>> history.history["sparsity"][-1]
        0.75
    """

    def __init__(self, *args: Any, reproject: bool = False, **kwargs: Any) -> None:
        """Checks the arguments."""
        super().__init__()
        self._reproject = reproject
        self._recipe = recipe_of(*args, **kwargs)
        self._first = 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Puts the masks in place."""
        if not self.model.built:
            raise PruningError(
                f"The model {self.model.name!r} must be built before training begins, so that its kernels exist. "
                "Received: no weights yet. Call the model once on a batch, or call model.build(input_shape)."
            )
        self._begin(self._recipe)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Fits the schedule to this training; only here is its first epoch known."""
        if self._planned or self._pruning is None:
            return
        self._planned = True
        warn_once(self._plan(self._pruning, epoch))

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Chooses masks anew where the schedule asks for it."""
        self._first = batch
        if self._pruning is not None:
            self._pruning.prepare()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Counts the steps and logs the sparsity; of several steps that ran together, `batch` is the last."""
        if self._pruning is not None:
            self._pruning.check_step()
            self._pruning.advance(batch - self._first + 1)
        self._log(logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Logs the sparsity."""
        self._log(logs)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Leaves the model pruned, and otherwise as it was."""
        self._settle()
        self._log(logs)
