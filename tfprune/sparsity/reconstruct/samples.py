# SPDX-License-Identifier: Apache-2.0
"""What the weights of a layer are multiplied with, example by example: its inputs as ``[parts, samples, columns]``.

Columns come in the order of the weight matrix: kernel position, then input channel. Convolutions have a sample for each
output position. Everything comes in pieces, so that the windows of a batch never lie in memory all at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

Array = npt.NDArray[Any]

# Numbers of a piece: 64 MB of float32.
_PIECE = 1 << 24


@dataclass(frozen=True)
class Window:
    """A convolution's window.

    Args:
        kernel: Sizes, one for each spatial axis.
        strides: Strides.
        dilations: Dilations.
        padding: ``"same"``, ``"valid"`` or ``"causal"`` (all padding in front).
        groups: Groups of input channels, each with weights of its own.
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    padding: str
    groups: int = 1

    def pads(self, sizes: tuple[int, ...]) -> list[tuple[int, int]]:
        """Zeros before and behind each spatial axis.

        Args:
            sizes: Spatial sizes of the input.
        """
        found = []
        for size, kernel, stride, dilation in zip(sizes, self.kernel, self.strides, self.dilations, strict=True):
            reach = (kernel - 1) * dilation
            total = max(0, (-(-size // stride) - 1) * stride + reach + 1 - size)
            by_kind = {"valid": (0, 0), "causal": (reach, 0), "same": (total // 2, total - total // 2)}
            found.append(by_kind[self.padding])
        return found


def dense_samples(inputs: Array) -> Iterator[Array]:
    """Inputs of a dense layer.

    Args:
        inputs: ``[..., columns]``.

    Yields:
        ``[1, samples, columns]``.
    """
    yield inputs.reshape(1, -1, inputs.shape[-1])


def window_samples(images: Array, window: Window) -> Iterator[Array]:
    """Inputs of a convolution.

    Args:
        images: ``[examples, *spatial, channels]``.
        window: The window; with as many groups as channels, that of a depthwise convolution.

    Yields:
        ``[groups, samples, positions * channels of a group]``.
    """
    padded = np.pad(images, [(0, 0), *window.pads(images.shape[1:-1]), (0, 0)])
    extents = [(size - 1) * dilation + 1 for size, dilation in zip(window.kernel, window.dilations, strict=True)]
    rank = len(extents)
    # [examples, *outputs, channels, *kernel]
    views = sliding_window_view(padded, extents, axis=tuple(range(1, rank + 1)))
    views = views[(slice(None), *(slice(None, None, stride) for stride in window.strides))]
    views = np.moveaxis(views, rank + 1, -1)
    places = [slice(None)] * (rank + 1) + [slice(None, None, dilation) for dilation in window.dilations]
    yield from _pieces(views[tuple(places)], rank, window.groups)


def transposed_samples(
    images: Array, kernel: tuple[int, ...], strides: tuple[int, ...], padding: str, outputs: tuple[int, ...]
) -> Iterator[Array]:
    """Inputs of a transposed convolution: output position ``o`` reads input ``(o + pad - k) / stride`` where it exists.

    Args:
        images: ``[examples, *spatial, channels]``.
        kernel: Kernel sizes.
        strides: Strides.
        padding: ``"same"`` or ``"valid"``.
        outputs: Spatial sizes of the output.

    Yields:
        ``[1, samples, positions * channels]``.
    """
    rank = len(kernel)
    sizes = [(size - 1) * stride + 1 for size, stride in zip(images.shape[1:-1], strides, strict=True)]
    spread = np.zeros((len(images), *sizes, images.shape[-1]), images.dtype)
    spread[(slice(None), *(slice(None, None, stride) for stride in strides))] = images
    pads = [(0, 0)]
    for size, reach, stride, output in zip(spread.shape[1:-1], kernel, strides, outputs, strict=True):
        before = reach - 1 - (max(0, reach - stride) // 2 if padding == "same" else 0)
        pads.append((before, max(0, output + reach - 1 - before - size)))
    padded = np.pad(spread, [*pads, (0, 0)])
    views = sliding_window_view(padded, kernel, axis=tuple(range(1, rank + 1)))
    views = views[(slice(None), *(slice(output) for output in outputs))]
    # The last position of a window reads with the first of the kernel.
    flipped = [slice(None)] * (rank + 1) + [slice(None, None, -1)] * rank
    yield from _pieces(np.moveaxis(views, rank + 1, -1)[tuple(flipped)], rank, 1)


def einsum_samples(inputs: Array, equation: str) -> Iterator[Array]:
    """Inputs of an einsum such as that of ``EinsumDense``.

    Args:
        inputs: The input.
        equation: ``"input,kernel->output"``; see `einsum_layout`.

    Yields:
        ``[parts, samples, columns]``: a part for each combination of labels that input, kernel and output share.
    """
    given, rest = equation.replace(" ", "").split(",")
    kernel, output = rest.split("->")
    before, _, behind = given.partition("...")
    axes = {label: place for place, label in enumerate(before)}
    axes |= {label: place - len(behind) + inputs.ndim for place, label in enumerate(behind)}
    if "..." not in given:
        axes = {label: place for place, label in enumerate(given)}
    shared = [axes[label] for label in kernel if label in output and label in axes]
    columns = [axes[label] for label in kernel if label not in output]
    samples = [place for place in range(inputs.ndim) if place not in (*shared, *columns)]
    ordered = inputs.transpose(*shared, *samples, *columns)
    sizes = [math.prod(inputs.shape[place] for place in places) for places in (shared, samples, columns)]
    yield ordered.reshape(sizes)


def _pieces(views: Array, rank: int, groups: int) -> Iterator[Array]:
    """Samples of windows ``[examples, *outputs, *kernel, channels]``, some examples or lines at a time."""
    outputs = views.shape[1 : rank + 1]
    positions, channels = math.prod(views.shape[rank + 1 : -1]), views.shape[-1]
    line = math.prod(outputs[1:]) * positions * channels
    lines = max(1, _PIECE // max(1, line))
    examples = max(1, lines // max(1, outputs[0]))
    for first in range(0, len(views), examples):
        for start in range(0, outputs[0], lines):
            piece = views[first : first + examples, start : start + lines]
            flat = piece.reshape(-1, positions, groups, channels // groups)
            yield flat.transpose(2, 0, 1, 3).reshape(groups, -1, positions * (channels // groups))
