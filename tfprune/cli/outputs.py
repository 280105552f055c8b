# SPDX-License-Identifier: Apache-2.0
"""Checks of what a command is to write, before it starts to work."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from tfprune.errors import OutputError

#: What files are called in messages, and where they are; None where one is not given.
Paths = Mapping[str, str | os.PathLike[str] | None]


def check_apart(outputs: Paths, inputs: Paths | None = None) -> None:
    """Refuses one path for two files, of which at least one is written: ``--overwrite`` is not for what is read.

    Args:
        outputs: what is written.
        inputs: what is read; two of them may be one file.

    Raises:
        OutputError: an output is another output or an input.
    """
    read = {Path(path).resolve(): name for name, path in (inputs or {}).items() if path is not None}
    written: dict[Path, str] = {}
    for name, path in outputs.items():
        if path is None:
            continue
        place = Path(path).resolve()
        other = written.setdefault(place, read.get(place, name))
        if other != name:
            raise OutputError(f"{name}: must be another file than {other}, got `{path}` for both; name two files")
