# SPDX-License-Identifier: Apache-2.0
"""The columns of a report's table: one list for text, terminal and HTML."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tfprune.tables import short_name

if TYPE_CHECKING:
    from tfprune.converter.report import LayerReport

_NAME_WIDTH = 40
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


@dataclasses.dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        header: the text above it.
        text: the cell of a layer.
        value: what the column is sorted by; None stands last.
        narrow: whether it is shown where there is little room.
        left: whether it holds text, which stands left.
        meaning: what the cells say, for a hint.
    """

    header: str
    text: Callable[[LayerReport], str]
    value: Callable[[LayerReport], float | str | None]
    meaning: str
    narrow: bool = False
    left: bool = False


def amount(value: float | None, digits: int = 3) -> str:
    """``1234567`` as ``1.23M``; ``-`` for None."""
    if value is None:
        return "-"
    for size, prefix in _PREFIXES:
        if abs(value) >= size:
            return f"{value / size:.{digits}g}{prefix}" if abs(value) < 1000 * size else f"{value / size:.0f}{prefix}"
    return f"{value:.{digits}g}"


def kilobytes(size: int | None) -> str:
    """Bytes in thousands; ``-`` for None."""
    return "-" if size is None else f"{size / 1000:.1f}"


def share(value: float | None) -> str:
    """A fraction in percent; ``-`` for None."""
    return "-" if value is None else f"{value:.1%}"


def ratio(value: float | None) -> str:
    """A speed-up; ``-`` for None."""
    return "-" if value is None else f"{value:.2f}x"


def _name(layer: LayerReport) -> str:
    short = short_name(layer.name)
    return short if len(short) <= _NAME_WIDTH else f"{short[: _NAME_WIDTH - 1]}…"


def _position(layer: LayerReport) -> float:
    return layer.subgraph * 2**32 + layer.index


def _weight_count(layer: LayerReport) -> float:
    count = 1
    for size in layer.shape:
        count *= size
    return count


COLUMNS: tuple[Column, ...] = (
    Column("#", lambda layer: layer.place, _position, "number of the operator in its subgraph", narrow=True),
    Column("layer", _name, lambda layer: layer.name, "name of the output", narrow=True, left=True),
    Column("op", lambda layer: layer.op, lambda layer: layer.op, "operator in the input file", left=True),
    Column(
        "precision",
        lambda layer: layer.precision or "-",
        lambda layer: layer.precision,
        "type of the weights; dynamic: int8 with float32 activations",
        left=True,
    ),
    Column(
        "weights",
        lambda layer: "x".join(map(str, layer.shape)) or "-",
        _weight_count,
        "shape of the weights",
        narrow=True,
    ),
    Column("zeros", lambda layer: share(layer.sparsity), lambda layer: layer.sparsity, "share of zeros", narrow=True),
    Column(
        "pattern",
        lambda layer: layer.pattern or "-",
        lambda layer: layer.pattern,
        "what the zeros look like",
        narrow=True,
        left=True,
    ),
    Column(
        "verdict",
        lambda layer: layer.verdict,
        lambda layer: layer.verdict,
        "sparse: an op of tfprune; smaller: a smaller stock op; dense: as it was",
        narrow=True,
        left=True,
    ),
    Column(
        "stored as",
        lambda layer: layer.encoding or "-",
        lambda layer: layer.encoding,
        "encoding of the packed weights",
        left=True,
    ),
    Column("fill", lambda layer: share(layer.fill), lambda layer: layer.fill, "stored values that are not zero"),
    Column(
        "kB",
        lambda layer: kilobytes(layer.dense_bytes),
        lambda layer: layer.dense_bytes,
        "dense weights in thousands of bytes",
        narrow=True,
    ),
    Column(
        "packed",
        lambda layer: kilobytes(layer.packed_bytes),
        lambda layer: layer.packed_bytes,
        "packed weights in thousands of bytes",
        narrow=True,
    ),
    Column("MACs", lambda layer: amount(layer.dense_macs), lambda layer: layer.dense_macs, "dense multiply-adds"),
    Column(
        "sparse MACs",
        lambda layer: amount(layer.sparse_macs),
        lambda layer: layer.sparse_macs,
        "stored values times pixels; of a dense layer with the fastest encoding that was priced",
    ),
    Column("time", lambda layer: amount(layer.dense_time), lambda layer: layer.dense_time, "predicted, dense"),
    Column(
        "sparse time",
        lambda layer: amount(layer.sparse_time),
        lambda layer: layer.sparse_time,
        "predicted; of a dense layer with the fastest encoding that was priced",
    ),
    Column(
        "speed-up",
        lambda layer: ratio(layer.predicted_speedup),
        lambda layer: layer.predicted_speedup,
        "predicted dense time / sparse time",
        narrow=True,
    ),
)

#: The columns for little room.
NARROW = tuple(column for column in COLUMNS if column.narrow)


def rows_of(layers: Sequence[LayerReport], columns: Sequence[Column]) -> list[list[str]]:
    """The cells of a table, a row a layer."""
    return [[column.text(layer) for column in columns] for layer in layers]
