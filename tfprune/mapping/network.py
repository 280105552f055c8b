# SPDX-License-Identifier: Apache-2.0
"""A Keras model as mapping sees it: its kernels, and the operators that they become in the ``.tflite`` file."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tfprune.converter.api import is_keras_model, tflite_bytes
from tfprune.converter.calibration import Quantizer
from tfprune.converter.capability import Layer, examine
from tfprune.converter.graph import Graph
from tfprune.errors import MappingError
from tfprune.recipe import DEFAULT_MIN_WEIGHTS
from tfprune.sparsity.layouts import Layout, MatrixShape, matrix_shape, to_matrix

#: Kinds of layers that rules and candidates speak of.
KINDS = ("conv_1x1", "conv_3x3", "conv_larger", "depthwise", "transposed", "fully_connected")
#: Of larger fully connected layers a part stands for the whole, in bands of outputs that hold whole groups and blocks.
_MOST_WEIGHTS = 1 << 22
_BAND = 64
_NOT_FOUND = "the converter makes no layer of it that a sparse kernel could run"


class LayerPart(NamedTuple):
    """What stands for a layer's weights.

    Attributes:
        weights: all of them, or those of some bands of outputs.
        repeats: how many times as many the layer has.
    """

    weights: npt.NDArray[Any]
    repeats: int


@dataclasses.dataclass(frozen=True)
class NetworkLayer:
    """One kernel of a model.

    Attributes:
        name: how a recipe's rule names it: the layer's name, or ``"layer/kernel"`` where a layer has several.
        kind: one of :data:`KINDS`.
        weights: its values, in Keras' order of axes.
        layout: what the axes are.
        operators: the operators of the dense file that use it; several where a layer is called several times.
        obstacle: why it cannot become sparse, or ``""``.
        spared: why it stays dense unless somebody names it, such as the last ``Dense`` layer; or ``""``.
    """

    name: str
    kind: str
    weights: npt.NDArray[Any] = dataclasses.field(repr=False, compare=False)
    layout: Layout
    operators: tuple[Layer, ...] = ()
    obstacle: str = ""
    spared: str = ""

    def pruned_by_default(self, min_weights: int = DEFAULT_MIN_WEIGHTS) -> bool:
        """Whether a rule that does not name the layer prunes it: it can, is not spared and has enough weights."""
        return not self.obstacle and not self.spared and self.weights.size >= min_weights

    @functools.cached_property
    def part(self) -> LayerPart:
        """The weights that choices are tried on: all, or of a very large fully connected layer some of its outputs."""
        if self.kind != "fully_connected" or self.weights.ndim != 2 or not self.operators:
            return LayerPart(self.weights, 1)
        axis = self.layout.outputs[0]
        bands = self.weights.shape[axis] // _BAND
        if bands * _BAND != self.weights.shape[axis]:
            return LayerPart(self.weights, 1)
        least = -(-self.weights.size // _MOST_WEIGHTS)
        repeats = next(
            count for count in range(1, bands + 1) if bands % count == 0 and (count >= least or count == bands)
        )
        taken = np.arange(bands * _BAND).reshape(bands, _BAND)[::repeats].reshape(-1)
        return LayerPart(np.take(self.weights, taken, axis) if repeats > 1 else self.weights, repeats)

    @property
    def matrix_shape(self) -> MatrixShape:
        """Size of its weight matrix."""
        return matrix_shape(self.weights.shape, self.layout)

    @property
    def macs(self) -> int:
        """Multiply-adds of one run of the model, dense."""
        return sum(operator.cost_shape.dense_macs for operator in self.operators)

    def in_file(self, mask: npt.NDArray[np.bool_], shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
        """The mask of Keras' kernel in the order of the file.

        Args:
            mask: in the shape of the kernel.
            shape: of the constant in the file: output channels first, those of a depthwise kernel last.
        """
        return (mask if self.kind == "depthwise" else to_matrix(mask, self.layout)).reshape(shape)

    def stored(self, mask: npt.NDArray[np.bool_], operator: Layer, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
        """The mask of Keras' kernel, or of its :attr:`part`, as the matrix ``[R, C]`` of one of its operators.

        Args:
            mask: in the shape of the kernel or the part.
            operator: the operator.
            shape: of its constant in the file.
        """
        if operator.expand is not None:
            return operator.expand(self.in_file(mask, shape))
        return to_matrix(mask, self.layout).reshape(-1, operator.spec.columns)


class Network:
    """A model's layers and its dense file. Weights are those of the moment it was made.

    Attributes:
        name: of the model.
        layers: every kernel of a kind that tfprune can prune, in the order of the model.
        data: the dense ``.tflite`` file; its weights are marks, its shapes are the model's.
        graph: the same, parsed.
        precision: of the file's weights.
        unsupported: layers with weights of no kind that tfprune can prune, and why.
    """

    def __init__(self, model: Any, *, precision: str = "float32", representative_data: Any = None) -> None:
        """Reads a built Keras model; its weights are what they were when this returns.

        Args:
            model: a built Keras model.
            precision: as for :func:`tfprune.convert`.
            representative_data: as for :func:`tfprune.convert`.

        Raises:
            MappingError: not a Keras model, or one without a layer that could be pruned.
            ConversionError: LiteRT's converter refuses the model.
        """
        if not is_keras_model(model):
            raise MappingError(f"model must be a Keras model, got {type(model).__name__}; load the .keras file first")
        from tfprune.keras.layers import to_numpy

        kernels, self.unsupported = find_kernels(model)
        if not any(not kernel.obstacle for kernel in kernels):
            dense = {kernel.name: kernel.obstacle for kernel in kernels} | self.unsupported
            reasons = "; ".join(f"{name}: {why}" for name, why in dense.items()) or "it has no kernels"
            raise MappingError(f"model {model.name!r} has no layer that could be pruned: {reasons}")
        values = [to_numpy(kernel.variable) for kernel in kernels]
        with _marked(model, kernels):
            data, _, subject = tflite_bytes(model, None, Quantizer(precision, representative_data))
        self.name = str(model.name)
        self.precision = precision
        self.data = data
        self.graph = Graph(data, subject)
        found = _operators(self.graph)
        self.layers = tuple(
            _network_layer(kernel, value, found.get((value.size, kernel.mark), ()) if kernel.mark else ())
            for kernel, value in zip(kernels, values, strict=True)
        )

    def layer(self, name: str) -> NetworkLayer:
        """A layer by its name.

        Raises:
            MappingError: there is none.
        """
        for each in self.layers:
            if each.name == name:
                return each
        known = ", ".join(each.name for each in self.layers)
        raise MappingError(f"`{name}` must be a layer of the model, one of {known}")


@dataclasses.dataclass(frozen=True)
class Kernel:
    """A kernel variable; ``mark`` is how many of its weights are zero while the model is converted, 0 for none."""

    name: str
    variable: Any
    layout: Layout
    mark: int
    obstacle: str
    spared: str


def find_kernels(model: Any) -> tuple[list[Kernel], dict[str, str]]:
    """Every kernel that somebody could name in a recipe, in the order of the model; and what is none.

    Returns:
        The kernels, and by layer why its weights are no kernels, such as those of Conv3D.
    """
    from tfprune.keras.layers import UNLESS_NAMED, find_weights, kernel_name, kernels_of, walk_layers

    _, left = find_weights(model, None, 0)
    if not any(map(kernels_of, walk_layers(model))):
        # A name that matches nothing is refused below, in the words of recipes.
        return [], {each.layer: each.reason for each in left}
    named, refused = find_weights(model, ["*"], 0)
    spared = {id(each.variable): each.reason.removesuffix(UNLESS_NAMED) for each in left}
    obstacles = {id(each.variable): each.reason for each in refused}
    labels = {id(each.variable): each.layer for each in named} | {id(each.variable): each.layer for each in refused}
    found: list[Kernel] = []
    seen: set[int] = set()
    for layer in walk_layers(model):
        own = kernels_of(layer)
        for variable, layout in own:
            if id(variable) in seen:
                continue
            seen.add(id(variable))
            label = labels.get(id(variable), layer.name)
            name = f"{label}/{kernel_name(variable)}" if len(own) > 1 else label
            size = math.prod(variable.shape)
            obstacle = obstacles.get(id(variable), "")
            if not obstacle and size <= len(seen):
                obstacle = f"{size} weights only"
            # Layers that do not train are part of the model's time all the same; whole numbers hold no marks.
            mark = len(seen) if size > len(seen) and "float" in str(variable.dtype) else 0
            found.append(Kernel(name, variable, layout, mark, obstacle, spared.get(id(variable), "")))
    unsupported = {each.layer: each.reason for each in left if id(each.variable) not in seen}
    return found, unsupported


@contextlib.contextmanager
def _marked(model: Any, kernels: list[Kernel]) -> Iterator[None]:
    """Gives each kernel a number of zeros of its own, by which it is found again in the file.

    Names change on the way through the converter, and batch normalisation and quantisation change values; zeros stay.
    What scales kernels is 1 meanwhile, so that nothing else becomes zero.
    """
    before = model.get_weights()
    try:
        for variable in model.variables:
            if len(variable.shape) <= 1 and "float" in str(variable.dtype):
                variable.assign(np.ones(variable.shape, np.float32))
        for kernel in kernels:
            if kernel.mark:
                shape = tuple(kernel.variable.shape)
                values = np.ones(math.prod(shape), np.float32)
                # Neighbours of other magnitudes, so that no constant is folded; zeros spread over all channels.
                values[1::2] = 0.5
                values[np.linspace(0, values.size - 1, kernel.mark).astype(int)] = 0
                kernel.variable.assign(values.reshape(shape))
        yield
    finally:
        model.set_weights(before)


def _operators(graph: Graph) -> dict[tuple[int, int], tuple[Layer, ...]]:
    """Operators that a sparse kernel could run, by their number of weights and of zeros."""
    found: dict[tuple[int, int], tuple[Layer, ...]] = defaultdict(tuple)
    for subgraph, index, op in graph.operators():
        layer = examine(graph, subgraph, index, op)
        if isinstance(layer, Layer):
            weights = layer.weights(graph)
            found[weights.size, int(np.count_nonzero(weights == layer.zero_point))] += (layer,)
    return found


def _network_layer(kernel: Kernel, value: npt.NDArray[Any], operators: tuple[Layer, ...]) -> NetworkLayer:
    obstacle = kernel.obstacle or ("" if operators else _NOT_FOUND)
    kind = _kind(kernel.layout, value.shape)
    return NetworkLayer(kernel.name, kind, value, kernel.layout, operators, obstacle, kernel.spared)


def _kind(layout: Layout, shape: tuple[int, ...]) -> str:
    if layout.name.startswith("depthwise"):
        return "depthwise"
    if layout.name.endswith("transpose"):
        return "transposed"
    window = [shape[axis] for axis in layout.window]
    if not window or layout.name.startswith("einsum"):
        return "fully_connected"
    if max(window) == 1:
        return "conv_1x1"
    return "conv_3x3" if window == [3, 3] else "conv_larger"


def repeated_names(layers: tuple[NetworkLayer, ...]) -> list[str]:
    """Names that several kernels share, which no rule could tell apart."""
    return [name for name, count in Counter(layer.name for layer in layers).items() if count > 1]
