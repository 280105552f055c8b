# SPDX-License-Identifier: Apache-2.0
r"""How much of each layer stays, when the whole model has one budget.

The best score of every layer is a concave curve of the cells it keeps, so one price for the whole model tells how many
each layer keeps: those that are worth more. With ``c`` the cost of a cell and ``B`` the budget::

    maximise  sum_l f_l(n_l)   with   sum_l c_l n_l <= B   and   least_l <= n_l <= most_l

Where all cells cost the same this is the optimum: bounds clip a curve and leave it concave, and of cells worth exactly
the price, those of earlier layers stay. Otherwise `Allocation.upper_bound` tells how far from the optimum the choice
can be: by less than what one cell (for a cost that is a function: one stretch of its hull) is worth.

Layers are compared in integers of one unit, ``2 ** -30`` of the largest score of the model; that decides how many cells
each keeps. Which ones is then decided in integers of the layer's own, so a layer of tiny scores is chosen as finely as
`select` would.
"""

from __future__ import annotations

import math
import numbers
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tfprune.errors import PatternError
from tfprune.sparsity.blocks import Mask
from tfprune.sparsity.configured import as_float
from tfprune.sparsity.layouts import LayoutLike, MatrixShape, from_matrix, matrix_shape
from tfprune.sparsity.patterns import BlockRowsColumns, Groups, KernelPatterns, Pattern
from tfprune.sparsity.patterns.base import check_pattern, check_sparsity, exact_fraction
from tfprune.sparsity.scores import (
    Scores,
    checked_weights,
    integer_roots,
    matrix_scores,
    resolve_scores,
    to_integers,
)
from tfprune.sparsity.select.budget import spend
from tfprune.sparsity.select.curves import Curve, RankedCurve, WindowCurve
from tfprune.sparsity.select.kernel_shapes import keep_kernels
from tfprune.sparsity.select.lines import from_lines, to_lines
from tfprune.sparsity.select.rank import top_cells
from tfprune.sparsity.select.unaligned import keep_windows

# Costs are reported as floats.
_LARGEST_COST = Fraction(sys.float_info.max)

Cost: TypeAlias = float | Callable[[float], float]


@dataclass(frozen=True)
class Allocation:
    """A choice over the layers of a model.

    Args:
        masks: Mask of each layer, True stays.
        cells: Kept cells of each layer.
        cost: Cost of what is kept, with a shorter last cell counted as a whole one.
        budget: ``(1 - sparsity)`` times the dense cost.
        score: Best score of these counts, in units of ``2 ** -30`` of the largest score of a weight, scores rounded to
            them (of scores themselves where single weights of equal cost compete).
        upper_bound: No choice within the budget has a larger score (among the counts looked at, where a cost is a
            function).
    """

    masks: dict[str, Mask]
    cells: dict[str, int]
    cost: float
    budget: float
    score: float
    upper_bound: float


