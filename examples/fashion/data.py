# SPDX-License-Identifier: Apache-2.0
"""Fashion-MNIST: from Debian's package ``dataset-fashion-mnist``, else through the Keras loader."""

from __future__ import annotations

import dataclasses
import gzip
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
CLASSES = ("T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
_IDX_UINT8 = 0x08


@dataclasses.dataclass(frozen=True)
class Split:
    """Images float32 ``[N, 28, 28, 1]``, standardised, and labels int32 ``[N]``."""

    images: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int32]

    def first(self, count: int) -> Split:
        """The first ``count`` examples."""
        return Split(self.images[:count], self.labels[:count])

    def only(self, classes: Sequence[int]) -> Split:
        """The examples of some classes, which get the labels 0, 1, ... in the order given."""
        chosen = np.flatnonzero(np.isin(self.labels, classes))
        label_of = {old: new for new, old in enumerate(classes)}
        labels = np.array([label_of[label] for label in self.labels[chosen].tolist()], np.int32)
        return Split(self.images[chosen], labels)


@dataclasses.dataclass(frozen=True)
class FashionMnist:
    """The training and the test split, and where they came from.

    Attributes:
        train: what is trained on.
        test: what is judged on.
        source: where the images came from.
        mean: of the training images' bytes, which was subtracted.
        spread: their standard deviation, which the difference was divided by.
    """

    train: Split
    test: Split
    source: str
    mean: float = 0.0
    spread: float = 1.0

    def first(self, train: int, test: int | None = None) -> FashionMnist:
        """The first examples of both splits; None: all of the test split."""
        return dataclasses.replace(
            self, train=self.train.first(train), test=self.test if test is None else self.test.first(test)
        )


def load(folder: Path = DEBIAN_FOLDER) -> FashionMnist:
    """Reads the four IDX files in ``folder``, or asks ``keras.datasets`` when there is no such folder."""
    if folder.is_dir():
        parts = [read_idx(folder / f"{part}-{kind}.gz") for part, kind in FILES]
        source = str(folder)
    else:
        import keras

        (train_x, train_y), (test_x, test_y) = keras.datasets.fashion_mnist.load_data()
        parts = [train_x, train_y, test_x, test_y]
        source = "keras.datasets.fashion_mnist"
    # Mean and spread come from the training images alone; the test images must not influence anything.
    mean, spread = float(parts[0].mean()), float(parts[0].std())
    train = Split(_standardised(parts[0], mean, spread), parts[1].astype(np.int32))
    test = Split(_standardised(parts[2], mean, spread), parts[3].astype(np.int32))
    return FashionMnist(train, test, source, mean, spread)


FILES = (
    ("train", "images-idx3-ubyte"),
    ("train", "labels-idx1-ubyte"),
    ("t10k", "images-idx3-ubyte"),
    ("t10k", "labels-idx1-ubyte"),
)


def read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """Reads a gzipped IDX file of bytes: two zero bytes, the type, the rank, the dimensions (big-endian), the data.

    Raises:
        ValueError: the header is not that of an IDX file of bytes, or the data has another length.
    """
    with gzip.open(path) as file:
        raw = file.read()
    zero, kind, rank = struct.unpack_from(">HBB", raw)
    if zero != 0 or kind != _IDX_UINT8:
        raise ValueError(f"{path}: must be an IDX file of bytes, its header is {raw[:4]!r}")
    shape = struct.unpack_from(f">{rank}I", raw, 4)
    data = np.frombuffer(raw, np.uint8, offset=4 + 4 * rank)
    if data.size != int(np.prod(shape)):
        raise ValueError(f"{path}: the header promises {shape}, the file holds {data.size} bytes")
    return data.reshape(shape)


def _standardised(images: npt.NDArray[Any], mean: float, spread: float) -> npt.NDArray[np.float32]:
    return ((images[..., None].astype(np.float32) - mean) / spread).astype(np.float32)
