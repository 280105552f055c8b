# SPDX-License-Identifier: Apache-2.0
"""What ``target="stock"`` brings: multiply-adds, bytes and time in stock LiteRT, with no delegate of ours.

    python benchmarks/stock_runtime.py networks --output benchmarks/results/stock_networks.json
    python benchmarks/stock_runtime.py dense-layers --output benchmarks/results/stock_dense_layers.json

Networks have random weights: only equality and speed mean something. Times are minima of interleaved runs, one thread.
``--aarch64`` counts instructions of the aarch64 LiteRT under qemu instead, which nothing else on the machine disturbs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.table import Table

import tfprune as tp
from arguments import COUNT, SECONDS, SIZE
from pruned_networks import NETWORKS, set_statistics
from results_file import Rows, read_rows, write_rows
from tfprune.mapping.profiling.instructions import AARCH64, aarch64_instructions
from tfprune.mapping.profiling.layer_sizes import LayerSizes
from tfprune.mapping.profiling.one_op import dense_model
from tfprune.mapping.profiling.stock_weights import sparse_encoded
from tfprune.mapping.profiling.timing import Model, interleaved, relative_error

Row = dict[str, Any]

_LAYERS = ((256, 256), (512, 1024), (1000, 2048), (2048, 2048), (4096, 4096))
_BATCHES = (1, 2, 4, 16)
_BLOCK_SPARSITIES = (0.5, 0.7, 0.8, 0.875, 0.9, 0.95)
_MOST_ERROR = 1e-4


def _one_row(model: Any) -> None:
    """Each KxK kernel keeps the row that weighs most, the same in all filters of a layer."""
    for layer in _convolutions(model):
        kernel = np.asarray(layer.kernel)
        if kernel.shape[0] > 1:
            mask = np.zeros_like(kernel)
            mask[np.abs(kernel).sum(axis=(1, 2, 3)).argmax()] = 1
            layer.kernel.assign(kernel * mask * np.sqrt(kernel.shape[0]))


def _elements(model: Any) -> None:
    """``KernelElements(keep=4, share="layer")`` in each 3x3 kernel."""
    for layer in _convolutions(model):
        kernel = np.asarray(layer.kernel)
        if kernel.shape[0] == 3 and type(layer).__name__ == "Conv2D":
            mask = tp.select(kernel, tp.patterns.KernelElements(keep=4, share="layer"), layout="conv2d")
            layer.kernel.assign(kernel * mask * 1.5)


def _coupled(pattern: Any) -> Callable[[Any], None]:
    """Half of the channels, chosen jointly where they meet."""

    def prune(model: Any) -> None:
        from tfprune.keras.coupling import Coupling
        from tfprune.keras.layers import find_weights

        weights, _ = find_weights(model, None, min_weights=64)
        kernels = [(weight, weight.variable.numpy()) for weight in weights]
        for (weight, kernel), mask in zip(kernels, Coupling(model).select(kernels, pattern, 0.5).masks, strict=True):
            weight.variable.assign(kernel * mask * np.sqrt(2))

    return prune


def _blocks(model: Any) -> None:
    """90 % of the aligned 1x4 input blocks of each dense layer but the last."""
    for layer in [each for each in model.layers if type(each).__name__ == "Dense"][:-1]:
        kernel = np.asarray(layer.kernel)
        pattern = tp.patterns.Groups(rows=1, cols=4, along="input", aligned=True)
        layer.kernel.assign(kernel * tp.select(kernel, pattern, 0.9, layout="dense"))


PATTERNS: dict[str, Callable[[Any], None]] = {
    "one row": _one_row,
    "elements 4 of 9": _elements,
    "channels 50 %": _coupled(tp.patterns.Channels()),
    "filters 50 %": _coupled(tp.patterns.Filters()),
    "blocks 90 %": _blocks,
}


def _convolutions(model: Any) -> Iterator[Any]:
    """All but the first."""
    found = [each for each in model.layers if type(each).__name__ in ("Conv2D", "DepthwiseConv2D")]
    yield from found[1:]


def _mlp(size: int) -> Any:
    import keras

    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((size * size,), batch_size=1),
            *(layers.Dense(2048, activation="relu") for _ in range(2)),
            layers.Dense(1000),
        ]
    )


@dataclasses.dataclass(frozen=True)
class PrunedFor:
    """A network and what is zero in it."""

    network: str
    pattern: str
    size: int
    seed: int

    @property
    def key(self) -> str:
        """Names its row."""
        return f"{self.network} {self.size} {self.pattern} seed {self.seed}"

    def tflite(self) -> bytes:
        """The pruned network with stock ops."""
        import keras
        import tensorflow as tf

        keras.utils.set_random_seed(self.seed)
        random = np.random.default_rng(self.seed)
        model = _mlp(self.size) if self.network == "mlp" else NETWORKS[self.network](self.size)
        for layer in model.layers:
            if type(layer).__name__ in ("Conv2D", "DepthwiseConv2D"):
                fan_in = np.prod(layer.kernel.shape[:2]) * (
                    layer.kernel.shape[2] if type(layer).__name__ == "Conv2D" else 1
                )
                layer.kernel.assign(random.normal(0, np.sqrt(2 / fan_in), layer.kernel.shape))
        PATTERNS[self.pattern](model)
        if self.network != "mlp":
            set_statistics(model, random)
        return bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())


Pair = tuple[Row, bytes, bytes]


def converted_pair(dense: bytes) -> Pair:
    """A dense file and what ``target="stock"`` makes of it."""
    converted = tp.convert(dense, target="stock")
    layers = converted.report.layers
    macs = sum(layer.dense_macs or 0 for layer in layers)
    after = sum((layer.dense_macs if layer.sparse_macs is None else layer.sparse_macs) or 0 for layer in layers)
    row = {"layers": len(layers), "smaller": converted.report.converted_layers, "macs": after / macs if macs else 1.0}
    return row, dense, converted.tflite


def compared(pair: Pair, seconds: float) -> Row:
    """Sizes and times of two files, whose answers must be equal."""
    row, dense, small = pair
    models = [Model(dense), Model(small)]
    error = relative_error(models[0].answer(), models[1].answer())
    if error > _MOST_ERROR:
        raise click.ClickException(f"the answers differ by {error:.2e} of the largest")
    rounds = interleaved(models, seconds)
    before, now = rounds.seconds.min(axis=0).tolist()
    times = {"dense ms": before * 1e3, "time": now / before, "others": rounds.others}
    return {**row, "bytes": len(small) / len(dense), "error": error, **times}


def counted(pairs: Sequence[Pair]) -> list[Row]:
    """Sizes and aarch64 instructions; there too the answers must be equal."""
    counts = aarch64_instructions(
        [(dense, small) for _, dense, small in pairs], AARCH64 / "root", AARCH64 / "libtfprune.so"
    )
    return [
        {**row, "bytes": len(small) / len(dense), "dense instructions": before, "instructions": now / before}
        for (row, dense, small), (before, now) in zip(pairs, counts, strict=True)
    ]


def show(rows: Sequence[Row]) -> None:
    """Prints the rows as a table."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = Table(*names)
    for row in rows:
        table.add_row(
            *(f"{row[name]:.3g}" if isinstance(row.get(name), float) else str(row.get(name, "")) for name in names)
        )
    Console(width=160).print(table)


