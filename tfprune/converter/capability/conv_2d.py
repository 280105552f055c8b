# SPDX-License-Identifier: Apache-2.0
"""``CONV_2D`` as one of our layers."""

from __future__ import annotations

from typing import Any

from tfprune.converter.capability.layer import Layer, Refused, activation, product
from tfprune.converter.capability.numbers import read_bias, read_numbers
from tfprune.converter.graph import Graph
from tfprune.converter.schema import tfl
from tfprune.costs import LayerShape
from tfprune.formats import Op, OpSpec, Padding

_EXTENT_LIMIT = 2**31


def read(graph: Graph, subgraph: int, index: int, op: Any) -> Layer:
    """Reads a ``CONV_2D``.

    Raises:
        Refused: it has a form without sparse kernel, or contradicts itself.
    """
    numbers = read_numbers(graph, subgraph, op)
    options = op.builtinOptions
    if not isinstance(options, tfl.Conv2DOptionsT):
        raise Refused("malformed", "the operator has no convolution options")
    shape = graph.shape(graph.tensor(subgraph, numbers.source))
    x_shape = graph.shape(graph.tensor(subgraph, int(op.inputs[0])))
    y_shape = graph.shape(graph.tensor(subgraph, int(op.outputs[0])))
    if len(shape) != 4 or len(x_shape) != 4 or len(y_shape) != 4 or min(shape) < 1:
        raise Refused("malformed", f"input and weights must have 4 dimensions, got {list(x_shape)} and {list(shape)}")
    out_channels, kernel_h, kernel_w, in_channels = shape
    _check_channels(x_shape[3], in_channels)
    if options.padding not in (Padding.SAME, Padding.VALID):
        raise Refused("padding", f"the padding must be SAME or VALID, got {options.padding}")
    strides = (options.strideH, options.strideW, options.dilationHFactor, options.dilationWFactor)
    if min(strides) < 1:
        raise Refused("malformed", f"strides and dilations must be at least 1, got {strides}")
    extents = ((kernel_h - 1) * strides[2] + 1, (kernel_w - 1) * strides[3] + 1)
    if max(extents) >= _EXTENT_LIMIT:
        raise Refused("malformed", f"(kernel - 1) * dilation + 1 must be below 2^31, got {extents}")
    spec = OpSpec(
        Op.CONV_2D,
        out_channels,
        in_channels,
        kernel_h,
        kernel_w,
        *strides,
        padding=Padding(options.padding),
        activation=activation(options.fusedActivationFunction),
    )
    if spec.padding == Padding.SAME:
        extents = (1, 1)
    cost_shape = LayerShape(
        fully_connected=False,
        out_channels=out_channels,
        columns=spec.columns,
        kernel_size=kernel_h * kernel_w,
        pixels=product(y_shape[:3]),
        input_values=product(x_shape),
        precision=numbers.precision,
    )
    bias = read_bias(graph, subgraph, op, numbers, out_channels)
    geometry = (out_channels, *strides[:2], *extents)
    return Layer(subgraph, index, spec, geometry, cost_shape, numbers, bias, (int(y_shape[1]), int(y_shape[2])))


def _check_channels(found: int, in_channels: int) -> None:
    if found == in_channels:
        return
    if found > in_channels and found % in_channels == 0:
        groups = found // in_channels
        raise Refused("grouped", f"no sparse kernel for grouped convolutions, got {groups} groups")
    raise Refused("malformed", f"the input must have {in_channels} channels, got {found}")
