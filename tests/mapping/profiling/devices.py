# SPDX-License-Identifier: Apache-2.0
"""A device that is made up, and few small shapes to measure on it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tfprune.costs.facts import DeviceFacts
from tfprune.mapping.profiling import Target
from tfprune.mapping.profiling.chain_files import ChainCase

FORMS = ("basic", "down", "inverted", "inverted_down", "bottleneck", "pooled", "head")
LAYERS = """
conv 8 8 16 32 1 1 1
conv 6 6 32 16 1 1 1
conv 4 4 24 64 1 1 1
conv 8 8 16 16 3 1 1
conv 6 6 8 32 3 2 1
conv 5 5 16 24 5 1 1
fc 1 1 64 32 1 1 1
fc 1 1 128 48 1 1 1
fc 1 1 32 96 1 1 1
fc 1 1 64 32 1 1 4
fc 1 1 32 48 1 1 8
fc 1 1 96 16 1 1 16
"""
STOCK = """
pad 1x4x5x8 8 3 1 1
pad 1x8x8x8 8 3 1 1
concatenation 1x4x5x8 8 1 1 3
concatenation 1x4x5x16 16 1 1 2
elementwise:ADD 1x4x5x8 8 1 1 1
elementwise:MUL 1x4x5x8 8 1 1 1
depthwise_conv_2d 1x4x5x8 8 3 1 1
pooling:MAX_POOL_2D 1x5x4x8 8 3 2 1
reduction:MEAN 1x5x4x8 8 1 1 1
"""


FACTS = DeviceFacts(target="adb", processor="an abacus", backend="cpu", num_threads=1, libtfprune="0.1.0")


class Abacus:
    """Files take 50 and a unit for every 64 bytes; counts what it is asked."""

    def __init__(self, dies_after: int | None = None) -> None:
        self.asked = 0
        self.closed = 0
        self._dies_after = dies_after

    def measure(self, groups: Any) -> Iterator[tuple[float, ...]]:
        for models in groups:
            if self.asked == self._dies_after:
                raise KeyboardInterrupt
            self.asked += 1
            yield tuple(50 + len(model) / 64 for model in models)

    def close(self) -> None:
        self.closed += 1

    def target(self, **facts: Any) -> Target:
        known = dataclasses.replace(FACTS, **facts)
        return Target(
            "abacus", "beads", known, None, True, self.measure, self.measure, notes=["made up"], close=self.close
        )


def use_small_shapes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Profiles measure these instead of the package's."""
    (folder / "layers.txt").write_text(LAYERS)
    (folder / "stock_ops.txt").write_text(STOCK)
    networks = [ChainCase(form, 4, 8, 1, seed) for seed in range(3) for form in FORMS]
    monkeypatch.setattr("tfprune.mapping.profiling.api.SHAPES", folder)
    monkeypatch.setattr("tfprune.mapping.profiling.chain_samples.CASES", tuple(networks))
