# SPDX-License-Identifier: Apache-2.0
"""What operators make of a value that never changes: activations, and the rounding of quantized layers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from tfprune.converter.schema import TensorType, tfl

Numbers = npt.NDArray[np.float64]

_FUSED = tfl.ActivationFunctionType
# Lowest and highest value of each fused activation; others are not followed.
LIMITS: dict[int, tuple[float, float]] = {
    _FUSED.NONE: (-np.inf, np.inf),
    _FUSED.RELU: (0.0, np.inf),
    _FUSED.RELU_N1_TO_1: (-1.0, 1.0),
    _FUSED.RELU6: (0.0, 6.0),
}
# A quantized result nearer than this to the middle of two integers may be rounded either way by different kernels.
_TIE = 2.0**-5
# How far kernels' factors may be from the exact ones, in parts of them: of int16 activations they have 16 bits.
_FACTOR_ERROR, _WIDE_FACTOR_ERROR = 2.0**-20, 2.0**-14
LARGEST_INT16 = 2**15 - 1
#: Smallest number of each quantized type.
LOWEST = {TensorType.INT8: -128, TensorType.UINT8: 0, TensorType.INT16: -(2**15)}

#: Operators that work on each value alone: what they make of it in float32, None where nothing is followed.
UNARY: dict[str, Callable[[Numbers], Numbers] | None] = {
    "RELU": lambda x: np.maximum(x, 0),
    "RELU6": lambda x: np.clip(x, 0, 6),
    "RELU_N1_TO_1": lambda x: np.clip(x, -1, 1),
    "RELU_0_TO_1": lambda x: np.clip(x, 0, 1),
    "LOGISTIC": lambda x: 1 / (1 + np.exp(-x)),
    "TANH": np.tanh,
    "ELU": lambda x: np.where(x < 0, np.expm1(np.minimum(x, 0)), x),
    "HARD_SWISH": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "ABS": np.abs,
    "NEG": np.negative,
    "EXP": np.exp,
    "SQUARE": np.square,
    "SQRT": np.sqrt,
    "RSQRT": lambda x: 1 / np.sqrt(x),
    "LEAKY_RELU": None,
    "GELU": None,
    "LOG": None,
    "SIN": None,
    "COS": None,
    "FLOOR": np.floor,
    "CEIL": np.ceil,
    "ROUND": np.rint,
}
#: Those of them that make 0 of 0, in quantized arithmetic too.
KEEP_ZERO = ("RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1", "LEAKY_RELU", "TANH", "ELU", "HARD_SWISH", "ABS", "NEG")


def clamp(values: Numbers, activation: int) -> Numbers:
    """Float32 values behind a fused activation; not a number where it is not followed."""
    low, high = LIMITS.get(activation, (np.nan, np.nan))
    return np.asarray(np.clip(values, low, high))


def requantize(sums: Numbers, factors: Numbers, zero: int, scale: float, activation: int, low: int) -> Numbers:
    """Quantized results of sums that never change.

    Kernels round in different ways; they agree unless a result lies about in the middle between two integers.

    Args:
        sums: what is rounded, one a channel.
        factors: what one of the sums is worth in steps of the output.
        zero: the output's zero point.
        scale: the output's scale.
        activation: fused activation.
        low: smallest number of the output's type, which has 256 or 65,536.

    Returns:
        The stored numbers; not a number where kernels may differ or the activation is not followed.
    """
    high = {0: 255, -128: 127}.get(low, LARGEST_INT16)
    limits = LIMITS.get(activation, (np.nan, np.nan))
    steps = sums * factors
    error = np.abs(steps) * (_WIDE_FACTOR_ERROR if low == LOWEST[TensorType.INT16] else _FACTOR_ERROR)
    certain = np.abs(steps - np.floor(steps) - 0.5) > _TIE + error
    bottom = max(low, zero + np.rint(limits[0] / scale))
    top = min(high, zero + np.rint(limits[1] / scale))
    # Far outside the limits it does not matter how something is rounded.
    certain |= (steps + zero > top + 1 + error) | (steps + zero < bottom - 1 - error)
    return np.where(certain, np.clip(np.rint(steps) + zero, bottom, top), np.nan)
