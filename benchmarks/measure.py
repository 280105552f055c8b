# SPDX-License-Identifier: Apache-2.0
"""Where scripts find things, and exact x86-64 instruction counts under qemu."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from tfprune.mapping.profiling.instructions import counted
from tfprune.mapping.profiling.timing import Models

FOLDER = Path(__file__).resolve().parent
REPOSITORY = FOLDER.parent


def x86_instructions(
    groups: Iterable[Models], cpu: str, library: Path, runs: int = 1, rtol: float = 1e-4
) -> list[tuple[float, ...]]:
    """As `aarch64_instructions` on an emulated x86-64 processor, such as ``"Haswell"``, which has AVX2 and no AVX-512.

    Its Python is this one, the library the one that is given.
    """
    plugin = REPOSITORY / "build/libcount_instructions.so"
    source = REPOSITORY / "tools/aarch64/count_instructions.c"
    if not plugin.exists() or plugin.stat().st_mtime < source.stat().st_mtime:
        plugin.parent.mkdir(exist_ok=True)
        subprocess.run(["gcc", "-O2", "-shared", "-fPIC", str(source), "-o", str(plugin)], check=True)
    # The interpreter behind the virtual environment, which qemu would not follow; its packages come by the path.
    python = ["qemu-x86_64", "-cpu", cpu, "-plugin", str(plugin), os.path.realpath(sys.executable)]
    packages = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return counted(groups, python, packages, library, runs, rtol)
