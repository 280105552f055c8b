# SPDX-License-Identifier: Apache-2.0
"""Atheris: an input of the engine is a list of choices, so that what it finds are mutations of sound files."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["tfprune.converter", "tfprune.formats", "tfprune.runtime"]):
    from tests.fuzz.check import check, drawn_options
    from tests.fuzz.kept import keep
    from tests.fuzz.mutate import mutated
    from tests.fuzz.seeds import seeds

# Bytes that the engine chooses for an input: more than the longest chain of mutations asks for. Without these many from
# the start, all but the first choices would be the lowest ones.
_CHOICES, _FIRST_INPUTS = 512, 200


def run_guided(seconds: int, seed: int, folder: Path) -> None:
    """Fuzzes for a time; ends the process, with a code other than 0 where an input fails."""
    seeds()

    def one_input(choices: bytes) -> None:
        provider = atheris.FuzzedDataProvider(choices)
        options = drawn_options(provider.ConsumeIntInRange)
        data = mutated(seeds()[provider.ConsumeIntInRange(0, len(seeds()) - 1)], provider.ConsumeIntInRange)
        keep(folder, "running", data, options)
        check(data, options)

    corpus = folder / "corpus"
    corpus.mkdir(exist_ok=True)
    for number in range(_FIRST_INPUTS):
        (corpus / f"first-{number}").write_bytes(random.Random(f"{seed} {number}").randbytes(_CHOICES))
    options = [str(corpus), f"-max_total_time={seconds}", f"-seed={seed + 1}", f"-max_len={_CHOICES}", "-len_control=0"]
    options += ["-timeout=60", "-rss_limit_mb=4096", f"-artifact_prefix={folder}/", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *options], one_input)
    atheris.Fuzz()
