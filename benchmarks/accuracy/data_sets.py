# SPDX-License-Identifier: Apache-2.0
"""Images to train and test on: Fashion-MNIST, CIFAR-10 and folders of ImageNet's layout."""

from __future__ import annotations

import dataclasses
import functools
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt

from accuracy.point import DataSpec
from fashion import data as fashion

CIFAR_FOLDER = "cifar-10-batches-bin"
_CIFAR_TRAIN = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
_CIFAR_SIZE, _CIFAR_CHANNELS = 32, 3
_IMAGENET_SIZE = 224
_IMAGE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
#: Of Fashion-MNIST and CIFAR-10.
_CLASSES = 10
_TEST_BATCH = 250

Batch = tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]


@dataclasses.dataclass(frozen=True)
class DataSet:
    """Images for training and for the numbers that are shown.

    Attributes:
        shape: height, width and channels of an image.
        classes: number of labels.
        train_count: training images.
        fit: arguments of ``model.fit`` for a batch size: the training images, in an order by Keras' seed.
        test: batches of test images and labels, always in the same order.
        few: some training images, for calibration.
    """

    shape: tuple[int, int, int]
    classes: int
    train_count: int
    fit: Callable[[int], dict[str, Any]]
    test: Callable[[], Iterator[Batch]]
    few: Callable[[int], npt.NDArray[np.float32]]


def load(spec: DataSpec) -> DataSet:
    """Reads the images of a plan.

    Raises:
        ClickException: files that are not there, with what was looked for and where; or that are no such images.
    """
    try:
        return DATA_SETS[spec.name](spec)
    except (OSError, EOFError, ValueError, struct.error, zlib.error) as error:
        raise click.ClickException(f"images of {spec.name} must be whole: {error}; get the files anew") from error


def fashion_mnist(spec: DataSpec, *, augmented: bool = False) -> DataSet:
    """Fashion-MNIST, 28 x 28 grey, ten classes: from Debian's package, or by the loader of Keras."""
    folder = Path(spec.folder).expanduser() if spec.folder else fashion.DEBIAN_FOLDER
    if spec.folder:
        _wanted(folder, [f"{part}-{kind}.gz" for part, kind in fashion.FILES], "Fashion-MNIST")
    read = functools.partial(fashion.load, folder)
    found = read() if folder.is_dir() else _downloaded(read, "Fashion-MNIST")
    return _in_memory(
        _first(found.train.images, found.train.labels, spec.train),
        _first(found.test.images, found.test.labels, spec.test),
        augmented=augmented,
    )


def cifar10(spec: DataSpec) -> DataSet:
    """CIFAR-10, 32 x 32 in colour, ten classes: the binary files of its authors, or the loader of Keras."""
    if spec.folder:
        folder = Path(spec.folder).expanduser()
        folder = folder / CIFAR_FOLDER if (folder / CIFAR_FOLDER).is_dir() else folder
        _wanted(folder, [*_CIFAR_TRAIN, "test_batch.bin"], "CIFAR-10")
        parts = [_cifar_file(folder / name) for name in _CIFAR_TRAIN]
        train = np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
        test = _cifar_file(folder / "test_batch.bin")
    else:
        import keras

        train, test = _downloaded(keras.datasets.cifar10.load_data, "CIFAR-10")
    mean, spread = train[0].mean(axis=(0, 1, 2)), train[0].std(axis=(0, 1, 2))
    made = [
        (((images - mean) / spread).astype(np.float32), labels.reshape(-1).astype(np.int32))
        for images, labels in (train, test)
    ]
    return _in_memory(_first(*made[0], spec.train), _first(*made[1], spec.test), augmented=True)


def imagenet(spec: DataSpec) -> DataSet:
    """A folder with ``train/<class>/*`` and ``val/<class>/*``, scaled to [-1, 1], read while it is trained on."""
    import keras
    import tensorflow as tf

    folder = Path(spec.folder or ".").expanduser()
    _wanted(folder, ["train", "val"], "a folder of ImageNet's layout")
    classes, counts = _classes(folder), {part: _images_below(folder / part) for part in ("train", "val")}
    size = spec.size or _IMAGENET_SIZE

    def read(part: str, batch: int | None, *, shuffle: bool) -> Any:
        return keras.utils.image_dataset_from_directory(
            folder / part,
            label_mode="int",
            class_names=classes,
            batch_size=batch,
            image_size=(size, size),
            crop_to_aspect_ratio=True,
            shuffle=shuffle,
            seed=0,
            verbose=False,
        )

    def scaled(images: Any, labels: Any) -> tuple[Any, Any]:
        return tf.cast(images, tf.float32) / 127.5 - 1, labels

    train_count = min(spec.train or counts["train"], counts["train"])
    test_count = min(spec.test or counts["val"], counts["val"])

    def fit(batch: int) -> dict[str, Any]:
        images = read("train", None, shuffle=True).take(train_count).map(scaled).map(_flipped(tf))
        return {"x": images.batch(batch).prefetch(tf.data.AUTOTUNE)}

    def test() -> Iterator[Batch]:
        for images, labels in read("val", None, shuffle=False).take(test_count).map(scaled).batch(_TEST_BATCH):
            yield images.numpy(), labels.numpy().astype(np.int32)

    def few(count: int) -> npt.NDArray[np.float32]:
        images = read("train", None, shuffle=True).take(count).map(scaled)
        return np.stack([image.numpy() for image, _ in images])

    return DataSet((size, size, 3), len(classes), train_count, fit, test, few)


