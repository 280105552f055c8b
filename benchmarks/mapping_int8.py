# SPDX-License-Identifier: Apache-2.0
"""Dense and mapped networks in float32 and int8: what pruning and quantisation bring, alone and together."""

from __future__ import annotations

import keras

import tfprune as tp
from mapping_networks import Data, Split, evaluation, kept_path
from tfprune.costs import CostTable

CALIBRATED_ON = 256
_ROUNDS = 61


def compared(name: str, label: str, seed: int, data: Data, table: CostTable) -> dict[str, dict[str, float]]:
    """Accuracy and measured share of the dense float32 latency of four files.

    Args:
        name: of the network.
        label: of the mapping by rules.
        seed: of both trainings.
        data: for the ranges of activations, and to test on.
        table: by which the converter decides.
    """
    files: dict[str, tuple[bytes, bool]] = {}
    for what, kept_as in (("dense", "dense"), ("mapped", f"{label}_rules")):
        model = keras.saving.load_model(kept_path(f"{name}_{kept_as}_{seed}"), compile=False)
        for precision in ("float32", "int8"):
            examples = data.train.first(CALIBRATED_ON).images if precision == "int8" else None
            made = tp.convert(model, precision=precision, representative_data=examples, device=table)
            files[f"{what} {precision}"] = (made.tflite, True) if what == "mapped" else (made.dense, False)
    timings = tp.benchmark(*(content for content, _ in files.values()), runs=_ROUNDS).timings
    return {
        what: {
            "measured ratio": round(1 / timing.speedup, 4),
            "accuracy": round(_accuracy(content, data.test, sparse=sparse), 4),
            "bytes": len(content),
        }
        for (what, (content, sparse)), timing in zip(files.items(), timings, strict=True)
    }


def _accuracy(content: bytes, split: Split, *, sparse: bool) -> float:
    return evaluation.accuracy(evaluation.litert_logits(content, split, sparse=sparse), split)
