# SPDX-License-Identifier: Apache-2.0
"""Norms of groups of weights inside a training step, and what scales each group."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from keras import ops

from tfprune.sparsity.layouts import Layout
from tfprune.sparsity.penalties.cells import PenaltyCells
from tfprune.sparsity.penalties.reweighted_group import safe_norms


class GroupNorms(ABC):
    """Disjoint groups of a kernel. Values of groups are tensors of one shape, `shape`."""

    #: Shape of what holds one number a group.
    shape: tuple[int, ...]

    @abstractmethod
    def arrange(self, cells: PenaltyCells, values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Numbers of groups as an array of `shape`, with 0 for what is in no group.

        Args:
            cells: The groups.
            values: ``[cells.count]``, one number a group.
        """

    @abstractmethod
    def norms(self, weights: Any) -> Any:
        """Euclidean norms of the groups, with a gradient of 0 at 0.

        Args:
            weights: float32 tensor of the kernel.
        """

    @abstractmethod
    def scale(self, weights: Any, factors: Any) -> Any:
        """Weights times the factor of their group.

        Args:
            weights: Tensor of the kernel.
            factors: One a group, of the type of the weights.
        """


class IndexedGroups(GroupNorms):
    """Groups of any form, by a number for each weight. Sums are scattered and factors gathered.

    Args:
        ids: Variable of type int32 and the kernel's shape: the group of each weight.
        most: How many groups there can be.
    """

    def __init__(self, ids: Any, most: int) -> None:
        """Stores the parts."""
        self._ids = ids
        # The last one is that of weights in no group.
        self.shape = (most + 1,)

    def arrange(self, cells: PenaltyCells, values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """One number after the other."""
        result = np.zeros(self.shape, np.float32)
        result[: cells.count] = values
        return result

    def norms(self, weights: Any) -> Any:
        """Sums by number."""
        ids = ops.reshape(ops.convert_to_tensor(self._ids), (-1,))
        squares = ops.reshape(ops.square(weights), (-1,))
        return safe_norms(ops.segment_sum(squares, ids, num_segments=self.shape[0]), ops)

    def scale(self, weights: Any, factors: Any) -> Any:
        """Factors by number."""
        return weights * ops.take(factors, ops.convert_to_tensor(self._ids))


class BoxedGroups(GroupNorms):
    """Groups that are the boxes of a grid over the matrix: sums over axes, several times faster than by number.

    The kernel is seen in the order that it has in memory, with each axis of the matrix as one axis where this needs no
    copy, and each of these axes split into boxes and places in a box.

    Args:
        shape: Shape of the kernel.
        layout: Its layout.
        blocks: Rows, segments and columns of a box; boxes at the far end of an axis may be smaller.
    """

    def __init__(self, shape: Sequence[int], layout: Layout, blocks: tuple[int, int, int]) -> None:
        """Finds the order and the sizes."""
        self._kernel = tuple(shape)
        self._blocks = blocks
        parts = sorted(
            (axes, matrix_axis)
            for matrix_axis, axes in enumerate((layout.outputs, layout.window, layout.inputs))
            if axes
        )
        self._order = [axis for axes, _ in parts for axis in axes]
        #: Axes of the matrix, as they follow each other here.
        self._axes = [matrix_axis for _, matrix_axis in parts]
        self._sizes = [math.prod(self._kernel[axis] for axis in axes) for axes, _ in parts]
        self._boxes = [-(-size // blocks[axis]) for size, axis in zip(self._sizes, self._axes, strict=True)]
        self.shape = tuple(size for count in self._boxes for size in (count, 1))

    def arrange(self, cells: PenaltyCells, values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """The number of the group that the first weight of each box is in."""
        first = cells.ids[:: self._blocks[0], :: self._blocks[1], :: self._blocks[2]]
        known = np.append(values, 0.0).astype(np.float32)[first]
        # An axis that the kernel has not is 1 long.
        return known.transpose([*self._axes, *{0, 1, 2}.difference(self._axes)]).reshape(self.shape)

    def norms(self, weights: Any) -> Any:
        """Sums over the places in a box."""
        squares = ops.square(self._split(weights))
        places = tuple(2 * place + 1 for place, axis in enumerate(self._axes) if self._blocks[axis] > 1)
        return safe_norms(ops.sum(squares, axis=places, keepdims=True) if places else squares, ops)

    def scale(self, weights: Any, factors: Any) -> Any:
        """Factors of all places in a box."""
        return self._joined(self._split(weights) * factors)

    def _split(self, kernel: Any) -> Any:
        """Boxes and places in a box as axes of their own; zeros fill the last box of an axis."""
        if self._is_moved:
            kernel = ops.transpose(kernel, self._order)
        kernel = ops.reshape(kernel, self._sizes)
        missing = [whole - size for whole, size in zip(self._whole, self._sizes, strict=True)]
        if any(missing):
            kernel = ops.pad(kernel, [(0, each) for each in missing])
        blocks = (self._blocks[axis] for axis in self._axes)
        return ops.reshape(kernel, [size for pair in zip(self._boxes, blocks, strict=True) for size in pair])

    def _joined(self, split: Any) -> Any:
        """Undoes `_split`."""
        kernel = ops.reshape(split, self._whole)
        if self._whole != self._sizes:
            kernel = kernel[tuple(slice(size) for size in self._sizes)]
        if not self._is_moved:
            return ops.reshape(kernel, self._kernel)
        kernel = ops.reshape(kernel, [self._kernel[axis] for axis in self._order])
        return ops.transpose(kernel, np.argsort(self._order).tolist())

    @property
    def _is_moved(self) -> bool:
        return self._order != sorted(self._order)

    @property
    def _whole(self) -> list[int]:
        """Sizes of the axes with all boxes whole."""
        return [count * self._blocks[axis] for count, axis in zip(self._boxes, self._axes, strict=True)]
