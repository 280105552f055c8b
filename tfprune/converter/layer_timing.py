# SPDX-License-Identifier: Apache-2.0
"""Measures each converted layer against its dense twin: both cut into one-op files and timed in turns."""

from __future__ import annotations

import dataclasses
import os
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np

from tfprune.converter.graph import Graph
from tfprune.converter.schema import OP_ALIGNMENT, AlignedBuffer, text, tfl, write_model
from tfprune.errors import ModelError
from tfprune.runtime.benchmark import interleaved_seconds, quartiles, speedups
from tfprune.runtime.interpreter import Interpreter
from tfprune.runtime.library import load_library
from tfprune.runtime.model_file import CUSTOM_OP_PREFIX, read_model
from tfprune.runtime.random_inputs import random_inputs

LAYER_OPS = (
    "BATCH_MATMUL",
    "CONV_2D",
    "CONV_3D",
    "CONV_3D_TRANSPOSE",
    "DEPTHWISE_CONV_2D",
    "FULLY_CONNECTED",
    "TRANSPOSE_CONV",
)
_SEED = 0


@dataclasses.dataclass(frozen=True)
class LayerTiming:
    """Time of one layer alone, in the shapes of the file.

    Attributes:
        subgraph: number of its subgraph.
        index: its place among the subgraph's operators, as in the conversion's report.
        layer: name of the layer's output tensor.
        op: the dense op's name.
        weights: shape of the dense weights: ``[out, kernel_h, kernel_w, in]`` or ``[out, in]``.
        dense_ms: median milliseconds of the dense op.
        sparse_ms: median milliseconds of the tfprune op and the stock ops round it, None where the layer stayed dense.
        speedup: median over rounds of dense time / sparse time, None where the layer stayed dense.
        speedup_quartiles: lower and upper quartile of that ratio.
        kernel: the kernel variant that ran, ``""`` where the layer stayed dense.
    """

    subgraph: int
    index: int
    layer: str
    op: str
    weights: tuple[int, ...]
    dense_ms: float
    sparse_ms: float | None
    speedup: float | None
    speedup_quartiles: tuple[float, float] | None
    kernel: str


