# SPDX-License-Identifier: Apache-2.0
"""The numbers of docs/mapping.md: predictions, comparisons and the cost of a search.

    python benchmarks/mapping.py predicted --device arm64
    python benchmarks/mapping.py predicted --device host
    python benchmarks/mapping.py plans        # wants two idle cores: choices at equal measured latency
    python benchmarks/mapping.py costs --device arm64
    python benchmarks/mapping.py costs --device host  # wants an idle core: what these cost in int8
    python benchmarks/mapping.py study        # writes these as benchmarks/accuracy/plans/equal_latency.yaml
    python benchmarks/mapping.py train        # hours; goes on where it was
    python benchmarks/mapping.py ratios       # wants an idle core: of what its searches found
    python benchmarks/mapping.py search-cost  # wants two idle cores
    python benchmarks/mapping.py tables

Every row is kept as soon as it is there, in ``benchmarks/results/mapping_*.json``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import click
from rich.console import Console

import mapping_compare
import mapping_costs
import mapping_predicted
import mapping_study
import mapping_tables
from mapping_networks import CASES, Data, dense, images, settings
from measure import REPOSITORY
from results_file import training_facts, write_json
from tfprune.costs import CostTable, load_table
from tfprune.mapping.inputs import latency_model
from tfprune.mapping.latency import LatencyModel
from tfprune.mapping.network import Network
from tfprune.mapping.profiling.instructions import aarch64_instructions
from tfprune.mapping.profiling.timing import host_microseconds

RESULTS = REPOSITORY / "benchmarks/results"
SEEDS = (0, 1, 2)
RECIPES = 30
NARROWER = "narrower dense"
METHODS = (*mapping_compare.PLANNED, NARROWER, *mapping_compare.SEARCHES)
console = Console(stderr=True)


@click.group()
def main() -> None:
    """Measures mappings; see the module's text."""


class Kept:
    """Rows of a file that grows.

    Args:
        name: of the file in ``benchmarks/results``.
        facts: what the rows depend on.

    Raises:
        ClickException: the file has rows of other facts.
    """

    def __init__(self, name: str, facts: dict[str, Any]) -> None:
        self.path = RESULTS / f"{name}.json"
        known = json.loads(self.path.read_text()) if self.path.exists() else {}
        earlier = known.get("settings", facts)
        if earlier != facts:
            raise click.ClickException(
                f"`{self.path}` must hold rows of {facts}, not {earlier}; move it away to begin anew"
            )
        self.rows: dict[str, Any] = known.get("rows", {})
        self._facts = facts

    def keep(self, key: str, row: Any) -> None:
        """Adds a row and writes the file."""
        self.rows[key] = row
        write_json(self.path, {**training_facts(self._facts), "rows": self.rows})
        console.print(key, row if not isinstance(row, dict) else {k: v for k, v in row.items() if k != "choices"})


@main.command()
@click.option("--device", type=click.Choice(["arm64", "host"]), required=True)
@click.option("--profile", type=click.Path(path_type=Path, exists=True), help="Default: the table of the package.")
def predicted(device: str, profile: Path | None) -> None:
    """Predicted against measured latency of 30 random recipes for each network."""
    table = load_table(device if profile is None else profile)
    facts = {"device": device, "table": table.name, "recipes": RECIPES}
    kept = Kept(f"mapping_predicted_{device}", facts)
    for name, make in mapping_predicted.NETWORKS.items():
        missing = [seed for seed in range(RECIPES) if f"{name} {seed}" not in kept.rows]
        if not missing:
            continue
        latency = LatencyModel(Network(make()), table)
        groups = [mapping_predicted.files(latency, seed) for seed in missing]
        # Of a random network, differences are relative to answers near zero.
        times = aarch64_instructions(groups, rtol=1e-2) if device == "arm64" else host_microseconds(groups, 0.5)
        for seed, (dense_time, sparse_time) in zip(missing, times, strict=True):
            row = {"predicted": mapping_predicted.prediction(latency, seed), "measured": sparse_time}
            kept.keep(f"{name} {seed}", {**row, "dense": dense_time, "predicted dense": latency.dense.time})
    for name in mapping_predicted.NETWORKS:
        own = [row for key, row in kept.rows.items() if key.startswith(f"{name} ")]
        console.print(name, mapping_predicted.summary(own))
    console.print("all", mapping_predicted.summary(kept.rows.values()))


