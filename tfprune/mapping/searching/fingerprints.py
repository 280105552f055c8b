# SPDX-License-Identifier: Apache-2.0
"""Short digests of a model, of examples and of a function: what a search was about is known again by them."""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import os
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from tfprune.mapping.judging.examples import Batch, count_of

_DIGITS = 16


def model_digest(model: Any) -> str:
    """Tells trained models apart by all of their weights: kernels, biases, statistics and what else there is."""
    found = hashlib.sha256()
    for weight in model.get_weights():
        found.update(_array_bytes(np.asarray(weight)))
    return found.hexdigest()[:_DIGITS]


def data_digest(batches: Iterable[Batch]) -> str:
    """Tells examples apart by their inputs, labels and weights; their order, and how they are batched, do not count."""
    examples = sorted(_example_digest(batch, place) for batch in batches for place in range(count_of(batch)))
    return hashlib.sha256(b"".join(examples)).hexdigest()[:_DIGITS]


def function_label(function: Callable[..., Any]) -> str:
    """Tells functions apart: the qualified name, and a digest of the code where it is Python's.

    Plain values and arrays that the function is bound to count as code: those of `functools.partial`, defaults, and
    variables of the functions round it.
    """
    found = hashlib.sha256()
    while isinstance(function, functools.partial):
        _add_values(found, [*function.args, *(value for _, value in sorted(function.keywords.items()))])
        function = function.func
    method = inspect.unwrap(getattr(function, "__func__", function))
    named = method if hasattr(method, "__qualname__") else type(method)
    name = f"{named.__module__}.{named.__qualname__}"
    code = method if isinstance(method, types.FunctionType) else inspect.getattr_static(type(method), "__call__", None)
    if not isinstance(code, types.FunctionType):
        return name
    _add_code(found, code.__code__)
    _add_values(found, [*(code.__defaults__ or ()), *(code.__kwdefaults__ or {}).values(), *_closed_over(code)])
    return f"{name} (code {found.hexdigest()[:_DIGITS]})"


def loss_label(loss: Any) -> str:
    """Tells compiled losses apart, one or one an output: names and settings of Keras' own, functions by their code."""
    if isinstance(loss, Mapping):
        return ", ".join(f"{name}: {loss_label(each)}" for name, each in sorted(loss.items()))
    if isinstance(loss, list | tuple):
        return ", ".join(map(loss_label, loss))
    if callable(getattr(loss, "get_config", None)):
        return f"{type(loss).__name__}({json.dumps(loss.get_config(), sort_keys=True, default=str)})"
    return function_label(loss) if callable(loss) else str(loss)


def _example_digest(batch: Batch, place: int) -> bytes:
    found = hashlib.sha256()
    for part in batch:
        _add_example(found, part, place)
    return found.digest()


def _add_example(found: Any, part: Any, place: int) -> None:
    """Adds one example of arrays, or of lists and dicts of arrays."""
    if isinstance(part, Mapping):
        for key in sorted(part, key=str):
            found.update(f"{key}:".encode())
            _add_example(found, part[key], place)
    elif isinstance(part, (list, tuple)):
        for item in part:
            _add_example(found, item, place)
    else:
        found.update(b"none" if part is None else _array_bytes(np.asarray(part[place])))


def _array_bytes(array: np.ndarray) -> bytes:
    # The bytes of an array of objects are addresses.
    values = repr(array.tolist()).encode() if array.dtype.hasobject else array.tobytes()
    return f"{array.dtype.str}{array.shape}".encode() + values


def _add_code(found: Any, code: types.CodeType) -> None:
    found.update(code.co_code)
    found.update(repr((code.co_names, code.co_varnames, code.co_freevars)).encode())
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            _add_code(found, constant)
        else:
            # The order of a set changes from process to process.
            ordered = sorted(map(repr, constant)) if isinstance(constant, frozenset) else constant
            found.update(repr(ordered).encode())


def _add_values(found: Any, values: Iterable[Any]) -> None:
    """Adds values whose text, or bytes, are the same in another process."""
    for value in values:
        if isinstance(value, np.ndarray):
            found.update(_array_bytes(value))
        elif value is None or isinstance(value, (str, bytes, int, float, complex, os.PathLike)):
            found.update(repr(value).encode())


def _closed_over(function: types.FunctionType) -> list[Any]:
    return [cell.cell_contents for cell in function.__closure__ or () if cell != types.CellType()]
