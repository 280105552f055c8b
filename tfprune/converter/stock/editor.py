# SPDX-License-Identifier: Apache-2.0
"""One subgraph seen by its operators: who writes and reads a tensor, constants, and edits of both."""

from __future__ import annotations

import copy
import dataclasses
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.converter.capability import Refused
from tfprune.converter.graph import Graph
from tfprune.converter.schema import TensorType, declared_shape, new_tensor

DTYPES: dict[int, Any] = {
    TensorType.FLOAT32: np.float32,
    TensorType.FLOAT16: np.float16,
    TensorType.INT8: np.int8,
    TensorType.UINT8: np.uint8,
    TensorType.INT16: np.int16,
    TensorType.INT32: np.int32,
    TensorType.INT64: np.int64,
}
FLOATS = (TensorType.FLOAT32, TensorType.FLOAT16)
#: Why an operator stays whose weights :meth:`Editor.constant` does not give.
NO_WEIGHTS = (
    "weights_not_constant",
    "the weights are not a constant of the file, or of a type that is left alone (such as int4)",
)

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Constant:
    """A constant input of an operator.

    Attributes:
        values: its values as they are stored.
        tensor: the ``TensorT`` that holds them.
        dequantize: the operator that makes float32 of float16 values on the way, or None.
        shared: whether another operator, or the world outside, uses the same values.
    """

    values: Array
    tensor: Any
    dequantize: Any | None
    shared: bool

    @property
    def zero(self) -> int | Array:
        """What stands for 0: the zero point, one a channel where there are several, else 0."""
        return zero_points(self.tensor, self.values.ndim)

    @property
    def nonzero(self) -> npt.NDArray[np.bool_]:
        """Where the values are not 0."""
        return np.asarray(self.values != self.zero)

    def used(self, *axes: int) -> npt.NDArray[np.bool_]:
        """For each place along the given axes whether some value there is not 0."""
        others = tuple(axis for axis in range(self.values.ndim) if axis not in axes)
        return np.asarray(self.nonzero.any(axis=others))

    @property
    def is_float(self) -> bool:
        """Whether the values are float32 or float16."""
        return self.tensor.type in FLOATS