def _measure_all(cases: dict[str, Callable[[], Pair]], seconds: float, aarch64: bool, output: Path | None) -> None:
    rows: Rows = {} if output is None else read_rows(output)
    names = {f"{key} aarch64" if aarch64 else key: make for key, make in cases.items()}
    missing = {name: make for name, make in names.items() if name not in rows}
    if aarch64 and missing:
        rows |= dict(zip(missing, counted([make() for make in missing.values()]), strict=True))
    for name, make in missing.items():
        if not aarch64:
            rows[name] = compared(make(), seconds)
        if output is not None:
            write_rows(output, rows)
    show([{"what": name, **rows[name]} for name in names])


@click.group()
def main() -> None:
    """Measures target="stock" in stock LiteRT."""


@main.command()
@click.option("--network", "networks", multiple=True, type=click.Choice([*NETWORKS, "mlp"]), help="Default: four.")
@click.option("--pattern", "patterns", multiple=True, type=click.Choice(list(PATTERNS)), help="Default: all that fit.")
@click.option("--size", type=SIZE, default=224, show_default=True, help="Rows and columns of an image.")
@click.option("--seconds", type=SECONDS, default=5.0, show_default=True, help="To time a network.")
@click.option("--seed", type=COUNT, default=0, show_default=True, help="Of weights and images.")
@click.option("--aarch64", is_flag=True, help="Count instructions under qemu instead.")
@click.option("--output", type=click.Path(path_type=Path), help="JSON file of results, resumed where it exists.")
def networks(
    networks: tuple[str, ...],
    patterns: tuple[str, ...],
    size: int,
    seconds: float,
    seed: int,
    aarch64: bool,
    output: Path | None,
) -> None:
    """Whole networks, pruned in the ways that the target makes something of."""
    chosen = networks or ("mobilenet_v1", "mobilenet_v2", "resnet50", "mlp")
    cases = [
        PrunedFor(network, pattern, 32 if network == "mlp" else size, seed)
        for network in chosen
        for pattern in patterns or PATTERNS
        if (network == "mlp") == (pattern == "blocks 90 %")
    ]

    def make(case: PrunedFor) -> Callable[[], Pair]:
        return lambda: converted_pair(case.tflite())

    _measure_all({case.key: make(case) for case in cases}, seconds, aarch64, output)


@main.command()
@click.option("--seconds", type=SECONDS, default=0.2, show_default=True, help="To time a layer.")
@click.option(
    "--layer", "layers", multiple=True, type=click.Choice([f"{r}x{c}" for r, c in _LAYERS]), help="Default: all."
)
@click.option("--aarch64", is_flag=True, help="Count instructions under qemu instead.")
@click.option("--output", type=click.Path(path_type=Path), help="JSON file of results, resumed where it exists.")
def dense_layers(seconds: float, layers: tuple[str, ...], aarch64: bool, output: Path | None) -> None:
    """Fully-connected layers in the sparse encoding, wherever it pays and where it does not."""
    cases = [
        (rows, columns, batch, sparsity)
        for rows, columns in _LAYERS
        if not layers or f"{rows}x{columns}" in layers
        for batch in _BATCHES
        for sparsity in _BLOCK_SPARSITIES
    ]

    def make(case: tuple[int, int, int, float]) -> Callable[[], Pair]:
        return lambda: encoded_pair(*case)

    todo = {"{}x{} batch {} sparsity {}".format(*case): make(case) for case in cases}
    _measure_all(todo, seconds, aarch64, output)


def encoded_pair(rows: int, columns: int, batch: int, sparsity: float) -> Pair:
    """A layer as it is and encoded, whatever the converter would decide."""
    random = np.random.default_rng(0)
    kept = np.repeat(random.random((rows, columns // 4)) >= sparsity, 4, axis=1)
    weights = (random.standard_normal((rows, columns)) * kept).astype(np.float32)
    dense = dense_model(LayerSizes("fc", 1, 1, columns, rows, 1, 1, batch), weights)
    return {}, dense, sparse_encoded(dense)


if __name__ == "__main__":
    main()
