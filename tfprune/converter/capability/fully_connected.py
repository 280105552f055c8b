# SPDX-License-Identifier: Apache-2.0
"""``FULLY_CONNECTED`` as one of our layers."""

from __future__ import annotations

from typing import Any

from tfprune.converter.capability.layer import Layer, Refused, activation, product
from tfprune.converter.capability.numbers import read_bias, read_numbers
from tfprune.converter.graph import Graph
from tfprune.converter.schema import tfl
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
    x = graph.tensor(subgraph, int(op.inputs[0]))
    rank = _feature_rank(graph, x, features)
    keep = bool(options.keepNumDims)
    if keep and rank != 1:
        raise Refused("features", f"with keep_num_dims the last dimension must be {features}, got {graph.shape(x)}")
    spec = OpSpec(
        Op.FULLY_CONNECTED,
        out_channels,
        features,
        activation=activation(options.fusedActivationFunction),
        keep_num_dims=keep,
    )
    x_values = product(graph.shape(x))
    cost_shape = LayerShape(
        fully_connected=True,
        out_channels=out_channels,
        columns=features,
        kernel_size=1,
        pixels=max(1, x_values // features),
        input_values=x_values,
        precision=numbers.precision,
    )
    bias = read_bias(graph, subgraph, op, numbers, out_channels)
    return Layer(subgraph, index, spec, (out_channels, rank, 1 + keep), cost_shape, numbers, bias)


def _feature_rank(graph: Graph, x: Any, features: int) -> int:
    """How many last dimensions of ``x`` are the features."""
    shape = graph.shape(x)
    signature = shape if x.shapeSignature is None else tuple(int(size) for size in x.shapeSignature)
    if len(signature) != len(shape):
        signature = shape
    for rank in range(1, len(shape) + 1):
        if signature[-rank] < 0:
            break
        if product(shape[-rank:]) == features:
            return rank
    raise Refused(
        "features", f"the last dimensions of the input must be fixed and multiply to {features}, got {list(signature)}"
    )
