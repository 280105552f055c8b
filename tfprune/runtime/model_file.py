# SPDX-License-Identifier: Apache-2.0
"""Reads a ``.tflite`` file for the runtime: its bytes, a name for reports, and whether it needs the delegate."""

from __future__ import annotations

import dataclasses
import os
import struct
from pathlib import Path

from tfprune.errors import ModelError

CUSTOM_OP_PREFIX = b"Tfprune"
_IDENTIFIER = slice(4, 8)


@dataclasses.dataclass(frozen=True)
class ModelFile:
    """A ``.tflite`` model in memory.

    Attributes:
        name: what reports call it: the file's name, or ``"model"`` for bytes.
        content: the file's bytes.
        custom_ops: names of the tfprune ops in it, sorted; empty for a dense file.
    """

    name: str
    content: bytes
    custom_ops: tuple[str, ...]


def read_model(model: str | os.PathLike[str] | bytes, name: str = "model") -> ModelFile:
    """Reads a model from a path or from bytes.

    Args:
        model: path of a ``.tflite`` file, or its content.
        name: what reports call a model that comes as bytes.

    Raises:
        ModelError: the file cannot be read or is not a ``.tflite`` model.
    """
    if isinstance(model, (bytes, bytearray, memoryview)):
        content = bytes(model)
    else:
        try:
            path = Path(model)
        except TypeError as error:
            raise ModelError(
                f"model: must be the path of a .tflite file or its bytes, got {type(model).__name__}"
            ) from error
        name = path.name
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ModelError(f"`{path}` cannot be read: {error.strerror}; give the path of a .tflite file") from error
    if content[_IDENTIFIER] != b"TFL3":
        raise ModelError(
            f"`{name}` is not a .tflite model: bytes 4 to 7 must be b'TFL3', got {content[_IDENTIFIER]!r} in a file "
            f"of {len(content)} bytes; give a converted model"
        )
    return ModelFile(name, content, _custom_ops(name, content))


def _custom_ops(name: str, content: bytes) -> tuple[str, ...]:
    """Names of tfprune's operator codes; a dense file must run where the library is not installed."""
    from ai_edge_litert.schema_py_generated import Model

    try:
        model = Model.GetRootAs(content, 0)
        codes = [model.OperatorCodes(index).CustomCode() for index in range(model.OperatorCodesLength())]
    except (struct.error, IndexError, ValueError, TypeError, AttributeError) as error:
        raise ModelError(
            f"`{name}` is a damaged .tflite model ({len(content)} bytes): its list of operators cannot be read; "
            "the file may be cut off, convert or copy it again"
        ) from error
    return tuple(sorted({code.decode() for code in codes if code and code.startswith(CUSTOM_OP_PREFIX)}))
