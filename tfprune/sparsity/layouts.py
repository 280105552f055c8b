# SPDX-License-Identifier: Apache-2.0
"""Keras kernels seen as the weight matrix ``[rows, segments, cols]`` that patterns are defined on.

Rows are output channels. A segment is one kernel position ``(kh, kw)``; its columns are the input channels. Flattened,
segments and columns are the columns of the packed format (OHWI order).

============================  ========================  =================  ===========  ==========
layout                        kernel                    rows               segments     cols
============================  ========================  =================  ===========  ==========
``"dense"``                   ``[in, out]``             out                1            in
``"conv1d"``                  ``[k, in, out]``          out                k            in
``"conv2d"``                  ``[kh, kw, in, out]``     out                kh * kw      in
``"conv2d_transpose"``        ``[kh, kw, out, in]``     out                kh * kw      in
``"depthwise_conv1d"``        ``[k, in, mult]``         in * mult          k            1
``"depthwise_conv2d"``        ``[kh, kw, in, mult]``    in * mult          kh * kw      1
`einsum_layout`               by its equation           output labels      batch        contracted
============================  ========================  =================  ===========  ==========
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tfprune.errors import PatternError

_COPIED_ROWS = 16


@dataclass(frozen=True)
class Layout:
    """Which axes of a kernel are output channels, kernel positions and input channels.

    Args:
        name: Name for messages.
        axes: What the axes hold, for messages.
        outputs: Axes of the output channels, slowest first.
        window: Axes of the kernel positions, slowest first.
        inputs: Axes of the input channels, slowest first.

    Raises:
        PatternError: The axes are not 0, 1, ... once each, or none of them holds output channels.
    """

    name: str
    axes: str
    outputs: tuple[int, ...]
    window: tuple[int, ...]
    inputs: tuple[int, ...]

    def __post_init__(self) -> None:
        """Checks the axes."""
        if sorted(self.order) != list(range(self.rank)) or not self.outputs:
            raise PatternError(
                "`outputs`, `window` and `inputs` of a `Layout` must name every axis of the kernel once, and `outputs` "
                f"at least one. Received: outputs={self.outputs}, window={self.window}, inputs={self.inputs}."
            )

    @property
    def rank(self) -> int:
        """Number of axes."""
        return len(self.outputs) + len(self.window) + len(self.inputs)

    @property
    def order(self) -> tuple[int, ...]:
        """The axes in matrix order: outputs, window, inputs."""
        return (*self.outputs, *self.window, *self.inputs)

    def __str__(self) -> str:
        """The name."""
        return self.name


LayoutLike: TypeAlias = str | Layout | None

#: Layouts by name.
LAYOUTS = {
    layout.name: layout
    for layout in (
        Layout("dense", "[in, out]", (1,), (), (0,)),
        Layout("conv1d", "[k, in, out]", (2,), (0,), (1,)),
        Layout("conv2d", "[kernel_h, kernel_w, in, out]", (3,), (0, 1), (2,)),
        Layout("conv2d_transpose", "[kernel_h, kernel_w, out, in]", (2,), (0, 1), (3,)),
        Layout("depthwise_conv1d", "[k, in, multiplier]", (1, 2), (0,), ()),
        Layout("depthwise_conv2d", "[kernel_h, kernel_w, in, multiplier]", (2, 3), (0, 1), ()),
    )
}
_BY_RANK = {2: LAYOUTS["dense"], 3: LAYOUTS["conv1d"], 4: LAYOUTS["conv2d"]}


@dataclass(frozen=True)
class MatrixShape:
    """Size of a weight matrix.

    Args:
        rows: Output channels.
        segments: Kernel positions (1 for dense kernels).
        cols: Input channels of one kernel position.
    """

    rows: int
    segments: int
    cols: int

    @property
    def size(self) -> int:
        """Number of weights."""
        return self.rows * self.segments * self.cols


def einsum_layout(equation: str) -> Layout:
    """Layout of the kernel of an einsum, such as ``keras.layers.EinsumDense``.

    A kernel label that the output has and the input has not is an output channel; one that the input has and the
    output has not is an input channel (it is summed over); one that both have (one kernel for each, as in grouped
    layers) counts as a kernel position, so that nothing crosses from one to the next.

    Args:
        equation: ``"input,kernel->output"``; ellipses are allowed in input and output.

    Returns:
        The layout.

    Raises:
        PatternError: Not such an equation, or a kernel without output channels.

    Example:
        >>> einsum_layout("abc,cde->abde")
        Layout(name='einsum abc,cde->abde', axes='[c, d, e]', outputs=(1, 2), window=(), inputs=(0,))
    """
    try:
        terms, output = equation.replace(" ", "").split("->")
        given, kernel = terms.split(",")
    except (AttributeError, ValueError):
        raise PatternError(
            f"An einsum equation is 'input,kernel->output', as in 'abc,cd->abd'. Received: {equation!r}."
        ) from None
    axes = dict(enumerate(kernel))
    outputs = tuple(axis for axis, label in axes.items() if label in output and label not in given)
    window = tuple(axis for axis, label in axes.items() if label in output and label in given)
    inputs = tuple(axis for axis, label in axes.items() if label not in output)
    if not kernel.isalpha() or len(set(kernel)) != len(kernel) or not outputs:
        raise PatternError(
            "The kernel of an einsum has one letter an axis, and at least one that only the output has besides. "
            f"Received: {equation!r}."
        )
    return Layout(f"einsum {equation}", f"[{', '.join(kernel)}]", outputs, window, inputs)


def resolve_layout(rank: int, layout: LayoutLike) -> Layout:
    """Checks ``layout`` against an array's rank, or finds it from the rank.

    Args:
        rank: Number of dimensions.
        layout: Name of a layout, a `Layout`, or None: rank 2 is dense, 3 conv1d, 4 conv2d.

    Returns:
        The `Layout`.

    Raises:
        PatternError: Unknown layout, or a rank it does not have.
    """
    if layout is None:
        if rank not in _BY_RANK:
            raise PatternError(
                "`weights` must have rank 2 (dense kernel, [in, out]), 3 (conv1d, [k, in, out]) or 4 (conv2d, "
                f"[kernel_h, kernel_w, in, out]) to go by rank. Received: rank {rank}. Pass a `layout`."
            )
        return _BY_RANK[rank]
    found = LAYOUTS.get(layout) if isinstance(layout, str) else layout
    if not isinstance(found, Layout):
        raise PatternError(f"`layout` must be one of {sorted(LAYOUTS)}, a `Layout` or None. Received: {layout!r}.")
    if rank != found.rank:
        raise PatternError(
            f"layout={found.name!r} needs weights of rank {found.rank}, {found.axes}. Received: rank {rank}. "
            "Reshape the weights or pass another layout."
        )
    return found


def matrix_shape(shape: Sequence[int], layout: LayoutLike = None) -> MatrixShape:
    """Matrix size of a kernel.

    Args:
        shape: Kernel shape; every size at least 1.
        layout: Name of a layout, a `Layout`, or None to go by rank.

    Returns:
        The `MatrixShape`.

    Raises:
        PatternError: Not a kernel shape, or an empty one.
    """
    sizes = tuple(int(size) for size in shape)
    found = resolve_layout(len(sizes), layout)
    if min(sizes) < 1:
        raise PatternError(f"`weights` must not be empty: every dimension is at least 1. Received: shape {sizes}.")
    return MatrixShape(
        *(math.prod(sizes[axis] for axis in axes) for axes in (found.outputs, found.window, found.inputs))
    )


def to_matrix(array: npt.NDArray[Any], layout: LayoutLike = None) -> npt.NDArray[Any]:
    """Views a kernel as ``[rows, segments, cols]``.

    Args:
        array: Kernel.
        layout: Name of a layout, a `Layout`, or None to go by rank.

    Returns:
        Array (a view where numpy can make one) of shape ``[rows, segments, cols]``.

    Raises:
        PatternError: Not a kernel shape.
    """
    shape = matrix_shape(array.shape, layout)
    order = resolve_layout(array.ndim, layout).order
    return array.transpose(order).reshape(shape.rows, shape.segments, shape.cols)


def from_matrix(matrix: npt.NDArray[Any], shape: Sequence[int], layout: LayoutLike = None) -> npt.NDArray[Any]:
    """Undoes `to_matrix`.

    Args:
        matrix: Array ``[rows, segments, cols]``.
        shape: Shape of the kernel.
        layout: Name of a layout, a `Layout`, or None to go by rank.

    Returns:
        C-contiguous array of that shape.

    Raises:
        PatternError: Not a kernel shape.
    """
    order = resolve_layout(len(shape), layout).order
    result = np.empty(tuple(shape), matrix.dtype)
    ordered, target = matrix.reshape([shape[axis] for axis in order]), result.transpose(order)
    # A few output channels at a time, whose cache lines in the kernel are then written as a whole.
    for first in range(0, len(ordered), _COPIED_ROWS):
        target[first : first + _COPIED_ROWS] = ordered[first : first + _COPIED_ROWS]
    return result
