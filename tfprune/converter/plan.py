# SPDX-License-Identifier: Apache-2.0
"""Chooses the encoding of a layer: every candidate is counted and priced, and dense must be beaten in both."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.converter.capability import Layer, Refused
from tfprune.costs import (
    CostTable,
    LayerShape,
    PackedShape,
    predict_break_even,
    predict_dense,
    predict_layout,
    predict_sparse,
)
from tfprune.costs.table import BAND_ROWS, SLIDING_ROWS
from tfprune.errors import NotModelledError
from tfprune.formats import BlockCount, Encoding, GroupCount, count_blocks, count_groups
from tfprune.formats.blocks import cut_parts, may_pay
from tfprune.formats.cover import row_parts
from tfprune.sparsity.measure import Density

BAND_COLS = (1, 2, 4, 8)
# Largest group size that is looked for beyond the sizes that are always counted.
MOST_ROWS, MOST_COLS = 16, 8
#: What bytes count beside time: of two encodings one that is twice as large must be 15 % faster.
SIZE_WEIGHT = 0.2
# Geometry tensor, options, tables and alignment of a rewritten operator; measured at 380 to 570 bytes with names.
OPERATOR_BYTES = 512
# Share of stored values that must be non-zero for a pattern to be named.
_PATTERN_FILL = 0.95
#: Rows of a chunk of block-rows: kernels cut it further as their registers allow.
CHUNK_ROWS = 16
# Columns of a block for each of its rows, and rows for each load of a column, from which blocks are offered: below,
# they are no better than single weights.
_LEAST_REUSE = 2.0
_ENCODING_NAMES = {encoding: encoding.name.lower() for encoding in Encoding}
# Layers with a window as the cost tables know them: images at least so wide, and rows of at most so many values.
_LEAST_WIDTH, _MOST_ROW_VALUES = 4, 1 << 20
# What encodings are compared on where the file leaves the size of the image open.
_ORDINARY_IMAGE = (28, 28)
#: Why no time is predicted for some layers.
OPEN_IMAGE = (
    "the file leaves the size of the image open, so that no time can be predicted: fix height and width when the model "
    "is exported"
)
_MEASURE = "A min_speedup below 1 converts it all the same: then measure it"
_BLOCK_SIZES = {Encoding.BLOCK_ROWS: CHUNK_ROWS, Encoding.BLOCK_COLUMNS: 1}


@dataclasses.dataclass(frozen=True)
class Plan:
    """An encoding for a layer, with what it is predicted to bring.

    Attributes:
        encoding: how the weights are stored.
        rows: group rows.
        cols: group columns.
        packed_bytes: bytes of packed weights, geometry and what the operator takes more in the file.
        dense_time: predicted time of the dense layer in the table's unit.
        sparse_time: predicted time with this encoding.
        fill: share of the stored values that are not zero; 1 for a matrix without non-zeros.
        break_even: predicted sparsity from which this encoding is as fast as ``min_speedup`` asks; None where none is.
        values: weights stored, the zeros that groups hold included.
        operator_bytes: of `packed_bytes` what is not packed weights: the geometry, above all.
    """

    encoding: Encoding
    rows: int
    cols: int
    packed_bytes: int
    dense_time: float
    sparse_time: float
    fill: float
    break_even: float | None
    values: int = 0
    operator_bytes: int = 0

    @property
    def speedup(self) -> float:
        """Predicted dense time divided by predicted sparse time."""
        return self.dense_time / self.sparse_time if self.sparse_time else float("inf")

    @property
    def encoding_name(self) -> str:
        """Name and group size, such as ``"row_band 4x1"``."""
        return f"{_ENCODING_NAMES[self.encoding]} {self.rows}x{self.cols}"


@dataclasses.dataclass(frozen=True)
class Study:
    """What is known of a layer's zeros.

    Attributes:
        sparsity: share of zeros.
        pattern: what the zeros look like, e.g. ``"row_band 4x1"``, ``"unstructured"``, ``"none"``.
        dense_bytes: bytes of the weights as they are.
        candidates: every encoding that was priced.
        dense_time: predicted time of the dense layer in the table's unit; None where the table does not know it.
        not_modelled: what the cost table lacks for this layer; the times are those of an ordinary float32 layer then,
            and serve to compare encodings only.
    """

    sparsity: float
    pattern: str
    dense_bytes: int
    candidates: tuple[Plan, ...]
    dense_time: float | None = None
    not_modelled: str | None = None


@dataclasses.dataclass(frozen=True)
class _Question:
    """What every encoding of one matrix is priced with."""

    nonzero: npt.NDArray[np.bool_]
    count: int
    sparsity: float
    layer: Layer
    shape: LayerShape
    table: CostTable
    min_speedup: float
    dense_time: float
    used_columns: int
    extra_bytes: int
    repeats: int

    def plan(
        self, encoding: Encoding, size: tuple[int, int], count: BlockCount | GroupCount, packed: PackedShape
    ) -> Plan:
        fill = self.count * self.repeats / count.values if count.values else 1.0
        known = self.table, self.shape, packed
        return Plan(
            encoding=encoding,
            rows=size[0],
            cols=size[1],
            packed_bytes=count.size + self.extra_bytes,
            dense_time=self.dense_time,
            sparse_time=predict_sparse(*known),
            fill=fill,
            break_even=predict_break_even(*known, self.sparsity, self.min_speedup) if packed.groups else 0.0,
            values=count.values,
            operator_bytes=self.extra_bytes,
        )


class NotSmaller(Refused):
    """A layer that would gain time but take no fewer bytes.

    Attributes:
        plan: its encoding of the fewest bytes.
        more_bytes: what the file would grow by, 0 or more.
    """

    def __init__(self, plan: Plan, known: Study) -> None:
        """Names the bytes."""
        # With VALID padding it holds a byte for each position of a window, of a stride, and each output channel.
        geometry = plan.operator_bytes - OPERATOR_BYTES
        more = f", {geometry} of them for the geometry of its window," if 2 * geometry > known.dense_bytes else ""
        super().__init__(
            "not_smaller",
            f"packed {plan.packed_bytes} bytes with {plan.encoding_name}{more}, dense {known.dense_bytes} "
            f"({known.sparsity:.1%} zeros)",
        )
        self.plan = plan
        self.more_bytes = plan.packed_bytes - known.dense_bytes


def study(
    layer: Layer,
    matrix: npt.NDArray[Any],
    dense_bytes: int,
    table: CostTable,
    min_speedup: float,
    *,
    weights: int | None = None,
    repeats: int = 1,
) -> Study:
    """Counts and prices every encoding of a weight matrix.

    Args:
        layer: the layer.
        matrix: its weights ``[R, C]``, or which of them are not zero.
        dense_bytes: bytes of the weights as they are.
        table: coefficients of the device.
        min_speedup: what the break-even of each encoding is asked for.
        weights: number of weights of the dense operator, where the matrix is expanded and has more places.
        repeats: how often the rows of the matrix stand in the layer's, one behind the other.
    """
    nonzero = matrix if matrix.dtype == np.bool_ else matrix != layer.zero_point
    weights = nonzero.size if weights is None else weights
    count = int(np.count_nonzero(nonzero))
    sparsity = Density(count, weights).sparsity
    shape, not_modelled = _modelled(layer, table)
    dense_time = None if not_modelled else predict_dense(table, shape)
    if count == weights:
        return Study(sparsity, "none", dense_bytes, (), dense_time, not_modelled)
    question = _Question(
        nonzero,
        count,
        sparsity,
        layer,
        shape,
        table,
        min_speedup,
        dense_time=predict_dense(table, shape),
        used_columns=int(np.count_nonzero(nonzero.any(axis=0))),
        extra_bytes=OPERATOR_BYTES + int(np.prod(layer.geometry, dtype=object)),
        repeats=repeats,
    )
    candidates = tuple(_price(question, candidate) for candidate in _candidates(nonzero, count))
    counted = ((encoding, _count_blocks(nonzero, encoding, layer)) for encoding in _BLOCK_SIZES)
    candidates += tuple(_price_blocks(question, encoding, blocks) for encoding, blocks in counted if blocks is not None)
    return Study(sparsity, _pattern(nonzero, count, candidates), dense_bytes, candidates, dense_time, not_modelled)


def _modelled(layer: Layer, table: CostTable) -> tuple[LayerShape, str | None]:
    """The layer for the predictor, and what it or the table lacks for a prediction, in words."""
    shape = layer.cost_shape
    if layer.image is None:
        pixels = _ORDINARY_IMAGE[0] * _ORDINARY_IMAGE[1]
        return dataclasses.replace(shape, pixels=pixels, input_values=pixels * layer.spec.in_channels), OPEN_IMAGE
    try:
        predict_dense(table, shape)
        predict_layout(table, shape)
    except NotModelledError as error:
        ordinary = dataclasses.replace(shape, precision="float32", dense_op=None, layout_ops=(), dense_precision=None)
        return ordinary, str(error)
    return shape, None


def choose(layer: Layer, known: Study, min_speedup: float) -> Plan:
    """Returns the encoding with the least time x bytes ** :data:`SIZE_WEIGHT`, of those that are fast and small enough.

    Raises:
        NotSmaller: not small enough.
        Refused: no zeros, not fast enough, or of a shape that the tables say nothing about where ``min_speedup`` asks
            for a gain; with numbers.
    """
    if not known.candidates:
        raise Refused("no_zeros", "no weight is zero")
    if min_speedup >= 1:
        _check_modelled(layer, known)
    fast = _fast(known, min_speedup)
    if not fast:
        best = max(known.candidates, key=lambda plan: plan.speedup)
        raise Refused(
            "too_slow",
            f"predicted {best.speedup:.2f}x with {best.encoding_name}, below min_speedup {min_speedup:g} "
            f"({known.sparsity:.1%} zeros, pattern {known.pattern}); {_pays_from(known.candidates)}",
        )
    small = affordable(known, min_speedup)
    if not small:
        raise NotSmaller(min(fast, key=lambda plan: plan.packed_bytes), known)
    return min(small, key=lambda plan: (plan.sparse_time * plan.packed_bytes**SIZE_WEIGHT, plan.sparse_time))


def affordable(known: Study, min_speedup: float) -> list[Plan]:
    """The encodings that are fast enough and smaller than the dense weights."""
    return [plan for plan in _fast(known, min_speedup) if plan.packed_bytes < known.dense_bytes]


def _fast(known: Study, min_speedup: float) -> list[Plan]:
    return [plan for plan in known.candidates if known.not_modelled or plan.speedup >= min_speedup]


def _check_modelled(layer: Layer, known: Study) -> None:
    """Tables are fitted on images that are larger than the reach of the kernel and whose rows fit a cache."""
    if known.not_modelled:
        raise Refused("not_modelled", f"{known.not_modelled}. {_MEASURE}")
    spec, (height, width) = layer.spec, layer.image or _ORDINARY_IMAGE
    reach = ((spec.kernel_h - 1) * spec.dilation_h, (spec.kernel_w - 1) * spec.dilation_w)
    if reach == (0, 0):
        return
    values = width * spec.kernel_w * spec.in_channels
    if 2 * reach[0] > height or 2 * reach[1] > width:
        found = f"the kernel reaches {reach[0]} rows and {reach[1]} columns further"
    elif width < _LEAST_WIDTH:
        found = f"a row has fewer than {_LEAST_WIDTH} pixels"
    elif values > _MOST_ROW_VALUES:
        found = f"a row takes {values} input values, more than {_MOST_ROW_VALUES}"
    else:
        return
    raise Refused(
        "not_modelled",
        f"an output of {height}x{width}: {found}; the cost tables were not fitted on such shapes. {_MEASURE}",
    )


def _pays_from(candidates: Iterable[Plan]) -> str:
    found = [(plan.break_even, plan) for plan in candidates if plan.break_even is not None]
    if not found:
        return "no sparsity is predicted to be enough"
    sparsity, plan = min(found, key=lambda pair: pair[0])
    return f"predicted to be enough: {sparsity:.0%} zeros in {plan.encoding_name}"


def _candidates(nonzero: npt.NDArray[np.bool_], count: int) -> list[tuple[Encoding, int, int]]:
    """The sizes that are always counted, and bands of the largest other groups that the zeros show."""
    height, width = nonzero.shape
    rows, cols = _band_rows(nonzero, count), _longest_runs(nonzero, MOST_COLS)
    bands = [(band, group) for band in BAND_ROWS if band <= height for group in BAND_COLS if group <= width]
    bands += [size for size in ((rows, 1), (1, cols), (rows, cols)) if size not in bands]
    sliding = [(Encoding.SLIDING_ROW, band, 1) for band in SLIDING_ROWS if band <= height]
    return [(Encoding.ROW_BAND, *size) for size in dict.fromkeys(bands)] + sliding


def _band_rows(nonzero: npt.NDArray[np.bool_], count: int) -> int:
    """Most rows, up to 16, whose aligned bands the non-zeros fill."""
    for rows in range(min(MOST_ROWS, nonzero.shape[0]), 1, -1):
        values = count_groups(nonzero, Encoding.ROW_BAND, rows, 1).values
        if count >= _PATTERN_FILL * values:
            return rows
    return 1


def _longest_runs(lines: npt.NDArray[np.bool_], most: int) -> int:
    """The largest size up to ``most`` whose multiples are the lengths of the runs of True along the lines.

    A run of n takes ceil(n / size) groups; at least 95 % of what they hold must be True.
    """
    runs = np.zeros(1, np.int64)
    for part in row_parts(lines):
        # Closed at their ends, lines can stand one behind the other.
        closed = np.zeros((part.stop - part.start, lines.shape[1] + 1), bool)
        closed[:, :-1] = lines[part]
        edges = np.flatnonzero(np.diff(closed.reshape(-1), prepend=False))
        found = np.bincount(edges[1::2] - edges[::2], minlength=len(runs))
        found[: len(runs)] += runs
        runs = found
    length = np.arange(len(runs))
    filled = int(runs @ length)
    for size in range(min(most, lines.shape[1]), 1, -1):
        if filled >= _PATTERN_FILL * size * int(runs @ -(-length // size)):
            return size
    return 1


def _price(question: _Question, candidate: tuple[Encoding, int, int]) -> Plan:
    encoding, rows, cols = candidate
    layer = question.layer
    part = count_groups(question.nonzero, encoding, rows, cols, layer.value_type, layer.spec.in_channels)
    cost = part.times(question.repeats)
    name = _ENCODING_NAMES[encoding]
    packed = PackedShape(name, rows, cols, cost.lines, cost.groups, question.used_columns, filling=cost.filling)
    return question.plan(encoding, (rows, cols), cost, packed)


def _count_blocks(nonzero: npt.NDArray[np.bool_], encoding: Encoding, layer: Layer) -> BlockCount | None:
    """What blocks would cost; None where they hold too few weights to be worth it, or cannot hold the matrix."""
    in_channels = layer.spec.in_channels
    if not may_pay(nonzero, encoding, in_channels, _LEAST_REUSE):
        return None
    rows = min(_BLOCK_SIZES[encoding], nonzero.shape[0])
    found = count_blocks(cut_parts(nonzero, encoding, in_channels), encoding, rows, layer.value_type)
    return found if found.values >= _LEAST_REUSE * max(found.loads, found.visits) else None


def _price_blocks(question: _Question, encoding: Encoding, part: BlockCount) -> Plan:
    layer, used, cost = question.layer, question.used_columns, part.times(question.repeats)
    rows = min(_BLOCK_SIZES[encoding], layer.spec.out_channels)
    if layer.value_type.quantized:
        # Integers in blocks run as single weights: smaller, and not faster.
        single = count_groups(question.nonzero, Encoding.ROW_BAND, 1, 1, layer.value_type).times(question.repeats)
        name = _ENCODING_NAMES[Encoding.ROW_BAND]
        packed = PackedShape(name, 1, 1, single.lines, cost.values, used, filling=single.filling)
    else:
        step_rows = cost.values / cost.loads
        packed = PackedShape(_ENCODING_NAMES[encoding], step_rows, 1, cost.blocks, cost.loads, used, cost.visits)
    return question.plan(encoding, (rows, 1), cost, packed)


def _pattern(nonzero: npt.NDArray[np.bool_], count: int, candidates: tuple[Plan, ...]) -> str:
    """The largest groups that the non-zeros fill; aligned bands before sliding groups of the same size.

    Sliding groups of sizes that are not among the candidates are named too, although they are not stored as such.
    Blocks, which fill any encoding of theirs, are named where there are no groups.
    """
    if not count:
        return "all zero"
    blocks = [plan for plan in candidates if plan.encoding.in_blocks]
    filled = [plan for plan in candidates if plan.fill >= _PATTERN_FILL and not plan.encoding.in_blocks]
    best = max(
        filled, key=lambda plan: (plan.rows * plan.cols, plan.encoding == Encoding.ROW_BAND, plan.fill), default=None
    )
    # Few weights far apart: fillers between them outnumber them in every encoding.
    size = 1 if best is None else best.rows * best.cols
    rows = _longest_runs(nonzero.T, MOST_ROWS)
    if rows > size:
        return f"{_ENCODING_NAMES[Encoding.SLIDING_ROW]} {rows}x1"
    if best is not None and size > 1:
        return best.encoding_name
    return min(blocks, key=lambda plan: plan.sparse_time).encoding_name if blocks else "unstructured"
