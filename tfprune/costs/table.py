# SPDX-License-Identifier: Apache-2.0
"""Cost tables: coefficients per device and precision, read strictly from JSON."""

from __future__ import annotations

import dataclasses
import json
import os
from importlib import resources
from pathlib import Path
from typing import Any

from tfprune.costs.facts import DeviceFacts, HeldOut, parse_facts, parse_held_out
from tfprune.costs.rules import number, only_keys, refuse, text
from tfprune.errors import ConversionError, NotModelledError

TABLE_VERSION = 4
PRECISIONS = ("float32", "float16", "int8", "dynamic", "uint8", "int16")
KINDS = ("conv_1x1", "conv_kxk", "fully_connected_single", "fully_connected_batch")
BAND_ROWS = (1, 2, 4, 8, 16)
SLIDING_ROWS = (2, 4, 8, 16)
BLOCK_STEP_ROWS = (2, 4, 8, 16)
BLOCK_ENCODINGS = ("block_rows", "block_columns")
#: Names of steps and their rows, of float weights and of int8 weights. Groups of four int8 columns are one operand of a
#: dot product, which others must be put together for: ``*_quads`` are the steps of their columns.
FLOAT_STEPS = {
    "row_band": BAND_ROWS,
    "sliding_row": SLIDING_ROWS,
    "block_rows": BLOCK_STEP_ROWS,
    "block_columns": BLOCK_STEP_ROWS,
}
BYTE_STEPS = {
    "row_band": BAND_ROWS,
    "sliding_row": SLIDING_ROWS,
    "row_band_quads": BAND_ROWS,
    "sliding_row_quads": SLIDING_ROWS,
}
#: What operators cost inside a chain of the delegate; see :mod:`tfprune.costs.chains`.
CHAIN_OPS = (
    "chain_convolution",
    "chain_window",
    "chain_strided_window",
    "chain_depthwise",
    "chain_strided_depthwise",
    "chain_add",
    "chain_pooling",
    "chain_reduction",
    "chain_ends",
)
#: Stock ops that a sparse layer can stand for, those that can be needed to lay values out for a layer, the
#: fully-connected op over weights in TFLite's own sparse encoding, whose multiply-adds are those of the stored weights,
#: and what else is in a network: of a pooling, values written times positions of the window count as multiply-adds, of
#: a reduction values read. Then what the same costs inside of chains.
STOCK_OPS = (
    "depthwise_conv_2d",
    "grouped_conv_2d",
    "transpose_conv",
    "conv_3d",
    "batch_matmul",
    "pad",
    "concatenation",
    "depth_to_space",
    "transpose",
    "slice",
    "sparse_fully_connected_single",
    "sparse_fully_connected_batch",
    "elementwise",
    "activation",
    "pooling",
    "reduction",
    "resize",
    *CHAIN_OPS,
)
_STOCK_SCALARS = ("layer", "mac", "value")
_SCALARS = (
    "dense_layer",
    "dense_mac",
    "dense_value",
    "dense_far",
    "sparse_layer",
    "input_value",
    "column_value",
    "line",
    "line_row",
    "output_value",
    "window",
    "collected",
)


#: Bytes of a dense weight.
WEIGHT_BYTES = {"float32": 4, "float16": 2, "weight_only": 4, "int8": 1, "dynamic": 1, "uint8": 1, "int16": 1}


def steps_of(precision: str) -> dict[str, tuple[int, ...]]:
    """Names of the steps of a precision, each with the rows that a table has."""
    return FLOAT_STEPS if precision in ("float32", "float16", "weight_only") else BYTE_STEPS


@dataclasses.dataclass(frozen=True)
class KindCosts:
    """Coefficients of one kind of layer, all in the table's unit.

    Attributes:
        dense_layer: dense, once per layer.
        dense_mac: dense, per multiply-add.
        dense_value: dense, per output value.
        dense_far: dense, per byte of weights beyond the device's cache.
        sparse_layer: sparse, once per layer.
        input_value: sparse, per input value brought into planar form.
        column_value: sparse, per used column and output pixel.
        line: sparse, per line (band or start row) and output pixel.
        line_row: sparse, per group row of a line and output pixel.
        output_value: sparse, per output value stored.
        window: sparse, per window of columns of a line and output pixel, where inputs are collected by windows.
        collected: sparse, per group column and output pixel, where inputs are collected one by one.
        step: sparse, per group column and output pixel, by name of :func:`steps_of` and group rows.
        visit: sparse, per row of a block and output pixel (its sums are loaded and stored), by encoding name.
    """

    dense_layer: float
    dense_mac: float
    dense_value: float
    dense_far: float
    sparse_layer: float
    input_value: float
    column_value: float
    line: float
    line_row: float
    output_value: float
    window: float
    collected: float
    step: dict[str, dict[int, float]]
    visit: dict[str, float]