def time_layers(
    dense: str | os.PathLike[str] | bytes,
    sparse: str | os.PathLike[str] | bytes,
    *,
    num_threads: int = 1,
    runs: int = 20,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[LayerTiming, ...]:
    """Times every layer with weights that could be packed alone, its sparse op with the stock ops round it.

    An op alone meets warm caches and pays for no hand-over between our kernels and XNNPACK, so the sum over layers is
    not the model's latency; it shows where time goes and which layers gain.

    Args:
        dense: the dense ``.tflite``: a path or bytes.
        sparse: the sparse one converted from it.
        num_threads: CPU threads, from 1 to 1024, default 1.
        runs: interleaved rounds a layer, at least 1, default 20.
        progress: called with (layers done, layers) after each layer.

    Returns:
        One entry a layer, in the order of the file.

    Raises:
        ModelError: a file cannot be read, or the two are not a dense model and its converted twin.
        DelegateError: the library is missing.

    Example:
        >>> time_layers("dense.tflite", "pruned.tflite")  # doctest: +SKIP
    """
    dense_graph, sparse_graph = _graph(dense, "dense model"), _graph(sparse, "sparse model")
    layers = _pairs(dense_graph, sparse_graph)
    timings = []
    for done, (subgraph, index, op, twins) in enumerate(layers, 1):
        contents = [cut_operators(dense_graph, subgraph, [op])]
        if any(sparse_graph.op_name(twin).encode().startswith(CUSTOM_OP_PREFIX) for twin in twins):
            contents.append(cut_operators(sparse_graph, subgraph, twins))
        weights = dense_graph.input_tensor(subgraph, op, 1)
        timings.append(
            LayerTiming(
                subgraph=subgraph,
                index=index,
                layer=_output_name(dense_graph, subgraph, op),
                op=dense_graph.op_name(op),
                weights=() if weights is None else dense_graph.shape(weights),
                **_measure(contents, num_threads, runs),
            )
        )
        if progress is not None:
            progress(done, len(layers))
    return tuple(timings)


def _graph(model: str | os.PathLike[str] | bytes, name: str) -> Graph:
    file = read_model(model, name)
    return Graph(file.content, file.name)


def _pairs(dense: Graph, sparse: Graph) -> list[tuple[int, int, Any, list[Any]]]:
    """(subgraph, index, dense operator, what stands for it) of every layer."""
    if len(dense.model.subgraphs) != len(sparse.model.subgraphs):
        raise ModelError(
            f"the sparse model must be converted from the dense one, but they hold {len(sparse.model.subgraphs)} and "
            f"{len(dense.model.subgraphs)} subgraphs; give the two files of one conversion"
        )
    names = [{text(tensor.name) for tensor in graph.tensors} for graph in dense.model.subgraphs]
    pairs = []
    for subgraph, index, op in dense.operators():
        if dense.op_name(op) in LAYER_OPS:
            name = _output_name(dense, subgraph, op)
            pairs.append((subgraph, index, op, _twins(sparse, subgraph, name, names[subgraph])))
    return pairs


def _twins(sparse: Graph, subgraph: int, name: str, known: set[str]) -> list[Any]:
    """The operators that make the tensor ``name`` from tensors that the dense model has too, in order."""
    operators = sparse.model.subgraphs[subgraph].operators
    found = {
        place for place, op in enumerate(operators) if len(op.outputs) and _output_name(sparse, subgraph, op) == name
    }
    if not found:
        raise ModelError(
            f"the sparse model must be converted from the dense one, but no operator of it writes `{name}`; "
            "give the two files of one conversion"
        )
    places = {int(output): place for place, op in enumerate(operators) for output in op.outputs}
    pending = list(found)
    while pending:
        for source in map(int, operators[pending.pop()].inputs):
            place = places.get(source)
            if place is not None and place not in found and text(sparse.tensor(subgraph, source).name) not in known:
                found.add(place)
                pending.append(place)
    return [operators[place] for place in sorted(found)]


def cut_operator(graph: Graph, subgraph: int, op: Any) -> bytes:
    """Returns a ``.tflite`` file of one operator; see :func:`cut_operators`."""
    return cut_operators(graph, subgraph, [op])


def cut_operators(graph: Graph, subgraph: int, operators: list[Any]) -> bytes:
    """Returns a ``.tflite`` file of some operators; what they read and is no constant are the file's inputs.

    Args:
        graph: where the operators stand; it is not changed.
        subgraph: number of their subgraph.
        operators: in the order in which they run; the outputs of the last one are the file's.
    """
    model = tfl.ModelT()
    model.version = graph.model.version
    model.description = "one layer"
    model.buffers = [AlignedBuffer()]
    cut = tfl.SubGraphT()
    cut.tensors, cut.operators, model.operatorCodes = [], [], []
    places: dict[int, int] = {-1: -1}
    made: set[int] = set()
    for op in operators:
        for index in [*op.inputs, *op.outputs]:
            if int(index) not in places:
                places[int(index)] = len(cut.tensors)
                cut.tensors.append(_copy_tensor(graph, subgraph, int(index), model))
        cut.operators.append(_copy_operator(op, places, len(model.operatorCodes)))
        model.operatorCodes.append(graph.model.operatorCodes[op.opcodeIndex])
        made.update(int(place) for place in cut.operators[-1].outputs)
    read = dict.fromkeys(int(place) for op in cut.operators for place in op.inputs)
    given = [place for place in read if place >= 0 and place not in made and not cut.tensors[place].buffer]
    cut.inputs, cut.outputs = np.array(given, np.int32), cut.operators[-1].outputs
    model.subgraphs = [cut]
    return write_model(model)


def _copy_operator(op: Any, places: dict[int, int], opcode: int) -> Any:
    copy = tfl.OperatorT()
    copy.opcodeIndex = opcode
    copy.inputs = np.array([places[int(index)] for index in op.inputs], np.int32)
    copy.outputs = np.array([places[int(index)] for index in op.outputs], np.int32)
    copy.builtinOptionsType, copy.builtinOptions = op.builtinOptionsType, op.builtinOptions
    copy.customOptions, copy.customOptionsFormat = op.customOptions, op.customOptionsFormat
    return copy


def _copy_tensor(graph: Graph, subgraph: int, index: int, model: Any) -> Any:
    source = graph.tensor(subgraph, index)
    tensor = tfl.TensorT()
    tensor.name, tensor.type, tensor.shape = source.name, source.type, source.shape
    tensor.shapeSignature, tensor.quantization, tensor.hasRank = (
        source.shapeSignature,
        source.quantization,
        source.hasRank,
    )
    tensor.sparsity = source.sparsity
    tensor.buffer = 0
    data = graph.raw(source)
    if data is not None:
        tensor.buffer = len(model.buffers)
        model.buffers.append(AlignedBuffer(data, OP_ALIGNMENT))
    return tensor


def _output_name(graph: Graph, subgraph: int, op: Any) -> str:
    return text(graph.tensor(subgraph, int(op.outputs[0])).name)


def _measure(contents: list[bytes], num_threads: int, runs: int) -> dict[str, Any]:
    """The measured fields of :class:`LayerTiming` for a dense file, and its sparse twin if there is one."""
    interpreters = [Interpreter(content, num_threads=num_threads) for content in contents]
    for interpreter in interpreters:
        interpreter.predict(random_inputs(interpreter.inputs(), None, _SEED))
    kernel = load_library().last_kernel if len(contents) > 1 else ""
    rounds = interleaved_seconds(interpreters, runs)
    dense = [row[0] for row in rounds]
    measured: dict[str, Any] = {
        "dense_ms": statistics.median(dense) * 1e3,
        "sparse_ms": None,
        "speedup": None,
        "speedup_quartiles": None,
        "kernel": kernel,
    }
    if len(contents) > 1:
        sparse = [row[1] for row in rounds]
        ratios = speedups(dense, sparse)
        measured["sparse_ms"] = statistics.median(sparse) * 1e3
        measured["speedup"] = statistics.median(ratios)
        measured["speedup_quartiles"] = quartiles(ratios)
    return measured
