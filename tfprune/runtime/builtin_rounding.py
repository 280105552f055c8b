# SPDX-License-Identifier: Apache-2.0
"""How the builtin kernels of LiteRT round int16x8 layers, which XNNPACK does not run, in numpy.

A layer has int16 activations with zero point 0 and int8 weights. Its exact sums become outputs by a formula that is
chosen by the op and the type of its bias. All formulas were found by experiment on ``ai-edge-litert`` 2.3.0;
``docs/formats.md`` has them too, and ``tests/runtime/test_builtin_rounding.py`` compares them with the stock ops.
"""

from __future__ import annotations

import enum

import numpy as np
import numpy.typing as npt

from tfprune.errors import RuntimeInputError
from tfprune.formats import Activation, Op

Sums = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]
INT16_LIMITS = (-32768, 32767)
#: The largest shift of a multiplier that the builtin kernels take.
MAX_SHIFT = 7


class BuiltinRounding(enum.Enum):
    """One formula from sums to outputs."""

    REDUCED = "multiplier of 16 bits, one rounding, ties upward"
    DOUBLE = "product in float64, one rounding, ties away from zero"
    ONCE = "multiplier of 32 bits, one rounding, ties upward"
    TWICE = "multiplier of 32 bits, rounded to 31 fractional bits less and then to a whole number, ties upward"


def int16_rounding(op: Op, bias_type: str | None, *, wide_x86: bool) -> BuiltinRounding:
    """The formula of an int16x8 op.

    Args:
        op: what the op is.
        bias_type: ``"int64"``, ``"int32"``, or None where there is no bias.
        wide_x86: whether the processor has AVX2, for which LiteRT's matrix product rounds in a way of its own.

    Raises:
        RuntimeInputError: a convolution with an int32 bias: LiteRT reads it as int64, beyond its end.
    """
    if op == Op.CONV_2D and bias_type == "int32":
        raise RuntimeInputError("int16 CONV_2D: the bias must be int64 or absent, got int32; keep the stock op")
    if op == Op.CONV_2D:
        return BuiltinRounding.REDUCED
    if bias_type == "int64":
        return BuiltinRounding.DOUBLE
    return BuiltinRounding.TWICE if wide_x86 else BuiltinRounding.ONCE


def effective_scales(
    rounding: BuiltinRounding, input_scale: float, scales: FloatArray, output_scale: float
) -> npt.NDArray[np.float64]:
    """``s_in * s_w / s_out`` in float64, as the ops compute it.

    The matrix product of a layer whose scales are all the same rounds ``s_in * s_w`` to float32 first: the stock op
    does so where the file has one scale for all channels.

    Args:
        rounding: the formula that the scales are for.
        input_scale: of the input.
        scales: float32 ``[R]`` of the weights.
        output_scale: of the output.
    """
    single, products = np.float32(input_scale), np.float64(np.float32(input_scale)) * scales.astype(np.float64)
    if rounding in (BuiltinRounding.ONCE, BuiltinRounding.TWICE) and (scales == scales[0]).all():
        products = (single * scales).astype(np.float64)
    return np.asarray(products / np.float64(np.float32(output_scale)), np.float64)


def quantized_multipliers(factors: npt.NDArray[np.float64]) -> tuple[Sums, Sums]:
    """``(m, shift)`` with ``factor ~ m * 2**(shift - 31)`` and ``m`` in ``[2**30, 2**31)``.

    Args:
        factors: above 0 each. Those below ``2**-32`` become 0.

    Raises:
        RuntimeInputError: a factor that needs a shift above :data:`MAX_SHIFT`.
    """
    fraction, shift = np.frexp(factors)
    multiplier = np.floor(fraction * 2.0**31 + 0.5).astype(np.int64)
    shift = shift.astype(np.int64) + (multiplier == 2**31)
    multiplier = np.where(multiplier == 2**31, 2**30, multiplier)
    if (shift > MAX_SHIFT).any():
        largest = float(factors.max())
        raise RuntimeInputError(f"int16 layer: input_scale * scale / output_scale must be below 128, got {largest}")
    tiny = shift < -31
    return np.where(tiny, 0, multiplier), np.where(tiny, 0, shift)


def requantize_int16(
    sums: Sums,
    rounding: BuiltinRounding,
    input_scale: float,
    scales: FloatArray,
    output_scale: float,
    activation: Activation,
) -> npt.NDArray[np.int16]:
    """Outputs of an int16x8 layer from its exact sums.

    Args:
        sums: ``[..., R]``, the bias included, below ``2**47``; of :attr:`~BuiltinRounding.ONCE` and
            :attr:`~BuiltinRounding.TWICE` in 32 bits.
        rounding: the formula.
        input_scale: of the input.
        scales: float32 ``[R]`` of the weights.
        output_scale: of the output.
        activation: clamps in the quantised domain.
    """
    factors = effective_scales(rounding, input_scale, scales, output_scale)
    if rounding == BuiltinRounding.DOUBLE:
        rounded = _away_from_zero(sums.astype(np.float64) * factors)
    else:
        rounded = _fixed_point(sums, rounding, *quantized_multipliers(factors)).astype(np.float64)
    low, high = output_limits(output_scale, activation)
    return np.clip(rounded, low, high).astype(np.int16)


def _fixed_point(sums: Sums, rounding: BuiltinRounding, multiplier: Sums, shift: Sums) -> Sums:
    """``sums * multiplier * 2**(shift - 31)``, rounded; no step leaves 64 bits."""
    if rounding == BuiltinRounding.REDUCED:
        reduced = np.where(multiplier < 0x7FFF0000, (multiplier + (1 << 15)) >> 16, 0x7FFF)
        return _shift_right(sums * reduced, 15 - shift)
    if rounding == BuiltinRounding.ONCE:
        return _shift_right(sums * multiplier, 31 - shift)
    shifted = sums << np.maximum(shift, 0)
    return _shift_right(_shift_right(shifted * multiplier, np.int64(31)), np.maximum(-shift, 0))


def _away_from_zero(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """``values`` rounded to the nearest, ties away from zero."""
    whole = np.trunc(values)
    return np.asarray(whole + np.where(np.abs(values - whole) >= 0.5, np.sign(values), 0), np.float64)


def _shift_right(values: Sums, by: Sums | np.int64) -> Sums:
    """``values / 2**by`` rounded to the nearest, ties upward."""
    half = np.where(by > 0, np.int64(1) << np.maximum(by - 1, 0), 0)
    return np.asarray((values + half) >> by, np.int64)


def output_limits(output_scale: float, activation: Activation) -> tuple[int, int]:
    """Least and largest int16 output under ``activation``; bounds round ties away from zero.

    Args:
        output_scale: of the output.
        activation: its bounds in multiples of ``output_scale``.
    """
    low, high = INT16_LIMITS
    bounds = np.array(activation.bounds, np.float32) / np.float32(output_scale)
    if bounds[0] > low:
        low = int(_away_from_zero(bounds[:1].astype(np.float64))[0])
    if bounds[1] < high:
        high = int(_away_from_zero(bounds[1:].astype(np.float64))[0])
    return low, high
