# SPDX-License-Identifier: Apache-2.0
"""A penalty as a gradient in the loss against its proximal step: Fashion-MNIST, a small network, Adam and SGD.

The network is trained, then trained on under each penalty in both ways, then cut in aligned groups of four. Right
before and right after the cut, without any training after it: the share of ``|W|`` that the cut removes, and the
accuracy on test images. The table is in ``docs/pruning.md``::

    python benchmarks/penalty_steps.py
    python benchmarks/penalty_steps.py --steps 20 --images 1000 --output /tmp/steps.json
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# TensorFlow reads this once, when it is imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.append(str(Path(__file__).resolve().parents[1] / "examples"))

import click
import keras
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

import tfprune as tp
from fashion import data
from results_file import training_facts, write_json
from tfprune.errors import PruningError

RESULTS = Path(__file__).resolve().parent / "results"
PATTERN = tp.patterns.Groups(rows=4, aligned=True)
SPARSITY = 0.75
BATCH = 64
LAYERS = ["first", "second"]
OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "Adam": lambda: keras.optimizers.Adam(1e-3),
    "SGD": lambda: keras.optimizers.SGD(0.02, momentum=0.9),
}
Ramp = tp.schedules.StrengthRamp
PENALTIES: dict[str, tuple[tuple[float, ...], Callable[[Any], tp.penalties.Penalty]]] = {
    "PriorMaskPenalty": ((1.0, 10.0, 100.0), tp.penalties.PriorMaskPenalty),
    "AdmmPenalty": ((1.0, 10.0, 100.0, 1000.0), lambda ramp: tp.penalties.AdmmPenalty(ramp, refresh=20)),
    "ReweightedGroupPenalty": (
        (1e-3, 1e-2, 1e-1),
        lambda ramp: tp.penalties.ReweightedGroupPenalty(ramp, refresh=60),
    ),
}
Images = data.Split


def network() -> Any:
    """Three convolutions and a classifier."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(16, 3, strides=2, activation="relu", name="stem"),
            layers.Conv2D(32, 3, strides=2, activation="relu", name="first"),
            layers.Conv2D(32, 3, activation="relu", name="second"),
            layers.Flatten(),
            layers.Dense(10, name="logits"),
        ]
    )


def loss_function() -> Any:
    """Of logits."""
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def batches(train: Images, steps: int) -> Iterator[tuple[Any, Any]]:
    """The same ones for both ways."""
    random = np.random.default_rng(0)
    for _ in range(steps):
        chosen = random.integers(0, len(train.labels), BATCH)
        yield train.images[chosen], train.labels[chosen]


def by_gradient(model: Any, penalty: tp.penalties.Penalty, optimizer: Any, train: Images, steps: int) -> None:
    """Trains with the penalty in the loss."""
    term = tp.penalties.PenaltyLoss(penalty, PATTERN, SPARSITY, filters=LAYERS)
    loss = loss_function()

    @tf.function  # type: ignore[untyped-decorator]  # TensorFlow has no type information
    def step(images: Any, labels: Any) -> None:
        with tf.GradientTape() as tape:
            value = loss(labels, model(images, training=True)) + term(model)
        optimizer.apply(tape.gradient(value, model.trainable_variables), model.trainable_variables)

    optimizer.build(model.trainable_variables)
    for number, batch in enumerate(batches(train, steps)):
        term.update(model, number)
        step(*batch)


def by_proximal_step(model: Any, penalty: tp.penalties.Penalty, optimizer: Any, train: Images, steps: int) -> None:
    """Trains with the penalty after each update; the cut is left to others."""
    model.compile(optimizer, loss_function())
    rule = tp.Rule(LAYERS, PATTERN, SPARSITY, tp.schedules.ConstantSparsity(begin_step=steps + 1), penalty=penalty)
    pruner = tp.Pruner(model, rule)
    with warnings.catch_warnings():  # that the schedule's end is not reached
        warnings.simplefilter("ignore", UserWarning)
        pruner.start(steps)
    for batch in batches(train, steps):
        model.train_on_batch(*batch)
        pruner.step()
    pruner.finalize()


