# SPDX-License-Identifier: Apache-2.0
"""Which layers a rule names: by name, path, class or function, without Keras."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, TypeAlias

from tfprune.errors import RecipeError

LayerFilter: TypeAlias = str | type | Callable[[Any], bool]
LayerFilters: TypeAlias = LayerFilter | Sequence[LayerFilter] | None


@dataclass(frozen=True)
class LayerInfo:
    """What a rule may ask of a layer.

    Args:
        name: Its name.
        path: Its name with those of what it lies in, ``"block/conv"``.
        class_names: Names of its class and of the classes that this derives from.
        kernels: Names of its kernels that can be pruned; none: the layer is not supported.
        obstacle: Why kernels of a supported kind cannot be pruned as they are; empty: there are none, or they can.
        layer: The layer itself, which classes and functions are asked about; None: they never match.
    """

    name: str
    path: str = ""
    class_names: tuple[str, ...] = ()
    kernels: tuple[str, ...] = ("kernel",)
    obstacle: str = ""
    layer: Any = None


def checked_filters(layers: LayerFilters) -> tuple[LayerFilter, ...] | None:
    """Checks what names layers.

    Args:
        layers: A layer name pattern, class, function, several of these, or None.

    Returns:
        The parts; None as it is.

    Raises:
        RecipeError: Nothing, or something else.
    """
    if layers is None:
        return None
    parts = tuple(layers) if isinstance(layers, (list, tuple, set, frozenset)) else (layers,)
    for part in parts:
        if not isinstance(part, str) and not callable(part):
            raise RecipeError(
                "`layers` (`filters` of a callback) must be layer name patterns, layer classes, callables, or a list "
                f"of these. Received: {part!r} in {layers!r}.",
                field="layers",
            )
    if not parts or "" in parts:
        raise RecipeError(
            f"`layers` (`filters` of a callback) is empty. Received: {layers!r}. Name layers, or leave it out (None) "
            "for the default choice.",
            field="layers",
        )
    return parts


def matches_layer(part: LayerFilter, info: LayerInfo) -> bool:
    """Whether one part of a rule's `layers` names a layer, with all of its kernels.

    Args:
        part: Class name, pattern of names and paths, class, or function of the layer.
        info: The layer.
    """
    if isinstance(part, str):
        return part in info.class_names or fnmatchcase(info.name, part) or fnmatchcase(info.path, part)
    if info.layer is None:
        return False
    return isinstance(info.layer, part) if isinstance(part, type) else bool(part(info.layer))


def matches_kernel(part: LayerFilter, info: LayerInfo, kernel: str) -> bool:
    """Whether one part of a rule's `layers` names a kernel of a layer that has several: ``"conv/pointwise_kernel"``.

    Args:
        part: As for `matches_layer`; only patterns with a slash name kernels.
        info: The layer.
        kernel: One of its kernels.
    """
    if not isinstance(part, str) or "/" not in part or len(info.kernels) < 2:
        return False
    return fnmatchcase(f"{info.name}/{kernel}", part) or fnmatchcase(f"{info.path}/{kernel}", part)


def spelled(part: object) -> str:
    """A name, class or function for messages."""
    return repr(part) if isinstance(part, str) else getattr(part, "__name__", repr(part))
