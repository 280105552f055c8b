# SPDX-License-Identifier: Apache-2.0
"""Sparsity and masks for TensorBoard."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.errors import PruningError
from tfprune.keras.pruning import Pruning
from tfprune.sparsity.blocks import Mask
from tfprune.sparsity.layouts import to_matrix

# Larger masks are averaged down to this: no screen shows more.
_PIXELS = 512


class MaskSummaries:
    """Writes a scalar a layer whenever masks are chosen, and a picture of each mask at the end of an epoch.

    In a picture a row is an output channel, a column an input channel at one kernel position.

    Args:
        log_dir: Folder of the log; the event file goes into its folder ``pruning``.

    Raises:
        PruningError: No path; TensorFlow or TensorBoard is missing.
    """

    def __init__(self, log_dir: str | os.PathLike[str]) -> None:
        """Loads what writes; no file is made yet."""
        if not isinstance(log_dir, (str, os.PathLike)) or not os.fspath(log_dir):
            raise PruningError(
                f"`log_dir` must be the path of a folder, or None for no log. Received: log_dir={log_dir!r}."
            )
        try:
            import tensorboard  # noqa: F401  # what TensorFlow's summaries need is asked for here, not mid-training
            import tensorflow as tf
        except ImportError as error:
            raise PruningError(
                f"`log_dir` needs TensorFlow and TensorBoard. Received: log_dir={log_dir!r}, and {error}. "
                "Install them (pip install 'tfprune[tensorflow,tensorboard]'), or leave `log_dir` out."
            ) from error
        self._summary = tf.summary
        self._folder = os.path.join(os.fspath(log_dir), "pruning")
        self._writer: Any = None
        self._drawn: dict[str, bytes] = {}
        self._written: int | None = None

    def write_scalars(self, pruning: Pruning) -> None:
        """Writes the sparsity of each layer's mask, and of all, if masks have been chosen since the last call.

        Args:
            pruning: A started pruning.
        """
        if pruning.chosen_step == self._written:
            return
        self._written = pruning.chosen_step
        with self._open().as_default(step=pruning.step_count):
            for each in pruning.progress:
                self._summary.scalar(f"sparsity/{each.name}", each.mask.sparsity)
            self._summary.scalar("sparsity/all", pruning.sparsity)

    def write_images(self, pruning: Pruning) -> None:
        """Draws each mask that is another than when it was drawn last.

        Args:
            pruning: A started pruning.
        """
        with self._open().as_default(step=pruning.step_count):
            for each in pruning.progress:
                bits = np.packbits(each.kept).tobytes()
                if self._drawn.get(each.name) != bits:
                    self._drawn[each.name] = bits
                    matrix = to_matrix(each.kept, each.weight.layout)
                    picture = picture_of(matrix.reshape(len(matrix), -1))
                    self._summary.image(f"mask/{each.name}", picture[None, :, :, None])

    def close(self) -> None:
        """Closes the file; a later training opens another one."""
        if self._writer is not None:
            self._writer.close()
        self._writer = None
        self._drawn.clear()
        self._written = None

    def _open(self) -> Any:
        if self._writer is None:
            self._writer = self._summary.create_file_writer(self._folder)
        return self._writer


def picture_of(matrix: Mask) -> npt.NDArray[np.float32]:
    """A picture of a mask: 1 (white) is kept, and what is larger than a screen is averaged down.

    Args:
        matrix: Mask, a row an output channel.

    Returns:
        Brightness of the pixels, at most 512 each way.
    """
    picture: npt.NDArray[Any] = matrix.astype(np.float32)
    for axis in (0, 1):
        size = picture.shape[axis]
        if size > _PIXELS:
            starts = np.arange(_PIXELS) * size // _PIXELS
            counts = np.diff(starts, append=size)
            picture = np.add.reduceat(picture, starts, axis) / np.expand_dims(counts, 1 - axis)
    return picture.astype(np.float32)
