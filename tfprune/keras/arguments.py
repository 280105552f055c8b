# SPDX-License-Identifier: Apache-2.0
"""Checks of arguments that several parts of pruning in Keras take."""

from __future__ import annotations

from typing import Any

import keras

from tfprune.errors import PruningError
from tfprune.keras.legacy import is_legacy_model
from tfprune.sparsity.configured import as_whole


def whole_number(name: str, value: Any, least: int) -> int:
    """Checks a whole number.

    Args:
        name: What the message calls it.
        value: What was received.
        least: The smallest that is allowed.

    Returns:
        The number as an int.

    Raises:
        PruningError: Anything else, booleans included.
    """
    number = as_whole(value)
    if number is None or number < least:
        raise PruningError(f"{name} must be a whole number of at least {least}. Received: {value!r}.")
    return number


def true_or_false(name: str, value: Any) -> bool:
    """Checks a switch: text such as ``"no"`` would count as true.

    Args:
        name: What the message calls it.
        value: What was received.

    Returns:
        The value.

    Raises:
        PruningError: No boolean.
    """
    if not isinstance(value, bool):
        raise PruningError(f"`{name}` must be True or False. Received: {name}={value!r}.")
    return value


def keras_model(value: Any) -> Any:
    """Checks that something is a model of Keras or tf_keras, built or not.

    Args:
        value: What was received.

    Returns:
        The model.

    Raises:
        PruningError: It is none.
    """
    if not isinstance(value, keras.Model) and not is_legacy_model(value):
        raise PruningError(f"`model` must be a Keras model. Received: {value!r}.")
    return value
