# SPDX-License-Identifier: Apache-2.0
"""The golden files: the same bytes that the C++ reader is tested with."""

from __future__ import annotations

import importlib.util
import json
import struct
import zlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tfprune.errors import PackedFormatError
from tfprune.formats import HEADER_BYTES, Encoding, PackedHeader, decode, encode, read

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
CASES = {case["name"]: case for case in json.loads((GOLDEN / "cases.json").read_text())}


def _rows(name: str) -> list[list[str]]:
    lines = (GOLDEN / name).read_text().splitlines()
    return [line.split() for line in lines if not line.startswith("#")]


MANIFEST = {row[0]: row for row in _rows("manifest.txt")}
MANIFEST_FIELDS = (GOLDEN / "manifest.txt").read_text().splitlines()[0].split()[1:]


def _bytes(name: str) -> bytes:
    return (GOLDEN / f"{name}.bin").read_bytes()


def _matrix(name: str, header: PackedHeader) -> np.ndarray:
    return np.fromfile(GOLDEN / f"{name}.f32", "<f4").reshape(header.out_channels, header.columns)


def _generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_golden", GOLDEN / "make_golden.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", sorted(MANIFEST))
def test_decoding_gives_the_dense_matrix(name: str) -> None:
    packed = read(_bytes(name))
    np.testing.assert_array_equal(packed.matrix(), _matrix(name, packed.header))


@pytest.mark.parametrize("name", sorted(MANIFEST))
def test_the_header_holds_the_manifest(name: str) -> None:
    header = read(_bytes(name)).header
    assert [str(getattr(header, field)) for field in MANIFEST_FIELDS[1:]] == MANIFEST[name][1:]


@pytest.mark.parametrize("name", sorted(name for name, case in CASES.items() if not {"add", "column_bytes"} & {*case}))
def test_encoding_gives_the_same_bytes(name: str) -> None:
    header = read(_bytes(name)).header
    packed = read(_bytes(name))
    again = encode(
        (packed.stored_matrix() + header.weight_zero_point).astype(packed.values.dtype),
        header.spec,
        Encoding(header.encoding),
        header.group_rows,
        header.group_cols,
        quantization=packed.quantization,
    )
    assert again.tobytes() == _bytes(name)


def test_the_files_are_what_the_script_writes() -> None:
    generator = _generator()
    lines, blobs, matrices = generator.manifest(list(CASES.values()))
    assert (GOLDEN / "manifest.txt").read_text().splitlines() == lines
    assert (GOLDEN / "corruptions.txt").read_text().splitlines() == generator.corruptions(blobs)
    for name, blob in blobs.items():
        assert _bytes(name) == blob
        assert (GOLDEN / f"{name}.f32").read_bytes() == matrices[name].tobytes()


@pytest.mark.parametrize(
    ("name", "offset", "new", "fix"),
    [(name, offset, new, fix) for name, offset, new, fix, _ in _rows("corruptions.txt")],
)
def test_every_listed_corruption_is_refused(name: str, offset: str, new: str, fix: str) -> None:
    data = bytearray(_bytes(name))
    change = bytes.fromhex(new)
    assert data[int(offset) : int(offset) + len(change)] != change
    data[int(offset) : int(offset) + len(change)] = change
    if fix == "1":
        data[HEADER_BYTES - 4 : HEADER_BYTES] = struct.pack("<I", zlib.crc32(bytes(data[: HEADER_BYTES - 4])))
    with pytest.raises(PackedFormatError, match="packed weights"):
        decode(data)
