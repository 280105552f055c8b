# SPDX-License-Identifier: Apache-2.0
"""``UNIDIRECTIONAL_SEQUENCE_LSTM`` as two weight matrices and a cell."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.converter.capability.layer import STORED, Layer, Matrix, Numbers, Refused, halved, product
from tfprune.converter.graph import Graph
from tfprune.converter.schema import TensorType, tfl
from tfprune.costs import LayerShape
from tfprune.formats import Op, OpSpec

#: Gates in TFLite's order: input, forget, cell, output.
GATES = 4
# Places of the operator's inputs.
_X, _INPUT_WEIGHTS, _RECURRENT_WEIGHTS, _BIASES, _HIDDEN, _CELL = 0, 1, 5, 12, 18, 19
_UNSUPPORTED = {
    9: "peephole connections",
    10: "peephole connections",
    11: "peephole connections",
    16: "a projection",
    17: "a projection",
    20: "layer normalisation",
    21: "layer normalisation",
    22: "layer normalisation",
    23: "layer normalisation",
}
_PRECISIONS: dict[int, str] = {TensorType.FLOAT32: "float32", TensorType.FLOAT16: "float16"}


@dataclasses.dataclass(frozen=True)
class GateMatrix(Layer):
    """The weights of all gates for the input or for the state, one above the other, ``[4 * units, columns]``.

    Attributes:
        part: ``"input"`` or ``"recurrent"``.
        sources: tensor index of each gate's constant.
        runs: how often the product is computed in one run of the operator.
    """

    part: str = ""
    sources: tuple[int, ...] = ()
    runs: int = 1

    def weights(self, graph: Graph) -> Matrix:
        """The matrix in the type in which it will be packed."""
        gates = [_constant(graph, self.subgraph, index, self.precision) for index in self.sources]
        return halved(np.concatenate(gates)) if self.halve else np.concatenate(gates)

    def dense_bytes(self, graph: Graph) -> int:
        """Bytes of the gates' constants."""
        raw = (graph.raw(graph.tensor(self.subgraph, index)) for index in self.sources)
        return sum(0 if data is None else len(data) for data in raw)


@dataclasses.dataclass(frozen=True)
class LstmLayer:
    """An LSTM that ``TfpruneLSTM`` could run.

    Attributes:
        subgraph: number of its subgraph.
        index: its place among the subgraph's operators.
        matrices: the weights of the input and those of the state.
        biases: tensor index of each gate's bias, None where there is none.
        states: tensor indices of the hidden and the cell state.
        units: units of the layer.
        time_major: whether the first dimension of the input is time.
        cell_clip: largest magnitude of the cell state, 0 for no limit.
    """

    subgraph: int
    index: int
    matrices: tuple[GateMatrix, GateMatrix]
    biases: tuple[int | None, ...]
    states: tuple[int, int]
    units: int
    time_major: bool
    cell_clip: float

    def bias(self, graph: Graph) -> npt.NDArray[np.float32]:
        """The biases of all gates, ``[4 * units]``."""
        return np.concatenate(
            [
                np.zeros(self.units, np.float32)
                if index is None
                else _constant(graph, self.subgraph, index, _precision(graph, self.subgraph, index)).astype(np.float32)
                for index in self.biases
            ]
        )


def read(graph: Graph, subgraph: int, index: int, op: Any) -> LstmLayer:
    """Reads a ``UNIDIRECTIONAL_SEQUENCE_LSTM``.

    Raises:
        Refused: it has a form without sparse kernel, or contradicts itself.
    """
    options = op.builtinOptions
    if not isinstance(options, tfl.UnidirectionalSequenceLSTMOptionsT):
        raise Refused("malformed", "the operator has no options of an LSTM")
    _check_form(op, options)
    x, y = graph.input_tensor(subgraph, op, _X), graph.tensor(subgraph, int(op.outputs[0]))
    states = tuple(int(op.inputs[place]) for place in (_HIDDEN, _CELL))
    state_tensors = [graph.tensor(subgraph, state) for state in states]
    if x is None or {x.type, y.type, *(tensor.type for tensor in state_tensors)} != {TensorType.FLOAT32}:
        raise Refused("precision", "no sparse kernel for an LSTM whose input, output or state is not float32")
    if any(_has_scale(tensor) for tensor in (x, y, *state_tensors)):
        raise Refused("quantization", "an LSTM's input, output or state is float32 and has a scale")
    shape = graph.shape(x)
    if len(shape) != 3 or shape[2] < 1:
        raise Refused("malformed", f"the input must have 3 dimensions, got {list(shape)}")
    time_major = bool(options.timeMajor)
    batch, steps = (shape[1], shape[0]) if time_major else (shape[0], shape[1])
    gates = [_gates(graph, subgraph, op, first) for first in (_INPUT_WEIGHTS, _RECURRENT_WEIGHTS)]
    units = graph.shape(graph.tensor(subgraph, gates[1][0]))[0]
    for tensor in state_tensors:
        if graph.shape(tensor) != (batch, units) or not tensor.isVariable:
            raise Refused("malformed", f"the states must be variables of shape [{batch}, {units}]")
    precision = _precision(graph, subgraph, gates[0][0])
    pixels, runs = (product((batch, steps)), max(1, batch)), (1, max(1, steps))
    matrices = [
        dataclasses.replace(
            _matrix(graph, (subgraph, index), part, sources, (units, columns), precision, count),
            geometry=(units, 1 + time_major),
            runs=times,
        )
        for part, sources, columns, count, times in zip(
            ("input", "recurrent"), gates, (shape[2], units), pixels, runs, strict=True
        )
    ]
    return LstmLayer(
        subgraph,
        index,
        (matrices[0], matrices[1]),
        tuple(_bias(graph, subgraph, op, gate, units) for gate in range(GATES)),
        (states[0], states[1]),
        units,
        time_major,
        float(options.cellClip),
    )


