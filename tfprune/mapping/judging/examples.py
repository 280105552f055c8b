# SPDX-License-Identifier: Apache-2.0
"""Examples with labels in any of the forms that people have, as batches in memory that can be run again and again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from tfprune.errors import MappingError

#: Inputs, labels and weights of the examples; labels and weights are None where there are none.
Batch = tuple[Any, Any, Any]


def batches_of(data: Any, name: str, *, batch_size: int, seed: int) -> list[Batch]:
    """Reads all examples into memory, in an order that is the seed's.

    Args:
        data: ``(x, y)`` or ``(x, y, weights)``, each an array, or a list or dict of arrays; an iterable of batches of
            this form, such as a ``tf.data.Dataset`` or a Keras ``PyDataset``; or a function that returns one of these.
            None: no examples.
        name: of the argument, for messages.
        batch_size: examples of a batch, where ``data`` has no batches.
        seed: of the order: a part of the batches is a sample of all of them.

    Returns:
        The batches.

    Raises:
        MappingError: something else, arrays of different lengths, no example, or inputs that are not finite.
    """
    if data is None:
        return []
    if callable(data) and not isinstance(data, Iterable):
        data = data()
    generator = np.random.default_rng(seed)
    if isinstance(data, tuple) and _is_arrays(data):
        return _cut(_as_batch(data, name), name, batch_size, generator)
    try:
        found = [_as_batch(item, name) for item in _items(data)]
    except TypeError as error:
        raise MappingError(f"{_rule(name)}, got {type(data).__name__}: {error}") from error
    sizes = [_length(batch, name) for batch in found]
    for batch in found:
        _check_finite(batch, name)
    if not sum(sizes):
        raise MappingError(f"{_rule(name)}, got no example; a generator gives them once")
    return [found[place] for place in generator.permutation(len(found)) if sizes[place]]


def check_examples(data: tuple[Any, ...], name: str) -> None:
    """Refuses ``(x, y)`` that :func:`batches_of` would, before it is needed.

    Args:
        data: arrays, or lists or dicts of arrays.
        name: of the argument, for messages.

    Raises:
        MappingError: arrays of different lengths, no example, or inputs that are not finite.
    """
    _count_of_whole(_as_batch(data, name), name)


def inputs_of(batches: Iterable[Batch], least: int) -> list[Any]:
    """The inputs of the first batches, until there are ``least`` examples."""
    found, count = [], 0
    for batch in batches:
        if count >= least:
            break
        found.append(batch[0])
        count += count_of(batch)
    return found


def count_of(batch: Batch) -> int:
    """Examples in a batch."""
    return int(next(_leaves(batch[0])).shape[0])


def _rule(name: str) -> str:
    return f"{name} must be (x, y), or an iterable of batches (x, y)"


def _is_arrays(data: tuple[Any, ...]) -> bool:
    """Whether a tuple is ``(x, y)`` rather than a tuple of batches: a batch is itself a tuple."""
    return len(data) in (2, 3) and not isinstance(data[0], tuple)


def _items(data: Any) -> Iterator[Any]:
    # The sequences of Keras say how long they are, and go on beyond that where one iterates over them.
    if not hasattr(data, "__iter__") and hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        return (data[place] for place in range(len(data)))
    return iter(data)


def _as_batch(item: Any, name: str) -> Batch:
    if not isinstance(item, (tuple, list)) or len(item) not in (2, 3):
        raise MappingError(f"{_rule(name)}, got a batch of type {type(item).__name__} without labels")
    inputs, labels, weights = (*item, None)[:3]
    return _arrays(inputs), _arrays(labels), _arrays(weights)


def _arrays(value: Any) -> Any:
    return _mapped(np.asarray, value)


def _mapped(function: Callable[[Any], Any], value: Any) -> Any:
    """The same structure of dicts, lists and tuples, with the function of each leaf."""
    if isinstance(value, Mapping):
        return {key: _mapped(function, item) for key, item in value.items()}
    if isinstance(value, (list, tuple)) and any(np.ndim(item) for item in value):
        return type(value)(_mapped(function, item) for item in value)
    return None if value is None else function(value)


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _leaves(item)
    elif value is not None:
        yield value


def _length(batch: Batch, name: str) -> int:
    sizes = {int(leaf.shape[0]) if leaf.ndim else -1 for leaf in _leaves(batch)}
    if len(sizes) != 1 or -1 in sizes:
        raise MappingError(f"{name}: x, y and weights must have equally many examples, got {sorted(sizes)}")
    return sizes.pop()


def _count_of_whole(whole: Batch, name: str) -> int:
    count = _length(whole, name)
    if not count:
        raise MappingError(f"{_rule(name)}, got no example")
    _check_finite(whole, name)
    return count


def _check_finite(batch: Batch, name: str) -> None:
    """Of inputs alone: labels that are no numbers can stand for missing ones."""
    for leaf in _leaves(batch[0]):
        if np.issubdtype(leaf.dtype, np.floating) and not np.isfinite(leaf).all():
            raise MappingError(
                f"{name} must be finite, got inputs with NaN or infinity; mend or leave out these examples"
            )


def _cut(whole: Batch, name: str, batch_size: int, generator: np.random.Generator) -> list[Batch]:
    count = _count_of_whole(whole, name)
    order = generator.permutation(count)
    chunks = [order[start : start + batch_size] for start in range(0, count, batch_size)]
    return [tuple(_mapped(lambda leaf, chunk=chunk: leaf[chunk], part) for part in whole) for chunk in chunks]  # type: ignore[misc]
