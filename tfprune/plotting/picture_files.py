# SPDX-License-Identifier: Apache-2.0
"""Figures as files: their formats, and bytes that depend on the picture alone."""

from __future__ import annotations

import io
import os
from typing import Any

from tfprune.errors import OutputError

_FORMATS = ("pdf", "png", "svg")
# Without a date and a version a file depends on the picture alone.
_METADATA: dict[str, dict[str, Any]] = {
    "pdf": {"Creator": None, "Producer": None, "CreationDate": None},
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
}


def picture_format(output: str | os.PathLike[str], subject: str) -> str:
    """The format that a file's name asks for.

    Args:
        output: path.
        subject: who writes it, for messages.

    Raises:
        OutputError: no path, or another ending.
    """
    if not isinstance(output, (str, os.PathLike)):
        raise OutputError(f"{subject}: `output` must be a path or None. Received: output={output!r}.")
    suffix = os.path.splitext(os.fsdecode(output))[1].lower().removeprefix(".")
    if suffix not in _FORMATS:
        known = ", ".join(f".{each}" for each in _FORMATS)
        raise OutputError(
            f"{subject}: a picture must end in one of {known}. Received: output={os.fsdecode(output)!r}, with "
            f"{repr(suffix) if suffix else 'no ending'}. Rename it."
        )
    return suffix


def picture_bytes(figure: Any, suffix: str) -> bytes:
    """A figure in one of the formats; equal figures give equal bytes."""
    content = io.BytesIO()
    figure.savefig(content, format=suffix, metadata=_METADATA[suffix])
    return content.getvalue()
