# SPDX-License-Identifier: Apache-2.0
"""Models of one stock op without weights: what moves, combines or sums up values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tfprune.converter.schema import tfl
from tfprune.mapping.profiling.integers import INTEGERS, zero_point
from tfprune.mapping.profiling.one_op import op_model
from tfprune.mapping.profiling.stock_sizes import StockLayer

OPERATORS = tfl.BuiltinOperator
Array = npt.NDArray[Any]


class ValueOp(NamedTuple):
    """An op without weights.

    Attributes:
        code: number of the op.
        options: its options.
        constants: its inputs besides values.
        order: as for :func:`tfprune.mapping.profiling.one_op.op_model`.
    """

    code: int
    options: Any
    constants: tuple[Array, ...] = ()
    order: tuple[int, ...] | None = None


def value_model(layer: StockLayer, precision: str) -> bytes:
    """The op; those of the dynamic range are float32."""
    op = VALUE_OPS[layer.name](layer)
    integers = INTEGERS.get(precision)
    scales: list[Array | None] = []
    constants = list(op.constants)
    if integers is not None and integers.activations is not None:
        scale, kind = np.array([integers.input_scale]), integers.activations
        scales = [scale, *(scale if each.dtype == np.float32 else None for each in constants), scale]
        constants = [_as_integers(each, scale, kind) if each.dtype == np.float32 else each for each in constants]
    ends = (layer.in_shape, layer.out_shape)
    return op_model(ends, constants, op.code, op.options, scales=scales, order=op.order, precision=precision)


def _as_integers(values: Array, scale: Array, kind: type[np.generic]) -> Array:
    steps: Array = np.round(values / scale) + zero_point(kind)
    return steps.astype(kind)


def _pad(layer: StockLayer) -> ValueOp:
    reach = layer.kernel // 2
    around = [[0, 0], *[[reach, reach]] * (len(layer.in_shape) - 2), [0, 0]]
    return ValueOp(OPERATORS.PAD, tfl.PadOptionsT(), (np.array(around, np.int32),))


def _slice(layer: StockLayer) -> ValueOp:
    begin = [0, *[layer.kernel // 2] * (len(layer.in_shape) - 2), 0]
    constants = tuple(np.array(each, np.int32) for each in (begin, layer.out_shape))
    return ValueOp(OPERATORS.SLICE, tfl.SliceOptionsT(), constants)


def _concatenation(layer: StockLayer) -> ValueOp:
    options = tfl.ConcatenationOptionsT()
    options.axis = len(layer.in_shape) - 1
    return ValueOp(OPERATORS.CONCATENATION, options, order=(0,) * layer.groups)


def _depth_to_space(layer: StockLayer) -> ValueOp:
    options = tfl.DepthToSpaceOptionsT()
    options.blockSize = layer.stride
    return ValueOp(OPERATORS.DEPTH_TO_SPACE, options)


def _transpose(layer: StockLayer) -> ValueOp:
    return ValueOp(OPERATORS.TRANSPOSE, tfl.TransposeOptionsT(), (np.array([0, 2, 3, 1, 4], np.int32),))


def _elementwise(layer: StockLayer) -> ValueOp:
    """A sum of two tensors, a factor for each channel, or an op on each value."""
    code = getattr(OPERATORS, layer.operator)
    if layer.operator == "ADD":
        return ValueOp(code, tfl.AddOptionsT(), order=(0, 0))
    if layer.operator == "MUL":
        # Near 1: what is multiplied again and again must not fade to denormal numbers, which are slow.
        factors = np.random.default_rng(0).uniform(0.9, 1.1, layer.in_shape[-1]).astype(np.float32)
        return ValueOp(code, tfl.MulOptionsT(), (factors,))
    return ValueOp(code, None)


def _activation(layer: StockLayer) -> ValueOp:
    options = None
    if layer.operator == "SOFTMAX":
        options = tfl.SoftmaxOptionsT()
        options.beta = 1.0
    elif layer.operator == "HARD_SWISH":
        options = tfl.HardSwishOptionsT()
    return ValueOp(getattr(OPERATORS, layer.operator), options)


def _pooling(layer: StockLayer) -> ValueOp:
    options = tfl.Pool2DOptionsT()
    options.padding = tfl.Padding.SAME
    options.strideH = options.strideW = layer.stride
    options.filterHeight = options.filterWidth = layer.kernel
    return ValueOp(getattr(OPERATORS, layer.operator), options)


def _reduction(layer: StockLayer) -> ValueOp:
    axes = np.arange(1, len(layer.in_shape) - 1, dtype=np.int32)
    return ValueOp(getattr(OPERATORS, layer.operator), tfl.ReducerOptionsT(), (axes,))


def _resize(layer: StockLayer) -> ValueOp:
    nearest = layer.operator == "RESIZE_NEAREST_NEIGHBOR"
    options = tfl.ResizeNearestNeighborOptionsT() if nearest else tfl.ResizeBilinearOptionsT()
    return ValueOp(getattr(OPERATORS, layer.operator), options, (np.array(layer.out_shape[1:3], np.int32),))


VALUE_OPS: dict[str, Callable[[StockLayer], ValueOp]] = {
    "pad": _pad,
    "slice": _slice,
    "concatenation": _concatenation,
    "depth_to_space": _depth_to_space,
    "transpose": _transpose,
    "elementwise": _elementwise,
    "activation": _activation,
    "pooling": _pooling,
    "reduction": _reduction,
    "resize": _resize,
}
