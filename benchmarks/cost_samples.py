# SPDX-License-Identifier: Apache-2.0
"""What cost tables are fitted to: layers in every encoding of a precision, each measured dense and sparse."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from rich.progress import track

from integers import Matrix
from measure import Models
from one_op import Layer, block_weights, dense_model, grouped_weights, packed_shape, sparse_model
from results_file import Rows, read_rows, write_rows
from stock_ops import StockLayer, stock_model
from tfprune.converter.plan import CHUNK_ROWS
from tfprune.costs.predict import LayerShape, PackedShape, StockOp
from tfprune.costs.table import steps_of
from tfprune.formats import Encoding

SPARSITIES = (0.5, 0.7, 0.8, 0.9, 0.95)
SAVED = 16  # measurements between two writes of the file
ENCODINGS = {encoding.name.lower(): encoding for encoding in Encoding}
Measure = Callable[[Iterable[Models]], Iterable[tuple[float, ...]]]


class Case(NamedTuple):
    """A layer to be measured; ``rows`` are those of a group, or about those of a block."""

    layer: Layer
    precision: str
    encoding: str
    rows: int
    cols: int
    sparsity: float
    seed: int

    def __str__(self) -> str:
        """What tells it from other cases of its precision."""
        size = f"{self.rows}x{self.cols}" if self.cols > 1 else f"{self.rows}"
        return f"{self.layer}, {self.encoding} {size}, {self.sparsity}, seed {self.seed}"


class Sample(NamedTuple):
    """A measured layer; times in the table's unit."""

    layer: LayerShape
    packed: PackedShape
    dense: float
    sparse: float


class StockSample(NamedTuple):
    """A measured stock op; its time in the table's unit."""

    op: StockOp
    time: float


def step_rows(precision: str) -> list[tuple[str, int]]:
    """Every step of a precision: name and rows."""
    return [(name, rows) for name, sizes in steps_of(precision).items() for rows in sizes]


def cases(layers: list[Layer], precision: str, share: int = 1) -> list[Case]:
    """Each layer with every `share`-th of the group and block sizes, the sparsities in turn."""
    turns = [
        (layer, precision, name.removesuffix("_quads"), rows, 4 if name.endswith("_quads") else 1)
        for layer in layers
        for name, rows in step_rows(precision)
        if rows <= layer.out_channels
    ]
    every = [Case(*turn, SPARSITIES[(seed * 7 + seed // 9) % 5], seed) for seed, turn in enumerate(turns)]
    place = {layer: place for place, layer in enumerate(layers)}
    return [case for case in every if (case.seed + place[case.layer]) % share == 0]


def samples(wanted: Sequence[Case], measure: Measure, path: Path, library: Path | None) -> list[Sample]:
    """Measures the cases; see :func:`measured`."""
    rows = measured({str(case): partial(_models, case) for case in wanted}, ("dense", "sparse"), measure, path, library)
    return [Sample(case.layer.costs(case.precision), _shape(case), **rows[str(case)]) for case in wanted]


def stock_samples(
    wanted: Sequence[StockLayer], precision: str, measure: Measure, path: Path, library: Path | None
) -> list[StockSample]:
    """Measures stock ops; see :func:`measured`."""
    models = {str(layer): partial(_stock_models, layer, precision) for layer in wanted}
    rows = measured(models, ("time",), measure, path, library)
    return [StockSample(layer.costs(), **rows[str(layer)]) for layer in wanted]


def measured(
    wanted: Mapping[str, Callable[[], Models]],
    names: Sequence[str],
    measure: Measure,
    path: Path,
    library: Path | None,
) -> Rows:
    """Measures what an earlier run with the same library has not left in ``path``.

    Args:
        wanted: by a name of its own, what makes the models.
        names: of the times of a row.
        measure: measures groups of models.
        path: results file, written every few measurements.
        library: the libtfprune that is measured; None: the one for this machine.
    """
    rows = read_rows(path, library)
    missing = [name for name in wanted if name not in rows]
    for start in track(range(0, len(missing), SAVED), f"{len(missing)} of {len(wanted)}"):
        part = missing[start : start + SAVED]
        for name, times in zip(part, measure([wanted[name]() for name in part]), strict=True):
            rows[name] = dict(zip(names, times, strict=True))
        write_rows(path, rows, library=library)
    return rows


def _stock_models(layer: StockLayer, precision: str) -> Models:
    return (stock_model(layer, precision),)


def _models(case: Case) -> Models:
    """The layer, dense and sparse."""
    weights, encoding, rows = _packing(case)
    sparse = sparse_model(case.layer, weights, encoding, rows, case.cols, case.precision)
    return dense_model(case.layer, weights, case.precision), sparse


def _shape(case: Case) -> PackedShape:
    """The packed weights as the cost tables see them."""
    return packed_shape(case.layer, *_packing(case), case.cols, case.precision)


def _packing(case: Case) -> tuple[Matrix, Encoding, int]:
    """Weights, encoding and its rows."""
    encoding, rows = ENCODINGS[case.encoding], case.rows
    if not encoding.in_blocks:
        return grouped_weights(case.layer, encoding, rows, case.sparsity, case.seed, case.cols), encoding, rows
    weights = block_weights(case.layer, encoding, rows, case.sparsity, case.seed)
    return weights, encoding, min(CHUNK_ROWS, case.layer.out_channels) if encoding == Encoding.BLOCK_ROWS else 1