def _has_scale(tensor: Any) -> bool:
    found = tensor.quantization
    return found is not None and found.scale is not None and len(found.scale) > 0


def _check_form(op: Any, options: Any) -> None:
    present = [place for place in range(len(op.inputs)) if op.inputs[place] >= 0]
    for place, what in _UNSUPPORTED.items():
        if place in present:
            raise Refused("lstm_form", f"no sparse kernel for an LSTM with {what}")
    if _INPUT_WEIGHTS not in present:
        raise Refused("lstm_form", "no sparse kernel for an LSTM with coupled input and forget gates")
    if options.diagonalRecurrentTensors:
        raise Refused("lstm_form", "no sparse kernel for an LSTM with diagonal recurrent weights")
    if options.fusedActivationFunction != tfl.ActivationFunctionType.TANH:
        raise Refused("activation", f"the activation of an LSTM must be TANH, got {options.fusedActivationFunction}")
    if not 0 <= options.cellClip < float("inf"):
        raise Refused("malformed", f"the cell clip must be 0 or above, got {options.cellClip}")
    needed = {*range(_X, _RECURRENT_WEIGHTS + GATES), _HIDDEN, _CELL}
    if not needed.issubset(present) or len(op.outputs) != 1 or op.outputs[0] < 0:
        raise Refused("malformed", "the operator lacks an input, a state or its output")


def _gates(graph: Graph, subgraph: int, op: Any, first: int) -> tuple[int, ...]:
    sources = tuple(graph.source(subgraph, int(op.inputs[first + gate])) for gate in range(GATES))
    tensors = [graph.tensor(subgraph, source) for source in sources]
    for tensor in tensors:
        if len(graph.shape(tensor)) != 2 or min(graph.shape(tensor)) < 1:
            raise Refused("malformed", f"the weights must have 2 dimensions, got {list(graph.shape(tensor))}")
    return sources


def _matrix(
    graph: Graph,
    place: tuple[int, int],
    part: str,
    sources: tuple[int, ...],
    shape: tuple[int, int],
    precision: str,
    pixels: int,
) -> GateMatrix:
    for source in sources:
        if _constant(graph, place[0], source, precision).shape != shape:
            found = graph.shape(graph.tensor(place[0], source))
            raise Refused("malformed", f"the {part} weights must have shape {list(shape)}, got {list(found)}")
    rows, columns = GATES * shape[0], shape[1]
    return GateMatrix(
        *place,
        OpSpec(Op.FULLY_CONNECTED, rows, columns),
        (),
        LayerShape(
            fully_connected=True,
            out_channels=rows,
            columns=columns,
            kernel_size=1,
            pixels=pixels,
            input_values=columns * pixels,
            precision=precision,
        ),
        Numbers(precision, sources[0]),
        None,
        part=part,
        sources=sources,
    )


def _bias(graph: Graph, subgraph: int, op: Any, gate: int, units: int) -> int | None:
    if graph.input_tensor(subgraph, op, _BIASES + gate) is None:
        return None
    source = graph.source(subgraph, int(op.inputs[_BIASES + gate]))
    values = _constant(graph, subgraph, source, _precision(graph, subgraph, source))
    if values.shape != (units,):
        raise Refused("bias_shape", f"a bias must have shape [{units}], got {list(values.shape)}")
    return source


def _precision(graph: Graph, subgraph: int, index: int) -> str:
    precision = _PRECISIONS.get(graph.tensor(subgraph, index).type)
    if precision is None:
        raise Refused("precision", "no sparse kernel for an LSTM whose weights are neither float32 nor float16")
    return precision


def _constant(graph: Graph, subgraph: int, index: int, precision: str) -> Matrix:
    tensor = graph.tensor(subgraph, index)
    if _precision(graph, subgraph, index) != precision:
        raise Refused("precision", "no sparse kernel for an LSTM whose weights differ in type")
    values = None if tensor.isVariable or tensor.externalBuffer else graph.constant(tensor, STORED[precision][0])
    if values is None:
        raise Refused("weights_not_constant", "the weights are not constants of the file")
    return values
