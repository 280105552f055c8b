# SPDX-License-Identifier: Apache-2.0
"""Matrix products with a constant operand as fully-connected layers."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.converter.expand.grouped import block_diagonal
from tfprune.converter.expand.steps import Reshape, Step, Transpose

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Product:
    """A product of an activation and a constant.

    With the constant on the right it is ``y = x W``; on the left ``y = W x``, which is ``(x^T W^T)^T``.

    Attributes:
        shape: sizes of the activation, at least two.
        batch_rank: dimensions of the activation, before its last two, that choose a matrix of the constant; 0 where
            all of the activation meets the same matrix.
        left: whether the constant is the left operand.
        constant_transposed: whether the constant is stored transposed.
        activation_transposed: whether the activation is.
    """

    shape: tuple[int, ...]
    batch_rank: int
    left: bool
    constant_transposed: bool
    activation_transposed: bool

    @property
    def batches(self) -> int:
        """Matrices of the constant."""
        return math.prod(self.shape[-2 - self.batch_rank : -2])

    @property
    def order(self) -> tuple[int, ...]:
        """The activation's dimensions as a fully-connected layer takes them: ``[.., M, batches.., K]``."""
        rank = len(self.shape)
        features, others = (rank - 2, rank - 1) if self.activation_transposed != self.left else (rank - 1, rank - 2)
        first = rank - 2 - self.batch_rank
        return (*range(first), others, *range(first, rank - 2), features)

    def __call__(self, weights: Array) -> Array:
        """The matrix ``[batches * N, batches * K]`` of the constant, of the same type."""
        stacked = weights.reshape(-1, *weights.shape[-2:])
        # Fully-connected weights are [out, in]: the transposed of the right operand, the left one as it is.
        if self.constant_transposed == self.left:
            stacked = np.ascontiguousarray(stacked.swapaxes(1, 2))
        return block_diagonal(stacked.reshape(-1, 1, 1, stacked.shape[2]), self.batches)

    def before(self) -> tuple[Step, ...]:
        """Steps that bring the features of all matrices to the end."""
        move = self._move(self.order)
        if self.batches == 1:
            return move
        return (*move, Reshape((-1, self.batches * self.shape[self.order[-1]])))

    def after(self, out_features: int) -> tuple[Step, ...]:
        """Steps that bring the outputs of all matrices to where the product has them.

        Args:
            out_features: of one matrix.
        """
        rank = len(self.shape)
        first = rank - 2 - self.batch_rank
        # The layer leaves [.., M, batches.., N]; the product is [.., batches.., M, N], or .. N, M] with W on the left.
        last = (rank - 1, first) if self.left else (first, rank - 1)
        move = self._move((*range(first), *range(first + 1, rank - 1), *last))
        if self.batches == 1:
            return move
        sizes = [self.shape[axis] for axis in self.order[1:-1]]
        return (Reshape((-1, *sizes, out_features)), *move)

    @staticmethod
    def _move(order: tuple[int, ...]) -> tuple[Step, ...]:
        return () if order == tuple(range(len(order))) else (Transpose(order),)
