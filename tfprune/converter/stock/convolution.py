# SPDX-License-Identifier: Apache-2.0
"""What the passes need to know of a ``CONV_2D`` or ``DEPTHWISE_CONV_2D``: its weights and its window on the image."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from tfprune.converter.capability import BIAS_INPUT, WEIGHTS_INPUT, Refused
from tfprune.converter.schema import TensorType, tfl
from tfprune.converter.stock.editor import FLOATS, NO_WEIGHTS, Constant, Editor
from tfprune.converter.stock.windows import Window

CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
_RANK = 4
_MOST_STEP = 1024


@dataclasses.dataclass(frozen=True)
class Convolution:
    """A convolution over an image with constant weights.

    Attributes:
        op: the operator.
        x: tensor index of its input.
        y: tensor index of its output.
        weights: ``[out, kh, kw, in]``, or ``[1, kh, kw, out]`` of a depthwise one.
        depthwise: which of the two.
        rows: its window along the rows of the image.
        columns: the same along the columns.
        hybrid: whether float32 inputs are quantized at run time.
    """

    op: Any
    x: int
    y: int
    weights: Constant
    depthwise: bool
    rows: Window
    columns: Window
    hybrid: bool

    @property
    def never_pads(self) -> bool:
        """Whether every window lies inside the image."""
        return self.rows.never_pads and self.columns.never_pads


def read_convolution(editor: Editor, op: Any) -> Convolution:
    """Reads a convolution of the graph.

    Raises:
        Refused: weights that are no constant, or a form that contradicts itself.
    """
    x, y = editor.input(op, 0), int(op.outputs[0]) if len(op.outputs) == 1 else -1
    weights = editor.constant(op, WEIGHTS_INPUT)
    if weights is None:
        raise Refused(*NO_WEIGHTS)
    if x is None or y < 0 or weights.values.ndim != _RANK or min(weights.values.shape) < 1:
        raise Refused("malformed", "the operator lacks an input, its output or a dimension of its weights")
    depthwise = editor.name(op) == "DEPTHWISE_CONV_2D"
    options = op.builtinOptions
    kind = tfl.DepthwiseConv2DOptionsT if depthwise else tfl.Conv2DOptionsT
    shape = editor.shape(x)
    if not isinstance(options, kind) or len(shape) != _RANK or len(editor.shape(y)) != _RANK:
        raise Refused("malformed", "the operator has no convolution options, or an input of other than 4 dimensions")
    steps = (options.strideH, options.strideW, options.dilationHFactor, options.dilationWFactor)
    if min(steps) < 1 or max(steps) > _MOST_STEP or options.padding not in (tfl.Padding.SAME, tfl.Padding.VALID):
        raise Refused("malformed", f"strides and dilations {steps} outside 1 .. {_MOST_STEP}, or an unknown padding")
    same = options.padding == tfl.Padding.SAME
    _, kernel_h, kernel_w, _ = weights.values.shape
    rows, columns = (
        Window(None if size < 0 else size, taps, stride, dilation, same)
        for size, taps, stride, dilation in zip(shape[1:3], (kernel_h, kernel_w), steps[:2], steps[2:], strict=True)
    )
    _check_sizes(editor, y, rows, columns)
    hybrid = editor.tensor(x).type in FLOATS and not weights.is_float
    return Convolution(op, x, y, weights, depthwise, rows, columns, hybrid)


def _check_sizes(editor: Editor, y: int, rows: Window, columns: Window) -> None:
    for window, size in zip((rows, columns), editor.shape(y)[1:3], strict=True):
        expected = None if window.image is None else window.outputs(window.image)
        if (expected is not None and expected < 1) or (size >= 0 and expected is not None and size != expected):
            raise Refused("malformed", f"the output must have size {expected} along an axis, got {size}")


def read_bias(editor: Editor, op: Any, out_channels: int, position: int = BIAS_INPUT) -> Constant | None:
    """The bias of an operator; None where it has none.

    Raises:
        Refused: it is no constant, or has not one value an output channel.
    """
    if editor.input(op, position) is None:
        return None
    bias = editor.constant(op, position)
    if bias is None or bias.values.shape != (out_channels,):
        raise Refused("bias_not_constant", f"the bias must be a constant of {out_channels} values")
    return bias


def is_quantized(editor: Editor, index: int) -> bool:
    """Whether a tensor holds quantized integers."""
    tensor = editor.tensor(index)
    quantized = tensor.type in (TensorType.INT8, TensorType.UINT8, TensorType.INT16)
    return quantized and tensor.quantization is not None and np.size(tensor.quantization.scale) == 1
