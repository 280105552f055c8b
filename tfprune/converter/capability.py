# SPDX-License-Identifier: Apache-2.0
"""Which operators tfprune has a sparse kernel for, and the named reason where it has none for one of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.converter.graph import Graph
from tfprune.converter.schema import TensorType, text, tfl
from tfprune.costs import LayerShape
from tfprune.formats import Activation, Op, OpSpec, Padding

WEIGHTS_INPUT = 1
BIAS_INPUT = 2
_EXTENT_LIMIT = 2**31
CUSTOM_CODES = {Op.CONV_2D: "TfpruneConv2D", Op.FULLY_CONNECTED: "TfpruneFullyConnected"}

_ACTIVATION_NAMES = {
    number: name for name, number in vars(tfl.ActivationFunctionType).items() if isinstance(number, int)
}
_TYPE_NAMES = {number: name for name, number in vars(TensorType).items() if isinstance(number, int)}
_KNOWN_ACTIVATIONS = ", ".join(item.name for item in Activation)


class Refused(Exception):  # noqa: N818 (a reason, not an error: it never leaves the converter)
    """Why an operator stays as it is: a short ``code`` for programs and a ``text`` for people."""

    def __init__(self, code: str, text: str) -> None:
        """Holds both."""
        super().__init__(text)
        self.code = code
        self.text = text


@dataclasses.dataclass(frozen=True)
class Layer:
    """An operator that a sparse kernel could run.

    Attributes:
        subgraph: number of its subgraph.
        index: its place among the subgraph's operators.
        spec: what it computes.
        geometry: shape of the geometry input of ``docs/formats.md``.
        cost_shape: its sizes for the predictor.
        weights: tensor index of the weights.
        bias: tensor index of the bias, or None.
        image: height and width of a convolution's output; (1, 1) of a fully-connected layer's.
    """

    subgraph: int
    index: int
    spec: OpSpec
    geometry: tuple[int, ...]
    cost_shape: LayerShape
    weights: int
    bias: int | None
    image: tuple[int, int] = (1, 1)

    def matrix(self, graph: Graph) -> npt.NDArray[np.float32]:
        """The weight matrix, float32 ``[R, C]``."""
        constant = graph.constant(graph.tensor(self.subgraph, self.weights), np.float32)
        if constant is None:
            raise Refused("weights_not_constant", "the weights are not a constant of the file")
        return constant.reshape(self.spec.out_channels, self.spec.columns)


def _check_float(graph: Graph, subgraph: int, op: Any) -> tuple[Any, Any, Any]:
    """Input, weights and output tensors, all float32, the weights constant."""
    x = graph.input_tensor(subgraph, op, 0)
    weights = graph.input_tensor(subgraph, op, WEIGHTS_INPUT)
    if x is None or weights is None or len(op.outputs) != 1 or op.outputs[0] < 0:
        raise Refused("malformed", "the operator lacks an input or its output")
    output = graph.tensor(subgraph, int(op.outputs[0]))
    for what, tensor in (("input", x), ("weights", weights), ("output", output)):
        if tensor.type != TensorType.FLOAT32:
            name = _TYPE_NAMES.get(tensor.type, str(tensor.type))
            raise Refused("not_float32", f"the {what} must be float32, got {name.lower()}")
    if weights.sparsity is not None:
        raise Refused("already_sparse", "the weights already have TFLite's own sparse format")
    if weights.externalBuffer:
        raise Refused("weights_elsewhere", "the weights are in another file")
    if weights.isVariable or graph.constant(weights, np.float32) is None:
        raise Refused("weights_not_constant", "the weights are not a constant of the file")
    return x, weights, output


def _bias(graph: Graph, subgraph: int, op: Any, out_channels: int) -> int | None:
    bias = graph.input_tensor(subgraph, op, BIAS_INPUT)
    if bias is None:
        return None
    if bias.type != TensorType.FLOAT32 or graph.constant(bias, np.float32) is None:
        raise Refused("bias_not_constant", "the bias must be a float32 constant of the file")
    if graph.shape(bias) != (out_channels,):
        raise Refused("bias_shape", f"the bias must have shape [{out_channels}], got {list(graph.shape(bias))}")
    return int(op.inputs[BIAS_INPUT])


def _activation(number: int) -> Activation:
    try:
        return Activation(number)
    except ValueError:
        name = _ACTIVATION_NAMES.get(number, str(number))
        raise Refused("activation", f"the fused activation must be one of {_KNOWN_ACTIVATIONS}, got {name}") from None


def _conv_2d(graph: Graph, subgraph: int, index: int, op: Any) -> Layer:
    x, weights, output = _check_float(graph, subgraph, op)
    options = op.builtinOptions
    if not isinstance(options, tfl.Conv2DOptionsT):
        raise Refused("malformed", "the operator has no convolution options")
    shape, x_shape, y_shape = graph.shape(weights), graph.shape(x), graph.shape(output)
    if len(shape) != 4 or len(x_shape) != 4 or len(y_shape) != 4 or min(shape) < 1:
        raise Refused("malformed", f"input and weights must have 4 dimensions, got {list(x_shape)} and {list(shape)}")
    out_channels, kernel_h, kernel_w, in_channels = shape
    if x_shape[3] != in_channels:
        if x_shape[3] > in_channels and x_shape[3] % in_channels == 0:
            groups = x_shape[3] // in_channels
            raise Refused("grouped", f"no sparse kernel for grouped convolutions, got {groups} groups")
        raise Refused("malformed", f"the input must have {in_channels} channels, got {x_shape[3]}")
    if options.padding not in (Padding.SAME, Padding.VALID):
        raise Refused("padding", f"the padding must be SAME or VALID, got {options.padding}")
    strides = (options.strideH, options.strideW, options.dilationHFactor, options.dilationWFactor)
    if min(strides) < 1:
        raise Refused("malformed", f"strides and dilations must be at least 1, got {strides}")
    extents = ((kernel_h - 1) * strides[2] + 1, (kernel_w - 1) * strides[3] + 1)
    if max(extents) >= _EXTENT_LIMIT:
        raise Refused("malformed", f"(kernel - 1) * dilation + 1 must be below 2^31, got {extents}")
    spec = OpSpec(
        Op.CONV_2D,
        out_channels,
        in_channels,
        kernel_h,
        kernel_w,
        *strides,
        padding=Padding(options.padding),
        activation=_activation(options.fusedActivationFunction),
    )
    if spec.padding == Padding.SAME:
        extents = (1, 1)
    return Layer(
        subgraph,
        index,
        spec,
        (out_channels, *strides[:2], *extents),
        LayerShape(
            fully_connected=False,
            out_channels=out_channels,
            columns=spec.columns,
            kernel_size=kernel_h * kernel_w,
            pixels=_product(y_shape[:3]),
            input_values=_product(x_shape),
        ),
        int(op.inputs[WEIGHTS_INPUT]),
        _bias(graph, subgraph, op, out_channels),
        (int(y_shape[1]), int(y_shape[2])),
    )


def _fully_connected(graph: Graph, subgraph: int, index: int, op: Any) -> Layer:
    x, weights, _ = _check_float(graph, subgraph, op)
    options = op.builtinOptions
    if not isinstance(options, tfl.FullyConnectedOptionsT):
        raise Refused("malformed", "the operator has no fully-connected options")
    if options.weightsFormat != tfl.FullyConnectedOptionsWeightsFormat.DEFAULT:
        raise Refused("weights_format", "the weights must have the default format, got a shuffled one")
    shape = graph.shape(weights)
    if len(shape) != 2 or min(shape) < 1:
        raise Refused("malformed", f"the weights must have 2 dimensions, got {list(shape)}")
    out_channels, features = shape
    rank = _feature_rank(graph, x, features)
    keep = bool(options.keepNumDims)
    if keep and rank != 1:
        raise Refused("features", f"with keep_num_dims the last dimension must be {features}, got {graph.shape(x)}")
    spec = OpSpec(
        Op.FULLY_CONNECTED,
        out_channels,
        features,
        activation=_activation(options.fusedActivationFunction),
        keep_num_dims=keep,
    )
    x_values = _product(graph.shape(x))
    return Layer(
        subgraph,
        index,
        spec,
        (out_channels, rank, 1 + keep),
        LayerShape(
            fully_connected=True,
            out_channels=out_channels,
            columns=features,
            kernel_size=1,
            pixels=max(1, x_values // features),
            input_values=x_values,
        ),
        int(op.inputs[WEIGHTS_INPUT]),
        _bias(graph, subgraph, op, out_channels),
    )


def _feature_rank(graph: Graph, x: Any, features: int) -> int:
    """How many last dimensions of ``x`` are the features."""
    shape = graph.shape(x)
    signature = shape if x.shapeSignature is None else tuple(int(size) for size in x.shapeSignature)
    if len(signature) != len(shape):
        signature = shape
    for rank in range(1, len(shape) + 1):
        if signature[-rank] < 0:
            break
        if _product(shape[-rank:]) == features:
            return rank
    raise Refused(
        "features", f"the last dimensions of the input must be fixed and multiply to {features}, got {list(signature)}"
    )


def _product(sizes: tuple[int, ...]) -> int:
    """Product of sizes; an unknown or empty dimension counts as 1."""
    return int(np.prod([max(1, size) for size in sizes], dtype=object)) if sizes else 1


Reader = Callable[[Graph, int, int, Any], Layer]

#: The operators with a sparse kernel.
CAPABILITIES: dict[str, Reader] = {"CONV_2D": _conv_2d, "FULLY_CONNECTED": _fully_connected}

#: Operators whose weights people prune and that have no sparse kernel: listed in reports, never rewritten.
WITHOUT_KERNEL = (
    "BATCH_MATMUL",
    "CONV_3D",
    "CONV_3D_TRANSPOSE",
    "DEPTHWISE_CONV_2D",
    "EMBEDDING_LOOKUP",
    "TRANSPOSE_CONV",
    "UNIDIRECTIONAL_SEQUENCE_LSTM",
    "UNIDIRECTIONAL_SEQUENCE_RNN",
)


def examine(graph: Graph, subgraph: int, index: int, op: Any) -> Layer | Refused | None:
    """Says whether a sparse kernel could run an operator.

    Returns:
        The layer; or the reason why not; or None for an operator that is not about weights at all.
    """
    name = graph.op_name(op)
    if graph.is_custom(op):
        return None
    if name in WITHOUT_KERNEL:
        return Refused("no_kernel", f"no sparse kernel for {name}")
    reader = CAPABILITIES.get(name)
    if reader is None:
        return None
    try:
        return reader(graph, subgraph, index, op)
    except Refused as refused:
        return refused


def layer_name(graph: Graph, subgraph: int, op: Any) -> str:
    """Name of an operator's first output: what people recognise a layer by."""
    return text(graph.tensor(subgraph, int(op.outputs[0])).name) if len(op.outputs) and op.outputs[0] >= 0 else ""
