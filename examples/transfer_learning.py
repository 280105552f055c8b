# SPDX-License-Identifier: Apache-2.0
"""Transfer learning, then pruning: a backbone that knows clothes learns shoes and bags, and ends with 80 % zeros.

First a backbone is trained on six classes of Fashion-MNIST; in a project of yours it is one of ``keras.applications``
with its weights. Then a new head learns four other classes from a few images, before a frozen backbone. Last the whole
network is tuned at a lower rate, and pruned on the way::

    python examples/transfer_learning.py
    python examples/transfer_learning.py --quick
"""

from __future__ import annotations

import dataclasses
import os
from typing import Any

# TensorFlow reads this once, when it is imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import click
import keras

import tfprune as tp
from fashion import data, evaluation, network

CLOTHES = (0, 1, 2, 3, 4, 6)
SHOES_AND_BAGS = (5, 7, 8, 9)
BATCH_SIZE = 64
SPARSITY = 0.8


@dataclasses.dataclass(frozen=True)
class Results:
    """Accuracies on the test images of the four new classes, and what pruning did."""

    head_alone: float
    tuned: float
    tuned_and_pruned: float
    pruning: Any
    converted: Any


def train_backbone(images: data.FashionMnist, epochs: int) -> keras.Model:
    """A network without its head, trained on the clothes."""
    clothes = images.train.only(CLOTHES)
    model = network.small(len(CLOTHES))
    fit(model, clothes, epochs, rate=3e-3)
    return keras.Model(model.input, model.get_layer("pool").output, name="backbone")


def fit(model: keras.Model, split: data.Split, epochs: int, rate: float, callbacks: tuple[Any, ...] = ()) -> None:
    """Compiles and trains; compiling anew is what makes a change of ``trainable`` count."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
    model.fit(split.images, split.labels, batch_size=BATCH_SIZE, epochs=epochs, verbose=0, callbacks=[*callbacks])


def run(images: data.FashionMnist, few: int, epochs: int) -> Results:
    """Trains the backbone on all images of clothes, and the rest on the first ``few`` images of the new classes."""
    backbone = train_backbone(images, epochs)
    new, test = images.train.only(SHOES_AND_BAGS).first(few), images.test.only(SHOES_AND_BAGS)

    # The head alone: nothing of the backbone moves, its averages neither.
    backbone.trainable = False
    image = keras.Input((28, 28, 1), name="photo")
    features = backbone(image, training=False)  # BatchNorm keeps its averages below, too: the new images are few
    model = keras.Model(image, keras.layers.Dense(len(SHOES_AND_BAGS), name="new_head")(features), name="transferred")
    fit(model, new, epochs, rate=1e-2)
    head_alone = evaluation.keras_accuracy(model, test)

    # The whole network at a tenth of the rate. Frozen layers cannot be pruned, so pruning belongs here.
    backbone.trainable = True
    before = model.get_weights()
    fit(model, new, 2 * epochs, rate=1e-3)
    tuned = evaluation.keras_accuracy(model, test)

    # The same again from the same weights, with pruning: the one fair comparison.
    model.set_weights(before)
    pruning = tp.PruningCallback(
        tp.patterns.Groups(rows=4), tp.schedules.PolynomialDecay(final_sparsity=SPARSITY, frequency=5)
    )
    fit(model, new, 2 * epochs, rate=1e-3, callbacks=(pruning,))
    pruned = evaluation.keras_accuracy(model, test)
    return Results(head_alone, tuned, pruned, pruning.report, tp.convert(model))


@click.command(context_settings={"show_default": True})
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Start of all random numbers.")
@click.option("--quick", is_flag=True, help="A tenth of the images: seconds, and points worse.")
def main(seed: int, quick: bool) -> Results:
    """Train a backbone, put a new head on it, prune both while they are tuned."""
    keras.utils.set_random_seed(seed)
    images = data.load().first(6_000, 2_000) if quick else data.load()
    results = run(images, few=1_000 if quick else 4_000, epochs=2 if quick else 5)
    print(results.pruning)
    print(results.converted.report)
    print("test images of the new classes:")
    print(f"  new head before a frozen backbone  {results.head_alone:.1%}")
    print(f"  all layers tuned                   {results.tuned:.1%}")
    print(f"  all layers tuned and pruned        {results.tuned_and_pruned:.1%}")
    return results


if __name__ == "__main__":
    main()
