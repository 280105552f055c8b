# SPDX-License-Identifier: Apache-2.0
"""Batches of images in an order that seed and epoch say: a training that goes on sees what it would have seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

_SHIFT = 4

Images = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int32]
#: Reads the images of these places.
Read = Callable[[npt.NDArray[np.int64]], Images]
#: Changes images at random.
Augment = Callable[[Images, np.random.Generator], Images]


class Batches(keras.utils.PyDataset):  # type: ignore[misc]  # Keras has no type information
    """Training images, each once an epoch.

    Args:
        read: of the images.
        labels: of all of them.
        batch: images a step.
        seed: of orders and changes.
        augment: what is done to the images of a step.
        workers: threads that read.
    """

    def __init__(
        self, read: Read, labels: Labels, batch: int, seed: int, augment: Augment | None = None, workers: int = 1
    ) -> None:
        super().__init__(workers=workers)
        self._read = read
        self._labels = labels
        self._batch = batch
        self._seed = seed
        self._augment = augment
        self.begin(0)

    def begin(self, epoch: int) -> None:
        """Takes the order of an epoch."""
        self._epoch = epoch
        self._order = np.random.default_rng((self._seed, epoch)).permutation(len(self._labels))

    def __len__(self) -> int:
        """Steps of an epoch."""
        return -(-len(self._labels) // self._batch)

    def __getitem__(self, step: int) -> tuple[Images, Labels]:
        """Images and labels of a step."""
        chosen = self._order[step * self._batch : (step + 1) * self._batch]
        images = self._read(chosen)
        if self._augment is not None:
            images = self._augment(images, np.random.default_rng((self._seed, self._epoch, step)))
        return images, self._labels[chosen]


class EpochOrder(keras.callbacks.Callback):  # type: ignore[misc]
    """Tells batches of each epoch, also of the first one of a training that goes on."""

    def __init__(self, batches: Batches) -> None:
        super().__init__()
        self._batches = batches

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Before any image of the epoch is read."""
        self._batches.begin(epoch)


def shifted(images: Images, random: np.random.Generator) -> Images:
    """Each moved by up to four pixels either way; what comes in is what its edge mirrors."""
    height, width = images.shape[1:3]
    padded = np.pad(images, ((0, 0), (_SHIFT, _SHIFT), (_SHIFT, _SHIFT), (0, 0)), "reflect")
    rows, columns = random.integers(0, 2 * _SHIFT + 1, (2, len(images), 1, 1))
    places = np.arange(len(images))[:, None, None]
    found: Images = padded[places, rows + np.arange(height)[:, None], columns + np.arange(width)]
    return found


def mirrored(images: Images, random: np.random.Generator) -> Images:
    """Each, or its mirror image."""
    return np.where(random.random((len(images), 1, 1, 1)) < 0.5, images[:, :, ::-1], images)


def shifted_and_mirrored(images: Images, random: np.random.Generator) -> Images:
    """Both."""
    return mirrored(shifted(images, random), random)
