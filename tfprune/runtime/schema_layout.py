# SPDX-License-Identifier: Apache-2.0
"""The layout of every table of the TFLite schema, asked of the generated writers.

Each generated writer names its slot and the size of what it writes, so the layout that is checked is always that of
the reader in use, options of all operators included, and no second copy of the schema can go out of date.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import re
from typing import Any

_tfl: Any = importlib.import_module("ai_edge_litert.schema_py_generated")
_SCALAR_BYTES = {"Bool": 1, "Byte": 1, "Int8": 1, "Uint8": 1, "Int16": 2, "Uint16": 2, "Int32": 4, "Uint32": 4}
_SCALAR_BYTES |= {"Int64": 8, "Uint64": 8, "Float32": 4, "Float64": 8}

# What pointers lead to, where that is no string and no list of numbers: lists of tables, tables and unions.
_LISTS = {
    ("Model", "OperatorCodes"): "OperatorCode",
    ("Model", "Subgraphs"): "SubGraph",
    ("Model", "Buffers"): "Buffer",
    ("Model", "Metadata"): "Metadata",
    ("Model", "SignatureDefs"): "SignatureDef",
    ("Model", "ExternalBufferGroups"): "ExternalBufferGroup",
    ("Model", "ExternalBuffers"): "ExternalBuffer",
    ("SubGraph", "Tensors"): "Tensor",
    ("SubGraph", "Operators"): "Operator",
    ("Tensor", "VariantTensors"): "VariantSubType",
    ("SparsityParameters", "DimMetadata"): "DimensionMetadata",
    ("SignatureDef", "Inputs"): "TensorMap",
    ("SignatureDef", "Outputs"): "TensorMap",
}
_TABLES = {("Tensor", "Quantization"): "QuantizationParameters", ("Tensor", "Sparsity"): "SparsityParameters"}
_UNIONS = {
    ("QuantizationParameters", "Details"): "QuantizationDetails",
    ("DimensionMetadata", "ArraySegments"): "SparseIndexVector",
    ("DimensionMetadata", "ArrayIndices"): "SparseIndexVector",
    ("Operator", "BuiltinOptions"): "BuiltinOptions",
    ("Operator", "BuiltinOptions2"): "BuiltinOptions2",
}


@dataclasses.dataclass(frozen=True)
class Field:
    """A field of a table.

    Attributes:
        name: as the generated writer calls it.
        slot: its number in the table.
        kind: ``"scalar"``, ``"vector"`` (of numbers), ``"string"``, ``"tables"``, ``"table"`` or ``"union"``.
        item_bytes: bytes of a scalar or of a vector's element.
        target: name of the tables or union it leads to.
    """

    name: str
    slot: int
    kind: str
    item_bytes: int = 4
    target: str = ""


@dataclasses.dataclass(frozen=True)
class Table:
    """A table: its fields and how many slots the schema in use knows."""

    fields: tuple[Field, ...]
    slots: int


class _Recorder:
    """Stands in for a builder and keeps what a generated writer asks of it."""

    def __init__(self) -> None:
        self.asked: tuple[str, tuple[Any, ...]] = ("", ())

    def __getattr__(self, name: str) -> Any:
        def keep(*arguments: Any) -> None:
            self.asked = (name, arguments)

        return keep


def _ask(function: str, *arguments: Any) -> tuple[str, tuple[Any, ...]]:
    recorder = _Recorder()
    getattr(_tfl, function)(recorder, *arguments)
    return recorder.asked


@functools.cache
def table(name: str) -> Table:
    """The layout of a table, by its name in the schema; of its fields the scalars come first."""
    _, (slots,) = _ask(f"{name}Start")
    writers = re.compile(rf"{name}Add([A-Z]\w*)")
    found = [match[1] for match in map(writers.fullmatch, vars(_tfl)) if match]
    fields = (_field(name, field) for field in found)
    return Table(tuple(sorted(fields, key=lambda field: (field.kind != "scalar", field.slot))), int(slots))


def slot(table_name: str, field: str) -> int:
    """Number of a field in its table."""
    return next(item.slot for item in table(table_name).fields if item.name == field)


def _field(name: str, field: str) -> Field:
    writer, arguments = _ask(f"{name}Add{field}", 0)
    number = int(arguments[0])
    if writer != "PrependUOffsetTRelativeSlot":
        return Field(field, number, "scalar", _SCALAR_BYTES[writer.removeprefix("Prepend").removesuffix("Slot")])
    key = (name, field)
    for kind, targets in (("tables", _LISTS), ("table", _TABLES), ("union", _UNIONS)):
        if key in targets:
            return Field(field, number, kind, 4, targets[key])
    start = f"{name}Start{field}Vector"
    if not hasattr(_tfl, start):
        return Field(field, number, "string", 1)
    return Field(field, number, "vector", int(_ask(start, 0)[1][0]))


@functools.cache
def union_table(union: str, number: int) -> str | None:
    """Name of the table that a union holds for a type number; None for a number that the schema does not know."""
    names = {value: name for name, value in vars(getattr(_tfl, union)).items() if isinstance(value, int)}
    return names.get(number)
