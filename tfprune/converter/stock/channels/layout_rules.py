# SPDX-License-Identifier: Apache-2.0
"""What operators that move values do to channels: padding, pooling, joining, cutting and new shapes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tfprune.converter.capability import Refused
from tfprune.converter.schema import TensorType, tfl
from tfprune.converter.stock.channels.activations import LIMITS, clamp
from tfprune.converter.stock.channels.ids import Ids
from tfprune.converter.stock.channels.trace import Trace, Values
from tfprune.converter.stock.editor import Array


def keep(trace: Trace, op: Any) -> None:
    """Each channel by itself, with the values it has; those at other places or in another number."""
    x, y = trace.input(op, 0), int(op.outputs[0])
    trace.output(y, trace.ids(x), trace.unchanged(x, y))


def pool(trace: Trace, op: Any) -> None:
    """Means and maxima over images: padding does not count."""
    x, y = trace.input(op, 0), int(op.outputs[0])
    activation = getattr(op.builtinOptions, "fusedActivationFunction", 0)
    values = trace.unchanged(x, y)
    if activation not in LIMITS:
        values = Values.unknown(trace.size(y))
    elif activation and trace.editor.tensor(y).type == TensorType.FLOAT32:
        values = Values.of(values.known, clamp(values.value, activation))
    elif activation:
        values = trace.still_zero(x, y)
    trace.output(y, trace.ids(x), values)


def resize(trace: Trace, op: Any) -> None:
    """Images of another size."""
    x, y = trace.input(op, 0), int(op.outputs[0])
    exact = trace.editor.name(op) == "RESIZE_NEAREST_NEIGHBOR" or trace.editor.tensor(x).type == TensorType.FLOAT32
    trace.output(y, trace.ids(x), trace.unchanged(x, y) if exact else None)


def reduce(trace: Trace, op: Any) -> None:
    """Sums, means and extremes over other axes than the channels'."""
    x, y = trace.input(op, 0), int(op.outputs[0])
    rank = len(trace.editor.shape(x))
    axes = _constant(trace, op, 1).reshape(-1)
    if not rank or rank - 1 in axes % rank:
        raise Refused("all_channels", "an operator combines all channels")
    name = trace.editor.name(op)
    is_float = trace.editor.tensor(x).type == TensorType.FLOAT32
    exact = name in ("REDUCE_MAX", "REDUCE_MIN") or (name == "MEAN" and is_float)
    trace.output(y, trace.ids(x), trace.unchanged(x, y) if exact else trace.still_zero(x, y))


def pad(trace: Trace, op: Any) -> None:
    """Zeros, or another number, round images; a value that never changes still does not if it is that number."""
    x, y = trace.input(op, 0), int(op.outputs[0])
    amounts = _constant(trace, op, 1)
    if amounts.shape != (len(trace.editor.shape(x)), 2) or amounts[-1].any():
        raise Refused("operator", "channels are padded")
    values = trace.unchanged(x, y)
    if amounts.any():
        filled = float(trace.zero(y))
        if len(op.inputs) > 2:
            value = _constant(trace, op, 2)
            filled = float(value.reshape(-1)[0]) if value.size == 1 else np.nan
        values = values.where(values.value == filled)
    trace.output(y, trace.ids(x), values)


def space_to_batch(trace: Trace, op: Any) -> None:
    """Images are padded with zeros and dealt out to several of a batch."""
    x, y = trace.input(op, 0), int(op.outputs[0])
    trace.output(y, trace.ids(x), trace.still_zero(x, y))


