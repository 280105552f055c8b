# SPDX-License-Identifier: Apache-2.0
"""Accuracy studies: trains the points of a plan, and makes tables and figures of what came of it.

    python benchmarks/accuracy_study.py preview benchmarks/accuracy/plans/default.yaml
    python benchmarks/accuracy_study.py run --smoke
    python benchmarks/accuracy_study.py run benchmarks/accuracy/plans/default.yaml
    python benchmarks/accuracy_study.py report benchmarks/accuracy/plans/default.yaml

A run that is stopped, or killed, goes on where it was; several plans are run one after another. `make study` does both.
"""

from __future__ import annotations

import contextlib
import functools
import os
from pathlib import Path

import click
from rich.console import Console

from accuracy import REPOSITORY
from accuracy.data_sets import load
from accuracy.estimate import Estimate
from accuracy.figures import draw, file_name
from accuracy.plan import Plan, read_plan
from accuracy.point import DataSpec
from accuracy.report import markdown, unmarked, with_sections
from accuracy.running import Runner, jobs_of, open_jobs
from accuracy.table import ResultTable
from accuracy.worker import Job, backend_name, commit_of, cores
from results_file import called
from tfprune.errors import TfpruneError
from tfprune.files import write_file

RESULTS = REPOSITORY / "benchmarks/results/accuracy.csv"
FOLDER = REPOSITORY / "build/accuracy"
SMOKE = REPOSITORY / "benchmarks/accuracy/plans/smoke.yaml"
SMOKE_RESULTS = FOLDER / "smoke.csv"
_MINUTE, _HOUR = 60, 3600

PlanFile = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.group()
def main() -> None:
    """Accuracy studies; see the module's text."""


