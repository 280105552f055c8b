# SPDX-License-Identifier: Apache-2.0
"""Images of every data set, from small files of the same layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import click
import numpy as np
import pytest
from PIL import Image

Load = Callable[[str], ModuleType]


@pytest.fixture
def cifar(tmp_path: Path) -> Path:
    """Five files of four images and one of six; the label is the first pixel's red."""
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    for place, (name, count) in enumerate([*((f"data_batch_{i}.bin", 4) for i in range(1, 6)), ("test_batch.bin", 6)]):
        records = np.random.default_rng(place).integers(0, 256, (count, 3073), dtype=np.uint8)
        records[:, 0] = np.arange(count) % 10
        records[:, 1] = records[:, 0]
        (folder / name).write_bytes(records.tobytes())
    return tmp_path


@pytest.fixture
def imagenet(tmp_path: Path) -> Path:
    """Two classes of three training and two test images, dark and bright."""
    for part, count in (("train", 3), ("val", 2)):
        for label, name in enumerate(("n01", "n02")):
            folder = tmp_path / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                Image.new("RGB", (40, 30), (200 * label,) * 3).save(folder / f"{number}.png")
    return tmp_path


def test_cifar_is_read_from_its_binary_files(load: Load, cifar: Path) -> None:
    point, data_sets = load("accuracy.point"), load("accuracy.data_sets")
    found = data_sets.load(point.DataSpec("cifar10", str(cifar), train=10))
    assert (found.shape, found.train_count) == ((32, 32, 3), 10)
    ((images, labels),) = list(found.test())
    assert labels.tolist() == [0, 1, 2, 3, 4, 5]
    # Channels first in the file: the red of the first pixel is the label, up to scale.
    assert np.all(np.diff(images[:, 0, 0, 0]) > 0)
    assert found.few(3).shape == (3, 32, 32, 3)
    batches = list(found.fit(4)["x"])
    assert [len(labels) for _, labels in batches] == [4, 4, 2]


def test_cifar_images_are_augmented_anew_each_epoch(load: Load, cifar: Path) -> None:
    point, data_sets = load("accuracy.point"), load("accuracy.data_sets")
    found = data_sets.load(point.DataSpec("cifar10", str(cifar / "cifar-10-batches-bin")))
    epochs = [np.concatenate([images for images, _ in found.fit(32)["x"]]) for _ in range(2)]
    assert epochs[0].shape == epochs[1].shape == (20, 32, 32, 3)
    assert not np.array_equal(np.sort(epochs[0], axis=None), np.sort(epochs[1], axis=None))


def test_fashion_mnist_is_augmented_where_the_plan_says_so(load: Load) -> None:
    point, data_sets = load("accuracy.point"), load("accuracy.data_sets")
    plain, augmented = (
        data_sets.load(point.DataSpec(name, train=50, test=20)) for name in ("fashion_mnist", "fashion_mnist_augmented")
    )
    assert (augmented.shape, augmented.train_count) == (plain.shape, plain.train_count) == ((28, 28, 1), 50)
    images = np.concatenate([batch for batch, _ in augmented.fit(32)["x"]])
    assert images.shape == plain.fit(32)["x"].shape
    assert not np.array_equal(np.sort(images, axis=None), np.sort(plain.fit(32)["x"], axis=None))
    # What is measured is not augmented.
    assert all(np.array_equal(a, b) for (a, _), (b, _) in zip(augmented.test(), plain.test(), strict=True))
    assert np.array_equal(augmented.few(5), plain.few(5))


def test_folders_of_classes_are_read_while_they_are_trained_on(load: Load, imagenet: Path) -> None:
    point, data_sets = load("accuracy.point"), load("accuracy.data_sets")
    found = data_sets.load(point.DataSpec("imagenet", str(imagenet), size=16))
    assert (found.shape, found.classes, found.train_count) == ((16, 16, 3), 2, 6)
    ((images, labels),) = list(found.test())
    assert labels.tolist() == [0, 0, 1, 1]
    assert np.allclose(images[labels == 0], -1)
    assert images[labels == 1].min() > 0.4
    assert sorted(label for _, batch in found.fit(4)["x"] for label in batch.numpy().tolist()) == [0, 0, 0, 1, 1, 1]
    assert found.few(2).shape == (2, 16, 16, 3)