def concatenation(trace: Trace, op: Any) -> None:
    """Channels one after the other; along other axes, the same channels."""
    y = int(op.outputs[0])
    rank = len(trace.editor.shape(y))
    inputs = [trace.input(op, position) for position in range(len(op.inputs))]
    if not isinstance(op.builtinOptions, tfl.ConcatenationOptionsT) or not inputs or not rank:
        raise Refused("malformed", "the operator lacks its options or inputs")
    if op.builtinOptions.fusedActivationFunction:
        raise Refused("activation", "a concatenation has an activation")
    values = [trace.unchanged(index, y) for index in inputs]
    ids = [trace.ids(index) for index in inputs]
    if op.builtinOptions.axis % rank == rank - 1:
        known = Values(np.concatenate([each.known for each in values]), np.concatenate([v.value for v in values]))
        trace.output(y, np.concatenate(ids), known)
        return
    for each in ids[1:]:
        if len(each) != len(ids[0]):
            raise Refused("malformed", "a concatenation of different numbers of channels")
        trace.channels.join(ids[0], each)
    equal = np.all([v.known & (v.value == values[0].value) for v in values], axis=0)
    trace.output(y, ids[0], values[0].where(equal))


def split(trace: Trace, op: Any) -> None:
    """Cuts along other axes than the channels'."""
    axis_input = 0 if trace.editor.name(op) == "SPLIT" else 2
    x = trace.input(op, 1 - min(axis_input, 1))
    rank = len(trace.editor.shape(x))
    axis = _constant(trace, op, axis_input)
    if axis.size != 1 or not rank or int(axis.reshape(-1)[0]) % rank == rank - 1:
        raise Refused("split", "channels are split into several tensors")
    for y in op.outputs:
        trace.output(int(y), trace.ids(x), trace.unchanged(x, int(y)))


def cut(trace: Trace, op: Any) -> None:
    """``SLICE``: all channels of part of an image."""
    x, y = trace.input(op, 0), int(op.outputs[0])
    begin, size = (_vector(trace, op, position, x) for position in (1, 2))
    if begin[-1] or size[-1] not in (-1, trace.size(x)):
        raise Refused("split", "some of the channels are cut off")
    if size[-1] != -1:
        trace.count(op, 2, -1, trace.ids(x))
    trace.output(y, trace.ids(x), trace.unchanged(x, y))


def strided_cut(trace: Trace, op: Any) -> None:
    """``STRIDED_SLICE``: the same with steps and masks."""
    x, y = trace.input(op, 0), int(op.outputs[0])
    begin, end, strides = (_vector(trace, op, position, x) for position in (1, 2, 3))
    if not isinstance(op.builtinOptions, tfl.StridedSliceOptionsT):
        raise Refused("malformed", "the operator lacks its options")
    options, last = op.builtinOptions, len(trace.editor.shape(x)) - 1
    bit = 1 << last
    plain = not (options.ellipsisMask or options.newAxisMask or options.shrinkAxisMask & bit or options.offset)
    if not plain or strides[last] != 1:
        raise Refused("split", "some of the channels are cut off")
    if (begin[last] and not options.beginMask & bit) or (end[last] != trace.size(x) and not options.endMask & bit):
        raise Refused("split", "some of the channels are cut off")
    if not options.endMask & bit:
        trace.count(op, 2, last, trace.ids(x))
    trace.output(y, trace.ids(x), trace.unchanged(x, y))


def transpose(trace: Trace, op: Any) -> None:
    """Other axes in another order."""
    x, y = trace.input(op, 0), int(op.outputs[0])
    order = _vector(trace, op, 1, x)
    if order[-1] != len(order) - 1:
        raise Refused("layout", "channels are moved to another axis")
    trace.output(y, trace.ids(x), trace.unchanged(x, y))


def reshape(trace: Trace, op: Any) -> None:
    """Channels stay the last axis, become features together with places, or come from features again."""
    x, y = trace.input(op, 0), int(op.outputs[0])
    if trace.editor.name(op) in ("SQUEEZE", "EXPAND_DIMS") and trace.size(x) != trace.size(y):
        raise Refused("layout", "channels are moved to another axis")
    ids, places = _reshaped(trace, x, y)
    values = trace.unchanged(x, y)
    if len(places) >= trace.size(x):
        values = values.take(places)
    else:
        rows = values.value.reshape(-1, len(places))
        equal = values.known.reshape(rows.shape).all(axis=0) & (rows == rows[0]).all(axis=0)
        values = Values.of(equal, rows[0])
    if trace.editor.name(op) == "RESHAPE":
        _count_shape(trace, op, ids)
    trace.output(y, ids, values)


