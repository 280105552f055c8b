# SPDX-License-Identifier: Apache-2.0
"""Networks, data and training of the comparison of mappings on Fashion-MNIST."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np

import tfprune as tp
from measure import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "examples"))
from fashion.data import FashionMnist, load
from fashion.data import Split as Split
from fashion.network import mobilenet_v2 as mobilenet_v2
from fashion.network import resnet20 as resnet20
from fashion.network import vgg as vgg

FOLDER = REPOSITORY / "build/mapping"
#: Of the 60,000 training images; the next ones judge mappings while they are searched.
TRAINED_ON, JUDGED_ON = 12_000, 2_000
DENSE_EPOCHS, PRUNING_EPOCHS = 6, 3
BATCH = 128
DENSE_RATE, PRUNING_RATE = 3e-3, 2e-3
PRUNING_STEPS = 20  # from one choice of masks to the next


class Case(NamedTuple):
    """A network of the comparison.

    Attributes:
        what: the network, in words.
        make: the network, with random weights, from a multiplier of its channels.
        ratios: shares of the dense latency at which methods are compared, by label.
    """

    what: str
    make: Callable[[float], Any]
    ratios: dict[str, float]


CASES = {
    "resnet20": Case("width 16", lambda width: resnet20(round(16 * width)), {"wide": 1 / 1.7, "tight": 1 / 2.4}),
    "mobilenet_v2": Case(
        "width 0.5, for 28 px", lambda width: mobilenet_v2(0.5 * width), {"wide": 1 / 1.7, "tight": 1 / 1.8}
    ),
    "vgg": Case("width 32", lambda width: vgg(round(32 * width)), {"wide": 1 / 1.7, "tight": 1 / 2.4}),
}


class Data(NamedTuple):
    """Images for training, for judging mappings, and for the numbers that are shown."""

    train: Split
    judge: Split
    test: Split


def images() -> Data:
    """Fashion-MNIST, split."""
    data: FashionMnist = load()
    rest = Split(data.train.images[TRAINED_ON:], data.train.labels[TRAINED_ON:])
    return Data(data.train.first(TRAINED_ON), rest.first(JUDGED_ON), data.test)


def compiled(model: Any, rate: float, epochs: int) -> Any:
    """The model with Adam, whose rate falls to zero along a cosine after a short rise."""
    steps = epochs * -(-TRAINED_ON // BATCH)
    falling = keras.optimizers.schedules.CosineDecay(
        rate / 10, steps - steps // 10, alpha=0.0, warmup_target=rate, warmup_steps=steps // 10
    )
    model.compile(
        keras.optimizers.Adam(falling),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def dense(name: str, seed: int, data: Data, width: float = 1.0) -> Any:
    """The dense network, trained once for each seed and kept in `FOLDER`; compiled to be trained on."""
    path = kept_path(f"{name}_w{width:g}_{seed}")
    if not path.exists():
        keras.utils.set_random_seed(seed)
        model = compiled(CASES[name].make(width), DENSE_RATE, DENSE_EPOCHS)
        fit(model, data, DENSE_EPOCHS, [])
        keep(model, path.stem)
    keras.utils.set_random_seed(seed + 1000)
    return compiled(keras.saving.load_model(path, compile=False), PRUNING_RATE, PRUNING_EPOCHS)


def kept_path(name: str) -> Path:
    """Where a trained network is kept."""
    return FOLDER / f"{name}.keras"


def keep(model: Any, name: str) -> None:
    """Writes a trained network whole or not at all."""
    path = kept_path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"part_{path.name}")
    model.save(part)
    part.replace(path)


def fit(model: Any, data: Data, epochs: int, callbacks: list[Any]) -> None:
    """Trains; the order of the images follows from the seed that Keras was given."""
    model.fit(data.train.images, data.train.labels, batch_size=BATCH, epochs=epochs, callbacks=callbacks, verbose=0)


def pruned(model: Any, data: Data, recipe: tp.Recipe) -> Any:
    """Trains on with a recipe."""
    scheduled = recipe.with_schedule(tp.schedules.PolynomialDecay(frequency=PRUNING_STEPS))
    fit(model, data, PRUNING_EPOCHS, [tp.PruningCallback(recipe=scheduled)])
    return model


def accuracy(model: Any, split: Split) -> float:
    """Share of right answers."""
    answers = model.predict(split.images, batch_size=500, verbose=0).argmax(axis=-1)
    return float(np.mean(answers == split.labels))


def settings() -> dict[str, Any]:
    """What the numbers depend on."""
    return {
        "networks": {name: case.what for name, case in CASES.items()},
        "trained on": TRAINED_ON,
        "judged on": JUDGED_ON,
        "dense epochs": DENSE_EPOCHS,
        "pruning epochs": PRUNING_EPOCHS,
        "batch": BATCH,
        "rates": [DENSE_RATE, PRUNING_RATE],
    }
