# SPDX-License-Identifier: Apache-2.0
"""What is trained: one point of a study."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

#: What a point that is not pruned is called.
DENSE = "dense"
#: Seeds of trainings that follow a checkpoint differ from those that made it, and with them the order of images.
LATER_SEED = 1000
#: NumPy's generators take 32 bits.
LARGEST_SEED = 2**32 - 1 - LATER_SEED
_KEY_DIGITS = 12

#: Network, width, method, training and rate.
Group = tuple[str, float, str, str, float | None]


@dataclasses.dataclass(frozen=True)
class DataSpec:
    """Which images.

    Attributes:
        name: one of :data:`accuracy.data_sets.DATA_SETS`.
        folder: where they lie, ``""`` for the usual place.
        train: how many of the training images, 0: all.
        test: how many of the test images, 0: all.
        size: height and width that images are brought to, 0: as they are.
    """

    name: str
    folder: str = ""
    train: int = 0
    test: int = 0
    size: int = 0


@dataclasses.dataclass(frozen=True)
class Training:
    """How a network is trained: Adam, a short rise of the rate, then a cosine to zero.

    Attributes:
        epochs: over the training images.
        rate: the largest learning rate.
        batch: images a step.
    """

    epochs: int
    rate: float
    batch: int = 128

    def steps_per_epoch(self, images: int) -> int:
        """Steps of an epoch over so many images."""
        return -(-images // self.batch)


@dataclasses.dataclass(frozen=True)
class Point:
    """One training from a dense checkpoint on, with everything that its result depends on.

    Attributes:
        data: the images.
        network: one of :data:`accuracy.networks.NETWORKS`.
        width: of the network, as that network counts it.
        dense: the training of the checkpoint that points of a network and seed share.
        method: what the tables call the way of pruning; :data:`DENSE` trains on without any.
        phase: name of the training that follows the checkpoint.
        training: that training.
        recipe: rules as :class:`tfprune.Recipe` writes them, as canonical JSON; ``""`` prunes nothing.
        sparsity: what the study calls its rate, or None where the recipe alone says it.
        seed: of weights and order of images.
        costs: what the study says that it costs, by name, as shares of the dense network's; tables show them.
    """

    data: DataSpec
    network: str
    width: float
    dense: Training
    method: str
    phase: str
    training: Training
    recipe: str
    sparsity: float | None
    seed: int
    costs: tuple[tuple[str, float], ...] = ()

    @property
    def key(self) -> str:
        """Short digest of what the result depends on: no names of methods and trainings, no costs and no folder."""
        spec = {**dataclasses.asdict(self), "data": self._images}
        for name in ("method", "phase", "sparsity", "costs"):
            del spec[name]
        return digest(spec)

    @property
    def group(self) -> Group:
        """What tables and figures call it and the points of other seeds."""
        return self.network, self.width, self.method, self.phase, self.sparsity

    @property
    def checkpoint_key(self) -> str:
        """Short digest of what the dense checkpoint depends on."""
        return digest(
            {
                "data": self._images,
                "network": self.network,
                "width": self.width,
                "dense": dataclasses.asdict(self.dense),
                "seed": self.seed,
            }
        )

    @property
    def _images(self) -> dict[str, Any]:
        """Which images, wherever they lie: a table that was made elsewhere holds here too."""
        return {**dataclasses.asdict(self.data), "folder": ""}

    def checkpoint_path(self, folder: Path) -> Path:
        """Where the weights of the dense checkpoint lie in the folder of all points."""
        return folder / f"{self.checkpoint_key}.weights.h5"

    def __str__(self) -> str:
        """What a progress bar says."""
        rate = "" if self.sparsity is None else f" {self.sparsity:.0%}"
        return f"{self.network} {self.width:g}, {self.method}{rate}, {self.phase}, seed {self.seed}"


def digest(spec: dict[str, Any]) -> str:
    """Short digest of plain values."""
    text = json.dumps(spec, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_KEY_DIGITS]