def _reshaped(trace: Trace, x: int, y: int) -> tuple[Ids, Array]:
    """Channels of a reshaped tensor, and which of the input's they are first."""
    before, after = trace.size(x), trace.size(y)
    ids = trace.ids(x)
    if after >= before:
        if not _merges(trace.editor.shape(x), after):
            raise Refused("layout", f"{before} channels are cut into others")
        places = np.tile(np.arange(before), after // before)
        return ids[places], places
    if not _merges(trace.editor.shape(y), before):
        raise Refused("layout", f"{before} channels are cut into others")
    for start in range(after, before, after):
        trace.channels.join(ids[:after], ids[start : start + after])
    return ids[:after], np.arange(after)


def _merges(shape: tuple[int, ...], size: int) -> bool:
    """Whether the last dimensions, all of known size, multiply to ``size``."""
    known = shape[max((axis + 1 for axis, each in enumerate(shape) if each < 1), default=0) :]
    return any(math.prod(known[start:]) == size for start in range(len(known)))


def _count_shape(trace: Trace, op: Any, ids: Ids) -> None:
    """The shape of a RESHAPE: a constant, options, or computed with the number of channels as its last constant."""
    editor = trace.editor
    index = editor.input(op, 1)
    if index is None:
        if op.builtinOptions is None or op.builtinOptions.newShape is None:
            raise Refused("shape", "the shape is computed by the model")
        return
    shape = editor.constant(op, 1)
    if shape is not None:
        if shape.values.ndim != 1 or not shape.values.size:
            raise Refused("malformed", "the shape of a RESHAPE is no list")
        trace.count(op, 1, -1, ids)
        return
    pack = editor.writer(index)
    last = (
        None
        if pack is None or editor.name(pack) != "PACK" or not len(pack.inputs)
        else editor.constant(pack, len(pack.inputs) - 1)
    )
    if pack is None or last is None or last.values.size != 1:
        raise Refused("shape", "the shape is computed by the model")
    trace.count(pack, len(pack.inputs) - 1, -1, ids)


def shape_of(trace: Trace, op: Any) -> None:
    """``SHAPE``: may only be asked for other sizes than the number of channels."""
    x, y = trace.input(op, 0), int(op.outputs[0])
    last = len(trace.editor.shape(x)) - 1
    for reader, position in trace.editor.readers(y):
        if trace.editor.name(reader) != "STRIDED_SLICE" or position or not _stops_before(trace, reader, last):
            trace.channels.pin(trace.ids(x), Refused("shape", "the model asks for the number of channels"))
    trace.opaque(y, Refused("shape", "a shape"))


def _stops_before(trace: Trace, op: Any, place: int) -> bool:
    """Whether a STRIDED_SLICE of a shape takes only what comes before a place."""
    begin, end = trace.editor.constant(op, 1), trace.editor.constant(op, 2)
    options = op.builtinOptions
    if begin is None or end is None or begin.values.size != 1 or end.values.size != 1:
        return False
    if not isinstance(options, tfl.StridedSliceOptionsT) or options.endMask or options.beginMask:
        return False
    if options.shrinkAxisMask:
        return 0 <= int(begin.values.reshape(-1)[0]) < place
    return int(begin.values.reshape(-1)[0]) >= 0 and 0 <= int(end.values.reshape(-1)[0]) <= place


def _vector(trace: Trace, op: Any, position: int, x: int) -> Array:
    """A constant with one number for each dimension of a tensor."""
    found = _constant(trace, op, position)
    if found.shape != (len(trace.editor.shape(x)),) or not found.size:
        raise Refused("malformed", "an input of the operator does not fit the rank of another")
    return found


def _constant(trace: Trace, op: Any, position: int) -> Array:
    found = trace.editor.constant(op, position)
    if found is None:
        raise Refused("shape", "an input that says what happens to channels is computed by the model")
    return found.values
