# SPDX-License-Identifier: Apache-2.0
"""What integer weights carry beside their values: scales, zero points, and how the op's input and output are stored."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from tfprune.errors import PackedFormatError
from tfprune.formats.enums import ActivationType, Rounding


@dataclasses.dataclass(frozen=True)
class Quantization:
    """Scales and zero points of a layer with integer weights; a real number is ``(quantised - zero_point) * scale``.

    With ``input_scale`` 0 (the default) the layer has float32 activations, which are quantised at run time.

    Attributes:
        scales: float32 ``[R]``, one for each output channel, finite and above 0.
        input_scale: of the quantised input, rounded to float32; 0 where the activations are float32.
        input_zero_point: int8: -128 .. 127, uint8: 0 .. 255, int16: 0.
        output_scale: of the quantised output; 0 where the activations are float32.
        output_zero_point: as for the input.
        activation_type: of input and output. None, which becomes the type: int8 where there is an ``input_scale``,
            else float32.
        rounding: of the outputs. None, which becomes the rounding: XNNPACK's for int8 and uint8, the builtin kernels'
            for int16, none for float32.
        weight_zero_point: of uint8 weights, 0 .. 255; int8 weights have 0, except where their activations are int8
            and a builtin kernel rounds: -128 .. 127.
        stock_channels: with :attr:`Rounding.BUILTIN_CHANNELS` the output channels of the stock op, which the rows
            repeat; else 0.
    """

    scales: npt.NDArray[np.float32]
    input_scale: float = 0.0
    input_zero_point: int = 0
    output_scale: float = 0.0
    output_zero_point: int = 0
    activation_type: ActivationType | None = None
    rounding: Rounding | None = None
    weight_zero_point: int = 0
    stock_channels: int = 0

    def __post_init__(self) -> None:
        """Fills in what follows from the rest."""
        if self.activation_type is None:
            found = ActivationType.INT8 if self.input_scale else ActivationType.FLOAT32
            object.__setattr__(self, "activation_type", found)
        if self.rounding is None:
            usual = {ActivationType.FLOAT32: Rounding.NONE, ActivationType.INT16: Rounding.BUILTIN}
            object.__setattr__(
                self, "rounding", usual.get(self.activation_type or ActivationType.FLOAT32, Rounding.XNNPACK)
            )


def check_scales(scales: npt.NDArray[np.float32], out_channels: int) -> None:
    """Applies the rules of the scales section.

    Raises:
        PackedFormatError: another type or shape, or a scale that is not finite and above 0.
    """
    if scales.dtype != np.float32 or scales.shape != (out_channels,):
        raise PackedFormatError(
            f"packed weights: scales must be float32 of shape {(out_channels,)}, "
            f"got {scales.dtype} of shape {scales.shape}"
        )
    wrong = ~(np.isfinite(scales) & (scales > 0))
    if wrong.any():
        channel = int(np.argmax(wrong))
        raise PackedFormatError(
            f"packed weights: scales must be finite and above 0, got {scales[channel]} for output channel {channel}"
        )