@pytest.mark.parametrize("name", ["fashion_mnist", "fashion_mnist_augmented", "cifar10", "imagenet"])
def test_a_folder_without_the_files_says_what_was_looked_for(name: str, load: Load, tmp_path: Path) -> None:
    point, data_sets = load("accuracy.point"), load("accuracy.data_sets")
    with pytest.raises(click.ClickException, match="was looked for in") as error:
        data_sets.load(point.DataSpec(name, str(tmp_path / "nowhere")))
    assert str(tmp_path / "nowhere") in error.value.message
    assert "--data" in error.value.message


def test_a_cut_file_is_refused(load: Load, cifar: Path) -> None:
    point, data_sets = load("accuracy.point"), load("accuracy.data_sets")
    path = cifar / "cifar-10-batches-bin/test_batch.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(click.ClickException, match=r"test_batch\.bin: must hold records of 3073 bytes"):
        data_sets.load(point.DataSpec("cifar10", str(cifar)))


def test_a_few_images_do_not_make_fewer_classes(load: Load, cifar: Path) -> None:
    point, data_sets = load("accuracy.point"), load("accuracy.data_sets")
    assert data_sets.load(point.DataSpec("cifar10", str(cifar), train=2)).classes == 10


def test_cut_files_of_fashion_mnist_are_refused(load: Load, tmp_path: Path) -> None:
    point, data_sets = load("accuracy.point"), load("accuracy.data_sets")
    source = data_sets.fashion.DEBIAN_FOLDER
    for path in source.glob("*.gz"):
        (tmp_path / path.name).write_bytes(path.read_bytes()[:1000])
    with pytest.raises(click.ClickException, match="images of fashion_mnist must be whole"):
        data_sets.load(point.DataSpec("fashion_mnist", str(tmp_path)))


def test_images_that_cannot_be_downloaded_are_asked_for(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras

    def fetch() -> None:
        raise Exception("URL fetch failure")  # as Keras' own

    point, data_sets = load("accuracy.point"), load("accuracy.data_sets")
    monkeypatch.setattr(keras.datasets.cifar10, "load_data", fetch)
    monkeypatch.setattr(keras.datasets.fashion_mnist, "load_data", fetch)
    monkeypatch.setattr(data_sets.fashion, "DEBIAN_FOLDER", tmp_path / "nowhere")
    for name, what in (("cifar10", "CIFAR-10"), ("fashion_mnist", "Fashion-MNIST")):
        with pytest.raises(click.ClickException, match=f"{what} could not be downloaded: URL .*by --data"):
            data_sets.load(point.DataSpec(name))


def test_folders_of_classes_are_counted_as_they_are_read(load: Load, imagenet: Path) -> None:
    point, data_sets = load("accuracy.point"), load("accuracy.data_sets")
    (imagenet / "train/n01/notes.txt").write_text("no image")
    assert data_sets.load(point.DataSpec("imagenet", str(imagenet), size=16)).train_count == 6


def test_folders_of_classes_that_are_not_whole_are_refused(load: Load, imagenet: Path) -> None:
    point, data_sets = load("accuracy.point"), load("accuracy.data_sets")
    spec = point.DataSpec("imagenet", str(imagenet), size=16)
    (imagenet / "val/n02").rename(imagenet / "val/n03")
    with pytest.raises(click.ClickException, match="the same classes, 2 are in one of them only, such as n02"):
        data_sets.load(spec)
    (imagenet / "val/n03").rename(imagenet / "val/n02")
    for path in (imagenet / "val").glob("*/*"):
        path.unlink()
    with pytest.raises(click.ClickException, match=r"val: must hold images, \.bmp"):
        data_sets.load(spec)
