# SPDX-License-Identifier: Apache-2.0
"""What the back ends of Keras do differently while a model trains; everything else goes through `keras.ops`."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import keras
import numpy as np
import numpy.typing as npt


def attach_state(model: Any) -> None:
    """Makes the variables of a model and its optimizer hold their values of now, and what is assigned to them count.

    On JAX, `fit` keeps the values in a state of its own and takes them off the variables within an epoch. After this
    call it takes them over again before the next step. It costs about one assignment a variable, so call it only
    before variables are read or written. Elsewhere it does nothing.

    Args:
        model: Keras model.
    """
    synchronise = getattr(model, "jax_state_sync", None)
    if synchronise is not None:
        synchronise()


def value_of(variable: Any) -> npt.NDArray[Any]:
    """The value of a variable as an array of its own, in the type of the variable; bfloat16 may come as float32.

    Args:
        variable: Variable or tensor of Keras, or variable of TensorFlow.
    """
    tensor = keras.ops.convert_to_tensor(variable)
    if keras.backend.backend() == "torch":
        tensor = tensor.detach().cpu()
        # numpy knows no bfloat16 of PyTorch's.
        tensor = tensor.float() if keras.backend.standardize_dtype(tensor.dtype) == "bfloat16" else tensor
    # Asked for a copy at once, as by Keras' own `convert_to_numpy`, numpy warns of tensors that know no such argument.
    return np.array(np.asarray(tensor))


def optimizer_of(optimizer: Any, variable: Any) -> Any:
    """The optimizer that updates a variable: one of those that a `MultiOptimizer` holds, else the argument itself.

    Args:
        optimizer: Built Keras optimizer, without loss scaling round it.
        variable: Trainable variable.
    """
    places = getattr(optimizer, "_var_to_optimizer_idx", None)
    if places is None:
        return optimizer
    # Keras has no public way to ask which one it is.
    return optimizer.optimizers[places[optimizer._var_key(variable)]]


def average_of(optimizer: Any, variable: Any) -> Any:
    """The moving average of a variable that an optimizer with ``use_ema`` keeps; None without one.

    Args:
        optimizer: Built Keras optimizer, without loss scaling round it.
        variable: Trainable variable.
    """
    optimizer = optimizer_of(optimizer, variable)
    if not getattr(optimizer, "use_ema", False):
        return None
    # No public way leads to it; Keras' own callbacks go this one.
    pairs = zip(optimizer._trainable_variables, optimizer._model_variables_moving_average, strict=True)
    return next((average for trained, average in pairs if trained is variable), None)


def placement(optimizer: Any) -> AbstractContextManager[Any]:
    """Where new variables of an optimizer must be made: within the scope of its `tf.distribute` strategy, if any.

    Args:
        optimizer: Keras optimizer.
    """
    strategy = getattr(optimizer, "_distribution_strategy", None)
    return nullcontext() if strategy is None else strategy.scope()
