# SPDX-License-Identifier: Apache-2.0
"""How the builtin kernels of LiteRT round layers that XNNPACK does not run, in numpy.

Exact sums become outputs by a formula that follows from the header and, of some ops, from the type of the bias, the
processor and the number of output pixels. All formulas were found by experiment on ``ai-edge-litert`` 2.3.0;
``docs/formats.md`` has them too, and ``tests/runtime/test_builtin_rounding.py`` compares them with the stock ops.
"""

from __future__ import annotations

import enum
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.errors import RuntimeInputError
from tfprune.formats import Activation, ActivationType, Op, PackedHeader, Quantization, Rounding

Sums = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]
#: The largest shift of a multiplier that the builtin kernels take.
MAX_SHIFT = 7
#: Channels that builtin kernels of 8 bits compute at once.
STOCK_BLOCK = 8


class BuiltinRounding(enum.Enum):
    """One formula from sums to outputs."""

    REDUCED = "multiplier of 16 bits, one rounding, ties upward"
    DOUBLE = "product in float64, one rounding, ties away from zero"
    ONCE = "multiplier of 32 bits, one rounding, ties upward"
    TWICE = "multiplier of 32 bits, rounded to 31 fractional bits less and then to a whole number, ties upward"
    TWICE_AWAY = "the same, ties of the second rounding away from zero"


def row_roundings(header: PackedHeader, bias_type: str | None, *, pixels: int, arch: str) -> list[BuiltinRounding]:
    """The formula of each output channel of an op with quantised activations that XNNPACK does not round.

    Args:
        header: of the packed weights.
        bias_type: ``"int64"``, ``"int32"``, or None where there is no bias.
        pixels: output pixels, those of all images.
        arch: the best instruction set of the processor, as :attr:`Library.detected_arch` names it.

    Raises:
        RuntimeInputError: as :func:`int16_rounding`.
    """
    rows, wide_x86 = header.out_channels, arch.startswith("avx")
    if header.activation_type == ActivationType.INT16:
        return [int16_rounding(Op(header.op), bias_type, wide_x86=wide_x86)] * rows
    if header.rounding == Rounding.BUILTIN:
        # On Arm the product of a matrix and one vector is a kernel of its own, for sizes that fill its registers.
        vector = arch.startswith("neon") and pixels == 1 and header.out_channels >= 4 and header.columns >= 8
        return [BuiltinRounding.TWICE if wide_x86 or vector else BuiltinRounding.ONCE] * rows
    channels = header.stock_channels or 1
    in_blocks = channels // STOCK_BLOCK * STOCK_BLOCK
    stock = [BuiltinRounding.TWICE] * in_blocks + [BuiltinRounding.TWICE_AWAY] * (channels - in_blocks)
    return stock * (rows // channels)


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


def effective_scales(op: Op, quantization: Quantization, rounding: BuiltinRounding) -> npt.NDArray[np.float64]:
    """``s_in * s_w / s_out`` in float64, as the ops compute it.

    Where all scales are the same, ops that can have a single one (uint8, and matrix products but for int16 with an
    int64 bias) round ``s_in * s_w`` to float32 first.

    Args:
        op: what the op is.
        quantization: of the layer.
        rounding: the formula that the scales are for.
    """
    single, scales = np.float32(quantization.input_scale), quantization.scales
    products = np.float64(single) * scales.astype(np.float64)
    unsigned = quantization.activation_type == ActivationType.UINT8
    product = op == Op.FULLY_CONNECTED and rounding != BuiltinRounding.DOUBLE
    if (unsigned or product) and (scales == scales[0]).all():
        products = (single * scales).astype(np.float64)
    return np.asarray(products / np.float64(np.float32(quantization.output_scale)), np.float64)


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
        raise RuntimeInputError(f"quantised layer: input_scale * scale / output_scale must be below 128, got {largest}")
    tiny = shift < -31
    return np.where(tiny, 0, multiplier), np.where(tiny, 0, shift)


def requantize_builtin(
    sums: Sums, roundings: list[BuiltinRounding], op: Op, quantization: Quantization, activation: Activation
) -> npt.NDArray[Any]:
    """Outputs of a layer from its exact sums.

    Args:
        sums: ``[..., R]``, the bias included, below ``2**47``; with a multiplier of 32 bits in as many.
        roundings: the formula of each row.
        op: what the op is.
        quantization: of the layer.
        activation: clamps in the quantised domain.
    """
    rounded = np.zeros(sums.shape)
    for rounding in BuiltinRounding:
        rows = [row for row, of_row in enumerate(roundings) if of_row == rounding]
        if not rows:
            continue
        factors, of_rows = effective_scales(op, quantization, rounding)[rows], sums[..., rows]
        if rounding == BuiltinRounding.DOUBLE:
            rounded[..., rows] = _away_from_zero(of_rows.astype(np.float64) * factors)
        else:
            rounded[..., rows] = _fixed_point(of_rows, rounding, *quantized_multipliers(factors))
    zero = quantization.output_zero_point
    low, high = output_limits(quantization, activation)
    return (np.clip(rounded, low, high) + zero).astype(_limits(quantization).dtype)


def _fixed_point(sums: Sums, rounding: BuiltinRounding, multiplier: Sums, shift: Sums) -> Sums:
    """``sums * multiplier * 2**(shift - 31)``, rounded; no step leaves 64 bits."""
    if rounding == BuiltinRounding.REDUCED:
        reduced = np.where(multiplier < 0x7FFF0000, (multiplier + (1 << 15)) >> 16, 0x7FFF)
        return _shift_right(sums * reduced, 15 - shift)
    if rounding == BuiltinRounding.ONCE:
        return _shift_right(sums * multiplier, 31 - shift)
    first = _shift_right((sums << np.maximum(shift, 0)) * multiplier, np.int64(31))
    by = np.maximum(-shift, 0)
    away = rounding == BuiltinRounding.TWICE_AWAY
    return np.where(away & (first < 0), -_shift_right(-first, by), _shift_right(first, by))


def _away_from_zero(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """``values`` rounded to the nearest, ties away from zero."""
    whole = np.trunc(values)
    return np.asarray(whole + np.where(np.abs(values - whole) >= 0.5, np.sign(values), 0), np.float64)


def _shift_right(values: Sums, by: Sums | np.int64) -> Sums:
    """``values / 2**by`` rounded to the nearest, ties upward."""
    half = np.where(by > 0, np.int64(1) << np.maximum(by - 1, 0), 0)
    return np.asarray((values + half) >> by, np.int64)


def output_limits(quantization: Quantization, activation: Activation) -> tuple[int, int]:
    """Least and largest output less its zero point under ``activation``; bounds round ties away from zero.

    Args:
        quantization: of the layer.
        activation: its bounds in multiples of the output's scale.
    """
    limits, zero = _limits(quantization), quantization.output_zero_point
    low, high = int(limits.min) - zero, int(limits.max) - zero
    bounds = np.array(activation.bounds, np.float32) / np.float32(quantization.output_scale)
    if bounds[0] > low:
        low = int(_away_from_zero(bounds[:1].astype(np.float64))[0])
    if bounds[1] < high:
        high = int(_away_from_zero(bounds[1:].astype(np.float64))[0])
    return low, high


def _limits(quantization: Quantization) -> np.iinfo[Any]:
    return np.iinfo((quantization.activation_type or ActivationType.INT8).name.lower())
