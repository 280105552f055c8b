# SPDX-License-Identifier: Apache-2.0
"""``DEPTHWISE_CONV_2D`` as one of our layers, over a matrix with one channel a row."""

from __future__ import annotations

import math
from typing import Any

from tfprune.converter.capability.convolution import (
    Expansion,
    Place,
    check_options,
    convolution,
    convolution_spec,
    declined,
)
from tfprune.converter.capability.layer import Layer, Refused
from tfprune.converter.capability.numbers import read_numbers
from tfprune.converter.expand.grouped import Depthwise
from tfprune.converter.graph import Graph
from tfprune.converter.schema import tfl
from tfprune.costs import StockOp
from tfprune.formats import Rounding

_CHANNEL_AXIS = 3


def read(graph: Graph, subgraph: int, index: int, op: Any) -> Layer:
    """Reads a ``DEPTHWISE_CONV_2D``.

    Raises:
        Refused: it has a form without sparse kernel, or contradicts itself.
    """
    place = Place(graph, subgraph, index, op, read_numbers(graph, subgraph, op, _CHANNEL_AXIS))
    options = check_options(op, tfl.DepthwiseConv2DOptionsT)
    shape, x_shape, y_shape = place.weights_shape, place.input_shape, place.output_shape
    if len(shape) != 4 or len(x_shape) != 4 or len(y_shape) != 4 or min(shape) < 1 or shape[0] != 1:
        raise Refused("malformed", f"the weights must have shape [1, h, w, channels], got {list(shape)}")
    rows, channels = shape[3], x_shape[3]
    if channels < 1 or rows % channels:
        raise Refused("malformed", f"{channels} input channels do not fit weights of shape {list(shape)}")
    if options.depthMultiplier > 0 and options.depthMultiplier * channels != rows:
        raise Refused(
            "malformed", f"a multiplier of {options.depthMultiplier} does not make {rows} of {channels} channels"
        )
    spec = convolution_spec(rows, channels, shape[1:3], options)
    # Only the builtin kernels take the multiplier from the shapes.
    builtin = declined(options) or options.depthMultiplier <= 0
    if builtin and place.numbers.precision == "uint8":
        _check_processors(shape, channels)
        place = place.by_builtin_kernel(Rounding.BUILTIN_AWAY)
    elif builtin:
        place = place.by_builtin_kernel(Rounding.BUILTIN_CHANNELS, rows)
    dense = StockOp("depthwise_conv_2d", math.prod(y_shape) * math.prod(shape[1:3]), math.prod(y_shape))
    return convolution(place, spec, Expansion(Depthwise(channels), dense, rows // channels))


def _check_processors(shape: tuple[int, ...], channels: int) -> None:
    """Refuses the uint8 form for which LiteRT has kernels on Arm that round otherwise than those on x86."""
    if shape[1:] == (3, 3, channels):
        raise Refused(
            "rounding", "stock LiteRT rounds a uint8 3x3 kernel without multiplier in another way on some processors"
        )
