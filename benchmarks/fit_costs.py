# SPDX-License-Identifier: Apache-2.0
"""Measures layers and fits a cost table of ``tfprune/costs`` to them.

    python benchmarks/fit_costs.py --device host
    make test-aarch64 && python benchmarks/fit_costs.py --device arm64

The sum of squared *relative* errors is smallest, with every coefficient at least 0 and a multiply-add of a sparse step
at least `CHEAPEST` of a dense one: that tells steps from visits, which every block has both of. A quarter of the
measurements is held out: the table's `source` names the error of the predicted speed-up on them. What was measured
stays in ``build/benchmarks``; a run with the same library goes on there.
"""

from __future__ import annotations

import json
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
from scipy.optimize import lsq_linear

from cost_samples import ENCODINGS, STEPS, Sample, cases, samples
from measure import AARCH64, REPOSITORY, aarch64_instructions, host_microseconds
from one_op import read_layers
from tfprune.costs.predict import LayerShape, PackedShape, predict_dense, predict_sparse, step_parts
from tfprune.costs.table import BLOCK_ENCODINGS, BLOCK_STEP_ROWS, KINDS, TABLE_VERSION, load_table
from tfprune.runtime.machine import machine_facts

SCALARS = ("sparse_layer", "input_value", "column_value", "line", "output_value")
HELD_OUT = 4  # every fourth measurement
#: Least cost of a multiply-add of a sparse step, in those of the dense layer: no kernel multiplies much faster.
CHEAPEST = 0.8
Array = npt.NDArray[np.float64]


def sparse_features(layer: LayerShape, packed: PackedShape) -> list[float]:
    """The counts that the predictor multiplies with SCALARS, the steps and the visits."""
    steps, pixels = [0.0] * len(STEPS), layer.pixels
    for rows, part in step_parts((rows for name, rows in STEPS if name == packed.encoding), packed.rows).items():
        steps[STEPS.index((packed.encoding, rows))] = part * packed.groups * packed.cols * pixels
    visits = [float(packed.visits * pixels * (packed.encoding == name)) for name in BLOCK_ENCODINGS]
    scalars = (1, layer.input_values, packed.used_columns * pixels, packed.lines * pixels, layer.out_channels * pixels)
    return [*map(float, scalars), *steps, *visits]


def relative_fit(features: Array, times: Array, least: Array) -> Array:
    """Coefficients of at least `least` with the smallest sum of squared relative errors."""
    scaled = features / times[:, None]
    norms = np.linalg.norm(scaled, axis=0)
    norms[norms == 0] = 1
    found = lsq_linear(scaled / norms, np.ones(len(times)), bounds=(least * norms, np.inf), method="bvls")
    coefficients: Array = found.x / norms
    return coefficients


def fit_kind(found: list[Sample]) -> dict[str, Any]:
    """The coefficients of one kind of layer."""
    dense = relative_fit(
        np.array([[1.0, sample.layer.macs] for sample in found]),
        np.array([sample.dense for sample in found]),
        np.zeros(2),
    )
    features = np.array([sparse_features(sample.layer, sample.packed) for sample in found])
    least = np.zeros(features.shape[1])
    least[len(SCALARS) :][: len(STEPS)] = [CHEAPEST * dense[1] * rows for _, rows in STEPS]
    sparse = relative_fit(features, np.array([sample.sparse for sample in found]), least)
    rounded = [float(f"{value:.4g}") for value in (*dense, *sparse)]
    steps = dict(zip(STEPS, rounded[2 + len(SCALARS) :], strict=False))
    for name in BLOCK_ENCODINGS:
        # What the fit could not tell from the visits costs as much as with fewer rows.
        for fewer, rows in pairwise(BLOCK_STEP_ROWS):
            steps[name, rows] = max(steps[name, fewer], steps[name, rows])
    return {
        "dense_layer": rounded[0],
        "dense_mac": rounded[1],
        **dict(zip(SCALARS, rounded[2:], strict=False)),
        "step": {name: {str(rows): steps[name, rows] for step, rows in STEPS if step == name} for name in ENCODINGS},
        "visit": dict(zip(BLOCK_ENCODINGS, rounded[-len(BLOCK_ENCODINGS) :], strict=True)),
    }


def write_table(path: Path, name: str, unit: str, source: str, found: list[Sample]) -> None:
    """Fits every kind and writes the table."""
    kinds = {kind: fit_kind([sample for sample in found if sample.layer.kind == kind]) for kind in KINDS}
    float32 = {"source": source, "kinds": kinds, "stock_ops": {}}
    table = {"version": TABLE_VERSION, "name": name, "unit": unit, "precisions": {"float32": float32}}
    path.write_text(json.dumps(table, indent=2) + "\n")


def speedup_errors(path: Path, found: list[Sample]) -> Array:
    """Relative errors of the predicted speed-up."""
    table = load_table(path)
    predicted = [predict_dense(table, one.layer) / predict_sparse(table, one.layer, one.packed) for one in found]
    errors: Array = np.abs(np.array(predicted) / np.array([one.dense / one.sparse for one in found]) - 1)
    return errors


@click.command()
@click.option("--device", type=click.Choice(["host", "arm64"]), required=True)
@click.option("--root", default=AARCH64 / "root", type=Path, help="A root of tools/aarch64/make_root.sh.")
@click.option("--library", default=AARCH64 / "libtfprune.so", type=Path, help="libtfprune for arm64.")
@click.option("--layers", default=REPOSITORY / "benchmarks/shapes/layers.txt", type=Path)
@click.option("--output", type=Path, help="Default: the table of the package.")
def main(device: str, root: Path, library: Path, layers: Path, output: Path | None) -> None:
    """Measures, fits with a part held out, reports the error there, then fits on everything and writes the table."""
    measured = REPOSITORY / f"build/benchmarks/costs_{device}.json"
    if device == "host":
        found = samples(cases(read_layers(layers)), host_microseconds, measured, None)
    else:
        count = partial(aarch64_instructions, root=root.absolute(), library=library.absolute())
        found = samples(cases(read_layers(layers)), count, measured, library)
    path = output or REPOSITORY / "tfprune/costs/tables" / f"{device}.json"
    held = [sample for index, sample in enumerate(found) if index % HELD_OUT == 0]
    kept = [sample for index, sample in enumerate(found) if index % HELD_OUT]
    unit = "microseconds" if device == "host" else "aarch64 instructions"
    write_table(path, device, unit, "held out", kept)
    errors = speedup_errors(path, held)
    facts = machine_facts()
    emulated = "Cortex-A76 emulated by qemu, NEON kernels"
    where = f"{facts['processor']}, libtfprune {facts['libtfprune']}" if device == "host" else emulated
    error = f"median {np.median(errors):.0%}, 90 % of layers within {np.quantile(errors, 0.9):.0%}"
    source = (
        f"benchmarks/fit_costs.py --device {device}: {len(found)} layers against LiteRT {facts['LiteRT']} with "
        f"XNNPACK, one thread, on {where}; error of the predicted speed-up on {len(held)} held-out layers: {error}"
    )
    write_table(path, device, unit, source, found)
    click.echo(source)


if __name__ == "__main__":
    main()
