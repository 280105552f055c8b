# SPDX-License-Identifier: Apache-2.0
"""Does the dense network help to train the pruned one? Distillation with a ``train_step`` of its own, and the callback.

A dense network is trained. Two copies of it are pruned to 95 % with the same data, steps and seeds: one learns from the
labels alone, the other also from the logits of the dense network (Hinton, Vinyals and Dean 2015)::

    python examples/distillation.py
    python examples/distillation.py --quick
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from typing import Any

# TensorFlow reads this once, when it is imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import click
import keras
import numpy as np
import tensorflow as tf

import tfprune as tp
from fashion import data, evaluation, network

BATCH_SIZE = 128
SPARSITY = 0.95
TEMPERATURE = 3.0
TEACHER_WEIGHT = 0.7
LABEL_LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


class Student(keras.Model):  # type: ignore[misc]  # Keras has no type information.
    """A functional model that learns from labels and from a teacher.

    Its loss is ``(1 - w) * cross_entropy(labels, z) + w * T^2 * KL(softmax(t / T) || softmax(z / T))`` with its logits
    ``z``, the teacher's ``t``, the temperature ``T`` and ``w = TEACHER_WEIGHT``; ``T^2`` keeps both gradients at one
    scale.
    """

    teacher_logits: Callable[[Any], Any]

    def train_step(self, batch: tuple[Any, Any]) -> dict[str, Any]:
        """One update; ``self.optimizer.apply`` is where the masks act, so nothing here knows of pruning."""
        images, labels = batch
        softened = keras.ops.softmax(self.teacher_logits(images) / TEMPERATURE)
        with tf.GradientTape() as tape:
            logits = self(images, training=True)
            hint = keras.losses.kl_divergence(softened, keras.ops.softmax(logits / TEMPERATURE))
            loss = (1 - TEACHER_WEIGHT) * LABEL_LOSS(labels, logits)
            loss += TEACHER_WEIGHT * TEMPERATURE**2 * keras.ops.mean(hint)
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return {"loss": loss}


@dataclasses.dataclass(frozen=True)
class Results:
    """Test accuracies, one a seed, and the report of the last pruning."""

    dense: list[float]
    labels_alone: list[float]
    with_teacher: list[float]
    pruning: Any


def fit(model: keras.Model, split: data.Split, epochs: int, rate: float, *callbacks: Any) -> None:
    """Trains with Adam whose rate falls to zero along a cosine."""
    steps = epochs * -(-len(split.labels) // BATCH_SIZE)
    falling = keras.optimizers.schedules.CosineDecay(rate, steps)
    model.compile(keras.optimizers.Adam(falling), LABEL_LOSS)
    model.fit(split.images, split.labels, batch_size=BATCH_SIZE, epochs=epochs, verbose=0, callbacks=[*callbacks])


def run(images: data.FashionMnist, epochs: int, seeds: range) -> Results:
    """Trains one dense network and two pruned ones for each seed."""
    results = Results([], [], [], None)
    for seed in seeds:
        keras.utils.set_random_seed(seed)
        teacher = network.small()
        fit(teacher, images.train, epochs, 3e-3)
        results.dense.append(evaluation.keras_accuracy(teacher, images.test))
        for found, kind in ((results.labels_alone, keras.Model), (results.with_teacher, Student)):
            keras.utils.set_random_seed(seed)
            copy = keras.models.clone_model(teacher)
            copy.set_weights(teacher.get_weights())
            student = kind(copy.input, copy.output)
            # A function, as a model among the attributes would be a part of the student.
            student.teacher_logits = lambda x, teacher=teacher: teacher(x, training=False)
            pruning = tp.PruningCallback(
                tp.patterns.Groups(rows=4), tp.schedules.PolynomialDecay(final_sparsity=SPARSITY, frequency=10)
            )
            fit(student, images.train, epochs, 2e-3, pruning)
            found.append(evaluation.keras_accuracy(student, images.test))
            results = dataclasses.replace(results, pruning=pruning.report)
    return results


@click.command(context_settings={"show_default": True})
@click.option("--seeds", type=click.IntRange(min=1), default=3, help="How many comparisons, each from another start.")
@click.option("--quick", is_flag=True, help="A tenth of the images and one seed.")
def main(seeds: int, quick: bool) -> Results:
    """Prune with and without a teacher, and compare."""
    images = data.load().first(6_000, 2_000) if quick else data.load()
    results = run(images, epochs=4, seeds=range(1 if quick else seeds))
    print(results.pruning)
    for name in ("dense", "labels_alone", "with_teacher"):
        found = getattr(results, name)
        print(f"{name.replace('_', ' '):12}  {np.mean(found):.2%}   ({', '.join(f'{each:.2%}' for each in found)})")
    gained = np.subtract(results.with_teacher, results.labels_alone) * 100
    print(f"the teacher changed accuracy by {', '.join(f'{each:+.2f}' for each in gained)} points")
    return results


if __name__ == "__main__":
    main()
