# SPDX-License-Identifier: Apache-2.0
"""Which neighbouring operators the delegate runs as one chain on planar images, as its partition decides.

The twin of ``tflite_ops/delegate/partition.cc``, on the dense file and a set of layers that are sparse; a test compares
both. Gains are counted in moves of a value into or out of planar form.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence, Set
from typing import Any

import numpy as np

from tfprune.converter.capability import Layer
from tfprune.converter.graph import Graph
from tfprune.converter.schema import tfl
from tfprune.costs.chains import ChainedOp

#: The constants of ``tflite_ops/delegate/chain_costs.h``.
MOVE, FILL_PLANES, PAD_THERE = 1.0, 0.5, 5.0
TAP_GAIN, ADD_GAIN = 0.50 - 0.33, 1.3 - 0.8
_ACTIVATIONS = (0, 1, 2, 3)  # none, RELU, RELU_N1_TO_1, RELU6
_KINDS = {
    "DEPTHWISE_CONV_2D": "depthwise",
    "ADD": "add",
    "AVERAGE_POOL_2D": "pool",
    "MAX_POOL_2D": "pool",
    "MEAN": "mean",
    "PAD": "pad",
    "DEQUANTIZE": "widening",
}
_NOWHERE = -1
Place = tuple[int, int]


@dataclasses.dataclass
class PlanarNode:
    """An operator that a chain can hold.

    Attributes:
        place: subgraph and number.
        kind: ``"conv"``, ``"depthwise"``, ``"add"``, ``"pool"``, ``"mean"``, ``"pad"``, ``"widening"`` of a constant.
        values_in: values of its first input.
        values_out: values of its output.
        taps: positions of its window.
        window: whether it has more than one, or strides.
        strided: whether it has strides.
        writers: places in the file of the operators that write its inputs; -1 for none.
        readers: places of those that read its output.
        image: height, width and channels of its first input.
    """

    place: Place
    kind: str
    values_in: int = 0
    values_out: int = 0
    taps: int = 1
    window: bool = False
    strided: bool = False
    writers: tuple[int, ...] = ()
    readers: tuple[int, ...] = ()
    image: tuple[int, int, int] = (1, 1, 1)


def chained_op(node: PlanarNode) -> ChainedOp:
    """A node as cost tables see it; what a chain folds into others costs nothing."""
    rows, _, channels = node.image
    kernel = math.isqrt(max(1, node.taps))
    return ChainedOp(node.kind, rows, node.values_in, node.values_out, channels, kernel, node.window, node.strided)


@dataclasses.dataclass(frozen=True)
class Chain:
    """Neighbouring operators that run as one.

    Attributes:
        nodes: in the order of the file.
        entering: values that are brought into planar form for it.
        leaving: values that are brought back.
    """

    nodes: tuple[PlanarNode, ...]
    entering: int
    leaving: int


class PlanarGraph:
    """A file whose operators could run planar."""

    def __init__(self, graph: Graph, layers: Sequence[Layer]) -> None:
        """Reads the file once.

        Args:
            graph: the dense file.
            layers: its layers.
        """
        self._runs: list[list[PlanarNode | None]] = []
        # An expanded layer, such as a depthwise one, is a sparse convolution only once it is converted.
        convolutions = {(each.subgraph, each.index): each for each in layers if each.planar and each.expand is None}
        for subgraph, described in enumerate(graph.model.subgraphs):
            writers, readers = _uses(described.operators)
            nodes = []
            for index, op in enumerate(described.operators):
                node = _read(graph, subgraph, index, op, convolutions)
                if node is not None:
                    output = int(op.outputs[0])
                    node.writers = tuple(
                        writers.get(int(tensor), _NOWHERE) for tensor in op.inputs[: 2 if node.kind == "add" else 1]
                    )
                    node.readers = tuple(readers.get(output, ()))
                    if output in described.outputs:
                        # Somebody outside reads it, behind everything.
                        node.readers = (*node.readers, len(described.operators))
                nodes.append(node)
            self._runs.append(nodes)

    def chains(self, sparse: Set[Place]) -> Iterator[Chain]:
        """The chains of a file in which these layers are sparse.

        Args:
            sparse: places of the convolutions that are sparse.
        """
        for every in self._runs:
            nodes = [
                None if node is not None and node.kind == "conv" and node.place not in sparse else node
                for node in every
            ]
            place = 0
            while place < len(nodes):
                first, end = place, place
                while end < len(nodes) and nodes[end] is not None:
                    end += 1
                if end == first:
                    place += 1
                    continue
                while end > first and not _fits(nodes, first, end):
                    end -= 1
                place = end if end > first else first + 1
                if end > first:
                    gain, first, end = _trimmed(nodes, first, end)
                    if gain > 0:
                        yield _chain(nodes, first, end)


def _uses(operators: Sequence[Any]) -> tuple[dict[int, int], dict[int, list[int]]]:
    """The writer and the readers of each tensor, as numbers of operators."""
    writers: dict[int, int] = {}
    readers: dict[int, list[int]] = {}
    for index, op in enumerate(operators):
        writers.update(dict.fromkeys(map(int, op.outputs), index))
        for tensor in dict.fromkeys(map(int, op.inputs)):
            readers.setdefault(tensor, []).append(index)
    return writers, readers


def _read(graph: Graph, subgraph: int, index: int, op: Any, convolutions: dict[Place, Layer]) -> PlanarNode | None:
    place = (subgraph, index)
    kind = "conv" if place in convolutions else None if graph.is_custom(op) else _KINDS.get(graph.op_name(op))
    if kind is None or len(op.outputs) != 1 or not len(op.inputs) or int(op.inputs[0]) < 0:
        return None
    x, y = graph.tensor(subgraph, int(op.inputs[0])), graph.tensor(subgraph, int(op.outputs[0]))
    if kind == "widening":
        return PlanarNode(place, kind) if graph.raw(x) is not None else None
    shape = graph.shape(x)
    if x.type != tfl.TensorType.FLOAT32 or y.type != tfl.TensorType.FLOAT32 or len(shape) != 4:
        return None
    node = PlanarNode(
        place,
        kind,
        values_in=math.prod(max(1, size) for size in shape),
        values_out=math.prod(max(1, size) for size in graph.shape(y)),
        image=(shape[1], shape[2], shape[3]),
    )
    return node if _known(graph, subgraph, op, node, convolutions.get(place)) else None


def _known(graph: Graph, subgraph: int, op: Any, node: PlanarNode, layer: Layer | None) -> bool:
    """Fills in the window, and says whether the delegate knows all of the operator."""
    options = op.builtinOptions
    if node.kind == "conv":
        assert layer is not None
        node.taps = layer.spec.kernel_h * layer.spec.kernel_w
        node.strided = layer.spec.stride_h * layer.spec.stride_w > 1
        node.window = node.taps > 1 or node.strided
        return layer.numbers.quantization is None
    if node.kind == "mean":
        axes = graph.constant(graph.tensor(subgraph, int(op.inputs[1])), np.int32)
        return axes is not None and sorted(int(axis) % 4 for axis in axes.reshape(-1)) == [1, 2]
    if node.kind == "pad":
        pads = graph.constant(graph.tensor(subgraph, int(op.inputs[1])), np.int32)
        return pads is not None and pads.size == 8 and not pads.reshape(4, 2)[[0, 3]].any()
    if options.fusedActivationFunction not in _ACTIVATIONS:
        return False
    if node.kind == "add":
        both = [graph.tensor(subgraph, int(tensor)) for tensor in op.inputs]
        return graph.shape(both[0]) == graph.shape(both[1]) and all(graph.raw(each) is None for each in both)
    if node.kind == "depthwise":
        weights = graph.shape(graph.tensor(subgraph, int(op.inputs[1])))
        node.taps = weights[1] * weights[2]
        node.strided = options.strideH * options.strideW > 1
        node.window = node.taps > 1 or node.strided
        return weights[3] % node.image[2] == 0
    node.taps = options.filterHeight * options.filterWidth
    return True


def _fits(nodes: Sequence[PlanarNode | None], first: int, end: int) -> bool:
    """A PAD is folded into the one layer behind it; nothing in a chain reads a mean; widened constants do not leave."""
    for node in nodes[first:end]:
        assert node is not None
        last = max(node.readers, default=_NOWHERE)
        if node.kind == "widening" and not 0 <= last < end:
            return False
        if node.kind == "mean" and node.readers and min(node.readers) < end:
            return False
        if node.kind == "pad":
            reader = nodes[last] if len(node.readers) == 1 and last < end else None
            if reader is None or reader.kind not in ("conv", "depthwise") or not reader.window:
                return False
    return True


def _gain(nodes: Sequence[PlanarNode | None], first: int, end: int) -> float:
    """What a chain of [first, end) is predicted to save, in moves; minus infinity where it cannot be one."""
    if end - first < 2 or not _fits(nodes, first, end):
        return -math.inf
    gain, sparse = 0.0, False
    for node in nodes[first:end]:
        assert node is not None
        if node.kind == "widening":
            continue
        entering, leaving = _moved(node, nodes, first, end)
        gain -= MOVE * (entering + leaving)
        if node.kind == "pad":
            gain += PAD_THERE * node.values_out
        elif node.kind == "conv":
            sparse = True
            gain += MOVE * (node.values_in + node.values_out)
            gain -= FILL_PLANES * node.values_in * node.window
        elif node.kind == "add":
            gain += ADD_GAIN * node.values_out
        elif node.kind != "mean":
            gain += TAP_GAIN * node.taps * node.values_out
    return gain if sparse else -math.inf


def _moved(node: PlanarNode, nodes: Sequence[PlanarNode | None], first: int, end: int) -> tuple[int, int]:
    """Values that enter the chain for a node, and those that leave it."""
    entering = sum(node.values_in for writer in node.writers if not first <= writer < end)
    outside = not node.readers or max(node.readers) >= end
    return entering, node.values_out if outside else 0


def _trimmed(nodes: Sequence[PlanarNode | None], first: int, end: int) -> tuple[float, int, int]:
    """Drops nodes from both ends as long as that saves more."""
    best, best_first, best_end = _gain(nodes, first, end), first, end
    for begin in range(first, end):
        gain = _gain(nodes, begin, end)
        if gain > best:
            best, best_first = gain, begin
    for stop in range(end, best_first, -1):
        gain = _gain(nodes, best_first, stop)
        if gain > best:
            best, best_end = gain, stop
    return best, best_first, best_end


def _chain(nodes: Sequence[PlanarNode | None], first: int, end: int) -> Chain:
    found = tuple(node for node in nodes[first:end] if node is not None)
    moved = [_moved(node, nodes, first, end) for node in found if node.kind != "widening"]
    return Chain(found, sum(entering for entering, _ in moved), sum(leaving for _, leaving in moved))
