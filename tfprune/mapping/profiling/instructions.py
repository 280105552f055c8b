# SPDX-License-Identifier: Apache-2.0
"""Exact instruction counts of models under qemu, with the real LiteRT of another processor."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tfprune.errors import ProfileError
from tfprune.mapping.profiling import count_guest
from tfprune.mapping.profiling.timing import Models

#: Where tfprune is built, if it is a checkout.
CHECKOUT = Path(__file__).resolve().parents[3]
#: What ``make build-aarch64`` makes.
AARCH64 = CHECKOUT / ".cache/aarch64"
_RUNNER = CHECKOUT / "tools/aarch64/run.sh"


def aarch64_instructions(
    groups: Iterable[Models],
    root: Path = AARCH64 / "root",
    library: Path = AARCH64 / "libtfprune.so",
    runs: int = 1,
    rtol: float | None = 1e-4,
) -> list[tuple[float, ...]]:
    """Instructions of one run of the models of each group on an emulated Cortex-A76, with the real aarch64 LiteRT.

    Args:
        groups: the files.
        root: a root of ``tools/aarch64/make_root.sh``.
        library: libtfprune for aarch64.
        runs: how often each model runs.
        rtol: the models of a group must give the same answer there, within so much of the largest magnitude; None:
            they are different models.

    Raises:
        ProfileError: the emulated machine is missing or failed, or answers differ.
    """
    for path in (_RUNNER, root, library):
        if not path.exists():
            raise ProfileError(
                f"instructions of arm64 are counted in a checkout of tfprune, but `{path}` is missing; "
                "run `make build-aarch64` there"
            )
    return counted(groups, [str(_RUNNER), str(root.absolute())], {}, library.absolute(), runs, rtol)


def counted(
    groups: Iterable[Models],
    python: Sequence[str],
    environment: Mapping[str, str],
    library: Path,
    runs: int,
    rtol: float | None,
) -> list[tuple[float, ...]]:
    """Instructions under a command that runs Python with the counting plugin; see :func:`aarch64_instructions`."""
    sizes = []
    with tempfile.TemporaryDirectory() as name:
        for index, models in enumerate(groups):
            sizes.append(len(models))
            for place, content in enumerate(models):
                (Path(name) / f"{index:04}_{place}.tflite").write_bytes(content)
        done = subprocess.run(
            [*python, str(Path(count_guest.__file__)), name, str(library), str(runs)],
            env={**os.environ, "COUNT_INSTRUCTIONS": "1", **environment},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise ProfileError(f"qemu failed with {done.returncode}:\n{done.stderr[-2000:]}")
    errors = [float(line.split()[2]) for line in done.stdout.splitlines() if line.startswith("error ")]
    if len(errors) != sum(sizes) or not (rtol is None or all(error <= rtol for error in errors)):
        raise ProfileError(f"answers under qemu differ:\n{done.stdout}")
    marks = [int(line.split()[1]) for line in done.stderr.splitlines() if line.startswith("mark ")]
    counts = iter([(after - before) / runs for before, after in zip(marks[::2], marks[1::2], strict=True)])
    return [tuple(next(counts) for _ in range(size)) for size in sizes]
