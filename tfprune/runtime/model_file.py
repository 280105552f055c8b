# SPDX-License-Identifier: Apache-2.0
"""Reads a ``.tflite`` file for the runtime: its bytes, a name for reports, and whether it needs the delegate."""

from __future__ import annotations

import dataclasses
import errno
import os
from pathlib import Path

from tfprune.errors import ModelError
from tfprune.runtime.unpacked import check_signatures, unpack

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


def read_file(path: Path) -> bytes:
    """Content of a regular file.

    Raises:
        OSError: it cannot be read, or is a pipe or a device, which may never end.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return path.read_bytes()


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
            content = read_file(path)
        except OSError as error:
            raise ModelError(f"`{path}` cannot be read: {error.strerror}; give the path of a .tflite file") from error
    # LiteRT trusts every offset and most numbers of a file.
    unpacked, _ = unpack(content, f"`{name}`")
    check_signatures(unpacked, f"`{name}`")
    # A dense file must run where the library is not installed.
    codes = {bytes(code.customCode or b"") for code in unpacked.operatorCodes}
    ours = sorted(code.decode(errors="replace") for code in codes if code.startswith(CUSTOM_OP_PREFIX))
    return ModelFile(name, content, tuple(ours))
