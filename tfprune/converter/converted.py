# SPDX-License-Identifier: Apache-2.0
"""The result of a conversion, and writing it without ever leaving half a file."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from tfprune.converter.report import ConversionReport
from tfprune.files import write_file


@dataclasses.dataclass(frozen=True)
class Converted:
    """What :func:`tfprune.convert` returns.

    Attributes:
        tflite: the converted file. Equal to ``dense`` where no layer was converted.
        dense: the file with the same weights, zeros included, and stock ops only.
        report: one verdict per layer.
        source: path of the input file, or None where it was not a file.
    """

    tflite: bytes = dataclasses.field(repr=False)
    dense: bytes = dataclasses.field(repr=False)
    report: ConversionReport
    source: Path | None = None

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Writes ``tflite`` to a temporary file beside ``path`` and renames it.

        Args:
            path: where to; its folder must exist.
            overwrite: whether an existing file, even the input, may be replaced.

        Raises:
            OutputError: the file exists and ``overwrite`` is False, is no regular file, or cannot be written.
        """
        write_file(path, self.tflite, overwrite=overwrite, source=self.source)

    def save_dense(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Writes ``dense`` in the same way.

        Args:
            path: where to; its folder must exist.
            overwrite: whether an existing file, even the input, may be replaced.

        Raises:
            OutputError: the file exists and ``overwrite`` is False, is no regular file, or cannot be written.
        """
        write_file(path, self.dense, overwrite=overwrite, source=self.source)
