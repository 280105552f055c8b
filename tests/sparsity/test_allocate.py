# SPDX-License-Identifier: Apache-2.0
"""One budget for several layers: the optimum where cells cost the same, and close to it, with a bound, where not."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from tests.sparsity.oracle import best_totals
from tfprune.errors import PatternError
from tfprune.sparsity.layouts import matrix_shape
from tfprune.sparsity.patterns import (
    BlockPunched,
    BlockRowsColumns,
    Channels,
    Filters,
    Groups,
    KernelElements,
    KernelPatterns,
    NofM,
    Pattern,
    Unstructured,
)
from tfprune.sparsity.select import select
from tfprune.sparsity.select.allocate import Allocation, allocate, select_global

PATTERNS: tuple[Pattern, ...] = (
    Groups(2),
    Groups(3, aligned=True),
    Groups(4),
    Unstructured(),
    Groups(1, 2, along="input"),
    # Two-dimensional: on most of the sizes below the aligned axis ends in a shorter block.
    Groups(3, 2),
    Groups(2, 3, along="input"),
    Groups(2, 3, aligned=True),
)


def best_curve(weights: np.ndarray, pattern: Pattern) -> tuple[np.ndarray, int]:
    """Best score of every number of cells of a dense kernel, by trying everything, and weights in a cell."""
    size = np.abs(weights).T  # [out, in]
    if isinstance(pattern, Unstructured):
        return np.concatenate(([0.0], np.cumsum(np.sort(size.ravel())[::-1]))), 1
    assert isinstance(pattern, Groups)
    rows, cols = min(pattern.rows, size.shape[0]), min(pattern.cols, size.shape[1])
    if pattern.aligned or pattern.along == "input":
        size = np.add.reduceat(size, np.arange(0, size.shape[0], rows), axis=0)
    if pattern.aligned or pattern.along == "output":
        size = np.add.reduceat(size, np.arange(0, size.shape[1], cols), axis=1)
    if pattern.aligned:
        return np.concatenate(([0.0], np.cumsum(np.sort(size.ravel())[::-1]))), rows * cols
    length = rows if pattern.along == "output" else cols
    total = np.zeros(1)
    for line in size.T if pattern.along == "output" else size:
        sums = np.lib.stride_tricks.sliding_window_view(line, length).sum(axis=-1)
        # Halves and whole numbers: four times the sums are integers.
        own = np.array(best_totals(np.rint(sums * 4).astype(np.int64)[:, None], length)) / 4
        grown = np.full(total.size + own.size - 1, -np.inf)
        for here, score in enumerate(own):
            np.maximum(grown[here : here + total.size], total + score, out=grown[here : here + total.size])
        total = grown
    return total, rows * cols


def best_choice(
    curves: Mapping[str, np.ndarray], costs: Mapping[str, Fraction], counts: Mapping[str, range], budget: Fraction
) -> float:
    """Best total score within a budget, by trying every count of every layer."""
    reached = {Fraction(0): 0.0}
    for name, curve in curves.items():
        grown: dict[Fraction, float] = {}
        for spent, score in reached.items():
            for count in counts[name]:
                cost = spent + costs[name] * count
                if cost <= budget:
                    grown[cost] = max(grown.get(cost, -1.0), score + float(curve[count]))
        reached = grown
    return max(reached.values(), default=-1.0)


def allowed(weights: np.ndarray, most: int, cell: int, low: float, high: float) -> range:
    """Counts between a largest and a least sparsity."""
    cells = Fraction(weights.size, cell)
    least = math.ceil((1 - Fraction(str(high))) * cells)
    return range(least, (min(most, math.floor((1 - Fraction(str(low))) * cells)) if low else most) + 1)


def random_model(random: np.random.Generator, mixed: bool) -> tuple[dict[str, np.ndarray], dict[str, Pattern]]:
    names = [f"layer {index}" for index in range(int(random.integers(1, 5)))]
    weights = {}
    for name in names:
        shape = (int(random.integers(1, 6)), int(random.integers(4, 9)))
        weights[name] = random.integers(0, random.choice([2, 6, 1000]), shape) * float(random.choice([1, 0.5]))
    one = PATTERNS[int(random.integers(len(PATTERNS)))]
    return weights, {name: PATTERNS[int(random.integers(len(PATTERNS)))] if mixed else one for name in names}


@pytest.mark.parametrize("kind", ["one price", "numbers", "mixed"])
def test_against_every_choice(kind: str) -> None:
    random, solved, short = np.random.default_rng(len(kind)), 0, 0
    for _ in range(500):
        weights, patterns = random_model(random, kind == "mixed")
        sparsity = float(random.choice([0.3, 0.5, 0.75, 0.9]))
        low = {name: float(random.choice([0, 0, 0.25])) for name in weights}
        high = {name: float(random.choice([0.99, 0.99, 0.8])) for name in weights}
        costs = None if kind == "one price" else {name: float(random.choice([1, 2, 3, 0.7])) for name in weights}
        curves = {name: best_curve(weights[name], patterns[name]) for name in weights}
        cell_costs = {name: Fraction(str((costs or {}).get(name, 1))) * curves[name][1] for name in weights}
        budget = (1 - Fraction(str(sparsity))) * sum(
            (Fraction(str((costs or {}).get(name, 1))) * weights[name].size for name in weights), Fraction(0)
        )
        counts = {
            name: allowed(weights[name], curves[name][0].size - 1, curves[name][1], low[name], high[name])
            for name in weights
        }
        best = best_choice({name: curve for name, (curve, _) in curves.items()}, cell_costs, counts, budget)
        try:
            found = allocate(weights, patterns, sparsity, min_sparsity=low, max_sparsity=high, costs=costs)
        except PatternError:
            # A layer without a count of its own, or all of them above the budget.
            assert best < 0
            continue
        solved += 1
        short += check(found, weights, patterns, curves, cell_costs, counts, float(budget), best)
    assert solved > 250
    assert kind == "one price" or short > 5, "some choices should be no more than close"


def check(
    found: Allocation,
    weights: Mapping[str, np.ndarray],
    patterns: Mapping[str, Pattern],
    curves: Mapping[str, tuple[np.ndarray, int]],
    cell_costs: Mapping[str, Fraction],
    counts: Mapping[str, range],
    budget: float,
    best: float,
) -> bool:
    """Whether the choice is less than optimal; fails where it must not be, or breaks a promise."""
    largest = max(float(each.max(initial=0)) for each in weights.values()) or 1.0
    same_cost = len(set(cell_costs.values())) == 1
    whole = same_cost and all(isinstance(pattern, Unstructured) for pattern in patterns.values())
    unit = 1.0 if whole else largest / 2**30
    kept = sum(float(np.abs(weights[name])[found.masks[name]].sum()) for name in weights)
    cell = max(float(np.diff(curve).max(initial=0)) for curve, _ in curves.values())
    tolerance = 1e-6 * largest
    assert found.cost <= budget + 1e-9
    assert found.cost == pytest.approx(float(sum(cell_costs[name] * found.cells[name] for name in weights)))
    assert all(found.cells[name] in counts[name] for name in weights)
    assert found.score * unit == pytest.approx(kept, abs=tolerance)
    assert best - tolerance <= found.upper_bound * unit <= kept + cell + tolerance
    assert kept <= best + tolerance
    if same_cost:
        assert kept == pytest.approx(best, abs=tolerance)
        assert found.upper_bound == found.score
    return kept < best - tolerance


@pytest.mark.parametrize(
    "pattern",
    [
        Unstructured(),
        Groups(4),
        Groups(4, aligned=True),
        Groups(2, 2, along="input"),
        BlockPunched(4, 4),
        KernelElements(share="channel"),
        KernelPatterns(keep=4, library=6),
        Filters(),
        Channels(),
    ],
    ids=str,
)
@pytest.mark.parametrize("scores", ["l1", "l2"])
def test_one_layer_is_select(pattern: Pattern, scores: str) -> None:
    weights = np.random.default_rng(0).standard_normal((3, 3, 16, 32)).astype(np.float32)
    found = allocate({"a": weights}, pattern, 0.75, scores=scores)
    assert found.cells["a"] == pattern.kept_cells(0.75, weights.shape)
    assert (found.masks["a"] == select(weights, pattern, 0.75, scores=scores)).all()


def test_a_short_last_block_has_room_for_a_group() -> None:
    """Three inputs in blocks of two: there are eight groups of 3 x 2, four of them short, and all may stay."""
    found = allocate({"a": np.ones((3, 12)), "b": np.zeros((3, 12))}, Groups(3, 2), 0.25, max_sparsity=0.9)
    assert found.cells == {"a": 8, "b": 1}
    assert found.upper_bound == found.score


@pytest.mark.parametrize("scale", [1.0, 1e-5, 1e-9])
@pytest.mark.parametrize(
    "pattern",
    [Groups(2), Groups(1, 3, along="input"), Groups(2, 2, aligned=True), BlockPunched(2, 2), KernelPatterns(3, 4)],
    ids=str,
)
def test_layers_of_tiny_scores_are_chosen_as_finely(pattern: Pattern, scale: float) -> None:
    random = np.random.default_rng(6)
    weights = {"large": random.standard_normal((3, 3, 8, 16)), "small": scale * random.standard_normal((3, 3, 8, 16))}
    found = allocate(weights, pattern, 0.8, scores="squared", max_sparsity=0.9)
    assert sum(found.cells.values()) * pattern.cell_size(matrix_shape((3, 3, 8, 16))) <= 0.2 * 2 * 1152
    for name, kernel in weights.items():
        sparsity = 1 - found.cells[name] * pattern.cell_size(matrix_shape(kernel.shape)) / kernel.size
        assert pattern.kept_cells(sparsity, kernel.shape) == found.cells[name] > 0
        assert np.array_equal(found.masks[name], select(kernel, pattern, sparsity, scores="squared"))


def test_ties_go_to_earlier_layers() -> None:
    weights = {name: np.ones((1, 32)) for name in ("b", "a", "c")}
    for pattern, least in ((Groups(2), 2), (Groups(2, aligned=True), 2), (Unstructured(), 1)):
        masks = select_global(weights, pattern, 0.5)
        assert [int(masks[name].sum()) for name in ("b", "a", "c")] == [32, 16 - least, least]


def test_a_layer_of_large_weights_keeps_more() -> None:
    random = np.random.default_rng(1)
    weights = {"small": random.standard_normal((32, 64)), "large": 3 * random.standard_normal((32, 64))}
    masks = select_global(weights, Groups(4), 0.8)
    assert masks["large"].sum() > 2 * masks["small"].sum()
    assert masks["large"].sum() + masks["small"].sum() == 4 * int(0.2 * 4096 / 4)
    held = select_global(weights, Groups(4), 0.8, min_sparsity={"large": 0.75}, max_sparsity=0.9)
    assert held["large"].mean() == 0.25
    assert held["small"].mean() == pytest.approx(0.15, abs=4 / 2048)


def test_macs_move_sparsity_to_layers_of_many_pixels() -> None:
    random = np.random.default_rng(2)
    weights = {name: random.standard_normal((3, 3, 16, 32)).astype(np.float32) for name in ("early", "late")}
    pixels = {"early": 112 * 112, "late": 14 * 14}
    found = allocate(weights, Groups(4), 0.8, costs=pixels)
    kept = {name: float(found.masks[name].mean()) for name in weights}
    assert kept["early"] < 0.25 * kept["late"]
    assert found.budget == pytest.approx(0.2 * 4608 * sum(pixels.values()))
    assert 0.999 * found.budget < found.cost <= found.budget
    assert found.upper_bound < 1.0001 * found.score


def latency(pixels: float, floor: float) -> Callable[[float], float]:
    """Falls with sparsity, but never below a floor, and sparse kernels start slower than dense ones."""
    return lambda sparsity: pixels * (1.0 if sparsity == 0 else max(floor, 1.3 * (1 - sparsity)))


def test_latency_as_a_function_of_sparsity() -> None:
    random = np.random.default_rng(3)
    weights = {f"l{index}": random.standard_normal((64, 64)).astype(np.float32) for index in range(4)}
    costs: dict[str, Any] = {name: latency(100.0 * (1 + index), 0.1) for index, name in enumerate(weights)}
    costs["l3"] = 0.05  # a number among functions: cost of one weight
    found = allocate(weights, Groups(4), 0.6, costs=costs, max_sparsity=0.95)
    spent = sum(costs[name](1 - found.cells[name] * 4 / 4096) for name in list(weights)[:3])
    spent += 0.05 * 4 * found.cells["l3"]
    assert found.cost == pytest.approx(spent)
    assert found.budget == pytest.approx(0.4 * (100 + 200 + 300 + 0.05 * 4096))
    assert 0.9 * found.budget < found.cost <= found.budget
    assert found.upper_bound < 1.05 * found.score
    uniform = {name: select(weights[name], Groups(4), 0.6) for name in weights}
    assert sum(np.abs(weights[name][found.masks[name]]).sum() for name in weights) > 0
    # As much time as a uniform choice takes buys more magnitude.
    same_time = sum(costs[name](0.6) for name in list(weights)[:3]) + 0.05 * 0.4 * 4096
    dense_time = 600 + 0.05 * 4096
    fair = allocate(weights, Groups(4), 1 - same_time / dense_time, costs=costs, max_sparsity=0.95)
    magnitude = {
        key: sum(float(np.abs(weights[name][masks[name]]).sum()) for name in weights)
        for key, masks in (("uniform", uniform), ("fair", fair.masks))
    }
    assert magnitude["fair"] > magnitude["uniform"]


def test_sparsity_zero_keeps_everything_that_may_stay() -> None:
    weights = {"a": np.zeros((3, 7)), "b": np.random.default_rng(0).standard_normal((3, 8))}
    masks = select_global(weights, Groups(4), 0.0, min_sparsity={"b": 0.5})
    assert masks["a"].all()
    assert masks["b"].sum() == 12


def test_layouts_and_scores_by_layer() -> None:
    weights = {"a": np.random.default_rng(0).standard_normal((3, 3, 8, 4)), "b": np.ones((2, 4))}
    arrays = {"a": np.abs(weights["a"]) ** 3, "b": np.ones((2, 4))}
    masks = select_global(weights, Filters(), 0.5, layouts={"a": "conv2d_transpose"}, scores=arrays)
    assert masks["a"].shape == (3, 3, 8, 4)
    assert (masks["a"].all(axis=(0, 1, 3)) == masks["a"].any(axis=(0, 1, 3))).all()


def test_very_long_lines_share_coarser_units() -> None:
    random = np.random.default_rng(5)
    weights = {"long": random.random((1, 12_000)), "short": random.random((4, 32))}
    found = allocate(weights, Groups(2), 0.5, scores="l2")
    assert sum(found.cells.values()) == int(0.5 * (12_000 + 128)) // 2
    assert found.upper_bound == found.score


TWO = {"a": np.ones((2, 8)), "b": np.ones((2, 8))}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weights": {}}, "at least one layer"),
        ({"sparsity": 1.0}, r"`sparsity` must be a number in \[0, 1\)"),
        ({"pattern": {"a": Groups(2)}}, "names in `pattern`.*nothing for b"),
        ({"layouts": {"c": "dense"}}, "names in `layouts`.*no such layer: c"),
        ({"costs": {"z": 1.0}}, "names in `costs`.*no such layer: z"),
        ({"pattern": "groups"}, "Layer 'a': `pattern` must be a pattern"),
        ({"pattern": {"a": Groups(2), "b": NofM(1, 2)}}, "Layer 'b': Layers that share a budget.*NofM"),
        ({"pattern": Groups(2, balanced=True)}, "share a budget"),
        ({"pattern": Groups(2, 2, along="both")}, "share a budget"),
        ({"pattern": BlockRowsColumns(2, 2)}, "share a budget"),
        ({"pattern": KernelPatterns()}, "Layer 'a': .*needs kernels of"),
        ({"min_sparsity": 1.0}, "Layer 'a': `min_sparsity` must be"),
        ({"max_sparsity": {"b": 80}}, "Layer 'b': `max_sparsity` must be"),
        ({"min_sparsity": 0.9, "max_sparsity": 0.1}, "Layer 'a': `max_sparsity` must not be below `min_spars"),
        ({"min_sparsity": 0.51, "max_sparsity": 0.52}, "Layer 'a': .*4 to 3 cells here.*Move the bounds apart"),
        ({"max_sparsity": 0.2}, "must not cost more than the budget.*Raise `max_sparsity`"),
        ({"costs": {"a": 1.0}}, "names in `costs`.*nothing for b"),
        ({"costs": {"a": 0.0, "b": 1.0}}, "Layer 'a': `costs` must be finite numbers above 0"),
        ({"costs": {"a": 10**400, "b": 1.0}}, "Layer 'a': `costs` must be finite numbers above 0.*Received: inf"),
        ({"costs": {"a": 1e308, "b": 1e308}}, "`costs` of all weights must add up"),
        ({"costs": {"a": 1.0, "b": lambda sparsity: float("nan")}}, "Layer 'b' at sparsity 0: `costs` must be finite"),
        ({"costs": {"a": 1.0, "b": lambda sparsity: 1.0 if not sparsity else -1}}, "Layer 'b' at .*Received: -1"),
        ({"costs": {"a": 1.0, "b": lambda sparsity: None}}, "Layer 'b' at sparsity 0: .*Received: None"),
        ({"weights": None}, "`weights` must be a mapping of names of layers to kernels. Received: NoneType"),
        ({"weights": np.ones((2, 8))}, "`weights` must be a mapping.*Received: ndarray"),
        ({"weights": []}, "`weights` must be a mapping.*Received: list"),
        ({"weights": {"a": [[1, 2], [3]], "b": np.ones((2, 8))}}, "Layer 'a': `weights` must be an array of real"),
        ({"scores": {"a": "l2", "b": "l1"}}, "`scores` of one kind"),
        ({"weights": {"a": np.ones((2, 8)), "b": np.full((2, 8), np.inf)}}, "Layer 'b': `weights` must be finite"),
    ],
)
def test_errors(arguments: dict[str, Any], message: str) -> None:
    given = {"weights": TWO, "pattern": Groups(2), "sparsity": 0.5, **arguments}
    with pytest.raises(PatternError, match=message):
        select_global(given.pop("weights"), given.pop("pattern"), given.pop("sparsity"), **given)
