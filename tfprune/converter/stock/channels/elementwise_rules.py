# SPDX-License-Identifier: Apache-2.0
"""What operators that work on each value alone do to channels: keep them, or join those of two tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tfprune.converter.capability import Refused
from tfprune.converter.schema import TensorType
from tfprune.converter.stock.channels.activations import KEEP_ZERO, LIMITS, LOWEST, UNARY, clamp, requantize
from tfprune.converter.stock.channels.ids import Ids
from tfprune.converter.stock.channels.trace import Trace, Values
from tfprune.converter.stock.editor import Array, has_scale, scales

BINARY: dict[str, Callable[[Array, Array], Array]] = {
    "ADD": np.add,
    "SUB": np.subtract,
    "MUL": np.multiply,
    "DIV": np.divide,
    "MAXIMUM": np.maximum,
    "MINIMUM": np.minimum,
    "SQUARED_DIFFERENCE": lambda a, b: np.square(a - b),
}
#: Those of them that make 0 of two zeros, in quantized arithmetic too.
_KEEP_ZERO = ("ADD", "SUB", "MUL", "SQUARED_DIFFERENCE")


def unary(trace: Trace, op: Any) -> None:
    """Keeps each channel by itself."""
    x, y = trace.input(op, 0), int(op.outputs[0])
    name = trace.editor.name(op)
    function = UNARY[name]
    if trace.editor.tensor(x).type == trace.editor.tensor(y).type == TensorType.FLOAT32 and function is not None:
        values = trace.values(x)
        with np.errstate(all="ignore"):
            trace.output(y, trace.ids(x), Values.of(values.known, function(values.value).astype(np.float32)))
    else:
        trace.output(y, trace.ids(x), trace.still_zero(x, y) if name in KEEP_ZERO else None)


def convert_type(trace: Trace, op: Any) -> None:
    """``QUANTIZE``, ``DEQUANTIZE``: other numbers for the same values. Those of constants are no channels."""
    x, y = trace.input(op, 0), int(op.outputs[0])
    if trace.editor.constant(op, 0) is not None:
        return
    tensor = trace.editor.tensor(x)
    if trace.editor.tensor(y).type == TensorType.FLOAT32 and has_scale(tensor):
        known = trace.values(x)
        real = (known.value - trace.zero(x)) * scales(tensor)[0]
        trace.output(y, trace.ids(x), Values.of(known.known, real.astype(np.float32)))
    else:
        trace.output(y, trace.ids(x), trace.still_zero(x, y))


def prelu(trace: Trace, op: Any) -> None:
    """Keeps each channel by itself; slopes may be one a channel."""
    x, y = trace.input(op, 0), int(op.outputs[0])
    slopes = trace.editor.constant(op, 1)
    if slopes is None or slopes.values.ndim < 1:
        raise Refused("operator", "the slopes of a PRELU are no constant")
    if slopes.values.shape[-1] == trace.size(x) > 1:
        trace.hold(op, 1, slopes.values.ndim - 1, trace.ids(x))
    elif slopes.values.shape[-1] != 1:
        raise Refused("operator", "the slopes of a PRELU do not fit its input")
    trace.output(y, trace.ids(x), trace.still_zero(x, y))


def binary(trace: Trace, op: Any) -> None:
    """Joins the channels of two tensors, one by one; a constant a channel lies along them too."""
    y = int(op.outputs[0])
    size = trace.size(y)
    sides = [_side(trace, op, position, size) for position in (0, 1)]
    whole = [ids for ids, _ in sides if ids is not None]
    if not whole:
        raise Refused("operator", "neither input of the operator has the channels of its output")
    for ids in whole[1:]:
        trace.channels.join(whole[0], ids)
    trace.output(y, whole[0], _binary_values(trace, op, sides[0][1], sides[1][1]))


def _side(trace: Trace, op: Any, position: int, size: int) -> tuple[Ids | None, Values]:
    """Channels of one input, None where it has one for all; and its values a channel of the output."""
    index = trace.input(op, position)
    constant = trace.editor.constant(op, position)
    if constant is None:
        ids, values = trace.ids(index), trace.values(index)
        if len(ids) == size:
            return ids, values
        if len(ids) != 1:
            raise Refused("operator", "the inputs of an operator have different numbers of channels")
        trace.channels.pin(ids, Refused("broadcast", "an operator uses one channel for all others"))
        return None, values.take(np.zeros(size, np.int64))
    rows = constant.values.reshape(-1, constant.values.shape[-1] if constant.values.ndim else 1)
    first = rows[0].astype(np.float64)
    found = Values.of((rows == rows[0]).all(axis=0), first)
    if rows.shape[1] == size > 1:
        ids = trace.channels.new(size)
        trace.hold(op, position, constant.values.ndim - 1, ids)
        return ids, found
    if rows.shape[1] != 1:
        raise Refused("operator", "a constant does not fit the channels of the operator's output")
    return None, found.take(np.zeros(size, np.int64))


def _binary_values(trace: Trace, op: Any, first: Values, second: Values) -> Values:
    y, name = int(op.outputs[0]), trace.editor.name(op)
    activation = getattr(op.builtinOptions, "fusedActivationFunction", 0)
    both = first.known & second.known
    kinds = {trace.editor.tensor(int(index)).type for index in (*op.inputs, y)}
    if activation not in LIMITS:
        return Values.unknown(len(both))
    if kinds == {TensorType.FLOAT32}:
        with np.errstate(all="ignore"):
            result = BINARY[name](first.value.astype(np.float32), second.value.astype(np.float32))
        return Values.of(both, clamp(result.astype(np.float64), activation).astype(np.float32))
    quantized = _quantized_sum(trace, op, first, second, activation)
    if quantized is not None:
        return quantized
    a, b = (
        each.known & (each.value == trace.zero(int(op.inputs[position])))
        for position, each in enumerate((first, second))
    )
    zeros = a & b if name in _KEEP_ZERO else np.zeros(len(both), bool)
    zeros = a | b if name == "MUL" else zeros
    return Values.of(zeros, np.full(len(both), trace.zero(y)))


def _quantized_sum(trace: Trace, op: Any, first: Values, second: Values, activation: int) -> Values | None:
    """Values of a quantized ADD or SUB, where its kernels cannot differ; None for other operators."""
    tensors = [trace.editor.tensor(int(index)) for index in (*op.inputs[:2], op.outputs[0])]
    kinds = {tensor.type for tensor in tensors}
    signs = {"ADD": 1.0, "SUB": -1.0}
    name = trace.editor.name(op)
    if name not in signs or len(kinds) > 1 or tensors[0].type not in LOWEST or any(not has_scale(t) for t in tensors):
        return None
    a, b, y = (float(scales(tensor)[0]) for tensor in tensors)
    zeros = [trace.zero(int(index)) for index in (*op.inputs[:2], op.outputs[0])]
    sums = (first.value - zeros[0]) * a + signs[name] * (second.value - zeros[1]) * b
    ones = np.full(len(sums), 1 / y)
    return Values.of(
        first.known & second.known, requantize(sums, ones, zeros[2], y, activation, LOWEST[tensors[2].type])
    )
