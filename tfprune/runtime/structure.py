# SPDX-License-Identifier: Apache-2.0
"""Checks that bytes have the structure of a TFLite FlatBuffer before anything unpacks them.

The generated Python reader and LiteRT trust every offset and length: on a corrupt file one raises all sorts of errors,
or loops over millions of elements that are not there, and the other crashes. Here every table, field, vector and
string that the schema names is checked against the file's size first, and their number and bytes against what so many
bytes can hold.
"""

from __future__ import annotations

import dataclasses
import struct

from tfprune.errors import ModelError
from tfprune.runtime import schema_layout
from tfprune.runtime.schema_layout import Field

_U16 = struct.Struct("<H")
_I32 = struct.Struct("<i")
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")
_FILE_IDENTIFIER = b"TFL3"
# Lists that several tables share are read once for each: the sum may exceed the file, but not without limit.
_MOST_SHARING, _ALWAYS_ALLOWED = 16, 1 << 20
# An offset of 0 or 1 means that the data are not behind the FlatBuffer.
_LEAST_OFFSET = 2
_OUTSIDE = {"Buffer": ("Offset", "Size"), "Operator": ("LargeCustomOptionsOffset", "LargeCustomOptionsSize")}


@dataclasses.dataclass(frozen=True)
class Structure:
    """What the walk over a file found.

    Attributes:
        end: where the last byte that the schema knows of ends.
        newer: a field that the schema in use does not know, such as ``"field 15 of Operator"``, or None.
    """

    end: int
    newer: str | None


def check_structure(data: bytes, subject: str) -> Structure:
    """Checks offsets and lengths of every table, vector and string of the schema, and of data behind the FlatBuffer.

    Args:
        data: the whole file.
        subject: what the file is, for messages.

    Raises:
        ModelError: not a TFLite file, cut off or corrupt.
    """
    if len(data) < 8 or data[4:8] != _FILE_IDENTIFIER:
        raise ModelError(
            f"{subject}: a .tflite file has the bytes {_FILE_IDENTIFIER!r} at offset 4, got {bytes(data[4:8])!r} "
            f"in {len(data)} bytes; pass a Keras model, a .keras file, a SavedModel folder or a .tflite file"
        )
    return _Walker(data, subject).walk()


class _Walker:
    def __init__(self, data: bytes, subject: str) -> None:
        self._data = data
        self._subject = subject
        # A table of its own takes at least 4 bytes; shared tables make a file smaller, but not without limit.
        self._tables_left = len(data) // 4 + 64
        self._bytes_left = _MOST_SHARING * len(data) + _ALWAYS_ALLOWED
        self._pending: list[tuple[str, int]] = []
        self._end = 8
        self._newer: str | None = None

    def walk(self) -> Structure:
        self._pending = [("Model", self._offset(0))]
        while self._pending:
            self._table(*self._pending.pop())
        return Structure(self._end, self._newer)

    def _table(self, name: str, position: int) -> None:
        self._tables_left -= 1
        if self._tables_left < len(self._pending):
            self._fail("holds more tables than its size allows")
        slots, size = self._slots(position)
        known = schema_layout.table(name)
        places = [position + offset if offset else 0 for offset in slots]
        for number in range(known.slots, len(places)):
            if places[number]:
                self._newer = self._newer or f"field {number} of {name}"
        for field in known.fields:
            place = places[field.slot] if field.slot < len(places) else 0
            if not place:
                continue
            if place + (field.item_bytes if field.kind == "scalar" else 4) > position + size:
                self._fail(f"holds a table at byte {position} whose fields run past its end")
            if field.kind != "scalar":
                self._follow(name, field, place, places)
        if name in _OUTSIDE:
            self._check_outside(name, places)

    def _slots(self, position: int) -> tuple[tuple[int, ...], int]:
        """Offsets of a table's fields, 0 for those it leaves out, and its bytes."""
        vtable = position - self._read(_I32, position)
        vtable_bytes = self._read(_U16, vtable)
        if vtable_bytes < 4 or vtable_bytes % 2 or vtable + vtable_bytes > len(self._data):
            self._fail(f"holds a table at byte {position} without a valid layout")
        size = self._read(_U16, vtable + 2)
        if size < 4 or position + size > len(self._data):
            self._fail(f"holds a table at byte {position} that runs past its end")
        self._end = max(self._end, vtable + vtable_bytes, position + size)
        return struct.unpack_from(f"<{vtable_bytes // 2 - 2}H", self._data, vtable + 4), size

    def _follow(self, name: str, field: Field, place: int, places: list[int]) -> None:
        target = self._offset(place)
        if field.kind == "vector":
            self._vector(target, field.item_bytes)
        elif field.kind == "string":
            # C++ readers stop at the zero byte behind the text, which is not counted.
            end = target + 4 + self._vector(target, 1)
            if self._data[end : end + 1] != b"\0":
                self._fail(f"holds a text at byte {target} without an end")
            self._end = max(self._end, end + 1)
        elif field.kind == "table":
            self._pending.append((field.target, target))
        elif field.kind == "tables":
            count = self._vector(target, 4)
            self._pending += [(field.target, self._offset(target + 4 + 4 * index)) for index in range(count)]
        else:
            # A union's type stands in the slot before it.
            kind = places[field.slot - 1]
            number = self._data[kind] if kind else 0
            found = schema_layout.union_table(field.target, number)
            if found is None:
                self._newer = self._newer or f"type {number} of {field.name} of {name}"
            elif number:
                self._pending.append((found, target))

    def _check_outside(self, name: str, places: list[int]) -> None:
        slots = [schema_layout.slot(name, field) for field in _OUTSIDE[name]]
        offset, size = (self._read(_U64, places[slot]) if slot < len(places) and places[slot] else 0 for slot in slots)
        if offset < _LEAST_OFFSET:
            return
        if offset + size > len(self._data):
            raise ModelError(
                f"{self._subject}: weights must lie inside the file's {len(self._data)} bytes, got {size} bytes at "
                f"offset {offset}; it is cut off or corrupt"
            )
        self._end = max(self._end, offset + size)

    def _fail(self, what: str) -> None:
        raise ModelError(f"{self._subject}: not a readable .tflite file: it {what}; it is cut off or corrupt")

    def _read(self, number: struct.Struct, position: int) -> int:
        if not 0 <= position <= len(self._data) - number.size:
            self._fail(f"points to byte {position} of {len(self._data)}")
        return int(number.unpack_from(self._data, position)[0])

    def _offset(self, position: int) -> int:
        return position + self._read(_U32, position)

    def _vector(self, position: int, item_bytes: int) -> int:
        count = self._read(_U32, position)
        end = position + 4 + count * item_bytes
        if end > len(self._data):
            self._fail(f"holds a list of {count} items at byte {position} that runs past its end")
        self._bytes_left -= count * item_bytes
        if self._bytes_left < 0:
            self._fail("holds more lists than its size allows")
        self._end = max(self._end, end)
        return count