def _classes(folder: Path) -> list[str]:
    """Names of the folders below ``train``, which are those below ``val`` too."""
    train, val = ({each.name for each in (folder / part).iterdir() if each.is_dir()} for part in ("train", "val"))
    if not train:
        raise click.ClickException(f"{folder / 'train'}: must hold a folder for each class, found none")
    if train != val:
        odd = sorted(train ^ val)
        raise click.ClickException(
            f"{folder}: train and val must hold the same classes, {len(odd)} are in one of them only, such as {odd[0]}"
        )
    return sorted(train)


def _images_below(folder: Path) -> int:
    """Files that Keras takes for images."""
    count = sum(each.suffix.lower() in _IMAGE_SUFFIXES and each.is_file() for each in folder.glob("*/**/*"))
    if not count:
        raise click.ClickException(f"{folder}: must hold images, {', '.join(_IMAGE_SUFFIXES)}, found none")
    return count


DATA_SETS: dict[str, Callable[[DataSpec], DataSet]] = {
    "fashion_mnist": fashion_mnist,
    "fashion_mnist_augmented": functools.partial(fashion_mnist, augmented=True),
    "cifar10": cifar10,
    "imagenet": imagenet,
}


def _in_memory(
    train: tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]],
    test: tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]],
    *,
    augmented: bool = False,
) -> DataSet:
    """Images that fit the memory; augmented ones are shifted by up to four pixels and mirrored."""

    def fit(batch: int) -> dict[str, Any]:
        if not augmented:
            return {"x": train[0], "y": train[1], "batch_size": batch}
        import tensorflow as tf

        images = tf.data.Dataset.from_tensor_slices(train).shuffle(len(train[1]), reshuffle_each_iteration=True)
        return {"x": images.map(_shifted(tf)).map(_flipped(tf)).batch(batch).prefetch(tf.data.AUTOTUNE)}

    def batches() -> Iterator[Batch]:
        for start in range(0, len(test[1]), _TEST_BATCH):
            yield test[0][start : start + _TEST_BATCH], test[1][start : start + _TEST_BATCH]

    shape = train[0].shape[1:]
    # Not of these labels: the first images need not show every class.
    return DataSet(
        (shape[0], shape[1], shape[2]), _CLASSES, len(train[1]), fit, batches, lambda count: train[0][:count]
    )


def _shifted(tf: Any) -> Callable[[Any, Any], tuple[Any, Any]]:
    def shift(image: Any, label: Any) -> tuple[Any, Any]:
        padded = tf.pad(image, [[4, 4], [4, 4], [0, 0]], "REFLECT")
        return tf.image.random_crop(padded, tf.shape(image)), label

    return shift


def _flipped(tf: Any) -> Callable[[Any, Any], tuple[Any, Any]]:
    return lambda image, label: (tf.image.random_flip_left_right(image), label)


def _first(images: npt.NDArray[np.float32], labels: npt.NDArray[np.int32], count: int) -> Batch:
    return (images[:count], labels[:count]) if count else (images, labels)


def _cifar_file(path: Path) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Records of a label and 3 x 32 x 32 bytes, channels first."""
    record = 1 + _CIFAR_CHANNELS * _CIFAR_SIZE * _CIFAR_SIZE
    raw = np.fromfile(path, np.uint8)
    if not raw.size or raw.size % record:
        raise click.ClickException(f"{path}: must hold records of {record} bytes, its size is {raw.size}")
    records = raw.reshape(-1, record)
    images = records[:, 1:].reshape(-1, _CIFAR_CHANNELS, _CIFAR_SIZE, _CIFAR_SIZE).transpose(0, 2, 3, 1)
    return images, records[:, 0]


def _downloaded(read: Callable[[], Any], what: str) -> Any:
    """What Keras keeps or downloads."""
    try:
        return read()
    except Exception as error:  # its loaders raise no other
        raise click.ClickException(f"{what} could not be downloaded: {error}; give its folder by --data") from error


def _wanted(folder: Path, names: list[str], what: str) -> None:
    """Refuses a folder without the files."""
    missing = [name for name in names if not (folder / name).exists()]
    if missing:
        raise click.ClickException(
            f"{what} was looked for in {folder.absolute()}, which lacks {', '.join(missing)}; give its folder by --data"
        )
