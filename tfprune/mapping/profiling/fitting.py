# SPDX-License-Identifier: Apache-2.0
"""Coefficients of a cost table from measured layers and stock ops.

The sum of squared relative errors is smallest, with every coefficient at least 0 and a multiply-add of a sparse step at
least `CHEAPEST` of a dense one: that tells steps from visits, which every block has both of.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from itertools import compress, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.costs.predict import LayerShape, PackedShape, SparseWork, far_bytes, sparse_work, step_parts
from tfprune.costs.table import BLOCK_ENCODINGS, BLOCK_STEP_ROWS, BYTE_STEPS, KindCosts, StockCosts, steps_of
from tfprune.errors import ProfileError
from tfprune.mapping.profiling.samples import Sample, StockSample, step_rows

#: Positions of the planes and of the last quads of int8 kernels: of AVX-512 VNNI, and of Arm's dot product.
TILES = {False: (64, 16), True: (16, 4)}
#: Precisions that run in 16 bits, and the positions of their tiles.
WIDE = ("uint8", "int16")
WIDE_TILES = {False: (64, 64), True: (32, 32)}
DENSE_SCALARS = ("dense_layer", "dense_mac", "dense_value", "dense_far")
SCALARS = (
    *("sparse_layer", "input_value", "column_value", "line", "line_row", "output_value"),
    *("window", "collected"),
)
ROUNDS = 10
#: Least cost of a multiply-add of a sparse step, in those of the dense layer: no kernel multiplies much faster.
CHEAPEST = 0.8
#: That of int16, whose dense kernels are plain loops.
CHEAPEST_INT16 = 0.02
#: Least cost of a dense multiply-add, in that of the layer whose multiply-adds take least.
LEAST_MAC = 0.01
_NOTHING = 1e-14
#: How firmly a coefficient is held to that of a device like the measured one.
PRIOR_STRENGTH = 0.5
Array = npt.NDArray[np.float64]


def bounded_least_squares() -> Callable[..., Any]:
    """SciPy's solver.

    Raises:
        ProfileError: SciPy is not installed.
    """
    try:
        from scipy.optimize import lsq_linear
    except ImportError as error:
        raise ProfileError(
            "a profile is fitted with SciPy, which is not installed; pip install tfprune[search]"
        ) from error
    solver: Callable[..., Any] = lsq_linear
    return solver


def tile_of(arm: bool, precision: str) -> dict[str, int]:
    """Positions that kernels of pointwise layers compute at once, of aarch64 or of x86-64, as the table has them."""
    if steps_of(precision) is not BYTE_STEPS:
        return dict.fromkeys(steps_of(precision), 1)
    tiles = WIDE_TILES if precision in WIDE else TILES
    return {name: tiles[arm][name.endswith("_quads")] for name in BYTE_STEPS}


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


def relative_fit(features: Array, times: Array, least: Array, prior: Array | None = None) -> Array:
    """Coefficients of at least `least` with the smallest sum of squared ``(p - t) / sqrt(p * t)``, p the prediction.

    Too long and too short predictions weigh the same. Each round divides by the prediction of the one before.

    Args:
        features: counts of work, a row a measurement.
        times: measured.
        least: the smallest values.
        prior: coefficients of a device like this one, as far as they are known, else 0. A coefficient that is twice as
            large, once all are brought to the times of this device, counts as much as a time that is
            ``PRIOR_STRENGTH`` off.
    """
    solver = bounded_least_squares()
    held = np.zeros((0, features.shape[1]))
    if prior is not None and (expected := features @ prior).all():
        scale = np.exp(np.median(np.log(times / expected)))
        places = np.flatnonzero(prior)
        held = np.zeros((len(places), len(prior)))
        held[np.arange(len(places)), places] = PRIOR_STRENGTH / (scale * prior[places])
    predicted = times
    for _ in range(ROUNDS):
        scaled = features / np.sqrt(times * predicted)[:, None]
        scaled = np.vstack([scaled, held])
        norms = np.linalg.norm(scaled, axis=0)
        norms[norms == 0] = 1
        wanted = np.concatenate([np.sqrt(times / predicted), np.full(len(held), PRIOR_STRENGTH)])
        found = solver(scaled / norms, wanted, bounds=(least * norms, np.inf), method="bvls")
        coefficients: Array = np.maximum(found.x / norms, least)  # but for rounding it is above
        predicted = features @ coefficients
    return coefficients


def fit_dense(found: list[Sample], cache_bytes: int | None, prior: KindCosts | None = None) -> Array:
    """Coefficients of a dense layer, a multiply-add, an output value and a byte of weights that no cache holds."""
    layers = [sample.layer for sample in found]
    features = np.array([[1.0, one.macs, one.out_channels * one.pixels, far_bytes(cache_bytes, one)] for one in layers])
    times = np.array([sample.dense for sample in found])
    # A table has no multiply-adds for nothing; every real device spends far more on them.
    least = np.array([0.0, LEAST_MAC * float((times / features[:, 1]).min()), 0.0, 0.0])
    known = None if prior is None else np.array([getattr(prior, name) for name in DENSE_SCALARS])
    return relative_fit(features, times, least, known)


def fit_sparse(
    found: list[tuple[SparseWork, Sample]], precision: str, dense_mac: float, prior: KindCosts | None = None
) -> dict[str, Any]:
    """Coefficients of sparse layers of one kind."""
    known, shared = step_rows(precision), shared_steps(precision)
    first, last = len(SCALARS), len(SCALARS) + len(known)
    features = np.array([sparse_features(work, sample.layer, sample.packed) for work, sample in found])
    features = np.hstack([features[:, :first], features[:, first:last] @ shared, features[:, last:]])
    cheapest = CHEAPEST_INT16 if precision == "int16" else CHEAPEST
    least = np.zeros(features.shape[1])
    rows = np.array([[float(size)] for _, size in known])
    least[first : first + shared.shape[1]] = cheapest * dense_mac / (shared / rows).max(axis=0)
    expected = None if prior is None else _as_unknowns(prior, precision)
    costs = relative_fit(features, np.array([one.sparse for _, one in found]), least, expected)
    own = [rounded(cost) for cost in costs]
    fitted = shared @ costs[first : first + shared.shape[1]]
    seen = shared @ features[:, first : first + shared.shape[1]].any(axis=0) > 0
    steps = with_unseen(dict(zip(known, map(rounded, fitted), strict=True)), set(compress(known, seen)))
    for name in _blocks(precision):
        # What the fit could not tell from the visits costs as much as with fewer rows.
        for fewer, more in pairwise(BLOCK_STEP_ROWS):
            steps[name, more] = max(steps[name, fewer], steps[name, more])
    return {
        **dict(zip(SCALARS, own, strict=False)),
        "step": {name: {str(rows): steps[name, rows] for rows in sizes} for name, sizes in steps_of(precision).items()},
        "visit": dict(zip(_blocks(precision), own[first + shared.shape[1] :], strict=True)),
    }


def _as_unknowns(prior: KindCosts, precision: str) -> Array:
    """Known coefficients in the order of the fit's; those of kernels in 16 bits share steps, which no table has."""
    scalars = [getattr(prior, name) for name in SCALARS]
    known = step_rows(precision)
    steps = [0.0] * shared_steps(precision).shape[1]
    if precision not in WIDE:
        steps = [prior.step[name][rows] for name, rows in known]
    return np.array([*scalars, *steps, *(prior.visit[name] for name in _blocks(precision))])


