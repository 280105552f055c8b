# SPDX-License-Identifier: Apache-2.0
"""Layers in wrappers: the cases of the contract, and a process of its own that loads what another has saved.

``python -m tests.contract.wrapped_layers FOLDER`` loads every file of the folder, stripped ones without tfprune,
and compares its outputs with those that were saved beside it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

layers = keras.layers

SEQUENCE, IMAGE, VECTOR = (6, 8), (6, 6, 8), (8,)

# By name: the shape of an input, and the layer.
LAYERS: dict[str, tuple[tuple[int, ...], Callable[[], Any]]] = {
    "conv1d": (SEQUENCE, lambda: layers.Conv1D(8, 3, name="wrapped")),
    "conv2d": (IMAGE, lambda: layers.Conv2D(8, 3, activation="relu", name="wrapped")),
    "depthwise": (IMAGE, lambda: layers.DepthwiseConv2D(3, depth_multiplier=2, name="wrapped")),
    "separable": (IMAGE, lambda: layers.SeparableConv2D(8, 3, name="wrapped")),
    "transpose": (IMAGE, lambda: layers.Conv2DTranspose(8, 3, strides=2, name="wrapped")),
    "dense": (VECTOR, lambda: layers.Dense(8, use_bias=False, name="wrapped")),
    "einsum": (SEQUENCE, lambda: layers.EinsumDense("abc,cde->abde", (6, 2, 8), bias_axes="e", name="wrapped")),
    "lstm": (SEQUENCE, lambda: layers.LSTM(8, name="wrapped")),
    "gru": (SEQUENCE, lambda: layers.GRU(8, return_sequences=True, name="wrapped")),
    "rnn": (SEQUENCE, lambda: layers.RNN([layers.LSTMCell(4), layers.SimpleRNNCell(8)], name="wrapped")),
    "bidirectional": (SEQUENCE, lambda: layers.Bidirectional(layers.LSTM(8), name="wrapped")),
    "time distributed": (SEQUENCE, lambda: layers.TimeDistributed(layers.Dense(8), name="wrapped")),
    "attention": (SEQUENCE, lambda: layers.MultiHeadAttention(2, 4, name="wrapped")),
}
#: What is saved of each.
KINDS = ("wrapped", "stripped")
# What takes a pattern of kernel positions, and has a kernel of several.
WITH_POSITIONS = {"conv1d", "conv2d", "depthwise", "separable", "transpose"}


def build(name: str) -> Any:
    """A model with the layer, and a last layer that stays dense."""
    shape, make = LAYERS[name]
    inputs = keras.Input(shape, name="given")
    layer = make()
    x = layer(inputs, inputs) if name == "attention" else layer(inputs)
    return keras.Model(inputs, layers.Dense(3, name="head")(layers.Flatten(name="flat")(x)), name="whole")


def example(name: str) -> Any:
    """Two inputs."""
    return np.random.default_rng(5).standard_normal((2, *LAYERS[name][0])).astype(np.float32)


def outputs(model: Any, x: Any) -> Any:
    """What a model computes, without compiling it."""
    return keras.ops.convert_to_numpy(model(x))


def _check(folder: Path) -> None:
    for path in sorted(folder.glob("*.keras")):
        known = np.load(path.with_suffix(".npz"))
        difference = float(np.abs(outputs(keras.saving.load_model(path), known["x"]) - known["y"]).max())
        print(folder.name, path.stem, difference, sep=",")


def _check_all(folder: Path) -> None:
    assert "tfprune" not in sys.modules
    sys.modules["tfprune"] = None  # type: ignore[assignment]  # every import fails
    _check(folder / "stripped")
    del sys.modules["tfprune"]
    import tfprune

    assert tfprune.Pruned
    _check(folder / "wrapped")


if __name__ == "__main__":
    _check_all(Path(sys.argv[1]))
