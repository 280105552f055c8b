# SPDX-License-Identifier: Apache-2.0
"""What layers and ops of the same name do to channels: keep them, merge them one by one, or lay them out anew."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from tfprune.keras.channels.builder import Call, GraphBuilder, UnknownUseError, last_size
from tfprune.keras.channels.spaces import Axis


def keep(builder: GraphBuilder, call: Call) -> list[Axis]:
    """Each channel by itself, all alike."""
    return [call.input]


def merge(builder: GraphBuilder, call: Call) -> list[Axis]:
    """Channel by channel over several tensors; one that has a single channel is used for all."""
    size = last_size(call.outputs[0])
    if size is None:
        raise UnknownUseError("the number of channels is not known")
    if any(np.ndim(each) and np.shape(each)[-1] != 1 for each in call.constants):
        raise UnknownUseError("a constant a channel")
    whole: list[Axis] = []
    for axis in call.inputs:
        if builder.spaces.size(axis) == size:
            whole.append(axis)
        elif builder.spaces.size(axis) == 1:
            builder.spaces.pin(axis, f"{call} uses it for all channels")
        else:
            raise UnknownUseError("tensors of different numbers of channels")
    if not whole:
        raise UnknownUseError("no tensor has as many channels as the result")
    for axis in whole[1:]:
        builder.spaces.unify(whole[0], axis)
    return [whole[0]]


def reshape(builder: GraphBuilder, call: Call) -> list[Axis]:
    """Positions that become channels hold all channels each, position by position."""
    before, after = builder.spaces.size(call.input), last_size(call.outputs[0])
    if not before or not after or after % before:
        raise UnknownUseError(f"cuts {before} channels into {after}")
    return [call.input * (after // before)]


def channels_first(operation: Any) -> bool:
    """Whether a layer or op has its channels on the axis behind the batch."""
    if not hasattr(operation, "data_format"):
        return False
    return bool((operation.data_format or keras.config.image_data_format()) == "channels_first")
