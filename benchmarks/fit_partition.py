# SPDX-License-Identifier: Apache-2.0
"""Measures the costs by which the delegate chooses chains: ``tflite_ops/delegate/chain_costs.h``.

    python benchmarks/fit_partition.py --output benchmarks/results/partition.json

The sparse files of ``cpu_models.py`` run with and without chains in turns, and every operator of the dense ones alone.
What a convolution takes more on its own than in a chain is its moves into planar form and back, a value in and a value
out each; everything else is counted in that unit. Times are the fewest of many runs. A cost is the
sum of the times over the sum of the values, of all layers of its kind.
"""

from __future__ import annotations

import re
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any

import click
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from rich.console import Console
from rich.table import Table

import tfprune as tp
from measure import REPOSITORY
from pruned_networks import CACHE, IMAGE_SIZE, NETWORKS, PrunedNetwork
from results_file import facts, write_rows
from tfprune.converter.graph import Graph
from tfprune.converter.layer_timing import cut_operator
from tfprune.formats.decode import read
from tfprune.runtime.benchmark import interleaved_seconds
from tfprune.runtime.layers import delegate_layers
from tfprune.runtime.random_inputs import random_inputs

HEADER = REPOSITORY / "tflite_ops/delegate/chain_costs.h"
WINDOWS = ("DEPTHWISE_CONV_2D", "AVERAGE_POOL_2D", "MAX_POOL_2D")
Times = dict[int, float]
#: Microseconds and values of the layers of one kind.
Sums = dict[str, list[tuple[float, float]]]


def constants() -> dict[str, float]:
    """What the delegate counts with."""
    return {name: float(value) for name, value in re.findall(r"(k[A-Z]\w+) = ([\d.]+)", HEADER.read_text())}


class Timed:
    """A model whose delegate counts the time of every layer, run by run."""

    def __init__(self, model: bytes, chains: str) -> None:
        self._delegate = tp.delegate(profile="1", chains=chains)
        self._interpreter = Interpreter(model_content=model, num_threads=1, experimental_delegates=[self._delegate])
        self._interpreter.allocate_tensors()
        details = self._interpreter.get_input_details()[0]
        x = np.random.default_rng(0).uniform(-1, 1, details["shape"]).astype(np.float32)
        self._interpreter.set_tensor(details["index"], x)
        self._before = [0.0] * len(delegate_layers(self._delegate))
        self._runs: list[list[float]] = []

    def run(self) -> None:
        """One inference."""
        self._interpreter.invoke()
        now = [layer.seconds for layer in delegate_layers(self._delegate)]
        self._runs.append([b - a for a, b in zip(self._before, now, strict=True)])
        self._before = now

    def times(self, kind: str) -> Times:
        """Fewest microseconds of each node: of layers alone, in chains, or of the copies at the ends of chains."""
        fewest = [min(times) * 1e6 for times in zip(*self._runs, strict=True)]
        found: Times = defaultdict(float)
        for layer, time in zip(delegate_layers(self._delegate), fewest, strict=True):
            copies = layer.kernel in ("import", "export")
            if kind == ("copies" if copies else "chained" if layer.chained else "alone"):
                found[layer.node] += time
        return found


def in_turns(model: bytes, runs: int) -> tuple[Times, Times, Times]:
    """Microseconds of each node alone, of each node in a chain, and of the copies by the node that they carry."""
    alone, chained = Timed(model, "0"), Timed(model, "1")
    for run in range(runs):
        for timed in (alone, chained) if run % 2 else (chained, alone):
            timed.run()
    return alone.times("alone"), chained.times("chained"), chained.times("copies")


def litert_microseconds(operator: bytes, runs: int) -> float:
    """Fewest microseconds of a file of one operator on stock LiteRT."""
    interpreter = tp.Interpreter(operator)
    interpreter.predict(random_inputs(interpreter.inputs(), None, 0))
    return min(row[0] for row in interleaved_seconds([interpreter], runs)) * 1e6


class Shapes:
    """Sizes of the operators of a file."""

    def __init__(self, content: bytes) -> None:
        self.graph = Graph(content, "model")
        self.operators = [op for _, _, op in self.graph.operators()]

    def name(self, node: int) -> str:
        """The op's name."""
        return self.graph.op_name(self.operators[node])

    def values(self, tensor: int) -> float:
        """Values of a tensor."""
        return float(np.prod([int(size) for size in self.graph.tensor(0, int(tensor)).shape]))

    def ends(self, node: int) -> tuple[float, float]:
        """Values of an operator's first input and of its output."""
        return self.values(self.operators[node].inputs[0]), self.values(self.operators[node].outputs[0])

    def taps(self, node: int) -> float:
        """Kernel positions of a depthwise or pooling operator."""
        op = self.operators[node]
        if self.name(node) == "DEPTHWISE_CONV_2D":
            _, rows, columns, _ = self.graph.tensor(0, int(op.inputs[1])).shape
            return float(rows * columns)
        return float(op.builtinOptions.filterHeight * op.builtinOptions.filterWidth)

    def window(self, node: int) -> bool:
        """Whether a sparse convolution has a window or a stride."""
        op = self.operators[node]
        packed = self.graph.raw(self.graph.tensor(0, int(op.inputs[1])))
        if packed is None:
            raise SystemExit(f"node {node} of the sparse file has no packed weights")
        spec = read(packed).header.spec
        return max(spec.kernel_h, spec.kernel_w, spec.stride_h, spec.stride_w) > 1