def cut(model: Any) -> float:
    """Cuts; the share of magnitude that went."""
    gone = everything = 0.0
    for name in LAYERS:
        kernel = model.get_layer(name).kernel
        values = np.array(keras.ops.convert_to_numpy(kernel))
        mask = tp.select(values, PATTERN, SPARSITY)
        gone, everything = gone + float(np.abs(values[~mask]).sum()), everything + float(np.abs(values).sum())
        kernel.assign(values * mask)
    return gone / everything


def accuracy(model: Any, test: Images) -> float:
    """Share of right answers."""
    return float((model.predict(test.images, batch_size=500, verbose=0).argmax(axis=1) == test.labels).mean())


def measured(how: Callable[..., None], start: list[Any], test: Images, *arguments: Any) -> dict[str, Any]:
    """Share and accuracies of one training; none where it diverged."""
    keras.utils.set_random_seed(0)
    model = network()
    model.set_weights(start)
    try:
        how(model, *arguments)
        before = accuracy(model, test)
        share = cut(model)
    except PruningError as error:
        return {"diverged": str(error)}
    except tp.errors.PatternError as error:
        return {"diverged": str(error)}
    return {"share": round(share, 4), "before": round(before, 4), "after": round(accuracy(model, test), 4)}


def rows(images: data.FashionMnist, start: list[Any], steps: int) -> Iterator[dict[str, Any]]:
    """A row a penalty, optimizer, strength and way."""
    for name, (strengths, make) in PENALTIES.items():
        for optimizer, make_optimizer in OPTIMIZERS.items():
            for strength in strengths:
                for way, how in (("gradient", by_gradient), ("proximal step", by_proximal_step)):
                    penalty = make(Ramp(strength, end_step=0))
                    found = measured(how, start, images.test, penalty, make_optimizer(), images.train, steps)
                    yield {"penalty": name, "optimizer": optimizer, "strength": strength, "way": way, **found}


@click.command()
@click.option("--images", type=click.IntRange(BATCH), default=4000, show_default=True, help="Training images.")
@click.option("--test-images", type=click.IntRange(1), default=2000, show_default=True)
@click.option("--epochs", type=click.IntRange(1), default=4, show_default=True, help="Epochs of the dense training.")
@click.option("--steps", type=click.IntRange(1), default=190, show_default=True, help="Steps under a penalty.")
@click.option("--output", type=click.Path(path_type=Path), default=RESULTS / "penalty_steps.json")
def main(output: Path, **settings: int) -> None:
    """Trains and compares."""
    images = data.load()
    images = data.FashionMnist(
        images.train.first(settings["images"]), images.test.first(settings["test_images"]), images.source
    )
    keras.utils.set_random_seed(0)
    model = network()
    model.compile(keras.optimizers.Adam(2e-3), loss_function())
    model.fit(images.train.images, images.train.labels, batch_size=BATCH, epochs=settings["epochs"], verbose=0)
    start, dense = model.get_weights(), accuracy(model, images.test)
    plain = {"before": dense, "share": round(cut(model), 4), "after": accuracy(model, images.test)}
    table = Table("penalty", "optimizer", "strength", "way", "share", "before", "after")
    found = []
    for row in rows(images, start, settings["steps"]):
        found.append(row)
        numbers = (
            ["diverged", "", ""] if "diverged" in row else [f"{row[key]:g}" for key in ("share", "before", "after")]
        )
        table.add_row(row["penalty"], row["optimizer"], f"{row['strength']:g}", row["way"], *numbers)
    Console(width=150).print(plain, table)
    write_json(output, {**training_facts(settings), "without training on": plain, "rows": found})


if __name__ == "__main__":
    main()
