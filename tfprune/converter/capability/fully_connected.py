# SPDX-License-Identifier: Apache-2.0
"""``FULLY_CONNECTED`` as one of our layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfprune.converter.capability.layer import Layer, Numbers, Refused, activation, product
from tfprune.converter.capability.numbers import read_bias, read_numbers
from tfprune.converter.graph import Graph
from tfprune.converter.known_shapes import Sizes, known_shape
from tfprune.converter.schema import TensorType, tfl
from tfprune.costs import LayerShape
from tfprune.formats import Op, OpSpec


def read(graph: Graph, subgraph: int, index: int, op: Any) -> Layer:
    """Reads a ``FULLY_CONNECTED``.

    Raises:
        Refused: it has a form without sparse kernel, or contradicts itself.
    """
    numbers = read_numbers(graph, subgraph, op)
    options = op.builtinOptions
    if not isinstance(options, tfl.FullyConnectedOptionsT):
        raise Refused("malformed", "the operator has no fully-connected options")
    if options.weightsFormat != tfl.FullyConnectedOptionsWeightsFormat.DEFAULT:
        raise Refused("weights_format", "the weights must have the default format, got a shuffled one")
    shape = graph.shape(graph.tensor(subgraph, numbers.source))
    if len(shape) != 2 or min(shape) < 1:
        raise Refused("malformed", f"the weights must have 2 dimensions, got {list(shape)}")
    out_channels, features = shape
    x = int(op.inputs[0])
    x_shape = known_shape(graph, subgraph, x)
    rank = _feature_rank(x_shape, features)
    keep = bool(options.keepNumDims)
    if keep and rank != 1:
        raise Refused("features", f"with keep_num_dims the last dimension must be {features}, got {_text(x_shape)}")
    spec = OpSpec(
        Op.FULLY_CONNECTED,
        out_channels,
        features,
        activation=activation(options.fusedActivationFunction),
        keep_num_dims=keep,
    )
    x_values = product(tuple(size or 1 for size in known_shape(graph, subgraph, x, open_size=1)))
    cost_shape = LayerShape(
        fully_connected=True,
        out_channels=out_channels,
        columns=features,
        kernel_size=1,
        pixels=max(1, x_values // features),
        input_values=x_values,
        precision=numbers.priced_as,
        dense_precision=numbers.precision,
    )
    bias = read_bias(graph, subgraph, op, numbers, out_channels)
    _check_scales(graph, subgraph, numbers, bias)
    return Layer(subgraph, index, spec, (out_channels, rank, 1 + keep), cost_shape, numbers, bias)


def _check_scales(graph: Graph, subgraph: int, numbers: Numbers, bias: int | None) -> None:
    """Refuses int16 layers whose file repeats one scale for all channels, unless their bias is int64.

    Their stock op multiplies scales in float64, but with a single scale in float32; packed weights have a scale for
    each channel and take equal ones for a single one.
    """
    found = graph.tensor(subgraph, numbers.source).quantization
    if numbers.precision != "int16" or numbers.quantization is None or len(found.scale) == 1:
        return
    if bias is not None and graph.tensor(subgraph, bias).type == TensorType.INT64:
        return
    single, scale = np.float32(numbers.quantization.input_scale), numbers.quantization.scales[:1]
    products = float(single * scale[0]), float(single) * float(scale[0])
    if np.all(numbers.quantization.scales == scale) and products[0] != products[1]:
        raise Refused(
            "rounding", "all channels have the same scale, which stock LiteRT computes otherwise than one scale"
        )


def _feature_rank(shape: Sizes, features: int) -> int:
    """How many last dimensions of the input are the features."""
    values = 1
    for rank, size in enumerate(reversed(shape), 1):
        if size is None:
            break
        values *= max(1, size)
        if values == features:
            return rank
    raise Refused(
        "features", f"the last dimensions of the input must be fixed and multiply to {features}, got {_text(shape)}"
    )


def _text(shape: Sizes) -> str:
    return str([-1 if size is None else size for size in shape])
