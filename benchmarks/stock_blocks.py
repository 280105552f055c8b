# SPDX-License-Identifier: Apache-2.0
"""Which blocks of TFLite's own sparse encoding a FULLY_CONNECTED of stock LiteRT multiplies, and how it answers.

    python benchmarks/stock_blocks.py

Each case runs in a process of its own, for some end it: 10 % of the blocks hold weights, and the answer is compared
with that of the same weights stored densely. XNNPACK is the default interpreter; "builtin" is LiteRT without it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from arguments import COUNT
from tfprune.converter.graph import Graph
from tfprune.converter.schema import BuiltinOperator
from tfprune.converter.stock.editor import Editor
from tfprune.converter.stock.fully_connected import SPARSE_VERSION
from tfprune.converter.stock.sparse_encoding import encode
from tfprune.mapping.profiling.layer_sizes import LayerSizes
from tfprune.mapping.profiling.one_op import dense_model

ROWS, COLUMNS = 1024, 512
KEPT = 0.1
PRECISIONS = ("float32", "int8", "dynamic")
KERNELS = ("xnnpack", "builtin")
_RUN = """
import sys
sys.path.insert(0, sys.argv[1])
from stock_blocks import run
run(*sys.argv[2:])
"""


class Case(NamedTuple):
    """A layer and what runs it."""

    precision: str
    columns: int
    batch: int
    kernels: str


def cases() -> Iterator[Case]:
    """Every case of the table."""
    for precision in PRECISIONS:
        for columns in (4, 16):
            for batch in (1, 4):
                for kernels in KERNELS:
                    yield Case(precision, columns, batch, kernels)


def models(case: Case, seed: int) -> tuple[bytes, bytes]:
    """The layer with dense weights, and with the same weights in blocks of one row."""
    random = np.random.default_rng(seed)
    kept = np.repeat(random.random((ROWS, COLUMNS // case.columns)) < KEPT, case.columns, axis=1)
    weights = (random.normal(size=(ROWS, COLUMNS)) * kept).astype(np.float32)
    dense = dense_model(LayerSizes("fc", 1, 1, COLUMNS, ROWS, 1, 1, case.batch), weights, case.precision)
    graph = Graph(dense)
    editor = Editor(graph, 0)
    (op,) = editor.operators
    constant = editor.constant(op, 1)
    assert constant is not None
    constant.tensor.sparsity, values = encode(constant.values, case.columns)
    constant.tensor.buffer = graph.add_buffer(values.view(np.uint8))
    number = BuiltinOperator.FULLY_CONNECTED
    graph.set_builtin(op, number, SPARSE_VERSION, op.builtinOptionsType, op.builtinOptions)
    return dense, graph.to_bytes()


def run(kernels: str, *paths: str) -> None:
    """Prints the largest difference of the answers, and the time of the first file by that of the second."""
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    from tfprune.mapping.profiling.timing import interleaved, relative_error

    found = []
    for path in paths:
        resolver = OpResolverType.AUTO if kernels == "xnnpack" else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        interpreter = Interpreter(path, experimental_op_resolver_type=resolver)
        interpreter.allocate_tensors()
        (given,), (made,) = interpreter.get_input_details(), interpreter.get_output_details()
        random = np.random.default_rng(0)
        interpreter.set_tensor(given["index"], (40 * random.normal(size=given["shape"])).astype(given["dtype"]))
        interpreter.invoke()
        found.append((interpreter, interpreter.get_tensor(made["index"]).copy()))
    seconds = interleaved([interpreter for interpreter, _ in found], 0.2).seconds.min(axis=0)
    print(relative_error(found[0][1], found[1][1]), seconds[0] / seconds[1])


def answer(case: Case, seed: int) -> list[str]:
    """Error and speed-up of a case, or how it ends."""
    with tempfile.TemporaryDirectory() as name:
        paths = [Path(name) / f"{place}.tflite" for place in ("dense", "sparse")]
        for path, data in zip(paths, models(case, seed), strict=True):
            path.write_bytes(data)
        command = [sys.executable, "-c", _RUN, str(Path(__file__).parent), case.kernels, *map(str, paths)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [""])[-1]
        return ["", f"crashes: signal {-done.returncode}" if done.returncode < 0 else last[:90]]
    error, speedup = map(float, done.stdout.split())
    return [f"{error:.1e}", f"{speedup:.2f}x"]


@click.command()
@click.option("--seed", type=COUNT, default=0, show_default=True, help="Of the weights.")
def main(seed: int) -> None:
    """Runs every case and prints a table."""
    table = Table("weights", "block", "rows of input", "kernels", "error", "dense by sparse time", title="sparse FC")
    for case in cases():
        table.add_row(case.precision, f"1x{case.columns}", str(case.batch), case.kernels, *answer(case, seed))
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
