# SPDX-License-Identifier: Apache-2.0
"""The same op several times in one file: what an op costs inside a network, without the call of a model."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np

from tfprune.converter.schema import read_model, write_model

#: Ops of a file in a row, beside that of a single one.
ROW = 9
#: Of ops side by side: each has an output of its own, and many would wash each other out of the caches.
SIDE_BY_SIDE = 3


def row_length(given: Sequence[int], made: Sequence[int]) -> int:
    """How many ops a row has, by the shapes of an op's input and output."""
    return ROW if list(given) == list(made) else SIDE_BY_SIDE


def in_a_row(content: bytes) -> bytes:
    """The model of one op with :func:`row_length` of it.

    Where output and input are alike, each reads what the one before wrote, as in a network. Else all read the input,
    and each output is one of the model's.

    Args:
        content: a file of one op with one input and one output.
    """
    model, _ = read_model(content)
    (graph,), (op,) = model.subgraphs, model.subgraphs[0].operators
    first, last = int(graph.inputs[0]), int(op.outputs[0])
    count = row_length(graph.tensors[first].shape, graph.tensors[last].shape)
    for place in range(1, count):
        tensor, again = copy.deepcopy(graph.tensors[last]), copy.copy(op)
        tensor.name = f"output{place}".encode()
        graph.tensors.append(tensor)
        again.inputs, again.outputs = op.inputs.copy(), op.outputs.copy()
        again.outputs[0] = len(graph.tensors) - 1
        if count == ROW:
            # Only the first time: the sum of a tensor with itself becomes one with what the model was given.
            again.inputs[list(again.inputs).index(first)] = graph.operators[-1].outputs[0]
        graph.operators.append(again)
    written = [operator.outputs[0] for operator in graph.operators]
    graph.outputs = np.array(written[-1:] if count == ROW else written, np.int32)
    return write_model(model)
