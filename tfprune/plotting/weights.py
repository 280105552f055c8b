# SPDX-License-Identifier: Apache-2.0
"""The weight matrices of whatever people hold: Keras models, files, bytes, arrays by name."""

from __future__ import annotations

import math
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.errors import ModelError, PackedFormatError
from tfprune.sparsity.layouts import Layout, LayoutLike, resolve_layout, to_matrix
from tfprune.sparsity.measure import Density, density
from tfprune.tables import short_name

_KERAS_SUFFIXES = (".keras", ".h5", ".hdf5")
_NAMES_SHOWN = 12
_LSTM = "UNIDIRECTIONAL_SEQUENCE_LSTM"
# Ops whose weights are one matrix, and the rank in which a file holds them.
_OP_RANKS = {
    "BATCH_MATMUL": 2,
    "CONV_2D": 4,
    "CONV_3D": 5,
    "DEPTHWISE_CONV_2D": 4,
    "FULLY_CONNECTED": 2,
    "TRANSPOSE_CONV": 4,
}
# Kernels by name alone: dense, conv1d and conv2d.
_RANKS = (2, 3, 4)
#: A weight matrix as a kernel of its own.
MATRIX = Layout("matrix", "[rows, segments, cols]", (0,), (1,), (2,))


@dataclass(frozen=True)
class LayerWeights:
    """The weights of one layer.

    Args:
        name: Layer name.
        matrix: Weights ``[rows, segments, cols]``.
        window: Sizes of the kernel positions, such as ``(3, 3)``; empty for dense layers.
    """

    name: str
    matrix: npt.NDArray[Any]
    window: tuple[int, ...]

    @property
    def density(self) -> Density:
        """How many weights are not zero."""
        return density(self.matrix)

    @property
    def short_name(self) -> str:
        """The telling part of a name that TensorFlow joined from fused ops: ``net/conv/x;net/bn/y`` is ``bn/y``."""
        return short_name(self.name)

    @property
    def size_text(self) -> str:
        """Sizes as in ``3x3x64x128``: kernel, input channels, output channels."""
        rows, _, cols = self.matrix.shape
        return "x".join(map(str, (*self.window, cols, rows)))


def read_layers(model: Any, custom_objects: Mapping[str, Any] | None = None) -> list[LayerWeights]:
    """Finds the layers with weights that patterns are defined on.

    Args:
        model: A Keras model, a ``.keras`` file, a SavedModel folder, a ``.tflite`` file (one that was converted, too:
            packed weights are unpacked), the bytes of one, what `convert` returned, or a mapping from names to kernels
            (dense, conv1d or conv2d by rank).
        custom_objects: Classes and functions by name that a ``.keras`` file needs.

    Returns:
        The layers in the order of the model.

    Raises:
        ModelError: Not a model, or one without such layers.
    """
    from tfprune.converter import Converted, api, keras_source

    if isinstance(model, Converted):
        model = model.tflite
    if isinstance(model, Mapping):
        layers = [_layer(str(name), np.asarray(kernel), None) for name, kernel in model.items()]
    elif api.is_keras_model(model):
        layers = list(_keras_layers(model))
    elif isinstance(model, (str, os.PathLike)) and _is_keras_file(Path(os.fsdecode(model))):
        path = Path(os.fsdecode(model))
        layers = list(_keras_layers(keras_source.load_file(path, custom_objects, api.load_module("keras"))))
    else:
        data, _, subject = api.tflite_bytes(model, custom_objects)
        layers = list(_tflite_layers(data, subject))
    if not layers:
        raise ModelError(
            "plot_masks: the model must have layers with weights. Received: one without any that can be read."
        )
    return layers


def choose_layers(layers: Sequence[LayerWeights], wanted: str | Sequence[str] | None, most: int) -> list[LayerWeights]:
    """Layers by name, or the largest ones.

    Args:
        layers: All layers.
        wanted: Names, or patterns with ``*`` and ``?``, of the full or the short name. None: the `most` largest layers
            with zeros, or of all where none has any.
        most: How many to take without names.

    Returns:
        The chosen layers in the order of the model.

    Raises:
        ModelError: A name that no layer has, no name, or something else than names.
    """
    if wanted is None:
        pruned = [layer for layer in layers if layer.density.sparsity > 0] or list(layers)
        largest = sorted(pruned, key=lambda layer: -layer.matrix.size)[:most]
        return [layer for layer in layers if any(layer is each for each in largest)]
    names: list[Any] = list(wanted) if isinstance(wanted, (list, tuple, set, frozenset)) else [wanted]
    if not names or not all(isinstance(name, str) for name in names):
        raise ModelError(
            "plot_masks: `layers` must be a layer name, a list of at least one, or None for the largest layers. "
            f"Received: layers={wanted!r}."
        )
    for name in names:
        if not any(_matches(layer, name) for layer in layers):
            known = [layer.short_name for layer in layers]
            shown = ", ".join(known[:_NAMES_SHOWN]) + (", ..." if len(known) > _NAMES_SHOWN else "")
            raise ModelError(
                f"plot_masks: every layer asked for must exist. Received: {name!r}. The model has {shown}."
            )
    return [layer for layer in layers if any(_matches(layer, name) for name in names)]


