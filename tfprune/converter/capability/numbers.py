# SPDX-License-Identifier: Apache-2.0
"""The precision of an operator: which types it has, where its weights are stored, and what their numbers mean."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.converter.capability.layer import BIAS_INPUT, STORED, WEIGHTS_INPUT, Layer, Numbers, Refused
from tfprune.converter.graph import Graph
from tfprune.converter.weights import PRECISIONS, type_name
from tfprune.formats import ActivationType, Quantization, Rounding
from tfprune.formats.cover import row_parts

Scales = npt.NDArray[np.float32]

#: Why an operator without them stays.
NO_BIAS_SCALES = (
    "stock LiteRT runs an operator whose bias has not scales above 0 and zero points 0 in kernels that round otherwise"
)
_FLOATS = ("float32", "float16", "dynamic", "weight_only")


@dataclasses.dataclass(frozen=True)
class _Activations:
    """What integer activations may be, and how the default interpreter computes with them.

    Attributes:
        kind: their type in the format.
        rounding: XNNPACK's where it runs such ops, else that of the builtin kernels.
        zero_points: lowest and highest zero point.
        largest: largest size of an input without its zero point.
        largest_sum: what no sum may exceed.
        bias: types that a bias may have; None of them for a convolution's ``int32`` beside int16.
    """

    kind: ActivationType
    rounding: Rounding
    zero_points: tuple[int, int]
    largest: int
    largest_sum: int
    bias: tuple[str, ...] = ("int32",)


_ACTIVATIONS = {
    "int8": _Activations(ActivationType.INT8, Rounding.XNNPACK, (-128, 127), 255, 2**31 - 1),
    "uint8": _Activations(ActivationType.UINT8, Rounding.XNNPACK, (0, 255), 255, 2**31 - 1),
    "int16": _Activations(ActivationType.INT16, Rounding.BUILTIN, (0, 0), 2**15, 2**37, ("int32", "int64")),
}
# From this on builtin kernels fail.
_BUILTIN_FACTOR = 128


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
    source = graph.source(subgraph, int(op.inputs[weights_input]))
    stored = graph.tensor(subgraph, source)
    types = (type_name(x), type_name(stored), type_name(output))
    precision = PRECISIONS.get((types[0], type_name(weights), types[1])) if types[0] == types[2] else None
    if precision is None:
        raise Refused("precision", f"no sparse kernel for {types[0]} input, {types[1]} weights and {types[2]} output")
    if stored.externalBuffer:
        raise Refused("weights_elsewhere", "the weights are in another file")
    if stored.isVariable or graph.constant(stored, STORED[precision][0]) is None:
        raise Refused(
            "weights_not_constant", f"the weights are not a constant of the file but {_origin(graph, subgraph, source)}"
        )
    if precision in ("float32", "float16"):
        return Numbers(precision, source)
    if precision == "weight_only":
        _check_dequantized(stored)
        return Numbers(precision, source)
    shape = graph.shape(stored)
    scales, zero_points = _weight_scales(stored, precision, shape[axis] if len(shape) > axis else 1, axis)
    # XNNPACK leaves int8 weights with a zero point to the builtin kernel, which is right for these only.
    centred = precision == "int8" and graph.op_name(op) == "FULLY_CONNECTED" and len(zero_points) == 1
    zero_point = _weight_zero_point(stored, precision, zero_points, (-128, 127) if centred else (0, 0))
    if precision == "dynamic":
        return Numbers(precision, source, Quantization(scales))
    known = _ACTIVATIONS[precision]
    if known.rounding == Rounding.XNNPACK:
        _check_dimensions({"input": x, "output": output} | ({"weights": stored} if precision == "uint8" else {}))
    given, made = _per_tensor("input", x, known.zero_points), _per_tensor("output", output, known.zero_points)
    quantization = Quantization(scales, *given, *made, known.kind, known.rounding)
    if known.rounding != Rounding.XNNPACK:
        _check_factor(quantization)
    numbers = Numbers(precision, source, dataclasses.replace(quantization, weight_zero_point=zero_point))
    return by_builtin_kernel(numbers, Rounding.BUILTIN) if centred and zero_point else numbers


def by_builtin_kernel(numbers: Numbers, rounding: Rounding, stock_channels: int = 0) -> Numbers:
    """The numbers of an operator that XNNPACK leaves to one of LiteRT's builtin kernels.

    Args:
        numbers: those of an operator that XNNPACK runs; others come back as they are.
        rounding: that of the builtin kernel.
        stock_channels: as in :class:`~tfprune.formats.Quantization`.

    Raises:
        Refused: scales that the builtin kernels do not take.
    """
    known = numbers.quantization
    if known is None or known.rounding != Rounding.XNNPACK:
        return numbers
    _check_factor(known)
    return dataclasses.replace(
        numbers, quantization=dataclasses.replace(known, rounding=rounding, stock_channels=stock_channels)
    )


def _check_factor(known: Quantization) -> None:
    factor = float(known.input_scale * known.scales.astype(np.float64).max() / known.output_scale)
    if factor >= _BUILTIN_FACTOR:
        raise Refused("quantization", f"input_scale * scale / output_scale must be below 128, got {factor:g}")


def read_bias(
    graph: Graph, subgraph: int, op: Any, numbers: Numbers, out_channels: int, bias_input: int = BIAS_INPUT
) -> int | None:
    """Tensor index of the constant that holds the bias, behind a ``DEQUANTIZE`` where there is one; None without any.

    Raises:
        Refused: no constant of the expected type and shape.
    """
    if graph.input_tensor(subgraph, op, bias_input) is None:
        return None
    source = graph.source(subgraph, int(op.inputs[bias_input]))
    bias = graph.tensor(subgraph, source)
    allowed = ("float32", "float16") if numbers.precision in _FLOATS else _ACTIVATIONS[numbers.precision].bias
    name = type_name(bias)
    # The builtin kernel of such a convolution reads beyond the end of an int32 bias.
    overrun = numbers.precision == "int16" and name == "int32" and graph.op_name(op) != "FULLY_CONNECTED"
    if name not in allowed or overrun or bias.isVariable or graph.constant(bias, name) is None:
        raise Refused(
            "bias_not_constant",
            f"the bias must be a constant of the file of type {' or '.join(allowed)}"
            f"{' (int64 in convolutions)' if numbers.precision == 'int16' else ''}, got {name}",
        )
    if graph.shape(bias) != (out_channels,):
        raise Refused("bias_shape", f"the bias must have shape [{out_channels}], got {list(graph.shape(bias))}")
    if numbers.precision in ("int8", "uint8") and not is_scaled(bias):
        raise Refused("rounding", NO_BIAS_SCALES)
    return source


def is_scaled(bias: Any) -> bool:
    """Whether XNNPACK runs an int8 or uint8 operator with this bias, for all that is said of the bias' scales."""
    found = bias.quantization
    if found is None or found.scale is None or found.zeroPoint is None or not len(found.scale):
        return False
    return bool(np.all(np.isfinite(found.scale) & (found.scale > 0)) and not np.any(found.zeroPoint))


