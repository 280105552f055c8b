# SPDX-License-Identifier: Apache-2.0
"""What KEP's penalty leaves for the cut, and what the cut then costs: Fashion-MNIST, several strengths and seeds.

A network of ``examples/fashion`` is trained, then trained on under the penalty with a strength that rises over the
first half, then cut to four of nine kernel elements a filter. Strength 0 is the same training without the penalty.
Looked at right before and right after the cut, without any training after it: the share of ``|W|`` that the cut is
about to remove, and the accuracy on test images. The table is in ``docs/pruning.md``. A run that is stopped goes on
where it was::

    python benchmarks/kep_penalty.py
    python benchmarks/kep_penalty.py --strengths 0,30 --seeds 1 --images 2000 --output /tmp/kep.json
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

# TensorFlow reads this once, when it is imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import click
import keras
import numpy as np
from rich.console import Console
from rich.table import Table

sys.path.append(str(Path(__file__).resolve().parents[1] / "examples"))

import tfprune as tp
from fashion import data, network, training
from results_file import training_facts, write_json

REPOSITORY = Path(__file__).resolve().parents[1]
RATE = 1e-3
BATCH = 64
PATTERN = tp.patterns.KernelElements(keep=4, share="filter")
MIN_WEIGHTS = 512
Row = dict[str, float]


class BeforeTheCut(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no type information
    """Looks at kernels and accuracy when training ends; listed before the pruning callback, which cuts then."""

    def __init__(self, test: data.Split) -> None:
        super().__init__()
        self._test = test
        self.kernels: dict[str, Any] = {}
        self.accuracy = 0.0

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Looks."""
        self.kernels = kernels(self.model)
        self.accuracy = accuracy(self.model, self._test)


def kernels(model: Any) -> dict[str, Any]:
    """Convolution kernels by layer, as arrays."""
    return {each.name: np.array(each.kernel) for each in model.layers if isinstance(each, keras.layers.Conv2D)}


def accuracy(model: Any, test: data.Split) -> float:
    """Share of right answers."""
    answers = model.predict(test.images, batch_size=500, verbose=0).argmax(axis=1)
    return float((answers == test.labels).mean())


def trained(settings: dict[str, Any], seed: int, images: data.FashionMnist, folder: Path) -> Any:
    """The dense network, from a file where an earlier run left it."""
    keras.utils.set_random_seed(seed)
    model = network.resnet20(settings["width"])
    path = folder / f"kep_w{settings['width']}_n{settings['images']}_e{settings['epochs']}_s{seed}.weights.h5"
    if path.exists():
        model.load_weights(path)
    else:
        training.train(model, images, settings["epochs"], [])
        path.parent.mkdir(parents=True, exist_ok=True)
        model.save_weights(path)
    return model