class Editor:
    """Look-ups and edits on one subgraph of a graph.

    Every edit keeps the model valid; tensors and buffers that nothing uses any more are emptied by :meth:`close`.
    """

    def __init__(self, graph: Graph, number: int) -> None:
        """Looks at subgraph ``number`` of ``graph``."""
        self.graph = graph
        self.number = number
        self.subgraph = graph.model.subgraphs[number]
        self.fixed = self._fixed_tensors()
        self._buffers: dict[bytes, int] = {}
        self._index()

    def _index(self) -> None:
        self.graph.forget_writers(self.number)
        self._writers: dict[int, Any] = {}
        self._readers: dict[int, list[tuple[Any, int]]] = defaultdict(list)
        for op in self.subgraph.operators:
            for output in op.outputs:
                self._writers[int(output)] = op
            for position, index in enumerate(op.inputs):
                if index >= 0:
                    self._readers[int(index)].append((op, position))
        self._buffer_users: dict[int, int] = defaultdict(int)
        for graph in self.graph.model.subgraphs:
            for tensor in graph.tensors:
                self._buffer_users[int(tensor.buffer)] += 1

    def _fixed_tensors(self) -> frozenset[int]:
        """Tensors that something besides operators' inputs and outputs refers to."""
        fixed = {int(index) for index in (*self.subgraph.inputs, *self.subgraph.outputs)}
        for signature in self.graph.model.signatureDefs or []:
            if signature.subgraphIndex == self.number:
                fixed.update(int(each.tensorIndex) for each in [*(signature.inputs or []), *(signature.outputs or [])])
        for op in self.subgraph.operators:
            fixed.update(int(index) for index in ([] if op.intermediates is None else op.intermediates))
        fixed.update(index for index, tensor in enumerate(self.subgraph.tensors) if tensor.isVariable)
        return frozenset(fixed)

    # Reading.

    @property
    def operators(self) -> list[Any]:
        """The operators in order of execution; a copy, so that edits do not disturb a loop over it."""
        return list(self.subgraph.operators)

    def name(self, op: Any) -> str:
        """Name of an operator; custom ones have a name that no builtin one has."""
        return f"custom {self.graph.op_name(op)}" if self.graph.is_custom(op) else self.graph.op_name(op)

    def tensor(self, index: int) -> Any:
        """The ``TensorT`` at ``index``."""
        return self.subgraph.tensors[index]

    def shape(self, index: int) -> tuple[int, ...]:
        """Shape of a tensor; sizes that the file does not fix are -1."""
        return declared_shape(self.tensor(index))

    def input(self, op: Any, position: int) -> int | None:
        """Tensor index of an operator's input, None where it is left out."""
        if position >= len(op.inputs) or op.inputs[position] < 0:
            return None
        return int(op.inputs[position])

    def writer(self, index: int) -> Any | None:
        """The operator that computes a tensor."""
        return self._writers.get(index)

    def readers(self, index: int) -> list[tuple[Any, int]]:
        """Operators that read a tensor, with the position of their input."""
        return self._readers[index]

    def constant(self, op: Any, position: int) -> Constant | None:
        """A constant input, also one of float16 behind a ``DEQUANTIZE``; None where the input is none."""
        index = self.input(op, position)
        if index is None:
            return None
        shared = index in self.fixed or len(self._readers[index]) > 1
        dequantize = self._writers.get(index)
        if dequantize is not None:
            if self.name(dequantize) != "DEQUANTIZE" or len(dequantize.inputs) != 1 or dequantize.inputs[0] < 0:
                return None
            index = int(dequantize.inputs[0])
            if self.tensor(index).type != TensorType.FLOAT16:
                return None
            shared = shared or index in self.fixed or len(self._readers[index]) > 1
        tensor = self.tensor(index)
        if tensor.isVariable or tensor.sparsity is not None or tensor.externalBuffer or tensor.type not in DTYPES:
            return None
        values = self.graph.constant(tensor, DTYPES[tensor.type])
        if values is None or index in self.subgraph.inputs or not _scales_fit(tensor, values.shape):
            return None
        return Constant(values, tensor, dequantize, shared or self._buffer_users[int(tensor.buffer)] > 1)

    # Writing.

    def set_constant(self, op: Any, position: int, values: Array, axes: dict[int, Array] | None = None) -> None:
        """Gives an operator another constant of the same type in the place of one that it has.

        Args:
            op: the operator.
            position: of its input.
            values: what to store.
            axes: for each axis that became shorter the indices that stay, for scales and zero points a channel.
        """
        old = self.constant(op, position)
        assert old is not None
        tensor = copy.copy(old.tensor)
        tensor.shape = np.array(values.shape, np.int32)
        tensor.shapeSignature = None
        tensor.quantization = _kept_quantization(old.tensor.quantization, axes or {})
        tensor.buffer = self._buffer(values.astype(DTYPES[tensor.type], copy=False))
        index = self.input(op, position)
        assert index is not None
        if old.dequantize is None:
            self._place(op, position, tensor)
            return
        result = copy.copy(self.tensor(index))
        result.shape, result.shapeSignature = tensor.shape, None
        alone = index not in self.fixed and len(self._readers[index]) == 1
        if alone and len(self._readers[int(old.dequantize.inputs[0])]) == 1:
            self._place(old.dequantize, 0, tensor)
        else:
            dequantize = copy.copy(old.dequantize)
            dequantize.inputs = np.array([self.add_tensor(tensor)], np.int32)
            dequantize.outputs = np.array([index], np.int32)
            self.insert_before(op, dequantize)
            old = dataclasses.replace(old, dequantize=dequantize)
        self._place(op, position, result)
        assert old.dequantize is not None
        old.dequantize.outputs = np.array([op.inputs[position]], np.int32)
        self._index()

    def set_new_constant(self, op: Any, position: int, tensor: Any, values: Array) -> None:
        """Gives an operator a constant of its own, in a place that may be empty until now.

        Args:
            op: the operator.
            position: of its input; inputs before it that it does not have are marked as left out.
            tensor: ``TensorT`` with name, type and quantization.
            values: what to store.
        """
        tensor.shape = np.array(values.shape, np.int32)
        tensor.buffer = self._buffer(values.astype(DTYPES[tensor.type], copy=False))
        inputs = [int(index) for index in op.inputs]
        inputs += [-1] * (position + 1 - len(inputs))
        inputs[position] = self.add_tensor(tensor)
        self.set_inputs(op, inputs)

    def add_tensor(self, tensor: Any) -> int:
        """Appends a ``TensorT``; returns its index."""
        self.subgraph.tensors.append(tensor)
        return len(self.subgraph.tensors) - 1

    def add_constant(self, name: str, values: Array) -> int:
        """Appends an int32 constant; returns its index."""
        tensor = new_tensor(name, TensorType.INT32, values.shape)
        tensor.buffer = self._buffer(values.astype(np.int32))
        return self.add_tensor(tensor)

    def set_inputs(self, op: Any, inputs: Sequence[int]) -> None:
        """Gives an operator other inputs."""
        self.graph.set_inputs(self.number, op, inputs)
        self._index()

    def insert_before(self, op: Any, new: Any) -> None:
        """Puts an operator in front of another, such as one of :meth:`tfprune.converter.graph.Graph.new_builtin`."""
        place = next(index for index, each in enumerate(self.subgraph.operators) if each is op)
        self.subgraph.operators.insert(place, new)
        self._index()

    def remove(self, op: Any) -> None:
        """Takes an operator out that nothing needs any more."""
        self.subgraph.operators = [each for each in self.subgraph.operators if each is not op]
        self._index()

    def close(self) -> None:
        """Drops operators on constants that nothing reads, and empties tensors that no operator refers to."""
        for op in self.operators:
            if self.name(op) == "DEQUANTIZE" and not any(self._needed(int(index)) for index in op.outputs):
                self.remove(op)
        used = set(self.fixed)
        for op in self.subgraph.operators:
            used.update(int(index) for index in (*op.inputs, *op.outputs))
        for index, tensor in enumerate(self.subgraph.tensors):
            if index not in used:
                tensor.buffer = 0

    def _needed(self, index: int) -> bool:
        return index in self.fixed or bool(self._readers[index])

    def _place(self, op: Any, position: int, tensor: Any) -> None:
        """Puts a tensor in the slot of an input, or in a new one where others use that too."""
        index = int(op.inputs[position])
        if index not in self.fixed and len(self._readers[index]) == 1:
            self.subgraph.tensors[index] = tensor
            self._index()
        else:
            self.set_inputs(op, [*op.inputs[:position], self.add_tensor(tensor), *op.inputs[position + 1 :]])

    def _buffer(self, values: Array) -> int:
        """A buffer with the values; equal ones written through this editor are stored once."""
        data = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
        key = data.tobytes()
        if key not in self._buffers:
            self._buffers[key] = self.graph.add_buffer(data)
        return self._buffers[key]


