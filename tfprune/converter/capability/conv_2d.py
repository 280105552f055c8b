# SPDX-License-Identifier: Apache-2.0
"""``CONV_2D`` as one of our layers; with several groups over a block-diagonal matrix."""

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
from tfprune.converter.expand.grouped import Grouped
from tfprune.converter.graph import Graph
from tfprune.converter.schema import tfl
from tfprune.costs import StockOp
from tfprune.formats import Rounding


def read(graph: Graph, subgraph: int, index: int, op: Any) -> Layer:
    """Reads a ``CONV_2D``.

    Raises:
        Refused: it has a form without sparse kernel, or contradicts itself.
    """
    place = Place(graph, subgraph, index, op, read_numbers(graph, subgraph, op))
    options = check_options(op, tfl.Conv2DOptionsT)
    shape, x_shape, y_shape = place.weights_shape, place.input_shape, place.output_shape
    if len(shape) != 4 or len(x_shape) != 4 or len(y_shape) != 4 or min(shape) < 1:
        raise Refused("malformed", f"input and weights must have 4 dimensions, got {list(x_shape)} and {list(shape)}")
    groups = _groups(x_shape[3], shape)
    spec = convolution_spec(shape[0], x_shape[3], shape[1:3], options)
    if declined(options):
        place = place.by_builtin_kernel(Rounding.BUILTIN if groups == 1 else Rounding.BUILTIN_AWAY)
    if groups == 1:
        return convolution(place, spec)
    dense = StockOp("grouped_conv_2d", math.prod(y_shape) * math.prod(shape[1:]), math.prod(y_shape))
    return convolution(place, spec, Expansion(Grouped(groups), dense, shape[0] // groups))


def _groups(channels: int, shape: tuple[int, ...]) -> int:
    groups, rest = divmod(channels, shape[3])
    if rest or groups < 1 or shape[0] % groups:
        raise Refused("malformed", f"{channels} input channels do not fit weights of shape {list(shape)}")
    return groups
