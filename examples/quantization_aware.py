# SPDX-License-Identifier: Apache-2.0
"""Pruning, then quantization-aware training with the zeros kept, then an int8 file.

Keras 3 has no quantization-aware training of its own, but an operator for it; ``fashion/quantized.py`` builds the two
layers from it that are needed here. The masks hold as in any training. Beside it stands what the same training gives
without rounding, quantized afterwards, which is often as good::

    python examples/quantization_aware.py
    python examples/quantization_aware.py --quick
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
from fashion import data, evaluation, network, training
from fashion.quantized import quantization_aware

PATTERN = tp.patterns.Groups(rows=4)
SPARSITY = 0.8


@dataclasses.dataclass(frozen=True)
class Results:
    """The pruned model, what became of it with and without rounding in training, their files, and test accuracies."""

    pruned: keras.Model
    aware: keras.Model
    int8_without: Any
    int8_with: Any
    accuracies: dict[str, float]


def fit(model: keras.Model, images: data.FashionMnist, epochs: int, rate: float, schedule: Any = None) -> None:
    """Trains, with pruning where there is a schedule."""
    training.compile_for(model, rate, epochs * training.steps_per_epoch(images.train), warm_up=10)
    callbacks = [] if schedule is None else [tp.PruningCallback(PATTERN, schedule)]
    split = images.train
    model.fit(split.images, split.labels, batch_size=training.BATCH_SIZE, epochs=epochs, verbose=0, callbacks=callbacks)


def run(images: data.FashionMnist, epochs: int) -> Results:
    """Trains, prunes, and goes on from there with and without rounding, for as many steps and with the same masks."""
    pruned = network.small()
    fit(pruned, images, epochs, 3e-3)
    fit(pruned, images, epochs, 2e-3, tp.schedules.PolynomialDecay(final_sparsity=SPARSITY, frequency=10))

    # OneShot at step 0 finds the zeros that are there and keeps these masks to the end.
    aware, without = quantization_aware(pruned), keras.models.clone_model(pruned)
    without.set_weights(pruned.get_weights())
    for model in (aware, without):
        fit(model, images, epochs, 3e-4, tp.schedules.OneShot(SPARSITY))

    # Ranges come from training where there are any; the examples are for tensors that have none: all of `without`.
    examples = images.train.first(500).images
    int8_with = tp.convert(aware, precision="int8", representative_data=examples)
    int8_without = tp.convert(without, precision="int8", representative_data=examples)

    def on_litert(converted: Any) -> float:
        return evaluation.accuracy(evaluation.litert_logits(converted.tflite, images.test, sparse=True), images.test)

    accuracies = {
        "pruned, float32": evaluation.keras_accuracy(pruned, images.test),
        "trained on, float32": evaluation.keras_accuracy(without, images.test),
        "trained on, then int8": on_litert(int8_without),
        "trained on with rounding, Keras": evaluation.keras_accuracy(aware, images.test),
        "trained on with rounding, int8": on_litert(int8_with),
    }
    return Results(pruned, aware, int8_without, int8_with, accuracies)


@click.command(context_settings={"show_default": True})
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Start of all random numbers.")
@click.option("--quick", is_flag=True, help="A tenth of the images: seconds, and points worse.")
def main(seed: int, quick: bool) -> Results:
    """Prune, train on with and without rounding to int8, convert and compare."""
    keras.utils.set_random_seed(seed)
    images = data.load().first(6_000, 2_000) if quick else data.load()
    results = run(images, epochs=3)
    print(results.int8_with.report)
    for name in ("conv1", "conv2"):
        before, after = (model.get_layer(name).kernel.numpy() == 0 for model in (results.pruned, results.aware))
        print(f"{name}: {before.sum():,} zeros after pruning, {(before & after).sum():,} of them after training on")
    for what, accuracy in results.accuracies.items():
        print(f"{what:32} {accuracy:.2%}")
    return results


if __name__ == "__main__":
    main()
