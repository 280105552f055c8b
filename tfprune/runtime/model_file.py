# SPDX-License-Identifier: Apache-2.0
"""Reads a ``.tflite`` file for the runtime: its bytes, a name for reports, and whether it needs the delegate."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from tfprune.errors import ModelError
from tfprune.runtime.structure import check_structure

CUSTOM_OP_PREFIX = b"Tfprune"


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
        ModelError: the file cannot be read, is not a ``.tflite`` model, or is cut off or corrupt.
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
    # LiteRT trusts every offset of a file.
    check_structure(content, f"`{name}`")
    return ModelFile(name, content, _custom_ops(content))


def _custom_ops(content: bytes) -> tuple[str, ...]:
    """Names of tfprune's operator codes; a dense file must run where the library is not installed."""
    from ai_edge_litert.schema_py_generated import Model

    model = Model.GetRootAs(content, 0)
    codes = [model.OperatorCodes(index).CustomCode() for index in range(model.OperatorCodesLength())]
    return tuple(
        sorted({code.decode(errors="replace") for code in codes if code and code.startswith(CUSTOM_OP_PREFIX)})
    )
