# SPDX-License-Identifier: Apache-2.0
"""Calibration data in any of the forms that people have, as batches that can be run again and again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tfprune.converter.examples import ModelInput, examples
from tfprune.errors import ConversionError, PruningError

#: Examples that run together: the memory that activations take grows with it.
BATCH = 32
_NAME = "calibration"


def known_batches(data: Any, inputs: Sequence[ModelInput]) -> tuple[list[Any], int]:
    """Batches for a model whose inputs are known.

    Args:
        data: An array, a dict of arrays by the inputs' names, an iterable of either or of pairs with labels, or a
            function that returns an iterable.
        inputs: What the model takes, in its order.

    Returns:
        The batches, an array for a model with one input, else a dict by name; and the number of examples.

    Raises:
        PruningError: No example, or one that does not fit the inputs.
    """
    try:
        found = list(examples(data, inputs, _NAME))
    except ConversionError as error:
        pair = isinstance(data, tuple) and len(data) in (2, 3)
        hint = "; if these are examples and their labels, give the examples alone" if pair else ""
        raise PruningError(f"{error}{hint}") from error
    groups = [found[first : first + BATCH] for first in range(0, len(found), BATCH)]
    return [_joined(group) for group in groups], len(found)


def _joined(group: Sequence[Any]) -> Any:
    if isinstance(group[0], dict):
        return {name: np.concatenate([each[name] for each in group]) for name in group[0]}
    return np.concatenate([each[0] for each in group])


def unknown_batches(data: Any) -> tuple[list[Any], int]:
    """Batches for a model that does not say what it takes, such as a subclassed one.

    Args:
        data: An array, or a dict or tuple of them, which the model takes as one input, whose first axes count
            examples; or an iterable of batches, or of pairs with labels.

    Returns:
        The batches and the number of examples.

    Raises:
        PruningError: No example.
    """
    if callable(data) and not isinstance(data, Iterable):
        data = data()
    if _is_array(data) or isinstance(data, Mapping) or (isinstance(data, tuple) and all(map(_is_array, data))):
        items = _cut(data)
    else:
        items = [item[0] if isinstance(item, tuple) and len(item) in (2, 3) else item for item in data]
    count = sum(_length(item) for item in items)
    if not count:
        raise PruningError(f"`{_NAME}` must hold at least one example. Received: none; a generator gives them once.")
    return items, count


def _is_array(data: Any) -> bool:
    return hasattr(data, "__array__")


def _cut(data: Any) -> list[Any]:
    size = _length(data)
    starts = range(0, size, BATCH)
    if isinstance(data, Mapping):
        return [{name: np.asarray(value)[start : start + BATCH] for name, value in data.items()} for start in starts]
    if isinstance(data, tuple):
        return [tuple(np.asarray(value)[start : start + BATCH] for value in data) for start in starts]
    array = np.asarray(data)
    return [array[start : start + BATCH] for start in starts]


def _length(item: Any) -> int:
    """Examples in a batch."""
    if isinstance(item, Mapping):
        return min((_length(value) for value in item.values()), default=0)
    if isinstance(item, (list, tuple)):
        return min((_length(value) for value in item), default=0)
    shape = np.shape(item)
    return int(shape[0]) if shape else 0
