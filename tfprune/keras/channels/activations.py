# SPDX-License-Identifier: Apache-2.0
"""Activation functions: each channel by itself, or all together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from tfprune.keras.channels.builder import Call, GraphBuilder, UnknownUseError
from tfprune.keras.channels.spaces import Axis

_ELEMENTWISE = (
    *("relu", "relu6", "leaky_relu", "elu", "celu", "selu", "gelu", "silu", "mish", "exponential", "linear"),
    *("sigmoid", "sparse_sigmoid", "log_sigmoid", "hard_sigmoid", "hard_silu", "tanh", "hard_tanh", "tanh_shrink"),
    *("softplus", "softsign", "squareplus", "sparse_plus", "soft_shrink", "hard_shrink", "threshold"),
)
_OVER_CHANNELS = ("softmax", "log_softmax", "sparsemax")


def check_activation(
    builder: GraphBuilder, call: Call, activation: Callable[[Any], Any] | None, channels: Axis
) -> None:
    """Applies an activation function to channels, in whatever order they are.

    Args:
        builder: The graph.
        call: The call of the layer that has the function.
        activation: The function, a layer without weights, or None.
        channels: The channels.

    Raises:
        UnknownUseError: It is not known what the function does.
    """
    if activation is None or _is_one_of(activation, _ELEMENTWISE):
        return
    if _is_one_of(activation, _OVER_CHANNELS):
        builder.spaces.fix_size(channels, f"activation of {call} is over channels")
    elif not isinstance(activation, (keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.ELU)):
        name = getattr(activation, "__name__", type(activation).__name__)
        raise UnknownUseError(f"what its activation {name!r} does to channels is not known")


def _is_one_of(activation: Any, names: tuple[str, ...]) -> bool:
    """Whether a function is one of Keras' own, as an activation or as an op."""
    return any(activation is getattr(module, name, None) for module in (keras.activations, keras.ops) for name in names)
