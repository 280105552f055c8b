# SPDX-License-Identifier: Apache-2.0
"""The layers of a ``.tflite`` file that can be pruned: their weights as matrices, and what they are multiplied with."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.converter.capability import Layer, LstmLayer, Refused, examine, layer_name
from tfprune.converter.graph import Graph
from tfprune.converter.weights import real_weights, stored_weights, weight_values
from tfprune.recipe import LayerInfo
from tfprune.sparsity.layouts import Layout
from tfprune.sparsity.reconstruct.moments import Parts, why_too_large
from tfprune.sparsity.reconstruct.samples import Window, dense_samples, transposed_samples, window_samples
from tfprune.tables import short_name

Array = npt.NDArray[Any]

#: Operators whose weights are pruned: how these make a matrix, and the Keras layer that becomes one.
OPERATORS = {
    "CONV_2D": (Layout("CONV_2D", "[out, h, w, in]", (0,), (1, 2), (3,)), "Conv2D"),
    "CONV_3D": (Layout("CONV_3D", "[d, h, w, in, out]", (4,), (0, 1, 2), (3,)), "Conv3D"),
    "CONV_3D_TRANSPOSE": (
        Layout("CONV_3D_TRANSPOSE", "[d, h, w, out, in]", (3,), (0, 1, 2), (4,)),
        "Conv3DTranspose",
    ),
    "DEPTHWISE_CONV_2D": (Layout("DEPTHWISE_CONV_2D", "[1, h, w, out]", (0, 3), (1, 2), ()), "DepthwiseConv2D"),
    "FULLY_CONNECTED": (Layout("FULLY_CONNECTED", "[out, in]", (0,), (), (1,)), "Dense"),
    "TRANSPOSE_CONV": (Layout("TRANSPOSE_CONV", "[out, h, w, in]", (0,), (1, 2), (3,)), "Conv2DTranspose"),
}
_PADDINGS = ("same", "valid")
# What stands between a dense layer and an output of the model: one input, nothing to learn.
_BEHIND_OUTPUT = ("SOFTMAX", "LOGISTIC", "RESHAPE", "LOG_SOFTMAX", "SQUEEZE")


@dataclass(frozen=True)
class FileLayer:
    """An operator with weights.

    Args:
        layer: Name of its output.
        operator: Its name, such as ``"CONV_2D"``.
        found: What the converter knows of it; None for operators that are not pruned.
        op: The operator in the graph.
        shape: Shape of the weights.
        values: The weights as real numbers in their own shape.
        unfit: Why it is not pruned; empty if it can be.
        makes_output: Whether it is a dense layer that makes an output of the model.
        shared: Whether other operators have the same weights.
    """

    layer: str
    operator: str
    found: Layer | None
    op: Any
    shape: tuple[int, ...]
    values: Array
    unfit: str
    makes_output: bool
    shared: bool

    @property
    def info(self) -> LayerInfo:
        """What a recipe may ask."""
        classes = (self.operator, OPERATORS[self.operator][1]) if self.operator in OPERATORS else (self.operator,)
        kernels = () if self.found is None else ("weights",)
        return LayerInfo(self.layer, short_name(self.layer), classes, kernels)

    @property
    def groups(self) -> int:
        """Groups of input channels of a convolution; as many as channels for a depthwise one."""
        if self.found is None or self.operator != "CONV_2D":
            return 1
        return self.found.spec.in_channels // self.shape[3]


def read_layers(graph: Graph) -> list[FileLayer]:
    """The operators with weights, in the order in which they run.

    Args:
        graph: The model.
    """
    outputs = _output_layers(graph)
    examined = []
    for subgraph, index, op in graph.operators():
        found = examine(graph, subgraph, index, op)
        tensor = None if found is None else stored_weights(graph, subgraph, op)
        if found is not None and tensor is not None:
            examined.append((subgraph, op, found, tensor))
    users = Counter(int(tensor.buffer) for *_, tensor in examined)
    taken: dict[int, str] = {}
    layers = []
    for subgraph, op, found, tensor in examined:
        name, operator = layer_name(graph, subgraph, op), graph.op_name(op)
        values = None if graph.raw(tensor) is None else weight_values(graph, tensor)
        unfit = _unfit(found, operator, tensor, taken)
        if not unfit and graph.buffer_uses(int(tensor.buffer)) > users[int(tensor.buffer)]:
            unfit = "its weights are used elsewhere as well"
        if values is None or not values.size:
            continue
        real = real_weights(graph, tensor) if not unfit else values
        assert real is not None
        taken.setdefault(int(tensor.buffer), name)
        layers.append(
            FileLayer(
                layer=name,
                operator=operator,
                found=found if isinstance(found, Layer) and not unfit else None,
                op=op,
                shape=tuple(values.shape),
                values=real,
                unfit=unfit,
                makes_output=id(op) in outputs,
                shared=users[int(tensor.buffer)] > 1,
            )
        )
    return layers


def _unfit(found: Layer | LstmLayer | Refused, operator: str, tensor: Any, taken: dict[int, str]) -> str:
    if isinstance(found, Refused):
        return found.text
    if isinstance(found, LstmLayer) or operator not in OPERATORS:
        return f"weights of {operator} are not pruned in files"
    if tensor.sparsity is not None:
        return "the weights have TFLite's own sparse encoding"
    if int(tensor.buffer) in taken:
        return f"shares its weights with {short_name(taken[int(tensor.buffer)])}"
    return ""


def _output_layers(graph: Graph) -> set[int]:
    """Ids of the dense operators that make outputs of the main subgraph, or a softmax, reshape or the like of them."""
    found = set()
    for output in graph.model.subgraphs[0].outputs:
        op = graph.writer(0, int(output))
        while op is not None and graph.op_name(op) in _BEHIND_OUTPUT:
            op = graph.writer(0, int(op.inputs[0]))
        if op is not None and graph.op_name(op) == "FULLY_CONNECTED":
            found.add(id(op))
    return found


def unread_reason(layer: FileLayer) -> str:
    """Why the weights of a layer cannot be reconstructed; empty if they can."""
    assert layer.found is not None
    if layer.found.precision != "float32":
        return f"weights of precision {layer.found.precision} keep their values; reconstruct the float32 model"
    if layer.shared:
        return "other operators share its weights"
    if layer.found.subgraph:
        return "inputs inside a loop or branch are not collected"
    if layer.operator not in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"):
        return f"the inputs of {layer.operator} are not collected"
    layout = OPERATORS[layer.operator][0]
    columns = math.prod(layer.shape[axis] for axis in (*layout.window, *layout.inputs))
    return why_too_large(columns)


def parts_of(layer: FileLayer, input_channels: int) -> tuple[Parts, int]:
    """Which weights of a layer read the same inputs.

    Args:
        layer: The layer.
        input_channels: Channels of its input.
    """
    if layer.operator == "DEPTHWISE_CONV_2D":
        return Parts.ROWS, input_channels
    return (Parts.ROWS, layer.groups) if layer.groups > 1 else (Parts.WHOLE, 1)


def samples_of(layer: FileLayer, inputs: Array, output_sizes: tuple[int, ...]) -> Iterator[Array]:
    """What the weights of a layer are multiplied with.

    Args:
        layer: The layer.
        inputs: Its activation input.
        output_sizes: Height and width of its output; used for transposed convolutions.

    Yields:
        ``[parts, samples, columns]``.
    """
    if layer.operator == "FULLY_CONNECTED":
        yield from dense_samples(inputs.reshape(-1, layer.shape[1]))
        return
    options, kernel = layer.op.builtinOptions, layer.shape[1:3]
    strides = (int(options.strideH), int(options.strideW))
    padding = _PADDINGS[int(options.padding)]
    if layer.operator == "TRANSPOSE_CONV":
        yield from transposed_samples(inputs, kernel, strides, padding, output_sizes)
        return
    dilations = (int(options.dilationHFactor), int(options.dilationWFactor))
    yield from window_samples(inputs, Window(kernel, strides, dilations, padding, parts_of(layer, inputs.shape[-1])[1]))


def as_stored(layer: FileLayer, graph: Graph, values: Array) -> npt.NDArray[np.uint8]:
    """New values of a layer's weights as the bytes of its constant; integers keep theirs or become their zero.

    Args:
        layer: The layer.
        graph: The model.
        values: The weights as real numbers, in their own shape; those of integers only say where zeros are.
    """
    assert layer.found is not None
    tensor = graph.tensor(layer.found.subgraph, layer.found.numbers.source)
    raw = graph.raw(tensor)
    assert raw is not None
    if layer.found.precision == "float32":
        stored = values.astype(np.float32)
    else:
        kind = np.dtype(np.float16) if layer.found.precision == "float16" else _integer(raw, values)
        old = raw.view(kind).reshape(layer.shape)
        kept = weight_values(graph, tensor)
        assert kept is not None
        # What stands for zero may differ from channel to channel.
        zero = old.astype(np.int64) - kept.astype(np.int64) if kind.kind in "iu" else 0
        stored = np.where(values != 0, old, zero).astype(kind)
    return np.ascontiguousarray(stored).reshape(-1).view(np.uint8)


def _integer(raw: Array, values: Array) -> np.dtype[Any]:
    assert raw.size == values.size, "only 8-bit weights have a sparse kernel"
    return np.dtype(np.uint8)
