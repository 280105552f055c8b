# SPDX-License-Identifier: Apache-2.0
"""Trains the network, then prunes it while it trains on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import keras

import tfprune as tp
from fashion.data import FashionMnist, Split

BATCH_SIZE = 128
SPARSITY = 0.8
_DENSE_RATE = 3e-3
_PRUNING_RATE = 2e-3
_WARM_UP_STEPS = 100
_LOG_EVERY = 10


@dataclasses.dataclass
class History:
    """What happened at which step, for the report's pictures: one entry an epoch, or one a logged step."""

    dense_epochs: int = 0
    test_steps: list[int] = dataclasses.field(default_factory=list)
    test_accuracy: list[float] = dataclasses.field(default_factory=list)
    sparsity_steps: list[int] = dataclasses.field(default_factory=list)
    sparsity: list[float] = dataclasses.field(default_factory=list)


class Recorder(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no type information.
    """Adds to a :class:`History` and tells the progress bar; steps count on over both trainings.

    Args:
        history: where to add.
        advance: called after every step.
        epoch_done: called after every epoch with the accuracy on the test images and the sparsity.
    """

    def __init__(
        self, history: History, advance: Callable[[], None], epoch_done: Callable[[float, float], None]
    ) -> None:
        super().__init__()
        self._history = history
        self._advance = advance
        self._epoch_done = epoch_done
        self._step = history.test_steps[-1] if history.test_steps else 0

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Counts the step, and keeps the sparsity that the pruning callback logs."""
        self._step += 1
        if self._step % _LOG_EVERY == 0:
            self._history.sparsity_steps.append(self._step)
            self._history.sparsity.append(float((logs or {}).get("sparsity", 0.0)))
        self._advance()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Keeps the accuracy on the test images."""
        self._history.test_steps.append(self._step)
        logs = logs or {}
        self._history.test_accuracy.append(float(logs["val_accuracy"]))
        self._epoch_done(float(logs["val_accuracy"]), float(logs.get("sparsity", 0.0)))


def steps_per_epoch(split: Split) -> int:
    """Steps of one epoch."""
    return -(-len(split.labels) // BATCH_SIZE)


def compile_for(model: keras.Model, rate: float, steps: int, warm_up: int) -> None:
    """Compiles with Adam whose rate rises for ``warm_up`` steps and then falls to zero along a cosine."""
    schedule = keras.optimizers.schedules.CosineDecay(
        rate / 10, max(1, steps - warm_up), alpha=0.0, warmup_target=rate, warmup_steps=warm_up
    )
    model.compile(
        keras.optimizers.Adam(schedule),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )


def train(model: keras.Model, data: FashionMnist, epochs: int, callbacks: list[Any]) -> None:
    """Trains the dense network."""
    steps = epochs * steps_per_epoch(data.train)
    compile_for(model, _DENSE_RATE, steps, min(_WARM_UP_STEPS, steps // 4))
    _fit(model, data, epochs, callbacks)


def train_and_prune(model: keras.Model, data: FashionMnist, epochs: int, callbacks: list[Any]) -> Any:
    """Trains on while pruning to :data:`SPARSITY`, and returns the pruning report."""
    steps = epochs * steps_per_epoch(data.train)
    compile_for(model, _PRUNING_RATE, steps, min(_WARM_UP_STEPS, steps // 4))
    frequency = max(1, min(50, steps // 20))
    pruning = tp.PruningCallback(
        tp.patterns.Groups(rows=4, aligned=False),
        tp.schedules.PolynomialDecay(final_sparsity=SPARSITY, frequency=frequency),
    )
    # The pruning callback comes first: the recorder then finds the sparsity in the logs.
    _fit(model, data, epochs, [pruning, *callbacks])
    return pruning.report


def _fit(model: keras.Model, data: FashionMnist, epochs: int, callbacks: list[Any]) -> None:
    model.fit(
        data.train.images,
        data.train.labels,
        batch_size=BATCH_SIZE,
        epochs=epochs,
        validation_data=(data.test.images, data.test.labels),
        validation_batch_size=500,
        callbacks=callbacks,
        verbose=0,
    )