def select_global(
    weights: Mapping[str, npt.ArrayLike],
    pattern: Pattern | Mapping[str, Pattern],
    sparsity: float,
    *,
    layouts: Mapping[str, LayoutLike] | None = None,
    scores: Scores | Mapping[str, Scores] = "l1",
    min_sparsity: float | Mapping[str, float] = 0.0,
    max_sparsity: float | Mapping[str, float] = 0.99,
    costs: Mapping[str, Cost] | None = None,
) -> dict[str, Mask]:
    """Chooses which weights of a whole model stay so that their total score is the largest within one budget.

    How many cells a layer keeps is best for scores rounded to ``2 ** -30`` of the largest score in the model (exactly
    where every cell costs the same, else up to about one cell); which ones is what `select` chooses for that count.
    Scores must compare across layers: those of `scores.movement` do not.

    Args:
        weights: Kernels by layer.
        pattern: Pattern of all layers, or by layer. Cells must compete freely: `NofM` and ``KernelElements(keep=n)``
            fix the rate of a layer, balanced groups come and go in all units at once, and ``Groups(along="both")`` and
            `BlockRowsColumns` are chosen by heuristics; select those layers on their own.
        sparsity: Share of the dense cost to remove, in [0, 1). At most ``(1 - sparsity) * dense cost`` is kept; 0 keeps
            everything.
        layouts: Layouts by layer; None, or a layer that is not there: by rank.
        scores: Scoring rule; see `select`. Arrays by layer.
        min_sparsity: Least sparsity of a layer, or by layer. Default 0.0.
        max_sparsity: Largest sparsity of a layer, or by layer, so that no layer vanishes. Default 0.99.
        costs: By layer, every one named: what one weight costs, such as the pixels of its output (the budget is then
            in MACs), or a function from the layer's sparsity in [0, 1] to its whole cost, such as a predicted latency.
            None (default): every weight costs 1.

    Returns:
        Masks by layer, True stays.

    Raises:
        PatternError: What `select` refuses, with the layer's name; a pattern that cannot share a budget; names that do
            not fit, or are missing in `pattern` or `costs`; bounds that leave no choice; a cost that is not above 0, or
            not finite, alone or in all.

    Example:
        >>> import numpy as np
        >>> from tfprune.sparsity.patterns import Groups
        >>> weights = {"a": np.array([[9.0, 8.0, 1.0, 1.0]]), "b": np.array([[2.0, 1.0, 1.0, 7.0]])}
        >>> masks = select_global(weights, Groups(rows=2), 0.5)
        >>> masks["a"].astype(int), masks["b"].astype(int)
        (array([[1, 1, 0, 0]]), array([[0, 0, 1, 1]]))
    """
    return allocate(
        weights,
        pattern,
        sparsity,
        layouts=layouts,
        scores=scores,
        min_sparsity=min_sparsity,
        max_sparsity=max_sparsity,
        costs=costs,
    ).masks


def allocate(
    weights: Mapping[str, npt.ArrayLike],
    pattern: Pattern | Mapping[str, Pattern],
    sparsity: float,
    *,
    layouts: Mapping[str, LayoutLike] | None = None,
    scores: Scores | Mapping[str, Scores] = "l1",
    min_sparsity: float | Mapping[str, float] = 0.0,
    max_sparsity: float | Mapping[str, float] = 0.99,
    costs: Mapping[str, Cost] | None = None,
) -> Allocation:
    """`select_global` with counts, cost, score and a bound on the best possible score.

    Args:
        weights: As in `select_global`.
        pattern: As in `select_global`.
        sparsity: As in `select_global`.
        layouts: As in `select_global`.
        scores: As in `select_global`.
        min_sparsity: As in `select_global`.
        max_sparsity: As in `select_global`.
        costs: As in `select_global`.

    Returns:
        The `Allocation`.

    Raises:
        PatternError: As `select_global`.
    """
    check_sparsity(sparsity)
    if not isinstance(weights, Mapping):
        raise PatternError(
            f"`weights` must be a mapping of names of layers to kernels. Received: {type(weights).__name__}."
        )
    if not weights:
        raise PatternError("`weights` must hold at least one layer. Received: none.")
    by_layer = {
        "pattern": pattern,
        "layouts": layouts or {},
        "scores": scores,
        "min_sparsity": min_sparsity,
        "max_sparsity": max_sparsity,
        "costs": 1 if costs is None else costs,
    }
    for argument, value in by_layer.items():
        _check_names(argument, value, weights)
    layers = {}
    for name, kernel in weights.items():
        try:
            layers[name] = _Layer(name, kernel, {argument: _of(value, name) for argument, value in by_layer.items()})
        except PatternError as error:
            raise PatternError(f"Layer {name!r}: {error}") from error
    if len({layer.rule.root for layer in layers.values()}) > 1:
        raise PatternError("All layers must use `scores` of one kind. Received: 'l2', which takes roots, and others.")
    if sum(layer.dense_cost() for layer in layers.values()) > _LARGEST_COST:
        raise PatternError(f"`costs` of all weights must add up to {float(_LARGEST_COST):.2g} at most. Received: more.")
    curves, largest = _curves(layers)
    spending = spend({name: (curves[name], layers[name]) for name in layers}, sparsity)
    masks, cells, score = {}, {}, 0
    for name, layer in layers.items():
        kept, own = spending.curves[name].choose(spending.counts[name])
        cells[name] = spending.curves[name].cells(spending.counts[name])
        if sparsity == 0 and layer.may_keep_all:
            kept = np.ones_like(kept)
        elif largest is not None and (layer.largest < largest or curves[name].shift):
            kept, _ = _curve(layer, layer.largest, 0).choose(cells[name])
        masks[name] = from_matrix(kept, layer.kernel_shape, layer.layout)
        score += own
        layer.forget_scores()
    cost = sum((layers[name].cost(cells[name]) for name in layers), Fraction(0))
    return Allocation(masks, cells, float(cost), float(spending.budget), score, score + spending.gap)