def measured(model: Any, strength: float, seed: int, epochs: int, images: data.FashionMnist) -> Row:
    """One training under the penalty, and the cut."""
    keras.utils.set_random_seed(seed)
    steps = epochs * -(-len(images.train.labels) // BATCH)
    ramp = tp.schedules.StrengthRamp(strength, end_step=steps // 2)
    pruning = tp.PruningCallback(
        PATTERN,
        tp.schedules.ConstantSparsity(begin_step=steps),
        scores="plane_share",
        penalty=tp.penalties.PriorMaskPenalty(ramp),
        min_weights=MIN_WEIGHTS,
    )
    before = BeforeTheCut(images.test)
    dense = accuracy(model, images.test)
    model.compile(keras.optimizers.Adam(RATE), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    data_ = (images.train.images, images.train.labels)
    model.fit(*data_, batch_size=BATCH, epochs=epochs, verbose=0, callbacks=[before, pruning])
    after = kernels(model)
    pruned = [line.layer for line in pruning.report.layers if line.status == "pruned"]
    removed = sum(float(np.abs(before.kernels[name][after[name] == 0]).sum()) for name in pruned)
    everything = sum(float(np.abs(before.kernels[name]).sum()) for name in pruned)
    return {
        "layers": len(pruned),
        "sparsity": round(pruning.report.sparsity, 4),
        "dense": dense,
        "share": removed / everything,
        "before": before.accuracy,
        "after": accuracy(model, images.test),
    }


def summary(rows: dict[str, Row], strengths: list[float], seeds: int) -> list[dict[str, Any]]:
    """Means over seeds, a strength each, with the worst seed where a bound is to hold for each."""
    result = []
    for strength in strengths:
        found = [rows[_key(strength, seed)] for seed in range(seeds)]
        plain = [rows[_key(strengths[0], seed)] for seed in range(seeds)]
        costs = [row["before"] - row["after"] for row in found]
        without = [row["before"] - row["after"] for row in plain]
        result.append(
            {
                "strength": strength,
                "share": round(float(np.mean([row["share"] for row in found])), 4),
                "largest share": round(max(row["share"] for row in found), 4),
                "before": round(float(np.mean([row["before"] for row in found])), 4),
                "after": round(float(np.mean([row["after"] for row in found])), 4),
                "cost of the cut": round(float(np.mean(costs)), 4),
                "largest cost against without": round(
                    max(cost / most for cost, most in zip(costs, without, strict=True)), 3
                ),
            }
        )
    return result


def _key(strength: float, seed: int) -> str:
    return f"strength {strength:g}, seed {seed}"


def _rows(path: Path, settings: dict[str, Any]) -> dict[str, Row]:
    """Rows of an earlier run with the same settings."""
    earlier = json.loads(path.read_text()) if path.exists() else {}
    rows: dict[str, Row] = earlier["rows"] if earlier.get("settings") == settings else {}
    return rows


def _write(path: Path, settings: dict[str, Any], rows: dict[str, Row], means: list[dict[str, Any]]) -> None:
    write_json(path, {**training_facts(settings), "summary": means, "rows": rows})


def _numbers(ctx: click.Context, option: click.Parameter, value: str) -> list[float]:
    try:
        found = [float(each) for each in value.split(",")]
    except ValueError:
        raise click.BadParameter("numbers, with commas between them") from None
    if found[0] != 0 or found != sorted({*found}):
        raise click.BadParameter("0 first, then rising")
    return found


@click.command()
@click.option("--strengths", callback=_numbers, default="0,1,3,10,30,100", show_default=True)
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--images", type=click.IntRange(BATCH), default=8000, show_default=True, help="Training images.")
@click.option("--test-images", type=click.IntRange(1), default=4000, show_default=True)
@click.option("--epochs", type=click.IntRange(1), default=4, show_default=True, help="Epochs of the dense training.")
@click.option("--penalty-epochs", type=click.IntRange(1), default=3, show_default=True)
@click.option("--width", type=click.IntRange(4), default=8, show_default=True, help="Channels of the first stage.")
@click.option("--models", type=click.Path(path_type=Path), default=REPOSITORY / "build" / "kep", help="Dense networks.")
@click.option("--output", type=click.Path(path_type=Path), default=REPOSITORY / "benchmarks/results/kep_penalty.json")
def main(strengths: list[float], seeds: int, models: Path, output: Path, **settings: Any) -> None:
    """Trains, cuts and compares."""
    images = data.load()
    images = data.FashionMnist(
        images.train.first(settings["images"]), images.test.first(settings["test_images"]), images.source
    )
    rows = _rows(output, settings)
    console = Console(width=150)
    for seed in range(seeds):
        for strength in strengths:
            if _key(strength, seed) not in rows:
                model = trained(settings, seed, images, models)
                row = measured(model, strength, seed, settings["penalty_epochs"], images)
                rows[_key(strength, seed)] = row
                console.print(_key(strength, seed), row)
                _write(output, settings, rows, [])
    means = summary(rows, strengths, seeds)
    _write(output, settings, rows, means)
    table = Table(*means[0])
    for line in means:
        table.add_row(*(f"{value:g}" for value in line.values()))
    console.print(table)


if __name__ == "__main__":
    main()
