# SPDX-License-Identifier: Apache-2.0
"""What cost tables are fitted to: layers in every encoding of a precision, dense and sparse, and stock ops."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from tfprune.converter.plan import CHUNK_ROWS
from tfprune.costs.predict import LayerShape, PackedShape, StockOp
from tfprune.costs.table import steps_of
from tfprune.formats import Encoding
from tfprune.mapping.profiling.integers import Matrix
from tfprune.mapping.profiling.layer_sizes import LayerSizes
from tfprune.mapping.profiling.one_op import dense_model, sparse_model
from tfprune.mapping.profiling.op_row import in_a_row, row_length
from tfprune.mapping.profiling.random_weights import block_weights, grouped_weights, packed_shape
from tfprune.mapping.profiling.saved import Measurements, Rows
from tfprune.mapping.profiling.stock_ops import stock_model
from tfprune.mapping.profiling.stock_sizes import StockLayer
from tfprune.mapping.profiling.timing import Models

SPARSITIES = (0.5, 0.7, 0.8, 0.9, 0.95)
ENCODINGS = {encoding.name.lower(): encoding for encoding in Encoding}
#: Takes groups of files and gives what each file of each group takes, in the unit of a table; a group runs in turns.
Measure = Callable[[Iterable[Models]], Iterable[tuple[float, ...]]]
#: The smallest op, of which a model's time is hardly more than the call of it.
TINY = StockLayer("elementwise", (1, 1, 1, 8), 8, 1, 1, 1, "ADD")
#: A layer takes at least this share of the time of its model: less is lost in the noise of the call.
LEAST_SHARE = 0.1
#: Is told how many of how many measurements are done.
Tell = Callable[[int, int], None]


class Case(NamedTuple):
    """A layer to be measured; ``rows`` are those of a group, or about those of a block."""

    layer: LayerSizes
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


def cases(layers: list[LayerSizes], precision: str, share: int = 1) -> list[Case]:
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


def silent(done: int, of: int) -> None:
    """Tells nobody."""


class Bench:
    """Measures on one target, and keeps what it measured.

    Args:
        layers: times groups of files that must give the same answer.
        ops: times groups of files that need not.
        saved: what is known already; written with every measurement.
        batch: measurements that are made at once.
    """

    def __init__(self, layers: Measure, ops: Measure, saved: Measurements, batch: int = 16) -> None:
        self.saved = saved
        self._layers = layers
        self._ops = ops
        self._batch = batch

    def samples(self, wanted: Sequence[Case], tell: Tell = silent) -> list[Sample]:
        """Measures layers; what the call of a model takes is no part of their times."""
        self._measure(
            {str(case): partial(case_models, case) for case in wanted}, ("dense", "sparse"), self._layers, tell
        )
        call = self.call() if wanted else 0.0
        found = []
        for case in wanted:
            row = self.saved.rows[str(case)]
            times = {name: max(time - call, LEAST_SHARE * time) for name, time in row.items()}
            found.append(Sample(case.layer.costs(case.precision), case_shape(case), **times))
        return found

    def stock_samples(self, wanted: Sequence[StockLayer], precision: str, tell: Tell = silent) -> list[StockSample]:
        """Measures stock ops, each as one and in a row: what the call of a model takes is no part of the difference.

        An op whose row takes no longer than one of it is left out: no clock could tell.
        """
        models = {str(layer): partial(_row, layer, precision) for layer in wanted}
        self._measure(models, ("one", "row"), self._ops, tell)
        found = []
        for layer in wanted:
            row = self.saved.rows[str(layer)]
            if row["row"] > row["one"]:
                count = row_length(layer.in_shape, layer.out_shape)
                found.append(StockSample(layer.costs(), (row["row"] - row["one"]) / (count - 1)))
        return found

    def times(self, wanted: Mapping[str, Callable[[], Models]], names: Sequence[str], tell: Tell = silent) -> Rows:
        """Measures other files: by a name of its own what makes a group of them, and names of their times."""
        self._measure(wanted, names, self._ops, tell)
        return {name: self.saved.rows[name] for name in wanted}

    def call(self) -> float:
        """What the call of a model takes besides its op."""
        self._measure({str(TINY): partial(_row, TINY, "float32")}, ("one", "row"), self._ops, silent)
        one, row = (self.saved.rows[str(TINY)][name] for name in ("one", "row"))
        each = (row - one) / (row_length(TINY.in_shape, TINY.out_shape) - 1)
        return max(0.0, one - max(0.0, each))

    def _measure(
        self, wanted: Mapping[str, Callable[[], Models]], names: Sequence[str], measure: Measure, tell: Tell
    ) -> None:
        """Measures what has not been saved yet: what makes the models, by name, and the names of their times."""
        missing = [name for name in wanted if name not in self.saved.rows]
        for start in range(0, len(missing), self._batch):
            part = missing[start : start + self._batch]
            for place, (name, times) in enumerate(zip(part, measure([wanted[name]() for name in part]), strict=True)):
                self.saved.rows[name] = dict(zip(names, times, strict=True))
                self.saved.write()
                tell(start + place + 1, len(missing))


def _row(layer: StockLayer, precision: str) -> Models:
    """The op, and a row of it."""
    one = stock_model(layer, precision)
    return one, in_a_row(one)


def case_models(case: Case) -> Models:
    """The layer, dense and sparse."""
    weights, encoding, rows = _packing(case)
    sparse = sparse_model(case.layer, weights, encoding, rows, case.cols, case.precision)
    return dense_model(case.layer, weights, case.precision), sparse


def case_shape(case: Case) -> PackedShape:
    """The packed weights as the cost tables see them."""
    return packed_shape(case.layer, *_packing(case), case.cols, case.precision)


def _packing(case: Case) -> tuple[Matrix, Encoding, int]:
    """Weights, encoding and its rows."""
    encoding, rows = ENCODINGS[case.encoding], case.rows
    if not encoding.in_blocks:
        return grouped_weights(case.layer, encoding, rows, case.sparsity, case.seed, case.cols), encoding, rows
    weights = block_weights(case.layer, encoding, rows, case.sparsity, case.seed)
    return weights, encoding, min(CHUNK_ROWS, case.layer.out_channels) if encoding == Encoding.BLOCK_ROWS else 1
