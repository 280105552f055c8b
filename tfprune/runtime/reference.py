# SPDX-License-Identifier: Apache-2.0
"""What the tfprune ops mean, in numpy: the oracle of every kernel.

Nothing here is fast. Sums run in float64 and are rounded to float32 once, so that a kernel is compared with the
value it should have and not with another order of summation.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tfprune.errors import RuntimeInputError
from tfprune.formats import Activation, Op, OpSpec, Padding, read

FloatArray = npt.NDArray[np.float32]
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


def conv2d(x: FloatArray, packed: PackedData, bias: FloatArray | None = None) -> FloatArray:
    """``TfpruneConv2D``: ``y[n, i, j, r] = act(bias[r] + sum_{k, l, c} W[r, k, l, c] * x[n, i*s + k*d - p, ..., c])``.

    Args:
        x: float32 ``[N, H, W, in_channels]``; places outside it count as zero.
        packed: packed weights of a convolution (``docs/formats.md``).
        bias: float32 ``[out_channels]``, or None.

    Returns:
        float32 ``[N, H', W', out_channels]``.

    Raises:
        RuntimeInputError: ``x`` or ``bias`` does not fit the weights.
        PackedFormatError: the packed weights break a rule.
    """
    spec, matrix = _weights(packed, Op.CONV_2D)
    if x.ndim != 4 or x.shape[3] != spec.in_channels:
        raise RuntimeInputError(f"TfpruneConv2D: x must have shape [N, H, W, {spec.in_channels}], got {list(x.shape)}")
    _check_bias("TfpruneConv2D", bias, spec)
    batch, height, width, _ = x.shape
    rows = output_size(height, spec.kernel_h, spec.stride_h, spec.dilation_h, spec.padding)
    columns = output_size(width, spec.kernel_w, spec.stride_w, spec.dilation_w, spec.padding)
    top = padding_before(height, spec.kernel_h, spec.stride_h, spec.dilation_h, spec.padding)
    left = padding_before(width, spec.kernel_w, spec.stride_w, spec.dilation_w, spec.padding)
    kernel = matrix.astype(np.float64).reshape(spec.out_channels, spec.kernel_h, spec.kernel_w, spec.in_channels)
    sums = np.zeros((batch, rows, columns, spec.out_channels))
    for i in range(rows):
        for j in range(columns):
            for k in range(spec.kernel_h):
                for m in range(spec.kernel_w):
                    row = i * spec.stride_h + k * spec.dilation_h - top
                    column = j * spec.stride_w + m * spec.dilation_w - left
                    if 0 <= row < height and 0 <= column < width:
                        sums[:, i, j] += x[:, row, column].astype(np.float64) @ kernel[:, k, m].T
    return _finish(sums, bias, spec)


def fully_connected(x: FloatArray, packed: PackedData, bias: FloatArray | None = None) -> FloatArray:
    """``TfpruneFullyConnected``: ``y[b, r] = act(bias[r] + sum_c W[r, c] * x[b, c])``.

    Args:
        x: float32; its last dimensions multiply to ``in_channels`` (with ``keep_num_dims`` the last one alone).
        packed: packed weights of a fully-connected op (``docs/formats.md``).
        bias: float32 ``[out_channels]``, or None.

    Returns:
        float32 ``[product of the other dimensions, out_channels]``, or with ``keep_num_dims`` the other dimensions
        followed by ``out_channels``.

    Raises:
        RuntimeInputError: ``x`` or ``bias`` does not fit the weights.
        PackedFormatError: the packed weights break a rule.
    """
    spec, matrix = _weights(packed, Op.FULLY_CONNECTED)
    features = 1 if spec.keep_num_dims else _feature_dims(x, spec)
    if x.ndim < 1 or features > x.ndim or int(np.prod(x.shape[x.ndim - features :])) != spec.in_channels:
        raise RuntimeInputError(
            f"TfpruneFullyConnected: the last dimensions of x must multiply to {spec.in_channels}, got {list(x.shape)}"
        )
    _check_bias("TfpruneFullyConnected", bias, spec)
    flat = x.reshape(-1, spec.in_channels).astype(np.float64)
    y = _finish(flat @ matrix.astype(np.float64).T, bias, spec)
    return y.reshape(*x.shape[:-1], spec.out_channels) if spec.keep_num_dims else y


def _weights(packed: PackedData, op: Op) -> tuple[OpSpec, FloatArray]:
    weights = read(packed)
    spec = weights.header.spec
    if spec.op != op:
        raise RuntimeInputError(f"{op.name}: the packed weights must be for this op, they are for {spec.op.name}")
    return spec, weights.matrix()


def _feature_dims(x: FloatArray, spec: OpSpec) -> int:
    """The fewest last dimensions that multiply to the features; one more than there are where none do."""
    for count in range(1, x.ndim + 1):
        if int(np.prod(x.shape[x.ndim - count :])) == spec.in_channels:
            return count
    return x.ndim + 1


def _check_bias(op: str, bias: FloatArray | None, spec: OpSpec) -> None:
    if bias is not None and bias.shape != (spec.out_channels,):
        raise RuntimeInputError(f"{op}: bias must have shape [{spec.out_channels}], got {list(bias.shape)}")


def _finish(sums: npt.NDArray[np.float64], bias: FloatArray | None, spec: OpSpec) -> FloatArray:
    if bias is not None:
        sums = sums + bias.astype(np.float64)
    if spec.activation == Activation.RELU:
        sums = np.maximum(sums, 0.0)
    elif spec.activation == Activation.RELU6:
        sums = np.clip(sums, 0.0, 6.0)
    return sums.astype(np.float32)