def _check_names(argument: str, value: object, weights: Mapping[str, Any]) -> None:
    """Names of an argument by layer must be those of layers; a pattern and a cost are needed for each."""
    if not isinstance(value, Mapping):
        return
    unknown = sorted(set(value) - set(weights), key=str)
    missing = sorted(set(weights) - set(value), key=str) if argument in ("pattern", "costs") else []
    if unknown or missing:
        found = f"no such layer: {_listed(unknown)}" if unknown else f"nothing for {_listed(missing)}"
        raise PatternError(f"The names in `{argument}` must be those in `weights`. Received: {found}.")


def _listed(names: list[Any]) -> str:
    return ", ".join(map(str, names))


def _of(value: Any, name: str) -> Any:
    """What an argument says about a layer; None if it does not."""
    return value.get(name) if isinstance(value, Mapping) else value


class _Layer:
    """One layer with checked arguments.

    Args:
        name: Its name, for messages.
        kernel: Weights.
        arguments: What the arguments of `allocate` say about the layer; None for nothing.
    """

    def __init__(self, name: str, kernel: npt.ArrayLike, arguments: Mapping[str, Any]) -> None:
        """Checks, and scores the weights."""
        array = checked_weights(kernel)
        self.name = name
        self.kernel_shape, self.layout = array.shape, arguments["layouts"]
        self.shape = matrix_shape(array.shape, self.layout)
        pattern = _checked_pattern(arguments["pattern"], self.shape)
        self.rule = resolve_scores("l1" if arguments["scores"] is None else arguments["scores"])
        self.scores = matrix_scores(array, self.rule, self.layout)
        self.largest = float(self.scores.max(initial=0.0))
        # What a pattern finds from the weights it finds as in `select`, from the layer's own integers.
        self.pattern = pattern if pattern.single_weights else pattern.fitted(to_integers(self.scores))
        self.cell_size = self.pattern.cell_size(self.shape)
        self._sparsities = tuple(
            check_sparsity(default if arguments[name] is None else arguments[name], name)
            for name, default in (("min_sparsity", 0.0), ("max_sparsity", 0.99))
        )
        cost: Cost = 1 if arguments["costs"] is None else arguments["costs"]
        self._cost = cost if callable(cost) else _checked_cost(cost)

    def bounds(self, capacity: int) -> tuple[int, int]:
        """Least and most cells, where the pattern has room for `capacity`.

        Raises:
            PatternError: They leave no choice.
        """
        cells = Fraction(self.shape.size, self.cell_size)
        low, high = self._sparsities
        if high < low:
            raise PatternError(
                f"`max_sparsity` must not be below `min_sparsity`. Received: min_sparsity={low}, max_sparsity={high}. "
                "Move the bounds apart."
            )
        least = math.ceil((1 - exact_fraction(high)) * cells)
        most = min(capacity, math.floor((1 - exact_fraction(low)) * cells)) if low > 0 else capacity
        if least > most:
            raise PatternError(
                f"{self.pattern!r} must be able to keep from `1 - max_sparsity` to `1 - min_sparsity` of the weights: "
                f"{least} to {most} cells here, of which it has {capacity}. Received: min_sparsity={low}, "
                f"max_sparsity={high}. Move the bounds apart."
            )
        return least, most

    @property
    def may_keep_all(self) -> bool:
        """Whether the layer needs no sparsity."""
        return self._sparsities[0] == 0

    @property
    def is_linear(self) -> bool:
        """Whether every weight costs the same."""
        return not callable(self._cost)

    def cost(self, count: int) -> Fraction:
        """Cost of some cells; those of a shorter last cell count like the others."""
        if not callable(self._cost):
            return self._cost * count * self.cell_size
        kept = min(Fraction(1), Fraction(count * self.cell_size, self.shape.size))
        return self._predicted(float(1 - kept))

    def dense_cost(self) -> Fraction:
        """Cost of all weights."""
        if not callable(self._cost):
            return self._cost * self.shape.size
        return self._predicted(0.0)

    def _predicted(self, sparsity: float) -> Fraction:
        """The whole cost by a function."""
        assert callable(self._cost)
        try:
            return _checked_cost(self._cost(sparsity))
        except PatternError as error:
            raise PatternError(f"Layer {self.name!r} at sparsity {sparsity:.6g}: {error}") from error

    def forget_scores(self) -> None:
        """Frees the memory of the scores."""
        del self.scores