def with_unseen(steps: dict[tuple[str, int], float], seen: set[tuple[str, int]]) -> dict[tuple[str, int], float]:
    """The steps, those without any sample as dear as those of more rows, or else as the rows of those of fewer."""
    filled = dict(steps)
    for name, rows in steps.keys() - seen:
        sizes = sorted(size for each, size in seen if each == name)
        if not sizes:
            raise ProfileError(f"no layer of the sample has steps of {name}; measure more layers")
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
    found: Sequence[Sample],
    tile: dict[str, int],
    precision: str,
    cache_bytes: int | None,
    kinds: Sequence[str],
    prior: Mapping[str, KindCosts] | None = None,
) -> dict[str, Any]:
    """The coefficients of the kinds of layers; `prior` are those of a device like the measured one."""
    worked = [(sparse_work(tile, sample.layer, sample.packed), sample) for sample in found]
    fitted = {}
    for kind in kinds:
        expected = None if prior is None else prior[kind]
        dense = fit_dense([sample for sample in found if sample.layer.kind == kind], cache_bytes, expected)
        # Layers that run as another kind, but for their largest groups, say nothing of either.
        own = [(work, sample) for work, sample in worked if work.kind == sample.layer.kind == kind]
        sparse = fit_sparse(own, precision, dense[1], expected)
        fitted[kind] = {**dict(zip(DENSE_SCALARS, map(rounded, dense), strict=True)), **sparse}
    return fitted


def rounded(cost: float) -> float:
    """A cost in as many digits as a table has; what the solver leaves of a cost that is at its bound is none."""
    return 0.0 if cost < _NOTHING else float(f"{cost:.4g}")


def fit_stock(found: Sequence[StockSample], prior: Mapping[str, StockCosts] | None = None) -> dict[str, Any]:
    """The coefficients of every stock op that was measured; `prior` are those of a device like the measured one."""
    fitted = {}
    for name in dict.fromkeys(sample.op.name for sample in found):
        same = [sample for sample in found if sample.op.name == name]
        features = np.array([[1.0, sample.op.macs, sample.op.values] for sample in same])
        known = None if prior is None or name not in prior else np.array(dataclasses.astuple(prior[name]))
        costs = relative_fit(features, np.array([sample.time for sample in same]), np.zeros(3), known)
        fitted[name] = dict(zip(("layer", "mac", "value"), map(rounded, costs), strict=True))
    return fitted
