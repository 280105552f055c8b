# SPDX-License-Identifier: Apache-2.0
"""Channels that nothing needs are cut out of every tensor and weight that has them."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.converter.capability import WEIGHTS_INPUT, Refused
from tfprune.converter.schema import TensorType, new_tensor, text
from tfprune.converter.stock.channels.rules import follow
from tfprune.converter.stock.channels.trace import Fold, Held, Merge, Trace
from tfprune.converter.stock.editor import Array, Constant, Editor, scales
from tfprune.converter.stock.log import Log
from tfprune.converter.stock.prediction import Predictor

NAME = "channels"
_LINEAR = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")


def rewrite(editor: Editor, log: Log, _: Predictor) -> None:
    """Removes the channels of a subgraph that no operator reads, or whose value never changes and can be folded."""
    trace = follow(editor)
    pinned = trace.channels.pinned()
    stays = _staying(trace, pinned)
    for held in trace.held:
        if held.position == WEIGHTS_INPUT and editor.name(held.op) in _LINEAR:
            if stays[held.ids].all():
                _explain(trace, pinned, held, log)
            else:
                log.changed(held.op, NAME)
    if not stays.all():
        _apply(trace, stays)


def _staying(trace: Trace, pinned: dict[int, Refused]) -> npt.NDArray[np.bool_]:
    """For each channel whether it stays; of every axis at least one does."""
    roots = trace.channels.find(np.arange(trace.channels.count))
    stays = np.zeros(trace.channels.count, bool)
    stays[list(pinned)] = True
    axes = [roots[ids] for ids in (*trace.tensors.values(), *(held.ids for held in trace.held)) if len(ids)]
    while empty := [axis for axis in axes if not stays[axis].any()]:
        stays[empty[0][0]] = True
    return np.asarray(stays[roots])


def _explain(trace: Trace, pinned: dict[int, Refused], held: Held, log: Log) -> None:
    """Says why filters that are all zero, or channels without weights, stay."""
    weights = trace.editor.constant(held.op, WEIGHTS_INPUT)
    if weights is None:
        return
    others = tuple(axis for axis in range(weights.values.ndim) if axis != held.axis)
    empty = held.ids[~weights.nonzero.any(axis=others)]
    if not len(empty):
        return
    reason = next((pinned[int(root)] for root in trace.channels.find(empty) if int(root) in pinned), None)
    if reason is None:
        return
    reads = held.axis > 0 and trace.editor.name(held.op) != "DEPTHWISE_CONV_2D"
    what = "input channels without weights" if reads else "empty filters"
    log.refused(held.op, NAME, reason.code, f"{len(empty)} {what} stay: {reason.text}")


def _apply(trace: Trace, stays: npt.NDArray[np.bool_]) -> None:
    editor = trace.editor
    biases = {(id(fold.op), fold.bias): _folded(editor, fold, stays) for fold in trace.folds}
    axes: dict[tuple[int, int], list[Held]] = defaultdict(list)
    for held in trace.held:
        axes[id(held.op), held.position].append(held)
    for fold in trace.folds:
        bias = biases[id(fold.op), fold.bias]
        if bias is not None:
            _set_bias(editor, fold, bias[stays[fold.outputs]], stays)
            axes.pop((id(fold.op), fold.bias), None)
    for merge in trace.merges:
        _merge_columns(editor, merge, stays)
    for found in axes.values():
        _shorten(editor, found, stays)
    for count in trace.counts:
        _set_count(editor, count.op, count.position, count.element, int(stays[count.ids].sum()))
    for index, ids in trace.tensors.items():
        if not stays[ids].all():
            _shorten_tensor(editor.tensor(index), int(stays[ids].sum()))
    for op in editor.operators:
        _set_new_shape(editor, op)


def _folded(editor: Editor, fold: Fold, stays: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64] | None:
    """The bias with what removed channels add to it; None where they add nothing."""
    goes = ~stays[fold.ids] & fold.values.known
    if not goes.any():
        return None
    bias = editor.constant(fold.op, fold.bias)
    before = 0.0 if bias is None else bias.values.astype(np.float64)
    return np.asarray(before + fold.weights[:, goes] @ fold.values.value[goes])


def _merge_columns(editor: Editor, merge: Merge, stays: npt.NDArray[np.bool_]) -> None:
    """Adds the weights of removed channels to those of the channel that stands for them."""
    goes = ~stays[merge.ids] & merge.values.known
    weights = editor.constant(merge.op, WEIGHTS_INPUT)
    if weights is None or not goes.any():
        return
    values = weights.values.astype(np.float64)
    values[..., merge.keeper] += values[..., goes] @ (merge.values.value[goes] / merge.keeper_value)
    editor.set_constant(merge.op, WEIGHTS_INPUT, values.astype(np.float32))


def _set_bias(editor: Editor, fold: Fold, values: Array, stays: npt.NDArray[np.bool_]) -> None:
    """Writes a bias; one of float32 where there was none or one of float16, which would round it."""
    old = editor.constant(fold.op, fold.bias)
    x, y = editor.tensor(int(fold.op.inputs[0])), editor.tensor(int(fold.op.outputs[0]))
    if old is not None and old.tensor.type != TensorType.FLOAT16:
        kept = np.flatnonzero(stays[fold.outputs])
        whole = values if old.tensor.type == TensorType.FLOAT32 else np.rint(values)
        editor.set_constant(fold.op, fold.bias, whole, {0: kept})
        return
    if x.type == TensorType.FLOAT32:
        tensor = new_tensor(f"{text(y.name)}/bias", TensorType.FLOAT32, values.shape)
    else:
        weights = editor.constant(fold.op, WEIGHTS_INPUT)
        assert weights is not None
        kind = TensorType.INT64 if x.type == TensorType.INT16 else TensorType.INT32
        tensor = new_tensor(f"{text(y.name)}/bias", kind, values.shape, like=weights.tensor)
        _scale_bias(tensor, x, weights, stays[fold.outputs])
        values = np.rint(values)
    editor.set_new_constant(fold.op, fold.bias, tensor, values)


def _scale_bias(tensor: Any, x: Any, weights: Constant, kept: npt.NDArray[np.bool_]) -> None:
    """A bias has the scale of a product of input and weight."""
    factors = scales(x) * scales(weights.tensor)
    factors = factors[kept] if len(factors) > 1 else factors
    quantization = tensor.quantization
    quantization.scale = factors.astype(np.float32)
    quantization.zeroPoint = np.zeros(len(factors), np.int64)
    quantization.min = quantization.max = None
    quantization.quantizedDimension = 0


def _shorten(editor: Editor, found: list[Held], stays: npt.NDArray[np.bool_]) -> None:
    """Takes removed channels out of a constant, along all axes on which channels lie."""
    kept = {held.axis: np.flatnonzero(stays[held.ids]) for held in found}
    op, position = found[0].op, found[0].position
    old = editor.constant(op, position)
    assert old is not None
    values = old.values
    for axis, indices in kept.items():
        values = np.take(values, indices, axis=axis)
    if values.shape != old.values.shape:
        editor.set_constant(op, position, values, kept)


def _set_count(editor: Editor, op: Any, position: int, element: int, count: int) -> None:
    old = editor.constant(op, position)
    assert old is not None
    values = old.values.copy()
    flat = values.reshape(-1)
    if flat[element] not in (-1, count):
        flat[element] = count
        editor.set_constant(op, position, values)


def _set_new_shape(editor: Editor, op: Any) -> None:
    """A RESHAPE repeats its shape in its options, or has it only there."""
    if editor.name(op) != "RESHAPE" or op.builtinOptions is None or op.builtinOptions.newShape is None:
        return
    shape = np.array(op.builtinOptions.newShape, np.int32)
    result = editor.tensor(int(op.outputs[0])).shape
    if len(shape) and shape[-1] != -1 and result is not None and len(result) == len(shape):
        shape[-1] = result[-1]
        op.builtinOptions.newShape = shape


def _shorten_tensor(tensor: Any, count: int) -> None:
    tensor.shape = np.array([*tensor.shape[:-1], count], np.int32)
    if tensor.shapeSignature is not None and len(tensor.shapeSignature):
        tensor.shapeSignature = np.array([*tensor.shapeSignature[:-1], count], np.int32)
