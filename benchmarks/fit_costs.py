# SPDX-License-Identifier: Apache-2.0
"""Measures layers and stock ops and fits a precision of a cost table of ``tfprune/costs`` to them.

    python benchmarks/fit_costs.py --device host --precision int8
    make test-aarch64 && python benchmarks/fit_costs.py --device arm64 --precision int8

The sum of squared relative errors is smallest, with every coefficient at least 0 and a multiply-add of a sparse step
at least `CHEAPEST` of a dense one: that tells steps from visits, which every block has both of. A quarter of the
layers, and each stock op in turn, is held out: the table's `source` names the errors on them. What was measured stays
in ``build/benchmarks``; a run with the same library goes on there. What is not fitted stays in the table as it is.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from itertools import compress, pairwise
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
from scipy.optimize import lsq_linear

from cost_samples import Measure, Sample, StockSample, cases, samples, step_rows, stock_samples
from integers import INTEGERS
from measure import AARCH64, REPOSITORY, aarch64_instructions, host_microseconds
from one_op import read_layers
from stock_ops import measurable, read_stock_layers
from tfprune.costs.predict import (
    LayerShape,
    PackedShape,
    SparseWork,
    far_bytes,
    predict_dense,
    predict_sparse,
    sparse_work,
    step_parts,
    stock_time,
)
from tfprune.costs.table import (
    BLOCK_ENCODINGS,
    BLOCK_STEP_ROWS,
    BYTE_STEPS,
    KINDS,
    PRECISIONS,
    STOCK_OPS,
    TABLE_VERSION,
    CostTable,
    StockCosts,
    parse_table,
    steps_of,
)
from tfprune.runtime.machine import machine_facts

MEASURED = ("float32", *INTEGERS)
UNITS = {"host": "microseconds", "arm64": "aarch64 instructions"}
#: Largest error of an answer by the largest magnitude; int8 inputs may differ by a step or two.
RTOL = dict.fromkeys(INTEGERS, 2e-2) | {"float32": 1e-4}
PARTS = ("layers", "stock-ops")
STOCK_MARK = "; beside them "
AGAIN_MARK = "; fitted again "
#: Positions of the planes and of the last quads of int8 kernels, of AVX-512 VNNI and of the dot product.
TILES = {"host": (64, 16), "arm64": (16, 4)}
#: Precisions that run in 16 bits, and the positions of their tiles.
WIDE = ("uint8", "int16")
WIDE_TILES = {"host": (64, 64), "arm64": (32, 32)}
DENSE_SCALARS = ("dense_layer", "dense_mac", "dense_value", "dense_far")
SCALARS = (
    *("sparse_layer", "input_value", "column_value", "line", "line_row", "output_value"),
    *("window", "collected"),
)
ROUNDS = 10
HELD_OUT = 4  # one in so many measurements
#: Least cost of a multiply-add of a sparse step, in those of the dense layer: no kernel multiplies much faster.
CHEAPEST = 0.8
#: That of int16, whose dense kernels are plain loops.
CHEAPEST_INT16 = 0.02
Array = npt.NDArray[np.float64]


def tile_of(device: str, precision: str) -> dict[str, int]:
    """Positions that kernels of pointwise layers compute at once, as the table has them."""
    if steps_of(precision) is not BYTE_STEPS:
        return dict.fromkeys(steps_of(precision), 1)
    tiles = WIDE_TILES if precision in WIDE else TILES
    return {name: tiles[device][name.endswith("_quads")] for name in BYTE_STEPS}


def sparse_features(work: SparseWork, layer: LayerShape, packed: PackedShape) -> list[float]:
    """The counts that the predictor multiplies with SCALARS, the steps and the visits."""
    known, positions = step_rows(layer.precision), work.positions
    steps = [0.0] * len(known)
    for rows, part in step_parts((rows for name, rows in known if name == work.step), packed.rows).items():
        steps[known.index((work.step, rows))] = part * work.columns * positions
    visits = [float(packed.visits * positions * (work.step == block)) for block in _blocks(layer.precision)]
    lines = packed.lines * positions
    each = packed.used_columns * positions, lines, lines * packed.rows, layer.out_channels * layer.pixels
    collecting = work.windows * positions, work.collected * positions
    return [*map(float, (1, layer.input_values, *each, *collecting)), *steps, *visits]


def _blocks(precision: str) -> list[str]:
    return [name for name in steps_of(precision) if name in BLOCK_ENCODINGS]


def relative_fit(features: Array, times: Array, least: Array) -> Array:
    """Coefficients of at least `least` with the smallest sum of squared ``(p - t) / sqrt(p * t)``, p the prediction.

    Too long and too short predictions weigh the same. Each round divides by the prediction of the one before.
    """
    predicted = times
    for _ in range(ROUNDS):
        scaled = features / np.sqrt(times * predicted)[:, None]
        norms = np.linalg.norm(scaled, axis=0)
        norms[norms == 0] = 1
        wanted = np.sqrt(times / predicted)
        found = lsq_linear(scaled / norms, wanted, bounds=(least * norms, np.inf), method="bvls")
        coefficients: Array = np.maximum(found.x / norms, least)  # but for rounding it is above
        predicted = features @ coefficients
    return coefficients


def fit_dense(found: list[Sample], cache_bytes: int | None) -> Array:
    """Coefficients of a dense layer, a multiply-add, an output value and a byte of weights that no cache holds."""
    layers = [sample.layer for sample in found]
    features = np.array([[1.0, one.macs, one.out_channels * one.pixels, far_bytes(cache_bytes, one)] for one in layers])
    return relative_fit(features, np.array([sample.dense for sample in found]), np.zeros(4))


def fit_sparse(found: list[tuple[SparseWork, Sample]], precision: str, dense_mac: float) -> dict[str, Any]:
    """Coefficients of sparse layers of one kind."""
    known, shared = step_rows(precision), shared_steps(precision)
    first, last = len(SCALARS), len(SCALARS) + len(known)
    features = np.array([sparse_features(work, sample.layer, sample.packed) for work, sample in found])
    features = np.hstack([features[:, :first], features[:, first:last] @ shared, features[:, last:]])
    cheapest = CHEAPEST_INT16 if precision == "int16" else CHEAPEST
    least = np.zeros(features.shape[1])
    rows = np.array([[float(size)] for _, size in known])
    least[first : first + shared.shape[1]] = cheapest * dense_mac / (shared / rows).max(axis=0)
    costs = relative_fit(features, np.array([one.sparse for _, one in found]), least)
    rounded = [_rounded(cost) for cost in costs]
    fitted = shared @ costs[first : first + shared.shape[1]]
    seen = shared @ features[:, first : first + shared.shape[1]].any(axis=0) > 0
    steps = with_unseen(dict(zip(known, map(_rounded, fitted), strict=True)), set(compress(known, seen)))
    for name in _blocks(precision):
        # What the fit could not tell from the visits costs as much as with fewer rows.
        for fewer, more in pairwise(BLOCK_STEP_ROWS):
            steps[name, more] = max(steps[name, fewer], steps[name, more])
    return {
        **dict(zip(SCALARS, rounded, strict=False)),
        "step": {name: {str(rows): steps[name, rows] for rows in sizes} for name, sizes in steps_of(precision).items()},
        "visit": dict(zip(_blocks(precision), rounded[first + shared.shape[1] :], strict=True)),
    }


def with_unseen(steps: dict[tuple[str, int], float], seen: set[tuple[str, int]]) -> dict[tuple[str, int], float]:
    """The steps, those without any sample as dear as those of more rows, or else as the rows of those of fewer."""
    filled = dict(steps)
    for name, rows in steps.keys() - seen:
        sizes = sorted(size for each, size in seen if each == name)
        if not sizes:
            raise SystemExit(f"no layer of the sample has steps of {name}: measure a larger share")
        near = next((size for size in sizes if size > rows), sizes[-1])
        filled[name, rows] = steps[name, near] * max(1, rows / near)
    return filled


def shared_steps(precision: str) -> Array:
    """What of each unknown of the fit is in each step, ``[steps, unknowns]``.

    Each step is an unknown of its own, but for kernels in 16 bits, which take four rows at once however they are
    stored: there the unknowns are one, two and four rows.
    """
    known = step_rows(precision)
    if precision not in WIDE:
        return np.eye(len(known))
    return np.array([[rows / size if size == min(rows, 4) else 0.0 for size in (1, 2, 4)] for _, rows in known])


def fit_kinds(
    found: list[Sample], tile: dict[str, int], precision: str, cache_bytes: int | None, kinds: Sequence[str]
) -> dict[str, Any]:
    """The coefficients of the kinds of layers."""
    worked = [(sparse_work(tile, sample.layer, sample.packed), sample) for sample in found]
    fitted = {}
    for kind in kinds:
        dense = fit_dense([sample for sample in found if sample.layer.kind == kind], cache_bytes)
        # Layers that run as another kind, but for their largest groups, say nothing of either.
        own = [(work, sample) for work, sample in worked if work.kind == sample.layer.kind == kind]
        sparse = fit_sparse(own, precision, dense[1])
        fitted[kind] = {**dict(zip(DENSE_SCALARS, map(_rounded, dense), strict=True)), **sparse}
    return fitted


def _rounded(cost: float) -> float:
    return float(f"{cost:.4g}")


def fit_stock(found: list[StockSample]) -> dict[str, Any]:
    """The coefficients of every stock op that was measured."""
    fitted = {}
    for name in dict.fromkeys(sample.op.name for sample in found):
        same = [sample for sample in found if sample.op.name == name]
        features = np.array([[1.0, sample.op.macs, sample.op.values] for sample in same])
        costs = relative_fit(features, np.array([sample.time for sample in same]), np.zeros(3))
        fitted[name] = dict(zip(("layer", "mac", "value"), map(_rounded, costs), strict=True))
    return fitted


def speedup_errors(table: CostTable, found: list[Sample]) -> Array:
    """Relative errors of the predicted speed-up."""
    predicted = [predict_dense(table, one.layer) / predict_sparse(table, one.layer, one.packed) for one in found]
    errors: Array = np.abs(np.array(predicted) / np.array([one.dense / one.sparse for one in found]) - 1)
    return errors


def held_out(found: list[Any]) -> tuple[list[Any], list[Any]]:
    """All but a random part, and that part."""
    held = np.random.default_rng(0).permutation(len(found)) < len(found) / HELD_OUT
    return list(compress(found, ~held)), list(compress(found, held))


def fit_layers(
    found: list[Sample],
    tile: dict[str, int],
    precision: str,
    cache_bytes: int | None,
    known: dict[str, Any] | None = None,
) -> tuple[dict[str, Any], str]:
    """The coefficients of every kind of layer, and what they were fitted on and how far they are off.

    Kinds that are not among the layers keep the coefficients that are known.
    """
    kept, held = held_out(found)
    kinds = [kind for kind in KINDS if any(sample.layer.kind == kind for sample in found)]
    every = {**(known or {}), **fit_kinds(kept, tile, precision, cache_bytes, kinds)}
    part = {"source": "a part", "tile": tile, "kinds": every, "stock_ops": {}}
    errors = speedup_errors(parse_table(whole("part", "any", cache_bytes, {precision: part}), "part"), held)
    text = f"error of the predicted speed-up on {len(held)} held-out layers: {_spread(errors)}"
    return {**every, **fit_kinds(found, tile, precision, cache_bytes, kinds)}, f"{len(found)} layers, {text}"


def fit_stock_ops(found: list[StockSample]) -> tuple[dict[str, Any], str]:
    """The same of every stock op; there are few of each, so that each is left out once."""
    errors = []
    for left_out in found:
        same = [sample for sample in found if sample.op.name == left_out.op.name and sample is not left_out]
        costs = StockCosts(**fit_stock(same)[left_out.op.name])
        errors.append(abs(stock_time(costs, left_out.op) / left_out.time - 1))
    text = f"error of the predicted time of each from all others: {_spread(np.array(errors))}"
    return fit_stock(found), f"{len(found)} stock ops, {text}"


def _spread(errors: Array) -> str:
    return f"median {np.median(errors):.0%}, 90 % of them within {np.quantile(errors, 0.9):.0%}"


def source_of(earlier: str, kinds: Sequence[str], now: str) -> str:
    """What is said of the layers of a table: of all kinds, and of those that were fitted again since."""
    if set(kinds) == set(KINDS):
        return now
    first, *others = earlier.split(AGAIN_MARK)
    names = ", ".join(kinds)
    return AGAIN_MARK.join([first, *(other for other in others if not other.startswith(names)), f"{names}: {now}"])


def whole(name: str, unit: str, cache_bytes: int | None, precisions: dict[str, Any]) -> dict[str, Any]:
    """A table."""
    return {
        "version": TABLE_VERSION,
        "name": name,
        "unit": unit,
        "cache_bytes": cache_bytes,
        "precisions": precisions,
    }


def second_level_cache() -> int:
    """Bytes of the second-level cache of a core of this machine, as Linux tells them."""
    text = Path("/sys/devices/system/cpu/cpu0/cache/index2/size").read_text().strip()
    return int(text.removesuffix("K")) << 10


def conditions(device: str) -> str:
    """What was measured where."""
    facts = machine_facts()
    here = f"{facts['processor']}, libtfprune {facts['libtfprune']}"
    where = here if device == "host" else "Cortex-A76 emulated by qemu, NEON kernels"
    return f"benchmarks/fit_costs.py --device {device}: LiteRT {facts['LiteRT']} with XNNPACK, one thread, on {where}"


@click.command()
@click.option("--device", type=click.Choice(["host", "arm64"]), required=True)
@click.option("--precision", type=click.Choice(MEASURED), default="float32", show_default=True)
@click.option("--root", default=AARCH64 / "root", type=Path, help="A root of tools/aarch64/make_root.sh.")
@click.option("--library", default=AARCH64 / "libtfprune.so", type=Path, help="libtfprune for arm64.")
@click.option("--layers", default=REPOSITORY / "benchmarks/shapes/layers.txt", type=Path)
@click.option("--stock-ops", default=REPOSITORY / "benchmarks/shapes/stock_ops.txt", type=Path)
@click.option("--share", type=click.IntRange(min=1), default=1, help="Every n-th encoding and size of a layer only.")
@click.option("--kind", "kinds", multiple=True, type=click.Choice(KINDS), default=KINDS, help="Default: all.")
@click.option("--part", "parts", multiple=True, type=click.Choice(PARTS), default=PARTS, help="Default: both.")
@click.option("--op", "names", multiple=True, type=click.Choice(STOCK_OPS), help="Only these stock ops; others stay.")
@click.option("--output", type=Path, help="Default: the table of the package.")
def main(
    device: str,
    precision: str,
    root: Path,
    library: Path,
    layers: Path,
    stock_ops: Path,
    share: int,
    kinds: tuple[str, ...],
    parts: tuple[str, ...],
    names: tuple[str, ...],
    output: Path | None,
) -> None:
    """Measures, fits with a part held out, reports the error there, then fits on everything and writes the table."""
    measure: Measure = host_microseconds
    named = None if device == "host" else library
    if device == "arm64":
        root, library = root.absolute(), library.absolute()
        measure = partial(aarch64_instructions, root=root, library=library, rtol=RTOL[precision])
    path = output or REPOSITORY / "tfprune/costs/tables" / f"{device}.json"
    results = REPOSITORY / "build/benchmarks"
    cache_bytes = second_level_cache() if device == "host" else None
    known = json.loads(path.read_text())["precisions"] if path.exists() else {}
    costs = known.setdefault(precision, {"source": "", "tile": {}, "kinds": {}, "stock_ops": {}})
    costs["tile"] = tile_of(device, precision)
    sources = dict(zip(PARTS, costs["source"].split(STOCK_MARK), strict=False))
    if "layers" in parts:
        wanted = [case for case in cases(read_layers(layers), precision, share) if case.layer.costs().kind in kinds]
        found = samples(wanted, measure, results / f"costs_{device}_{precision}.json", named)
        costs["kinds"], text = fit_layers(found, costs["tile"], precision, cache_bytes, costs["kinds"])
        sources["layers"] = source_of(sources.get("layers", ""), kinds, f"{conditions(device)}; {text}")
    if "stock-ops" in parts:
        stock = [layer for layer in read_stock_layers(stock_ops) if measurable(layer, precision)]
        stock = [layer for layer in stock if not names or layer.name in names]
        ops = stock_samples(stock, precision, measure, results / f"costs_{device}_{precision}_stock.json", named)
        fitted, text = fit_stock_ops(ops)
        costs["stock_ops"] = {**costs["stock_ops"], **fitted} if names else fitted
        later = f"{sources.get('stock-ops')}; later {' and '.join(fitted)}: {text}"
        sources["stock-ops"] = later if names else text
    costs["source"] = STOCK_MARK.join(sources[part] for part in PARTS if part in sources)
    table = whole(device, UNITS[device], cache_bytes, {each: known[each] for each in PRECISIONS if each in known})
    parse_table(table, str(path))
    path.write_text(json.dumps(table, indent=2) + "\n")
    click.echo(costs["source"])


if __name__ == "__main__":
    main()