def collect(dense: bytes, sparse: bytes, runs: int, sums: Sums) -> None:
    """Adds the layers of one network."""
    there = Shapes(dense)
    for node, op in enumerate(there.operators):
        name = there.name(node)
        if name not in (*WINDOWS, "ADD", "PAD"):
            continue
        _, out = there.ends(node)
        time = litert_microseconds(cut_operator(there.graph, 0, op), runs)
        taps = there.taps(node) if name in WINDOWS else 1.0
        sums["kTapThere" if name in WINDOWS else f"k{name.title()}There"].append((time, out * taps))
    shapes = Shapes(sparse)
    alone, chained, copies = in_turns(sparse, runs)
    for node, time in copies.items():
        sums["copies"].append((time, max(shapes.ends(node))))
    for node, time in chained.items():
        into, out = shapes.ends(node)
        if shapes.name(node) == "TfpruneConv2D":
            sums["window" if shapes.window(node) else "kMove"].append((alone[node] - time, into + out))
            if shapes.window(node):
                sums["window inputs"].append((0.0, into))
        elif shapes.name(node) in WINDOWS:
            sums["kTapHere"].append((time, out * shapes.taps(node)))
        elif shapes.name(node) == "ADD" and time > 0:
            sums["kAddHere"].append((time, out))


def fit(sums: Sums) -> dict[str, float]:
    """The costs in moves of one value; `nanoseconds` is what a move takes."""
    per_value = {name: sum(t for t, _ in rows) / sum(v for _, v in rows) for name, rows in sums.items()}
    move = per_value["kMove"]
    found = {"nanoseconds": move * 1e3, "kMove": 1.0}
    for name in ("kTapThere", "kTapHere", "kAddThere", "kAddHere", "kPadThere", "copies"):
        if name in per_value:
            found[name] = per_value[name] / move
    if "window" in sums:
        # A convolution with a window saves its moves, too, and pays for filling its planes.
        values, inputs = (sum(v for _, v in sums[name]) for name in ("window", "window inputs"))
        found["kFillPlanes"] = (values - sum(t for t, _ in sums["window"]) / move) / inputs
    return found


def show(rows: dict[str, dict[str, Any]], console: Console) -> None:
    """Prints the table."""
    table = Table(title=f"Costs of chains in moves of a value, on {facts()['machine']['processor']}")
    for header in ("network", *(found := list(constants())), "copies", "ns a move"):
        table.add_column(header)
    table.add_row("chain_costs.h", *(f"{constants()[name]:.2f}" for name in found), "1.00", "-")
    for network, row in rows.items():
        cells = [f"{row[name]:.2f}" if name in row else "-" for name in (*found, "copies")]
        table.add_row(network, *cells, f"{row['nanoseconds']:.3f}")
    medians = [[row[name] for row in rows.values() if name in row] for name in (*found, "copies", "nanoseconds")]
    table.add_row("median", *(f"{statistics.median(values):.2f}" if values else "-" for values in medians))
    console.print(table)


@click.command()
@click.option("--network", "networks", multiple=True, type=click.Choice(list(NETWORKS)), help="Default: all.")
@click.option("--sparsity", default=0.75, show_default=True)
@click.option("--runs", default=200, show_default=True, type=click.IntRange(min=1))
@click.option("--size", default=IMAGE_SIZE, show_default=True, help="Rows and columns of an image.")
@click.option("--cache", default=CACHE, type=Path, show_default=True, help="Folder of the dense files.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Results as JSON.")
def main(networks: tuple[str, ...], sparsity: float, runs: int, size: int, cache: Path, output: Path | None) -> None:
    """Measures and prints the costs of each network beside those in use."""
    rows = {}
    for name in networks or NETWORKS:
        dense = PrunedNetwork(name, sparsity, size=size).dense_tflite(cache)
        converted = tp.convert(dense, device="host")
        sums: Sums = defaultdict(list)
        collect(converted.dense, converted.tflite, runs, sums)
        rows[name] = fit(sums)
    show(rows, Console(width=160))
    if output:
        write_rows(output, rows, constants())


if __name__ == "__main__":
    main()
