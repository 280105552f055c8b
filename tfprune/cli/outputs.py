# SPDX-License-Identifier: Apache-2.0
"""Checks of what a command is to write, before it starts to work."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from tfprune.errors import OutputError


def check_apart(paths: Mapping[str, str | os.PathLike[str] | None]) -> None:
    """Refuses one path for two files.

    Args:
        paths: what the files are called in messages, and where they are; None where one is not asked for.

    Raises:
        OutputError: two of them are the same file.
    """
    taken: dict[Path, str] = {}
    for name, path in paths.items():
        if path is None:
            continue
        other = taken.setdefault(Path(path).resolve(), name)
        if other != name:
            raise OutputError(f"{name}: must be another file than {other}, got `{path}` for both; name two files")
