# SPDX-License-Identifier: Apache-2.0
"""Choices that need no trial: alone they are slower and worse than another one, or lose too much."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tfprune.mapping.choice import Choice
from tfprune.mapping.searching.space import DOMINATED, TOO_LOSSY, Skipped, Space

# What a sparser choice is expected to lose more where the validation data show no difference, in parts of the largest
# loss of the layer.
_PREFERENCE = 0.02


def with_assumed(
    alone: Mapping[str, Mapping[Choice, float]], choices: Mapping[str, Sequence[Choice]]
) -> dict[str, dict[Choice, float]]:
    """What was measured, and for choices that were not run what their pattern has at the nearest lower rate that was.

    Args:
        alone: the metric by layer name and choice, of choices that were run.
        choices: all choices by layer name.
    """
    found = {name: dict(values) for name, values in alone.items()}
    for name, listed in choices.items():
        measured = alone.get(name, {})
        for choice in listed:
            lower = [each for each in measured if each.pattern == choice.pattern and each.sparsity < choice.sparsity]
            if not choice.dense and choice not in measured and lower:
                found[name][choice] = measured[max(lower, key=lambda each: each.sparsity)]
    return found


def with_losses(space: Space, alone: Mapping[str, Mapping[Choice, float]], dense: float, sign: int) -> Space:
    """The space with what each choice loses alone.

    Args:
        space: the choices.
        alone: the metric by layer name and choice, of choices that were run.
        dense: the metric of the dense model.
        sign: 1 where more of the metric is better, -1 where less is.
    """
    losses = {}
    alone = with_assumed(alone, space.choices)
    known = [sign * (dense - value) for values in alone.values() for value in values.values()]
    largest = max([1e-6, *filter(math.isfinite, known)])
    unit = _PREFERENCE * largest
    for name, choices in space.choices.items():
        found = [0.0 if choice.dense else sign * (dense - alone[name][choice]) for choice in choices]
        rates = np.array([choice.sparsity for choice in choices])
        # A metric that is no number is as bad as the worst one.
        numbers = np.where(np.isfinite(found), found, largest)
        losses[name] = np.maximum(numbers, 0.0) + unit * rates
    return dataclasses.replace(space, losses=losses)


def without_hopeless(
    space: Space,
    alone: Mapping[str, Mapping[Choice, float]],
    dense: float,
    sign: int,
    *,
    max_loss: float | None = None,
    wanted: Mapping[str, Collection[Choice]] | None = None,
) -> tuple[Space, tuple[Skipped, ...]]:
    """The space without hopeless choices. The dense choice and the fastest one that is left always stay.

    Args:
        space: the choices.
        alone: the metric by layer name and choice, of choices that were run.
        dense: the metric of the dense model.
        sign: 1 where more of the metric is better, -1 where less is.
        max_loss: what a choice may lose alone; None: anything. It does not hold where no mapping that keeps to it is
            within the budget.
        wanted: choices that stay in any case.

    Returns:
        The space, and what is not in it any more.
    """
    measured, alone = alone, with_assumed(alone, space.choices)
    keep, skipped = {}, []
    for name, choices in space.choices.items():
        values = np.array([sign * (dense if choice.dense else alone[name][choice]) for choice in choices])
        shares = space.shares[name]
        stays = np.ones(len(choices), bool)
        for place, choice in enumerate(choices):
            if choice.dense or choice in (wanted or {}).get(name, ()):
                continue
            better = (values > values[place]) & (shares < shares[place])
            if better.any():
                other = choices[int(np.argmax(np.where(better, values, -np.inf)))]
                stays[place] = False
                skipped.append(Skipped(name, choice, DOMINATED, f"{other} is faster and better"))
        keep[name] = stays
    if max_loss is None:
        return space.kept(keep), tuple(skipped)
    return _within(space, keep, skipped, alone, dense, sign, max_loss, wanted or {}, measured)


def _within(
    space: Space,
    keep: dict[str, npt.NDArray[np.bool_]],
    skipped: list[Skipped],
    alone: Mapping[str, Mapping[Choice, float]],
    dense: float,
    sign: int,
    max_loss: float,
    wanted: Mapping[str, Collection[Choice]],
    measured: Mapping[str, Mapping[Choice, float]],
) -> tuple[Space, tuple[Skipped, ...]]:
    """The space without choices that lose more than a limit, unless the budget needs them."""
    limited, losing = {}, []
    for name, choices in space.choices.items():
        losses = [0.0 if choice.dense else sign * (dense - alone[name][choice]) for choice in choices]
        free = [choice in wanted.get(name, ()) for choice in choices]
        fits = np.array([loss <= max_loss or each for loss, each in zip(losses, free, strict=True)])
        limited[name] = keep[name] & fits
        for choice, loss, stays, within in zip(choices, losses, keep[name], fits, strict=True):
            if stays and not within:
                what = "" if choice in measured.get(name, {}) else "not run, a lower rate: "
                losing.append(Skipped(name, choice, TOO_LOSSY, f"{what}{loss:.4f}, more than max_loss={max_loss:g}"))
    small = space.kept(limited)
    if not small.layers or small.share(small.fastest()) > 1:
        return space.kept(keep), tuple(skipped)
    return small, (*skipped, *losing)
