# SPDX-License-Identifier: Apache-2.0
"""Times of trained files at equal latency, beside those that the plan took from random weights with the same zeros.

    python benchmarks/trained_times.py --study "ResNet-20 at equal latency" --seed 2    # wants an idle core

takes the files that ``accuracy_study.py`` left in its folder, converts them for this machine, as the plan's were, and
measures each against the dense float32 file of that seed. Rows stay in ``benchmarks/results/trained_times.json``.
"""

from __future__ import annotations

from pathlib import Path

import click

import tfprune as tp
from accuracy.plan import Study, read_plan
from accuracy.point import DENSE, Point
from accuracy.report import table
from mapping_costs import INT8_TIME, TIME
from measure import REPOSITORY
from results_file import read_rows, write_rows

PLAN = REPOSITORY / "benchmarks/accuracy/plans/equal_latency.yaml"
FOLDER = REPOSITORY / "build/accuracy"
RESULTS = REPOSITORY / "benchmarks/results/trained_times.json"
_ROUNDS = 61
_NAMES = {TIME: "float32.tflite", INT8_TIME: "int8.tflite"}
_HEADS = ["method", "time in the plan", "of the trained file", "int8 time in the plan", "of the trained int8 file"]

Row = dict[str, dict[str, float]]


def measured(point: Point, dense: Point, folder: Path) -> Row:
    """What the plan says of a point, and what its files take, as shares of the dense float32 file's time.

    Args:
        point: the point.
        dense: that of the same seed without pruning.
        folder: of both.

    Raises:
        ClickException: a file is not there.
    """
    files = [_for_host(_content(point, name, folder)) for name in _NAMES.values()]
    found = tp.benchmark(_dense(_content(dense, _NAMES[TIME], folder)), *files, runs=_ROUNDS).timings[1:]
    shares = {cost: round(1 / timing.speedup, 4) for cost, timing in zip(_NAMES, found, strict=True)}
    planned = dict(point.costs)
    return {"plan": {cost: planned[cost] for cost in _NAMES}, "trained": shares}


def _content(point: Point, name: str, folder: Path) -> bytes:
    path = folder / point.key / name
    if not path.exists():
        raise click.ClickException(
            f"{point}: its file must be there, `{path}` is not; train it: accuracy_study.py run with another --output"
        )
    return path.read_bytes()


def _dense(content: bytes) -> bytes:
    return tp.convert(content, target="dense").tflite


def _for_host(content: bytes) -> bytes:
    """As the plan's files were converted: with the cost table of this machine."""
    return tp.convert(_dense(content), device="host").tflite


def points_of(study: Study, seed: int) -> dict[str, Point]:
    """The points of a seed by method."""
    return {point.method: point for point in study.points if point.seed == seed}


@click.command()
@click.option("--study", "name", required=True, help="Of the plan at equal latency.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Whose files are measured.")
@click.option("--folder", type=click.Path(path_type=Path, exists=True, file_okay=False), default=FOLDER)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), default=RESULTS)
def main(name: str, seed: int, folder: Path, output: Path) -> None:
    """Measures the files of a study."""
    studies = {study.name: study for study in read_plan(PLAN).studies}
    if name not in studies:
        raise click.ClickException(f"--study must be one of {', '.join(studies)}, is {name!r}")
    points = points_of(studies[name], seed)
    if not points:
        raise click.ClickException(f"--seed must be one of the study's, {name} has none of {seed}")
    dense = points.pop(DENSE)
    rows = read_rows(output)
    lines = []
    for method, point in points.items():
        row = rows[f"{name}, {method}, seed {seed}"] = measured(point, dense, folder)
        write_rows(output, rows)
        lines.append([method, *(f"{row[what][cost]:.3f}" for cost in _NAMES for what in ("plan", "trained"))])
    click.echo(table(_HEADS, lines))


if __name__ == "__main__":
    main()
