# SPDX-License-Identifier: Apache-2.0
"""What ops of ``keras.ops``, called on symbolic tensors, do to channels."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfprune.keras.channels.builder import Call, GraphBuilder, Rule, UnknownUseError, last_size
from tfprune.keras.channels.elementwise import channels_first, keep, merge, reshape
from tfprune.keras.channels.spaces import Axis


def op_rule(operation: Any) -> Rule:
    """The rule of an op.

    Args:
        operation: An op of Keras.

    Returns:
        Its rule.

    Raises:
        UnknownUseError: There is none.
    """
    rule = _RULES.get(type(operation).__name__) if type(operation).__module__.startswith("keras.src.ops.") else None
    if rule is None:
        raise UnknownUseError("what it does to channels is not known")
    if channels_first(operation):
        raise UnknownUseError("channels_first data")
    return rule


def _concatenate(builder: GraphBuilder, call: Call) -> list[Axis]:
    """Channels one after the other; along other axes, the same channels."""
    if call.operation.axis is None:
        raise UnknownUseError("flattens its inputs")
    if call.operation.axis % call.rank == call.rank - 1:
        return [tuple(space for axis in call.inputs for space in axis)]
    return merge(builder, call)


def _clip(builder: GraphBuilder, call: Call) -> list[Axis]:
    """The same limits for all channels."""
    if any(np.ndim(limit) for limit in (call.operation.x_min, call.operation.x_max)):
        raise UnknownUseError("limits a channel")
    return [call.input]


def _reduce(builder: GraphBuilder, call: Call) -> list[Axis]:
    """Over other axes, each channel by itself; over channels, their order does not matter but their number may."""
    axis = call.operation.axis
    axes = range(call.rank) if axis is None else [axis] if isinstance(axis, int) else axis
    if call.rank - 1 not in [each % call.rank for each in axes]:
        return [call.input]
    builder.spaces.fix_size(call.input, f"{call} is over channels")
    return [builder.opaque(call.outputs[0], f"result of {call} over channels")]


def _softmax(builder: GraphBuilder, call: Call) -> list[Axis]:
    """Over channels, the others matter to each."""
    axis = getattr(call.operation, "axis", -1)
    axes = [axis] if isinstance(axis, int) else axis
    if axes is None or call.rank - 1 in [each % call.rank for each in axes]:
        builder.spaces.fix_size(call.input, f"{call} is over channels")
    return [call.input]


def _transpose(builder: GraphBuilder, call: Call) -> list[Axis]:
    """The channels may not leave their axis."""
    axes = call.operation.axes
    if axes is None or axes[-1] % call.rank != call.rank - 1:
        raise UnknownUseError("moves channels to another axis")
    return [call.input]


def _expand(builder: GraphBuilder, call: Call) -> list[Axis]:
    """New axes go before the channels."""
    axis = call.operation.axis
    axes = [axis] if isinstance(axis, int) else axis
    rank = call.rank + len(axes)
    if rank - 1 in [each % rank for each in axes]:
        raise UnknownUseError("moves channels to another axis")
    return [call.input]


def _squeeze(builder: GraphBuilder, call: Call) -> list[Axis]:
    """A single channel must not be the axis that goes."""
    if builder.spaces.size(call.input) == 1 or last_size(call.outputs[0]) != builder.spaces.size(call.input):
        raise UnknownUseError("takes the axis of the channels away")
    return [call.input]


def _pad(builder: GraphBuilder, call: Call) -> list[Axis]:
    """No channels are added."""
    if last_size(call.outputs[0]) != builder.spaces.size(call.input):
        raise UnknownUseError("adds channels")
    return [call.input]


def _get_item(builder: GraphBuilder, call: Call) -> list[Axis]:
    """All channels, or a run of them such as ``x[..., :16]``."""
    index = call.args[1]
    entries = list(index) if isinstance(index, tuple) else [index]
    if any(not isinstance(each, (int, slice)) and each is not None and each is not Ellipsis for each in entries):
        raise UnknownUseError("an index that is computed")
    taken = sum(each is not None and each is not Ellipsis for each in entries)
    reaches_channels = taken == call.rank or (Ellipsis in entries and entries[-1] is not Ellipsis)
    if not reaches_channels:
        return [call.input]
    last = entries[-1]
    if not isinstance(last, slice) or last.step not in (None, 1):
        raise UnknownUseError("takes single channels")
    start, stop, _ = last.indices(builder.spaces.size(call.input))
    return [builder.spaces.part(call.input, start, stop)]


def _split(builder: GraphBuilder, call: Call) -> list[Axis]:
    """Runs of channels; along other axes, all channels in each part."""
    if call.operation.axis % call.rank != call.rank - 1:
        return [call.input for _ in call.outputs]
    parts, start = [], 0
    for tensor in call.outputs:
        size = last_size(tensor)
        if size is None:
            raise UnknownUseError("the number of channels is not known")
        parts.append((start, start + size))
        start += size
    return [builder.spaces.part(call.input, *place) for place in parts]


_KEEP = (
    *("Relu", "Relu6", "Sigmoid", "SparseSigmoid", "Softplus", "Softsign", "SoftShrink", "SparsePlus", "Silu", "Elu"),
    *("Squareplus", "LogSigmoid", "LeakyRelu", "HardSigmoid", "HardSilu", "Selu", "Gelu", "Celu", "TanhShrink", "Tanh"),
    *("HardTanh", "HardShrink", "Threshold", "Absolute", "Negative", "Exp", "Exp2", "Expm1", "Log", "Log10", "Log1p"),
    *("Log2", "Sqrt", "Square", "Rsqrt", "Reciprocal", "Erf", "Sin", "Cos", "Sign", "Round", "Floor", "Ceil"),
    *("Cast", "SaturateCast", "StopGradient", "Copy", "MaxPool", "AveragePool", "AdaptiveMaxPool"),
    *("AdaptiveAveragePool", "Resize", "Normalize"),
)
_MERGE = ("Add", "Subtract", "Multiply", "Divide", "DivideNoNan", "TrueDivide", "Maximum", "Minimum", "Power")
_REDUCE = ("Mean", "Sum", "Max", "Min", "Amax", "Amin", "Var", "Std", "Logsumexp")

_RULES: dict[str, Rule] = {
    **dict.fromkeys(_KEEP, keep),
    **dict.fromkeys(_MERGE, merge),
    **dict.fromkeys(_REDUCE, _reduce),
    **dict.fromkeys(("Softmax", "LogSoftmax", "Sparsemax"), _softmax),
    "Clip": _clip,
    "Concatenate": _concatenate,
    "ExpandDims": _expand,
    "GetItem": _get_item,
    "Pad": _pad,
    "Reshape": reshape,
    "Split": _split,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
}
