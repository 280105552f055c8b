# SPDX-License-Identifier: Apache-2.0
"""``tfprune profile``: how long do layers take on a device?"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from tfprune.cli.console import print_json, print_table, showing
from tfprune.cli.outputs import check_apart
from tfprune.runtime.arguments import MOST_THREADS


@click.command()
@click.argument("model", required=False, type=click.Path(path_type=str))
@click.option(
    "--target", default="host", show_default=True, help="What is measured: host, arm64 (emulated), adb or adb:SERIAL."
)
@click.option("--backend", default="cpu", show_default=True, help="What runs the layers: cpu or gpu.")
@click.option("--num-threads", type=click.IntRange(1, MOST_THREADS), default=1, show_default=True, help="CPU threads.")
@click.option(
    "--precision",
    default="float32",
    show_default=True,
    help="Of the layers: float32, int8, dynamic, uint8 or int16.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(0, min_open=True),
    default=240.0,
    show_default=True,
    help="About how long. What a fit needs is measured however long it takes: other operators, small networks and a "
    "first spread of layers, some minutes on a slow device.",
)
@click.option("-o", "--output", required=True, type=click.Path(path_type=str), help="The profile, a .json file.")
@click.option("--overwrite", is_flag=True, help="Replace a file that exists.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of a table.")
def profile(
    model: str | None,
    target: str,
    backend: str,
    num_threads: int,
    precision: str,
    seconds: float,
    output: str,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Measure layers, dense and sparse, and write the table that predicts them.

    Of MODEL, a .keras file, SavedModel folder or .tflite file, the layers are measured that it has; without it those of
    well-known networks. The result is what --device of other commands takes. A run that was killed goes on.
    """
    check_apart({"--output": output}, {"MODEL": model})
    with showing(), _bar() as tell:
        from tfprune.mapping import profiling
        from tfprune.mapping.profiling import report as reports

        report = profiling.profile(
            model,
            target=target,
            backend=backend,
            num_threads=num_threads,
            precision=precision,
            seconds=seconds,
            output=output,
            overwrite=overwrite,
            progress=tell,
        )
    if as_json:
        print_json(report.to_dict())
    else:
        print_table(reports.HEADERS, report.rows(), report.caption(), text_columns=reports.TEXT_COLUMNS)


@contextlib.contextmanager
def _bar() -> Iterator[Callable[[float, str], None]]:
    """A progress bar on stderr, where that is a terminal; yields what moves it."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda share, text: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=1.0)
        yield lambda share, text: bar.update(task, completed=share, description=text)
