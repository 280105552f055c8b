# SPDX-License-Identifier: Apache-2.0
"""Expanded matrices and their steps in numpy, against the dense operator; both products by stock LiteRT."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from tests.models.one_op import Array, Value, constant, one_op, run_stock, tfl
from tfprune.converter.expand.batched import Product
from tfprune.converter.expand.grouped import Depthwise, Grouped
from tfprune.converter.expand.steps import Step, shape_after
from tfprune.converter.expand.transposed import Axis, SubPixel
from tfprune.converter.expand.volume import Volume

SAME, VALID = 0, 1
ONE = (1, 1)
TOLERANCE = 2e-5


def random(*shape: int) -> Array:
    return np.random.default_rng(math.prod(shape)).standard_normal(shape).astype(np.float32)


def through(steps: tuple[Step, ...], x: Array) -> Array:
    """The steps in numpy; that they predict their shape is checked on the way."""
    expected = shape_after(steps, x.shape)
    for step in steps:
        x = step.apply(x)
    assert x.shape == expected
    return x


def sized(padding: int, size: int, kernel: int, stride: int, dilation: int = 1) -> int:
    extent = (kernel - 1) * dilation + 1
    return -(-size // stride) if padding == SAME else (size - extent) // stride + 1


def options(kind: Any, stride: tuple[int, int], dilation: tuple[int, int], padding: int) -> Any:
    made = kind()
    made.strideH, made.strideW, made.padding = *stride, padding
    if kind is not tfl.TransposeConvOptionsT:
        made.dilationHFactor, made.dilationWFactor = dilation
    return made


def no_bias(rows: int) -> Value:
    return constant(np.zeros(rows, np.float32))


def convolve(
    x: Array, weights: Array, stride: tuple[int, int] = ONE, dilation: tuple[int, int] = ONE, padding: int = SAME
) -> Array:
    """Stock ``CONV_2D``."""
    out = [sized(padding, *each) for each in zip(x.shape[1:3], weights.shape[1:3], stride, dilation, strict=True)]
    made = options(tfl.Conv2DOptionsT, stride, dilation, padding)
    result = Value((x.shape[0], *out, weights.shape[0]))
    # Stock LiteRT refuses a CONV_2D without bias.
    inputs = [Value(x.shape), constant(weights), no_bias(weights.shape[0])]
    return run_stock(one_op("CONV_2D", made, inputs, result), x)


@pytest.mark.parametrize("groups", [2, 3, 6])
@pytest.mark.parametrize(("stride", "dilation", "padding"), [(ONE, ONE, SAME), ((2, 1), (1, 2), VALID)])
def test_grouped(groups: int, stride: tuple[int, int], dilation: tuple[int, int], padding: int) -> None:
    x, weights = random(2, 7, 8, 12), random(18, 3, 2, 12 // groups)
    expanded = Grouped(groups)(weights).reshape(18, 3, 2, 12)
    assert np.count_nonzero(expanded) == np.count_nonzero(weights)
    dense = convolve(x, weights, stride, dilation, padding)
    np.testing.assert_allclose(convolve(x, expanded, stride, dilation, padding), dense, atol=TOLERANCE)


@pytest.mark.parametrize("multiplier", [1, 2, 3])
@pytest.mark.parametrize(("stride", "dilation", "padding"), [(ONE, (2, 1), SAME), ((2, 2), ONE, VALID)])
def test_depthwise(multiplier: int, stride: tuple[int, int], dilation: tuple[int, int], padding: int) -> None:
    rows = 5 * multiplier
    x, weights = random(2, 7, 8, 5), random(1, 3, 2, rows)
    expanded = Depthwise(5)(weights)
    assert expanded.shape == (rows, 30)
    assert np.count_nonzero(expanded) == np.count_nonzero(weights)
    made = options(tfl.DepthwiseConv2DOptionsT, stride, dilation, padding)
    made.depthMultiplier = multiplier
    y = convolve(x, expanded.reshape(rows, 3, 2, 5), stride, dilation, padding)
    inputs = [Value(x.shape), constant(weights), no_bias(rows)]
    dense = run_stock(one_op("DEPTHWISE_CONV_2D", made, inputs, Value(y.shape)), x)
    np.testing.assert_allclose(y, dense, atol=TOLERANCE)


def outputs(size: int, kernel: int, stride: int, same: bool) -> list[int]:
    """Every size of an output that a transposed convolution may have."""
    sizes = range(1, (size + 2) * stride + kernel)
    return [out for out in sizes if Axis(size, kernel, stride, out, same).valid]


TRANSPOSED = [
    (kernel, stride, padding)
    for kernel, stride, padding in itertools.product([(1, 1), (2, 2), (3, 3), (4, 5), (2, 7)], [1, 2, 3], [SAME, VALID])
]


@pytest.mark.parametrize(("kernel", "stride", "padding"), TRANSPOSED)
@pytest.mark.parametrize("wider", [0, 1])
def test_transposed(kernel: tuple[int, int], stride: int, padding: int, wider: int) -> None:
    x, weights = random(2, 3, 4, 5), random(6, *kernel, 5)
    strides = (stride, stride + wider)
    each = [outputs(x.shape[1 + i], kernel[i], strides[i], padding == SAME) for i in (0, 1)]
    for out in (tuple(sizes[0] for sizes in each), tuple(sizes[-1] for sizes in each)):
        axes = [Axis(x.shape[1 + i], kernel[i], strides[i], out[i], padding == SAME) for i in (0, 1)]
        plan = SubPixel(*axes)
        expanded = plan(weights).reshape(plan.phases * 6, *plan.kernel, 5)
        # Taps that only outputs behind the end would read are kept, so nothing but zeros is added.
        assert np.count_nonzero(expanded) == np.count_nonzero(weights)
        y = through(plan.after(6), convolve(through(plan.before(), x), expanded))
        shape = np.array([2, *out, 6], np.int32)
        made = options(tfl.TransposeConvOptionsT, strides, ONE, padding)
        inputs = [constant(shape), constant(weights), Value(x.shape)]
        data = one_op("TRANSPOSE_CONV", made, inputs, Value(tuple(shape)))
        np.testing.assert_allclose(y, run_stock(data, x, xnnpack=False), atol=TOLERANCE)


def test_a_transposed_convolution_spreads_its_bias() -> None:
    plan = SubPixel(Axis(4, 3, 2, 8, True), Axis(4, 3, 2, 8, True))
    np.testing.assert_array_equal(plan.spread(np.array([1, 2])), [1, 2] * 4)


@pytest.mark.parametrize(
    ("kernel", "stride", "dilation", "padding"),
    [
        ((3, 3, 3), (1, 1, 1), (1, 1, 1), SAME),
        ((3, 2, 1), (2, 1, 2), (1, 1, 1), SAME),
        ((2, 3, 2), (1, 2, 2), (1, 1, 1), VALID),
        ((2, 3, 2), (1, 1, 1), (3, 1, 2), VALID),
        ((1, 3, 3), (1, 1, 1), (1, 1, 1), SAME),
        ((1, 1, 1), (2, 2, 2), (1, 1, 1), VALID),
        ((4, 1, 1), (4, 1, 1), (1, 1, 1), SAME),
    ],
)
def test_volume(
    kernel: tuple[int, ...], stride: tuple[int, int, int], dilation: tuple[int, int, int], padding: int
) -> None:
    x, weights = random(2, 7, 6, 5, 3), random(*kernel, 3, 4)
    out = [sized(padding, *each) for each in zip(x.shape[1:4], kernel, stride, dilation, strict=True)]
    plan = Volume(7, kernel[0], stride[0], dilation[0], padding == SAME, (6, 5, 3), (*out[1:], 4))
    assert plan.count == out[0]
    expanded = plan(weights).reshape(4, *kernel[1:], 3 * kernel[0])
    y = convolve(through(plan.before(), x), expanded, stride[1:], dilation[1:], padding)
    made = tfl.Conv3DOptionsT()
    made.strideD, made.strideH, made.strideW, made.padding = *stride, padding
    made.dilationDFactor, made.dilationHFactor, made.dilationWFactor = dilation
    data = one_op("CONV_3D", made, [Value(x.shape), constant(weights)], Value((2, *out, 4)))
    np.testing.assert_allclose(through(plan.after(), y), run_stock(data, x), atol=TOLERANCE)


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("constant_transposed", [False, True])
@pytest.mark.parametrize("activation_transposed", [False, True])
@pytest.mark.parametrize(
    ("batch", "batch_rank"), [((), 0), ((2,), 0), ((2,), 1), ((3, 2), 0), ((3, 2), 1), ((3, 2), 2), ((2, 1, 3), 2)]
)
def test_product(
    left: bool, constant_transposed: bool, activation_transposed: bool, batch: tuple[int, ...], batch_rank: int
) -> None:
    rows, features, out = 4, 7, 5
    shape = (features, rows) if activation_transposed != left else (rows, features)
    x = random(*batch, *shape)
    stored = (features, out) if left == constant_transposed else (out, features)
    weights = random(*batch[len(batch) - batch_rank :], *stored)
    plan = Product(x.shape, batch_rank, left, constant_transposed, activation_transposed)
    matrix = plan(weights)
    assert np.count_nonzero(matrix) == np.count_nonzero(weights)
    flat = through(plan.before(), x)
    y = through(plan.after(out), flat @ matrix.T)
    made = tfl.BatchMatMulOptionsT()
    made.adjX, made.adjY = (
        (constant_transposed, activation_transposed) if left else (activation_transposed, constant_transposed)
    )
    operands = [constant(weights), Value(x.shape)] if left else [Value(x.shape), constant(weights)]
    data = one_op("BATCH_MATMUL", made, operands, Value(y.shape))
    np.testing.assert_allclose(y, run_stock(data, x), atol=TOLERANCE)
