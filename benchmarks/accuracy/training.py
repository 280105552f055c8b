# SPDX-License-Identifier: Apache-2.0
"""Trainings of a point: the dense checkpoint that points share, and what follows it; both go on after a kill."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import h5py  # type: ignore[import-untyped]
import keras

import tfprune as tp
from accuracy.data_sets import DataSet
from accuracy.networks import NETWORKS
from accuracy.point import LATER_SEED, Point, Training
from fashion.training import compile_for

_WARM_UP_SHARE = 4  # of the steps, at most
_WARM_UP_STEPS = 100

#: What Keras calls the files of a backup, and the end of the names of those of the one before.
_BACKUP_WEIGHTS, _BACKUP_EPOCH, _BEFORE = "latest.weights.h5", "training_metadata.json", ".bkp"

Step = Callable[[], None]


class Steps(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no type information
    """Tells of every step, and of those that an earlier run has done.

    Args:
        step: called once a step.
        steps: of an epoch.
    """

    def __init__(self, step: Step, steps: int) -> None:
        super().__init__()
        self._step = step
        self._steps = steps
        self._begun = False

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """At the first one, epochs before it are those of an earlier run."""
        if not self._begun:
            self._begun = True
            for _ in range(epoch * self._steps):
                self._step()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Counts."""
        self._step()


def untrained(point: Point, data: DataSet) -> Any:
    """The network with the random weights of its seed."""
    keras.utils.set_random_seed(point.seed)
    return NETWORKS[point.network](point.width, data.shape, data.classes)


def checkpoint(point: Point, data: DataSet, folder: Path, step: Step) -> Path:
    """The dense network that points of a network and seed share, trained where no earlier run has done it.

    Args:
        point: one of them.
        data: the images.
        folder: for checkpoints and backups.
        step: called once a step.
    """
    path = point.checkpoint_path(folder)
    if path.exists():
        return path
    model = untrained(point, data)
    backup = folder / f"{point.checkpoint_key}.backup"
    check_backup(backup, point.dense.steps_per_epoch(data.train_count))
    _fit(model, data, point.dense, point.seed, backup, [], step)
    part = path.with_name(f"part_{path.name}")
    model.save_weights(part)
    part.replace(path)
    shutil.rmtree(backup, ignore_errors=True)
    return path


def dense(point: Point, data: DataSet, weights: Path) -> Any:
    """The network of a point with the weights of its dense checkpoint.

    Args:
        point: the point.
        data: the images: they say what the network reads.
        weights: of the checkpoint.

    Raises:
        ClickException: a file that holds no weights of this network.
    """
    model = untrained(point, data)
    try:
        with warnings.catch_warnings():
            # What the file lacks would stay random.
            warnings.filterwarnings("error", "Skipping nested container", UserWarning)
            model.load_weights(weights)
    except (OSError, ValueError, KeyError, UserWarning) as error:
        # Keras lists all variables below.
        what = str(error).partition("\n")[0]
        raise click.ClickException(
            f"{weights}: must hold the weights of {point.network} {point.width:g}: {what}; remove it, to train it anew"
        ) from error
    return model


def trained(point: Point, data: DataSet, weights: Path, folder: Path, step: Step) -> Any:
    """The network of a point: from its dense checkpoint on, pruned by its recipe where it has one.

    Args:
        point: the point.
        data: the images.
        weights: of the checkpoint.
        folder: of the point, for backups.
        step: called once a step.
    """
    backup = folder / "backup"
    check_backup(backup, point.training.steps_per_epoch(data.train_count))
    if not backup.exists():
        # The state of a pruning belongs to weights, which were not written.
        clean_up(folder)
    model = dense(point, data, weights)
    seed = point.seed + LATER_SEED
    keras.utils.set_random_seed(seed)
    callbacks = []
    if point.recipe:
        recipe = tp.Recipe.from_dict(json.loads(point.recipe))
        callbacks.append(tp.PruningCallback(recipe=recipe, checkpoint=folder / "pruning.npz"))
    _fit(model, data, point.training, seed, backup, callbacks, step)
    return model


def clean_up(folder: Path) -> None:
    """Removes what only an interrupted training needs."""
    shutil.rmtree(folder / "backup", ignore_errors=True)
    for path in folder.glob("pruning.npz*"):
        path.unlink()


def check_backup(folder: Path, steps: int) -> None:
    """Puts the backup before in place of one that was not written to its end, as on a full disk, or takes both away.

    Keras would take up what it can read, with the epoch that stands in a file beside it.

    Args:
        folder: of the backup; where there is none, nothing is done.
        steps: of an epoch.
    """
    if _is_whole(folder, "", steps):
        return
    if _is_whole(folder, _BEFORE, steps):
        for name in (_BACKUP_WEIGHTS, _BACKUP_EPOCH):
            shutil.copyfile(folder / f"{name}{_BEFORE}", folder / name)
    else:
        shutil.rmtree(folder, ignore_errors=True)


def _is_whole(folder: Path, suffix: str, steps: int) -> bool:
    """Whether weights and optimizer can be read, and are of the epoch that the other file names."""
    try:
        done = json.loads((folder / f"{_BACKUP_EPOCH}{suffix}").read_text())["epoch"] * steps
        with h5py.File(folder / f"{_BACKUP_WEIGHTS}{suffix}") as file:
            file.visititems(_read)
            return bool(file["optimizer/vars/0"][()] == done)
    except (OSError, ValueError, KeyError, RuntimeError):
        return False


def _read(name: str, value: Any) -> None:
    if isinstance(value, h5py.Dataset):
        value[()]


def _fit(
    model: Any, data: DataSet, training: Training, seed: int, backup: Path, callbacks: list[Any], step: Step
) -> None:
    steps = training.steps_per_epoch(data.train_count)
    total = training.epochs * steps
    compile_for(model, training.rate, total, min(_WARM_UP_STEPS, total // _WARM_UP_SHARE))
    # Backups stay until the result is there: a run may be killed between the last epoch and that.
    saving = keras.callbacks.BackupAndRestore(backup, double_checkpoint=True, delete_checkpoint=False)
    feed = data.fit(training.batch, seed)
    model.fit(
        **feed.arguments,
        epochs=training.epochs,
        callbacks=[saving, *feed.callbacks, *callbacks, Steps(step, steps)],
        verbose=0,
    )
