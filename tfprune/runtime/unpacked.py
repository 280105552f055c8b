# SPDX-License-Identifier: Apache-2.0
"""A ``.tflite`` file as an object tree in which every number that refers to something refers to what is there."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from tfprune.errors import ModelError
from tfprune.runtime.structure import Structure, check_structure

_ABSENT = -1
_SCHEMA_VERSION = 3


def unpack(data: bytes, subject: str) -> tuple[Any, Structure]:
    """Unpacks a file into a ``ModelT``; lists that the file leaves out and others refer into are empty ones.

    Args:
        data: the whole file; never changed, and seen by the model's arrays.
        subject: what the file is, for messages.

    Returns:
        The model, and what the check of its structure found.

    Raises:
        ModelError: not a TFLite file, cut off or corrupt.
    """
    structure = check_structure(data, subject)
    # Imported here and by name: it takes a while to load and has no type information.
    tfl: Any = importlib.import_module("ai_edge_litert.schema_py_generated")
    try:
        model = tfl.ModelT.InitFromPackedBuf(data, 0)
    # The generated reader raises whatever the corrupt bytes lead to (struct.error, ValueError, MemoryError, ...).
    except Exception as error:
        raise ModelError(f"{subject}: not a readable .tflite file: {type(error).__name__}: {error}") from error
    if model.version != _SCHEMA_VERSION:
        raise ModelError(
            f"{subject}: LiteRT runs files of schema version {_SCHEMA_VERSION}, got {model.version}; write the model "
            "again"
        )
    _fill_lists(model)
    if not model.subgraphs:
        raise ModelError(f"{subject}: a .tflite file has at least one subgraph, got none")
    for where, indices, count, lowest in _references(model):
        for index in indices:
            if not lowest <= index < count:
                raise ModelError(f"{subject}: {where} refers to item {index} of {count}; the file is corrupt")
    _check_order(model, subject)
    return model, structure


def check_signatures(model: Any, subject: str) -> None:
    """Checks what LiteRT's runners take for granted: no signature leaves out what its subgraph reads.

    Args:
        model: the result of :func:`unpack`.
        subject: what the file is, for messages.

    Raises:
        ModelError: a signature lacks an input of its subgraph, or has a name twice or none.
    """
    for signature in model.signatureDefs:
        _check_signature(signature, model.subgraphs[signature.subgraphIndex], subject)


def _check_order(model: Any, subject: str) -> None:
    """Refuses operators that read what nothing has written when they run."""
    for number, graph in enumerate(model.subgraphs):
        known = {int(index) for index in graph.inputs}
        known |= {index for index, tensor in enumerate(graph.tensors) if _has_value(model, tensor)}
        for index, op in enumerate(graph.operators):
            missing = {int(each) for each in op.inputs} - known - {_ABSENT}
            if missing:
                raise ModelError(
                    f"{subject}: operator {index} of subgraph {number} reads tensor {min(missing)}, which nothing has "
                    "written; the file is corrupt"
                )
            known |= {int(each) for each in op.outputs}


def _check_signature(signature: Any, graph: Any, subject: str) -> None:
    for what, entries, tensors in (
        ("input", signature.inputs or [], graph.inputs),
        ("output", signature.outputs or [], []),
    ):
        names = [entry.name for entry in entries]
        numbers = {int(entry.tensorIndex) for entry in entries}
        if None in names or len(set(names)) < len(names) or not numbers.issuperset(map(int, tensors)):
            raise ModelError(
                f"{subject}: a signature must name every {what} of its subgraph {signature.subgraphIndex}, each by "
                "another name; the file is corrupt"
            )


def _has_value(model: Any, tensor: Any) -> bool:
    buffer = model.buffers[tensor.buffer]
    # Buffer 0 stands for no buffer, whatever it holds.
    filled = tensor.buffer and (len(buffer.data) if buffer.data is not None else buffer.offset > 1)
    empty = tensor.shape is not None and len(tensor.shape) > 0 and not np.all(tensor.shape)
    return bool(filled or empty or tensor.isVariable or tensor.externalBuffer)


def _fill_lists(model: Any) -> None:
    for name in ("operatorCodes", "subgraphs", "buffers", "metadata", "signatureDefs"):
        setattr(model, name, getattr(model, name) or [])
    for graph in model.subgraphs:
        graph.tensors, graph.operators = graph.tensors or [], graph.operators or []
        graph.inputs, graph.outputs = _indices(graph.inputs), _indices(graph.outputs)
        for op in graph.operators:
            op.inputs, op.outputs = _indices(op.inputs), _indices(op.outputs)


def _references(model: Any) -> Iterator[tuple[str, Iterable[int], int, int]]:
    """Who refers to what: name, numbers, how many there are, and the least number allowed."""
    buffers = len(model.buffers)
    for number, graph in enumerate(model.subgraphs):
        count = len(graph.tensors)
        yield f"subgraph {number}", graph.inputs, count, 0
        yield f"subgraph {number}", graph.outputs, count, 0
        yield f"a tensor of subgraph {number}", (tensor.buffer for tensor in graph.tensors), buffers, 0
        for index, op in enumerate(graph.operators):
            where = f"operator {index} of subgraph {number}"
            yield where, [op.opcodeIndex], len(model.operatorCodes), 0
            for indices in (op.inputs, op.outputs, _indices(op.intermediates)):
                yield where, indices, count, _ABSENT
    yield "metadata", (entry.buffer for entry in model.metadata), buffers, 0
    yield "metadata", _indices(model.metadataBuffer), buffers, 0
    for signature in model.signatureDefs:
        yield "a signature", [signature.subgraphIndex], len(model.subgraphs), 0
        # Only a number that was found in order is looked up.
        tensors = len(model.subgraphs[signature.subgraphIndex].tensors)
        for entries in (signature.inputs, signature.outputs):
            yield "a signature", (entry.tensorIndex for entry in entries or []), tensors, 0


def _indices(values: Any) -> Any:
    return np.zeros(0, np.int32) if values is None else values
