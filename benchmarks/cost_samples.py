# SPDX-License-Identifier: Apache-2.0
"""What cost tables are fitted to: layers in every encoding, each measured dense and sparse."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.progress import track

from measure import Models
from one_op import Layer, Matrix, block_weights, dense_model, grouped_weights, packed_shape, sparse_model
from results_file import read_rows, write_rows
from tfprune.converter.plan import CHUNK_ROWS
from tfprune.costs.predict import LayerShape, PackedShape
from tfprune.costs.table import BAND_ROWS, BLOCK_ENCODINGS, BLOCK_STEP_ROWS, SLIDING_ROWS
from tfprune.formats import Encoding

STEPS = (
    [("row_band", rows) for rows in BAND_ROWS]
    + [("sliding_row", rows) for rows in SLIDING_ROWS]
    + [(name, rows) for name in BLOCK_ENCODINGS for rows in BLOCK_STEP_ROWS]
)
SPARSITIES = (0.5, 0.7, 0.8, 0.9, 0.95)
SAVED = 60  # measurements between two writes of the file
ENCODINGS = {encoding.name.lower(): encoding for encoding in Encoding}
Measure = Callable[[Iterable[Models]], Iterable[tuple[float, ...]]]


class Case(NamedTuple):
    """A layer to be measured; ``rows`` are those of a group, or about those of a block."""

    layer: Layer
    encoding: str
    rows: int
    sparsity: float
    seed: int

    def __str__(self) -> str:
        """What tells it from other cases."""
        return f"{self.layer}, {self.encoding} {self.rows}, {self.sparsity}, seed {self.seed}"


class Sample(NamedTuple):
    """A measured layer; times in the table's unit."""

    layer: LayerShape
    packed: PackedShape
    dense: float
    sparse: float


def cases(layers: list[Layer]) -> list[Case]:
    """Each layer with every group and block size, the sparsities in turn."""
    turns = [(layer, *step) for layer in layers for step in STEPS if step[1] <= layer.out_channels]
    return [Case(*turn, SPARSITIES[(seed * 7 + seed // 9) % 5], seed) for seed, turn in enumerate(turns)]


def samples(wanted: Sequence[Case], measure: Measure, path: Path, library: Path | None) -> list[Sample]:
    """Builds and measures the cases that an earlier run with the same library has not left in ``path``."""
    rows = read_rows(path, library)
    missing = [case for case in wanted if str(case) not in rows]
    for start in track(range(0, len(missing), SAVED), f"{len(missing)} of {len(wanted)} layers"):
        part = missing[start : start + SAVED]
        for case, times in zip(part, measure([_models(case) for case in part]), strict=True):
            rows[str(case)] = dict(zip(("dense", "sparse"), times, strict=True))
        write_rows(path, rows, library=library)
    return [Sample(case.layer.costs(), _shape(case), **rows[str(case)]) for case in wanted]


def _models(case: Case) -> Models:
    """The layer, dense and sparse."""
    weights, encoding, rows = _packing(case)
    return dense_model(case.layer, weights), sparse_model(case.layer, weights, encoding, rows)


def _shape(case: Case) -> PackedShape:
    """The packed weights as the cost tables see them."""
    return packed_shape(case.layer, *_packing(case))


def _packing(case: Case) -> tuple[Matrix, Encoding, int]:
    """Weights, encoding and its rows."""
    encoding, rows = ENCODINGS[case.encoding], case.rows
    make = block_weights if encoding.in_blocks else grouped_weights
    weights = make(case.layer, encoding, rows, case.sparsity, case.seed)
    if encoding.in_blocks:
        rows = min(CHUNK_ROWS, case.layer.out_channels) if encoding == Encoding.BLOCK_ROWS else 1
    return weights, encoding, rows
