# SPDX-License-Identifier: Apache-2.0
"""The result of one-shot pruning, and writing it without ever leaving half a file."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from pathlib import Path
from typing import Any

from tfprune.errors import OutputError
from tfprune.files import check_target, write_file
from tfprune.one_shot.report import PruneReport


@dataclasses.dataclass(frozen=True)
class Pruned:
    """What :func:`tfprune.prune` returns.

    Attributes:
        report: what became of each layer.
        model: the pruned Keras model; None for a ``.tflite`` file.
        tflite: the pruned ``.tflite`` file; None for a Keras model.
        source: path of the input file, or None where it was not a file.
    """

    report: PruneReport
    model: Any = dataclasses.field(default=None, repr=False)
    tflite: bytes | None = dataclasses.field(default=None, repr=False)
    source: Path | None = None

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Writes the pruned model to a temporary file beside ``path`` and renames it.

        Args:
            path: where to, ``.keras`` for a Keras model and ``.tflite`` for a file; its folder must exist.
            overwrite: whether an existing file, even the input, may be replaced.

        Raises:
            OutputError: another suffix; the file exists and ``overwrite`` is False, is no regular file, or cannot be
                written.
        """
        check_output(path, from_keras=self.tflite is None, overwrite=overwrite, source=self.source)
        content = self.tflite if self.tflite is not None else _keras_file(self.model)
        write_file(path, content, overwrite=overwrite, source=self.source)


def check_output(
    path: str | os.PathLike[str], *, from_keras: bool, overwrite: bool = False, source: Path | None = None
) -> None:
    """Says whether a pruned model could be written, and writes nothing.

    Args:
        path: where to.
        from_keras: whether the model is a Keras model.
        overwrite: whether an existing file may be replaced.
        source: the input file.

    Raises:
        OutputError: as `Pruned.save`.
    """
    target = check_target(path, overwrite=overwrite, source=source)
    suffix = ".keras" if from_keras else ".tflite"
    if target.suffix != suffix:
        raise OutputError(f"`{os.fsdecode(path)}`: the output must end in {suffix}, as what was pruned is such a model")


def _keras_file(model: Any) -> bytes:
    """A Keras model as a ``.keras`` file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return path.read_bytes()
