# SPDX-License-Identifier: Apache-2.0
"""What the tfprune ops mean, in numpy: the oracle of every kernel.

Nothing here is fast. Sums run in float64 and are rounded to float32 once, so that a kernel is compared with the
value it should have and not with another order of summation. Sums of int8 layers are exact.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tfprune.errors import RuntimeInputError
from tfprune.formats import (
    Activation,
    ActivationType,
    Op,
    OpSpec,
    PackedHeader,
    PackedWeights,
    Padding,
    Quantization,
    Rounding,
    read,
)
from tfprune.runtime.builtin_rounding import requantize_builtin, row_roundings
from tfprune.runtime.library import load_library
from tfprune.runtime.quantized_reference import quantize_activations, requantize

FloatArray = npt.NDArray[np.float32]
Activations = FloatArray | npt.NDArray[np.int8] | npt.NDArray[np.uint8] | npt.NDArray[np.int16]
Bias = FloatArray | npt.NDArray[np.int32] | npt.NDArray[np.int64]
PackedData = bytes | npt.NDArray[np.uint8]


def output_size(size: int, kernel: int, stride: int, dilation: int, padding: Padding) -> int:
    """Output rows (or columns) of a convolution.

    SAME: ``ceil(size / stride)``. VALID: ``floor((size - extent) / stride) + 1`` with
    ``extent = (kernel - 1) * dilation + 1``, and 0 where the kernel does not fit.
    """
    if padding == Padding.SAME:
        return -(-size // stride)
    extent = (kernel - 1) * dilation + 1
    return max(0, (size - extent) // stride + 1)


def padding_before(size: int, kernel: int, stride: int, dilation: int, padding: Padding) -> int:
    """Zeros before the first row (or column): half of what SAME needs, rounded down; VALID: 0."""
    if padding == Padding.VALID:
        return 0
    extent = (kernel - 1) * dilation + 1
    needed = (output_size(size, kernel, stride, dilation, padding) - 1) * stride + extent - size
    return max(0, needed) // 2


def conv2d(x: Activations, packed: PackedData, bias: Bias | None = None) -> Activations:
    """``TfpruneConv2D``: ``y[n, i, j, r] = act(bias[r] + sum_{k, l, c} W[r, k, l, c] * x[n, i*s + k*d - p, ..., c])``.

    Args:
        x: float32 (or the integers that the weights name) ``[N, H, W, in_channels]``; places outside it count as zero.
        packed: packed weights of a convolution (``docs/formats.md``).
        bias: float32 (int32 with integer activations; with int16 also int64) ``[out_channels]``, or None.

    Returns:
        ``[N, H', W', out_channels]`` of the type of ``x``.

    Raises:
        RuntimeInputError: ``x`` or ``bias`` does not fit the weights.
        PackedFormatError: the packed weights break a rule.
    """
    weights = _weights(packed, Op.CONV_2D)
    spec = weights.header.spec
    if x.ndim != 4 or x.shape[3] != spec.in_channels:
        raise RuntimeInputError(f"TfpruneConv2D: x must have shape [N, H, W, {spec.in_channels}], got {list(x.shape)}")
    _check_types("TfpruneConv2D", x, bias, weights)
    per_pixel = (spec.kernel_h, spec.kernel_w, spec.stride_h, spec.stride_w) == (1, 1, 1, 1)
    values, scales = _activations(x, weights, per_pixel)
    sums = _convolve(values, weights.stored_matrix().astype(np.float64), spec)
    return _finish(sums, bias, weights, scales)


def _convolve(x: npt.NDArray[np.float64], matrix: npt.NDArray[np.float64], spec: OpSpec) -> npt.NDArray[np.float64]:
    batch, height, width, _ = x.shape
    rows = output_size(height, spec.kernel_h, spec.stride_h, spec.dilation_h, spec.padding)
    columns = output_size(width, spec.kernel_w, spec.stride_w, spec.dilation_w, spec.padding)
    top = padding_before(height, spec.kernel_h, spec.stride_h, spec.dilation_h, spec.padding)
    left = padding_before(width, spec.kernel_w, spec.stride_w, spec.dilation_w, spec.padding)
    kernel = matrix.reshape(spec.out_channels, spec.kernel_h, spec.kernel_w, spec.in_channels)
    sums = np.zeros((batch, rows, columns, spec.out_channels))
    for i in range(rows):
        for j in range(columns):
            for k in range(spec.kernel_h):
                for m in range(spec.kernel_w):
                    row = i * spec.stride_h + k * spec.dilation_h - top
                    column = j * spec.stride_w + m * spec.dilation_w - left
                    if 0 <= row < height and 0 <= column < width:
                        sums[:, i, j] += x[:, row, column] @ kernel[:, k, m].T
    return sums


def fully_connected(x: Activations, packed: PackedData, bias: Bias | None = None) -> Activations:
    """``TfpruneFullyConnected``: ``y[b, r] = act(bias[r] + sum_c W[r, c] * x[b, c])``.

    Args:
        x: float32 (or the integers that the weights name); its last dimensions multiply to ``in_channels`` (with
            ``keep_num_dims`` the last one alone).
        packed: packed weights of a fully-connected op (``docs/formats.md``).
        bias: float32 (int32 with integer activations; with int16 also int64) ``[out_channels]``, or None.

    Returns:
        ``[product of the other dimensions, out_channels]``, or with ``keep_num_dims`` the other dimensions followed
        by ``out_channels``; of the type of ``x``.

    Raises:
        RuntimeInputError: ``x`` or ``bias`` does not fit the weights.
        PackedFormatError: the packed weights break a rule.
    """
    weights = _weights(packed, Op.FULLY_CONNECTED)
    spec = weights.header.spec
    features = 1 if spec.keep_num_dims else _feature_dims(x, spec)
    if x.ndim < 1 or features > x.ndim or int(np.prod(x.shape[x.ndim - features :])) != spec.in_channels:
        raise RuntimeInputError(
            f"TfpruneFullyConnected: the last dimensions of x must multiply to {spec.in_channels}, got {list(x.shape)}"
        )
    _check_types("TfpruneFullyConnected", x, bias, weights)
    values, scales = _activations(x.reshape(-1, spec.in_channels), weights, per_pixel=True)
    y = _finish(values @ weights.stored_matrix().astype(np.float64).T, bias, weights, scales)
    return y.reshape(*x.shape[:-1], spec.out_channels) if spec.keep_num_dims else y


def _weights(packed: PackedData, op: Op) -> PackedWeights:
    weights = read(packed)
    if weights.header.op != op:
        stored = Op(weights.header.op).name
        raise RuntimeInputError(f"{op.name}: the packed weights must be for this op, they are for {stored}")
    return weights


def _activations(
    x: Activations, weights: PackedWeights, per_pixel: bool
) -> tuple[npt.NDArray[np.float64], FloatArray | None]:
    """What the weights are multiplied with, and the scales of activations that are quantised at run time."""
    if weights.quantization is None:
        return x.astype(np.float64), None
    if x.dtype != np.float32:
        return x.astype(np.float64) - weights.quantization.input_zero_point, None
    values, scales = quantize_activations(x.astype(np.float32), per_pixel=per_pixel)
    return values, scales


def _feature_dims(x: Activations, spec: OpSpec) -> int:
    """The fewest last dimensions that multiply to the features; one more than there are where none do."""
    for count in range(1, x.ndim + 1):
        if int(np.prod(x.shape[x.ndim - count :])) == spec.in_channels:
            return count
    return x.ndim + 1


def _check_types(op: str, x: Activations, bias: Bias | None, weights: PackedWeights) -> None:
    activation_type = ActivationType(weights.header.activation_type)
    expected = activation_type.name.lower()
    if x.dtype != expected:
        raise RuntimeInputError(f"{op}: x must be {expected}, got {x.dtype}")
    channels = weights.header.out_channels
    if bias is not None and bias.shape != (channels,):
        raise RuntimeInputError(f"{op}: bias must have shape [{channels}], got {list(bias.shape)}")
    types = {ActivationType.FLOAT32: ["float32"], ActivationType.INT16: ["int32", "int64"]}.get(
        activation_type, ["int32"]
    )
    if bias is not None and bias.dtype.name not in types:
        raise RuntimeInputError(f"{op}: bias must be {' or '.join(types)}, got {bias.dtype}")


def _finish(
    sums: npt.NDArray[np.float64], bias: Bias | None, weights: PackedWeights, scales: FloatArray | None
) -> Activations:
    activation = weights.header.spec.activation
    quantization = weights.quantization
    if quantization is not None and scales is not None:
        sums = sums * scales.astype(np.float64) * quantization.scales.astype(np.float64)
    if bias is not None:
        sums = sums + bias.astype(np.float64)
    if quantization is not None and quantization.rounding not in (Rounding.NONE, Rounding.XNNPACK):
        return _finish_builtin(sums, bias, weights.header, quantization)
    if quantization is not None and scales is None:
        return requantize(sums, quantization, activation)
    if activation != Activation.NONE:
        sums = np.clip(sums, *activation.bounds)
    return sums.astype(np.float32)


def _finish_builtin(
    sums: npt.NDArray[np.float64], bias: Bias | None, header: PackedHeader, quantization: Quantization
) -> Activations:
    """As the stock op rounds on this machine; a float64 holds the exact sums."""
    bias_type = None if bias is None else bias.dtype.name
    pixels = sums.size // header.out_channels
    roundings = row_roundings(header, bias_type, pixels=pixels, arch=load_library().detected_arch)
    return requantize_builtin(sums.astype(np.int64), roundings, Op(header.op), quantization, header.spec.activation)
