# SPDX-License-Identifier: Apache-2.0
"""Pruning in a training loop of your own: ``tp.Pruner`` beside a ``tf.function``, no callback and no ``fit``.

The loop trains, prunes to 80 % on the way and goes on with the zeros kept; the network then becomes a ``.tflite``::

    python examples/custom_loop.py
    python examples/custom_loop.py --quick
"""

from __future__ import annotations

import dataclasses
import os
from typing import Any

# TensorFlow reads this once, when it is imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import click
import keras
import tensorflow as tf

import tfprune as tp
from fashion import data, evaluation, network

BATCH_SIZE = 128
RECIPE = {
    "rules": [
        {
            "layers": "conv*",
            "pattern": {"Groups": {"rows": 4}},
            "sparsity": 0.8,
            "schedule": {"PolynomialDecay": {"frequency": 10}},
        }
    ]
}


@dataclasses.dataclass(frozen=True)
class Results:
    """Sparsity after every epoch, test accuracy after the last, of Keras and of the file."""

    sparsity: list[float]
    accuracy: float
    file_accuracy: float
    pruning: Any
    converted: Any


def run(images: data.FashionMnist, epochs: int, seed: int) -> Results:
    """Trains the small network for some epochs."""
    batches = tf.data.Dataset.from_tensor_slices((images.train.images, images.train.labels))
    batches = batches.shuffle(len(images.train.labels), seed=seed).batch(BATCH_SIZE, drop_remainder=True)
    model = network.small()
    optimizer = keras.optimizers.Adam(3e-3)
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    mean_loss = keras.metrics.Mean()
    pruner = tp.Pruner(model, RECIPE, optimizer=optimizer)

    @tf.function  # type: ignore[untyped-decorator]  # TensorFlow has no type information.
    def train_step(x: tf.Tensor, y: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            loss = loss_of(y, model(x, training=True))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        mean_loss.update_state(loss)

    # The masks become constraints on the kernels, so they must be there before the step is compiled. The schedule
    # ends at 70 % of the steps that are announced.
    pruner.start(total_steps=epochs * len(batches))
    sparsity = []
    for epoch in range(epochs):
        mean_loss.reset_state()
        for x, y in batches:
            train_step(x, y)
            pruner.step()  # after each update: counts, and chooses masks where the schedule says so
        sparsity.append(pruner.sparsity)
        print(f"epoch {epoch + 1}: loss {float(mean_loss.result()):.3f}, sparsity {pruner.sparsity:.3f}")
    pruner.finalize()  # masks leave the optimizer; the zeros stay in the weights

    converted = tp.convert(model)
    file_accuracy = evaluation.accuracy(
        evaluation.litert_logits(converted.tflite, images.test, sparse=True), images.test
    )
    return Results(sparsity, evaluation.keras_accuracy(model, images.test), file_accuracy, pruner.report(), converted)


@click.command(context_settings={"show_default": True})
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Start of all random numbers.")
@click.option("--quick", is_flag=True, help="A tenth of the images: seconds, and points worse.")
def main(seed: int, quick: bool) -> Results:
    """Train and prune the small network without ``fit``."""
    keras.utils.set_random_seed(seed)
    images = data.load().first(6_000, 2_000) if quick else data.load()
    results = run(images, epochs=4, seed=seed)
    print(results.pruning)
    print(results.converted.report)
    print(f"test accuracy: {results.accuracy:.1%} in Keras, {results.file_accuracy:.1%} of the .tflite on LiteRT")
    return results


if __name__ == "__main__":
    main()
