# SPDX-License-Identifier: Apache-2.0
"""Checks that bytes have the structure of a TFLite FlatBuffer before anything unpacks them.

The generated Python reader trusts every offset and length: on a corrupt file it raises all sorts of errors, or loops
over millions of elements that are not there. Here every table, vector and string that the schema names is checked
against the file's size first, and the number of tables against what so many bytes can hold.
"""

from __future__ import annotations

import struct

from tfprune.errors import ModelError

_U16 = struct.Struct("<H")
_I32 = struct.Struct("<i")
_U32 = struct.Struct("<I")

# Tables of the schema by field slot: ("vector", bytes of an element), ("tables", type), ("table", type).
_STRING = ("vector", 1)
_BYTES = ("vector", 1)
_INTS = ("vector", 4)
_LONGS = ("vector", 8)
_UNION = ("table", "Union")
_TABLES: dict[str, dict[int, tuple[str, int | str]]] = {
    "Model": {
        1: ("tables", "OperatorCode"),
        2: ("tables", "SubGraph"),
        3: _STRING,
        4: ("tables", "Buffer"),
        5: _INTS,
        6: ("tables", "Metadata"),
        7: ("tables", "SignatureDef"),
        8: ("tables", "ExternalBufferGroup"),
        9: ("tables", "ExternalBuffer"),
    },
    "OperatorCode": {1: _STRING},
    "SubGraph": {0: ("tables", "Tensor"), 1: _INTS, 2: _INTS, 3: ("tables", "Operator"), 4: _STRING},
    "Tensor": {
        0: _INTS,
        3: _STRING,
        4: ("table", "Quantization"),
        6: ("table", "Sparsity"),
        7: _INTS,
        9: ("tables", "VariantSubType"),
    },
    "Quantization": {0: _INTS, 1: _INTS, 2: _INTS, 3: _LONGS, 5: _UNION},
    "Sparsity": {0: _INTS, 1: _INTS, 2: ("tables", "DimensionMetadata")},
    "DimensionMetadata": {3: _UNION, 5: _UNION},
    "VariantSubType": {0: _INTS},
    "Operator": {1: _INTS, 2: _INTS, 4: _UNION, 5: _BYTES, 7: _BYTES, 8: _INTS, 12: _UNION},
    "Buffer": {0: _BYTES},
    "Metadata": {0: _STRING},
    "SignatureDef": {0: ("tables", "TensorMap"), 1: ("tables", "TensorMap"), 2: _STRING},
    "TensorMap": {0: _STRING},
    "ExternalBufferGroup": {0: _STRING},
    "ExternalBuffer": {4: _STRING},
    "Union": {},
}
_FILE_IDENTIFIER = b"TFL3"


class _Walker:
    def __init__(self, data: bytes, subject: str) -> None:
        self._data = data
        self._subject = subject
        # A table of its own takes at least 4 bytes; shared tables make a file smaller, but not without limit.
        self._tables_left = len(data) // 4 + 64

    def walk(self) -> None:
        pending = [("Model", self._offset(0))]
        while pending:
            kind, position = pending.pop()
            self._tables_left -= 1
            if self._tables_left < 0:
                self._fail("holds more tables than its size allows")
            for slot, (what, item) in _TABLES[kind].items():
                field = self._field(position, slot)
                if field is None:
                    continue
                target = self._offset(field)
                if isinstance(item, int):
                    self._vector(target, item)
                elif what == "table":
                    pending.append((item, target))
                else:
                    count = self._vector(target, 4)
                    pending += [(item, self._offset(target + 4 + 4 * index)) for index in range(count)]
                    if len(pending) > self._tables_left:
                        self._fail("holds more tables than its size allows")
            self._field(position, 0)

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
        if position + 4 + count * item_bytes > len(self._data):
            self._fail(f"holds a list of {count} items at byte {position} that runs past its end")
        return count

    def _field(self, table: int, slot: int) -> int | None:
        """Position of a field, or None where the table leaves it out."""
        vtable = table - self._read(_I32, table)
        vtable_bytes = self._read(_U16, vtable)
        if vtable_bytes < 4 or vtable + vtable_bytes > len(self._data):
            self._fail(f"holds a table at byte {table} without a valid layout")
        table_bytes = self._read(_U16, vtable + 2)
        if table + table_bytes > len(self._data):
            self._fail(f"holds a table at byte {table} that runs past its end")
        if 4 + 2 * slot + 2 > vtable_bytes:
            return None
        offset = self._read(_U16, vtable + 4 + 2 * slot)
        return table + offset if offset else None


def check_structure(data: bytes, subject: str) -> None:
    """Checks offsets and lengths of every table, vector and string of the schema.

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
    _Walker(data, subject).walk()
