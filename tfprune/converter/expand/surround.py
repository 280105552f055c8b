# SPDX-License-Identifier: Apache-2.0
"""Steps round a sparse op as operators of a file, and as costs for the predictor."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from tfprune.converter.expand.steps import Crop, DepthToSpace, DepthWindows, Pad, Reshape, Shape, Step, Transpose
from tfprune.converter.graph import Graph
from tfprune.converter.schema import BuiltinOperator, TensorType, text, tfl
from tfprune.costs import StockOp

_BuiltinOptions = tfl.BuiltinOptions
# Versions of the operators as of int8 tensors; float32 ones run under any lower one.
_VERSIONS = {"PAD": 2, "RESHAPE": 1, "TRANSPOSE": 2, "SLICE": 2, "DEPTH_TO_SPACE": 1, "STRIDED_SLICE": 2}
_CONCATENATION_VERSION = 2
_DEPTH_AXIS, _CHANNEL_AXIS = 1, 4
#: What the name of a sparse op's own output adds to that of the layer.
SPARSE_OUTPUT = "/sparse"


@dataclasses.dataclass(frozen=True)
class _Call:
    """A builtin operator on one activation, with int32 constants as its other inputs."""

    name: str
    options: Any
    constants: tuple[Any, ...]


@dataclasses.dataclass(frozen=True)
class Surround:
    """Stock ops before and after the sparse op of a layer.

    Attributes:
        subgraph: number of the layer's subgraph.
        before: from the dense operator's input to the sparse op's.
        after: from the sparse op's output to the dense operator's.
        output: shape of the sparse op's output.
    """

    subgraph: int
    before: tuple[Step, ...]
    after: tuple[Step, ...]
    output: Shape

    def __call__(self, graph: Graph, op: Any) -> list[Any]:
        """Puts the ops round ``op``, which is the sparse op already; all operators that take its place, in order."""
        result = int(op.outputs[0])
        like = graph.tensor(self.subgraph, result)
        dynamic = like.shapeSignature is not None and len(like.shapeSignature) and like.shapeSignature[0] == -1
        writer = _Writer(graph, self.subgraph, f"{text(like.name)}/", bool(dynamic))
        source = int(op.inputs[0])
        for step in self.before:
            source = writer.step(step, source)
        graph.set_inputs(self.subgraph, op, [source, *map(int, op.inputs[1:])])
        before, writer.operators = writer.operators, []
        if self.after:
            source = writer.activation(SPARSE_OUTPUT[1:], like, self.output)
            op.outputs = np.array([source], np.int32)
            for step in self.after[:-1]:
                source = writer.step(step, source)
            writer.step(self.after[-1], source, result)
        return [*before, op, *writer.operators]


class _Writer:
    """Appends operators and the tensors between them."""

    def __init__(self, graph: Graph, subgraph: int, prefix: str, dynamic: bool) -> None:
        self.operators: list[Any] = []
        self._graph = graph
        self._subgraph = subgraph
        self._prefix = prefix
        self._dynamic = dynamic

    def activation(self, name: str, like: Any, shape: Shape) -> int:
        """A new tensor that an operator writes."""
        index = self._graph.add_activation(self._subgraph, self._prefix + name, like, shape)
        if self._dynamic:
            self._graph.tensor(self._subgraph, index).shapeSignature = np.array([-1, *shape[1:]], np.int32)
        return index

    def step(self, step: Step, source: int, result: int | None = None) -> int:
        """Writes a step and returns the tensor that holds its result."""
        like = self._graph.tensor(self._subgraph, source)
        shape = step.shape(self._graph.shape(like))
        if isinstance(step, DepthWindows):
            parts = [self._call(call, source, None, part) for call, part in _slices(step, shape)]
            return parts[0] if len(parts) == 1 else self._concatenate(parts, like, shape)
        return self._call(_call(step), source, result, shape)

    def _call(self, call: _Call, source: int, result: int | None, shape: Shape) -> int:
        name = call.name.lower()
        if result is None:
            result = self.activation(name, self._graph.tensor(self._subgraph, source), shape)
        constants = [
            self._constant(f"{name}/{place}", np.asarray(c, np.int32)) for place, c in enumerate(call.constants)
        ]
        self._append(call.name, _VERSIONS[call.name], call.options, [source, *constants], result)
        return result

    def _concatenate(self, parts: list[int], like: Any, shape: Shape) -> int:
        options = tfl.ConcatenationOptionsT()
        options.axis = _CHANNEL_AXIS
        result = self.activation("concatenation", like, shape)
        self._append("CONCATENATION", _CONCATENATION_VERSION, options, parts, result)
        return result

    def _append(self, name: str, version: int, options: Any, inputs: list[int], result: int) -> None:
        kind = getattr(_BuiltinOptions, type(options).__name__[:-1])
        number = getattr(BuiltinOperator, name)
        self.operators.append(self._graph.new_builtin(number, version, kind, options, inputs, [result]))

    def _constant(self, name: str, values: Any) -> int:
        data = np.frombuffer(values.tobytes(), np.uint8)
        return self._graph.add_constant(self._subgraph, self._prefix + name, TensorType.INT32, values.shape, data)


@functools.singledispatch
def _call(step: Step) -> _Call:
    raise TypeError(f"no operator for {type(step).__name__}")


@_call.register
def _(step: Pad) -> _Call:
    return _Call("PAD", tfl.PadOptionsT(), (step.amounts,))


@_call.register
def _(step: Reshape) -> _Call:
    options = tfl.ReshapeOptionsT()
    options.newShape = np.array(step.sizes, np.int32)
    return _Call("RESHAPE", options, (step.sizes,))


@_call.register
def _(step: Transpose) -> _Call:
    return _Call("TRANSPOSE", tfl.TransposeOptionsT(), (step.axes,))


@_call.register
def _(step: Crop) -> _Call:
    return _Call("SLICE", tfl.SliceOptionsT(), ([0] * len(step.sizes), step.sizes))


@_call.register
def _(step: DepthToSpace) -> _Call:
    options = tfl.DepthToSpaceOptionsT()
    options.blockSize = step.block
    return _Call("DEPTH_TO_SPACE", options, ())


def _slices(step: DepthWindows, shape: Shape) -> Iterator[tuple[_Call, Shape]]:
    """One strided slice along the depth for each tap, and its shape."""
    for first, end in step.ranges:
        options = tfl.StridedSliceOptionsT()
        # All of every other axis, whatever its size.
        options.beginMask = options.endMask = 0b11111 ^ (1 << _DEPTH_AXIS)
        along = [(0, 0, 1)] * len(shape)
        along[_DEPTH_AXIS] = (first, end, step.stride)
        yield _Call("STRIDED_SLICE", options, tuple(zip(*along, strict=True))), (*shape[:-1], shape[-1] // step.taps)


# What moving values is priced as.
_COSTS = {Pad: "pad", Transpose: "transpose", Crop: "pad", DepthToSpace: "depth_to_space"}


def layout_costs(steps: tuple[Step, ...], shape: Shape) -> tuple[StockOp, ...]:
    """Stock ops for the predictor of steps on an input of ``shape``; a reshape costs nothing."""
    found = []
    for step in steps:
        shape = step.shape(shape)
        values = math.prod(shape)
        if isinstance(step, DepthWindows):
            # Each value is written by its slice, and again where several lie side by side.
            found.append(StockOp("concatenation", 0, values * (2 if step.taps > 1 else 1)))
        elif not isinstance(step, Reshape):
            found.append(StockOp(_COSTS[type(step)], 0, values))
    return tuple(found)