@dataclasses.dataclass(frozen=True)
class StockCosts:
    """Coefficients of one stock op, all in the table's unit.

    Attributes:
        layer: once per op.
        mac: per multiply-add.
        value: per output value.
    """

    layer: float
    mac: float
    value: float


@dataclasses.dataclass(frozen=True)
class PrecisionCosts:
    """Coefficients of one precision.

    Attributes:
        source: where they come from.
        held_out: errors on what the fit did not see, by name of :data:`tfprune.costs.facts.PARTS`.
        tile: output positions that kernels of pointwise layers compute at once, by name of :func:`steps_of`: fewer take
            as long. Layers of at most an eighth of ``row_band``'s run position by position.
        kinds: coefficients by kind of layer.
        stock_ops: coefficients by name of :data:`STOCK_OPS`; those that were not fitted are missing.
    """

    source: str
    held_out: dict[str, HeldOut]
    tile: dict[str, int]
    kinds: dict[str, KindCosts]
    stock_ops: dict[str, StockCosts]


@dataclasses.dataclass(frozen=True)
class CostTable:
    """Coefficients of one device. Times are comparable within one table only.

    Attributes:
        name: name of the table, repeated in every verdict that used it.
        unit: what the numbers count.
        cache_bytes: what a core keeps of a layer's weights from run to run; None where the unit knows no caches.
        precisions: coefficients by precision; those that were not fitted are missing.
        device: what was measured.
        general: whether it stands for devices like the one that was measured, and not for that one only.
    """

    name: str
    unit: str
    cache_bytes: int | None
    precisions: dict[str, PrecisionCosts]
    device: DeviceFacts = dataclasses.field(default_factory=DeviceFacts)
    general: bool = True

    def costs(self, precision: str) -> PrecisionCosts:
        """The coefficients of a precision.

        Weight-only layers run as float32 ones do, and float16 ones too where the table has none of its own.

        Raises:
            NotModelledError: the table was not fitted on this precision.
        """
        found = self.precisions.get(precision)
        if found is None and precision in ("float16", "weight_only"):
            found = self.precisions.get("float32")
        if found is None:
            raise NotModelledError(
                f"the cost table {self.name} was not fitted on {precision} layers, only on {', '.join(self.precisions)}"
            )
        return found

    def stock_op(self, precision: str, name: str) -> StockCosts:
        """The coefficients of a stock op.

        Raises:
            NotModelledError: the table was not fitted on this op in this precision.
        """
        found = self.costs(precision).stock_ops.get(name)
        if found is None:
            raise NotModelledError(f"the cost table {self.name} was not fitted on {name} in {precision}")
        return found


def table_names() -> tuple[str, ...]:
    """Names of the tables that come with tfprune."""
    folder = resources.files("tfprune.costs") / "tables"
    return tuple(sorted(item.name[: -len(".json")] for item in folder.iterdir() if item.name.endswith(".json")))


def load_table(device: str | os.PathLike[str] | CostTable, *, argument: str = "device") -> CostTable:
    """Reads a table by name or from a JSON file.

    Args:
        device: a name of :func:`table_names`, such as ``"arm64"`` or ``"host"``, the path of a ``.json`` file, or a
            table, which is returned as it is.
        argument: what the caller calls it, for messages.

    Raises:
        ConversionError: unknown name, unreadable file, or a table that breaks a rule.

    Example:
        >>> load_table("arm64").name
        'arm64'
    """
    if isinstance(device, CostTable):
        return device
    content, where = _read(device, argument)
    try:
        data = json.loads(content)
    except ValueError as error:
        raise ConversionError(f"cost table {where}: must be JSON, got: {error}") from error
    return parse_table(data, where)


def _read(device: str | os.PathLike[str], argument: str) -> tuple[str, str]:
    name = os.fspath(device) if isinstance(device, (str, os.PathLike)) else None
    if not isinstance(name, str):
        raise ConversionError(f"{argument} must be a table name or the path of a JSON file, got {device!r}")
    if name in table_names():
        return (resources.files("tfprune.costs") / "tables" / f"{name}.json").read_text("utf-8"), name
    if not name.endswith(".json"):
        raise ConversionError(
            f"{argument} must be one of {', '.join(table_names())} or the path of a .json cost table, got {name!r}"
        )
    try:
        return Path(name).read_text("utf-8"), name
    except (OSError, ValueError) as error:
        raise ConversionError(f"cost table {name}: cannot be read: {error}") from error


