# SPDX-License-Identifier: Apache-2.0
"""``CONV_3D_TRANSPOSE`` as a 2D convolution of stride 1 between steps that unfold and fold the depth."""

from __future__ import annotations

import math
from typing import Any

from tfprune.converter.capability.convolution import (
    Expansion,
    Place,
    check_options,
    check_output,
    check_slices,
    convolution,
    fused_activation,
)
from tfprune.converter.capability.layer import Layer, Refused
from tfprune.converter.capability.numbers import read_numbers
from tfprune.converter.capability.transpose_conv import transposed_axes
from tfprune.converter.expand.transposed import SubPixel
from tfprune.converter.expand.transposed_volume import TransposedVolume
from tfprune.converter.graph import Graph
from tfprune.converter.schema import tfl
from tfprune.costs import StockOp
from tfprune.formats import Op, OpSpec, Padding

_ACTIVATION, _BIAS, _CHANNEL_AXIS = 2, 3, 3


def read(graph: Graph, subgraph: int, index: int, op: Any) -> Layer:
    """Reads a ``CONV_3D_TRANSPOSE``.

    Raises:
        Refused: it has a form without sparse kernel, or contradicts itself.
    """
    numbers = read_numbers(graph, subgraph, op, _CHANNEL_AXIS, _ACTIVATION)
    if numbers.quantization is not None:
        raise Refused("precision", "LiteRT has no CONV_3D_TRANSPOSE with integer weights")
    place = Place(graph, subgraph, index, op, numbers, _ACTIVATION)
    options = check_options(op, tfl.Conv3DOptionsT)
    shape, x_shape = place.weights_shape, place.input_shape
    if len(shape) != 5 or len(x_shape) != 5 or min(shape) < 1 or x_shape[4] != shape[4]:
        raise Refused("malformed", f"an input of shape {list(x_shape)} does not fit weights of {list(shape)}")
    if (options.dilationDFactor, options.dilationHFactor, options.dilationWFactor) != (1, 1, 1):
        raise Refused("malformed", "a transposed convolution has no dilation")
    strides = (options.strideD, options.strideH, options.strideW)
    (depth, *plane), _ = transposed_axes(place, options, shape[:3], strides)
    plan = TransposedVolume(depth, SubPixel(*plane), shape[4], shape[3])
    check_slices(plan.taps)
    check_output(place, (x_shape[0], *(axis.output for axis in (depth, *plane)), shape[3]))
    spec = OpSpec(
        Op.CONV_2D,
        plan.phases * plan.out_channels,
        plan.taps * plan.in_channels,
        *plan.plane.kernel,
        padding=Padding.SAME,
        activation=fused_activation(options),
    )
    macs = math.prod(x_shape[:4]) * math.prod(shape)
    dense = StockOp("conv_3d_transpose", macs, math.prod(place.output_shape))
    steps = (plan.before(), plan.after())
    return convolution(place, spec, Expansion(plan, dense, spec.out_channels, *steps, plan.phases, _BIAS))
