# SPDX-License-Identifier: Apache-2.0
"""Sizes of tensors that the file leaves open but its operators compute.

Keras' ``Dense`` on more than two dimensions becomes SHAPE, GATHER, REDUCE_PROD and PACK in front of a RESHAPE wherever
the batch is open; the file then says -1 for every size of what comes out, features included. Working those few whole
numbers through says which sizes are known after all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tfprune.converter.graph import Graph
from tfprune.converter.schema import TensorType, declared_shape

Size = int | None
Sizes = tuple[Size, ...]

_INTEGERS = {TensorType.INT32: np.int32, TensorType.INT64: np.int64}
# The longest chain of operators that is followed, and the most sizes of one tensor; real files have under ten of both.
_DEEPEST, _LONGEST = 64, 64


def known_shape(graph: Graph, subgraph: int, tensor: int, open_size: Size = None) -> Sizes:
    """Shape of a tensor with what can be computed from the operators before it.

    Args:
        graph: the model.
        subgraph: number of the tensor's subgraph.
        tensor: index of the tensor.
        open_size: what a size is that the model leaves open, such as the batch; None leaves it open.

    Returns:
        One entry a dimension; None where the size is open.
    """
    return _Reader(graph, subgraph, open_size).shape(tensor, _DEEPEST)


class _Reader:
    def __init__(self, graph: Graph, subgraph: int, open_size: Size) -> None:
        self._graph = graph
        self._subgraph = subgraph
        self._open = open_size
        self._known: dict[int, Sizes | None] = {}

    def shape(self, index: int, depth: int) -> Sizes:
        shape = declared_shape(self._graph.tensor(self._subgraph, index))
        if min(shape, default=0) >= 0:
            return shape
        declared = tuple(self._open if size < 0 else size for size in shape)
        op = self._graph.writer(self._subgraph, index)
        if op is None or depth == 0 or self._graph.op_name(op) != "RESHAPE" or len(op.inputs) < 2:
            return declared
        computed = self.values(int(op.inputs[1]), depth - 1)
        if computed is None or len(computed) != len(declared):
            return declared
        return tuple(
            known if size is None or size < 0 else size for size, known in zip(computed, declared, strict=True)
        )

    def values(self, index: int, depth: int) -> Sizes | None:
        """The whole numbers of a tensor, in order; None where not even their number is known."""
        if index not in self._known:
            self._known[index] = None  # what a loop of operators finds
            found = self._values(index, depth)
            self._known[index] = None if found is None or len(found) > _LONGEST else found
        return self._known[index]

    def _values(self, index: int, depth: int) -> Sizes | None:
        tensor = self._graph.tensor(self._subgraph, index)
        kind = _INTEGERS.get(tensor.type)
        if kind is None:
            return None
        constant = self._graph.constant(tensor, kind)
        if constant is not None:
            return tuple(int(value) for value in constant.reshape(-1)[: _LONGEST + 1])
        op = self._graph.writer(self._subgraph, index)
        rule = None if op is None else _RULES.get(self._graph.op_name(op))
        return None if rule is None or depth == 0 else rule(self, op, depth - 1)

    def operand(self, op: Any, place: int, depth: int) -> Sizes | None:
        return self.values(int(op.inputs[place]), depth) if place < len(op.inputs) and op.inputs[place] >= 0 else None

    def of_shape(self, op: Any, depth: int) -> Sizes | None:
        return self.shape(int(op.inputs[0]), depth)

    def of_gather(self, op: Any, depth: int) -> Sizes | None:
        data, places = self.operand(op, 0, depth), self.operand(op, 1, depth)
        options = op.builtinOptions
        if data is None or places is None or options is None or options.axis or options.batchDims:
            return None
        if any(place is None or not 0 <= place < len(data) for place in places):
            return None
        return tuple(data[place] for place in places if place is not None)

    def of_reduce_prod(self, op: Any, depth: int) -> Sizes | None:
        data = self.operand(op, 0, depth)
        # Only vectors are products of sizes, and only over their one axis.
        one = len(self._graph.shape(self._graph.tensor(self._subgraph, int(op.inputs[0])))) == 1
        if data is None or not one or self.operand(op, 1, depth) not in ((0,), (-1,)):
            return None
        return (_product(data),)

    def of_joined(self, op: Any, depth: int) -> Sizes | None:
        if op.builtinOptions is None or op.builtinOptions.axis:
            return None
        parts = [self.operand(op, place, depth) for place in range(len(op.inputs))]
        return None if None in parts else tuple(size for part in parts if part is not None for size in part)

    def of_strided_slice(self, op: Any, depth: int) -> Sizes | None:
        data = self.operand(op, 0, depth)
        bounds = [self.operand(op, place, depth) for place in (1, 2, 3)]
        options = op.builtinOptions
        if data is None or options is None or options.ellipsisMask or options.newAxisMask or options.offset:
            return None
        if any(bound is None or len(bound) != 1 or bound[0] is None for bound in bounds):
            return None
        begin, end, step = (bound[0] for bound in bounds if bound is not None)
        if options.shrinkAxisMask:
            return (data[begin],) if begin is not None and -len(data) <= begin < len(data) else None
        return data[None if options.beginMask else begin : None if options.endMask else end : step or 1]

    def of_same(self, op: Any, depth: int) -> Sizes | None:
        return self.operand(op, 0, depth)


def _product(sizes: Sizes) -> Size:
    result = 1
    for size in sizes:
        if size is None:
            return None
        result *= size
    return result


_RULES: dict[str, Callable[[_Reader, Any, int], Sizes | None]] = {
    "SHAPE": _Reader.of_shape,
    "GATHER": _Reader.of_gather,
    "REDUCE_PROD": _Reader.of_reduce_prod,
    "PACK": _Reader.of_joined,
    "CONCATENATION": _Reader.of_joined,
    "STRIDED_SLICE": _Reader.of_strided_slice,
    "CAST": _Reader.of_same,
    "EXPAND_DIMS": _Reader.of_same,
    "RESHAPE": _Reader.of_same,
    "SQUEEZE": _Reader.of_same,
}
