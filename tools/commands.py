# SPDX-License-Identifier: Apache-2.0
"""Runs the tools that the Android demo app is made with."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path


def run(*command: str | Path) -> None:
    """Runs a tool.

    Raises:
        SystemExit: it is missing, or fails; its own messages are shown.
    """
    if shutil.which(command[0]) is None:
        raise SystemExit(f"{command[0]} is missing: `make setup` installs it on Debian 12.")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command[0]} failed with exit code {done.returncode}:\n{done.stdout}{done.stderr}")
