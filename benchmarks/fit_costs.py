# SPDX-License-Identifier: Apache-2.0
"""Measures layers and fits a cost table of ``tfprune/costs`` to them.

    python benchmarks/fit_costs.py --device host
    make test-aarch64 && python benchmarks/fit_costs.py --device arm64

Every coefficient is at least 0 and the sum of squared *relative* errors is smallest. A quarter of the measurements is
held out: the table's `source` names the error of the predicted speed-up on them.
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from measure import AARCH64, REPOSITORY, aarch64_instructions, host_microseconds
from one_op import Layer, block_weights, dense_model, grouped_weights, packed_shape, read_layers, sparse_model
from tfprune.converter.plan import CHUNK_ROWS
from tfprune.costs.predict import LayerShape, PackedShape, predict_dense, predict_sparse, step_parts
from tfprune.costs.table import (
    BAND_ROWS,
    BLOCK_ENCODINGS,
    BLOCK_STEP_ROWS,
    KINDS,
    SLIDING_ROWS,
    TABLE_VERSION,
    load_table,
)
from tfprune.formats import Encoding
from tfprune.runtime.machine import machine_facts

GROUP_STEPS = [("row_band", rows) for rows in BAND_ROWS] + [("sliding_row", rows) for rows in SLIDING_ROWS]
BLOCK_STEPS = [(name, rows) for name in BLOCK_ENCODINGS for rows in BLOCK_STEP_ROWS]
STEPS = GROUP_STEPS + BLOCK_STEPS
SCALARS = ("sparse_layer", "input_value", "column_value", "line", "output_value")
SPARSITIES = (0.5, 0.7, 0.8, 0.9, 0.95)
HELD_OUT = 4  # every fourth measurement
ENCODINGS = {encoding.name.lower(): encoding for encoding in Encoding}
Sample = tuple[LayerShape, PackedShape, float, float]
Array = npt.NDArray[np.float64]


def cases(layers: list[Layer]) -> list[tuple[Layer, str, int, float]]:
    """Each layer with every group size and half of the block sizes, the sparsities in turn."""
    turns = [
        (layer, *step)
        for number, layer in enumerate(layers)
        for step in GROUP_STEPS + BLOCK_STEPS[number % 2 :: 2]
        if step[1] <= layer.out_channels
    ]
    return [(layer, name, rows, SPARSITIES[(i * 7 + i // 9) % 5]) for i, (layer, name, rows) in enumerate(turns)]


def measured(layers: list[Layer], device: str, root: Path, library: Path) -> list[Sample]:
    """Builds and measures every case."""
    shapes, pairs = [], []
    for index, (layer, name, rows, sparsity) in enumerate(cases(layers)):
        encoding = ENCODINGS[name]
        weights = (block_weights if encoding.in_blocks else grouped_weights)(layer, encoding, rows, sparsity, index)
        if encoding.in_blocks:
            rows = min(CHUNK_ROWS, layer.out_channels) if encoding == Encoding.BLOCK_ROWS else 1
        shapes.append((layer.costs(), packed_shape(layer, weights, encoding, rows)))
        pairs.append((dense_model(layer, weights), sparse_model(layer, weights, encoding, rows)))
    times = list(host_microseconds(pairs)) if device == "host" else aarch64_instructions(pairs, root, library)
    return [(*shape, dense, sparse) for shape, (dense, sparse) in zip(shapes, times, strict=True)]


def sparse_features(layer: LayerShape, packed: PackedShape) -> list[float]:
    """The counts that the predictor multiplies with SCALARS, the steps and the visits."""
    steps, pixels = [0.0] * len(STEPS), layer.pixels
    for rows, part in step_parts((rows for name, rows in STEPS if name == packed.encoding), packed.rows).items():
        steps[STEPS.index((packed.encoding, rows))] = part * packed.groups * packed.cols * pixels
    visits = [float(packed.visits * pixels * (packed.encoding == name)) for name in BLOCK_ENCODINGS]
    scalars = (1, layer.input_values, packed.used_columns * pixels, packed.lines * pixels, layer.out_channels * pixels)
    return [*map(float, scalars), *steps, *visits]


def relative_fit(features: Array, times: Array) -> Array:
    """Non-negative coefficients with the smallest sum of squared relative errors."""
    scaled = features / times[:, None]
    norms = np.linalg.norm(scaled, axis=0)
    norms[norms == 0] = 1
    coefficients: Array = nnls(scaled / norms, np.ones(len(times)))[0] / norms
    return coefficients


def fit_kind(samples: list[Sample]) -> dict[str, Any]:
    """The coefficients of one kind of layer."""
    dense_times, sparse_times = (np.array([sample[i] for sample in samples]) for i in (2, 3))
    dense = relative_fit(np.array([[1.0, sample[0].macs] for sample in samples]), dense_times)
    sparse = relative_fit(np.array([sparse_features(*sample[:2]) for sample in samples]), sparse_times)
    rounded = [float(f"{value:.4g}") for value in (*dense, *sparse)]
    steps = dict(zip(STEPS, rounded[2 + len(SCALARS) :], strict=False))
    for name in BLOCK_ENCODINGS:
        # What the fit could not tell from the visits costs as much as with fewer rows.
        for fewer, rows in pairwise(BLOCK_STEP_ROWS):
            steps[name, rows] = max(steps[name, fewer], steps[name, rows])
    if rounded[1] == 0 or 0 in steps.values():
        raise SystemExit(f"the fit found no cost for some work: {rounded}; measure more layers")
    return {
        "dense_layer": rounded[0],
        "dense_mac": rounded[1],
        **dict(zip(SCALARS, rounded[2:], strict=False)),
        "step": {name: {str(rows): steps[name, rows] for step, rows in STEPS if step == name} for name in ENCODINGS},
        "visit": dict(zip(BLOCK_ENCODINGS, rounded[-len(BLOCK_ENCODINGS) :], strict=True)),
    }


def write_table(path: Path, name: str, unit: str, source: str, samples: list[Sample]) -> None:
    """Fits every kind and writes the table."""
    kinds = {kind: fit_kind([sample for sample in samples if sample[0].kind == kind]) for kind in KINDS}
    table = {"version": TABLE_VERSION, "name": name, "unit": unit, "source": source, "kinds": kinds}
    path.write_text(json.dumps(table, indent=2) + "\n")


def speedup_errors(path: Path, samples: list[Sample]) -> Array:
    """Relative errors of the predicted speed-up."""
    table = load_table(path)
    predicted = [predict_dense(table, layer) / predict_sparse(table, layer, packed) for layer, packed, _, _ in samples]
    errors: Array = np.abs(np.array(predicted) / np.array([dense / sparse for _, _, dense, sparse in samples]) - 1)
    return errors


@click.command()
@click.option("--device", type=click.Choice(["host", "arm64"]), required=True)
@click.option("--root", default=AARCH64 / "root", type=Path, help="A root of tools/aarch64/make_root.sh.")
@click.option("--library", default=AARCH64 / "libtfprune.so", type=Path, help="libtfprune for arm64.")
@click.option("--layers", default=REPOSITORY / "benchmarks/shapes/layers.txt", type=Path)
@click.option("--output", type=Path, help="Default: the table of the package.")
def main(device: str, root: Path, library: Path, layers: Path, output: Path | None) -> None:
    """Measures, fits with a part held out, reports the error there, then fits on everything and writes the table."""
    samples = measured(read_layers(layers), device, root.absolute(), library.absolute())
    path = output or REPOSITORY / "tfprune/costs/tables" / f"{device}.json"
    held = [sample for index, sample in enumerate(samples) if index % HELD_OUT == 0]
    kept = [sample for index, sample in enumerate(samples) if index % HELD_OUT]
    unit = "microseconds" if device == "host" else "aarch64 instructions"
    write_table(path, device, unit, "held out", kept)
    errors = speedup_errors(path, held)
    facts = machine_facts()
    emulated = "Cortex-A76 emulated by qemu, NEON kernels"
    where = f"{facts['processor']}, libtfprune {facts['libtfprune']}" if device == "host" else emulated
    found = f"median {np.median(errors):.0%}, 90 % of layers within {np.quantile(errors, 0.9):.0%}"
    source = (
        f"benchmarks/fit_costs.py --device {device}: {len(samples)} layers against LiteRT {facts['LiteRT']} with "
        f"XNNPACK, one thread, on {where}; error of the predicted speed-up on {len(held)} held-out layers: {found}"
    )
    write_table(path, device, unit, source, samples)
    click.echo(source)


if __name__ == "__main__":
    main()
