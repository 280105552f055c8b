# SPDX-License-Identifier: Apache-2.0
"""What is different where tf_keras (Keras 2) trains: its variables are TensorFlow's, its optimizers hold no others."""

from __future__ import annotations

import sys
from typing import Any

import keras


def is_legacy_model(value: Any) -> bool:
    """Whether something is a model of tf_keras; a program that never imported tf_keras has none.

    Args:
        value: Anything.
    """
    tf_keras = sys.modules.get("tf_keras")
    return tf_keras is not None and isinstance(value, tf_keras.Model)


def set_constraint(variable: Any, constraint: Any) -> None:
    """Puts another constraint on a variable, or None.

    Args:
        variable: Variable of Keras, or one of TensorFlow in tf_keras, whose constraint has no public way in.
        constraint: What the optimizer applies to the variable after each update.
    """
    if isinstance(variable, keras.Variable):
        variable.constraint = constraint
        return
    # Mixed precision wraps the variable that the optimizer updates, and `tf.distribute` one for each replica.
    inner = getattr(variable, "_variable", variable)
    for each in getattr(inner, "values", (inner,)):
        each._constraint = constraint


def masking_optimizer(optimizer: Any) -> Any:
    """The optimizer as what can hold masks: itself, or a stand-in for one of tf_keras.

    Args:
        optimizer: Optimizer of Keras or tf_keras.
    """
    derived = any(each.__module__.split(".")[0] == "tf_keras" for each in type(optimizer).__mro__)
    return LegacyOptimizer(optimizer) if derived else optimizer


class LegacyOptimizer:
    """Holds masks for an optimizer of tf_keras, outside of it: files of the model never know of them.

    Functions that TensorFlow compiles read variables wherever these belong to, so the optimizer need not have them.

    Args:
        optimizer: The optimizer.
    """

    built = True
    gradient_accumulation_steps = None

    def __init__(self, optimizer: Any) -> None:
        """Remembers the optimizer and where its variables are."""
        self._optimizer = optimizer
        self._distribution_strategy = getattr(optimizer, "_distribution_strategy", None)
        self._variables: list[Any] = []

    @property
    def learning_rate(self) -> Any:
        """The learning rate of the update that is being made; constraints run when it has been counted."""
        rate = getattr(self._optimizer, "_learning_rate", None)
        return rate(self._optimizer.iterations - 1) if callable(rate) else self._optimizer.learning_rate

    def add_variable_from_reference(self, variable: Any, name: str, initializer: str) -> Any:
        """A variable of the shape and type of another."""
        return self.add_variable(tuple(variable.shape), initializer, variable.dtype, name=name)

    def add_variable(self, shape: Any = (), initializer: Any = "zeros", dtype: Any = "float32", **options: Any) -> Any:
        """A variable of TensorFlow; of the options, only its name says something here."""
        import tensorflow as tf

        value = keras.initializers.get(initializer)(shape, keras.backend.standardize_dtype(dtype))
        return tf.Variable(value, trainable=False, name=options.get("name"))

    def save_own_variables(self, store: dict[str, Any]) -> None:
        """Nothing: masks are not saved."""

    def load_own_variables(self, store: dict[str, Any]) -> None:
        """Nothing."""

    def _track_variable(self, variable: Any) -> None:
        self._variables.append(variable)

    def _untrack_variable(self, variable: Any) -> None:
        self._variables = [each for each in self._variables if each is not variable]