def check_sums(layer: Layer, graph: Graph) -> None:
    """Refuses integer weights whose sums may leave what the kernels add up exactly.

    That is ``|bias[r]| + largest * sum_c |q[r, c]|``, with the largest input that the type of the activations has.

    Raises:
        Refused: a row's sums may exceed 2^31 - 1 (int16 activations: 2^37).
    """
    if layer.precision in _FLOATS:
        return
    known = _ACTIVATIONS[layer.precision]
    matrix = layer.matrix(graph)
    largest = np.zeros(len(matrix), np.int64)
    for part in row_parts(matrix):
        sizes = np.abs(matrix[part].astype(np.int16) - layer.zero_point)
        largest[part] = known.largest * sizes.sum(axis=1, dtype=np.int64)
    if layer.bias is not None:
        tensor = graph.tensor(layer.subgraph, layer.bias)
        bias = graph.constant(tensor, type_name(tensor))
        assert bias is not None, "the reader of the layer looked at it"
        largest += np.tile(np.abs(bias.astype(np.int64)), layer.bias_repeats)
    if int(largest.max(initial=0)) > known.largest_sum:
        row = int(largest.argmax())
        bits = known.largest_sum.bit_length()
        raise Refused("sums", f"the sums of output channel {row} may leave {bits} bits, got up to {int(largest[row])}")


