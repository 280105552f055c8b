# SPDX-License-Identifier: Apache-2.0
"""`PruningCallback` for models of tf_keras (Keras 2)."""

from __future__ import annotations

from typing import Any

import tf_keras

from tfprune.errors import PruningError
from tfprune.keras.in_fit import PrunesInFit


class PruningCallback(PrunesInFit, tf_keras.callbacks.Callback):  # type: ignore[misc]  # tf_keras has no type information
    """Prunes a model of tf_keras while it trains; as `tfprune.PruningCallback` does with one of Keras 3.

    Before a training step at which a schedule asks for it, masks are chosen anew; after every update of the optimizer,
    in the same compiled step, removed weights are exactly zero. Nothing is added to the model: after ``fit`` it is a
    plain model of tf_keras with zeros in its weights.

    The arguments are those of `tfprune.PruningCallback`. One is different: here `checkpoint` is written at the end of
    each epoch, so give this callback a place before the one that saves the weights (`BackupAndRestore`).

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

    #: The batch that has begun.
    _first = 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Puts the masks in place."""
        if not self.model.built:
            raise PruningError(
                f"The model {self.model.name!r} must be built before training begins, so that its kernels exist. "
                "Received: no weights yet. Call the model once on a batch, or call model.build(input_shape)."
            )
        super().on_train_begin(logs)

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Chooses masks anew where the schedule asks for it."""
        super().on_train_batch_begin(batch, logs)
        self._first = batch

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Logs the sparsity, looks at the bounds, and writes the checkpoint."""
        super().on_epoch_end(epoch, logs)
        if self._pruning is not None and self._checkpoint is not None:
            self._write_state()

    def _steps_run(self, batch: int) -> int:
        # Of several steps that ran together, `batch` is the last.
        return batch - self._first + 1
