# SPDX-License-Identifier: Apache-2.0
"""Images of every data set, from small files of the same layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

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
    batches = found.fit(4, 0).arguments["x"]
    assert [len(batches[step][1]) for step in range(len(batches))] == [4, 4, 2]


def _epoch(feed: Any, epoch: int) -> tuple[Any, Any]:
    """Images and labels of an epoch in their order, told of it as Keras does."""
    (callback,) = feed.callbacks
    callback.on_epoch_begin(epoch)
    batches = feed.arguments["x"]
    images, labels = zip(*(batches[step] for step in range(len(batches))), strict=True)
    return np.concatenate(images), np.concatenate(labels)


def test_each_epoch_has_an_order_and_changes_of_its_own(load: Load, cifar: Path) -> None:
    point, data_sets = load("accuracy.point"), load("accuracy.data_sets")
    found = data_sets.load(point.DataSpec("cifar10", str(cifar / "cifar-10-batches-bin")))
    first, second, again, other = (
        _epoch(found.fit(32, seed), epoch) for seed, epoch in ((0, 0), (0, 1), (0, 0), (1, 0))
    )
    assert first[0].shape == (20, 32, 32, 3)
    assert sorted(first[1]) == sorted(second[1])
    assert all(np.array_equal(one, two) for one, two in zip(first, again, strict=True))
    for each in (second, other):
        assert first[1].tolist() != each[1].tolist()
        assert not np.array_equal(np.sort(first[0], axis=None), np.sort(each[0], axis=None))


def test_images_are_shifted_and_mirrored(load: Load) -> None:
    batches = load("accuracy.batches")
    images = np.arange(100, dtype=np.float32).reshape(1, 10, 10, 1)
    padded = np.pad(images[0, :, :, 0], 4, "reflect")
    places = [padded[row : row + 10, column : column + 10] for row in range(9) for column in range(9)]
    random = np.random.default_rng(0)
    for _ in range(50):
        shifted = batches.shifted(images, random)[0, :, :, 0]
        assert any(np.array_equal(shifted, place) for place in places)
    found = {tuple(batches.mirrored(images, random)[0, 0, :, 0]) for _ in range(20)}
    assert found == {tuple(range(10)), tuple(range(9, -1, -1))}
    many = batches.shifted_and_mirrored(np.repeat(images, 300, 0), random)
    assert len({image.tobytes() for image in many}) > 100


def test_keras_has_one_order_of_arrays_for_all_epochs() -> None:
    """What the page says of images without augmentation; where Keras does otherwise one day, it must say so."""
    import keras

    class Seen(keras.layers.Layer):  # type: ignore[misc]  # Keras has no type information
        def call(self, inputs: Any) -> Any:
            seen.extend(np.array(inputs)[:, 0].astype(int).tolist())
            return inputs

    seen: list[int] = []
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((1,)), Seen(), keras.layers.Dense(1)])
    model.compile("sgd", "mse", run_eagerly=True)
    seen.clear()
    numbers = np.arange(16, dtype=np.float32)[:, None]
    model.fit(numbers, numbers, batch_size=4, epochs=3, verbose=0)
    assert len(seen) == 48
    assert seen[:16] == seen[16:32] == seen[32:]
    assert seen[:16] != list(range(16))


def test_orders_of_fashion_mnist_are_what_the_plan_says(load: Load) -> None:
    point, data_sets = load("accuracy.point"), load("accuracy.data_sets")
    plain, reshuffled, augmented = (
        data_sets.load(point.DataSpec(f"fashion_mnist{order}", train=50, test=20))
        for order in ("", "_reshuffled", "_augmented")
    )
    assert (augmented.shape, augmented.train_count) == (plain.shape, plain.train_count) == ((28, 28, 1), 50)
    images = plain.fit(32, 0).arguments["x"]
    one, two = (_epoch(reshuffled.fit(32, 0), epoch)[0] for epoch in (0, 1))
    assert not np.array_equal(one, two)
    assert np.array_equal(np.sort(one, axis=None), np.sort(images, axis=None))
    changed = _epoch(augmented.fit(32, 0), 0)[0]
    assert changed.shape == images.shape
    assert not np.array_equal(np.sort(changed, axis=None), np.sort(images, axis=None))
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
    images, labels = _epoch(found.fit(4, 0), 0)
    assert sorted(labels) == [0, 0, 0, 1, 1, 1]
    assert np.allclose(images, np.where(labels == 1, 200 / 127.5 - 1, -1)[:, None, None, None])
    assert found.few(2).shape == (2, 16, 16, 3)


def test_some_images_of_folders_are_always_the_same_and_of_all_classes(load: Load, imagenet: Path) -> None:
    point, data_sets = load("accuracy.point"), load("accuracy.data_sets")
    for number in range(100):
        for label, name in enumerate(("n01", "n02")):
            Image.new("RGB", (20, 20), (100 * label + number,) * 3).save(imagenet / f"val/{name}/more{number}.png")
            Image.new("RGB", (20, 20), (100 * label + number,) * 3).save(imagenet / f"train/{name}/more{number}.png")
    found = data_sets.load(point.DataSpec("imagenet", str(imagenet), size=16, train=40, test=30))
    ((images, labels),) = list(found.test())
    assert len(labels) == 30
    assert 5 < labels.sum() < 25
    assert np.array_equal(images, next(iter(found.test()))[0])
    one, two = (np.sort(_epoch(found.fit(8, 0), epoch)[0], axis=0) for epoch in (0, 1))
    assert one.shape == (40, 16, 16, 3)
    assert np.array_equal(one, two)


@pytest.mark.parametrize(
    "name", ["fashion_mnist", "fashion_mnist_reshuffled", "fashion_mnist_augmented", "cifar10", "imagenet"]
)
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
