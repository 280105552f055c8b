# SPDX-License-Identifier: Apache-2.0
"""The numbers of docs/mapping.md: predictions, comparisons and the cost of a search.

    python benchmarks/mapping.py predicted --device arm64
    python benchmarks/mapping.py predicted --device host
    python benchmarks/mapping.py plans        # wants two idle cores: choices at equal measured latency
    python benchmarks/mapping.py train        # hours; goes on where it was
    python benchmarks/mapping.py tables

Every row is kept as soon as it is there, in ``benchmarks/results/mapping_*.json``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console

import mapping_compare
import mapping_predicted
import mapping_tables
from mapping_networks import CASES, Data, dense, images, settings
from measure import REPOSITORY
from results_file import training_facts, write_json
from tfprune.costs import load_table
from tfprune.mapping.inputs import latency_model
from tfprune.mapping.latency import LatencyModel
from tfprune.mapping.network import Network
from tfprune.mapping.profiling.instructions import aarch64_instructions
from tfprune.mapping.profiling.timing import host_microseconds

RESULTS = REPOSITORY / "benchmarks/results"
SEEDS = (0, 1, 2)
RECIPES = 30
console = Console(stderr=True)


@click.group()
def main() -> None:
    """Measures mappings; see the module's text."""


class Kept:
    """Rows of a file that grows.

    Args:
        name: of the file in ``benchmarks/results``.
        facts: what the rows depend on; rows of other facts are dropped.
    """

    def __init__(self, name: str, facts: dict[str, Any]) -> None:
        self.path = RESULTS / f"{name}.json"
        known = json.loads(self.path.read_text()) if self.path.exists() else {}
        self.rows: dict[str, Any] = known.get("rows", {}) if known.get("settings") == facts else {}
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


def _latency(name: str, profile: Path | None) -> tuple[Any, LatencyModel]:
    """The network of the first seed, and what predicts it."""
    model = dense(name, SEEDS[0], images())
    return model, latency_model(model, load_table("host" if profile is None else profile))


def _ratios(name: str) -> dict[str, float]:
    case = CASES[name]
    return {"wide": case.ratio, "tight": case.tight_ratio}


@main.command()
@click.option("--profile", type=click.Path(path_type=Path, exists=True), help="Default: the host's table.")
@click.option("--label", "labels", multiple=True, default=("wide", "tight"), show_default=True)
def plans(profile: Path | None, labels: tuple[str, ...]) -> None:
    """What each method does at equal measured latency."""
    kept = Kept("mapping_plans", settings())
    for name in CASES:
        model, latency = _latency(name, profile)
        for label, wanted in _ratios(name).items():
            if label not in labels:
                continue
            for method in (*mapping_compare.PATTERNS, "rules"):
                key = f"{name}, {label}, {method}"
                if key not in kept.rows:
                    kept.keep(key, mapping_compare.plan(latency, model, method, wanted))
            key = f"{name}, {label}, narrower dense"
            if key not in kept.rows:
                width, found = mapping_compare.width_at(name, wanted, latency.table)
                kept.keep(key, {"width": width, "measured ratio": round(found, 4)})


@main.command()
@click.option("--profile", type=click.Path(path_type=Path, exists=True), help="Default: the host's table.")
@click.option("--label", "labels", multiple=True, default=("wide", "tight"), show_default=True)
@click.option("--network", "names", multiple=True, default=tuple(CASES), type=click.Choice(list(CASES)))
def train(profile: Path | None, labels: tuple[str, ...], names: tuple[str, ...]) -> None:
    """Trains every plan of the file of `plans`, and searches, for three seeds."""
    plans_made = Kept("mapping_plans", settings()).rows
    kept = Kept("mapping_accuracy", settings())
    data = images()
    for seed in SEEDS:
        for label in labels:
            for name in names:
                _train_all(name, label, seed, data, plans_made, kept, profile)


def _train_all(
    name: str, label: str, seed: int, data: Data, plans_made: dict[str, Any], kept: Kept, profile: Path | None
) -> None:
    key = f"{name}, -, dense, seed {seed}"
    if key not in kept.rows:
        kept.keep(key, mapping_compare.trained_dense(name, seed, data))
    model = dense(name, seed, data)
    latency = latency_model(model, load_table("host" if profile is None else profile))
    for method in (*mapping_compare.PATTERNS, "rules", "narrower dense"):
        key, made = f"{name}, {label}, {method}, seed {seed}", plans_made[f"{name}, {label}, {method}"]
        if key in kept.rows:
            continue
        if method == "narrower dense":
            row = mapping_compare.trained_dense(name, seed, data, made["width"])
        else:
            row = mapping_compare.trained(name, seed, data, mapping_compare.read(made["choices"]), latency)
        kept.keep(key, {**row, "measured ratio": made["measured ratio"]})
    wanted, rules = _ratios(name)[label], plans_made[f"{name}, {label}, rules"]
    correction = (1 - rules["number"]) / rules["measured ratio"]
    keys = {method: f"{name}, {label}, {method}, seed {seed}" for method in mapping_compare.SEARCHES}
    if all(key in kept.rows for key in keys.values()):
        return
    found = mapping_compare.searched(model, latency, data, wanted, correction, seed)
    for method, key in keys.items():
        choices = mapping_compare.read(found[method]["choices"])
        kept.keep(key, {**found[method], **mapping_compare.trained(name, seed, data, choices, latency)})


@main.command()
@click.option("--trials", type=click.IntRange(min=2), default=60, show_default=True)
@click.option("--profile", type=click.Path(path_type=Path, exists=True), help="Default: the host's table.")
def search_cost(trials: int, profile: Path | None) -> None:
    """Time and trials of searches, with one worker and with two; wants two idle cores."""
    kept = Kept("mapping_search", {**settings(), "trials": trials})
    model, latency = _latency("resnet20", profile)
    for method in (*mapping_compare.SEARCHES, "nsga2"):
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