def parse_table(data: Any, where: str) -> CostTable:
    """The table of parsed JSON.

    Args:
        data: what the JSON says.
        where: names it in messages.

    Raises:
        ConversionError: it breaks a rule.
    """
    if isinstance(data, dict) and (data.get("version") != TABLE_VERSION or isinstance(data["version"], bool)):
        refuse(where, f"version must be {TABLE_VERSION}", data.get("version"))
    only_keys(data, {"version", "name", "unit", "general", "cache_bytes", "device", "precisions"}, where, "the table")
    for key in ("name", "unit"):
        text(data[key], where, key)
    cache = data["cache_bytes"]
    if cache is not None and (type(cache) is not int or cache <= 0):
        refuse(where, "cache_bytes must be a whole number above 0 or null", cache)
    if not isinstance(data["general"], bool):
        refuse(where, "general must be true or false", data["general"])
    precisions = data["precisions"]
    if not isinstance(precisions, dict) or not precisions or not set(precisions) <= set(PRECISIONS):
        found = sorted(precisions) if isinstance(precisions, dict) else type(precisions).__name__
        raise ConversionError(
            f"cost table {where}: precisions must be an object with some of {', '.join(PRECISIONS)}, got {found}"
        )
    parsed = {
        name: _parse_precision(precisions[name], steps_of(name), where, f"precisions.{name}") for name in precisions
    }
    facts = parse_facts(data["device"], where)
    return CostTable(data["name"], data["unit"], cache, parsed, facts, data["general"])


def _parse_precision(data: Any, steps: dict[str, tuple[int, ...]], where: str, path: str) -> PrecisionCosts:
    only_keys(data, {"source", "held_out", "tile", "kinds", "stock_ops"}, where, path)
    text(data["source"], where, f"{path}.source")
    only_keys(data["tile"], set(steps), where, f"{path}.tile")
    if not all(type(size) is int and size > 0 for size in data["tile"].values()):
        raise ConversionError(f"cost table {where}: {path}.tile must hold whole numbers above 0, got {data['tile']}")
    only_keys(data["kinds"], set(KINDS), where, f"{path}.kinds")
    kinds = {kind: _parse_kind(data["kinds"][kind], steps, where, f"{path}.kinds.{kind}") for kind in KINDS}
    stock = data["stock_ops"]
    only_keys(stock, set(STOCK_OPS) & set(stock if isinstance(stock, dict) else ()), where, f"{path}.stock_ops")
    ops = {name: _parse_stock(stock[name], where, f"{path}.stock_ops.{name}") for name in stock}
    held_out = parse_held_out(data["held_out"], where, f"{path}.held_out")
    return PrecisionCosts(data["source"], held_out, data["tile"], kinds, ops)


def _parse_stock(data: Any, where: str, path: str) -> StockCosts:
    only_keys(data, set(_STOCK_SCALARS), where, path)
    return StockCosts(**{key: number(data[key], where, f"{path}.{key}") for key in _STOCK_SCALARS})


def _parse_kind(data: Any, steps: dict[str, tuple[int, ...]], where: str, path: str) -> KindCosts:
    only_keys(data, {*_SCALARS, "step", "visit"}, where, path)
    scalars = {key: number(data[key], where, f"{path}.{key}") for key in _SCALARS}
    if not scalars["dense_mac"]:
        raise ConversionError(f"cost table {where}: {path}.dense_mac must be above 0, got {data['dense_mac']}")
    only_keys(data["step"], set(steps), where, f"{path}.step")
    step = {name: _parse_step(data["step"][name], sizes, where, f"{path}.step.{name}") for name, sizes in steps.items()}
    blocks = [name for name in BLOCK_ENCODINGS if name in steps]
    only_keys(data["visit"], set(blocks), where, f"{path}.visit")
    visit = {name: number(data["visit"][name], where, f"{path}.visit.{name}") for name in blocks}
    return KindCosts(**scalars, step=step, visit=visit)


def _parse_step(data: Any, sizes: tuple[int, ...], where: str, path: str) -> dict[int, float]:
    only_keys(data, {str(size) for size in sizes}, where, path)
    step = {size: number(data[str(size)], where, f"{path}.{size}") for size in sizes}
    if not all(step.values()):
        raise ConversionError(f"cost table {where}: {path} must be above 0, got {data}")
    return step
