# SPDX-License-Identifier: Apache-2.0
"""What each Keras layer does to channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import keras

from tfprune.keras.channels.activations import check_activation
from tfprune.keras.channels.builder import CONSUMER, Call, GraphBuilder, Rule, UnknownUseError
from tfprune.keras.channels.elementwise import channels_first, keep, merge, reshape
from tfprune.keras.channels.spaces import Axis

# A subclass that replaces one of these computes something else.
_METHODS = ("__call__", "call", "convolution_op", "_merge_function")


def layer_rule(layer: Any) -> Rule:
    """The rule of a layer.

    Args:
        layer: Keras layer.

    Returns:
        The rule of its class, or of the nearest base class whose computation it keeps.

    Raises:
        UnknownUseError: There is none.
    """
    if channels_first(layer):
        raise UnknownUseError("channels_first data")
    for kind in type(layer).__mro__:
        rule = _RULES.get(kind)
        if rule is None:
            continue
        changed = [name for name in _METHODS if getattr(type(layer), name, None) is not getattr(kind, name, None)]
        if changed:
            raise UnknownUseError(f"replaces {kind.__name__}.{changed[0]}")
        return rule
    raise UnknownUseError("what it does to channels is not known")


def _finish(builder: GraphBuilder, call: Call, layer: Any, channels: Axis) -> list[Axis]:
    """Bias and activation of a layer with a kernel."""
    bias = getattr(layer, "bias", None)
    if bias is not None:
        builder.attach(call, layer, bias, -1, channels)
    check_activation(builder, call, getattr(layer, "activation", None), channels)
    return [channels]


def _conv(builder: GraphBuilder, call: Call) -> list[Axis]:
    """Conv1D, Conv2D, Conv3D: kernel ``[..., in / groups, out]``."""
    layer = call.operation
    kernel = layer._kernel
    if layer.groups == 1:
        builder.attach(call, layer, kernel, -2, call.input, CONSUMER)
        return _finish(builder, call, layer, builder.produce(call, layer, kernel, -1))
    if kernel.shape[-2] == 1 and kernel.shape[-1] == builder.spaces.size(call.input):
        builder.attach(call, layer, kernel, -1, call.input)
        return _finish(builder, call, layer, call.input)
    raise UnknownUseError(f"grouped convolution, groups={layer.groups}")


def _conv_transpose(builder: GraphBuilder, call: Call) -> list[Axis]:
    """Conv1DTranspose, Conv2DTranspose, Conv3DTranspose: kernel ``[..., out, in]``."""
    layer = call.operation
    builder.attach(call, layer, layer.kernel, -1, call.input, CONSUMER)
    return _finish(builder, call, layer, builder.produce(call, layer, layer.kernel, -2))


def _depthwise(builder: GraphBuilder, call: Call) -> list[Axis]:
    """DepthwiseConv1D, DepthwiseConv2D: kernel ``[..., in, multiplier]``."""
    layer = call.operation
    if layer.depth_multiplier != 1:
        raise UnknownUseError(f"depth_multiplier={layer.depth_multiplier}")
    builder.attach(call, layer, layer.kernel, -2, call.input)
    return _finish(builder, call, layer, call.input)


def _separable(builder: GraphBuilder, call: Call) -> list[Axis]:
    """SeparableConv1D, SeparableConv2D: a depthwise kernel, then a pointwise one."""
    layer = call.operation
    if layer.depth_multiplier != 1:
        raise UnknownUseError(f"depth_multiplier={layer.depth_multiplier}")
    builder.attach(call, layer, layer.depthwise_kernel, -2, call.input)
    builder.attach(call, layer, layer.pointwise_kernel, -2, call.input, CONSUMER)
    return _finish(builder, call, layer, builder.produce(call, layer, layer.pointwise_kernel, -1))


def _dense(builder: GraphBuilder, call: Call) -> list[Axis]:
    """Dense: kernel ``[in, out]``."""
    layer = call.operation
    builder.attach(call, layer, layer._kernel, 0, call.input, CONSUMER)
    return _finish(builder, call, layer, builder.produce(call, layer, layer._kernel, 1))


def _einsum_dense(builder: GraphBuilder, call: Call) -> list[Axis]:
    """EinsumDense that is a dense layer on the last axis, such as ``"abc,cd->abd"``."""
    layer = call.operation
    terms, result = layer.equation.replace(" ", "").split("->")
    given, kernel = terms.split(",")
    ours = len(kernel) == 2 and set(kernel) == {given[-1:], result[-1:]} and given[:-1] == result[:-1]
    if not ours or set(kernel) & set(given[:-1]):
        raise UnknownUseError(f"the equation {layer.equation!r} is not a dense layer on the last axis")
    axis = kernel.index(given[-1])
    builder.attach(call, layer, layer._kernel, axis, call.input, CONSUMER)
    return _finish(builder, call, layer, builder.produce(call, layer, layer._kernel, 1 - axis))


def _embedding(builder: GraphBuilder, call: Call) -> list[Axis]:
    """Embedding: table ``[words, out]``; what comes in are numbers of words, not channels."""
    return [builder.produce(call, call.operation, call.operation._embeddings, 1)]


def _batch_normalization(builder: GraphBuilder, call: Call) -> list[Axis]:
    """Everything is counted a channel."""
    layer = call.operation
    if layer.axis not in (-1, call.rank - 1):
        raise UnknownUseError(f"axis={layer.axis} is not the last one")
    for variable in layer.variables:
        builder.attach(call, layer, variable, 0, call.input)
    return [call.input]


def _layer_normalization(builder: GraphBuilder, call: Call) -> list[Axis]:
    """Mean and variance over the channels do not depend on their order, but on their number."""
    layer = call.operation
    axes = layer.axis if isinstance(layer.axis, (list, tuple)) else [layer.axis]
    if [axis % call.rank for axis in axes] != [call.rank - 1]:
        raise UnknownUseError(f"axis={layer.axis} is not just the last one")
    for variable in layer.variables:
        builder.attach(call, layer, variable, 0, call.input)
    builder.spaces.fix_size(call.input, f"{call} averages over channels")
    return [call.input]


def _group_normalization(builder: GraphBuilder, call: Call) -> list[Axis]:
    """One group is averaged as a whole; as many groups as channels are each on their own."""
    layer = call.operation
    size = builder.spaces.size(call.input)
    if layer.axis not in (-1, call.rank - 1) or layer.groups not in (1, -1, size):
        raise UnknownUseError(f"groups={layer.groups}, axis={layer.axis}")
    for variable in layer.variables:
        builder.attach(call, layer, variable, 0, call.input)
    if layer.groups == 1:
        builder.spaces.fix_size(call.input, f"{call} averages over channels")
    return [call.input]


def _prelu(builder: GraphBuilder, call: Call) -> list[Axis]:
    """A slope a channel, or one for all of them."""
    alpha = call.operation.alpha
    if alpha.shape[-1] == builder.spaces.size(call.input):
        builder.attach(call, call.operation, alpha, -1, call.input)
    else:
        builder.accept(alpha)
    return [call.input]


def _softmax(builder: GraphBuilder, call: Call) -> list[Axis]:
    """Over channels, the others matter to each."""
    axes = call.operation.axis if isinstance(call.operation.axis, (list, tuple)) else [call.operation.axis]
    if call.rank - 1 in [axis % call.rank for axis in axes]:
        builder.spaces.fix_size(call.input, f"{call} is over channels")
    return [call.input]


def _activation(builder: GraphBuilder, call: Call) -> list[Axis]:
    check_activation(builder, call, call.operation.activation, call.input)
    return [call.input]


def _rescaling(builder: GraphBuilder, call: Call) -> list[Axis]:
    """One factor and one offset for all channels."""
    if any(isinstance(each, (list, tuple)) for each in (call.operation.scale, call.operation.offset)):
        raise UnknownUseError("a scale or offset a channel")
    return [call.input]


def _concatenate(builder: GraphBuilder, call: Call) -> list[Axis]:
    """Channels one after the other; along other axes, the same channels."""
    if call.operation.axis % call.rank == call.rank - 1:
        return [tuple(space for axis in call.inputs for space in axis)]
    return merge(builder, call)


def _permute(builder: GraphBuilder, call: Call) -> list[Axis]:
    """The channels may not leave their axis."""
    if call.operation.dims[-1] != len(call.operation.dims):
        raise UnknownUseError("moves channels to another axis")
    return [call.input]


def _time_distributed(builder: GraphBuilder, call: Call) -> Sequence[Axis]:
    """The same layer at every step."""
    inner = call.operation.layer
    # Other rules look at the rank of their input, which is one less in there.
    if not isinstance(inner, (keras.layers.Dense, keras.layers.Conv1D, keras.layers.Conv2D)):
        raise UnknownUseError(f"holds a {type(inner).__name__}")
    return layer_rule(inner)(builder, replace(call, operation=inner))


def _rules(rule: Rule, *names: str) -> dict[type, Rule]:
    """A rule for layer classes; older versions of Keras lack some."""
    kinds = [getattr(keras.layers, name, None) for name in names]
    return {kind: rule for kind in kinds if kind is not None}


_SPATIAL = ("1D", "2D", "3D")

_RULES: dict[type, Rule] = {
    **_rules(_conv, *(f"Conv{rank}" for rank in _SPATIAL)),
    **_rules(_conv_transpose, *(f"Conv{rank}Transpose" for rank in _SPATIAL)),
    **_rules(_depthwise, "DepthwiseConv1D", "DepthwiseConv2D"),
    **_rules(_separable, "SeparableConv1D", "SeparableConv2D"),
    **_rules(_dense, "Dense"),
    **_rules(_einsum_dense, "EinsumDense"),
    **_rules(_embedding, "Embedding"),
    **_rules(_batch_normalization, "BatchNormalization"),
    **_rules(_layer_normalization, "LayerNormalization", "RMSNormalization"),
    **_rules(_group_normalization, "GroupNormalization"),
    **_rules(_prelu, "PReLU"),
    **_rules(_softmax, "Softmax"),
    **_rules(_activation, "Activation"),
    **_rules(_rescaling, "Rescaling"),
    **_rules(_concatenate, "Concatenate"),
    **_rules(_permute, "Permute"),
    **_rules(_time_distributed, "TimeDistributed"),
    **_rules(merge, "Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"),
    **_rules(reshape, "Flatten", "Reshape"),
    **_rules(keep, "ReLU", "LeakyReLU", "ELU", "Identity", "RepeatVector", "Resizing"),
    **_rules(keep, "ActivityRegularization", "UnitNormalization"),
    **_rules(keep, "Dropout", "AlphaDropout", "GaussianDropout", "GaussianNoise"),
    **_rules(keep, *(f"{name}{rank}" for rank in _SPATIAL for name in ("SpatialDropout", "ZeroPadding", "Cropping"))),
    **_rules(keep, *(f"{name}{rank}" for rank in _SPATIAL for name in ("UpSampling", "MaxPooling", "AveragePooling"))),
    **_rules(keep, *(f"Global{name}Pooling{rank}" for rank in _SPATIAL for name in ("Max", "Average"))),
    **_rules(keep, *(f"Adaptive{name}Pooling{rank}" for rank in _SPATIAL for name in ("Max", "Average"))),
}
