# SPDX-License-Identifier: Apache-2.0
"""The stored weights of any operator, whether a sparse kernel could run it or not: their precision and their zeros."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.converter.graph import Graph
from tfprune.converter.schema import TensorType

_INTEGERS = (TensorType.INT8, TensorType.UINT8, TensorType.INT16, TensorType.INT4)
_SHAPE_FIRST = ("CONV_3D_TRANSPOSE", "TRANSPOSE_CONV")
_TYPE_NAMES = {number: name.lower() for name, number in vars(TensorType).items() if isinstance(number, int)}
# Types that numpy has; bfloat16 is read besides.
_READABLE = ("float32", "float16", "float64", "int8", "uint8", "int16")
#: Precisions of sparse kernels by the types of the activations, of the weights as the operator reads them and of the
#: weights as they are stored; the last two differ behind a ``DEQUANTIZE``.
PRECISIONS = {
    ("float32", "float32", "float32"): "float32",
    ("float32", "float32", "float16"): "float16",
    ("int8", "int8", "int8"): "int8",
    ("float32", "int8", "int8"): "dynamic",
    ("float32", "float32", "int8"): "weight_only",
    ("uint8", "uint8", "uint8"): "uint8",
    ("int16", "int8", "int8"): "int16",
}


def operands(graph: Graph, subgraph: int, op: Any) -> tuple[int, int]:
    """Which inputs of an operator are the activation and the weights.

    Transposed convolutions have the shape of their output first, fused LSTMs the gates' weights from 1 on, of which
    they may leave out the first, and matrix products may have their constant on either side.
    """
    name = graph.op_name(op)
    if name in _SHAPE_FIRST:
        return 2, 1
    if name == "UNIDIRECTIONAL_SEQUENCE_LSTM":
        return 0, 2
    if name == "BATCH_MATMUL" and len(op.inputs) and op.inputs[0] >= 0:
        first = graph.tensor(subgraph, graph.source(subgraph, int(op.inputs[0])))
        return (1, 0) if graph.raw(first) is not None else (0, 1)
    return 0, 1


def stored_weights(graph: Graph, subgraph: int, op: Any) -> Any | None:
    """The constant tensor that holds an operator's weights, behind conversions such as ``DEQUANTIZE``.

    Args:
        graph: the model.
        subgraph: number of the operator's subgraph.
        op: the operator.

    Returns:
        The ``TensorT``; the operator's own weights input where no constant is found; None without that input.
    """
    position = operands(graph, subgraph, op)[1]
    weights = graph.input_tensor(subgraph, op, position)
    if weights is None or graph.raw(weights) is not None:
        return weights
    return graph.tensor(subgraph, graph.source(subgraph, int(op.inputs[position])))


def precision_of(graph: Graph, subgraph: int, op: Any) -> str | None:
    """Names what an operator computes with.

    Returns:
        ``"float32"``, ``"float16"``, ``"int8"``, ``"uint8"``, ``"dynamic"`` (int8 weights, float32 activations),
        ``"weight_only"`` (int8 weights that ``DEQUANTIZE`` makes float32), ``"int16"`` (int8 weights, int16
        activations), or the name of any other stored type; None without weights.
    """
    weights = stored_weights(graph, subgraph, op)
    if weights is None:
        return None
    x, read = (graph.input_tensor(subgraph, op, position) for position in operands(graph, subgraph, op))
    stored = type_name(weights)
    return stored if x is None else PRECISIONS.get((type_name(x), type_name(read), stored), stored)


def type_name(tensor: Any) -> str:
    """``"float32"`` and the like; the number of a type that has no name."""
    return str(_TYPE_NAMES.get(tensor.type, tensor.type))


def weight_values(graph: Graph, tensor: Any) -> npt.NDArray[Any] | None:
    """Numbers of a constant that are 0 where the weight is 0: quantised ones without their zero point.

    Args:
        graph: the model.
        tensor: the ``TensorT`` of the weights.

    Returns:
        An array in the tensor's shape; None where it is no constant of the file, or has a type that is not read here.
    """
    name = type_name(tensor)
    if tensor.externalBuffer:
        return None
    if name == "bfloat16":
        bits = graph.constant(tensor, np.uint16)
        return None if bits is None else (bits.astype(np.uint32) << 16).view(np.float32)
    values = graph.constant(tensor, name) if name in _READABLE else None
    if values is None or values.dtype.kind == "f":
        return values
    zero_points = _along_axis(tensor, "zeroPoint", values.ndim)
    return values if zero_points is None or not zero_points.any() else values.astype(np.int64) - zero_points


def real_weights(graph: Graph, tensor: Any) -> npt.NDArray[Any] | None:
    """As :func:`weight_values`, quantised ones times their scale: float32."""
    values = weight_values(graph, tensor)
    if values is None or values.dtype.kind == "f":
        return values
    scales = _along_axis(tensor, "scale", values.ndim)
    return values.astype(np.float32) if scales is None else (values * scales).astype(np.float32)


def share_of_zeros(graph: Graph, tensor: Any) -> float | None:
    """Share of the weights that are zero, in [0, 1]; None where they cannot be read or there are none."""
    values = weight_values(graph, tensor)
    return None if values is None or not values.size else 1 - np.count_nonzero(values) / values.size


def holds_quantized(graph: Graph) -> bool:
    """Whether a tensor of the model is quantized, weights or activations."""
    tensors = (tensor for subgraph in graph.model.subgraphs for tensor in subgraph.tensors)
    return any(
        tensor.type in _INTEGERS and tensor.quantization is not None and np.size(tensor.quantization.scale)
        for tensor in tensors
    )


def _along_axis(tensor: Any, field: str, rank: int) -> npt.NDArray[Any] | None:
    """Scales or zero points of a tensor in a shape that broadcasts to it; None where they do not fit it."""
    found = None if tensor.quantization is None else getattr(tensor.quantization, field)
    if found is None or not len(found):
        return None
    found = np.asarray(found)
    if found.size == 1:
        return found
    axis = int(tensor.quantization.quantizedDimension)
    if not 0 <= axis < rank or found.size != tensor.shape[axis]:
        return None
    return found.reshape([-1 if place == axis else 1 for place in range(rank)])