def competes_freely(pattern: Pattern) -> bool:
    """Whether the cells of a pattern can compete with those of other layers, so that layers may share a budget.

    Args:
        pattern: The pattern.
    """
    packed = isinstance(pattern, Groups) and (pattern.balanced or (pattern.along == "both" and not pattern.aligned))
    return not (packed or isinstance(pattern, BlockRowsColumns) or pattern.kept_per_unit is not None)


def _checked_pattern(pattern: object, shape: MatrixShape) -> Pattern:
    """A pattern whose cells compete freely."""
    pattern = check_pattern(pattern)
    pattern.check(shape)
    if not competes_freely(pattern):
        raise PatternError(
            "Layers that share a budget need patterns whose cells compete freely, with any number kept. Received: "
            f"{pattern!r}. Select this layer on its own with `select`, and leave it out here."
        )
    return pattern


def _checked_cost(cost: object) -> Fraction:
    """A finite number above 0, floats as the shortest decimal."""
    number = as_float(cost)
    if not 0 < number < math.inf:
        raise PatternError(
            "`costs` must be finite numbers above 0, or functions of the sparsity that return such. "
            f"Received: {cost if math.isnan(number) else number!r}."
        )
    return Fraction(int(cost)) if isinstance(cost, numbers.Integral) else exact_fraction(number)


def _curves(layers: Mapping[str, _Layer]) -> tuple[dict[str, Curve], float | None]:
    """The curve of every layer, and the score that is ``2 ** 30`` in all; None: single weights compete as they are."""
    largest = None if _by_value(layers) else max(layer.largest for layer in layers.values())
    curves: dict[str, Curve] = {}
    for name, layer in layers.items():
        try:
            curves[name] = _curve(layer, largest, 0)
        except PatternError as error:
            raise PatternError(f"Layer {name!r}: {error}") from error
    # Lines of very many cells make room for their sums by dropping bits, and then all layers must.
    shift = max(curve.shift for curve in curves.values())
    if shift:
        curves = {name: _curve(layer, largest, shift) for name, layer in layers.items()}
    return curves, largest


def _by_value(layers: Mapping[str, _Layer]) -> bool:
    """Whether nothing is summed and every weight costs the same, so that scores need no rounding."""
    return (
        all(layer.pattern.single_weights and layer.is_linear for layer in layers.values())
        and len({layer.cost(1) for layer in layers.values()}) == 1
    )


def _curve(layer: _Layer, largest: float | None, shift: int) -> Curve:
    """The curve of a layer, its scores rounded to ``2 ** -30`` of `largest`."""
    fitted, shape = layer.pattern, layer.shape
    if largest is None:
        scores = np.ascontiguousarray(layer.scores)
        return RankedCurve(scores, lambda count: top_cells(scores, count), layer.bounds(scores.size))
    cells = to_integers(layer.scores, largest)
    if isinstance(fitted, Groups) and not fitted.aligned:
        lines, window = to_lines(cells, fitted)
        if window > 1:
            bounds = layer.bounds(fitted.most_groups(shape))
            return WindowCurve(fitted, lines, window, shape, bounds, layer.rule.root, shift)
        values = (integer_roots(lines) if layer.rule.root else lines) >> shift
        return RankedCurve(
            values, lambda count: from_lines(keep_windows(lines, 1, count), fitted, shape), layer.bounds(lines.size)
        )
    pooled = fitted.pool(cells)
    if layer.rule.root:
        pooled = np.where(pooled < 0, -1, integer_roots(np.maximum(pooled, 0)))
    pooled = pooled >> shift
    if isinstance(fitted, KernelPatterns):
        kernels = pooled.max(axis=2)
        return RankedCurve(
            kernels, lambda count: fitted.expand(keep_kernels(pooled, count), shape), layer.bounds(kernels.size)
        )
    capacity = int(np.count_nonzero(pooled >= 0))
    return RankedCurve(pooled, lambda count: fitted.expand(top_cells(pooled, count), shape), layer.bounds(capacity))
