# SPDX-License-Identifier: Apache-2.0
"""How many weights and multiply-adds of a network are left, with its arrays as they are and shrunk."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.keras.channels import channel_graph
from tfprune.keras.layers import to_numpy

Mask = npt.NDArray[np.bool_]


@dataclasses.dataclass(frozen=True)
class Left:
    """Shares of a network that are left.

    Attributes:
        weights: weights of all layers that are not zero.
        macs: multiply-adds with these.
        shrunk_macs: of these, what is left once arrays lose the channels that no weight fills any more: such a channel
            holds a constant, and so do weights that read it.
    """

    weights: float
    macs: float
    shrunk_macs: float


def left(model: Any) -> Left:
    """Counts over the kernels of a network whose layers are called once.

    Args:
        model: a Keras model with a graph.
    """
    masks: dict[int, Mask] = {}
    pixels: dict[int, int] = {}
    for layer in model.layers:
        kernel = getattr(layer, "kernel", None)
        if kernel is not None:
            masks[id(kernel)] = to_numpy(kernel) != 0
            pixels[id(kernel)] = int(np.prod(layer.output.shape[1:-1]))
    live = _live(model, masks)
    whole = sum(pixels[key] * mask.size for key, mask in masks.items())
    return Left(
        weights=sum(int(mask.sum()) for mask in masks.values()) / sum(mask.size for mask in masks.values()),
        macs=sum(pixels[key] * int(mask.sum()) for key, mask in masks.items()) / whole,
        shrunk_macs=sum(pixels[key] * int(mask.sum()) for key, mask in live.items()) / whole,
    )


def _live(model: Any, masks: dict[int, Mask]) -> dict[int, Mask]:
    """Masks without the weights that read a channel that is constant."""
    live = {key: mask.copy() for key, mask in masks.items()}
    for space in channel_graph(model).spaces:
        if not space.producers or not space.shrinks:
            continue
        filled = np.zeros(space.size, bool)
        for producer in space.producers:
            filled |= _of_channels(masks[id(producer.variable)], producer.axis, producer.offsets, space.size)
        readers = [each for each in (*space.consumers, *space.carried) if id(each.variable) in live]
        for reader in readers:
            mask = np.moveaxis(live[id(reader.variable)], reader.axis, 0)
            for offset in reader.offsets:
                mask[offset : offset + space.size][~filled] = False
    return live


def _of_channels(mask: Mask, axis: int, offsets: tuple[int, ...], size: int) -> Mask:
    """Whether a kernel has a weight for each channel."""
    filled: Mask = np.any(mask, axis=tuple(other for other in range(mask.ndim) if other != axis))
    found: Mask = np.any([filled[offset : offset + size] for offset in offsets], axis=0)
    return found
