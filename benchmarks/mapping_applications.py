# SPDX-License-Identifier: Apache-2.0
"""The mapping rules on every convolutional network of ``keras.applications`` and on one transformer encoder.

Weights are random: what is checked is that the rules run on every network and that their mapping meets the predicted
budget. Networks that the file of results already holds are left out, so that an interrupted run goes on::

    python benchmarks/mapping_applications.py --json benchmarks/results/mapping_applications.json
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from arguments import SIZE
from results_file import Rows, rows_of_any_library, write_rows
from tfprune.mapping.budget import Budget
from tfprune.mapping.inputs import latency_model
from tfprune.mapping.mapping import Mapping
from tfprune.mapping.rule_based import map_by_rules
from tfprune.mapping.rule_set import TASKS, read_rule_set
from tfprune.tables import text_table

#: In the order of their number of weights, so that results come early.
APPLICATIONS = (
    "MobileNetV3Small",
    "MobileNetV2",
    "MobileNet",
    "NASNetMobile",
    "EfficientNetB0",
    "MobileNetV3Large",
    "EfficientNetV2B0",
    "EfficientNetB1",
    "EfficientNetV2B1",
    "DenseNet121",
    "EfficientNetB2",
    "EfficientNetV2B2",
    "EfficientNetB3",
    "DenseNet169",
    "EfficientNetV2B3",
    "EfficientNetB4",
    "DenseNet201",
    "EfficientNetV2S",
    "Xception",
    "InceptionV3",
    "ResNet50",
    "ResNet50V2",
    "ConvNeXtTiny",
    "EfficientNetB5",
    "EfficientNetB6",
    "ResNet101",
    "ResNet101V2",
    "ConvNeXtSmall",
    "EfficientNetV2M",
    "InceptionResNetV2",
    "ResNet152",
    "ResNet152V2",
    "EfficientNetB7",
    "ConvNeXtBase",
    "NASNetLarge",
    "EfficientNetV2L",
    "VGG16",
    "VGG19",
    "ConvNeXtLarge",
    "ConvNeXtXLarge",
)
TRANSFORMER = "transformer encoder"
NETWORKS = (TRANSFORMER, *APPLICATIONS)
#: Networks that take one size of images only.
_SIZES = {"NASNetLarge": 331}
_HEADERS = ("network", "image", "layers", "sparse", "zeros", "predicted share", "met", "reading s", "rules s")


def transformer(length: int = 64, width: int = 256, blocks: int = 4) -> Any:
    """A transformer encoder that classifies a sequence."""
    import keras
    from keras import layers

    inputs = keras.Input((length, width))
    x = inputs
    for number in range(blocks):
        attended = layers.MultiHeadAttention(4, width // 4, name=f"attention_{number}")(x, x)
        x = layers.LayerNormalization(name=f"norm_{number}a")(layers.Add()([x, attended]))
        hidden = layers.Dense(4 * width, activation="gelu", name=f"expand_{number}")(x)
        hidden = layers.Dense(width, name=f"reduce_{number}")(hidden)
        x = layers.LayerNormalization(name=f"norm_{number}b")(layers.Add()([x, hidden]))
    pooled = layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, layers.Dense(10, name="classes")(pooled), name="transformer")


def network(name: str, size: int) -> tuple[Any, str]:
    """A network with random weights, and what it reads."""
    import keras

    keras.utils.set_random_seed(0)
    if name == TRANSFORMER:
        return transformer(), "64x256"
    size = _SIZES.get(name, size)
    return getattr(keras.applications, name)(weights=None, input_shape=(size, size, 3)), f"{size}x{size}"


def mapped(name: str, size: int, device: str, ratio: float, task: str) -> dict[str, Any]:
    """Maps a network; what came of it."""
    model, image = network(name, size)
    start = time.perf_counter()
    latency = latency_model(model, device)
    read = time.perf_counter()
    found = map_by_rules(latency, Budget("latency_ratio", ratio), read_rule_set(), task=task)
    return {
        "image": image,
        "parameters": int(model.count_params()),
        **_row(found),
        "reading seconds": round(read - start, 1),
        "rules seconds": round(time.perf_counter() - read, 1),
    }


def _row(found: Mapping) -> dict[str, Any]:
    patterns: dict[str, int] = {}
    zeros = weights = 0.0
    for layer in found.layers:
        known = found.prediction.layers[layer.name]
        weights += layer.weights
        zeros += layer.weights * known.sparsity if known.sparse else 0
        if known.sparse:
            patterns[str(layer.choice.pattern)] = patterns.get(str(layer.choice.pattern), 0) + 1
    return {
        "layers": len(found.layers),
        "sparse": sum(layer.sparse for layer in found.prediction.layers.values()),
        "zeros": round(zeros / weights, 4),
        "predicted share": round(found.prediction.time / found.dense.time, 4),
        "used": round(found.used, 4),
        "met": found.met,
        "patterns": patterns,
        "notes": list(found.notes),
    }


def run(
    names: tuple[str, ...], size: int, device: str, ratio: float, task: str, rows: Rows, keep: Callable[[], None]
) -> None:
    """Maps every network that there is no row of."""
    for name in names:
        key = f"{name}, {device}, latency_ratio {ratio:g}, {task}"
        if key in rows:
            continue
        import keras

        rows[key] = {"network": name, **mapped(name, size, device, ratio, task)}
        keep()
        print(key, rows[key], file=sys.stderr, flush=True)
        keras.backend.clear_session()


def table(rows: Rows) -> str:
    """The rows as text."""
    cells = [
        (
            row["network"],
            row["image"],
            f"{row['layers']}",
            f"{row['sparse']}",
            f"{row['zeros']:.1%}",
            f"{row['predicted share']:.3f}",
            "yes" if row["met"] else "no",
            f"{row['reading seconds']:.0f}",
            f"{row['rules seconds']:.0f}",
        )
        for row in rows.values()
    ]
    return text_table(_HEADERS, cells)


@click.command()
@click.option("--network", "names", multiple=True, type=click.Choice(NETWORKS), help="Default: all.")
@click.option("--device", default="arm64", show_default=True, help="Cost table or profile.")
@click.option("--latency-ratio", type=click.FloatRange(0, 1, min_open=True), default=0.7, show_default=True)
@click.option("--task", type=click.Choice(TASKS), default="hard", show_default=True)
@click.option("--size", type=SIZE, default=224, show_default=True, help="Height and width of images.")
@click.option("--json", "output", type=click.Path(path_type=Path), help="File to add the rows to.")
def main(names: tuple[str, ...], device: str, latency_ratio: float, task: str, size: int, output: Path | None) -> None:
    """Map networks by the rules."""
    rows = {} if output is None else rows_of_any_library(output)

    def keep() -> None:
        if output is not None:
            write_rows(output, rows)

    run(names or NETWORKS, size, device, latency_ratio, task, rows, keep)
    click.echo(table(rows))


if __name__ == "__main__":
    main()
