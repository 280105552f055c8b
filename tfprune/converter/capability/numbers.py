# SPDX-License-Identifier: Apache-2.0
"""The precision of an operator: which types it has, where its weights are stored, and what their numbers mean."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.converter.capability.layer import BIAS_INPUT, STORED, WEIGHTS_INPUT, Numbers, Refused
from tfprune.converter.graph import Graph
from tfprune.converter.schema import TensorType
from tfprune.formats import Quantization

_TYPE_NAMES = {number: name.lower() for name, number in vars(TensorType).items() if isinstance(number, int)}
# Input, weights as they are stored, output.
_PRECISIONS = {
    ("float32", "float32", "float32"): "float32",
    ("float32", "float16", "float32"): "float16",
    ("int8", "int8", "int8"): "int8",
    ("float32", "int8", "float32"): "dynamic",
}
_LARGEST_SUM = 2**31 - 1


def read_numbers(
    graph: Graph, subgraph: int, op: Any, axis: int = 0, activation_input: int = 0, weights_input: int = WEIGHTS_INPUT
) -> Numbers:
    """Finds the weights of an operator and what their numbers mean.

    Args:
        graph: the model.
        subgraph: number of the operator's subgraph.
        op: the operator.
        axis: the axis of the weights that holds output channels, along which int8 scales may differ.
        activation_input: which of its inputs is the activation.
        weights_input: which of its inputs are the weights.

    Raises:
        Refused: the types have no sparse kernel, or the weights are no constant of the file.
    """
    x = graph.input_tensor(subgraph, op, activation_input)
    weights = graph.input_tensor(subgraph, op, weights_input)
    if x is None or weights is None or len(op.outputs) != 1 or op.outputs[0] < 0:
        raise Refused("malformed", "the operator lacks an input or its output")
    output = graph.tensor(subgraph, int(op.outputs[0]))
    source = source_of(graph, subgraph, int(op.inputs[weights_input]))
    stored = graph.tensor(subgraph, source)
    types = (_type_name(x), _type_name(stored), _type_name(output))
    precision = _PRECISIONS.get(types)
    # Halves are weights behind a DEQUANTIZE, all others are the op's own input.
    if precision is None or (precision == "float16") != (stored is not weights):
        raise Refused("precision", f"no sparse kernel for {types[0]} input, {types[1]} weights and {types[2]} output")
    if stored.sparsity is not None:
        raise Refused("already_sparse", "the weights already have TFLite's own sparse format")
    if stored.externalBuffer:
        raise Refused("weights_elsewhere", "the weights are in another file")
    if stored.isVariable or graph.constant(stored, STORED[precision][0]) is None:
        raise Refused("weights_not_constant", "the weights are not a constant of the file")
    if precision not in ("int8", "dynamic"):
        return Numbers(precision, source)
    shape = graph.shape(stored)
    scales = _weight_scales(stored, shape[axis] if len(shape) > axis else 1, axis)
    if precision == "dynamic":
        return Numbers(precision, source, Quantization(scales))
    return Numbers(precision, source, Quantization(scales, *_per_tensor("input", x), *_per_tensor("output", output)))


def read_bias(
    graph: Graph, subgraph: int, op: Any, numbers: Numbers, out_channels: int, bias_input: int = BIAS_INPUT
) -> int | None:
    """Tensor index of the constant that holds the bias, behind a ``DEQUANTIZE`` where there is one; None without any.

    Raises:
        Refused: no constant of the expected type and shape.
    """
    if graph.input_tensor(subgraph, op, bias_input) is None:
        return None
    source = source_of(graph, subgraph, int(op.inputs[bias_input]))
    bias = graph.tensor(subgraph, source)
    wanted = "int32" if numbers.precision == "int8" else "float32"
    allowed = ("float32", "float16") if wanted == "float32" else (wanted,)
    name = _type_name(bias)
    if name not in allowed or bias.isVariable or graph.constant(bias, name) is None:
        raise Refused("bias_not_constant", f"the bias must be a {wanted} constant of the file, got {name}")
    if graph.shape(bias) != (out_channels,):
        raise Refused("bias_shape", f"the bias must have shape [{out_channels}], got {list(graph.shape(bias))}")
    return source


def check_sums(matrix: npt.NDArray[Any], bias: npt.NDArray[Any] | None) -> None:
    """Refuses int8 weights whose sums may leave 32 bits, ``|bias[r]| + 255 * sum_c |q[r, c]| >= 2^31``."""
    largest = 255 * np.abs(matrix.astype(np.int16)).sum(axis=1, dtype=np.int64)
    if bias is not None:
        largest = largest + np.abs(bias.astype(np.int64))
    if int(largest.max(initial=0)) > _LARGEST_SUM:
        row = int(largest.argmax())
        raise Refused("sums", f"the sums of output channel {row} may leave 32 bits, got up to {int(largest[row])}")


def source_of(graph: Graph, subgraph: int, index: int) -> int:
    """The constant behind a ``DEQUANTIZE``, or ``index`` itself."""
    writer = graph.writer(subgraph, index)
    if writer is not None and graph.op_name(writer) == "DEQUANTIZE" and len(writer.inputs) == 1:
        source = int(writer.inputs[0])
        if source >= 0 and graph.raw(graph.tensor(subgraph, source)) is not None:
            return source
    return index


def _type_name(tensor: Any) -> str:
    return str(_TYPE_NAMES.get(tensor.type, tensor.type))


def _per_tensor(what: str, tensor: Any) -> tuple[float, int]:
    """The one scale and zero point of an int8 activation."""
    scales, zero_points = _parameters(tensor)
    if len(scales) != 1 or len(zero_points) != 1 or not (np.isfinite(scales[0]) and scales[0] > 0):
        raise Refused("quantization", f"the {what} must have one scale above 0 and one zero point")
    if not -128 <= zero_points[0] <= 127:
        raise Refused("quantization", f"the zero point of the {what} must lie in -128 .. 127, got {zero_points[0]}")
    return float(scales[0]), int(zero_points[0])


def _weight_scales(tensor: Any, out_channels: int, axis: int) -> npt.NDArray[np.float32]:
    scales, zero_points = _parameters(tensor)
    if len(scales) not in (1, out_channels) or not np.all(np.isfinite(scales) & (scales > 0)):
        raise Refused("quantization", f"the weights must have one or {out_channels} scales above 0, got {len(scales)}")
    if len(scales) > 1 and tensor.quantization.quantizedDimension != axis:
        raise Refused(
            "quantization",
            f"the scales of the weights must lie along axis {axis}, got {tensor.quantization.quantizedDimension}",
        )
    if np.any(zero_points != 0):
        raise Refused("quantization", "the zero points of int8 weights must be 0")
    return np.ascontiguousarray(np.broadcast_to(scales, (out_channels,)))


def _parameters(tensor: Any) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    quantization = tensor.quantization
    if quantization is None or quantization.scale is None or quantization.zeroPoint is None:
        raise Refused("quantization", "int8 tensors must have scales and zero points")
    return np.asarray(quantization.scale, np.float32), np.asarray(quantization.zeroPoint, np.int64)
