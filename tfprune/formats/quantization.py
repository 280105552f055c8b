# SPDX-License-Identifier: Apache-2.0
"""What int8 weights carry beside their values: scales, and how the activations round the op are quantised."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from tfprune.errors import PackedFormatError


@dataclasses.dataclass(frozen=True)
class Quantization:
    """Scales and zero points of an int8 layer; a real number is ``(quantised - zero_point) * scale``.

    With ``input_scale`` 0 (the default) the layer has float32 activations, which are quantised at run time. Weights
    have the zero point 0, as in TFLite.

    Attributes:
        scales: float32 ``[R]``, one for each output channel, finite and above 0.
        input_scale: of the int8 input, rounded to float32; 0 where the activations are float32.
        input_zero_point: -128 .. 127.
        output_scale: of the int8 output; 0 where the activations are float32.
        output_zero_point: -128 .. 127.
    """

    scales: npt.NDArray[np.float32]
    input_scale: float = 0.0
    input_zero_point: int = 0
    output_scale: float = 0.0
    output_zero_point: int = 0


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
