# SPDX-License-Identifier: Apache-2.0
"""Runs the fuzzer.

    python -m tests.fuzz --seconds 60 --seed 1            # seeded mutations, the same every time but for their number
    python -m tests.fuzz --seconds 1800 --atheris         # guided by what the Python code covers
    python -m tests.fuzz --replay build/fuzz/failure.bin  # one input again

An input that breaks a promise is kept in ``--folder`` and ends the run with exit code 1.
"""

from __future__ import annotations

import faulthandler
import hashlib
import random
import sys
import time
from collections import Counter
from pathlib import Path

import click

from tests.fuzz.check import Outcome, check
from tests.fuzz.mutate import mutated
from tests.fuzz.seeds import seeds

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
    if replay:
        click.echo(check(replay.read_bytes()).value)
        return
    folder.mkdir(parents=True, exist_ok=True)
    if guided:
        from tests.fuzz.guided import run_guided

        run_guided(seconds, seed, folder)
    else:
        run_seeded(seconds, seed, folder)


def run_seeded(seconds: int, seed: int, folder: Path) -> Counter[Outcome]:
    """Checks mutations of the seeds until the time is up; returns how often each outcome was met."""
    counts: Counter[Outcome] = Counter()
    for data in seeds():
        counts[check(data)] += 1
    end, number = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        choose = random.Random(f"{seed} {number}").randint
        data = mutated(seeds()[choose(0, len(seeds()) - 1)], choose)
        counts[checked(data, folder)] += 1
        number += 1
    click.echo(", ".join(f"{outcome.value}: {count}" for outcome, count in counts.most_common()))
    return counts


def checked(data: bytes, folder: Path) -> Outcome:
    """As :func:`check`; an input that fails, or is still running when the time is up, stays in the folder."""
    current = folder / "running.bin"
    current.write_bytes(data)
    faulthandler.dump_traceback_later(_HANG_SECONDS, exit=True)
    try:
        return check(data)
    except BaseException:
        kept = folder / f"failure-{hashlib.sha256(data).hexdigest()[:12]}.bin"
        kept.write_bytes(data)
        click.echo(f"kept as {kept}", err=True)
        raise
    finally:
        faulthandler.cancel_dump_traceback_later()


if __name__ == "__main__":
    sys.exit(main())