def scales(tensor: Any) -> npt.NDArray[np.float64]:
    """Scales of a tensor; none where it is not quantized."""
    found = None if tensor.quantization is None else tensor.quantization.scale
    return np.zeros(0) if found is None else np.asarray(found, np.float64)


def has_scale(tensor: Any) -> bool:
    """Whether a tensor has one scale, of which results can be computed."""
    found = scales(tensor)
    return bool(found.size == 1 and np.isfinite(found[0]) and found[0] > 0)


def zero_point(tensor: Any) -> int:
    """The one zero point of an activation; 0 where it is not quantized.

    Raises:
        Refused: it has several.
    """
    found = None if tensor.quantization is None else tensor.quantization.zeroPoint
    if found is None or not len(found):
        return 0
    if len(found) > 1:
        raise Refused("quantization", "activations must have one zero point")
    return int(found[0])


def zero_points(tensor: Any, rank: int) -> int | Array:
    """Zero point of a constant; of one quantized a channel an array that broadcasts against its values."""
    found = None if tensor.quantization is None else tensor.quantization.zeroPoint
    if found is None or not len(found):
        return 0
    if len(found) == 1:
        return int(found[0])
    shape = [1] * rank
    shape[tensor.quantization.quantizedDimension] = len(found)
    return np.asarray(found, np.int64).reshape(shape)


def same_quantization(first: Any, second: Any) -> bool:
    """Whether equal stored values of two tensors mean the same."""
    if first.type != second.type:
        return False
    return np.array_equal(scales(first), scales(second)) and zero_point(first) == zero_point(second)


def _scales_fit(tensor: Any, shape: tuple[int, ...]) -> bool:
    """Whether scales and zero points are one, or one a channel along an axis that the tensor has."""
    quantization = tensor.quantization
    if quantization is None:
        return True
    counts = {np.size(each) for each in (quantization.scale, quantization.zeroPoint) if each is not None} - {0, 1}
    axis = int(quantization.quantizedDimension)
    return not counts or (0 <= axis < len(shape) and counts == {shape[axis]})


def _kept_quantization(quantization: Any, axes: dict[int, Array]) -> Any:
    """Scales and zero points of the channels that stay."""
    if quantization is None:
        return None
    kept = axes.get(int(quantization.quantizedDimension))
    new = copy.copy(quantization)
    for name in ("scale", "zeroPoint", "min", "max"):
        values = getattr(quantization, name)
        if kept is not None and values is not None and len(values) > 1:
            setattr(new, name, np.asarray(values)[kept])
    return new
