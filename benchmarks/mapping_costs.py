# SPDX-License-Identifier: Apache-2.0
"""What methods of equal float32 latency cost in int8 and on a phone's processor, before anything is trained."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

import tfprune as tp
from mapping_compare import dense_file, read, recipe_of
from mapping_networks import CASES
from tfprune.costs import CostTable
from tfprune.mapping.profiling.instructions import aarch64_instructions

TIME = "time"
INT8_TIME = "int8 time"
INSTRUCTIONS = "arm64"
INT8_INSTRUCTIONS = "int8 arm64"
#: Of a measurement of whole networks.
ROUNDS = 61
_CALIBRATED_ON = 8
_SEED = 0


def files(name: str, row: dict[str, Any], table: CostTable) -> tuple[bytes, bytes]:
    """The float32 and the int8 file of a method, with random weights.

    Args:
        name: of the network.
        row: what the method does: ``choices`` of patterns or a ``width``; neither: the dense network.
        table: by which the converter decides.
    """
    keras.utils.set_random_seed(_SEED)
    model = CASES[name].make(row.get("width", 1.0))
    choices = read(row.get("choices", {}))
    pruned = not all(choice.dense for choice in choices.values())
    if pruned:
        model = tp.prune(model, recipe_of(choices)).model
    single, whole = converted(model, _SEED, table)
    return (single.tflite, whole.tflite) if pruned else (single.dense, whole.dense)


def converted(model: keras.Model, seed: int, device: str | CostTable) -> tuple[tp.Conversion, tp.Conversion]:
    """A model of random weights in float32 and in int8, which is calibrated on noise.

    Args:
        model: the model.
        seed: of the noise.
        device: by which the converter decides.
    """
    images = np.random.default_rng(seed).normal(size=(_CALIBRATED_ON, *model.input_shape[1:])).astype(np.float32)
    single = tp.convert(model, device=device)
    return single, tp.convert(model, precision="int8", representative_data=images, device=device)


def times(name: str, row: dict[str, Any], table: CostTable) -> dict[str, float]:
    """Measured share of the dense float32 network's time, in int8."""
    dense, (_, whole) = dense_file(name, table), files(name, row, table)
    return {INT8_TIME: round(1 / tp.benchmark(dense, whole, runs=ROUNDS).timings[1].speedup, 4)}


def instructions(name: str, row: dict[str, Any], table: CostTable) -> dict[str, float]:
    """Share of the dense float32 network's instructions on a Cortex-A76, in float32 and int8."""
    dense, (single, whole) = dense_file(name, table), files(name, row, table)
    (counted,) = aarch64_instructions([(dense, single, whole)], rtol=None)
    return {INSTRUCTIONS: round(counted[1] / counted[0], 4), INT8_INSTRUCTIONS: round(counted[2] / counted[0], 4)}


#: By device what measures, and the names of what it says.
MEASURED = {"host": (times, {INT8_TIME}), "arm64": (instructions, {INSTRUCTIONS, INT8_INSTRUCTIONS})}
