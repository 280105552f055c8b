# SPDX-License-Identifier: Apache-2.0
"""What the header's small numbers mean."""

from __future__ import annotations

import enum


class Op(enum.IntEnum):
    """The custom op that reads the weights."""

    CONV_2D = 1
    FULLY_CONNECTED = 2


class Encoding(enum.IntEnum):
    """How weights are tied to rows: groups in fixed bands, groups from every start row, or blocks of any rows."""

    ROW_BAND = 1
    SLIDING_ROW = 2
    BLOCK_ROWS = 3
    BLOCK_COLUMNS = 4

    @property
    def in_blocks(self) -> bool:
        """Whether lines are blocks: lists of rows times lists of columns."""
        return self in (Encoding.BLOCK_ROWS, Encoding.BLOCK_COLUMNS)


class ValueType(enum.IntEnum):
    """The type of a stored weight."""

    FLOAT32 = 1
    FLOAT16 = 2
    INT8 = 3
    UINT8 = 4

    @property
    def size(self) -> int:
        """Bytes of a value."""
        return {ValueType.FLOAT32: 4, ValueType.FLOAT16: 2}.get(self, 1)

    @property
    def quantized(self) -> bool:
        """Whether values are integers that stand for multiples of a scale."""
        return self in (ValueType.INT8, ValueType.UINT8)


class ActivationType(enum.IntEnum):
    """The type of the op's input and output."""

    FLOAT32 = 0
    INT8 = 1
    UINT8 = 2
    INT16 = 3


class Rounding(enum.IntEnum):
    """How sums become quantised outputs: as XNNPACK does, or as one of LiteRT's builtin kernels.

    BUILTIN is that of its matrix product, and of all its kernels with int16 activations. With 8-bit activations others
    round twice: BUILTIN_CHANNELS in another way for the channels behind the last whole block of eight, BUILTIN_AWAY
    with ties away from zero.
    """

    NONE = 0
    XNNPACK = 1
    BUILTIN = 2
    BUILTIN_CHANNELS = 3
    BUILTIN_AWAY = 4


class Activation(enum.IntEnum):
    """Fused activation, with TFLite's numbers."""

    NONE = 0
    RELU = 1
    RELU_N1_TO_1 = 2
    RELU6 = 3

    @property
    def bounds(self) -> tuple[float, float]:
        """Least and largest result; infinities where there is no bound."""
        infinity = float("inf")
        return {
            Activation.NONE: (-infinity, infinity),
            Activation.RELU: (0.0, infinity),
            Activation.RELU_N1_TO_1: (-1.0, 1.0),
            Activation.RELU6: (0.0, 6.0),
        }[self]


class Padding(enum.IntEnum):
    """Padding of a convolution, with TFLite's numbers."""

    SAME = 0
    VALID = 1
