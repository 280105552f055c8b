# SPDX-License-Identifier: Apache-2.0
"""A thousand updates of the masks take no more memory than ten."""

from __future__ import annotations

import gc
import os
import tracemalloc
from pathlib import Path

import keras
import numpy as np

from tfprune.keras.callback import PruningCallback
from tfprune.sparsity.patterns import Groups
from tfprune.sparsity.schedules import PolynomialDecay

WARM = 50
UPDATES = 1000
PAGE = os.sysconf("SC_PAGE_SIZE")


class Meter(keras.callbacks.Callback):
    """Python's memory, the number of live objects, and that of the process, at two steps."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, int, int]] = []
        self.step = 0

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        self.step += 1
        if self.step in (WARM, WARM + UPDATES):
            gc.collect()
            resident = int(Path("/proc/self/statm").read_text().split()[1]) * PAGE
            self.seen.append((tracemalloc.get_traced_memory()[0], len(gc.get_objects()), resident))


def test_memory_is_flat() -> None:
    model = keras.Sequential([keras.Input((128,)), keras.layers.Dense(128), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.001), "mse")
    steps = WARM + UPDATES
    schedule = PolynomialDecay(0.1, 0.9, end_step=steps - 1, power=1, frequency=1)
    prune = PruningCallback(Groups(rows=4, aligned=True), schedule, min_weights=1)
    random = np.random.default_rng(1)
    inputs, targets = random.random((steps, 128), np.float32), random.random((steps, 1))
    meter = Meter()
    tracemalloc.start()
    try:
        model.fit(inputs, targets, batch_size=1, verbose=0, callbacks=[prune, meter])
    finally:
        tracemalloc.stop()
    assert prune.report.step == steps
    assert prune.report.sparsity > 0.89
    (python, objects, resident), (later_python, later_objects, later_resident) = meter.seen
    # One mask that stayed alive with each update would be 65 MB (float32), 16 MB (bool) or 2 MB (bits).
    assert later_python - python < 1_000_000
    assert later_objects - objects < 1000
    assert later_resident - resident < 16_000_000
