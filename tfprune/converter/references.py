# SPDX-License-Identifier: Apache-2.0
"""What in a model refers to tensors, buffers and operator codes by their number, and dropping those without a user."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt


def tensor_users(model: Any, subgraph: int) -> Counter[int]:
    """How often operators, the subgraph's inputs and outputs and signatures refer to each tensor of a subgraph."""
    graph = model.subgraphs[subgraph]
    users: Counter[int] = Counter()
    users.update(map(int, graph.inputs))
    users.update(map(int, graph.outputs))
    for op in graph.operators:
        for indices in (op.inputs, op.outputs, op.intermediates):
            users.update(map(int, [] if indices is None else indices))
    users.update(int(entry.tensorIndex) for entry in _signature_entries(model, subgraph))
    return users


def buffer_users(model: Any) -> Counter[int]:
    """How often tensors and metadata refer to each buffer."""
    users: Counter[int] = Counter()
    for graph in model.subgraphs:
        users.update(int(tensor.buffer) for tensor in graph.tensors)
    users.update(metadata_buffers(model))
    return users


def metadata_buffers(model: Any) -> Iterator[int]:
    """Buffers that metadata refer to, by the present field and the old one."""
    yield from (int(entry.buffer) for entry in model.metadata or [])
    yield from map(int, [] if model.metadataBuffer is None else model.metadataBuffer)


class Unreferenced:
    """What nothing in a file refers to when it is read: it stays, as only its author knows what it is for."""

    def __init__(self, model: Any) -> None:
        """Looks through a model whose indices were checked."""
        self._kept: list[Any] = []
        for number, graph in enumerate(model.subgraphs):
            users = tensor_users(model, number)
            self._kept += [tensor for index, tensor in enumerate(graph.tensors) if not users[index]]
        users = buffer_users(model)
        # Buffer 0 is the empty one by convention.
        self._kept += [buffer for index, buffer in enumerate(model.buffers) if not users[index] or not index]
        codes = _used_codes(model)
        self._kept += [code for index, code in enumerate(model.operatorCodes) if index not in codes]
        self._ids = {id(item) for item in self._kept}

    def drop_others(self, model: Any) -> None:
        """Drops tensors, buffers and operator codes that have lost their users, and numbers the rest anew.

        Subgraphs, to whose numbers control flow refers, and operators are never dropped here.
        """
        for number, graph in enumerate(model.subgraphs):
            graph.tensors, new = self._keep(graph.tensors, tensor_users(model, number))
            graph.inputs, graph.outputs = new[graph.inputs], new[graph.outputs]
            for op in graph.operators:
                op.inputs, op.outputs = new[op.inputs], new[op.outputs]
                op.intermediates = None if op.intermediates is None else new[op.intermediates]
            for entry in _signature_entries(model, number):
                entry.tensorIndex = int(new[entry.tensorIndex])
        self._drop_buffers(model)
        model.operatorCodes, new = self._keep(model.operatorCodes, _used_codes(model))
        for graph in model.subgraphs:
            for op in graph.operators:
                op.opcodeIndex = int(new[op.opcodeIndex])

    def _drop_buffers(self, model: Any) -> None:
        model.buffers, new = self._keep(model.buffers, buffer_users(model))
        for graph in model.subgraphs:
            for tensor in graph.tensors:
                tensor.buffer = int(new[tensor.buffer])
        for entry in model.metadata or []:
            entry.buffer = int(new[entry.buffer])
        if model.metadataBuffer is not None:
            model.metadataBuffer = new[model.metadataBuffer]

    def _keep(self, items: list[Any], users: Iterable[int]) -> tuple[list[Any], npt.NDArray[np.int32]]:
        """The items with a user, and the new number of each old one; -1, which says "left out", stays."""
        used = set(users)
        kept = [index for index, item in enumerate(items) if index in used or id(item) in self._ids]
        new = np.full(len(items) + 1, -1, np.int32)
        new[kept] = np.arange(len(kept))
        return [items[index] for index in kept], new


def _used_codes(model: Any) -> set[int]:
    return {int(op.opcodeIndex) for graph in model.subgraphs for op in graph.operators}


def _signature_entries(model: Any, subgraph: int) -> Iterator[Any]:
    for signature in model.signatureDefs or []:
        if signature.subgraphIndex == subgraph:
            yield from [*(signature.inputs or []), *(signature.outputs or [])]
