# SPDX-License-Identifier: Apache-2.0
"""Files of pruned models are plain Keras files: they load where tfprune is not installed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tests.keras.test_replaced_weights import fit
from tfprune.keras.callback import PruningCallback
from tfprune.sparsity.patterns import Unstructured
from tfprune.sparsity.penalties import PriorMaskPenalty
from tfprune.sparsity.schedules import PolynomialDecay, StrengthRamp

Build = Callable[..., Any]
Data = tuple[np.ndarray, np.ndarray]

# What another process does: every warning is an error, and tfprune cannot be imported.
READER = """
import json, sys, warnings
sys.modules["tfprune"] = None
import keras, numpy as np
warnings.simplefilter("error", UserWarning)
found = {}
for path in sys.argv[1:]:
    model = keras.saving.load_model(path)
    found[path] = {
        "variables": {each.path: np.asarray(each.value).tolist() for each in model.variables},
        "optimizer": {each.path: np.asarray(each.value).tolist() for each in model.optimizer.variables},
        "iterations": int(model.optimizer.iterations.numpy()),
        "custom": [name for name in sys.modules if name.startswith("tfprune.")],
    }
    model.fit(np.ones((4, 16)), np.ones((4, 1)), verbose=0)
print(json.dumps(found))
"""


def contents(variables: list[Any]) -> dict[str, Any]:
    return {each.path: np.asarray(each.value).tolist() for each in variables}


class Remember(keras.callbacks.Callback):
    """What the model and its optimizer hold without the masks, when an epoch ends."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[dict[str, Any]] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        own = ("mask", "strength")
        optimizer = [each for each in self.model.optimizer.variables if not each.name.endswith(own)]
        self.seen.append({"variables": contents(self.model.variables), "optimizer": contents(optimizer)})


def test_files_of_every_moment_load_without_tfprune(build: Build, data: Data, tmp_path: Path) -> None:
    model = build("adam")
    prune = PruningCallback(
        Unstructured(),
        PolynomialDecay(0.25, 0.75, end_step=15, frequency=2),
        min_weights=1,
        penalty=PriorMaskPenalty(StrengthRamp(1.0)),
        checkpoint=tmp_path / "pruning.npz",
    )
    during = keras.callbacks.ModelCheckpoint(tmp_path / "during-{epoch}.keras")
    remember = Remember()
    assert fit(model, data, remember, during, prune) == []
    model.save(tmp_path / "after.keras")
    paths = [*(tmp_path / f"during-{epoch}.keras" for epoch in (1, 2, 3)), tmp_path / "after.keras"]
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", READER, *map(str, paths)],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    after = {"variables": contents(model.variables), "optimizer": contents(model.optimizer.variables)}
    for path, expected, steps in zip(paths, [*remember.seen, after], (6, 12, 18, 18), strict=True):
        loaded = found[str(path)]
        assert loaded["custom"] == []
        assert loaded["iterations"] == steps
        assert list(loaded["variables"].values()) == list(expected["variables"].values())
        assert list(loaded["optimizer"].values()) == list(expected["optimizer"].values())
        # Adam: iterations, learning rate, two moments for each of six variables; no mask among them.
        assert len(loaded["optimizer"]) == 14
        assert (np.array(next(iter(loaded["variables"].values()))) == 0).sum() >= 32


def test_mask_variables_leave_the_optimizer_with_the_fit(build: Build, data: Data) -> None:
    model = build("adam")
    before = {id(each) for each in model.optimizer.variables}
    inside: list[list[str]] = []
    look = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: inside.append([each.name for each in model.optimizer.variables])
    )
    penalty = PriorMaskPenalty(StrengthRamp(1.0))
    prune = PruningCallback(Unstructured(), PolynomialDecay(0.25, 0.75), min_weights=1, penalty=penalty)
    fit(model, data, prune, look)
    assert sum("mask" in name for name in inside[0]) == 2
    left = [each for each in model.optimizer.variables if id(each) not in before]
    assert [each.path for each in left if "mask" in each.path or "strength" in each.path] == []
    assert len(model.optimizer.variables) == 14
