# SPDX-License-Identifier: Apache-2.0
"""A training that was killed goes on with the same masks at the same step."""

from __future__ import annotations

import dataclasses
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

from tests.keras.conftest import BATCH, STEPS, ZeroWatch
from tests.keras.killed_training import EPOCHS, KILLED_IN, Kill, train
from tfprune.errors import OutputError, PruningError
from tfprune.keras.callback import PruningCallback
from tfprune.keras.checkpoint import Checkpoint
from tfprune.keras.pruner import Pruner
from tfprune.keras.state import PruningState
from tfprune.recipe import Rule
from tfprune.sparsity.patterns import Groups, Unstructured
from tfprune.sparsity.schedules import ConstantSparsity, IterativeMagnitude, PolynomialDecay

# Keras itself meets this one under numpy 2, whenever it saves.

ORDERS = ("backup first", "pruning first")
Build = Callable[..., Any]
Data = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of two processes that were killed in the middle of an epoch."""
    folders = {order: tmp_path_factory.mktemp("killed") for order in ORDERS}
    root = Path(__file__).parents[2]
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.keras.killed_training", str(folder), order],
            cwd=root,
            stderr=subprocess.PIPE,
            text=True,
        )
        for order, folder in folders.items()
    ]
    for process in processes:
        _, error = process.communicate(timeout=240)
        assert process.returncode == -signal.SIGKILL, error
    return folders


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, PruningState]:
    folder = tmp_path_factory.mktemp("undisturbed")
    model, _ = train(folder, "backup first")
    return model, PruningState.load(folder / "pruning.npz")


def assert_same(states: tuple[PruningState, PruningState], models: tuple[Any, Any]) -> None:
    for old, new in zip(states[0].weights, states[1].weights, strict=True):
        np.testing.assert_array_equal(old.mask.unpack(), new.mask.unpack())
        assert (old.name, old.target, old.schedule) == (new.name, new.target, new.schedule)
    assert states[0].step == states[1].step
    for kind in ("variables", "optimizer.variables"):
        values = [models[0].variables, models[1].variables]
        if kind != "variables":
            values = [models[0].optimizer.variables, models[1].optimizer.variables]
        for old, new in zip(*values, strict=True):
            np.testing.assert_array_equal(np.asarray(old.value), np.asarray(new.value), err_msg=new.path)


@pytest.mark.parametrize("order", ORDERS)
def test_a_killed_process_goes_on(order: str, killed: dict[str, Path], undisturbed: tuple[Any, PruningState]) -> None:
    folder = killed[order]
    saved = PruningState.load(folder / "pruning.npz")
    assert saved.step == KILLED_IN[0] * STEPS
    assert any(weight.penalty_state is not None for weight in saved.weights)
    watch = ZeroWatch("first", "second")
    model, prune = train(folder, order, watch)
    assert len(watch.zeros) == (EPOCHS - KILLED_IN[0]) * STEPS
    assert prune.report.step == EPOCHS * STEPS
    assert_same((undisturbed[1], PruningState.load(folder / "pruning.npz")), (undisturbed[0], model))


class StopError(Exception):
    pass


class Stop(Kill):
    """Ends the training, but not the process."""

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if (self.epoch, batch) == KILLED_IN:
            raise StopError


@pytest.mark.parametrize("order", ORDERS)
def test_the_same_callback_goes_on_from_the_backup(order: str, tmp_path: Path, build: Build, data: Data) -> None:
    """Masks that were chosen after the backup must not touch the weights that it brings back."""

    def fit(model: Any, folder: Path, prune: PruningCallback, *more: Any) -> None:
        callbacks = [prune]
        callbacks.insert(order == "pruning first", keras.callbacks.BackupAndRestore(folder / "backup"))
        callbacks += more
        model.fit(*data, batch_size=BATCH, epochs=EPOCHS, verbose=0, shuffle=False, callbacks=callbacks)

    def prune(folder: Path) -> PruningCallback:
        schedule = PolynomialDecay(0.1, 0.75, frequency=1)
        return PruningCallback(Unstructured(), schedule, min_weights=1, checkpoint=folder / "pruning.npz")

    models = []
    for name in ("plain", "stopped"):
        folder = tmp_path / name
        folder.mkdir()
        keras.utils.set_random_seed(4)
        model, callback = build("adam"), prune(folder)
        if name == "stopped":
            with pytest.raises(StopError):
                fit(model, folder, callback, Stop())
        fit(model, folder, callback)
        models.append(model)
    states = [PruningState.load(tmp_path / name / "pruning.npz") for name in ("plain", "stopped")]
    assert_same((states[0], states[1]), (models[0], models[1]))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """State and model after two epochs."""
    folder = tmp_path_factory.mktemp("finished")
    model = small("adam")
    state = folder / "pruning.npz"
    fit(model, constant(state), epochs=2)
    model.save(folder / "model.keras")
    return state, folder / "model.keras"


def small(optimizer: Any = "adam", units: int = 8, name: str = "hidden") -> Any:
    keras.utils.set_random_seed(1)
    layers = [keras.Input((16,)), keras.layers.Dense(units, name=name), keras.layers.Dense(1, name="head")]
    model = keras.Sequential(layers)
    model.compile(optimizer, "mse")
    return model


def constant(path: Path | None, sparsity: float = 0.5, **options: Any) -> PruningCallback:
    arguments = {"pattern": Groups(rows=4), "min_weights": 1, "checkpoint": path, **options}
    return PruningCallback(schedule=ConstantSparsity(sparsity, end_step=3, frequency=1), **arguments)


def fit(model: Any, *callbacks: Any, epochs: int = 1) -> Any:
    random = np.random.default_rng(2)
    data = random.standard_normal((24, 16)).astype(np.float32), random.random((24, 1))
    return model.fit(*data, batch_size=BATCH, epochs=epochs, verbose=0, shuffle=False, callbacks=[*callbacks])


def copy(source: Path, folder: Path) -> Path:
    target = folder / source.name
    target.write_bytes(source.read_bytes())
    return target


def test_a_saved_model_goes_on_where_it_ended(finished: tuple[Path, Path], tmp_path: Path) -> None:
    path = copy(finished[0], tmp_path)
    model = keras.saving.load_model(finished[1])
    before = PruningState.load(path)
    callback = constant(path)
    fit(model, callback)
    after = PruningState.load(path)
    assert (before.step, after.step, callback.report.step) == (12, 18, 18)
    # No turn comes after step 3, so these are the masks of then, bit by bit; chosen anew, they would be others.
    for old, new in zip(before.weights, after.weights, strict=True):
        np.testing.assert_array_equal(old.mask.unpack(), new.mask.unpack())


def test_what_does_not_belong_together_is_refused_before_any_step(finished: tuple[Path, Path], tmp_path: Path) -> None:
    path = copy(finished[0], tmp_path)
    content = path.read_bytes()
    steps: list[int] = []
    watch = keras.callbacks.LambdaCallback(on_train_batch_begin=lambda batch, logs: steps.append(batch))

    def refused(message: str, callback: PruningCallback, model: Any) -> None:
        with pytest.raises(PruningError, match=message):
            fit(model, callback, watch)
        assert steps == []
        assert path.read_bytes() == content

    refused(r"a model with other weights. Load the model saved then", constant(path), small())
    refused(r"'hidden/kernel'.* only in the state, .*'other/kernel'", constant(path), small(name="other"))
    refused(r"shape of 'hidden/kernel' .* \(16, 8\) in the state, \(16, 12\)", constant(path), small(units=12))
    loaded = keras.saving.load_model(finished[1])
    refused(r"pattern of .* Groups\(rows=4.* Groups\(rows=2", constant(path, pattern=Groups(rows=2)), loaded)
    loaded = keras.saving.load_model(finished[1])
    refused(r"schedule of .*sparsity=0.5.*sparsity=0.25", constant(path, 0.25), loaded)


@pytest.mark.parametrize("damage", ["cut", "flipped", "text", "empty", "array"])
def test_damaged_files_are_named(damage: str, finished: tuple[Path, Path], tmp_path: Path) -> None:
    path = copy(finished[0], tmp_path)
    content = bytearray(path.read_bytes())
    if damage == "cut":
        content = content[: len(content) // 2]
    elif damage == "flipped":
        # Of the first array's data; behind them come names and lengths.
        content[content.index(b"\n", content.index(b"NUMPY")) + 2] ^= 1
    elif damage != "array":
        content = bytearray(b"not a state" if damage == "text" else b"")
    path.write_bytes(content)
    if damage == "array":
        np.savez(path, np.ones(3))
    with pytest.raises(PruningError, match=r"pruning\.npz.* is damaged or something else"):
        fit(keras.saving.load_model(finished[1]), constant(path))


def test_a_newer_file_is_named(finished: tuple[Path, Path], tmp_path: Path) -> None:
    path = copy(finished[0], tmp_path)
    with np.load(path) as file:
        arrays = {**file}
    header = arrays["header"].tobytes().replace(b'"version": 1', b'"version": 2')
    np.savez(path, **{**arrays, "header": np.frombuffer(header, np.uint8)})
    with pytest.raises(PruningError, match=r"version 2\. Was it written by a newer tfprune"):
        PruningState.load(path)
    with pytest.raises(PruningError, match="which is missing"):
        PruningState.load(tmp_path / "nothing.npz")


def test_a_path_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No such file or directory"):
        constant(tmp_path / "missing" / "pruning.npz")


def test_a_restored_backup_without_a_state_is_said(build: Build, data: Data, tmp_path: Path) -> None:
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup", delete_checkpoint=False)
    fit(small(), backup, constant(None), epochs=2)
    with pytest.warns(UserWarning, match="begins anew at step 0: give `checkpoint` a path") as caught:
        fit(small(), backup, constant(None), epochs=3)
    assert sum("PruningCallback" in str(each.message) for each in caught) == 1


def test_every_save_writes_a_state(tmp_path: Path) -> None:
    """The latest state may belong to a file that was never finished; the one before it is kept, so one always fits."""
    path = tmp_path / "pruning.npz"
    saved: list[tuple[int, int]] = []

    def look(epoch: int, logs: Any) -> None:
        previous = path.with_name("pruning.npz.previous")
        earlier = PruningState.load(previous).step if previous.exists() else 0
        saved.append((earlier, PruningState.load(path).step))

    checkpoint = keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras")
    fit(small(), constant(path), checkpoint, keras.callbacks.LambdaCallback(on_epoch_end=look), epochs=3)
    assert saved == [(0, 6), (6, 12), (12, 18)]
    # Of the end and the save before, which is the end as well, one file is enough.
    fit(keras.saving.load_model(tmp_path / "2.keras"), constant(path))
    assert PruningState.load(path).step == 18


def test_a_state_that_belongs_to_no_weights_never_takes_the_place_of_one_that_does(
    finished: tuple[Path, Path], tmp_path: Path
) -> None:
    """Killed between writing the state and the weights, twice in a row."""
    saved = PruningState.load(finished[0])
    states = [dataclasses.replace(saved, digest=digest, step=step) for step, digest in enumerate("abcd")]
    on_disk: Any = SimpleNamespace(check_state=lambda state: None, digest=lambda: "a", step_count=0)
    before = Checkpoint(tmp_path / "pruning.npz")
    before.write(states[0])
    before.write(states[1])
    for state in states[2:]:
        resumed = Checkpoint(tmp_path / "pruning.npz")
        found = resumed.find(on_disk)
        assert found is not None
        assert found.digest == "a"
        resumed.write(state)
    found = Checkpoint(tmp_path / "pruning.npz").find(on_disk)
    assert found is not None
    assert found.step == 0


def test_a_loop_of_ones_own_goes_on(tmp_path: Path) -> None:
    """Also the values that a schedule goes back to are part of the state."""
    random = np.random.default_rng(2)
    inputs, targets = random.standard_normal((4, 16)).astype(np.float32), random.random((4, 1))
    rule = Rule(None, Unstructured(), schedule=IterativeMagnitude(0.75, rounds=3, round_steps=4, rewind_step=1))
    rule = dataclasses.replace(rule, min_weights=1)

    def run(model: Any, pruner: Pruner, steps: int) -> None:
        for _ in range(steps):
            model.train_on_batch(inputs, targets)
            pruner.step()

    models = [small(), small()]
    pruners = [Pruner(model, rule) for model in models]
    for model, pruner in zip(models, pruners, strict=True):
        pruner.start(total_steps=16)
        run(model, pruner, 6 if pruner is pruners[1] else 16)
    pruners[1].state().save(tmp_path / "pruning.npz")
    models[1].save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    pruner = Pruner(loaded, rule)
    pruner.load_state(PruningState.load(tmp_path / "pruning.npz"))
    pruner.start(total_steps=10)
    run(loaded, pruner, 10)
    assert pruner.step_count == 16
    assert pruner.sparsity == pruners[0].sparsity > 0.7
    assert_same((pruners[0].state(), pruner.state()), (models[0], loaded))
