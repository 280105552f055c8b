# SPDX-License-Identifier: Apache-2.0
"""What the readers of convolutions share: activations, windows, and the sparse op over a matrix of theirs."""

from __future__ import annotations

import dataclasses
from typing import Any

from tfprune.converter.capability.layer import Layer, Numbers, Refused, activation, product
from tfprune.converter.capability.numbers import by_builtin_kernel, read_bias
from tfprune.converter.expand.steps import DepthToSpace, Shape, Step, shape_after
from tfprune.converter.expand.surround import Surround, layout_costs
from tfprune.converter.graph import Graph
from tfprune.converter.known_shapes import known_shape
from tfprune.converter.schema import tfl
from tfprune.costs import LayerShape, StockOp
from tfprune.formats import Activation, Op, OpSpec, Padding, Rounding

EXTENT_LIMIT = 2**31
_MOST_SLICES = 64
# LiteRT's CPU kernels of convolutions take these and compute nothing for them: results stay as they are.
_IGNORED = (tfl.ActivationFunctionType.TANH, tfl.ActivationFunctionType.SIGN_BIT)


@dataclasses.dataclass(frozen=True)
class Place:
    """An operator and the shapes round it.

    Attributes:
        graph: the model.
        subgraph: number of its subgraph.
        index: its place among the subgraph's operators.
        op: the operator.
        numbers: where its weights are stored, and as what.
        activation_input: which of its inputs is the activation.
    """

    graph: Graph
    subgraph: int
    index: int
    op: Any
    numbers: Numbers
    activation_input: int = 0

    @property
    def input_shape(self) -> Shape:
        """Shape of the activation."""
        return self.graph.shape(self._input)

    @property
    def output_shape(self) -> Shape:
        """Shape of the output."""
        return self.graph.shape(self._output)

    @property
    def weights_shape(self) -> Shape:
        """Shape of the weights."""
        return self.graph.shape(self.graph.tensor(self.subgraph, self.numbers.source))

    def check_fixed(self) -> None:
        """Refuses activations whose sizes, but for the first one, are known only at run time.

        Raises:
            Refused: the sizes that steps round the sparse op need are not in the file.
        """
        for tensor in (self._input, self._output):
            signature = () if tensor.shapeSignature is None else tuple(int(size) for size in tensor.shapeSignature)
            if -1 in signature[1:]:
                raise Refused("dynamic_shape", f"all sizes but the batch must be fixed, got {list(signature)}")
        if min(self.input_shape + self.output_shape, default=0) < 1:
            raise Refused("dynamic_shape", "the sizes of input and output must be in the file")

    def by_builtin_kernel(self, rounding: Rounding, stock_channels: int = 0) -> Place:
        """The operator with the numbers of :func:`~tfprune.converter.capability.numbers.by_builtin_kernel`."""
        return dataclasses.replace(self, numbers=by_builtin_kernel(self.numbers, rounding, stock_channels))

    @property
    def _input(self) -> Any:
        return self.graph.tensor(self.subgraph, int(self.op.inputs[self.activation_input]))

    @property
    def _output(self) -> Any:
        return self.graph.tensor(self.subgraph, int(self.op.outputs[0]))


def check_options(op: Any, kind: Any) -> Any:
    """The operator's options, of the expected table, with a padding that is known.

    Raises:
        Refused: others.
    """
    options: Any = op.builtinOptions
    if not isinstance(options, kind):
        raise Refused("malformed", "the operator has no convolution options")
    if options.padding not in (Padding.SAME, Padding.VALID):
        raise Refused("padding", f"the padding must be SAME or VALID, got {options.padding}")
    return options


def check_window(kernel: tuple[int, ...], strides: tuple[int, ...], dilations: tuple[int, ...]) -> None:
    """Refuses windows that no convolution can have.

    Raises:
        Refused: a stride or dilation below 1, or a window of 2^31 or more.
    """
    if min(*strides, *dilations) < 1:
        raise Refused("malformed", f"strides and dilations must be at least 1, got {(*strides, *dilations)}")
    extents = [(size - 1) * dilation + 1 for size, dilation in zip(kernel, dilations, strict=True)]
    if max(extents) >= EXTENT_LIMIT:
        raise Refused("malformed", f"(kernel - 1) * dilation + 1 must be below 2^31, got {extents}")


def check_output(place: Place, expected: Shape) -> None:
    """Refuses an operator whose output has another shape in the file than follows from its input.

    Raises:
        Refused: the file contradicts itself, and steps with fixed sizes would go wrong.
    """
    if place.output_shape != expected:
        raise Refused("malformed", f"an output of shape {list(place.output_shape)} does not follow from the input")


def check_slices(count: int) -> None:
    """Refuses depth windows of so many slices that the operators for them would be the model.

    Raises:
        Refused: more than 64.
    """
    if count > _MOST_SLICES:
        raise Refused("expansion_too_large", f"a depth window has {count} slices, more than {_MOST_SLICES}")


