# SPDX-License-Identifier: Apache-2.0
"""From the input of a Keras layer to what one of its kernels is multiplied with."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from tfprune.keras.backends import value_of
from tfprune.sparsity.layouts import Layout
from tfprune.sparsity.reconstruct.moments import Parts, why_too_large
from tfprune.sparsity.reconstruct.samples import (
    Window,
    dense_samples,
    einsum_samples,
    transposed_samples,
    window_samples,
)

Array = npt.NDArray[Any]


class Unread(Exception):  # noqa: N818 (a reason, not an error: it never leaves this package)
    """Why the inputs of a kernel are not collected."""


@dataclass(frozen=True)
class Reader:
    """How a kernel reads its layer's input.

    Args:
        samples: From the layer's input, as the layer gets it, to pieces ``[parts, samples, columns]``.
        parts: Which weights read the same inputs.
        count: Number of parts.
        bias: The bias that is added to this kernel's outputs, one number a row; None without one.
        dense_samples: `samples` in the dense model, where they depend on more than the input; None: the same.
    """

    samples: Callable[[Array], Iterator[Array]]
    parts: Parts = Parts.WHOLE
    count: int = 1
    bias: Any = None
    dense_samples: Callable[[Array], Iterator[Array]] | None = None


def reader_of(layer: Any, kernel: Any, layout: Layout) -> Reader:
    """Finds out how a kernel reads its layer's input.

    Args:
        layer: Built Keras layer.
        kernel: One of its kernels.
        layout: Its layout.

    Returns:
        The reader.

    Raises:
        Unread: Layers whose inputs are not collected, with the reason.
    """
    sizes = kernel.shape
    columns = math.prod(sizes[axis] for axis in (*layout.window, *layout.inputs))
    if isinstance(layer, keras.layers.EinsumDense):
        columns = math.prod(sizes[axis] for axis in layout.inputs)
    if reason := why_too_large(columns):
        raise Unread(reason)
    if isinstance(layer, keras.layers.EinsumDense):
        return _einsum(layer, kernel, layout)
    if isinstance(layer, keras.layers.Dense):
        return Reader(dense_samples, bias=_trainable_bias(layer))
    if isinstance(layer, (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)):
        return _separable(layer, kernel)
    if isinstance(layer, keras.layers.Conv2DTranspose):
        return _transposed(layer)
    if isinstance(layer, (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)):
        return _depthwise(layer, kernel, _trainable_bias(layer))
    if isinstance(layer, (keras.layers.Conv1D, keras.layers.Conv2D)):
        window = Window(
            tuple(layer.kernel_size), tuple(layer.strides), tuple(layer.dilation_rate), layer.padding, layer.groups
        )
        parts = Parts.WHOLE if layer.groups == 1 else Parts.ROWS
        return _windowed(layer, window, parts, layer.groups, _trainable_bias(layer))
    raise Unread(f"the inputs of {type(layer).__name__} are not collected")


def _trainable_bias(layer: Any) -> Any:
    """The layer's bias, where it has one that is not frozen."""
    bias = getattr(layer, "bias", None)
    return bias if any(bias is variable for variable in layer.trainable_variables) else None


def _channels_last(layer: Any, inputs: Array) -> Array:
    return np.moveaxis(inputs, 1, -1) if getattr(layer, "data_format", None) == "channels_first" else inputs


def _windowed(layer: Any, window: Window, parts: Parts, count: int, bias: Any) -> Reader:
    return Reader(lambda inputs: window_samples(_channels_last(layer, inputs), window), parts, count, bias)


def _depthwise(layer: Any, kernel: Any, bias: Any) -> Reader:
    channels = int(kernel.shape[-2])
    rank = len(kernel.shape) - 2
    strides, dilations = (_per_axis(each, rank) for each in (layer.strides, layer.dilation_rate))
    window = Window(tuple(kernel.shape[:rank]), strides, dilations, layer.padding, channels)
    return _windowed(layer, window, Parts.ROWS, channels, bias)


def _per_axis(value: Any, rank: int) -> tuple[int, ...]:
    return (int(value),) * rank if isinstance(value, int) else tuple(value)


def _separable(layer: Any, kernel: Any) -> Reader:
    if kernel is not layer.pointwise_kernel:
        return _depthwise(layer, kernel, None)

    def samples(inputs: Array, depthwise_kernel: Any) -> Iterator[Array]:
        found = keras.ops.depthwise_conv(
            keras.ops.convert_to_tensor(inputs, layer.compute_dtype),
            keras.ops.cast(depthwise_kernel, layer.compute_dtype),
            layer.strides,
            layer.padding,
            layer.data_format,
            layer.dilation_rate,
        )
        return dense_samples(_channels_last(layer, as_array(found)))

    # The depthwise kernel may be pruned before this one is.
    dense = np.array(as_array(layer.depthwise_kernel))
    return Reader(
        lambda inputs: samples(inputs, layer.depthwise_kernel),
        bias=_trainable_bias(layer),
        dense_samples=lambda inputs: samples(inputs, dense),
    )


def _transposed(layer: Any) -> Reader:
    if getattr(layer, "output_padding", None) is not None or set(_per_axis(layer.dilation_rate, 2)) != {1}:
        raise Unread("transposed convolutions with output_padding or dilation are not collected")
    kernel, strides = tuple(layer.kernel_size), tuple(layer.strides)

    def samples(inputs: Array) -> Iterator[Array]:
        images = _channels_last(layer, inputs)
        shape = layer.compute_output_shape(inputs.shape)
        outputs = shape[2:] if layer.data_format == "channels_first" else shape[1:-1]
        return transposed_samples(images, kernel, strides, layer.padding, tuple(outputs))

    return Reader(samples, bias=_trainable_bias(layer))


def _einsum(layer: Any, kernel: Any, layout: Layout) -> Reader:
    given, rest = layer.equation.replace(" ", "").split(",")
    labels, output = rest.split("->")
    if any(label not in output and label not in given for label in labels):
        raise Unread(f"the kernel of {layer.equation!r} has a label of its own")
    if any(label.isalpha() and label not in labels and label not in output for label in given):
        raise Unread(f"{layer.equation!r} sums up its input")
    bias = _trainable_bias(layer)
    if bias is not None and (layout.window or _labels_of(layer) != [labels[axis] for axis in layout.outputs]):
        bias = None  # of another shape than the rows: it stays
    count = math.prod(kernel.shape[axis] for axis in layout.window)
    parts = Parts.SEGMENTS if layout.window else Parts.WHOLE
    return Reader(lambda inputs: einsum_samples(inputs, layer.equation), parts, count, bias)


def _labels_of(layer: Any) -> list[str]:
    """The labels of a bias in the order of the output, which its axes follow."""
    output = layer.equation.split("->")[1]
    return [label for label in output if label in (layer.bias_axes or "")]


def as_array(tensor: Any) -> Array:
    """A tensor as float32, or as float64 where it is that.

    Args:
        tensor: Tensor of any back end.
    """
    array: Array = value_of(tensor)
    return array if array.dtype == np.float64 else array.astype(np.float32)
