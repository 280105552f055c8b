# SPDX-License-Identifier: Apache-2.0
"""Atheris: an input of the engine is a list of choices, so that what it finds are mutations of sound files."""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["tfprune.converter", "tfprune.formats", "tfprune.runtime"]):
    from tests.fuzz.check import check
    from tests.fuzz.mutate import mutated
    from tests.fuzz.seeds import seeds

_MOST_CHOICES = 4096


def run_guided(seconds: int, seed: int, folder: Path) -> None:
    """Fuzzes for a time; ends the process, with a code other than 0 where an input fails."""
    seeds()

    def one_input(choices: bytes) -> None:
        provider = atheris.FuzzedDataProvider(choices)
        data = mutated(seeds()[provider.ConsumeIntInRange(0, len(seeds()) - 1)], provider.ConsumeIntInRange)
        (folder / "running.bin").write_bytes(data)
        check(data)

    options = [f"-max_total_time={seconds}", f"-seed={seed + 1}", f"-max_len={_MOST_CHOICES}", "-timeout=60"]
    options += ["-rss_limit_mb=4096", f"-artifact_prefix={folder}/", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *options], one_input)
    atheris.Fuzz()
