# SPDX-License-Identifier: Apache-2.0
"""Folders that tools write anew: one that holds something else is refused, because nothing brings it back."""

from __future__ import annotations

import shutil
from pathlib import Path


def check_replaceable(folder: Path, mark: str) -> None:
    """Checks that a folder is missing, empty, or of the tool that asks.

    Args:
        folder: the folder.
        mark: the name of a file that only this tool writes there.

    Raises:
        SystemExit: it is a file, or holds something else.
    """
    if folder.exists() and not folder.is_dir():
        raise SystemExit(f"{folder} must be a folder, got a file; choose another name.")
    if folder.exists() and any(folder.iterdir()) and not (folder / mark).exists():
        raise SystemExit(
            f"{folder} must be empty or made by this tool, because all that it holds is replaced; got one without "
            f"{mark}: choose another folder, or empty it yourself."
        )


def make_anew(folder: Path, mark: str) -> None:
    """Empties a folder that :func:`check_replaceable` takes, or makes it."""
    check_replaceable(folder, mark)
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
