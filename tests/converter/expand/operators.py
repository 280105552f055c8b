# SPDX-License-Identifier: Apache-2.0
"""Random dense operators of every kind that becomes one of ours over an expanded matrix."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.models.one_op import Array, Value, constant, one_op, tfl
from tfprune.converter.expand.transposed import Axis

SAME, VALID = 0, 1
# Precisions with float32 activations.
FLOATS = ("float32", "dynamic")
NONE, RELU, RELU_N1_TO_1, RELU6, TANH = 0, 1, 2, 3, 4


@dataclasses.dataclass(frozen=True)
class Dense:
    """A file of one operator, and its input.

    Attributes:
        name: name of the operator.
        data: the file.
        x: a random input.
    """

    name: str
    data: bytes
    x: Array


@dataclasses.dataclass
class Maker:
    """Makes operators of one precision with pruned random weights.

    Attributes:
        precision: ``"float32"``, ``"int8"``, ``"uint8"``, ``"dynamic"`` or ``"int16"`` (with int8 weights).
        seed: of weights and inputs.
        kept: share of weights that are not zero.
        batch: whether the file says that the batch may have any size.
    """

    precision: str = "float32"
    seed: int = 0
    kept: float = 0.3
    batch: bool = False

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.seed)

    def activation(self, shape: tuple[int, ...], scale: float = 0.05, zero_point: int = 3) -> Value:
        signature = (-1, *shape[1:]) if self.batch else None
        if self.precision in FLOATS:
            return Value(shape, signature=signature)
        zero_points = {"int8": zero_point, "uint8": zero_point + 128, "int16": 0}
        return Value(shape, self.precision, None, scale, zero_points[self.precision], signature=signature)

    def values(self, *shape: int) -> Array:
        if self.precision in FLOATS:
            return self._rng.standard_normal(shape).astype(np.float32)
        limits = np.iinfo(self.precision)
        return self._rng.integers(limits.min, limits.max + 1, shape).astype(self.precision)

    def weights(self, shape: tuple[int, ...], axis: int | None) -> Value:
        """Pruned weights; int8 ones with a scale for each place along ``axis``, uint8 ones with a zero point."""
        keep = self._rng.random(shape) < self.kept
        if self.precision == "uint8":
            values = self._rng.integers(-120, 136, shape) * keep + 120
            return constant(values.astype(np.uint8), np.float32(0.006), 120)
        if self.precision != "float32":
            count = 1 if axis is None else shape[axis]
            scales = self._rng.uniform(0.002, 0.01, count).astype(np.float32)
            return constant((self._rng.integers(-127, 128, shape) * keep).astype(np.int8), scales, axis=axis or 0)
        return constant((self._rng.standard_normal(shape) * keep).astype(np.float32))

    def bias(self, weights: Value, channels: int) -> Value:
        if self.precision not in FLOATS:
            kind = np.int64 if self.precision == "int16" else np.int32
            values = self._rng.integers(-2000, 2000, channels).astype(kind)
            return constant(values, weights.real_scale * np.float32(0.05))
        return constant(self._rng.standard_normal(channels).astype(np.float32))

    def dense(self, name: str, options: Any, inputs: list[Value | None], x: Value, shape: tuple[int, ...]) -> Dense:
        """The operator with an output whose integers spread over their range."""
        weights = next(
            value for value in inputs if value is not None and value.data is not None and value.data.ndim > 1
        )
        sums = math.sqrt(max(1.0, self.kept * math.prod(weights.shape) / min(shape[-1], max(weights.shape))))
        output = self.activation(shape, 0.05 * 0.006 * 75 * 75 * sums * 2.5 / 127, -5)
        return Dense(name, one_op(name, options, inputs, output), self.values(*x.shape))

    def conv_2d(
        self,
        shape: tuple[int, int, int, int],
        rows: int,
        kernel: tuple[int, int],
        groups: int,
        *,
        stride: tuple[int, int] = (1, 1),
        dilation: tuple[int, int] = (1, 1),
        padding: int = SAME,
        activation: int = NONE,
    ) -> Dense:
        x, weights = self.activation(shape), self.weights((rows, *kernel, shape[3] // groups), 0)
        options = window(tfl.Conv2DOptionsT, stride, dilation, padding, activation)
        sizes = spatial(shape[1:3], kernel, stride, dilation, padding)
        return self.dense("CONV_2D", options, [x, weights, self.bias(weights, rows)], x, (shape[0], *sizes, rows))

    def depthwise(
        self,
        shape: tuple[int, int, int, int],
        multiplier: int,
        kernel: tuple[int, int],
        *,
        stride: tuple[int, int] = (1, 1),
        dilation: tuple[int, int] = (1, 1),
        padding: int = SAME,
        activation: int = NONE,
    ) -> Dense:
        rows = shape[3] * multiplier
        x, weights = self.activation(shape), self.weights((1, *kernel, rows), 3)
        options = window(tfl.DepthwiseConv2DOptionsT, stride, dilation, padding, activation)
        options.depthMultiplier = multiplier
        sizes = spatial(shape[1:3], kernel, stride, dilation, padding)
        inputs = [x, weights, self.bias(weights, rows)]
        return self.dense("DEPTHWISE_CONV_2D", options, inputs, x, (shape[0], *sizes, rows))

    def transpose_conv(
        self,
        shape: tuple[int, int, int, int],
        rows: int,
        kernel: tuple[int, int],
        stride: tuple[int, int],
        *,
        padding: int = SAME,
        more: int = 0,
        bias: bool = True,
        activation: int = NONE,
    ) -> Dense:
        """A transposed convolution with the smallest output, ``more`` larger where that is allowed."""
        x, weights = self.activation(shape), self.weights((rows, *kernel, shape[3]), 0)
        options = window(tfl.TransposeConvOptionsT, stride, None, padding, activation)
        result = (shape[0], *transposed_sizes(shape[1:3], kernel, stride, padding, more), rows)
        inputs = [constant(np.array(result, np.int32)), weights, x, self.bias(weights, rows) if bias else None]
        return self.dense("TRANSPOSE_CONV", options, inputs, x, result)

    def conv_3d(
        self,
        shape: tuple[int, ...],
        rows: int,
        kernel: tuple[int, int, int],
        *,
        stride: tuple[int, int, int] = (1, 1, 1),
        dilation: tuple[int, int, int] = (1, 1, 1),
        padding: int = SAME,
        bias: bool = True,
        activation: int = NONE,
    ) -> Dense:
        x, weights = self.activation(shape), self.weights((*kernel, shape[4], rows), 4)
        options = window(tfl.Conv3DOptionsT, stride[1:], dilation[1:], padding, activation)
        options.strideD, options.dilationDFactor = stride[0], dilation[0]
        sizes = spatial(shape[1:4], kernel, stride, dilation, padding)
        inputs = [x, weights, self.bias(weights, rows) if bias else None]
        return self.dense("CONV_3D", options, inputs, x, (shape[0], *sizes, rows))

    def conv_3d_transpose(
        self,
        shape: tuple[int, ...],
        rows: int,
        kernel: tuple[int, int, int],
        stride: tuple[int, int, int],
        *,
        padding: int = SAME,
        more: int = 0,
        bias: bool = True,
        activation: int = NONE,
    ) -> Dense:
        x, weights = self.activation(shape), self.weights((*kernel, rows, shape[4]), 3)
        options = window(tfl.Conv3DOptionsT, stride[1:], (1, 1), padding, activation)
        options.strideD = stride[0]
        result = (shape[0], *transposed_sizes(shape[1:4], kernel, stride, padding, more), rows)
        inputs = [constant(np.array(result, np.int32)), weights, x, self.bias(weights, rows) if bias else None]
        return self.dense("CONV_3D_TRANSPOSE", options, inputs, x, result)

    def batch_matmul(
        self,
        batch: tuple[int, ...],
        batch_rank: int,
        rows: int,
        features: int,
        out: int,
        *,
        left: bool = False,
        constant_transposed: bool = False,
        activation_transposed: bool = False,
    ) -> Dense:
        swapped = activation_transposed != left
        x = self.activation((*batch, *((features, rows) if swapped else (rows, features))))
        stored = (features, out) if left == constant_transposed else (out, features)
        weights = self.weights((*batch[len(batch) - batch_rank :], *stored), None)
        options = tfl.BatchMatMulOptionsT()
        flags = (constant_transposed, activation_transposed)
        options.adjX, options.adjY = flags if left else flags[::-1]
        shape = (*batch, *((out, rows) if left else (rows, out)))
        return self.dense("BATCH_MATMUL", options, [weights, x] if left else [x, weights], x, shape)


def window(kind: Callable[[], Any], stride: Any, dilation: Any, padding: int, activation: int) -> Any:
    options = kind()
    options.strideH, options.strideW = stride
    if dilation is not None:
        options.dilationHFactor, options.dilationWFactor = dilation
    options.padding, options.fusedActivationFunction = padding, activation
    return options


def spatial(sizes: Any, kernel: Any, stride: Any, dilation: Any, padding: int) -> list[int]:
    """Output sizes of a convolution."""
    found = []
    for size, taps, step, gap in zip(sizes, kernel, stride, dilation, strict=True):
        found.append(-(-size // step) if padding == SAME else (size - (taps - 1) * gap - 1) // step + 1)
    return found


def transposed_sizes(sizes: Any, kernel: Any, stride: Any, padding: int, more: int) -> list[int]:
    """Output sizes of a transposed convolution: the smallest ones, ``more`` larger where that is allowed."""
    found = []
    for size, taps, step in zip(sizes, kernel, stride, strict=True):
        every = range(1, (size + 1) * step + taps)
        allowed = [out for out in every if Axis(size, taps, step, out, padding == SAME).valid]
        found.append(allowed[min(more, len(allowed) - 1)])
    return found
