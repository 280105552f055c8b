# SPDX-License-Identifier: Apache-2.0
"""Which kernels of a Keras model can be pruned, and why the others are not."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, TypeAlias

import keras
import numpy as np
import numpy.typing as npt

from tfprune.errors import PatternError, PruningError
from tfprune.sparsity.layouts import LAYOUTS, Layout, einsum_layout

LayerFilter: TypeAlias = str | type | Callable[[Any], bool]
Filters: TypeAlias = LayerFilter | Sequence[LayerFilter] | None

# Layer class: its kernels, each with its layout.
_KERNELS: tuple[tuple[type, tuple[tuple[str, str], ...]], ...] = (
    (keras.layers.Dense, (("kernel", "dense"),)),
    (keras.layers.Conv1D, (("kernel", "conv1d"),)),
    (keras.layers.Conv2D, (("kernel", "conv2d"),)),
    (keras.layers.Conv2DTranspose, (("kernel", "conv2d_transpose"),)),
    (keras.layers.DepthwiseConv1D, (("kernel", "depthwise_conv1d"),)),
    (keras.layers.DepthwiseConv2D, (("kernel", "depthwise_conv2d"),)),
    (keras.layers.SeparableConv1D, (("depthwise_kernel", "depthwise_conv1d"), ("pointwise_kernel", "conv1d"))),
    (keras.layers.SeparableConv2D, (("depthwise_kernel", "depthwise_conv2d"), ("pointwise_kernel", "conv2d"))),
)
# Their loops are layers of their own, without kernels.
_KERNELS += tuple(
    (cell, (("kernel", "dense"), ("recurrent_kernel", "dense")))
    for cell in (keras.layers.LSTMCell, keras.layers.GRUCell, keras.layers.SimpleRNNCell)
)
_DENSE = (keras.layers.Dense, keras.layers.EinsumDense)


@dataclass(frozen=True)
class PrunableWeight:
    """A kernel that is going to be pruned.

    Args:
        layer: Name of its layer; the whole path where names repeat.
        variable: The Keras variable.
        layout: How its axes make a matrix.
        named: Whether `filters` chose it.
    """

    layer: str
    variable: Any
    layout: Layout
    named: bool

    @property
    def size(self) -> int:
        """Number of weights."""
        return math.prod(self.variable.shape)


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


def check_min_weights(value: object) -> int:
    """Checks the size below which kernels stay dense.

    Args:
        value: Whole number of at least 0.

    Returns:
        The value as an int.

    Raises:
        PruningError: Something else.
    """
    try:
        least = -1 if isinstance(value, bool) else operator.index(value)  # type: ignore[arg-type]  # that is the check
    except TypeError:
        least = -1
    if least < 0:
        raise PruningError(f"`min_weights` must be a whole number of at least 0. Received: {value!r}.")
    return least


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
        PruningError: The model is not built; `filters` is empty or of a wrong type, or a part of it matches no layer.
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
        kernels = kernels_of(layer)
        if not kernels:
            skipped += _other_weights(layer, label, filters is not None and id(layer) in chosen)
        for kernel, layout in kernels:
            named = filters is not None and (id(layer) in chosen or id(kernel) in chosen)
            reason = _reason(layer, kernel, layout, named, spared.get(id(layer)), min_weights)
            if filters is not None and not named:
                reason = "not selected by `filters`"
            if reason is None and id(kernel) in owners:
                reason = f"shares its weights with {owners[id(kernel)]}"
            if reason is not None:
                skipped.append(SkippedWeight(label, kernel, reason))
                continue
            owners[id(kernel)] = label
            prunable.append(PrunableWeight(label, kernel, layout, named))
    return prunable, skipped


def _spare(layer: Any, index: int | None, spared: dict[int, str]) -> None:
    """Adds the ids of the dense layers that make output `index` (None: any output), each with the reason.

    The graph of a functional model and the list of a sequential one say which they are. The code of other models and
    layers says nothing, so of theirs the last one in definition order counts.
    """
    outputs = [tensor for tensor in getattr(layer, "outputs", None) or () if hasattr(tensor, "_keras_history")]
    if isinstance(layer, _DENSE):
        spared[id(layer)] = f"last {_dense_name(layer)} layer: it makes an output of the model"
    elif outputs:
        for tensor in outputs if index is None else outputs[index : index + 1]:
            _spare_behind(tensor, spared)
    elif isinstance(layer, keras.Sequential):
        for each in reversed(layer.layers):
            if each.weights:
                _spare(each, index, spared)
                return
    elif isinstance(layer, keras.layers.Layer):
        dense = [each for each in walk_layers(layer) if isinstance(each, _DENSE)]
        if dense:
            text = f"last {_dense_name(dense[-1])} layer to be defined; the order of calls is not known"
            spared.setdefault(id(dense[-1]), text)


def _dense_name(layer: Any) -> str:
    """The name of a dense layer's class that people know, also for classes derived from it."""
    return "EinsumDense" if isinstance(layer, keras.layers.EinsumDense) else "Dense"


