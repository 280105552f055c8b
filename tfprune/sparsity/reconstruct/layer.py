# SPDX-License-Identifier: Apache-2.0
"""One layer: choose what stays, solve for it, and say how much its outputs change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.sparsity.blocks import Mask
from tfprune.sparsity.patterns import Pattern
from tfprune.sparsity.reconstruct.choose import Chooser, Part, Target
from tfprune.sparsity.reconstruct.moments import DAMPING, Errors, Moments, Parts
from tfprune.sparsity.reconstruct.solve import Floats
from tfprune.sparsity.scores import Scores

_LEAST_DAMPING = 1e-100


@dataclass(frozen=True)
class Reconstruction:
    """New weights of a layer.

    Args:
        weights: ``[rows, segments, cols]`` in the type of the dense ones; zero where `mask` is False.
        mask: True stays.
        bias_change: What the bias gains, ``[rows]`` (of `Parts.SEGMENTS` ``[segments, rows]``); None without one.
        error_before: Squared error of the outputs as a share of their mean square in the dense model, for plain
            magnitude with unchanged weights.
        error_after: The same of `weights`, with the bias changed.
    """

    weights: npt.NDArray[Any]
    mask: Mask
    bias_change: Floats | None
    error_before: float
    error_after: float


def magnitude(
    weights: npt.NDArray[Any], pattern: Pattern, sparsity: float | None, scores: Scores = "l1"
) -> tuple[Mask, npt.NDArray[Any]]:
    """What a layer becomes without data.

    Args:
        weights: ``[rows, segments, cols]``.
        pattern: The pattern.
        sparsity: Fraction of weights to remove; None: the pattern's own rate.
        scores: What a weight is worth; see `select`.

    Returns:
        The mask, and the weights with zeros.

    Raises:
        PatternError: As `select`.
    """
    shape = (weights.shape[0], weights.shape[1], weights.shape[2])
    mask = Target(pattern, sparsity, shape).select(weights, scores)
    return mask, np.where(mask, weights, np.zeros((), weights.dtype))


def reconstruct(
    weights: npt.NDArray[Any],
    pattern: Pattern,
    sparsity: float | None,
    moments: Moments,
    *,
    mask: Mask | None = None,
    settled: bool = False,
    scores: Scores = "l1",
    with_bias: bool = False,
) -> Reconstruction:
    """Chooses a mask whose weights can keep the layer's outputs best, and solves for them.

    Minimises ``sum_rows E[(y - w x)^2] + damping * |w - w_dense|^2`` over the weights that stay, with the damping
    ``0.01 * mean(x^2)``, for the best of several masks. On the examples the result is never worse than unchanged
    weights under the same mask, nor than those of plain magnitude.

    Args:
        weights: Weights of the dense layer ``[rows, segments, cols]``, real and finite.
        pattern: The pattern.
        sparsity: Fraction of weights to remove, in [0, 1); None: the pattern's own rate.
        moments: What is known of the inputs, of at least one sample.
        mask: What plain magnitude keeps; None (default): what `scores` chooses.
        settled: Whether that mask must be used; else (default) the best of several is.
        scores: See `select`.
        with_bias: Whether the layer has a bias that may change.

    Returns:
        The new weights and the error.

    Raises:
        PatternError: As `select`.

    Example:
        >>> import numpy as np
        >>> from tfprune.sparsity.patterns import Unstructured
        >>> weights = np.array([[[1.0, 1.0]]])                       # y = a + b
        >>> moments = Moments(weights)
        >>> moments.add(np.array([[[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]]))   # and always a = b
        >>> found = reconstruct(weights, Unstructured(), 0.5, moments)
        >>> found.weights.round(2)
        array([[[1.99, 0.  ]]])
        >>> round(found.error_before, 3), round(found.error_after, 3)
        (0.25, 0.0)
    """
    plain_mask = magnitude(weights, pattern, sparsity, scores)[0] if mask is None else mask
    plain = np.where(plain_mask, weights, np.zeros((), weights.dtype))
    shape = (weights.shape[0], weights.shape[1], weights.shape[2])
    layout, count = moments.parts, moments.count
    errors = [moments.errors(part, with_bias=with_bias) for part in range(count)]
    fixed_bias = [moments.errors(part, with_bias=False) for part in range(count)] if with_bias else errors
    before = _share(fixed_bias, layout.split(plain, count))
    parts = [_part(each, dense, moments.same_inputs) for each, dense in zip(errors, moments.weights, strict=True)]
    chooser = Chooser(Target(pattern, sparsity, shape), layout, parts)
    chosen, solved = (plain_mask, chooser.solve(plain_mask)) if settled else chooser.best(plain_mask)
    found = np.where(chosen, layout.join(np.stack(solved), shape), 0.0).astype(weights.dtype)
    split = np.asarray(layout.split(found, count), np.float64)
    after = _share(errors, split, fixed_bias)
    if not after <= before:  # by rounding alone: there was nothing to gain
        return Reconstruction(plain, plain_mask, None, before, before)
    change = None
    if with_bias:
        change = np.stack([moments.bias_change(part, split[part]) for part in range(count)])
        change = change if layout is Parts.SEGMENTS else change.reshape(-1)
    return Reconstruction(found, chosen, change, before, after)


def _part(errors: Errors, dense: Floats, same_inputs: bool) -> Part:
    """The damped problem of a part. Where its inputs never move, the least damping keeps its weights as they are."""
    damping = max(DAMPING * float(np.trace(errors.moments)) / len(errors.moments), _LEAST_DAMPING)
    moments = errors.moments + damping * np.eye(len(errors.moments))
    inverse = np.linalg.inv(moments)
    inverse = (inverse + inverse.T) / 2
    optimum = dense
    if not same_inputs:
        optimum = (errors.cross + damping * dense) @ inverse
    return Part(moments, inverse, optimum)


def _share(errors: Sequence[Errors], weights: npt.NDArray[Any], scale: Sequence[Errors] | None = None) -> float:
    """Squared error of all outputs as a share of their mean square in the dense model; 0 where that is 0."""
    total = sum(float(each.of(np.asarray(part, np.float64)).sum()) for each, part in zip(errors, weights, strict=True))
    energy = sum(float(each.energy.sum()) for each in (scale or errors))
    return total / energy if energy > 0 else 0.0
