# SPDX-License-Identifier: Apache-2.0
"""Times of trained files against files of random weights that the same recipe pruned, as the plan's were measured.

    python benchmarks/trained_times.py --study "VGG at equal latency" --seed 2    # wants an idle core

takes the files that ``accuracy_study.py`` left in its folder, converts them for this machine, and measures each in
turns with one of random weights and the dense float32 network. Rows, shares of the dense network's time, stay in
``benchmarks/results/trained_times.json``. A training whose filters go out of arrays is measured with whole arrays.
"""

from __future__ import annotations

import json
from pathlib import Path

import click
import keras

import tfprune as tp
from accuracy.networks import NETWORKS
from accuracy.plan import Study, read_plan
from accuracy.point import DENSE, Point
from accuracy.report import table
from mapping_costs import INT8_TIME, ROUNDS, TIME, converted
from measure import REPOSITORY
from results_file import read_rows, write_rows

PLAN = REPOSITORY / "benchmarks/accuracy/plans/equal_latency.yaml"
FOLDER = REPOSITORY / "build/accuracy"
RESULTS = REPOSITORY / "benchmarks/results/trained_times.json"
_SHAPE, _CLASSES = (28, 28, 1), 10
_PRECISIONS = ("float32", "int8")
#: What the plan calls their times.
_PLANNED = dict(zip((TIME, INT8_TIME), _PRECISIONS, strict=True))
_HEADS = ["method", "time in the plan", "random", "trained", "int8 time in the plan", "random", "trained"]


def measured(point: Point, dense: bytes, folder: Path) -> dict[str, dict[str, float]]:
    """By precision what the random and the trained file take, as shares of the dense float32 network's time.

    Args:
        point: the point.
        dense: that network.
        folder: of all points.

    Raises:
        ClickException: a file is not there.
    """
    random = random_files(point)
    shares = {}
    for precision in _PRECISIONS:
        trained = _for_host(_content(point, precision, folder))
        found = tp.benchmark(dense, random[precision], trained, runs=ROUNDS).timings[1:]
        names = ("random", "trained")
        shares[precision] = {name: round(1 / timing.speedup, 4) for name, timing in zip(names, found, strict=True)}
    return shares


def random_files(point: Point) -> dict[str, bytes]:
    """By precision the file of the point's network with random weights, pruned by its recipe."""
    keras.utils.set_random_seed(point.seed)
    model = NETWORKS[point.network](point.width, _SHAPE, _CLASSES)
    if point.recipe:
        model = tp.prune(model, tp.Recipe.from_dict(json.loads(point.recipe))).model
    made = converted(model, point.seed, "host")
    return {precision: each.tflite for precision, each in zip(_PRECISIONS, made, strict=True)}


def _content(point: Point, precision: str, folder: Path) -> bytes:
    path = folder / point.key / f"{precision}.tflite"
    if not path.exists():
        raise click.ClickException(
            f"{point}: its file must be there, `{path}` is not; train it: accuracy_study.py run with another --output"
        )
    return path.read_bytes()


def _for_host(content: bytes) -> bytes:
    """Packed by the cost table of this machine; the study packs for arm64."""
    return tp.convert(tp.convert(content, target="dense").tflite, device="host").tflite


def points_of(study: Study, seed: int, folder: Path) -> list[Point]:
    """The points of a seed whose files are there."""
    return [point for point in study.points if point.seed == seed and (folder / point.key / "float32.tflite").exists()]


@click.command()
@click.option("--study", "name", required=True, help="Of the plan at equal latency.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Whose files are measured.")
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), default=FOLDER)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), default=RESULTS)
def main(name: str, seed: int, folder: Path, output: Path) -> None:
    """Measures the files of a study."""
    studies = {study.name: study for study in read_plan(PLAN).studies}
    if name not in studies:
        raise click.ClickException(f"--study must be one of {', '.join(studies)}, is {name!r}")
    points = points_of(studies[name], seed, folder)
    if not points:
        raise click.ClickException(f"{folder}: must have files of {name}, seed {seed}; train them first")
    dense = random_files(next(point for point in studies[name].points if point.method == DENSE))[_PRECISIONS[0]]
    rows = read_rows(output)
    lines = []
    for point in points:
        row = rows[f"{name}, {point.method}, seed {seed}"] = measured(point, dense, folder)
        write_rows(output, rows)
        planned = dict(point.costs)
        shares = [(planned[cost], *row[precision].values()) for cost, precision in _PLANNED.items()]
        lines.append([point.method, *(f"{share:.3f}" for each in shares for share in each)])
    click.echo(table(_HEADS, lines))


if __name__ == "__main__":
    main()
