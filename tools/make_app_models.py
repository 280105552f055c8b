# SPDX-License-Identifier: Apache-2.0
"""Makes what the Android demo app carries: the dense and the pruned network, sample images, and files of single layers.

Without options it trains and prunes the network of ``examples/fashion_mnist.py``::

    python tools/make_app_models.py
    python tools/make_app_models.py --model build/fashion_mnist/pruned.keras

Everything goes into one folder, which git ignores, with ``models.json`` that names each file with its SHA-256: the app
runs no other. The files of single layers are for the app's benchmark, which makes a latency profile of them.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

# TensorFlow reads this once, when it is imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import click
import keras
import numpy as np

# The network and its training are those of the example.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))

import folders
from app_profile_plan import LAYERS_OF_A_KIND, profile_plan

import tfprune as tp
from fashion import data, evaluation, network, training
from tfprune.converter import keras_source
from tfprune.errors import TfpruneError

FOLDER = Path(__file__).resolve().parents[1] / "android_demo/app/src/main/assets/models"
CATALOG = "models.json"
FORMAT = 1
WIDTH = 16
EPOCHS = 2
QUICK_IMAGES = 16_000
UNTRAINED_IMAGES = 500  # only the sample images are taken from them


def trained(images: data.FashionMnist, quick: bool) -> keras.Model:
    """The network of the example, trained and pruned."""
    epochs = 1 if quick else EPOCHS
    if quick:
        images = images.first(QUICK_IMAGES)
    model = network.resnet20(WIDTH)
    silent = training.Recorder(training.History(), lambda: None, lambda accuracy, _: click.echo(f"  {accuracy:.2%}"))
    training.train(model, images, epochs, [silent])
    training.train_and_prune(model, images, epochs, [silent])
    return model


def untrained() -> keras.Model:
    """The same network with random weights, pruned in the same way: its answers mean nothing, its times do."""
    model = network.resnet20(WIDTH)
    tp.prune(model, tp.Rule(None, tp.patterns.Groups(rows=4, aligned=False), training.SPARSITY))
    return model


def loaded(path: Path, images: data.FashionMnist) -> keras.Model:
    """The network of a file.

    Raises:
        click.BadParameter: it cannot be read, or is no network for these images.
    """
    try:
        model = keras_source.load_file(path, None, keras)
    except TfpruneError as error:
        raise click.BadParameter(str(error)) from error
    wanted = ((None, *images.test.images.shape[1:]), (None, len(data.CLASSES)))
    if (model.input_shape, model.output_shape) != wanted:
        raise click.BadParameter(
            f"{path} must map {wanted[0]} to {wanted[1]}, as the networks of examples/fashion_mnist.py do, got "
            f"{model.input_shape} to {model.output_shape}"
        )
    return model


def sample_images(images: data.FashionMnist) -> list[tuple[str, bytes, str]]:
    """The first test image of each class: a file name, a PNG and the class's name."""
    found = []
    for number, name in enumerate(data.CLASSES):
        first = np.flatnonzero(images.test.labels == number)[0]
        image = images.test.images[first] * images.spread + images.mean
        png = io.BytesIO()
        keras.utils.array_to_img(np.rint(image), scale=False).save(png, format="PNG")
        found.append((f"{name.lower().replace(' ', '_')}.png", png.getvalue(), name))
    return found


class Folder:
    """The files, with an entry for each as ``models.json`` and ``profile.json`` have it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, name: str, content: bytes) -> dict[str, Any]:
        """Writes a file and returns its entry."""
        (self._path / name).write_bytes(content)
        return {"file": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}

    def write_json(self, name: str, content: dict[str, Any]) -> None:
        """Writes a description."""
        (self._path / name).write_text(json.dumps(content, indent=1) + "\n")

    def move_to(self, target: Path) -> None:
        """Moves them into a folder, in place of earlier ones; last the file without which nobody takes the others."""
        folders.make_anew(target, CATALOG)
        for path in sorted(self._path.iterdir(), key=lambda path: path.name == CATALOG):
            shutil.move(path, target / path.name)


def catalog(folder: Folder, model: keras.Model, images: data.FashionMnist, is_trained: bool) -> dict[str, Any]:
    """Writes the two models and the sample images, and returns what ``models.json`` says of them."""
    converted = tp.convert(model, device="arm64")
    if not tp.Interpreter(converted.tflite).custom_ops:
        raise click.ClickException(
            "no layer of the network is faster pruned, so the app would compare it with itself: prune it further"
        )
    entries = {}
    for name, content, sparse in (("dense", converted.dense, False), ("pruned", converted.tflite, True)):
        accuracy = None
        if is_trained:
            accuracy = evaluation.accuracy(evaluation.litert_logits(content, images.test, sparse=sparse), images.test)
        entries[name] = {**folder.write(f"{name}.tflite", content), "accuracy": accuracy}
    return {
        "format": FORMAT,
        "name": "ResNet-20, Fashion-MNIST",
        "tfprune": tp.__version__,
        "trained": is_trained,
        "labels": list(data.CLASSES),
        "input": {"size": model.input_shape[1], "mean": images.mean, "spread": images.spread},
        **entries,
        "samples": [{**folder.write(name, png), "label": label} for name, png, label in sample_images(images)],
    }


@click.command(context_settings={"show_default": True})
@click.option("--model", type=click.Path(exists=True, path_type=Path), help="A pruned .keras file of the example.")
@click.option("--quick", is_flag=True, help=f"One epoch of each training on {QUICK_IMAGES:,} images.")
@click.option("--untrained", "random", is_flag=True, help="Random weights: answers mean nothing. For tests.")
@click.option("--layers", type=click.IntRange(min=2), default=LAYERS_OF_A_KIND, help="Of each kind, for profiles.")
@click.option("--output-dir", type=click.Path(file_okay=False, path_type=Path), default=FOLDER, help="The folder.")
def main(model: Path | None, quick: bool, random: bool, layers: int, output_dir: Path) -> None:
    """Make the models, images and layer files of the Android demo app."""
    if sum((model is not None, quick, random)) > 1:
        raise click.UsageError("--model, --quick and --untrained exclude one another; give one of them")
    folders.check_replaceable(output_dir, CATALOG)
    keras.utils.set_random_seed(0)
    images = data.load()
    if random:
        images, network_of_app = images.first(UNTRAINED_IMAGES, UNTRAINED_IMAGES), untrained()
    else:
        network_of_app = trained(images, quick) if model is None else loaded(model, images)
    with tempfile.TemporaryDirectory() as made:
        folder = Folder(Path(made))
        description = catalog(folder, network_of_app, images, not random)
        folder.write_json("profile.json", profile_plan(network_of_app, layers, folder.write))
        folder.write_json(CATALOG, description)
        folder.move_to(output_dir)
    files = [path for path in output_dir.iterdir() if path.is_file()]
    click.echo(f"{output_dir}: {len(files)} files, {sum(path.stat().st_size for path in files):,} bytes")


if __name__ == "__main__":
    main()
