# SPDX-License-Identifier: Apache-2.0
"""``BATCH_MATMUL`` with a constant operand as a fully-connected layer."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from tfprune.converter.capability.convolution import Place, check_output
from tfprune.converter.capability.layer import Layer, Refused, product
from tfprune.converter.capability.numbers import by_builtin_kernel, read_numbers
from tfprune.converter.expand.batched import Product
from tfprune.converter.expand.steps import shape_after
from tfprune.converter.expand.surround import Surround, layout_costs
from tfprune.converter.graph import Graph
from tfprune.converter.schema import tfl
from tfprune.costs import LayerShape, StockOp
from tfprune.formats import Op, OpSpec, Rounding


def read(graph: Graph, subgraph: int, index: int, op: Any) -> Layer:
    """Reads a ``BATCH_MATMUL`` with one constant operand.

    Raises:
        Refused: both operands are activations, or the product has a form without sparse kernel.
    """
    options = op.builtinOptions
    if not isinstance(options, tfl.BatchMatMulOptionsT) or len(op.inputs) != 2:
        raise Refused("malformed", "the operator has no options of a matrix product")
    left = _is_constant(graph, subgraph, int(op.inputs[0]))
    if not left and not _is_constant(graph, subgraph, int(op.inputs[1])):
        raise Refused("weights_not_constant", "neither operand is a constant of the file")
    weights_input = 0 if left else 1
    numbers = read_numbers(graph, subgraph, op, 0, 1 - weights_input, weights_input)
    if numbers.precision in ("uint8", "int16"):
        raise Refused("precision", f"no sparse kernel rounds as LiteRT's matrix product of {numbers.precision} does")
    if left and numbers.precision == "dynamic":
        raise Refused("precision", "LiteRT has no product of int8 weights on the left with a float activation")
    if left:
        # XNNPACK takes int8 constants on the right only.
        numbers = by_builtin_kernel(numbers, Rounding.BUILTIN_AWAY)
    place = Place(graph, subgraph, index, op, numbers, 1 - weights_input)
    transposed = (options.adjX, options.adjY) if left else (options.adjY, options.adjX)
    plan, out_features = _plan(place, left, *map(bool, transposed))
    before, after = plan.before(), plan.after(out_features)
    flat = shape_after(before, place.input_shape)
    if plan.batches > 1:
        check_output(place, shape_after(after, (*flat[:-1], plan.batches * out_features)))
    spec = OpSpec(Op.FULLY_CONNECTED, plan.batches * out_features, flat[-1], keep_num_dims=True)
    if numbers.quantization is not None:
        scales = numbers.quantization.scales
        if not np.all(scales == scales[0]):
            raise Refused("quantization", "the constant operand must have one scale")
        spread = dataclasses.replace(numbers.quantization, scales=np.repeat(scales[:1], spec.out_channels))
        numbers = dataclasses.replace(numbers, quantization=spread)
    y_shape = (*flat[:-1], spec.out_channels)
    values = product(place.output_shape)
    cost_shape = LayerShape(
        fully_connected=True,
        out_channels=spec.out_channels,
        columns=spec.in_channels,
        kernel_size=1,
        pixels=product(flat[:-1]),
        input_values=product(flat),
        precision=numbers.precision,
        dense_op=StockOp("batch_matmul", values * (spec.in_channels // plan.batches), values),
        layout_ops=layout_costs(before, place.input_shape) + layout_costs(after, y_shape),
    )
    return Layer(
        subgraph,
        index,
        spec,
        (spec.out_channels, 1, 2),
        cost_shape,
        numbers,
        None,
        expand=plan,
        surround=Surround(subgraph, before, after, y_shape) if before or after else None,
        activation_input=place.activation_input,
        shared_rows=out_features,
    )


def _plan(place: Place, left: bool, constant_transposed: bool, activation_transposed: bool) -> tuple[Product, int]:
    """The product, and how many outputs one matrix has."""
    shape, weights = place.input_shape, place.weights_shape
    if len(weights) < 2 or len(shape) < 2 or min(weights) < 1:
        raise Refused("malformed", f"operands must have 2 dimensions, got {list(shape)} and {list(weights)}")
    out_features, features = weights[-2:]
    if constant_transposed == left:
        out_features, features = features, out_features
    batch = weights[:-2]
    batch_rank = 0 if math.prod(batch) == 1 else len(batch)
    if len(batch) > len(shape) - 2 or (batch_rank and shape[-2 - batch_rank : -2] != batch):
        raise Refused("broadcast", f"a constant of shape {list(weights)} is repeated over {list(shape)}")
    plan = Product(shape, batch_rank, left, constant_transposed, activation_transposed)
    if batch_rank:
        _check_batches(place, plan)
    if shape[plan.order[-1]] != features:
        raise Refused("malformed", f"operands of shapes {list(shape)} and {list(weights)} do not fit")
    return plan, out_features


def _check_batches(place: Place, plan: Product) -> None:
    """Refuses batched constants where a size is known only at run time that a reshape needs."""
    tensor = place.graph.tensor(place.subgraph, int(place.op.inputs[place.activation_input]))
    signature = plan.shape if tensor.shapeSignature is None else tuple(int(size) for size in tensor.shapeSignature)
    if len(signature) != len(plan.shape) or any(signature[axis] < 1 for axis in plan.order[1:]):
        raise Refused("dynamic_shape", f"all sizes but one must be fixed, got {list(signature)}")


def _is_constant(graph: Graph, subgraph: int, index: int) -> bool:
    if index < 0:
        return False
    writer = graph.writer(subgraph, index)
    if (
        writer is not None
        and graph.op_name(writer) == "DEQUANTIZE"
        and len(writer.inputs) == 1
        and writer.inputs[0] >= 0
    ):
        index = int(writer.inputs[0])
    return graph.raw(graph.tensor(subgraph, index)) is not None
