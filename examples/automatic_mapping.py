# SPDX-License-Identifier: Apache-2.0
"""Which pattern suits which layer? Rules choose, a penalty finds the rates, and the result is measured.

A network is trained, and rules map it to a share of its latency on this machine. It is then pruned twice: to the rates
of the rules, and by a reweighted penalty from which rates emerge (Gong et al. 2021). Both results are converted and
timed against the dense file::

    python examples/automatic_mapping.py
    python examples/automatic_mapping.py --quick --profile arm64
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

# TensorFlow reads this once, when it is imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import click
import keras

import tfprune as tp
from fashion import data, evaluation, network

BATCH_SIZE = 128
DENSE_RATE, PRUNING_RATE, PENALTY_RATE = 3e-3, 2e-3, 1e-3
STRENGTH = 0.01


@dataclasses.dataclass(frozen=True)
class Outcome:
    """A network after training, converted.

    Attributes:
        accuracy: on the test images.
        speedup: of the converted file against its dense twin on this machine.
        rates: share of zeros by layer.
    """

    accuracy: float
    speedup: float
    rates: dict[str, float]


@dataclasses.dataclass(frozen=True)
class Results:
    """What the example found.

    Attributes:
        dense_accuracy: of the dense network, trained as long.
        mapping: of the rules.
        by_rules: pruned to the rates of the mapping.
        emerged: pruned to rates that emerged.
    """

    dense_accuracy: float
    mapping: tp.mapping.Mapping
    by_rules: Outcome
    emerged: Outcome


def compiled(model: keras.Model, rate: float, steps: int) -> keras.Model:
    """The model with Adam whose rate falls to zero along a cosine."""
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(rate, steps)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def run(images: data.FashionMnist, epochs: int, ratio: float, profile: str, seed: int) -> Results:
    """Trains, maps, prunes twice and measures."""
    keras.utils.set_random_seed(seed)
    x, y = images.train.images, images.train.labels
    steps = epochs * -(-len(y) // BATCH_SIZE)
    fit: dict[str, Any] = {"batch_size": BATCH_SIZE, "verbose": 0}
    dense = compiled(network.resnet20(16), DENSE_RATE, steps)
    dense.fit(x, y, epochs=epochs, **fit)
    start = dense.get_weights()

    mapping = tp.mapping.rules(dense, profile, latency_ratio=ratio)
    if not mapping.met:
        raise click.UsageError(f"--ratio {ratio:g} is out of reach, give a larger one: {mapping.title}")
    schedule = tp.schedules.PolynomialDecay(frequency=max(1, steps // 20))
    pruning = tp.PruningCallback(recipe=mapping.recipe.with_schedule(schedule))
    compiled(dense, PRUNING_RATE, steps).fit(x, y, epochs=epochs, callbacks=[pruning], **fit)
    by_rules = _outcome(dense, images, profile, mapping)

    dense.set_weights(start)
    rates = {"penalty": PENALTY_RATE, "retraining": PRUNING_RATE}
    trained = tp.mapping.train(
        dense,
        mapping,
        profile,
        x,
        y,
        penalty_epochs=epochs,
        retraining_epochs=epochs,
        strength=STRENGTH,
        prepare=lambda model, phase: compiled(model, rates[phase], steps),
        **fit,
    )
    emerged = _outcome(dense, images, profile, trained.mapping)

    dense.set_weights(start)
    compiled(dense, PRUNING_RATE, steps).fit(x, y, epochs=epochs, **fit)
    return Results(evaluation.keras_accuracy(dense, images.test), mapping, by_rules, emerged)


def _outcome(model: keras.Model, images: data.FashionMnist, profile: str, mapping: tp.mapping.Mapping) -> Outcome:
    converted = tp.convert(model, device=profile, min_speedup=mapping.min_speedup)
    timed = tp.benchmark(converted.dense, converted.tflite)
    rates = {layer.name: layer.choice.sparsity for layer in mapping.layers}
    return Outcome(evaluation.keras_accuracy(model, images.test), timed.timings[1].speedup, rates)


@click.command()
@click.option("--epochs", type=click.IntRange(min=1), default=2, show_default=True, help="Of each training.")
@click.option("--ratio", type=click.FloatRange(0, 1, min_open=True), default=0.45, show_default=True)
@click.option("--profile", default="host", show_default=True, help="A cost table: its name, or a .json file.")
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False), help="Also write the mapping as a page.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--quick", is_flag=True, help="Three epochs of 4,000 images.")
def main(epochs: int, ratio: float, profile: str, report: Path | None, seed: int, quick: bool) -> Results:
    """Maps a network, prunes it and says what it brought."""
    images = data.load()
    if quick:
        images, epochs = images.first(4_000, 1_000), 3
    results = run(images, epochs, ratio, profile, seed)
    click.echo(results.mapping)
    if report is not None:
        results.mapping.save_report(report, overwrite=True)
    click.echo(f"dense: accuracy {results.dense_accuracy:.2%}")
    for name, outcome in (("rates of the rules", results.by_rules), ("rates that emerged", results.emerged)):
        rates = ", ".join(f"{rate:.2f}" for rate in outcome.rates.values())
        click.echo(f"{name}: accuracy {outcome.accuracy:.2%}, {outcome.speedup:.2f}x; by layer {rates}")
    return results


if __name__ == "__main__":
    main()