def _check_dimensions(tensors: Mapping[str, Any]) -> None:
    """Refuses tensors with one scale along a dimension other than the first.

    The dimension says nothing there, but XNNPACK leaves such operators to the builtin kernels, which round otherwise.
    """
    for what, tensor in tensors.items():
        dimension = 0 if tensor.quantization is None else int(tensor.quantization.quantizedDimension)
        if dimension:
            raise Refused("quantization", f"the quantized dimension of the {what} must be 0, got {dimension}")


def _per_tensor(what: str, tensor: Any, zero_points: tuple[int, int]) -> tuple[float, int]:
    """The one scale and zero point of an integer activation."""
    scales, found = _parameters(tensor)
    if len(scales) != 1 or len(found) != 1 or not (np.isfinite(scales[0]) and scales[0] > 0):
        raise Refused("quantization", f"the {what} must have one scale above 0 and one zero point")
    low, high = zero_points
    if not low <= found[0] <= high:
        raise Refused("quantization", f"the zero point of the {what} must lie in {low} .. {high}, got {found[0]}")
    return float(scales[0]), int(found[0])


def _weight_scales(tensor: Any, precision: str, out_channels: int, axis: int) -> tuple[Scales, npt.NDArray[np.int64]]:
    """Scales for every output channel, and the zero points as they are in the file."""
    scales, zero_points = _parameters(tensor)
    unsigned = precision == "uint8"
    if len(scales) not in ((1,) if unsigned else (1, out_channels)) or not np.all(np.isfinite(scales) & (scales > 0)):
        wanted = "one scale" if unsigned else f"one or {out_channels} scales"
        raise Refused("quantization", f"the weights must have {wanted} above 0, got {len(scales)}")
    if len(scales) > 1 and tensor.quantization.quantizedDimension != axis:
        raise Refused(
            "quantization",
            f"the scales of the weights must lie along axis {axis}, got {tensor.quantization.quantizedDimension}",
        )
    return np.ascontiguousarray(np.broadcast_to(scales, (out_channels,))), zero_points


def _weight_zero_point(
    tensor: Any, precision: str, zero_points: npt.NDArray[np.int64], of_int8: tuple[int, int]
) -> int:
    """The zero point of the weights, in the range of uint8 or in ``of_int8``."""
    low, high = (0, 255) if precision == "uint8" else of_int8
    zero_point = int(zero_points[0]) if low < high and len(zero_points) == 1 else 0
    if np.any(zero_points != zero_point) or not low <= zero_point <= high:
        wanted = f"one in {low} .. {high}" if low < high else "0"
        raise Refused("quantization", f"the zero points of {type_name(tensor)} weights must be {wanted}")
    return zero_point


def _origin(graph: Graph, subgraph: int, index: int) -> str:
    """What weights are that are no constant."""
    tensor, writer = graph.tensor(subgraph, index), graph.writer(subgraph, index)
    if tensor.isVariable:
        return "a variable"
    if graph.raw(tensor) is not None:
        return "a constant without as many values as its shape says"
    return "an input of their subgraph" if writer is None else f"made by {graph.op_name(writer)}"


def _check_dequantized(tensor: Any) -> None:
    """Refuses weights that DEQUANTIZE would not make finite numbers of, one or one an index of an axis at a time."""
    scales, zero_points = _parameters(tensor)
    shape, axis = tensor.shape, int(tensor.quantization.quantizedDimension)
    allowed = {1, int(shape[axis])} if 0 <= axis < len(shape) else {1}
    if not len(scales) == len(zero_points) in allowed or not np.all(np.isfinite(scales)):
        raise Refused(
            "quantization",
            f"the weights must have one finite scale and zero point, or one for each index of axis {axis}, "
            f"got {len(scales)} and {len(zero_points)}",
        )


def _parameters(tensor: Any) -> tuple[Scales, npt.NDArray[np.int64]]:
    quantization = tensor.quantization
    if quantization is None or quantization.scale is None or quantization.zeroPoint is None:
        raise Refused("quantization", "integer tensors must have scales and zero points")
    return np.asarray(quantization.scale, np.float32), np.asarray(quantization.zeroPoint, np.int64)