def _spare_behind(tensor: Any, spared: dict[int, str]) -> None:
    """Goes back from a symbolic tensor over softmax, reshape and the like: one input, no weights."""
    while True:
        # Keras has no public way to ask where a symbolic tensor comes from.
        operation, node, index = tensor._keras_history
        inputs = operation._inbound_nodes[node].input_tensors
        if len(inputs) != 1 or getattr(operation, "weights", None):
            return _spare(operation, index, spared)
        tensor = inputs[0]


def kernels_of(layer: Any) -> list[tuple[Any, Layout]]:
    """The kernel variables of a supported layer, each with its layout."""
    found = [(getattr(layer, name, None), layout) for name, layout in _layouts(layer)]
    # Quantised and LoRA layers compute their kernel from other variables.
    return [
        (kernel, layout)
        for kernel, layout in found
        if isinstance(kernel, keras.Variable) and len(kernel.shape) == layout.rank
    ]


def _layouts(layer: Any) -> list[tuple[str, Layout]]:
    """Names of a layer's kernels and their layouts."""
    if isinstance(layer, keras.layers.EinsumDense):
        try:
            return [("kernel", einsum_layout(layer.equation))]
        except PatternError:  # such as a kernel without output channels
            return []
    return [
        (name, LAYOUTS[layout]) for kind, kernels in _KERNELS if isinstance(layer, kind) for name, layout in kernels
    ]


def _reason(layer: Any, kernel: Any, layout: Layout, named: bool, spared: str | None, min_weights: int) -> str | None:
    """Why a kernel is not pruned, or None."""
    size = math.prod(kernel.shape)
    if not any(kernel is variable for variable in layer.trainable_variables):
        return "not trainable"
    # Said before the size: for these kernels it is the better reason.
    if layout.name.startswith("depthwise") and not named:
        return "depthwise kernel: few weights, one input channel an output (name it in `filters` to prune it)"
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
    """Ids of the layers, and of single kernels, that match any of the filters."""
    if filters is None:
        return set()
    listed = list(filters) if isinstance(filters, (list, tuple, set, frozenset)) else [filters]
    if not listed or "" in listed:
        raise PruningError(
            f"`filters` is empty. Received: filters={filters!r}. Name layers, or leave it out (None) for the "
            "default choice."
        )
    chosen: set[int] = set()
    for one in listed:
        if not isinstance(one, str) and not callable(one):
            raise PruningError(
                "`filters` must be layer name patterns, layer classes, callables, or a list of these. "
                f"Received: {one!r} in filters={filters!r}."
            )
        found = {id(layer) for layer in layers if _matches(layer, one)}
        if isinstance(one, str):
            found |= {id(kernel) for layer in layers for kernel in _matching_kernels(layer, one)}
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


def _matching_kernels(layer: Any, one: str) -> list[Any]:
    """Of a layer with several kernels, those whose ``layer/kernel`` matches a name pattern."""
    kernels = [kernel for kernel, _ in kernels_of(layer)]
    if len(kernels) < 2 or "/" not in one:
        return []
    return [
        kernel
        for kernel in kernels
        if fnmatchcase(f"{layer.name}/{kernel.name}", one) or fnmatchcase(f"{layer.path}/{kernel.name}", one)
    ]


def to_numpy(variable: Any) -> npt.NDArray[Any]:
    """The value of a variable; bfloat16, which numpy does not know, as float32.

    Args:
        variable: Keras variable.
    """
    value: npt.NDArray[Any] = variable.numpy()
    return value if value.dtype.kind == "f" else value.astype(np.float32)
