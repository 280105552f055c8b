# SPDX-License-Identifier: Apache-2.0
"""Runs the fuzzer.

    python -m tests.fuzz --seconds 60 --seed 1            # seeded mutations, the same every time but for their number
    python -m tests.fuzz --seconds 1800 --atheris         # guided by what the Python code covers
    python -m tests.fuzz --replay build/fuzz/failure-1f2e.stock.float32.tflite  # one input again

An input that breaks a promise is kept in ``--folder`` and ends the run with exit code 1. Names end with the options
that it was converted with.
"""

from __future__ import annotations

import faulthandler
import hashlib
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from tests.fuzz.check import Options

# Stands well above what a refused or converted small file takes.
_HANG_SECONDS = 60


@click.command()
@click.option("--seconds", default=1800, show_default=True, type=click.IntRange(min=1))
@click.option("--seed", default=0, show_default=True, help="Start of the random numbers.")
@click.option("--atheris", "guided", is_flag=True, help="Guide the mutations by coverage; needs the extra `fuzz`.")
@click.option("--folder", default=Path("build/fuzz"), type=click.Path(path_type=Path), show_default=True)
@click.option("--replay", type=click.Path(exists=True, path_type=Path), help="Check this input and nothing else.")
def main(seconds: int, seed: int, guided: bool, folder: Path, replay: Path | None) -> None:
    """Looks for files that crash, stop or mislead tfprune."""
    folder.mkdir(parents=True, exist_ok=True)
    if guided and not replay:
        # Before anything else of tfprune: only what is imported there is instrumented.
        from tests.fuzz.guided import run_guided

        run_guided(seconds, seed, folder)
    elif replay:
        from tests.fuzz.kept import read

        click.echo(checked(*read(replay), folder))
    else:
        run_seeded(seconds, seed, folder)


def run_seeded(seconds: int, seed: int, folder: Path) -> None:
    """Checks the seeds, then mutations of them, until the time is up; says how often each outcome was met."""
    from tests.fuzz.check import drawn_options
    from tests.fuzz.mutate import mutated
    from tests.fuzz.seeds import seeds

    end, counts = time.monotonic() + seconds, Counter[str]()
    for number, data in enumerate(seeds()):
        if time.monotonic() > end:
            break
        counts[checked(data, drawn_options(random.Random(f"{seed} sound {number}").randint), folder)] += 1
    number = 0
    while time.monotonic() < end:
        choose = random.Random(f"{seed} {number}").randint
        options, data = drawn_options(choose), mutated(seeds()[choose(0, len(seeds()) - 1)], choose)
        counts[checked(data, options, folder)] += 1
        number += 1
    click.echo(", ".join(f"{outcome}: {count}" for outcome, count in counts.most_common()))


def checked(data: bytes, options: Options, folder: Path) -> str:
    """What became of an input; one that fails, or is still running when the time is up, stays in the folder."""
    from tests.fuzz.check import check
    from tests.fuzz.kept import keep

    keep(folder, "running", data, options)
    faulthandler.dump_traceback_later(_HANG_SECONDS, exit=True)
    try:
        return check(data, options).value
    except BaseException:
        kept = keep(folder, f"failure-{hashlib.sha256(data).hexdigest()[:12]}", data, options)
        click.echo(f"kept as {kept}", err=True)
        raise
    finally:
        faulthandler.cancel_dump_traceback_later()


if __name__ == "__main__":
    sys.exit(main())
