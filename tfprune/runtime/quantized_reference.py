# SPDX-License-Identifier: Apache-2.0
"""How XNNPACK rounds, in numpy: requantisation of sums, and quantisation of float32 activations at run time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tfprune.formats import Activation, ActivationType, Quantization
from tfprune.runtime.library import load_library

FloatArray = npt.NDArray[np.float32]


def requantize(
    sums: npt.NDArray[np.float64], quantization: Quantization, activation: Activation
) -> npt.NDArray[np.int8] | npt.NDArray[np.uint8]:
    """Returns ``clip(rint(float32(sum) * (s_in * s_w / s_out)) + zero_point)``, all in float32 as XNNPACK computes it.

    Its kernels of uint8 for NEON round the exact product of sum and float32 factor, ties upward.

    Args:
        sums: whole numbers ``[..., R]`` that fit 32 bits, the bias included.
        quantization: of a layer with int8 or uint8 activations.
        activation: clamps in the quantised domain.
    """
    output_scale = np.float32(quantization.output_scale)
    factors = np.float32(quantization.input_scale) * quantization.scales / output_scale
    zero = quantization.output_zero_point
    unsigned = quantization.activation_type == ActivationType.UINT8
    limits = np.iinfo(np.uint8) if unsigned else np.iinfo(np.int8)
    bounds = np.rint(np.array(activation.bounds, np.float32) / output_scale).astype(np.float64) + zero
    low, high = max(float(limits.min), bounds[0]), min(float(limits.max), bounds[1])
    rounded = np.rint(sums.astype(np.float32) * factors).astype(np.float64) + zero
    if unsigned and load_library().detected_arch.startswith("neon"):
        rounded = np.floor(sums * factors.astype(np.float64) + 0.5) + zero
    clipped = np.clip(rounded, low, max(low, high))
    return clipped.astype(np.uint8) if unsigned else clipped.astype(np.int8)


def quantize_activations(x: FloatArray, *, per_pixel: bool) -> tuple[npt.NDArray[np.float64], FloatArray]:
    """Quantises float32 activations as XNNPACK does for int8 weights: asymmetric, to -128 .. 127.

    Args:
        x: ``[N, ..., C]``.
        per_pixel: one scale for each pixel (last axis) instead of one for each image (first axis).

    Returns:
        Whole numbers ``quantised - zero_point`` of the shape of ``x``, and scales that broadcast against it.
    """
    axes = x.ndim - 1 if per_pixel else tuple(range(1, x.ndim))
    low = np.minimum(x.min(axis=axes, keepdims=True), np.float32(0))
    high = np.maximum(x.max(axis=axes, keepdims=True), np.float32(0))
    with np.errstate(divide="ignore"):
        factor = np.where(low == high, np.float32(1), np.float32(255) / (high - low)).astype(np.float32)
    lowest, highest = low * factor, high * factor
    near_low = (lowest - np.float32(128)) + (highest + np.float32(127)) > 0
    zero = np.where(near_low, np.float32(-128) - lowest, np.float32(127) - highest)
    zero = np.rint(np.clip(zero, -128, 127))
    quantized = np.clip(np.rint(x * factor).astype(np.float64) + zero, -128, 127)
    return quantized - zero, (np.float32(1) / factor).astype(np.float32)
