# SPDX-License-Identifier: Apache-2.0
"""Channels put into an order in which groups keep more; the network computes the same as before."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.errors import PatternError, PruningError
from tfprune.keras.backends import value_of
from tfprune.keras.channels import ChannelSpace, Member, channel_graph
from tfprune.keras.channels.orders import Order, candidate_orders
from tfprune.keras.layers import PrunableWeight, find_weights, to_numpy
from tfprune.keras.masks import MaskConstraint
from tfprune.recipe import DEFAULT_MIN_WEIGHTS, LayerFilters
from tfprune.sparsity.layouts import from_matrix, matrix_shape, resolve_layout
from tfprune.sparsity.patterns import NofM, Pattern
from tfprune.sparsity.patterns.base import check_sparsity
from tfprune.sparsity.scores import Scores, matrix_scores, resolve_scores
from tfprune.sparsity.select import select
from tfprune.tables import html_table, shortened, text_table

DEFAULT_SPARSITY = 0.8
# Sums of the same scores in another order differ in the last bits.
_LEAST_GAIN = 1e-6


@dataclass(frozen=True)
class SpacePermutation:
    """What was done to the channels of one space.

    Args:
        size: Number of channels.
        layers: Layers whose kernels make these channels.
        before: Share of the score of the kernels concerned that the pattern kept in the old order; None if it was not
            looked at.
        after: The same in the order that the channels are in now.
        order: Name of the order that was applied, or None.
        reason: Why the channels were left alone; empty if they were not.
    """

    size: int
    layers: tuple[str, ...]
    before: float | None
    after: float | None
    order: str | None
    reason: str

    @property
    def applied(self) -> bool:
        """Whether the channels were reordered."""
        return self.order is not None


@dataclass(frozen=True)
class PermutationReport:
    """What `permute_channels` did: a table as text (``str``), HTML in notebooks, or a dictionary.

    Args:
        spaces: One entry a set of channels.
        before: Share of the score of all kernels to prune that the pattern kept before.
        after: The same after.
    """

    spaces: tuple[SpacePermutation, ...]
    before: float
    after: float

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values.

        Returns:
            ``{"before", "after", "spaces": [{"size", "layers", "before", "after", "order", "reason"}, ...]}``.
        """
        spaces = [{**dataclasses.asdict(space), "layers": list(space.layers)} for space in self.spaces]
        return {"before": self.before, "after": self.after, "spaces": spaces}

    def _title(self) -> str:
        done = sum(space.applied for space in self.spaces)
        gain = self.after / self.before - 1 if self.before else 0.0
        return (
            f"{done} of {len(self.spaces)} sets of channels reordered; kept score of all kernels to prune "
            f"{self.before:.4f} before, {self.after:.4f} after ({gain:+.2%})"
        )

    def _rows(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        rows = [
            (
                str(space.size),
                shortened(space.layers),
                *("-" if share is None else f"{share:.4f}" for share in (space.before, space.after)),
                space.order or f"left alone: {space.reason}",
            )
            for space in self.spaces
        ]
        return ("channels", "made by", "before", "after", "order"), rows

    def __str__(self) -> str:
        """A table of plain text."""
        return f"{self._title()}\n{text_table(*self._rows(), numbers=False)}"

    def _repr_html_(self) -> str:
        return html_table(*self._rows(), self._title())


@dataclass
class _Kernel:
    """A kernel that is going to be pruned, in the present order of its channels.

    Args:
        weight: The kernel.
        values: Its weights.
        single: Score of each weight.
        rule: Name of the scoring rule; None if `single` is what `select` has to go by.
        sparsity: Its sparsity.
        kept: Score that the pattern keeps.
    """

    weight: PrunableWeight
    values: npt.NDArray[Any]
    single: npt.NDArray[Any]
    rule: str | None
    sparsity: float
    kept: float = 0.0

    def reordered(self, members: Iterable[Member], order: Order) -> _Kernel:
        """The kernel with the channels of a space in another order; `kept` is not yet counted."""
        values, single = self.values, self.single
        for member in members:
            if member.variable is self.weight.variable:
                values, single = reorder(values, member, order), reorder(single, member, order)
        return dataclasses.replace(self, values=values, single=single)

    def count(self, pattern: Pattern) -> _Kernel:
        """Counts `kept`, and returns the kernel."""
        scores = self.single if self.rule is None else self.rule
        mask = select(self.values, pattern, self.sparsity, layout=self.weight.layout, scores=scores)
        self.kept = float(self.single[mask].sum(dtype=np.float64))
        return self

    @property
    def total(self) -> float:
        """Score of all weights."""
        return float(self.single.sum(dtype=np.float64))


def permute_channels(
    model: Any,
    pattern: Pattern,
    sparsity: float | None = None,
    *,
    scores: Scores = "l1",
    filters: LayerFilters = None,
    min_weights: int = DEFAULT_MIN_WEIGHTS,
) -> PermutationReport:
    """Reorders the channels of a model in place so that a pattern keeps more of the weights' score.

    Groups are made of neighbours. Which channels are neighbours is arbitrary: output channels of a layer can be
    reordered if everything that reads them is reordered too. For every set of channels (see `channel_graph`) a few
    orders are tried by selecting masks for all kernels concerned, and the best is applied to every variable on these
    channels: kernels, biases, normalization, depthwise kernels. An order that keeps no more than the present one is not
    applied. What the model computes does not change, apart from the order in which floats are summed.

    Call it before training with a `PruningCallback`, and before the optimizer takes its first step: its state
    is not reordered. Intermediate outputs that other models take from the same layers do change their order.

    Args:
        model: Built functional or Sequential Keras model.
        pattern: Shape of sparsity that the model is going to be pruned to.
        sparsity: Fraction of weights that will be removed, in [0, 1). None (default): 0.8, or the pattern's own rate.
        scores: Scoring rule; see `select`.
        filters: Layers that will be pruned; see `PruningCallback`.
        min_weights: Kernels with fewer weights will stay dense. Default 2048.

    Returns:
        The report: kept scores before and after for each set of channels, or why it was left alone.

    Raises:
        PruningError: Something else than a pattern, a wrong `min_weights`; a model without a graph, with masks on it,
            with an optimizer that has begun, or with weights that are NaN or infinite.
        PatternError: A wrong sparsity or scoring rule.

    Example:
        >>> import keras
        >>> from tfprune.keras.permutation import permute_channels
        >>> from tfprune.sparsity.patterns import Groups
        >>> model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(64), keras.layers.Dense(10)])
        >>> report = permute_channels(model, Groups(rows=4), 0.8)
        >>> report.after > report.before
        True
    """
    if not isinstance(pattern, Pattern):
        raise PruningError(
            "`pattern` of `permute_channels` must be a Pattern object, such as Groups(rows=4). "
            f"Received: pattern={pattern!r}."
        )
    _check_fresh(model)
    graph = channel_graph(model)
    if sparsity is not None:
        check_sparsity(sparsity)
    prunable, _ = find_weights(model, filters, min_weights)
    found = (_kernel(weight, pattern, sparsity, scores) for weight in prunable)
    permuter = _Permuter([kernel for kernel in found if kernel is not None], pattern)
    before = permuter.share()
    spaces = tuple(permuter.permute(space) for space in graph.spaces)
    permuter.assign()
    return PermutationReport(spaces, before, permuter.share())


class _Permuter:
    """Finds and remembers orders, one space after the other; `assign` writes them into the model."""

    def __init__(self, kernels: list[_Kernel], pattern: Pattern) -> None:
        self._kernels = {id(kernel.weight.variable): kernel.count(pattern) for kernel in kernels}
        self._pattern = pattern
        # By id of variable: the variable and its values in the new order.
        self._changed: dict[int, tuple[Any, npt.NDArray[Any]]] = {}

    def share(self) -> float:
        """Share of the score of all kernels that the pattern keeps."""
        total = sum(kernel.total for kernel in self._kernels.values())
        return sum(kernel.kept for kernel in self._kernels.values()) / total if total else 1.0

    def permute(self, space: ChannelSpace) -> SpacePermutation:
        """Takes the best order for one space, if it keeps more than the present one."""
        groups = self._groups(space)
        reason = _why_not(space, groups)
        if reason:
            return _report(space, reason=reason)
        kernels = [self._kernels[key] for key in dict.fromkeys(id(member.variable) for member, _ in groups)]
        before, total = sum(kernel.kept for kernel in kernels), sum(kernel.total for kernel in kernels)
        if not total:
            return _report(space, reason="all scores of its weights are zero")
        sparsity = max(kernel.sparsity for kernel in kernels)
        group = max(size for _, size in groups)
        # Of N neighbours, M are kept: they should differ. Other groups are kept or removed as one.
        alike = not isinstance(self._pattern, NofM)
        orders = candidate_orders(self._channel_scores(space, groups), sparsity, group, alike=alike)
        after = {name: self._kept(kernels, space, order) for name, order in orders.items()}
        best = max(after, key=lambda name: after[name])
        if after[best] <= before * (1 + _LEAST_GAIN):
            return _report(space, before / total, before / total, reason="no order was found that keeps more")
        self._apply(space, orders[best])
        return _report(space, before / total, after[best] / total, best)

    def assign(self) -> None:
        """Writes the new values into the model."""
        for variable, values in self._changed.values():
            variable.assign(values)

    def _groups(self, space: ChannelSpace) -> list[tuple[Member, int]]:
        """Axes of kernels to prune along which a group holds several channels of a space, and how many."""
        rows, cols = self._pattern.extent
        found = []
        for member in space.members:
            kernel = self._kernels.get(id(member.variable))
            if kernel is None:
                continue
            layout = resolve_layout(kernel.values.ndim, kernel.weight.layout)
            size = rows if member.axis in layout.outputs else cols if member.axis in layout.inputs else 1
            if size > 1:
                found.append((member, size))
        return found

    def _channel_scores(self, space: ChannelSpace, groups: list[tuple[Member, int]]) -> npt.NDArray[Any]:
        """Scores of the weights of each channel, ``[channels, places]``, over all kernels concerned."""
        parts = []
        for member, _ in groups:
            lines = np.moveaxis(self._kernels[id(member.variable)].single, member.axis, 0)
            parts += [lines[start : start + space.size].reshape(space.size, -1) for start in member.offsets]
        return np.concatenate(parts, axis=1)

    def _kept(self, kernels: list[_Kernel], space: ChannelSpace, order: Order) -> float:
        """Score that the pattern keeps of some kernels in another order."""
        return sum(kernel.reordered(space.members, order).count(self._pattern).kept for kernel in kernels)

    def _apply(self, space: ChannelSpace, order: Order) -> None:
        """Reorders everything on a space."""
        for member in space.members:
            key = id(member.variable)
            known = self._changed.get(key)
            values = known[1] if known else value_of(member.variable)
            self._changed[key] = (member.variable, reorder(values, member, order))
        for key in {id(member.variable) for member in space.members} & self._kernels.keys():
            self._kernels[key] = self._kernels[key].reordered(space.members, order).count(self._pattern)


def reorder(values: npt.NDArray[Any], member: Member, order: Order) -> npt.NDArray[Any]:
    """Puts the channels of a space on an axis into another order.

    Args:
        values: Values of the member's variable.
        member: Where the space lies on it.
        order: Old channel at each new place.

    Returns:
        A new array.
    """
    index = np.arange(values.shape[member.axis])
    for start in member.offsets:
        index[start : start + len(order)] = start + order
    return np.take(values, index, axis=member.axis)


def _kernel(weight: PrunableWeight, pattern: Pattern, sparsity: float | None, scores: Scores) -> _Kernel | None:
    """A kernel with its scores; None if it will stay dense because the pattern does not fit it."""
    shape = tuple(weight.variable.shape)
    matrix = matrix_shape(shape, weight.layout)
    try:
        pattern.check(matrix)
    except PatternError:
        return None
    own = pattern.own_sparsity(matrix)
    if own is None:
        sparsity = DEFAULT_SPARSITY if sparsity is None else sparsity
        if not pattern.reaches(sparsity, shape, weight.layout):
            return None
    target = pattern.resolve_sparsity(sparsity, shape, weight.layout)
    values = to_numpy(weight.variable)
    if not np.isfinite(values).all():
        raise PruningError(
            f"Weights must be finite to be compared. Received: NaN or infinite weights in layer {weight.layer!r}."
        )
    single = from_matrix(matrix_scores(values, resolve_scores(scores), weight.layout), shape, weight.layout)
    return _Kernel(weight, values, single, scores if isinstance(scores, str) else None, target)


def _check_fresh(model: Any) -> None:
    """Refuses a model in whose optimizer something belongs to the present order of channels."""
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and optimizer.built and int(optimizer.iterations) > 0:
        raise PruningError(
            f"Channels must be reordered before training. Received: model {model.name!r}, whose optimizer has done "
            f"{int(optimizer.iterations)} steps and holds a state in the present order. Compile the model again first."
        )
    if any(isinstance(variable.constraint, MaskConstraint) for variable in getattr(model, "trainable_variables", ())):
        raise PruningError(
            f"Channels must be reordered before pruning. Received: model {model.name!r} with masks on its weights."
        )


def _why_not(space: ChannelSpace, groups: list[tuple[Member, int]]) -> str:
    """Why a space is left alone from the start; empty if it is not."""
    if space.pinned_reason is not None:
        return space.pinned_reason
    if space.size == 1:
        return "a single channel"
    return "" if groups else "no kernel to prune has groups over these channels"


def _report(
    space: ChannelSpace,
    before: float | None = None,
    after: float | None = None,
    order: str | None = None,
    reason: str = "",
) -> SpacePermutation:
    layers = tuple(dict.fromkeys(member.layer for member in space.producers))
    return SpacePermutation(space.size, layers, before, after, order, reason)
