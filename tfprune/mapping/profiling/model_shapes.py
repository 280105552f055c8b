# SPDX-License-Identifier: Apache-2.0
"""The shapes of a model's layers and of its other operators, as what is measured."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, TypeVar

from tfprune.converter.api import tflite_bytes
from tfprune.converter.calibration import Quantizer
from tfprune.converter.capability import Layer, examine
from tfprune.converter.graph import Graph
from tfprune.formats import Op
from tfprune.mapping.other_operators import FREE, STOCK_NAMES
from tfprune.mapping.profiling.layer_sizes import LayerSizes
from tfprune.mapping.profiling.stock_sizes import StockLayer

Found = TypeVar("Found")
_IMAGE = 4
_PER_VALUE = ("elementwise", "activation")


class ModelShapes(NamedTuple):
    """What a model consists of.

    Attributes:
        layers: its convolutions and fully-connected layers that one line can describe, each once.
        stock_layers: its other operators, as far as models of one op can be made of them, each once.
        stock_names: what the tables call its other operators, and those that its layers would need when sparse.
        unknown: LiteRT's names of operators that no table knows.
    """

    layers: tuple[LayerSizes, ...]
    stock_layers: tuple[StockLayer, ...]
    stock_names: tuple[str, ...]
    unknown: tuple[str, ...]


def model_shapes(model: Any) -> ModelShapes:
    """Reads a model; of a Keras model the float32 file, whose shapes are those of every precision.

    Args:
        model: a Keras model, the path of a ``.keras``, SavedModel or ``.tflite`` file, or its bytes.

    Raises:
        ModelError: it is none, or cannot be read.
        ConversionError: LiteRT's converter refuses the model.
    """
    data, _, subject = tflite_bytes(model, None, Quantizer("float32", None))
    graph = Graph(data, subject)
    layers: list[LayerSizes] = []
    stock: list[StockLayer] = []
    names: list[str] = []
    unknown: list[str] = []
    for subgraph, index, op in graph.operators():
        name = graph.op_name(op)
        layer = examine(graph, subgraph, index, op)
        if isinstance(layer, Layer):
            ops = (*layer.cost_shape.layout_ops, *([layer.cost_shape.dense_op] if layer.cost_shape.dense_op else []))
            names.extend(each.name for each in ops)
            if layer.expand is None and (sizes := _layer_sizes(graph, layer, op)):
                layers.append(sizes)
        known = STOCK_NAMES.get(name)
        if known is not None:
            names.append(known)
            stock.extend(_stock_layer(graph, subgraph, op, known, name))
        elif not isinstance(layer, Layer) and name not in FREE:
            unknown.append(name)
    return ModelShapes(_once(layers), _once(stock), _once(names), _once(unknown))


def _once(found: list[Found]) -> tuple[Found, ...]:
    return tuple(dict.fromkeys(found))


def _layer_sizes(graph: Graph, layer: Layer, op: Any) -> LayerSizes | None:
    """The layer as a line; None where rows and columns of it differ."""
    spec, shape = layer.spec, layer.cost_shape
    if spec.op != Op.CONV_2D:
        return LayerSizes("fc", 1, 1, spec.in_channels, spec.out_channels, 1, 1, shape.pixels)
    if spec.kernel_h != spec.kernel_w or spec.stride_h != spec.stride_w or layer.image is None:
        return None
    # As many outputs with SAME padding, whatever its own is.
    height, width = (size * spec.stride_h for size in layer.image)
    batch = max(1, shape.pixels // math.prod(layer.image))
    return LayerSizes("conv", height, width, spec.in_channels, spec.out_channels, spec.kernel_h, spec.stride_h, batch)


def _stock_layer(graph: Graph, subgraph: int, op: Any, name: str, operator: str) -> list[StockLayer]:
    """The operator as a line, where a line can describe it."""
    given, made = (
        tuple(max(1, size) for size in graph.shape(graph.tensor(subgraph, int(index))))
        for index in (op.inputs[0], op.outputs[0])
    )
    options = op.builtinOptions
    if name in _PER_VALUE and operator in ("ADD", "MUL", "HARD_SWISH", "LOGISTIC", "TANH", "SOFTMAX", "GELU"):
        return [StockLayer(name, made, made[-1], 1, 1, 1, operator)] if len(made) > 1 else []
    if len(given) != _IMAGE:
        return []
    if name == "reduction" and operator == "MEAN" and math.prod(made) == given[0] * given[-1]:
        return [StockLayer(name, given, given[-1], 1, 1, 1, operator)]
    if name == "pooling" and options.filterHeight == options.filterWidth and options.strideH == options.strideW:
        image = (given[0], *(size * options.strideH for size in made[1:3]), given[3])
        return [StockLayer(name, image, given[3], options.filterHeight, options.strideH, 1, operator)]
    if name == "depthwise_conv_2d" and options.strideH == options.strideW and made[3] == given[3]:
        height, width = graph.shape(graph.tensor(subgraph, int(op.inputs[1])))[1:3]
        image = (given[0], *(size * options.strideH for size in made[1:3]), given[3])
        return [StockLayer(name, image, made[3], height, options.strideH, 1)] if height == width else []
    return []
