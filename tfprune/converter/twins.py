# SPDX-License-Identifier: Apache-2.0
"""Tensors of a dense model and the same ones of its sparse twin, and files in which they are outputs.

What a delegate computes between its first and last operator can be seen only where it is an output of the graph, so
files are written in which the wanted tensors are.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from tfprune.converter.graph import Graph
from tfprune.converter.schema import TensorType, text, tfl, write_model

#: Key of the one signature of a file whose outputs are tensors from inside.
SIGNATURE = "tfprune_tensors"
_UNREADABLE = {
    number
    for number in (getattr(TensorType, name, None) for name in ("STRING", "RESOURCE", "VARIANT", "INT4", "BFLOAT16"))
    if number is not None
}
# What they say of a tensor other than its values differs where channels are cut, and so does all that follows from it.
_SHAPE_READERS = ("RANK", "SHAPE")
_TYPE_BYTES = {TensorType.FLOAT64: 8, TensorType.INT64: 8, TensorType.UINT64: 8, TensorType.COMPLEX64: 8}


@dataclasses.dataclass(frozen=True)
class Written:
    """A tensor that an operator computes from the model's inputs.

    Attributes:
        tensor: its index.
        name: its name.
        index: the operator's place in the subgraph.
        op: name of the operator.
    """

    tensor: int
    name: str
    index: int
    op: str


@dataclasses.dataclass(frozen=True)
class Twin:
    """A tensor and its twin.

    Attributes:
        dense: the tensor in the dense model.
        sparse: the tensor in the sparse model.
        size: bytes of the tensor in the shape of the file.
    """

    dense: Written
    sparse: Written
    size: int


def signature_subgraph(graph: Graph, signature: str) -> int:
    """Number of the subgraph that a signature runs; 0 for a file without signatures."""
    found = (entry for entry in graph.model.signatureDefs or [] if text(entry.signatureKey) == signature)
    return next((int(entry.subgraphIndex) for entry in found), 0)


def match(dense: Graph, sparse: Graph, subgraphs: tuple[int, int]) -> tuple[list[Twin], list[str]]:
    """Pairs what operators write, by name; of several tensors of one name by their order.

    Args:
        dense: the dense model.
        sparse: the sparse one.
        subgraphs: number of the subgraph in each.

    Returns:
        The pairs in the order of the dense model, and the names without a twin of the same type and shape. Tensors
        that depend on constants alone are left out: a sparse file may hold those in another form. So are those that
        depend on shapes alone: they differ where channels were cut.
    """
    wanted = list(_written(dense, subgraphs[0]))
    names = _by_name(wanted), _by_name(_written(sparse, subgraphs[1]))
    others: dict[int, Written] = {}
    for name, same in names[0].items():
        # With more or fewer of a name nobody can say which is which.
        if len(same) == len(names[1].get(name, ())):
            others.update((each.tensor, other) for each, other in zip(same, names[1][name], strict=True))
    twins, unmatched = [], []
    for written in wanted:
        other = others.get(written.tensor)
        tensor = dense.tensor(subgraphs[0], written.tensor)
        if other is None or not _alike(dense, tensor, sparse, sparse.tensor(subgraphs[1], other.tensor)):
            unmatched.append(written.name)
        else:
            twins.append(Twin(written, other, _size(dense, tensor)))
    return twins, unmatched


def _by_name(tensors: Iterable[Written]) -> dict[str, list[Written]]:
    found: dict[str, list[Written]] = defaultdict(list)
    for tensor in tensors:
        found[tensor.name].append(tensor)
    return found


def with_outputs(graph: Graph, subgraph: int, inputs: Sequence[tuple[str, int]], tensors: Sequence[int]) -> bytes:
    """A file whose one signature, :data:`SIGNATURE`, gives ``tensors`` under the names ``"0"``, ``"1"``, ...

    Args:
        graph: the model; it is the same afterwards.
        subgraph: number of the subgraph that holds the tensors.
        inputs: name and tensor index of the subgraph's inputs.
        tensors: tensor indices.

    Raises:
        ConversionError: the file would reach 2 GiB.
    """
    model = graph.model
    part = model.subgraphs[subgraph]
    before = part.outputs, model.signatureDefs
    signature = tfl.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = SIGNATURE, subgraph
    signature.inputs = [_entry(name, index) for name, index in inputs]
    signature.outputs = [_entry(str(place), index) for place, index in enumerate(tensors)]
    try:
        part.outputs = np.array(list(dict.fromkeys([*map(int, part.outputs), *tensors])), np.int32)
        model.signatureDefs = [signature]
        return write_model(model)
    finally:
        part.outputs, model.signatureDefs = before


def portions(twins: Sequence[Twin], factor: int, most_bytes: int) -> Iterator[list[Twin]]:
    """Cuts ``twins`` into runs whose tensors, ``factor`` times the file's size, take at most ``most_bytes``.

    A tensor that is larger on its own makes a run of its own.
    """
    portion: list[Twin] = []
    size = 0
    for twin in twins:
        if portion and size + factor * twin.size > most_bytes:
            yield portion
            portion, size = [], 0
        portion.append(twin)
        size += factor * twin.size
    if portion:
        yield portion


def _written(graph: Graph, subgraph: int) -> Iterator[Written]:
    part = graph.model.subgraphs[subgraph]
    varying = {int(index) for index in part.inputs}
    for index, op in enumerate(part.operators):
        outputs = [int(output) for output in op.outputs if output >= 0]
        if graph.op_name(op) in _SHAPE_READERS:
            continue
        inputs = [int(each) for each in op.inputs if each >= 0]
        # An operator without inputs reads a variable or makes random numbers.
        if inputs and not any(each in varying or graph.tensor(subgraph, each).isVariable for each in inputs):
            continue
        varying.update(outputs)
        for output in outputs:
            tensor = graph.tensor(subgraph, output)
            if tensor.type not in _UNREADABLE:
                yield Written(output, text(tensor.name), index, graph.op_name(op))


def _alike(dense: Graph, left: Any, sparse: Graph, right: Any) -> bool:
    return bool(left.type == right.type) and dense.shape(left) == sparse.shape(right)


def _size(graph: Graph, tensor: Any) -> int:
    """Bytes in the file's shape, with 4 for every type that is not larger."""
    return int(np.prod([max(1, size) for size in graph.shape(tensor)], dtype=object)) * _TYPE_BYTES.get(tensor.type, 4)


def _entry(name: str, index: int) -> Any:
    entry = tfl.TensorMapT()
    entry.name, entry.tensorIndex = name, index
    return entry
