# SPDX-License-Identifier: Apache-2.0
"""What mapping is given: models and profiles, loaded or as files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfprune.converter.api import is_keras_model, load_keras_file
from tfprune.costs import CostTable, load_table
from tfprune.errors import MappingError
from tfprune.mapping.latency import LatencyModel
from tfprune.mapping.network import Network
from tfprune.mapping.profiling.device import check_table
from tfprune.sparsity.configured import as_whole


def keras_model(model: Any, custom_objects: Mapping[str, Any] | None = None, *, compiled: bool = False) -> Any:
    """A Keras model, loaded where it is a file.

    Args:
        model: a Keras model, or the path of a ``.keras`` or ``.h5`` file.
        custom_objects: classes and functions by name that the file needs.
        compiled: whether the file's loss and metrics are loaded, too.

    Raises:
        MappingError: something else, or custom objects that are no dictionary.
        ModelError: the file cannot be read.
    """
    if custom_objects is not None and not isinstance(custom_objects, Mapping):
        raise MappingError(f"custom_objects must be classes and functions by name, got {custom_objects!r}")
    if is_keras_model(model):
        return model
    if not isinstance(model, str | os.PathLike):
        raise MappingError(
            f"model must be a Keras model or the path of a .keras or .h5 file, got {type(model).__name__}"
        )
    return load_keras_file(Path(os.fsdecode(model)), custom_objects, compiled=compiled)


def whole_number(value: Any, name: str, least: int) -> int:
    """A whole number of Python's or numpy's types as an int.

    Args:
        value: what was given.
        name: of the argument, for the message.
        least: the smallest that is allowed.

    Raises:
        MappingError: it is none, or smaller.
    """
    found = as_whole(value)
    if found is None or found < least:
        raise MappingError(f"{name} must be a whole number of at least {least}, got {value!r}")
    return found


def latency_model(
    model: Any,
    profile: CostTable | str | os.PathLike[str],
    *,
    min_speedup: float = 1.05,
    precision: str = "float32",
    representative_data: Any = None,
    custom_objects: Mapping[str, Any] | None = None,
    force: bool = False,
) -> LatencyModel:
    """What predicts a model on a device.

    Args:
        model: a built Keras model, or the path of a ``.keras`` file.
        profile: a cost table, its name or its file.
        min_speedup: as for :func:`tfprune.convert`.
        precision: as for :func:`tfprune.convert`.
        representative_data: as for :func:`tfprune.convert`.
        custom_objects: as for :func:`tfprune.convert`.
        force: whether a profile of another device or library version is used all the same.

    Raises:
        ProfileError: a profile of another device or library version.
        MappingError: not a model, or one without a layer that could be pruned.
        ConversionError: a model that cannot be converted, or a table that breaks a rule.
    """
    table = load_table(profile, argument="profile")
    notes = check_table(table, force=force)
    loaded = keras_model(model, custom_objects)
    network = Network(loaded, precision=precision, representative_data=representative_data)
    return LatencyModel(network, table, min_speedup=min_speedup, notes=notes)
