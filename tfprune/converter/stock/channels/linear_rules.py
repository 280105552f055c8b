# SPDX-License-Identifier: Apache-2.0
"""What convolutions and fully-connected operators do to channels: read some, make others."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.converter.capability import BIAS_INPUT, WEIGHTS_INPUT, Refused
from tfprune.converter.schema import TensorType, tfl
from tfprune.converter.stock.channels.activations import LIMITS, LOWEST, clamp, requantize
from tfprune.converter.stock.channels.ids import Ids
from tfprune.converter.stock.channels.trace import Fold, Merge, Trace, Values
from tfprune.converter.stock.convolution import is_quantized, read_bias, read_convolution
from tfprune.converter.stock.editor import FLOATS, Array, Constant, has_scale, scales

# Sums of a quantized layer are 32 bits wide.
_MOST_SUM = 2.0**31 - 1
_TRANSPOSED_BIAS = 3


def conv_2d(trace: Trace, op: Any) -> None:
    """Reads all channels of the input, makes new ones."""
    convolution = read_convolution(trace.editor, op)
    weights = convolution.weights
    out_channels, _, _, in_channels = weights.values.shape
    if trace.size(convolution.x) != in_channels:
        raise Refused("grouped", "channels are not followed through grouped convolutions")
    outputs = _make(trace, op, weights, 0, out_channels, BIAS_INPUT)
    _read(trace, op, BIAS_INPUT, convolution.x, np.arange(in_channels), weights, outputs, convolution.never_pads)
    trace.hold(op, WEIGHTS_INPUT, 3, trace.ids(convolution.x))
    empty = ~weights.used(0)
    trace.output(convolution.y, outputs, _constant_outputs(trace, op, weights, empty, BIAS_INPUT))


def fully_connected(trace: Trace, op: Any) -> None:
    """Reads the features, which may be several places of each channel; makes new channels."""
    editor = trace.editor
    x, y, weights = editor.input(op, 0), int(op.outputs[0]), editor.constant(op, WEIGHTS_INPUT)
    if x is None or weights is None or weights.values.ndim != 2 or len(op.outputs) != 1:
        raise Refused("weights_not_constant", "the weights are not a constant of the file of a known type")
    if not isinstance(op.builtinOptions, tfl.FullyConnectedOptionsT) or op.builtinOptions.weightsFormat:
        raise Refused("weights_format", "the weights must have the default format")
    out_channels, features = weights.values.shape
    _check_features(trace, x, features)
    outputs = _make(trace, op, weights, 0, out_channels, BIAS_INPUT)
    places = np.tile(np.arange(trace.size(x)), features // trace.size(x))
    _read(trace, op, BIAS_INPUT, x, places, weights, outputs, never_pads=True)
    trace.hold(op, WEIGHTS_INPUT, 1, trace.ids(x)[places])
    empty = ~weights.used(0)
    trace.output(y, outputs, _constant_outputs(trace, op, weights, empty, BIAS_INPUT))


def _check_features(trace: Trace, x: int, features: int) -> None:
    """The last dimensions of the input must be the features."""
    product = 1
    for size in reversed(trace.editor.shape(x)):
        if size < 1:
            break
        product *= size
        if product == features:
            return
    raise Refused("features", f"the last dimensions of the input must be fixed and multiply to {features}")


def depthwise_conv_2d(trace: Trace, op: Any) -> None:
    """Passes each channel on, as one or several."""
    convolution = read_convolution(trace.editor, op)
    x, weights = convolution.x, convolution.weights
    count, channels = trace.size(x), weights.values.shape[3]
    if weights.values.shape[0] != 1 or channels % count:
        raise Refused("malformed", f"{channels} output channels are no multiple of {count} input channels")
    _check_unshared(weights)
    source = np.repeat(np.arange(count), channels // count)
    ids = trace.ids(x)[source]
    trace.hold(op, WEIGHTS_INPUT, 3, ids)
    if read_bias(trace.editor, op, channels) is not None:
        trace.hold(op, BIAS_INPUT, 0, ids)
    if convolution.hybrid:
        _pin_all_but_zeros(trace, x, trace.ids(x))
    inputs = trace.values(x).take(source)
    offsets = np.where(inputs.known, inputs.value - trace.zero(x), 0)
    sums = _integers(weights).sum(axis=(0, 1, 2)) * offsets
    fixed = inputs.known & ((offsets == 0) | convolution.never_pads) | ~weights.used(3)
    trace.output(convolution.y, ids, _constant_outputs(trace, op, weights, fixed, BIAS_INPUT, sums))


def transpose_conv(trace: Trace, op: Any) -> None:
    """As a convolution, with the output's shape as an input; at its borders fewer positions are summed."""
    editor = trace.editor
    x, y, weights = editor.input(op, 2), int(op.outputs[0]), editor.constant(op, WEIGHTS_INPUT)
    if x is None or weights is None or weights.values.ndim != 4 or len(op.outputs) != 1:
        raise Refused("weights_not_constant", "the weights are not a constant of the file of a known type")
    out_channels, _, _, in_channels = weights.values.shape
    if trace.size(x) != in_channels:
        raise Refused("malformed", f"the weights are for {in_channels} input channels, got {trace.size(x)}")
    outputs = _make(trace, op, weights, 0, out_channels, _TRANSPOSED_BIAS)
    _read(trace, op, _TRANSPOSED_BIAS, x, np.arange(in_channels), weights, outputs, never_pads=False)
    trace.hold(op, WEIGHTS_INPUT, 3, trace.ids(x))
    if editor.constant(op, 0) is None:
        trace.channels.pin(outputs, Refused("shape", "the shape of a transposed convolution is computed by the model"))
    else:
        trace.count(op, 0, -1, outputs)
    empty = ~weights.used(0)
    trace.output(y, outputs, _constant_outputs(trace, op, weights, empty, _TRANSPOSED_BIAS))


