# SPDX-License-Identifier: Apache-2.0
"""Runs the converted files on all test images with a stock LiteRT interpreter, and compares them image by image."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

import tfprune as tp
from fashion.data import Split

BATCH = 100
TOLERANCE = 1e-4

Logits = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The dense and the sparse file on the same images.

    Attributes:
        images: how many were compared.
        equal: images whose sparse logits are within :data:`TOLERANCE` of the dense ones, relative to the largest
            magnitude among the image's dense logits.
        same_class: images whose answer is the same class.
        worst: largest relative error of any image.
    """

    images: int
    equal: int
    same_class: int
    worst: float

    @property
    def ok(self) -> bool:
        """Whether every image passed."""
        return self.equal == self.images


def keras_accuracy(model: keras.Model, split: Split) -> float:
    """Share of images that the Keras model gets right."""
    return accuracy(np.asarray(model.predict(split.images, batch_size=500, verbose=0)), split)


def litert_logits(content: bytes, split: Split, *, sparse: bool) -> Logits:
    """Logits of every image from a stock interpreter, with the tfprune delegate for a sparse file."""
    from ai_edge_litert.interpreter import Interpreter

    delegates: list[Any] | None = [tp.delegate()] if sparse else None
    interpreter = Interpreter(model_content=content, num_threads=1, experimental_delegates=delegates)
    source = interpreter.get_input_details()[0]["index"]
    target = interpreter.get_output_details()[0]["index"]
    answers = []
    size = 0
    for start in range(0, len(split.images), BATCH):
        images = split.images[start : start + BATCH]
        if len(images) != size:
            size = len(images)
            interpreter.resize_tensor_input(source, images.shape)
            interpreter.allocate_tensors()
        interpreter.set_tensor(source, images)
        interpreter.invoke()
        answers.append(interpreter.get_tensor(target))
    return np.concatenate(answers)


def accuracy(logits: Logits, split: Split) -> float:
    """Share of images whose largest logit is that of their class."""
    return float(np.mean(np.argmax(logits, axis=1) == split.labels))


def compare(dense: Logits, sparse: Logits) -> Comparison:
    """Compares two sets of logits image by image."""
    errors = np.abs(sparse - dense).max(axis=1) / np.abs(dense).max(axis=1)
    return Comparison(
        images=len(dense),
        equal=int(np.count_nonzero(errors <= TOLERANCE)),
        same_class=int(np.count_nonzero(np.argmax(dense, axis=1) == np.argmax(sparse, axis=1))),
        worst=float(errors.max()),
    )
