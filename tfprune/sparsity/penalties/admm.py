# SPDX-License-Identifier: Apache-2.0
"""ADMM: weights are drawn to their projection onto the pattern."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.sparsity.blocks import Mask
from tfprune.sparsity.penalties.base import Penalty, register


def draw_to(weights: Any, target: Any, pull: Any) -> Any:
    """Weights after one proximal step towards a target: ``target + (weights - target) / (1 + pull)``.

    It minimises ``strength / 2 * (v - target) ** 2 + (v - weights) ** 2 / (2 * learning_rate)`` over ``v`` for
    ``pull = learning_rate * strength``: between the two for every strength.

    Args:
        weights: Numbers or tensors.
        target: Numbers or tensors of the same shape.
        pull: ``learning_rate * strength``, at least 0.

    Returns:
        The weights.

    Example:
        >>> draw_to(weights=3.0, target=1.0, pull=1.0)
        2.0
    """
    return target + (weights - target) / (1 + pull)


@dataclass(frozen=True)
class Splitting:
    """The two variables that ADMM keeps beside the weights.

    Args:
        projected: ``Z``, weights of the pattern.
        dual: ``U``, by how much the weights missed it so far.
    """

    projected: npt.NDArray[Any]
    dual: npt.NDArray[Any]

    @classmethod
    def begin(cls, weights: npt.NDArray[Any], mask: Mask) -> Splitting:
        """``Z = M * W`` and ``U = 0``.

        Args:
            weights: ``W``.
            mask: ``M``, chosen from `weights`.

        Returns:
            The splitting.
        """
        return cls(np.where(mask, weights, 0), np.zeros_like(weights))

    def project(self, weights: npt.NDArray[Any], mask: Mask) -> Splitting:
        """``Z = M * (W + U)``, then ``U += W - Z``.

        Args:
            weights: ``W``.
            mask: ``M``, chosen from ``weights + dual``.

        Returns:
            The next splitting.

        Example:
            >>> first = Splitting.begin(np.array([3.0, 1.0]), np.array([True, False]))
            >>> first.target
            array([3., 0.])
            >>> first.project(np.array([2.0, 0.5]), np.array([True, False])).target
            array([ 2. , -0.5])
        """
        moved = weights + self.dual
        projected = np.where(mask, moved, 0)
        return Splitting(projected, moved - projected)

    @property
    def target(self) -> npt.NDArray[Any]:
        """``Z - U``, what the weights are drawn to."""
        target: npt.NDArray[Any] = self.projected - self.dual
        return target


@register
@dataclass(frozen=True)
class AdmmPenalty(Penalty):
    """ADMM (Zhang et al. 2018): weights are drawn to weights of the pattern, ever more where they do not give in.

    The term is ``strength / 2 * sum((W - Z + U) ** 2)``; `strength` is ADMM's ``rho``. Every `refresh` steps ``Z``
    becomes the projection of ``W + U`` onto the pattern at the final sparsity: what `select` keeps of it stays, the
    rest is 0 (the nearest such weights with ``scores="squared"``). Then ``U`` grows by ``W - Z``. The term is carried
    out as a proximal step after every update, ``W = T + (W - T) / (1 + learning_rate * strength)`` with ``T = Z - U``,
    and ends with the last cut of a weight's schedule.

    Args:
        strength: ``rho`` over steps: a `StrengthRamp`, or a number for one that rises to it. ``learning_rate *
            strength`` decides: at 0.1 a weight goes 9 % of its way to ``T`` in a step. Its `begin_step` must come
            before the last cut.
        refresh: Steps from one projection to the next, at least 1; None (default): ``Z`` is found once, and ``U`` is 0.

    Raises:
        ScheduleError: Other arguments.
    """
