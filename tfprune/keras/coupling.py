# SPDX-License-Identifier: Apache-2.0
"""Whole filters and channels chosen jointly, so that the arrays can shrink later.

A channel of a sum is zero only if all of the summands' filters are; an input channel is unused only if no layer reads
it. So kernels that share channels choose together, by the sum of their scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.errors import PatternError
from tfprune.keras.channels import ChannelSpace, channel_graph
from tfprune.keras.layers import PrunableWeight
from tfprune.sparsity.layouts import from_matrix, matrix_shape, resolve_layout, to_matrix
from tfprune.sparsity.patterns import Channels, Filters, Pattern
from tfprune.sparsity.patterns.base import check_sparsity, exact_fraction, round_half_up
from tfprune.sparsity.scores import (
    Integers,
    ScoreRule,
    Scores,
    integer_roots,
    matrix_scores,
    resolve_scores,
    to_integers,
)
from tfprune.sparsity.select.rank import top_cells
from tfprune.tables import shortened, text_table


@dataclass(frozen=True)
class GroupPart:
    """Where the channels of a group lie on one kernel.

    Args:
        kernel: Place of the kernel in the list of kernels.
        axis: Axis of the kernel.
        offsets: Where along the axis they begin.
    """

    kernel: int
    axis: int
    offsets: tuple[int, ...]


@dataclass(frozen=True)
class CoupledGroup:
    """Channels that are kept or removed in several kernels at once.

    Args:
        size: Number of channels.
        layers: Layers of the kernels, for reports.
        kernels: Places of the kernels in the list of kernels.
        parts: Where the channels lie on them; empty for a kernel whose channels the graph does not know.
        space: Index of the channel space in `Coupling.graph`; None for a kernel whose channels it does not know.
        reason: Why the arrays could not shrink by the removed channels; empty if they can.
    """

    size: int
    layers: tuple[str, ...]
    kernels: tuple[int, ...]
    parts: tuple[GroupPart, ...]
    space: int | None
    reason: str

    @property
    def shrinks(self) -> bool:
        """Whether everything on these channels can shrink by those that are removed."""
        return not self.reason


@dataclass(frozen=True)
class CoupledMasks:
    """What `Coupling.select` chose.

    Args:
        masks: For each kernel, in the order given, True where a weight stays.
        groups: The groups of channels.
        kept: For each group, True where a channel stays.
    """

    masks: tuple[npt.NDArray[np.bool_], ...]
    groups: tuple[CoupledGroup, ...]
    kept: tuple[npt.NDArray[np.bool_], ...]

    def __str__(self) -> str:
        """A table of plain text: a group a row."""
        rows = [
            (
                str(group.size),
                str(int(kept.sum())),
                shortened(group.layers),
                "shrinks" if group.shrinks else f"keeps its shape: {group.reason}",
            )
            for group, kept in zip(self.groups, self.kept, strict=True)
        ]
        return text_table(("channels", "kept", "layers", "status"), rows, numbers=False)


class Coupling:
    """Which kernels of a model share channels.

    Args:
        model: Built functional or Sequential Keras model.

    Raises:
        PruningError: A model without a graph; kernels of such a model can only be pruned each by itself.

    Example:
        >>> import keras
        >>> from tfprune.keras.layers import find_weights
        >>> inputs = keras.Input((16,))
        >>> x = keras.layers.Dense(10, name="first")(inputs)
        >>> y = keras.layers.Dense(10, name="second")(x)
        >>> outputs = keras.layers.Dense(3, name="head")(keras.layers.Add()([x, y]))
        >>> model = keras.Model(inputs, outputs)
        >>> weights, _ = find_weights(model, ["first", "second"], 1)
        >>> chosen = Coupling(model).select([(each, each.variable.numpy()) for each in weights], Filters(), 0.7)
        >>> print(chosen)
        channels  kept  layers         status
        --------  ----  -------------  -------
        10        3     first, second  shrinks
        >>> bool((chosen.masks[0].any(axis=0) == chosen.masks[1].any(axis=0)).all())
        True
    """

    def __init__(self, model: Any) -> None:
        """Follows the channels through the model."""
        self.graph = channel_graph(model)

    def groups(self, weights: Sequence[PrunableWeight], pattern: Pattern) -> tuple[CoupledGroup, ...]:
        """Finds the channels that kernels must keep or remove together.

        Producers of the same channels, such as the branches of an ``Add``, share removed filters; layers that read the
        same channels share removed input channels; depthwise kernels on them go along. Channels that must stay, such as
        outputs of the model, are chosen by each kernel alone: a valid mask, but nothing can shrink.

        Args:
            weights: Kernels to be pruned.
            pattern: `Filters` or `Channels`.

        Returns:
            The groups. Every channel of every kernel is in one of them.

        Raises:
            PatternError: Another pattern.
        """
        if not isinstance(pattern, (Filters, Channels)):
            raise PatternError(f"Kernels are coupled for `Filters` and `Channels`. Received: {pattern!r}.")
        # By space; of pinned spaces also by kernel.
        found: dict[tuple[int, ...], tuple[ChannelSpace, dict[tuple[int, int], list[int]]]] = {}
        unknown = []
        for index, weight in enumerate(weights):
            axis = _channel_axis(weight, pattern)
            along = None if axis is None else self.graph.along(weight.variable, axis)
            if axis is None or along is None:
                unknown.append(_unknown_group(index, weight, pattern))
                continue
            for space, offset in along:
                key = (space.index,) if space.pinned_reason is None else (space.index, index)
                found.setdefault(key, (space, {}))[1].setdefault((index, axis), []).append(offset)
        return (*(_group(space, places, weights, pattern) for space, places in found.values()), *unknown)

    def select(
        self,
        kernels: Sequence[tuple[PrunableWeight, npt.NDArray[Any]]],
        pattern: Pattern,
        sparsity: float,
        *,
        scores: Scores | Sequence[Scores] = "l1",
    ) -> CoupledMasks:
        """Chooses whole filters or channels, for each group of channels jointly.

        A channel is worth the sum of its scores in all kernels of its group. Of each group,
        ``max(1, round_half_up((1 - sparsity) * channels))`` channels stay, the first of equal ones. Scores become
        integers before they are summed, so the choice is the same on every machine.

        Args:
            kernels: Kernels to be pruned, with their present values.
            pattern: `Filters` or `Channels`.
            sparsity: Fraction of channels to remove from each group, in [0, 1).
            scores: Scoring rule of `tfprune.select`; or a list of one a kernel, such as arrays of scores.

        Returns:
            The masks.

        Raises:
            PatternError: Another pattern, a wrong sparsity, or a wrong scoring rule.
        """
        check_sparsity(sparsity)
        weights = [weight for weight, _ in kernels]
        rules = [resolve_scores(each) for each in _one_each(scores, len(kernels))]
        single = [
            from_matrix(matrix_scores(values, rule, weight.layout), values.shape, weight.layout)
            for (weight, values), rule in zip(kernels, rules, strict=True)
        ]
        masks = [np.ones(values.shape, np.bool_) for _, values in kernels]
        groups = self.groups(weights, pattern)
        chosen = []
        for group in groups:
            totals = _channel_scores(group, single, rules, weights, pattern)
            count = max(1, round_half_up((1 - exact_fraction(sparsity)) * group.size))
            kept = top_cells(totals, count)
            chosen.append(kept)
            for index in group.kernels:
                masks[index] &= _kernel_mask(group, index, kept, weights[index], masks[index].shape, pattern)
        return CoupledMasks(tuple(masks), groups, tuple(chosen))


def _one_each(scores: Scores | Sequence[Scores], count: int) -> Sequence[Scores]:
    """A scoring rule for each kernel."""
    if not isinstance(scores, (list, tuple)):
        return [scores] * count  # type: ignore[list-item]
    if len(scores) != count:
        raise PatternError(f"`scores` must be one rule, or one for each of {count} kernels. Received: {len(scores)}.")
    return scores


def _channel_axis(weight: PrunableWeight, pattern: Pattern) -> int | None:
    """The one axis of a kernel along which a pattern removes whole slices; None if there are several."""
    shape = weight.variable.shape
    layout = resolve_layout(len(shape), weight.layout)
    # The filters of a depthwise kernel are its input channels.
    axes = layout.outputs if isinstance(pattern, Filters) or not layout.inputs else layout.inputs
    longer = [axis for axis in axes if shape[axis] > 1] or list(axes[:1])
    return longer[0] if len(longer) == 1 else None


def _group(
    space: ChannelSpace, places: dict[tuple[int, int], list[int]], weights: Sequence[PrunableWeight], pattern: Pattern
) -> CoupledGroup:
    """A group on a space, and whether all layers are in it that must be."""
    kernels = tuple(dict.fromkeys(index for index, _ in places))
    reason = space.pinned_reason or space.fixed_size_reason or ""
    needed = space.producers if isinstance(pattern, Filters) else space.consumers
    pruned = {id(weights[index].variable) for index in kernels}
    left_out = [member.layer for member in needed if id(member.variable) not in pruned]
    if not reason and left_out:
        reason = f"not pruned with the others: {shortened(left_out)}"
    return CoupledGroup(
        size=space.size,
        layers=tuple(weights[index].layer for index in kernels),
        kernels=kernels,
        parts=tuple(GroupPart(index, axis, tuple(offsets)) for (index, axis), offsets in places.items()),
        space=space.index,
        reason=reason,
    )


def _unknown_group(index: int, weight: PrunableWeight, pattern: Pattern) -> CoupledGroup:
    """A kernel that chooses alone, cell by cell of the pattern."""
    shape = matrix_shape(weight.variable.shape, weight.layout)
    size = shape.rows if isinstance(pattern, Filters) else shape.cols
    reason = "its channels could not be followed through the model"
    return CoupledGroup(size, (weight.layer,), (index,), (), None, reason)


def _channel_scores(
    group: CoupledGroup,
    single: Sequence[npt.NDArray[Any]],
    rules: Sequence[ScoreRule],
    weights: Sequence[PrunableWeight],
    pattern: Pattern,
) -> Integers:
    """Integer scores of the channels of a group, over all of its kernels."""
    if not group.parts:
        index = group.kernels[0]
        # A root would not change the order.
        sums: Integers = pattern.pool(to_integers(to_matrix(single[index], weights[index].layout)))
        return sums
    lines = []
    for part in group.parts:
        whole = np.moveaxis(single[part.kernel], part.axis, 0)
        pieces = [whole[start : start + group.size].reshape(group.size, -1) for start in part.offsets]
        lines.append(np.concatenate(pieces, axis=1))
    largest = max(float(each.max(initial=0.0)) for each in lines)
    totals = np.zeros(group.size, np.int64)
    for part, each in zip(group.parts, lines, strict=True):
        sums = to_integers(each, largest).sum(axis=1)
        totals += integer_roots(sums) if rules[part.kernel].root else sums
    return totals


def _kernel_mask(
    group: CoupledGroup,
    index: int,
    kept: npt.NDArray[np.bool_],
    weight: PrunableWeight,
    shape: tuple[int, ...],
    pattern: Pattern,
) -> npt.NDArray[np.bool_]:
    """What a group leaves of one of its kernels; True outside the group."""
    if not group.parts:
        return from_matrix(pattern.expand(kept, matrix_shape(shape, weight.layout)), shape, weight.layout)
    mask = np.ones(shape, np.bool_)
    for part in group.parts:
        if part.kernel == index:
            lines = np.moveaxis(mask, part.axis, -1)
            for start in part.offsets:
                lines[..., start : start + group.size] &= kept
    return mask
