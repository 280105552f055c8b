# SPDX-License-Identifier: Apache-2.0
"""Which channels of a Keras model belong together: found by following them through the model's graph.

Each tensor has channels along its last axis. A kernel makes new ones; layers that work channel by channel pass them on;
adding two tensors makes their channels the same, concatenating lays them side by side. What is not understood pins the
channels it touches, with a reason.
"""

from __future__ import annotations

from typing import Any

import keras

from tfprune.keras.channels.builder import GraphBuilder, Rule, require_graph
from tfprune.keras.channels.graph import ChannelGraph, ChannelSpace, Member
from tfprune.keras.channels.layer_rules import layer_rule
from tfprune.keras.channels.op_rules import op_rule

__all__ = ["ChannelGraph", "ChannelSpace", "Member", "channel_graph"]


def channel_graph(model: Any) -> ChannelGraph:
    """Finds the channels of a model that must be reordered, or removed, together.

    Args:
        model: Built functional or Sequential Keras model, also with models in it; channels on the last axis.

    Returns:
        The `ChannelGraph`; ``print`` it for a table.

    Raises:
        PruningError: Not a Keras model, not built, or a model without a graph (subclassed).

    Example:
        >>> import keras
        >>> inputs = keras.Input((8, 8, 3))
        >>> x = keras.layers.Conv2D(16, 3, padding="same", name="first")(inputs)
        >>> y = keras.layers.Conv2D(16, 3, padding="same", name="second")(x)
        >>> outputs = keras.layers.Conv2D(4, 1, name="last")(keras.layers.Add()([x, y]))
        >>> print(channel_graph(keras.Model(inputs, outputs)).spaces[1].producers[1])
        second/kernel[3]
    """
    require_graph(model)
    return GraphBuilder(_find_rule).build(model)


def _find_rule(operation: Any) -> Rule:
    """The rule of a layer or an op."""
    return layer_rule(operation) if isinstance(operation, keras.layers.Layer) else op_rule(operation)
