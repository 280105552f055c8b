# SPDX-License-Identifier: Apache-2.0
"""Trains a saved model on with a recipe, such as one of ``tfprune map``: a template for a training of your own.

Images and labels are those of Fashion-MNIST; the model is any with inputs ``[N, 28, 28, 1]`` and 10 logits::

    python examples/train_with_recipe.py build/fashion_mnist/trained.keras --recipe recipe.yaml --output pruned.keras
"""

from __future__ import annotations

import os
from pathlib import Path

# TensorFlow reads this once, when it is imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import click
import keras

import tfprune as tp
from fashion import data, evaluation

BATCH_SIZE = 128
RATE = 2e-3
QUICK_IMAGES, QUICK_TEST = 2_000, 500


@click.command()
@click.argument("model", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--recipe", type=click.Path(path_type=Path, exists=True, dir_okay=False), required=True)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), required=True, help="A .keras file.")
@click.option("--epochs", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--quick", is_flag=True, help=f"On {QUICK_IMAGES:,} images.")
def main(model: Path, recipe: Path, output: Path, epochs: int, seed: int, quick: bool) -> None:
    """Trains MODEL on while the recipe prunes it."""
    keras.utils.set_random_seed(seed)
    network = keras.saving.load_model(model, compile=False)
    images = data.load()
    if quick:
        images = images.first(QUICK_IMAGES, QUICK_TEST)
    before = evaluation.keras_accuracy(network, images.test)
    steps = epochs * -(-len(images.train.labels) // BATCH_SIZE)
    network.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(RATE, steps)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    # The recipe says which layer gets what; how fast is up to the training, which here is short.
    schedule = tp.schedules.PolynomialDecay(frequency=max(1, min(50, steps // 20)))
    pruning = tp.PruningCallback(recipe=tp.Recipe.load(recipe).with_schedule(schedule))
    network.fit(
        images.train.images,
        images.train.labels,
        batch_size=BATCH_SIZE,
        epochs=epochs,
        callbacks=[pruning],
        verbose=2,
    )
    click.echo(pruning.report)
    click.echo(f"test accuracy {before:.2%} before, {evaluation.keras_accuracy(network, images.test):.2%} pruned")
    network.save(output)
    click.echo(f"wrote {output}")


if __name__ == "__main__":
    main()
