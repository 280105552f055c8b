# SPDX-License-Identifier: Apache-2.0
"""The way back of ``TfpruneLSTM``: eight ordinary weight matrices, four biases and the stock op."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.converter.capability.lstm import GATES
from tfprune.converter.graph import Graph
from tfprune.converter.passes.dequantize import dequantize
from tfprune.converter.schema import BuiltinOperator, TensorType, read_flexbuffer_map, text, tfl
from tfprune.errors import ModelError, PackedFormatError
from tfprune.formats import PackedWeights, ValueType

_INPUTS = 24
# Places of TfpruneLSTM's inputs and of the stock op's.
_BIAS, _CELL_CLIP, _STATES = 4, 5, (6, 7)
_STOCK_WEIGHTS, _STOCK_BIASES, _STOCK_STATES = (1, 5), 12, (18, 19)


def restore(graph: Graph, place: tuple[int, int], op: Any, packed: list[PackedWeights]) -> None:
    """Makes a ``TfpruneLSTM`` with the packed weights ``packed`` a ``UNIDIRECTIONAL_SEQUENCE_LSTM`` again.

    Args:
        graph: the model.
        place: subgraph and number of the operator.
        op: the operator.
        packed: weights of the input and of the state.

    Raises:
        ModelError: an input is missing or does not fit the packed weights.
    """
    subgraph, index = place
    where = f"operator {index} of subgraph {subgraph}"
    constants = [_constant(graph, subgraph, op, position) for position in (_BIAS, _CELL_CLIP)]
    known = read_flexbuffer_map(op.customOptions)
    version, time_major = known.get("dense_version"), known.get("time_major")
    rows = {weights.header.out_channels for weights in packed}
    if (
        len(packed) != 2
        or len(op.inputs) <= max(_STATES)
        or len(rows) != 1
        or any(values is None for values in constants)
        or not isinstance(version, int)
        or not isinstance(time_major, int)
    ):
        raise ModelError(f"{where}: its inputs or options are not those of an LSTM; convert the model again")
    bias, clip = (np.zeros(0, np.float32) if values is None else values for values in constants)
    if len(bias) != rows.pop() or len(clip) != 1:
        raise ModelError(f"{where}: bias or cell clip do not fit the packed weights; convert the model again")
    name = text(graph.tensor(subgraph, int(op.outputs[0])).name)
    inputs = [-1] * _INPUTS
    inputs[0] = int(op.inputs[0])
    before: list[Any] = []
    for first, part, weights in zip(_STOCK_WEIGHTS, ("input", "recurrent"), packed, strict=True):
        for gate, matrix in enumerate(_gates(weights, where)):
            inputs[first + gate] = _add_weights(graph, subgraph, f"{name}/{part}/{gate}", matrix, before)
    for gate, values in enumerate(np.split(bias, GATES)):
        inputs[_STOCK_BIASES + gate] = _add(graph, subgraph, f"{name}/bias/{gate}", values)
    for stock, position in zip(_STOCK_STATES, _STATES, strict=True):
        inputs[stock] = int(op.inputs[position])
    graph.set_inputs(subgraph, op, inputs)
    graph.set_builtin(
        op,
        BuiltinOperator.UNIDIRECTIONAL_SEQUENCE_LSTM,
        version,
        tfl.BuiltinOptions.UnidirectionalSequenceLSTMOptions,
        _options(bool(time_major), float(clip[0])),
    )
    if before:
        graph.replace_operator(subgraph, index, [*before, op])


def _constant(graph: Graph, subgraph: int, op: Any, position: int) -> npt.NDArray[np.float32] | None:
    tensor = graph.input_tensor(subgraph, op, position)
    return None if tensor is None else graph.constant(tensor, np.float32)


def _gates(packed: PackedWeights, where: str) -> list[npt.NDArray[Any]]:
    try:
        matrix = packed.stored_matrix()
    except PackedFormatError as error:
        raise ModelError(f"{where}: {error}") from error
    if matrix.shape[0] % GATES or packed.header.value_type == ValueType.INT8:
        raise ModelError(f"{where}: its packed weights are not those of an LSTM; convert the model again")
    dtype = np.float16 if packed.header.value_type == ValueType.FLOAT16 else np.float32
    return np.split(matrix.astype(dtype, copy=False), GATES)


def _add_weights(graph: Graph, subgraph: int, name: str, matrix: npt.NDArray[Any], before: list[Any]) -> int:
    index = _add(graph, subgraph, name, matrix)
    if matrix.dtype != np.float16:
        return index
    before.append(dequantize(graph, subgraph, index))
    return int(before[-1].outputs[0])


def _add(graph: Graph, subgraph: int, name: str, values: npt.NDArray[Any]) -> int:
    kind = TensorType.FLOAT16 if values.dtype == np.float16 else TensorType.FLOAT32
    data = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
    return graph.add_constant(subgraph, name, kind, values.shape, data)


def _options(time_major: bool, cell_clip: float) -> Any:
    options = tfl.UnidirectionalSequenceLSTMOptionsT()
    options.fusedActivationFunction = tfl.ActivationFunctionType.TANH
    options.timeMajor = time_major
    options.cellClip = cell_clip
    return options
