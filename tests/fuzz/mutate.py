# SPDX-License-Identifier: Apache-2.0
"""Changes to ``.tflite`` files: of bytes, of the object tree that they hold, and of packed weights.

Every choice comes from ``choose(low, high)``, which the fuzzing engine or a seeded generator answers.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from tests.models.builder import model_file
from tfprune.formats import HEADER_BYTES

Choose = Callable[[int, int], int]
_MAGIC = b"TFPK"
_ODD = (0, 1, 2, 3, 4, 7, 8, 16, 63, 64, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**16, 2**24, 2**30, 2**31 - 1)
_ODD += (2**31, 2**32 - 1, -1, -2, -128, -(2**31))
_ODD_FLOATS = (0.0, -0.0, 1.0, -1.0, 1e-40, 1e-10, 1e10, 3e38, float("inf"), float("nan"))


def mutated(data: bytes, choose: Choose) -> bytes:
    """The file with a few changes of one to three kinds."""
    for _ in range(choose(1, 3)):
        data = (_bytes, _tree, _packed, _tree, _packed)[choose(0, 4)](data, choose)
    return data


def _bytes(data: bytes, choose: Choose) -> bytes:
    """Bits flipped, words made odd, or the file cut or lengthened."""
    content = bytearray(data)
    kind = choose(0, 4)
    if not content:
        return data
    if kind == 0:
        return bytes(content[: choose(0, len(content))])
    if kind == 1:
        place = choose(0, len(content))
        return bytes(content[:place] + bytes(choose(1, 64)) + content[place:])
    for _ in range(choose(1, 4)):
        # Tables come first in the files that the converter writes.
        place = choose(0, len(content) - 1) if choose(0, 1) else choose(0, min(4000, len(content) - 1))
        if kind == 2:
            content[place] ^= 1 << choose(0, 7)
        elif place + 4 <= len(content):
            struct.pack_into("<I", content, place // 4 * 4, _ODD[choose(0, len(_ODD) - 1)] & 0xFFFFFFFF)
    return bytes(content)


def _tree(data: bytes, choose: Choose) -> bytes:
    """Fields of the tables: numbers, lists, references, shapes, types, quantization, options."""
    try:
        model = tfl.ModelT.InitFromPackedBuf(data, 0)
        for _ in range(choose(1, 3)):
            _change(_pick_table(model, choose), choose)
        return model_file(model)
    # Changed bytes need not be readable, and odd values need not fit their fields.
    except Exception:
        return _bytes(data, choose)


def _pick_table(model: Any, choose: Choose) -> Any:
    """A table of the model, each kind about as likely as another."""
    table = model
    while True:
        inside = [value for value in vars(table).values() if _is_table(value) or _is_tables(value)]
        if not inside or (table is not model and choose(0, 2) == 0):
            return table
        found = inside[choose(0, len(inside) - 1)]
        table = found if _is_table(found) else found[choose(0, len(found) - 1)]


def _is_table(value: Any) -> bool:
    return hasattr(value, "Pack")


def _is_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and _is_table(value[0])


def _change(table: Any, choose: Choose) -> None:
    names = sorted(vars(table))
    if not names:
        return
    name = names[choose(0, len(names) - 1)]
    value = getattr(table, name)
    if _is_tables(value):
        place = choose(0, len(value) - 1)
        kind = choose(0, 2)
        if kind == 0:
            value.pop(place)
        elif kind == 1:
            value.append(value[place])
        else:
            other = choose(0, len(value) - 1)
            value[place], value[other] = value[other], value[place]
    elif isinstance(value, np.ndarray):
        setattr(table, name, _changed_array(value, choose))
    elif isinstance(value, bool):
        setattr(table, name, not value)
    elif isinstance(value, int):
        setattr(table, name, value + choose(-2, 2) if choose(0, 1) else _ODD[choose(0, len(_ODD) - 1)])
    elif isinstance(value, float):
        setattr(table, name, _ODD_FLOATS[choose(0, len(_ODD_FLOATS) - 1)])
    elif choose(0, 1):
        setattr(table, name, None)


def _changed_array(array: np.ndarray, choose: Choose) -> np.ndarray | None:
    kind = choose(0, 4)
    if kind == 0 or not len(array):
        return None
    if kind == 1:
        return array[: choose(0, len(array))].copy()
    if kind == 2:
        return np.concatenate((array, array[: choose(1, len(array))]))
    array = array.copy()
    place = choose(0, len(array) - 1)
    if array.dtype.kind == "f":
        array[place] = _ODD_FLOATS[choose(0, len(_ODD_FLOATS) - 1)]
    elif array.dtype.kind == "b":
        array[place] ^= True
    else:
        near = int(array[place]) + choose(-2, 2)
        limits = np.iinfo(array.dtype)
        array[place] = np.clip(near if kind == 3 else _ODD[choose(0, len(_ODD) - 1)], limits.min, limits.max)
    return array


def _packed(data: bytes, choose: Choose) -> bytes:
    """Packed weights: fields of the header under a right checksum, and what follows them."""
    places, start = [], data.find(_MAGIC)
    while start >= 0:
        places.append(start)
        start = data.find(_MAGIC, start + 1)
    if not places:
        return _tree(data, choose)
    content, start = bytearray(data), places[choose(0, len(places) - 1)]
    if start + HEADER_BYTES + 64 > len(content):
        return data
    if choose(0, 1):
        place = start + 4 * choose(1, HEADER_BYTES // 4 - 2)
        old = struct.unpack_from("<I", content, place)[0]
        value = old + choose(-3, 3) if choose(0, 1) else _ODD[choose(0, len(_ODD) - 1)]
        struct.pack_into("<I", content, place, value & 0xFFFFFFFF)
        head = bytes(content[start : start + HEADER_BYTES - 4])
        struct.pack_into("<I", content, start + HEADER_BYTES - 4, zlib.crc32(head))
    else:
        for _ in range(choose(1, 4)):
            place = start + HEADER_BYTES + choose(0, min(2000, len(content) - start - HEADER_BYTES - 1))
            content[place] = (content[place] + choose(1, 255)) & 255
    return bytes(content)
