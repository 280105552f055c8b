# SPDX-License-Identifier: Apache-2.0
"""Fully-connected layers of batch 1 in integers, sparse against dense LiteRT, in any groups.

    python benchmarks/fc_single.py
    python benchmarks/fc_single.py --device arm64 --layer 2048x1000 --rows 4 --precision dynamic

``host``: time, interleaved; the weights lie in the caches if these hold them. ``arm64``: instructions under qemu, as
`arm64_instructions.py` counts them. Beside each ratio stands what the cost table of the device predicts.
"""

from __future__ import annotations

from functools import partial
from itertools import product
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from arguments import SECONDS, SPARSITY
from tfprune.costs import load_table, predict_dense, predict_sparse
from tfprune.formats import Encoding
from tfprune.mapping.profiling.instructions import AARCH64, aarch64_instructions
from tfprune.mapping.profiling.integers import INTEGERS
from tfprune.mapping.profiling.layer_sizes import LayerSizes
from tfprune.mapping.profiling.one_op import dense_model, sparse_model
from tfprune.mapping.profiling.random_weights import grouped_weights, packed_shape
from tfprune.mapping.profiling.samples import Measure
from tfprune.mapping.profiling.timing import host_microseconds

#: Features and units.
LAYERS = ("2048x1000", "1024x512", "256x256")
ENCODINGS = {"row-band": Encoding.ROW_BAND, "sliding-row": Encoding.SLIDING_ROW}
RTOL = 2e-2  # int8 inputs and outputs may differ by a step


def layer_of(text: str) -> LayerSizes:
    """The layer of, say, ``2048x1000``."""
    features, units = map(int, text.split("x"))
    return LayerSizes("fc", 1, 1, features, units, 1, 1, 1)


@click.command()
@click.option("--device", type=click.Choice(["host", "arm64"]), default="host", show_default=True)
@click.option("--layer", "layers", multiple=True, default=LAYERS, show_default=True, help="Features x units.")
@click.option("--rows", "sizes", type=click.IntRange(1, 64), multiple=True, default=(4,), show_default=True)
@click.option("--cols", type=click.IntRange(1, 16), default=1, show_default=True)
@click.option("--encoding", type=click.Choice(list(ENCODINGS)), default="row-band", show_default=True)
@click.option("--precision", type=click.Choice(INTEGERS), default="int8", show_default=True)
@click.option("--sparsity", "sparsities", type=SPARSITY, multiple=True, default=(0.5, 0.7, 0.8, 0.9), show_default=True)
@click.option("--seconds", type=SECONDS, default=0.3, show_default=True, help="Of each case on the host.")
@click.option("--root", default=AARCH64 / "root", type=Path, help="A root of tools/aarch64/make_root.sh.")
@click.option("--library", default=AARCH64 / "libtfprune.so", type=Path, help="libtfprune for arm64.")
def main(
    device: str,
    layers: tuple[str, ...],
    sizes: tuple[int, ...],
    cols: int,
    encoding: str,
    precision: str,
    sparsities: tuple[float, ...],
    seconds: float,
    root: Path,
    library: Path,
) -> None:
    """Measures and prints a table."""
    measure: Measure = partial(host_microseconds, seconds=seconds)
    if device == "arm64":
        measure = partial(aarch64_instructions, root=root.absolute(), library=library.absolute(), rtol=RTOL)
    costs, form = load_table(device), ENCODINGS[encoding]
    pairs, rows = [], []
    for text, size, zeros in product(layers, sizes, sparsities):
        layer = layer_of(text)
        weights = grouped_weights(layer, form, size, zeros, 0, cols)
        sparse = sparse_model(layer, weights, form, size, cols, precision)
        pairs.append((dense_model(layer, weights, precision), sparse))
        shape, packed = layer.costs(precision), packed_shape(layer, weights, form, size, cols, precision)
        predicted = predict_dense(costs, shape) / predict_sparse(costs, shape, packed)
        rows.append((f"{text} {precision}", f"{encoding} {size}x{cols}", f"{zeros:.0%}", predicted))
    table = Table("layer", "groups", "zeros", "dense", "sparse", "dense / sparse", "predicted", title=costs.unit)
    for (*names, predicted), (dense, own) in zip(rows, measure(pairs), strict=True):
        table.add_row(*names, f"{dense:,.1f}", f"{own:,.1f}", f"{dense / own:.2f}", f"{predicted:.2f}")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