def _make(trace: Trace, op: Any, weights: Constant, axis: int, count: int, bias: int) -> Ids:
    """The channels that a kernel makes."""
    _check_unshared(weights)
    outputs = trace.channels.new(count)
    trace.hold(op, WEIGHTS_INPUT, axis, outputs)
    if read_bias(trace.editor, op, count, bias) is not None:
        trace.hold(op, bias, 0, outputs)
    return outputs


def _check_unshared(weights: Constant) -> None:
    if weights.shared:
        raise Refused("shared_weights", "other operators use the same weights")


def _read(
    trace: Trace,
    op: Any,
    bias: int,
    x: int,
    places: Array,
    weights: Constant,
    outputs: Ids,
    never_pads: bool,
) -> None:
    """Fixes the channels that an operator needs; others may go, into its bias where their value never changes."""
    positions = tuple(range(1, weights.values.ndim - 1))
    reads = weights.used(weights.values.ndim - 1)
    ids, values = trace.ids(x)[places], trace.values(x).take(places)
    if _is_hybrid(trace, x, weights):
        _pin_all_but_zeros(trace, x, ids)
        return
    sums = _integers(weights).sum(axis=positions)
    offsets = np.where(values.known, values.value - trace.zero(x), 0)
    folds = values.known & (offsets != 0) & reads
    unfolded = folds & ~np.asarray(never_pads and _fits(trace, op, bias, x, sums * offsets * folds))
    if (
        unfolded.any()
        and weights.tensor.type == TensorType.FLOAT32
        and trace.editor.tensor(x).type == weights.tensor.type
    ):
        unfolded = _merge(trace, op, ids, Values.of(unfolded, offsets))
    trace.channels.pin(
        ids[unfolded],
        Refused("constant_with_padding", "they have one value everywhere, which a reader cannot add to its bias"),
    )
    trace.channels.pin(ids[reads & ~values.known], Refused("read", "their readers have weights for them"))
    bias_takes = folds & np.asarray(never_pads) & ~unfolded
    trace.folds.append(Fold(op, bias, ids, outputs, sums, Values.of(bias_takes, offsets)))


def _merge(trace: Trace, op: Any, ids: Ids, values: Values) -> npt.NDArray[np.bool_]:
    """Lets the channel with the largest value stand for all that have one value each; only it must stay."""
    keeper = int(np.argmax(np.abs(values.value)))
    stays = np.arange(len(ids)) == keeper
    trace.merges.append(Merge(op, ids, values.where(~stays), keeper, float(values.value[keeper])))
    return np.asarray(stays)


def _fits(trace: Trace, op: Any, bias: int, x: int, products: Array) -> bool:
    """Whether the bias can take up products ``[out, columns]``: in a quantized layer it has 32 bits."""
    if not is_quantized(trace.editor, x):
        return bool(trace.editor.tensor(x).type == TensorType.FLOAT32)
    found = trace.editor.constant(op, bias)
    before = 0 if found is None else np.abs(found.values.astype(np.float64))
    return bool((before + np.abs(products).sum(axis=1)).max() < _MOST_SUM)


def _is_hybrid(trace: Trace, x: int, weights: Constant) -> bool:
    """Whether float32 inputs are quantized at run time, by their range."""
    return trace.editor.tensor(x).type in FLOATS and not weights.is_float


def _pin_all_but_zeros(trace: Trace, x: int, ids: Ids) -> None:
    """The range of an input that is quantized at run time must not change."""
    held = set(trace.ids(x)[trace.zeros(x)].tolist())
    kept = np.array([number not in held for number in ids.tolist()], bool)
    trace.channels.pin(
        ids[kept], Refused("run_time_range", "their values are part of the range by which a reader quantizes its input")
    )


def _integers(weights: Constant) -> npt.NDArray[np.float64]:
    """Weights without their zero point, as they are stored."""
    return np.asarray(weights.values.astype(np.float64) - weights.zero)


def _constant_outputs(
    trace: Trace,
    op: Any,
    weights: Constant,
    fixed: npt.NDArray[np.bool_],
    bias: int,
    sums: npt.NDArray[np.float64] | None = None,
) -> Values:
    """Values of the output channels whose sums never change: those that are ``fixed``."""
    editor = trace.editor
    x, y = editor.tensor(int(op.inputs[2 if bias == _TRANSPOSED_BIAS else 0])), editor.tensor(int(op.outputs[0]))
    found = editor.constant(op, bias)
    total = np.zeros(len(fixed)) if found is None else found.values.astype(np.float64)
    total = total if sums is None else total + sums
    activation = getattr(op.builtinOptions, "fusedActivationFunction", 0)
    if activation not in LIMITS:
        return Values.unknown(len(fixed))
    if y.type == TensorType.FLOAT32:
        exact = weights.is_float or sums is None
        return Values.of(fixed & (exact | (total == 0)), clamp(total, activation).astype(np.float32))
    if x.type not in LOWEST or y.type != x.type or not (has_scale(x) and has_scale(y)):
        return Values.unknown(len(fixed))
    if scales(weights.tensor).size not in (1, len(fixed)):
        return Values.unknown(len(fixed))
    factors = scales(x) * scales(weights.tensor) / scales(y)
    stored = requantize(total, factors, trace.zero(int(op.outputs[0])), scales(y)[0], activation, LOWEST[x.type])
    return Values.of(fixed, stored)