@main.command()
@click.argument("plan_files", type=PlanFile, nargs=-1, metavar="PLAN_FILE...")
@click.option("--smoke", is_flag=True, help="Train four small points, within minutes; for no PLAN_FILE.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="The table. Default: that of results.")
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), default=FOLDER, help="Of checkpoints.")
@click.option("--data", default="", help="Folder of the images, in place of the plan's.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes at a time. Default: one a core, at most four.")
@click.option("--study", "names", multiple=True, help="Only these studies. Default: all.")
@click.option("--estimate", "only_estimate", is_flag=True, help="Say how long it takes, and end.")
@click.pass_context
def run(
    ctx: click.Context,
    plan_files: tuple[Path, ...],
    smoke: bool,
    output: Path | None,
    folder: Path,
    data: str,
    workers: int | None,
    names: tuple[str, ...],
    only_estimate: bool,
) -> None:
    """Train what PLAN_FILE asks for and the table does not hold yet."""
    if bool(plan_files) == smoke:
        raise click.UsageError("give either files of plans or --smoke")
    console = Console(stderr=True)
    plan = _plan((SMOKE,) if smoke else plan_files, data, names)
    count = workers or min(cores(), 4)
    table = ResultTable(output or (SMOKE_RESULTS if smoke else RESULTS))
    # What only looks need not wait for another runner.
    with contextlib.nullcontext() if only_estimate else table.locked():
        jobs = jobs_of(plan, folder, called(), commit_of(REPOSITORY), max(1, cores() // count))
        left = open_jobs(jobs, table)
        if left:
            _refuse_other_backends(plan, table)
        runner = Runner(table, count, console)
        try:
            estimate = Estimate(folder / "step_seconds.json", _train_count)
            _say(console, plan, left, estimate, count)
            if only_estimate:
                return
            runner.run(left, estimate.steps)
        except (TfpruneError, OSError) as error:
            raise click.ClickException(str(error)) from error
    for failure in runner.failures:
        text = f"{failure.job}: {failure.reason}; all that it printed is in {failure.job.log}"
        console.print(text, highlight=False, markup=False, soft_wrap=True)
    if runner.failures:
        ctx.exit(1)


@main.command()
@click.argument("plan_files", type=PlanFile, nargs=-1, required=True, metavar="PLAN_FILE...")
@click.option("--data", default="", help="Folder of the images, in place of the plan's.")
@click.option("--study", "names", multiple=True, help="Only these studies. Default: all.")
def preview(plan_files: tuple[Path, ...], data: str, names: tuple[str, ...]) -> None:
    """Say what each method of PLAN_FILE will leave of its network: random weights, cut once."""
    # Here, because it loads Keras.
    from accuracy.preview import preview as of_study

    for study in _plan(plan_files, data, names).studies:
        try:
            click.echo(f"### {study.name}\n\n{of_study(study)}\n")
        except TfpruneError as error:
            raise click.ClickException(f"study {study.name!r}: {error}") from error


@main.command()
@click.argument("plan_files", type=PlanFile, nargs=-1, required=True, metavar="PLAN_FILE...")
@click.option("--table", "table_file", type=PlanFile, default=RESULTS, show_default="results")
@click.option("--pictures", type=click.Path(path_type=Path, file_okay=False), help="Folder to draw figures into.")
@click.option("--page", type=PlanFile, help="A page whose marked sections are made anew. Default: all to stdout.")
def report(plan_files: tuple[Path, ...], table_file: Path, pictures: Path | None, page: Path | None) -> None:
    """Make Markdown, and figures, of the rows that PLAN_FILE asks for."""
    plan = _plan(plan_files, "", ())
    rows = ResultTable(table_file).rows
    if not any(point.key in rows for point in plan.points):
        raise click.ClickException(
            f"{table_file}: must hold a row that the plan asks for, of {len(rows)} it holds none; run the plan first"
        )
    shown = ""
    if pictures is not None:
        shown = os.path.relpath(pictures, Path.cwd() if page is None else page.parent)
    try:
        text = (
            markdown(plan, rows, shown) if page is None else with_sections(page.read_text("utf-8"), plan, rows, shown)
        )
        if pictures is not None:
            for study in plan.studies:
                draw(study, rows, pictures)
        if page is not None:
            write_file(page, text.encode(), overwrite=True)
    except (TfpruneError, OSError, UnicodeDecodeError) as error:
        raise click.ClickException(str(error)) from error
    if page is None:
        click.echo(text)
    elif left_out := unmarked(text, plan):
        click.echo(f"{page} has no mark of the studies {', '.join(left_out)}", err=True)


def _plan(paths: tuple[Path, ...], data: str, names: tuple[str, ...]) -> Plan:
    """All studies of the files, or those that are named."""
    try:
        plans = [read_plan(path, data) for path in paths]
    except TfpruneError as error:
        raise click.ClickException(str(error)) from error
    studies = {study.name: study for plan in plans for study in plan.studies}
    if len(studies) < sum(len(plan.studies) for plan in plans):
        raise click.BadParameter("studies of several plans must have names of their own")
    pictures: dict[str, str] = {}
    for name, study in studies.items():
        if (other := pictures.setdefault(file_name(study), name)) != name:
            raise click.BadParameter(
                f"names of studies must differ in letters and digits, {other!r} and {name!r} do not"
            )
    for name in names:
        if name not in studies:
            raise click.BadParameter(f"{name!r} must be a study of the plan, one of {', '.join(studies)}")
    chosen = tuple(study for study in studies.values() if not names or study.name in names)
    return Plan("; ".join(plan.name for plan in plans), chosen)


def _refuse_other_backends(plan: Plan, table: ResultTable) -> None:
    """A difference between methods must not be one between frameworks."""
    backend = backend_name()
    others = {row["backend"] for point in plan.points if (row := table.rows.get(point.key))} - {backend}
    if others:
        raise click.ClickException(
            f"{table.path}: must hold rows of one framework for a plan. It has some of {', '.join(sorted(others))}, "
            f"this run would add some of {backend}: choose with KERAS_BACKEND, or give another --output and --folder"
        )


@functools.cache
def _train_count(spec: DataSpec) -> int:
    return load(spec).train_count


def _say(console: Console, plan: Plan, jobs: list[Job], estimate: Estimate, workers: int) -> None:
    """What is to be done, and how long it takes."""
    points = sum(not job.dense_only for job in jobs)
    dense = len(jobs) - points
    console.print(
        f"{plan.name}: {len(plan.points)} points, {points} of them to be trained, with {dense} dense checkpoints: "
        f"{estimate.epochs(jobs)} epochs",
        highlight=False,
        soft_wrap=True,
    )
    if jobs:
        seconds = estimate.seconds(jobs, workers)
        minutes = max(1, round(seconds / _MINUTE))
        text = f"{seconds / _HOUR:.1f} hours" if seconds >= _HOUR else f"{minutes} minute{'s' * (minutes > 1)}"
        console.print(f"about {text} with {workers} processes at a time", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
