# SPDX-License-Identifier: Apache-2.0
"""The measured latency of a mapping: real files on LiteRT, before anything is trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from tfprune.converter import convert
from tfprune.converter.converted import Converted
from tfprune.converter.graph import Graph
from tfprune.costs import CostTable
from tfprune.mapping.choice import DENSE, Choice
from tfprune.mapping.network import Network
from tfprune.runtime.benchmark import benchmark
from tfprune.sparsity.select import select

_SEED = 0


@dataclasses.dataclass(frozen=True)
class MeasuredLatency:
    """Times of the dense and the sparse file.

    Attributes:
        dense_ms: median milliseconds of the dense file.
        sparse_ms: median milliseconds of the converted one.
        speedup: median over rounds of dense time / sparse time.
    """

    dense_ms: float
    sparse_ms: float
    speedup: float


def converted_file(
    network: Network, choices: Mapping[str, Choice], table: CostTable, *, min_speedup: float = 1.05
) -> Converted:
    """The model's file under choices, dense and converted, with their zeros and random other weights.

    Times do not depend on values; what a training would change is which cells are kept, not how many.

    Raises:
        MappingError: an unknown layer.
        PatternError: a pattern that a layer cannot have.
    """
    graph = Graph(network.data, f"model {network.name!r}")
    random = np.random.default_rng(_SEED)
    for layer in network.layers:
        choice = choices.get(layer.name, DENSE)
        pattern = None if layer.obstacle else choice.pattern
        mask = None if pattern is None else select(layer.weights, pattern, choice.sparsity, layout=layer.layout)
        for operator in layer.operators:
            tensor = graph.tensor(operator.subgraph, operator.numbers.source)
            weights = operator.weights(graph)
            if weights.dtype.kind == "f":
                # Sums of products keep the size of the inputs.
                weights = random.normal(size=weights.shape, scale=(2 / weights[0].size) ** 0.5).astype(weights.dtype)
            if mask is not None:
                weights = np.where(layer.in_file(mask, weights.shape), weights, operator.zero_point)
            values = np.ascontiguousarray(weights, operator.weights(graph).dtype)
            graph.model.buffers[tensor.buffer].data = np.frombuffer(values.tobytes(), np.uint8)
    for name in choices:
        network.layer(name)
    return convert(graph.to_bytes(), device=table, min_speedup=min_speedup)


def measure(
    network: Network,
    choices: Mapping[str, Choice],
    table: CostTable,
    *,
    min_speedup: float = 1.05,
    num_threads: int = 1,
    backend: str = "cpu",
    runs: int = 50,
) -> MeasuredLatency:
    """Runs the dense and the converted file in turns on this machine.

    Args:
        network: the model.
        choices: by layer name; others stay dense.
        table: by which the converter decides.
        min_speedup: as for :func:`tfprune.convert`.
        num_threads: CPU threads.
        backend: ``"cpu"`` or ``"gpu"``.
        runs: interleaved rounds.
    """
    converted = converted_file(network, choices, table, min_speedup=min_speedup)
    dense, sparse = benchmark(
        converted.dense, converted.tflite, num_threads=num_threads, backend=backend, runs=runs
    ).timings
    return MeasuredLatency(dense.milliseconds, sparse.milliseconds, sparse.speedup)
