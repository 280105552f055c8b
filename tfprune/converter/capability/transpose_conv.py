# SPDX-License-Identifier: Apache-2.0
"""``TRANSPOSE_CONV`` as a convolution of stride 1, a depth-to-space and a crop behind it."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from tfprune.converter.capability.convolution import (
    Expansion,
    Place,
    check_options,
    check_output,
    check_window,
    convolution,
    declined,
    fused_activation,
)
from tfprune.converter.capability.layer import Layer, Refused
from tfprune.converter.capability.numbers import read_numbers
from tfprune.converter.expand.transposed import Axis, SubPixel
from tfprune.converter.graph import Graph
from tfprune.converter.schema import tfl
from tfprune.costs import StockOp
from tfprune.formats import Op, OpSpec, Padding, Rounding

_OUTPUT_SHAPE, _ACTIVATION, _BIAS = 0, 2, 3
_MOST_PHASES = 4096


def read(graph: Graph, subgraph: int, index: int, op: Any) -> Layer:
    """Reads a ``TRANSPOSE_CONV``.

    Raises:
        Refused: it has a form without sparse kernel, or contradicts itself.
    """
    place = Place(
        graph, subgraph, index, op, read_numbers(graph, subgraph, op, activation_input=_ACTIVATION), _ACTIVATION
    )
    options = check_options(op, tfl.TransposeConvOptionsT)
    plan, fixed = _sizes(place, options)
    rows, _, _, channels = place.weights_shape
    if not fixed or declined(options) or (plan.rows.same and (plan.rows.gapped or plan.columns.gapped)):
        _check_blocks(place)
        place = place.by_builtin_kernel(Rounding.BUILTIN_CHANNELS, rows)
    spec = OpSpec(
        Op.CONV_2D,
        rows * plan.phases,
        channels,
        *plan.kernel,
        padding=Padding.SAME,
        activation=fused_activation(options),
    )
    kernel = math.prod(place.weights_shape[1:])
    dense = StockOp("transpose_conv", rows * kernel * math.prod(place.input_shape[:3]), math.prod(place.output_shape))
    numbers = place.numbers
    if numbers.quantization is not None:
        scales = plan.spread(numbers.quantization.scales)
        quantization = dataclasses.replace(numbers.quantization, scales=scales)
        place = dataclasses.replace(place, numbers=dataclasses.replace(numbers, quantization=quantization))
    steps = (plan.before(), plan.after(rows))
    return convolution(place, spec, Expansion(plan, dense, spec.out_channels, *steps, plan.phases, _BIAS))


def _check_blocks(place: Place) -> None:
    """Refuses uint8 images whose values are not whole blocks of the builtin kernel, which rounds the rest otherwise."""
    *image, channels = place.output_shape[1:]
    if place.numbers.precision == "uint8" and (channels % 8 or math.prod(image) * channels % 16):
        raise Refused(
            "rounding",
            "stock LiteRT runs this uint8 operator without XNNPACK, and rounds the last values of an image in another "
            f"way where its channels are no multiple of 8 or its values none of 16, got {[*image, channels]}",
        )


def _sizes(place: Place, options: Any) -> tuple[SubPixel, bool]:
    """The sizes, and whether the file fixes the whole output shape."""
    shape, x_shape = place.weights_shape, place.input_shape
    if len(shape) != 4 or len(x_shape) != 4 or min(shape) < 1 or x_shape[3] != shape[3]:
        raise Refused("malformed", f"an input of shape {list(x_shape)} does not fit weights of {list(shape)}")
    axes, fixed = transposed_axes(place, options, shape[1:3], (options.strideH, options.strideW))
    check_output(place, (x_shape[0], *(axis.output for axis in axes), shape[0]))
    return SubPixel(*axes), fixed


def transposed_axes(
    place: Place, options: Any, kernel: tuple[int, ...], strides: tuple[int, ...]
) -> tuple[list[Axis], bool]:
    """The axes of a transposed convolution, and whether the file fixes the whole output shape.

    Args:
        place: the operator; its input 0 is the output's shape.
        options: its options.
        kernel: taps along each axis.
        strides: along each axis.

    Raises:
        Refused: a size is not in the file, or LiteRT does not take these sizes.
    """
    place.check_fixed()
    check_window(kernel, strides, (1,) * len(kernel))
    if math.prod(strides) > _MOST_PHASES:
        raise Refused("expansion_too_large", f"strides of {list(strides)} make more than {_MOST_PHASES} rows a channel")
    out, fixed = _output(place, len(kernel))
    same = options.padding == Padding.SAME
    sizes = zip(place.input_shape[1:], kernel, strides, out, strict=False)
    axes = [Axis(*each, same) for each in sizes]
    if not all(axis.valid for axis in axes):
        raise Refused("malformed", f"an output of {out} does not belong to an input of {place.input_shape[1:-1]}")
    return axes, fixed


def _output(place: Place, axes: int) -> tuple[tuple[int, ...], bool]:
    """Sizes of the output along the axes, and whether its shape is a constant of the file.

    A file with a batch of any size packs the shape from that and constants.
    """
    graph, subgraph = place.graph, place.subgraph
    shape = graph.input_tensor(subgraph, place.op, _OUTPUT_SHAPE)
    known = None if shape is None else graph.constant(shape, np.int32)
    if known is not None and known.shape == (axes + 2,):
        return tuple(int(size) for size in known[1:-1]), True
    writer = graph.writer(subgraph, int(place.op.inputs[_OUTPUT_SHAPE]))
    if writer is None or graph.op_name(writer) != "PACK" or len(writer.inputs) != axes + 2:
        raise Refused("dynamic_shape", "the output's sizes but for the batch must be constants of the file")
    sizes = [graph.constant(graph.tensor(subgraph, int(part)), np.int32) for part in writer.inputs[1:-1]]
    found = tuple(int(size.reshape(())) for size in sizes if size is not None and size.size == 1)
    if len(found) != axes:
        raise Refused("dynamic_shape", "the output's sizes but for the batch must be constants of the file")
    return found, False