def _open_image(place: Place) -> bool:
    """Whether the file leaves height, width or depth of the operator's image open."""
    output = int(place.op.outputs[0])
    return None in known_shape(place.graph, place.subgraph, output)[1:-1]


def fused_activation(options: Any) -> Activation:
    """What stock LiteRT computes for a convolution's fused activation: for TANH and SIGN_BIT nothing.

    Raises:
        Refused: no sparse kernel computes it.
    """
    return Activation.NONE if declined(options) else activation(options.fusedActivationFunction)


def declined(options: Any) -> bool:
    """Whether XNNPACK leaves a convolution to a builtin kernel for its fused activation."""
    return options.fusedActivationFunction in _IGNORED


@dataclasses.dataclass(frozen=True)
class Expansion:
    """How an operator becomes a convolution over an expanded matrix.

    Attributes:
        expand: makes the matrix from the weights.
        dense: the dense operator, for the predictor.
        shared_rows: how many rows of the matrix can have a non-zero weight in one column.
        before: steps before the convolution.
        after: steps behind it.
        bias_repeats: how often the matrix repeats the bias.
        bias_input: which of the operator's inputs is the bias.
    """

    expand: Any
    dense: StockOp | None
    shared_rows: int
    before: tuple[Step, ...] = ()
    after: tuple[Step, ...] = ()
    bias_repeats: int = 1
    bias_input: int = 2


def convolution(place: Place, spec: OpSpec, expansion: Expansion | None = None) -> Layer:
    """The layer of a convolution ``spec`` that stands, with the steps of ``expansion`` round it, for an operator.

    Raises:
        Refused: the bias is no constant of the expected type and shape.
    """
    before = () if expansion is None else expansion.before
    after = () if expansion is None else expansion.after
    repeats = 1 if expansion is None else expansion.bias_repeats
    if place.numbers.precision == "int16" and any(isinstance(step, DepthToSpace) for step in (*before, *after)):
        raise Refused("precision", "LiteRT has no DEPTH_TO_SPACE for int16, which this operator would need behind it")
    x_shape = shape_after(before, place.input_shape)
    y_shape = output_shape(spec, x_shape) if after else place.output_shape
    cost_shape = LayerShape(
        fully_connected=False,
        out_channels=spec.out_channels,
        columns=spec.columns,
        kernel_size=spec.kernel_h * spec.kernel_w,
        pixels=product(y_shape[:3]),
        input_values=product(x_shape),
        precision=place.numbers.precision,
        dense_op=None if expansion is None else expansion.dense,
        layout_ops=layout_costs(before, place.input_shape) + layout_costs(after, y_shape),
    )
    bias_input = 2 if expansion is None else expansion.bias_input
    rows = spec.out_channels // repeats
    bias = read_bias(place.graph, place.subgraph, place.op, place.numbers, rows, bias_input)
    return Layer(
        place.subgraph,
        place.index,
        spec,
        (spec.out_channels, spec.stride_h, spec.stride_w, *_extents(spec)),
        cost_shape,
        place.numbers,
        bias,
        None if _open_image(place) else (int(y_shape[1]), int(y_shape[2])),
        expand=None if expansion is None else expansion.expand,
        surround=Surround(place.subgraph, before, after, y_shape) if before or after else None,
        activation_input=place.activation_input,
        bias_repeats=repeats,
        shared_rows=None if expansion is None else expansion.shared_rows,
    )


def _extents(spec: OpSpec) -> tuple[int, int]:
    if spec.padding == Padding.SAME:
        return (1, 1)
    return ((spec.kernel_h - 1) * spec.dilation_h + 1, (spec.kernel_w - 1) * spec.dilation_w + 1)


def output_shape(spec: OpSpec, shape: Shape) -> Shape:
    """Shape of a convolution's output for an input of ``shape``."""
    extents, strides = _extents(spec), (spec.stride_h, spec.stride_w)
    sizes = ((size - extent) // stride + 1 for size, extent, stride in zip(shape[1:3], extents, strides, strict=True))
    return (shape[0], *sizes, spec.out_channels)


def window_of(options: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    """Strides and dilations of a 2D convolution."""
    return (options.strideH, options.strideW), (options.dilationHFactor, options.dilationWFactor)


def convolution_spec(
    rows: int, columns: int, kernel: tuple[int, int], options: Any, padding: Padding | None = None
) -> OpSpec:
    """The sparse op of a 2D convolution with these options.

    Raises:
        Refused: a window or activation without sparse kernel.
    """
    strides, dilations = window_of(options)
    check_window(kernel, strides, dilations)
    return OpSpec(
        Op.CONV_2D,
        rows,
        columns,
        *kernel,
        *strides,
        *dilations,
        padding=Padding(options.padding) if padding is None else padding,
        activation=fused_activation(options),
    )