def _table(profile: Path | None) -> CostTable:
    return load_table("host" if profile is None else profile)


def _latency(name: str, profile: Path | None) -> tuple[Any, LatencyModel]:
    """The network of the first seed, and what predicts it."""
    model = dense(name, SEEDS[0], images())
    return model, latency_model(model, _table(profile))


def choosing(command: Any) -> Any:
    """The options of what is compared."""
    profile = click.Path(path_type=Path, exists=True)
    for option in (
        click.option("--profile", type=profile, help="Default: the host's table."),
        click.option("--label", "labels", multiple=True, default=("wide", "tight"), show_default=True),
        click.option("--network", "names", multiple=True, default=tuple(CASES), type=click.Choice(list(CASES))),
        click.option("--method", "methods", multiple=True, default=METHODS, type=click.Choice(METHODS)),
    ):
        command = option(command)
    return command


def _plans() -> Kept:
    return Kept("mapping_plans", {"networks": settings()["networks"]})


@main.command()
@choosing
def plans(profile: Path | None, labels: tuple[str, ...], names: tuple[str, ...], methods: tuple[str, ...]) -> None:
    """What each method does at equal measured latency."""
    kept = _plans()
    for name in names:
        # None of them looks at weights.
        model = CASES[name].make(1.0)
        latency = latency_model(model, _table(profile))
        for label, wanted in CASES[name].ratios.items():
            if label not in labels:
                continue
            for method in (each for each in mapping_compare.PLANNED if each in methods):
                key = f"{name}, {label}, {method}"
                if key not in kept.rows:
                    kept.keep(key, mapping_compare.plan(latency, model, method, wanted))
            if NARROWER in methods and f"{name}, {label}, {NARROWER}, slower" not in kept.rows:
                for method, row in mapping_compare.widths_at(name, wanted, latency.table).items():
                    kept.keep(f"{name}, {label}, {method}", row)


@main.command()
@click.option("--device", type=click.Choice(["arm64", "host"]), required=True)
@click.option("--profile", type=click.Path(path_type=Path, exists=True), help="Default: the table of the package.")
def costs(device: str, profile: Path | None) -> None:
    """What dense networks and the choices of `plans` cost in int8, and in instructions on arm64."""
    kept = _plans()
    table = load_table(device if profile is None else profile)
    measured, names = mapping_costs.MEASURED[device]
    for name in CASES:
        kept.rows.setdefault(f"{name}, dense", {"measured ratio": 1.0})
    for key, row in kept.rows.items():
        if not names <= set(row):
            kept.keep(key, {**row, **measured(key.split(",")[0], row, table)})


@main.command()
def study() -> None:
    """Writes the plan that trains what `plans` found, and its recipes."""
    console.print(f"{mapping_study.write(_plans().rows)} written")


class Training(NamedTuple):
    """What all rows of one seed share.

    Attributes:
        seed: of the training.
        data: to train and to test on.
        methods: that are trained.
        kept: the rows.
    """

    seed: int
    data: Data
    methods: tuple[str, ...]
    kept: Kept


@main.command()
@choosing
@click.option("--seed", "seeds", multiple=True, default=SEEDS, show_default=True, type=int)
def train(
    profile: Path | None,
    labels: tuple[str, ...],
    names: tuple[str, ...],
    methods: tuple[str, ...],
    seeds: tuple[int, ...],
) -> None:
    """Trains every plan of the file of `plans`, and searches, for each seed."""
    data = images()
    kept = Kept(mapping_tables.ACCURACY, settings())
    for seed in seeds:
        training = Training(seed, data, methods, kept)
        for name in names:
            key = f"{name}, dense, seed {seed}"
            if key not in kept.rows:
                kept.keep(key, mapping_compare.trained_dense(name, seed, data))
            model = dense(name, seed, data)
            latency = latency_model(model, _table(profile))
            for label in CASES[name].ratios:
                if label in labels:
                    _train_plans(name, label, latency, training)
                    _train_searched(name, label, latency, training)


