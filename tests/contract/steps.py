# SPDX-License-Identifier: Apache-2.0
"""Training steps that people write themselves, in the words of each back end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras


class OwnStep(keras.Sequential):  # type: ignore[misc]  # Keras has no type information
    """A model with a training step of its own."""

    def train_step(self, *arguments: Any) -> Any:
        return {"tensorflow": self._with_tape, "jax": self._stateless, "torch": self._backward}[
            keras.backend.backend()
        ](*arguments)

    def _with_tape(self, data: Any) -> Any:
        import tensorflow as tf

        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x=x, y=y, y_pred=self(x, training=True))
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return {"loss": loss}

    def _stateless(self, state: Any, data: Any) -> Any:
        import jax

        trainable, others, slots, metrics = state
        x, y = data

        def loss_of(trainable: Any, others: Any) -> Any:
            y_pred, updated = self.stateless_call(trainable, others, x, training=True)
            return self.compute_loss(x, y, y_pred), updated

        (loss, others), gradients = jax.value_and_grad(loss_of, has_aux=True)(trainable, others)
        trainable, slots = self.optimizer.stateless_apply(slots, gradients, trainable)
        return {"loss": loss}, (trainable, others, slots, metrics)

    def _backward(self, data: Any) -> Any:
        import torch

        x, y = data
        self.zero_grad()
        loss = self.compute_loss(x=x, y=y, y_pred=self(x, training=True))
        loss.backward()
        with torch.no_grad():
            self.optimizer.apply([each.value.grad for each in self.trainable_variables], self.trainable_variables)
        return {"loss": loss}


def loop_step(model: Any, optimizer: Any) -> Callable[[Any, Any], None]:
    """The step of a training loop of one's own, compiled where that is the custom."""
    return {"tensorflow": _with_tape, "jax": _stateless, "torch": _backward}[keras.backend.backend()](model, optimizer)


def _squared_error(y: Any, y_pred: Any) -> Any:
    return keras.ops.mean(keras.ops.square(y_pred - y))


def _with_tape(model: Any, optimizer: Any) -> Callable[[Any, Any], None]:
    import tensorflow as tf

    @tf.function
    def step(x: Any, y: Any) -> None:
        with tf.GradientTape() as tape:
            loss = _squared_error(y, model(x, training=True))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)

    return step


def _stateless(model: Any, optimizer: Any) -> Callable[[Any, Any], None]:
    import jax

    def loss_of(trainable: Any, others: Any, x: Any, y: Any) -> Any:
        y_pred, others = model.stateless_call(trainable, others, x, training=True)
        return _squared_error(y, y_pred), others

    @jax.jit
    def update(state: Any, x: Any, y: Any) -> Any:
        trainable, others, slots = state
        gradients, others = jax.grad(loss_of, has_aux=True)(trainable, others, x, y)
        return (*optimizer.stateless_apply(slots, gradients, trainable), others)

    def step(x: Any, y: Any) -> None:
        parts = (model.trainable_variables, model.non_trainable_variables, optimizer.variables)
        trainable, slots, others = update([[each.value for each in part] for part in parts], x, y)
        # The pruner reads and writes the variables, so they must have their values when it is called.
        for part, values in zip(parts, (trainable, others, slots), strict=True):
            for variable, value in zip(part, values, strict=True):
                variable.assign(value)

    return step


def _backward(model: Any, optimizer: Any) -> Callable[[Any, Any], None]:
    import torch

    def step(x: Any, y: Any) -> None:
        model.zero_grad()
        _squared_error(torch.tensor(y), model(torch.tensor(x), training=True)).backward()
        with torch.no_grad():
            optimizer.apply([each.value.grad for each in model.trainable_variables], model.trainable_variables)

    return step
