# SPDX-License-Identifier: Apache-2.0
"""``CONV_3D`` as a 2D convolution whose channels hold the slices of a depth window."""

from __future__ import annotations

import math
from typing import Any

from tfprune.converter.capability.convolution import (
    Expansion,
    Place,
    check_options,
    check_output,
    check_slices,
    check_window,
    convolution,
    convolution_spec,
    output_shape,
)
from tfprune.converter.capability.layer import Layer, Refused
from tfprune.converter.capability.numbers import read_numbers
from tfprune.converter.expand.volume import Volume
from tfprune.converter.graph import Graph
from tfprune.converter.schema import tfl
from tfprune.costs import StockOp
from tfprune.formats import Padding

_CHANNEL_AXIS = 4


def read(graph: Graph, subgraph: int, index: int, op: Any) -> Layer:
    """Reads a ``CONV_3D``.

    Raises:
        Refused: it has a form without sparse kernel, or contradicts itself.
    """
    place = Place(graph, subgraph, index, op, read_numbers(graph, subgraph, op, _CHANNEL_AXIS))
    if place.numbers.quantization is not None:
        raise Refused("precision", "LiteRT has no CONV_3D with integer weights")
    options = check_options(op, tfl.Conv3DOptionsT)
    shape, x_shape, y_shape = place.weights_shape, place.input_shape, place.output_shape
    if len(shape) != 5 or len(x_shape) != 5 or len(y_shape) != 5 or min(shape) < 1 or x_shape[4] != shape[3]:
        raise Refused("malformed", f"an input of shape {list(x_shape)} does not fit weights of {list(shape)}")
    place.check_fixed()
    strides = (options.strideD, options.strideH, options.strideW)
    dilations = (options.dilationDFactor, options.dilationHFactor, options.dilationWFactor)
    check_window(shape[:3], strides, dilations)
    same = options.padding == Padding.SAME
    image, output = (x_shape[2], x_shape[3], x_shape[4]), (y_shape[2], y_shape[3], shape[4])
    plan = Volume(x_shape[1], shape[0], strides[0], dilations[0], same, image, output)
    check_slices(plan.kernel)
    spec = convolution_spec(shape[4], shape[0] * shape[3], shape[1:3], options)
    sizes = output_shape(spec, (1, *x_shape[2:]))[1:]
    check_output(place, (x_shape[0], plan.count, *sizes))
    macs = math.prod(y_shape) * math.prod(shape[:4])
    dense = StockOp("conv_3d", macs, math.prod(y_shape))
    return convolution(place, spec, Expansion(plan, dense, spec.out_channels, plan.before(), plan.after()))