def _train_plans(name: str, label: str, latency: LatencyModel, training: Training) -> None:
    """What does not look at the trained weights; plans that do not reach the ratio are left out."""
    begin = f"{name}, {label}, "
    seed, data, kept = training.seed, training.data, training.kept
    for key, made in _plans().rows.items():
        method = NARROWER if NARROWER in key else key.removeprefix(begin)
        row_key = f"{key}, seed {seed}"
        if not key.startswith(begin) or method not in training.methods or row_key in kept.rows:
            continue
        if method == NARROWER:
            row = _narrower(name, made["width"], training)
        elif made["measured ratio"] > CASES[name].ratios[label] * (1 + mapping_compare.EQUAL):
            console.print(f"{key}: does not reach the ratio")
            continue
        else:
            choices = mapping_compare.read(made["choices"])
            row = mapping_compare.trained(name, seed, data, choices, latency)
        kept.keep(row_key, {**row, "measured ratio": made["measured ratio"]})


def _narrower(name: str, width: float, training: Training) -> dict[str, Any]:
    """The dense network of a width; labels share it."""
    for key, row in training.kept.rows.items():
        if key.startswith(f"{name}, ") and key.endswith(f"seed {training.seed}") and row.get("width") == width:
            return dict(row)
    return {
        **mapping_compare.trained_dense(name, training.seed, training.data, width),
        "width": width,
    }


def _train_searched(name: str, label: str, latency: LatencyModel, training: Training) -> None:
    """What searches find, with the correction that the mapping by rules has: they look for a predicted ratio."""
    seed, data, kept = training.seed, training.data, training.kept
    keys = {method: f"{name}, {label}, {method}, seed {seed}" for method in mapping_compare.SEARCHES}
    missing = [method for method, key in keys.items() if method in training.methods and key not in kept.rows]
    if not missing:
        return
    by_rules = _plans().rows[f"{name}, {label}, rules"]
    predicted = CASES[name].ratios[label] * (1 - by_rules["number"]) / by_rules["measured ratio"]
    for method, row in mapping_compare.searched(
        dense(name, seed, data), latency, data, predicted, missing, seed
    ).items():
        choices = mapping_compare.read(row["choices"])
        trained = mapping_compare.trained(name, seed, data, choices, latency)
        kept.keep(keys[method], {**row, **trained})


@main.command()
@click.option("--profile", type=click.Path(path_type=Path, exists=True), help="Default: the host's table.")
@click.option("--network", "names", multiple=True, default=tuple(CASES), type=click.Choice(list(CASES)))
def ratios(profile: Path | None, names: tuple[str, ...]) -> None:
    """Measures what searches found once more: `train` may have done it beside other work; wants an idle core."""
    kept = Kept(mapping_tables.ACCURACY, settings())
    for name in names:
        searched = {key: row for key, row in kept.rows.items() if key.startswith(f"{name}, ") and "choices" in row}
        if not searched:
            continue
        _, latency = _latency(name, profile)
        for key, row in searched.items():
            measured = mapping_compare.ratio(latency, mapping_compare.read(row["choices"]))
            kept.keep(key, {**row, "measured ratio": round(measured, 4)})


@main.command()
@click.option("--trials", type=click.IntRange(min=2), default=24, show_default=True)
@click.option("--profile", type=click.Path(path_type=Path, exists=True), help="Default: the host's table.")
def search_cost(trials: int, profile: Path | None) -> None:
    """Time and trials of searches, with one worker and with two; wants two idle cores."""
    kept = Kept("mapping_search", {**settings(), "trials": trials})
    model, latency = _latency("resnet20", profile)
    for method in ("policy", "optuna", "nsga2"):
        for workers in (1, 2):
            key = f"{method}, {workers} workers"
            if key not in kept.rows:
                kept.keep(key, mapping_compare.search_cost(model, latency, images(), method, workers, trials))


@main.command()
def tables() -> None:
    """Prints the tables of docs/mapping.md."""
    click.echo(mapping_tables.text(RESULTS))


if __name__ == "__main__":
    main()
