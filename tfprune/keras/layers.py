# SPDX-License-Identifier: Apache-2.0
"""Which kernels of a Keras model can be pruned, and why the others are not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, TypeAlias

import keras

from tfprune.errors import PruningError

LayerFilter: TypeAlias = str | type | Callable[[Any], bool]
Filters: TypeAlias = LayerFilter | Sequence[LayerFilter] | None

_IS_OUTPUT = "last Dense layer: it makes an output of the model"
_IS_LAST_DEFINED = "last Dense layer to be defined; the order of calls is not known"


@dataclass(frozen=True)
class PrunableWeight:
    """A kernel that is going to be pruned.

    Args:
        layer: Name of its layer; the whole path where names repeat.
        variable: The Keras variable.
        layout: ``"dense"`` or ``"conv2d"``.
    """

    layer: str
    variable: Any
    layout: str


@dataclass(frozen=True)
class SkippedWeight:
    """A weight that stays dense.

    Args:
        layer: Name of its layer.
        variable: The Keras variable.
        reason: Why.
    """

    layer: str
    variable: Any
    reason: str


def walk_layers(layer: Any) -> Iterator[Any]:
    """All layers below a model or layer, depth first in definition order, each once.

    Args:
        layer: Keras model or layer.

    Yields:
        Layers, the argument itself excluded.
    """
    seen = {id(layer)}

    def below(parent: Any) -> Iterator[Any]:
        # Keras has no public way to reach layers held by a layer that is not a model.
        for child in parent._flatten_layers(include_self=False, recursive=False):
            if id(child) not in seen:
                seen.add(id(child))
                yield child
                yield from below(child)

    return below(layer)


def find_weights(model: Any, filters: Filters, min_weights: int) -> tuple[list[PrunableWeight], list[SkippedWeight]]:
    """Sorts a model's weights into those to prune and those that stay dense.

    Args:
        model: Built Keras model.
        filters: See `PruningCallback`.
        min_weights: Kernels with fewer weights stay dense.

    Returns:
        ``(prunable, skipped)``; weights of rank 0 and 1 (biases, BatchNorm) of unnamed layers are not listed.

    Raises:
        PruningError: The model is not built; `filters` is of a wrong type or a part of it matches no layer.
    """
    layers = list(walk_layers(model))
    unbuilt = [layer.name for layer in (model, *layers) if not layer.built]
    if unbuilt:
        raise PruningError(
            "The model must be built before training begins, so that its kernels exist. Received: layers without "
            f"weights yet: {unbuilt}. Call the model once on a batch, or call model.build(input_shape)."
        )
    chosen = _match(layers, filters)
    spared: dict[int, str] = {}
    _spare(model, None, spared)
    names = [layer.name for layer in layers]
    prunable: list[PrunableWeight] = []
    skipped: list[SkippedWeight] = []
    owners: dict[int, str] = {}
    for layer in layers:
        label = layer.name if names.count(layer.name) == 1 else layer.path
        kernel, layout = _kernel(layer)
        named = filters is not None and id(layer) in chosen
        if kernel is None:
            skipped += _other_weights(layer, label, named)
            continue
        reason = _reason(layer, kernel, named, spared.get(id(layer)), min_weights)
        if filters is not None and not named:
            reason = "not selected by `filters`"
        if reason is None and id(kernel) in owners:
            reason = f"shares its weights with {owners[id(kernel)]}"
        if reason is not None:
            skipped.append(SkippedWeight(label, kernel, reason))
            continue
        owners[id(kernel)] = label
        prunable.append(PrunableWeight(label, kernel, layout))
    return prunable, skipped


def _spare(layer: Any, index: int | None, spared: dict[int, str]) -> None:
    """Adds the ids of the Dense layers that make output `index` (None: any output), each with the reason.

    The graph of a functional model and the list of a sequential one say which they are. The code of other models and
    layers says nothing, so of theirs the last one in definition order counts.
    """
    outputs = [tensor for tensor in getattr(layer, "outputs", None) or () if hasattr(tensor, "_keras_history")]
    if isinstance(layer, keras.layers.Dense):
        spared[id(layer)] = _IS_OUTPUT
    elif outputs:
        for tensor in outputs if index is None else outputs[index : index + 1]:
            _spare_behind(tensor, spared)
    elif isinstance(layer, keras.Sequential):
        for each in reversed(layer.layers):
            if each.weights:
                _spare(each, index, spared)
                return
    elif isinstance(layer, keras.layers.Layer):
        dense = [each for each in walk_layers(layer) if isinstance(each, keras.layers.Dense)]
        if dense:
            spared.setdefault(id(dense[-1]), _IS_LAST_DEFINED)


def _spare_behind(tensor: Any, spared: dict[int, str]) -> None:
    """Goes back from a symbolic tensor over softmax, reshape and the like: one input, no weights."""
    while True:
        # Keras has no public way to ask where a symbolic tensor comes from.
        operation, node, index = tensor._keras_history
        inputs = operation._inbound_nodes[node].input_tensors
        if len(inputs) != 1 or getattr(operation, "weights", None):
            return _spare(operation, index, spared)
        tensor = inputs[0]


def _kernel(layer: Any) -> tuple[Any, str]:
    """The kernel variable of a supported layer and its layout, else ``(None, "")``."""
    for kind, layout, rank in ((keras.layers.Conv2D, "conv2d", 4), (keras.layers.Dense, "dense", 2)):
        if isinstance(layer, kind):
            kernel = getattr(layer, "kernel", None)
            if isinstance(kernel, keras.Variable) and len(kernel.shape) == rank:
                return kernel, layout
    return None, ""


def _reason(layer: Any, kernel: Any, named: bool, spared: str | None, min_weights: int) -> str | None:
    """Why a kernel is not pruned, or None."""
    size = 1
    for length in kernel.shape:
        size *= int(length)
    if not any(kernel is variable for variable in layer.trainable_variables):
        return "not trainable"
    if size < min_weights:
        return f"{size} weights, fewer than min_weights={min_weights}"
    if spared is not None and not named:
        return f"{spared} (name it in `filters` to prune it)"
    if getattr(layer, "groups", 1) > 1 and not named:
        return f"grouped convolution, groups={layer.groups} (name it in `filters` to prune it)"
    return None


def _other_weights(layer: Any, label: str, named: bool) -> list[SkippedWeight]:
    """Weights of a layer without a supported kernel that are worth a line in the report."""
    children = {
        id(variable)
        for child in layer._flatten_layers(include_self=False, recursive=False)
        for variable in child.variables
    }
    return [
        SkippedWeight(label, variable, f"{type(layer).__name__} weights are not supported")
        for variable in layer.trainable_variables
        if id(variable) not in children and (named or len(variable.shape) >= 2)
    ]


def _match(layers: list[Any], filters: Filters) -> set[int]:
    """Ids of the layers that match any of the filters."""
    if filters is None:
        return set()
    listed = list(filters) if isinstance(filters, (list, tuple, set, frozenset)) else [filters]
    chosen: set[int] = set()
    for one in listed:
        if not isinstance(one, str) and not callable(one):
            raise PruningError(
                "`filters` must be layer name patterns, layer classes, callables, or a list of these. "
                f"Received: {one!r} in filters={filters!r}."
            )
        found = {id(layer) for layer in layers if _matches(layer, one)}
        if not found:
            raise PruningError(
                f"Every part of `filters` must match a layer. Received: {one!r}, which matches none of "
                f"{[layer.name for layer in layers]}."
            )
        chosen |= found
    return chosen


def _matches(layer: Any, one: Any) -> bool:
    """Whether a layer matches a name pattern, a class or a callable."""
    if isinstance(one, str):
        return fnmatchcase(layer.name, one) or fnmatchcase(layer.path or "", one)
    if isinstance(one, type):
        return isinstance(layer, one)
    return bool(one(layer))
