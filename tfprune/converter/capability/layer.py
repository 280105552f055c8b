# SPDX-License-Identifier: Apache-2.0
"""What every operator with a sparse kernel is to the converter: one weight matrix and one of our two ops."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.converter.graph import Graph
from tfprune.converter.schema import tfl
from tfprune.converter.weights import real_weights
from tfprune.costs import LayerShape
from tfprune.formats import Activation, Op, OpSpec, Quantization, ValueType

WEIGHTS_INPUT = 1
BIAS_INPUT = 2
CUSTOM_CODES = {Op.CONV_2D: "TfpruneConv2D", Op.FULLY_CONNECTED: "TfpruneFullyConnected"}
#: The op with two packed matrices, each of a fully-connected layer.
LSTM_CODE = "TfpruneLSTM"

Matrix = npt.NDArray[Any]

#: How the weights of each precision are stored: numpy's type and the format's.
STORED: dict[str, tuple[npt.DTypeLike, ValueType]] = {
    "float32": (np.float32, ValueType.FLOAT32),
    "float16": (np.float16, ValueType.FLOAT16),
    "int8": (np.int8, ValueType.INT8),
    "dynamic": (np.int8, ValueType.INT8),
    "weight_only": (np.int8, ValueType.FLOAT32),
    "uint8": (np.uint8, ValueType.UINT8),
    "int16": (np.int8, ValueType.INT8),
}
_ACTIVATION_NAMES = {
    number: name for name, number in vars(tfl.ActivationFunctionType).items() if isinstance(number, int)
}


class Refused(Exception):  # noqa: N818 (a reason, not an error: it never leaves the converter)
    """Why an operator stays as it is: a short ``code`` for programs and a ``text`` for people."""

    def __init__(self, code: str, text: str) -> None:
        """Holds both."""
        super().__init__(text)
        self.code = code
        self.text = text


@dataclasses.dataclass(frozen=True)
class Numbers:
    """Where the weights of an operator are stored, and as what.

    Attributes:
        precision: ``"float32"``; ``"float16"``: float32 made by ``DEQUANTIZE`` from a float16 constant; ``"int8"`` and
            ``"uint8"``: weights and activations; ``"dynamic"``: int8 weights, float32 activations; ``"weight_only"``:
            float32 made by ``DEQUANTIZE`` from an int8 constant; ``"int16"``: int8 weights, int16 activations.
        source: tensor index of the constant.
        quantization: scales and zero points of integer weights; None for others.
    """

    precision: str
    source: int
    quantization: Quantization | None = None

    @property
    def priced_as(self) -> str:
        """The precision of the cost tables: int8 weights with a zero point run in the kernels of uint8."""
        centred = self.quantization is not None and self.quantization.weight_zero_point != 0
        return "uint8" if centred else self.precision


@dataclasses.dataclass(frozen=True)
class Layer:
    """An operator that a sparse kernel could run.

    Attributes:
        subgraph: number of its subgraph.
        index: its place among the subgraph's operators.
        spec: what the sparse op computes.
        geometry: shape of the geometry input of ``docs/formats.md``.
        cost_shape: its sizes for the predictor.
        numbers: where the weights are stored, and as what.
        bias: tensor index of the bias, or None.
        image: height and width of a convolution's output, None where the file leaves them open; (1, 1) of a
            fully-connected layer's.
        halve: whether float32 weights are packed as float16, rounded to nearest.
        expand: makes the matrix ``[R, C]`` from the constant in its shape, where that takes more than a reshape; two
            that do the same are equal.
        surround: puts stock ops round the sparse one: takes the graph and the operator, which is the sparse op
            already, and returns all operators that take its place.
        activation_input: which of the operator's inputs is the activation.
        bias_repeats: how often the matrix repeats the bias, one after the other.
        shared_rows: how many rows of an expanded matrix can have a non-zero weight in one column.
    """

    subgraph: int
    index: int
    spec: OpSpec
    geometry: tuple[int, ...]
    cost_shape: LayerShape
    numbers: Numbers
    bias: int | None
    image: tuple[int, int] | None = (1, 1)
    halve: bool = False
    expand: Callable[[Matrix], Matrix] | None = None
    surround: Callable[[Graph, Any], list[Any]] | None = None
    activation_input: int = 0
    bias_repeats: int = 1
    shared_rows: int | None = None

    @property
    def precision(self) -> str:
        """One of :data:`STORED`."""
        return self.numbers.precision

    @property
    def value_type(self) -> ValueType:
        """The type of the packed values."""
        return ValueType.FLOAT16 if self.halve else STORED[self.precision][1]

    @property
    def planar(self) -> bool:
        """Whether the sparse op is a convolution that reads and writes the same tensors as the dense one."""
        return self.spec.op == Op.CONV_2D and self.surround is None

    def weights(self, graph: Graph) -> Matrix:
        """The weights in their own shape and the type in which they will be packed.

        Raises:
            Refused: the constant does not have as many values as its shape says, or halves cannot hold them.
        """
        source = graph.tensor(self.subgraph, self.numbers.source)
        if self.precision == "weight_only":
            constant = real_weights(graph, source)
        else:
            constant = graph.constant(source, STORED[self.precision][0])
        if constant is None:
            raise Refused("weights_not_constant", "the weights are not a constant of the file")
        return halved(constant) if self.halve else constant

    def matrix(self, graph: Graph) -> Matrix:
        """The weight matrix ``[R, C]`` in the type in which it will be packed.

        Raises:
            Refused: as :meth:`weights`.
        """
        weights = self.weights(graph)
        if self.expand is None:
            return weights.reshape(self.spec.out_channels, self.spec.columns)
        if not self.zero_point:
            return self.expand(weights)
        # What an expansion adds is 0, which uint8 weights store as their zero point.
        expanded = self.expand(weights.astype(np.int16) - self.zero_point) + self.zero_point
        return expanded.astype(weights.dtype)

    @property
    def zero_point(self) -> int:
        """What a stored weight is where the weight is 0."""
        return 0 if self.numbers.quantization is None else self.numbers.quantization.weight_zero_point

    def meaning(self) -> tuple[Any, ...]:
        """What the packed weights say beside the matrix; layers of one buffer and one meaning can share them."""
        quantization = self.numbers.quantization
        if quantization is None:
            return (self.spec, self.value_type, self.expand)
        activations = dataclasses.replace(quantization, scales=np.zeros(0, np.float32))
        known = tuple(value for name, value in vars(activations).items() if name != "scales")
        return (self.spec, self.value_type, self.expand, quantization.scales.tobytes(), *known)


def halved(weights: Matrix) -> Matrix:
    """Weights rounded to float16; numbers that are not finite stay so."""
    with np.errstate(over="ignore"):
        halves = weights.astype(np.float16)
    if np.any(np.isinf(halves) & np.isfinite(weights)):
        largest = float(np.abs(weights[np.isfinite(weights)]).max())
        raise Refused("range", f"float16 holds numbers up to 65504, the largest weight is {largest:g}")
    return halves


def activation(number: int) -> Activation:
    """A fused activation by TFLite's number.

    Raises:
        Refused: the format has none for it.
    """
    try:
        return Activation(number)
    except ValueError:
        name = _ACTIVATION_NAMES.get(number, str(number))
        known = ", ".join(item.name for item in Activation)
        raise Refused("activation", f"the fused activation must be one of {known}, got {name}") from None


def product(sizes: tuple[int, ...]) -> int:
    """Product of sizes; an unknown or empty dimension counts as 1."""
    return int(np.prod([max(1, size) for size in sizes], dtype=object)) if sizes else 1