def _matches(layer: LayerWeights, name: str) -> bool:
    return any(each == name or fnmatchcase(each, name) for each in (layer.name, layer.short_name))


def _is_keras_file(path: Path) -> bool:
    return path.suffix in _KERAS_SUFFIXES and path.is_file()


def _layer(name: str, kernel: npt.NDArray[Any], layout: LayoutLike) -> LayerWeights:
    # Masks and whole numbers are welcome; so is bfloat16, which numpy does not count among the floats.
    array = kernel if kernel.dtype.kind == "f" else _as_floats(name, kernel)
    if not array.size or not np.isfinite(array).all():
        raise ModelError(
            f"plot_masks: layer {name!r} must have finite weights, at least one. Received: shape {array.shape} with "
            f"{array.size - np.count_nonzero(np.isfinite(array))} NaN or infinite. Repair the model."
        )
    if layout is None and array.ndim not in _RANKS:
        raise ModelError(
            f"plot_masks: layer {name!r} must be a kernel of rank 2 (dense, [in, out]), 3 (conv1d, [k, in, out]) or 4 "
            f"(conv2d, [kernel_h, kernel_w, in, out]). Received: shape {array.shape}. Reshape it to one of these."
        )
    found = resolve_layout(kernel.ndim, layout)
    return LayerWeights(name, to_matrix(array, found), tuple(kernel.shape[axis] for axis in found.window))


def _as_floats(name: str, kernel: npt.NDArray[Any]) -> npt.NDArray[Any]:
    try:
        return kernel.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"plot_masks: layer {name!r} must have weights that are real numbers. Received: dtype {kernel.dtype}."
        ) from error


def _keras_layers(model: Any) -> Iterator[LayerWeights]:
    import keras

    from tfprune.keras.layers import kernels_of, walk_layers

    layers = [*walk_layers(model)]
    names = Counter(layer.name for layer in layers)
    for layer in layers:
        label = layer.name if names[layer.name] == 1 else layer.path
        kernels = kernels_of(layer)
        for variable, layout in kernels:
            name = label if len(kernels) == 1 else f"{label}/{variable.name}"
            yield _layer(name, np.asarray(keras.ops.convert_to_numpy(variable)), layout)


def _tflite_layers(data: bytes, subject: str) -> Iterator[LayerWeights]:
    from tfprune.converter.graph import Graph

    for _, _, layer in tflite_layers(Graph(data, subject)):
        yield replace(_layer(layer.name, layer.matrix, MATRIX), window=layer.window)


def tflite_layers(graph: Any) -> Iterator[tuple[int, int, LayerWeights]]:
    """Subgraph, operator and weights of every operator whose weights can be drawn; two matrices of an LSTM.

    Args:
        graph: A `tfprune.converter.graph.Graph`. Weights of tfprune's ops are unpacked, quantised ones made real.

    Raises:
        ModelError: Packed weights that break a rule of the format.
    """
    from tfprune.converter.analysis import packed_operators
    from tfprune.converter.capability import layer_name

    packed: dict[tuple[int, int], list[Any]] = defaultdict(list)
    for subgraph, index, _, weights in packed_operators(graph):
        packed[subgraph, index].append(weights)
    for subgraph, index, op in graph.operators():
        known = packed.get((subgraph, index))
        matrices = map(_unpacked, known) if known else _stock_matrices(graph, subgraph, index, op)
        for matrix, window in matrices:
            shaped = matrix.reshape(matrix.shape[0], math.prod(window), -1)
            yield subgraph, index, LayerWeights(layer_name(graph, subgraph, op), shaped, window)


def _unpacked(weights: Any) -> tuple[npt.NDArray[Any], tuple[int, ...]]:
    from tfprune.formats import Op

    header = weights.header
    window = () if header.op == Op.FULLY_CONNECTED else (header.kernel_h, header.kernel_w)
    try:
        return np.asarray(weights.matrix()), window
    except PackedFormatError as error:
        raise ModelError(str(error)) from error


def _stock_matrices(
    graph: Any, subgraph: int, index: int, op: Any
) -> Iterator[tuple[npt.NDArray[Any], tuple[int, ...]]]:
    """Weights of a stock op, output channels first, and their kernel; none where they cannot be read."""
    from tfprune.converter.capability import LstmLayer, examine
    from tfprune.converter.weights import real_weights, stored_weights

    name = graph.op_name(op)
    if name == _LSTM:
        layer = examine(graph, subgraph, index, op)
        for gates in layer.matrices if isinstance(layer, LstmLayer) else ():
            yield gates.weights(graph), ()
        return
    rank = _OP_RANKS.get(name)
    tensor = stored_weights(graph, subgraph, op) if rank is not None else None
    weights = None if tensor is None else real_weights(graph, tensor)
    if weights is None or weights.ndim != rank or not weights.size:
        return
    if name == "BATCH_MATMUL" and not getattr(op.builtinOptions, "adjY", False):
        weights = weights.T
    elif name == "DEPTHWISE_CONV_2D":
        weights = weights.transpose(3, 1, 2, 0)
    elif name == "CONV_3D":
        weights = weights.transpose(4, 0, 1, 2, 3)
    yield weights, weights.shape[1:-1]
