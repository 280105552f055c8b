# SPDX-License-Identifier: Apache-2.0
"""Inputs on disk: the options that a file was converted with stand in its name."""

from __future__ import annotations

from pathlib import Path

from tests.fuzz.check import Options


def keep(folder: Path, name: str, data: bytes, options: Options) -> Path:
    """Writes an input, in the place of the one of that name."""
    for old in folder.glob(f"{name}.*.tflite"):
        old.unlink()
    path = folder / f"{name}.{options.target}.{options.precision}.tflite"
    path.write_bytes(data)
    return path


def read(path: Path) -> tuple[bytes, Options]:
    """An input that was kept; one of another name is converted with the default options."""
    parts = path.name.split(".")
    return path.read_bytes(), Options(*parts[-3:-1]) if len(parts) == 4 else Options()
