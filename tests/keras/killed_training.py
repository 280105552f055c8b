# SPDX-License-Identifier: Apache-2.0
"""A training that kills itself: ``python -m tests.keras.killed_training FOLDER ORDER``."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfprune.keras.callback import PruningCallback
from tfprune.sparsity.patterns import Groups
from tfprune.sparsity.penalties import PriorMaskPenalty
from tfprune.sparsity.schedules import PolynomialDecay, StrengthRamp

EPOCHS = 5
STEPS = 6
KILLED_IN = (3, 2)  # epoch, batch


class Kill(keras.callbacks.Callback):
    """Ends the process as the kernel does when memory is short: nothing can be saved any more."""

    def __init__(self) -> None:
        super().__init__()
        self.epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if (self.epoch, batch) == KILLED_IN:
            os.kill(os.getpid(), signal.SIGKILL)


def pruning(path: Path, **options: Any) -> PruningCallback:
    """A schedule with an open end, and a penalty that has a prior mask at the time of the kill."""
    return PruningCallback(
        Groups(rows=2),
        PolynomialDecay(0.1, 0.75, frequency=2),
        penalty=PriorMaskPenalty(StrengthRamp(5.0, begin_step=3), refresh=5),
        min_weights=1,
        checkpoint=path,
        **options,
    )


def train(folder: Path, order: str, *more: Any, backup: bool = True, epochs: int = EPOCHS) -> tuple[Any, Any]:
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((16,)),
            keras.layers.Dense(8, name="first"),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(8, name="second"),
            keras.layers.Dense(1),
        ]
    )
    model.compile(keras.optimizers.Adam(0.01), "mse")
    random = np.random.default_rng(2)
    data = random.standard_normal((4 * STEPS, 16)).astype(np.float32), random.random((4 * STEPS, 1))
    prune = pruning(folder / "pruning.npz")
    callbacks = [prune]
    if backup:
        callbacks.insert(order == "pruning first", keras.callbacks.BackupAndRestore(folder / "backup"))
    model.fit(*data, batch_size=4, epochs=epochs, verbose=0, shuffle=False, callbacks=[*callbacks, *more])
    return model, prune


if __name__ == "__main__":
    train(Path(sys.argv[1]), sys.argv[2], Kill())
