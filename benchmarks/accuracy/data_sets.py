# SPDX-License-Identifier: Apache-2.0
"""Images to train and test on: Fashion-MNIST, CIFAR-10 and folders of ImageNet's layout."""

from __future__ import annotations

import dataclasses
import enum
import functools
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import numpy as np
import numpy.typing as npt

from accuracy.point import DataSpec
from accuracy.worker import cores
from fashion import data as fashion

if TYPE_CHECKING:
    from accuracy.batches import Augment, Read

CIFAR_FOLDER = "cifar-10-batches-bin"
_CIFAR_TRAIN = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
_CIFAR_SIZE, _CIFAR_CHANNELS = 32, 3
_IMAGENET_SIZE = 224
_IMAGE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
#: Of Fashion-MNIST and CIFAR-10.
_CLASSES = 10
_TEST_BATCH = 250

#: How Keras reads an image: as its own reader of folders, in colour and cut in the middle.
_READING = {"color_mode": "rgb", "interpolation": "bilinear", "keep_aspect_ratio": True}

Batch = tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]


class Order(enum.Enum):
    """In which order images come, and whether they are changed.

    Keras shuffles arrays once where a seed is set: every epoch has the same batches, in the same order.
    """

    ONE = "once"
    NEW = "each epoch"
    AUGMENTED = "each epoch, shifted by up to four pixels and mirrored"


class Feed(NamedTuple):
    """What ``model.fit`` is given.

    Attributes:
        arguments: that say the training images.
        callbacks: that go with them.
    """

    arguments: dict[str, Any]
    callbacks: list[Any]


@dataclasses.dataclass(frozen=True)
class DataSet:
    """Images for training and for the numbers that are shown.

    Attributes:
        shape: height, width and channels of an image.
        classes: number of labels.
        train_count: training images.
        fit: what ``model.fit`` is given, for a batch size and a seed.
        test: batches of test images and labels, always in the same order.
        few: some training images, for calibration.
    """

    shape: tuple[int, int, int]
    classes: int
    train_count: int
    fit: Callable[[int, int], Feed]
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


def fashion_mnist(spec: DataSpec, order: Order = Order.ONE) -> DataSet:
    """Fashion-MNIST, 28 x 28 grey, ten classes: from Debian's package, or by the loader of Keras."""
    folder = Path(spec.folder).expanduser() if spec.folder else fashion.DEBIAN_FOLDER
    if spec.folder:
        _wanted(folder, [f"{part}-{kind}.gz" for part, kind in fashion.FILES], "Fashion-MNIST")
    read = functools.partial(fashion.load, folder)
    found = read() if folder.is_dir() else _downloaded(read, "Fashion-MNIST")
    return _in_memory(
        _first(found.train.images, found.train.labels, spec.train),
        _first(found.test.images, found.test.labels, spec.test),
        order,
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
    return _in_memory(_first(*made[0], spec.train), _first(*made[1], spec.test), Order.AUGMENTED)


def imagenet(spec: DataSpec) -> DataSet:
    """A folder with ``train/<class>/*`` and ``val/<class>/*``, scaled to [-1, 1], read while it is trained on."""
    import keras

    folder = Path(spec.folder or ".").expanduser()
    _wanted(folder, ["train", "val"], "a folder of ImageNet's layout")
    classes = _classes(folder)
    train, test = (
        _chosen(_files(folder / part, classes), count) for part, count in (("train", spec.train), ("val", spec.test))
    )
    size = spec.size or _IMAGENET_SIZE

    def read(paths: list[str]) -> npt.NDArray[np.float32]:
        """Cut to a square in the middle, in [-1, 1]."""
        made = [keras.utils.load_img(path, target_size=(size, size), **_READING) for path in paths]
        return np.stack([np.asarray(image, np.float32) for image in made]) / 127.5 - 1

    def fit(batch: int, seed: int) -> Feed:
        from accuracy.batches import mirrored

        labels = np.array([label for _, label in train], np.int32)
        return _batches(
            lambda places: read([train[place][0] for place in places]), labels, batch, seed, mirrored, cores()
        )

    def batches() -> Iterator[Batch]:
        for start in range(0, len(test), _TEST_BATCH):
            some = test[start : start + _TEST_BATCH]
            yield read([path for path, _ in some]), np.array([label for _, label in some], np.int32)

    def few(count: int) -> npt.NDArray[np.float32]:
        return read([path for path, _ in _chosen(train, count)])

    return DataSet((size, size, 3), len(classes), len(train), fit, batches, few)


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


def _files(folder: Path, classes: list[str]) -> list[tuple[str, int]]:
    """Images with the number of their class."""
    found = [
        (str(path), label)
        for label, name in enumerate(classes)
        for path in sorted((folder / name).rglob("*"))
        if path.suffix.lower() in _IMAGE_SUFFIXES and path.is_file()
    ]
    if not found:
        raise click.ClickException(f"{folder}: must hold images, {', '.join(_IMAGE_SUFFIXES)}, found none")
    return found


def _chosen(files: list[tuple[str, int]], count: int) -> list[tuple[str, int]]:
    """So many of them, always the same, of all classes; 0: all."""
    if not 0 < count < len(files):
        return files
    return [files[place] for place in np.random.default_rng(0).permutation(len(files))[:count]]


DATA_SETS: dict[str, Callable[[DataSpec], DataSet]] = {
    "fashion_mnist": fashion_mnist,
    "fashion_mnist_reshuffled": functools.partial(fashion_mnist, order=Order.NEW),
    "fashion_mnist_augmented": functools.partial(fashion_mnist, order=Order.AUGMENTED),
    "cifar10": cifar10,
    "imagenet": imagenet,
}


def _in_memory(train: Batch, test: Batch, order: Order) -> DataSet:
    """Images that fit the memory."""

    def fit(batch: int, seed: int) -> Feed:
        if order is Order.ONE:
            return Feed({"x": train[0], "y": train[1], "batch_size": batch}, [])
        from accuracy.batches import shifted_and_mirrored

        augment = shifted_and_mirrored if order is Order.AUGMENTED else None
        return _batches(lambda places: train[0][places], train[1], batch, seed, augment)

    def batches() -> Iterator[Batch]:
        for start in range(0, len(test[1]), _TEST_BATCH):
            yield test[0][start : start + _TEST_BATCH], test[1][start : start + _TEST_BATCH]

    shape = train[0].shape[1:]
    # Not of these labels: the first images need not show every class.
    return DataSet(
        (shape[0], shape[1], shape[2]), _CLASSES, len(train[1]), fit, batches, lambda count: train[0][:count]
    )


def _batches(
    read: Read, labels: npt.NDArray[np.int32], batch: int, seed: int, augment: Augment | None, workers: int = 1
) -> Feed:
    # Here, because it loads Keras.
    from accuracy.batches import Batches, EpochOrder

    made = Batches(read, labels, batch, seed, augment, workers)
    return Feed({"x": made, "shuffle": False}, [EpochOrder(made)])


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
