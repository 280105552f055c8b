# SPDX-License-Identifier: Apache-2.0
"""Penalties as formulas: each proximal step against the minimum it stands for, and which weights make a group."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest

from tfprune.errors import ScheduleError
from tfprune.sparsity import patterns, penalties
from tfprune.sparsity.blocks import Mask
from tfprune.sparsity.layouts import MatrixShape, to_matrix
from tfprune.sparsity.penalties.admm import Splitting, draw_to
from tfprune.sparsity.penalties.cells import box_sizes, dropped_cells, most_dropped_runs, pattern_cells
from tfprune.sparsity.penalties.prior_mask import shrink_factor
from tfprune.sparsity.penalties.reweighted_group import safe_norms, threshold_factors
from tfprune.sparsity.schedules import StrengthRamp
from tfprune.sparsity.scores import to_integers
from tfprune.sparsity.select import select

RAMP = StrengthRamp(3.0, begin_step=5)
ALL: tuple[penalties.Penalty, ...] = (
    penalties.PriorMaskPenalty(RAMP),
    penalties.PriorMaskPenalty(StrengthRamp(3.0, 5, 9), refresh=2),
    penalties.ReweightedGroupPenalty(RAMP, refresh=7, eps=0.5),
    penalties.AdmmPenalty(RAMP, refresh=7),
)
GRID = np.linspace(-4, 4, 8001)


@pytest.mark.parametrize("penalty", ALL, ids=str)
def test_configurations(penalty: penalties.Penalty) -> None:
    config = json.loads(json.dumps(penalties.serialize(penalty)))
    assert penalties.deserialize(config) == penalty
    assert type(penalty).from_config(config["config"]) == penalty
    assert [step for step in range(13) if penalty.should_choose(step)] == {
        None: [5],
        2: [5, 7, 9, 11],
        7: [5, 12],
    }[penalty.refresh]
    wrong: list[dict[str, Any]] = [{"strength": "3"}, {"strength": RAMP, "refresh": 0}, {"lambda": 3.0}, {}]
    for arguments in wrong:
        with pytest.raises(ScheduleError, match=r"Received"):
            type(penalty).from_config(arguments)


@pytest.mark.parametrize("strength", [3, np.float32(3.0), {"final": 3.0}, {"StrengthRamp": {"final": 3.0}}], ids=str)
def test_a_number_is_a_ramp_to_it(strength: Any) -> None:
    penalty = penalties.PriorMaskPenalty(strength)
    assert penalty == penalties.PriorMaskPenalty(StrengthRamp(3.0))
    assert (penalty.strength, penalty.ramp.final) == (penalty.ramp, 3)


@pytest.mark.parametrize(
    ("strength", "message"),
    [
        (-1, r"`final` of `StrengthRamp` .* Received: final=-1\.$"),
        (10**400, r"`final` of `StrengthRamp` must be a finite number"),
        (True, r"must be a number, or a `StrengthRamp`.* Received: strength=True\.$"),
        ("much", r"must be a number, or a `StrengthRamp`.* Received: strength='much'\.$"),
        ({"finale": 3}, r"`StrengthRamp` has no argument 'finale': it has final, begin_step"),
        ({"begin_step": 3}, r"`StrengthRamp` must be given `final`"),
        ({"StrengthRamp": 3}, r"arguments of `StrengthRamp` must be a dictionary\. Received: 3\.$"),
    ],
    ids=str,
)
def test_other_strengths_are_refused(strength: Any, message: str) -> None:
    with pytest.raises(ScheduleError, match=rf"^`strength` of `AdmmPenalty`.*{message}"):
        penalties.AdmmPenalty(strength)


@pytest.mark.parametrize("eps", [0, -1.0, float("inf"), "small"])
def test_eps_is_a_number_above_zero(eps: Any) -> None:
    with pytest.raises(ScheduleError, match="`eps`"):
        penalties.ReweightedGroupPenalty(RAMP, eps=eps)


@pytest.mark.parametrize("weight", [-2.0, 0.0, 0.7, 3.0])
@pytest.mark.parametrize(("strength", "rate"), [(1.0, 0.5), (40.0, 0.1), (0.0, 0.1)])
def test_proximal_steps_find_the_minimum(weight: float, strength: float, rate: float) -> None:
    distance = (GRID - weight) ** 2 / (2 * rate)
    squares = GRID[np.argmin(strength * GRID**2 + distance)]
    assert weight * shrink_factor(strength, rate) == pytest.approx(squares, abs=1e-3)
    target = GRID[np.argmin(strength / 2 * (GRID - 1.5) ** 2 + distance)]
    assert draw_to(weight, 1.5, rate * strength) == pytest.approx(target, abs=1e-3)
    norm = GRID[np.argmin(0.5 * strength * np.abs(GRID) + distance)]
    factor = threshold_factors(np.array([abs(weight)]), 0.5 * rate * strength)[0]
    assert weight * factor == pytest.approx(norm, abs=1e-3)


def test_a_group_loses_its_threshold_and_keeps_its_direction() -> None:
    group, threshold = np.array([3.0, -4.0]), 2.0
    factor = threshold_factors(np.linalg.norm(group)[None], threshold)[0]
    assert factor * group == pytest.approx([1.8, -2.4])
    assert threshold_factors(np.array([2.0]), threshold).tolist() == [0.0]
    assert threshold_factors(np.array([0.0, 2.0]), 1e300).tolist() == [0.0, 0.0]


def test_safe_norms() -> None:
    assert safe_norms(np.array([0.0, 4.0])).tolist() == [0.0, 2.0]


def test_admm_follows_its_definition() -> None:
    rng = np.random.default_rng(3)
    weights = [rng.normal(size=(4, 1, 6)) for _ in range(4)]
    pattern = patterns.Groups(rows=2, aligned=True)

    def chosen(values: np.ndarray) -> Mask:
        return select(values[:, 0].T, pattern, 0.5, scores="squared").T[:, None]

    splitting = Splitting.begin(weights[0], chosen(weights[0]))
    dual = np.zeros((4, 1, 6))
    for each in weights[1:]:
        mask = chosen(each + dual)
        projected = (each + dual) * mask
        # Nothing else of the pattern is nearer.
        others = [
            np.repeat(np.reshape(bits, (2, 1, 6)), 2, axis=0)
            for bits in itertools.product([0, 1], repeat=12)
            if sum(bits) == 6
        ]
        nearest = min(float(((each + dual) ** 2 * (1 - other)).sum()) for other in others)
        assert ((each + dual - projected) ** 2).sum() == pytest.approx(nearest)
        dual = dual + each - projected
        splitting = splitting.project(each, mask)
        np.testing.assert_allclose(splitting.projected, projected)
        np.testing.assert_allclose(splitting.target, projected - dual)


DISJOINT = (
    patterns.Unstructured(),
    patterns.Groups(4, 2, aligned=True),
    patterns.Groups(4, 1, aligned=True, balanced=True, unit_rows=8),
    patterns.Groups(16, 1),
    patterns.BlockPunched(4, 2),
    patterns.KernelPatterns(3, ((0, 1, 2), (3, 4, 5), (6, 7, 8))),
    patterns.KernelElements(4, "kernel"),
    patterns.KernelElements(4, "channel"),
    patterns.KernelElements(4, "filter"),
    patterns.KernelElements(4, "layer"),
    patterns.KernelElements(4, 3),
    patterns.NofM(2, 4),
    patterns.Filters(),
    patterns.Channels(),
)
OVERLAPPING = (
    patterns.Groups(4),
    patterns.Groups(2, 2, along="input"),
    patterns.Groups(2, 2, along="both"),
    patterns.BlockRowsColumns(4, 4),
    patterns.KernelPatterns(4),
    patterns.KernelPatterns(3, ((0, 1, 2), (2, 4, 5), (6, 7, 8))),  # nine positions, but one twice
)
SHAPE = MatrixShape(10, 9, 7)


@pytest.mark.parametrize("pattern", DISJOINT, ids=repr)
def test_groups_are_the_cells_of_the_pattern(pattern: patterns.Pattern) -> None:
    cells = pattern_cells(pattern, SHAPE)
    assert cells is not None
    sizes = pattern.pool(np.ones((10, 9, 7), np.int64))
    numbers = np.full(sizes.shape, -1)
    numbers[sizes > 0] = np.arange(cells.count)
    for number in range(cells.count):
        np.testing.assert_array_equal(cells.ids == number, pattern.expand(numbers == number, SHAPE))
    weights = np.random.default_rng(0).normal(size=(10, 9, 7))
    squares = pattern.pool(weights**2)[sizes > 0]
    np.testing.assert_allclose(cells.norms(weights), np.sqrt(squares))


@pytest.mark.parametrize("pattern", OVERLAPPING, ids=repr)
def test_where_cells_overlap_the_groups_are_what_is_dropped(pattern: patterns.Pattern) -> None:
    weights = np.random.default_rng(0).normal(size=(10, 9, 7))
    pattern = pattern.fitted(to_integers(np.abs(weights)))
    assert pattern_cells(pattern, SHAPE) is None
    kernel = weights.transpose(1, 2, 0).reshape(3, 3, 7, 10)
    mask = select(kernel, pattern, 0.75).reshape(9, 7, 10).transpose(2, 0, 1)
    cells = dropped_cells(pattern, mask)
    np.testing.assert_array_equal(cells.ids == cells.count, mask)
    sizes = np.bincount(cells.ids[~mask], minlength=cells.count)
    window = 4 if isinstance(pattern, patterns.Groups) and pattern.along != "both" else 1
    assert (sizes.min(), sizes.max()) == (1, window) if window == 1 else sizes.max() == window
    assert cells.norms(weights).shape == (cells.count,)


def test_runs_are_cut_along_the_free_axis_and_never_across_kernel_positions() -> None:
    mask = np.array([[0, 0, 0], [0, 1, 1], [0, 1, 0]], bool)
    along_output = dropped_cells(patterns.Groups(rows=2), mask[:, None])
    assert along_output.ids[:, 0].tolist() == [[0, 2, 3], [0, 5, 5], [1, 5, 4]]
    along_input = dropped_cells(patterns.Groups(1, 2, along="input"), mask[:, None])
    assert along_input.ids[:, 0].tolist() == [[0, 0, 1], [2, 5, 5], [3, 5, 4]]
    apart = dropped_cells(patterns.Groups(rows=2), np.zeros((3, 2, 1), bool))
    assert apart.ids[..., 0].tolist() == [[0, 2], [0, 2], [1, 3]]
    # Two columns are one block: both weights of a row belong together.
    wide = dropped_cells(patterns.Groups(2, 2), np.zeros((3, 1, 3), bool))
    assert wide.ids[:, 0].tolist() == [[0, 0, 2], [0, 0, 2], [1, 1, 3]]


@pytest.mark.parametrize(
    ("pattern", "sizes"),
    [
        (patterns.Unstructured(), (1, 1, 1)),
        (patterns.Groups(4, 2, aligned=True), (4, 1, 2)),
        (patterns.Groups(16, 1), (10, 1, 1)),
        (patterns.KernelElements(4, "channel"), (10, 1, 1)),
        (patterns.KernelElements(4, 3), (3, 1, 7)),
        (patterns.Filters(), (1, 9, 7)),
        (patterns.KernelPatterns(3, ((0, 1, 2), (3, 4, 5), (6, 7, 8))), (1, 3, 1)),
        (patterns.KernelPatterns(3, ((0, 3, 6), (1, 4, 7), (2, 5, 8))), None),
        (patterns.KernelPatterns(4, ((0, 1, 2, 3), (4, 5, 6, 7))), None),
    ],
    ids=str,
)
def test_groups_that_are_boxes_of_a_grid(pattern: patterns.Pattern, sizes: tuple[int, ...] | None) -> None:
    cells = pattern_cells(pattern, SHAPE)
    assert sizes is None or cells is not None
    assert (None if cells is None else box_sizes(cells)) == sizes


@pytest.mark.parametrize("pattern", [patterns.Groups(4), patterns.Groups(2, 3, along="input"), patterns.Groups(2, 2)])
def test_no_choice_drops_more_groups_than_all_of_the_matrix(pattern: patterns.Groups) -> None:
    most = most_dropped_runs(pattern, SHAPE)
    assert most is not None
    random = np.random.default_rng(5)
    counts = []
    for sparsity in (0.3, 0.5, 0.7, 0.9):
        for _ in range(5):
            mask = select(random.random((1, 9, 7, 10)), pattern, sparsity)
            counts.append(dropped_cells(pattern, to_matrix(mask)).count)
    assert max(counts) <= most
    # The bound is no idle one.
    assert max(counts) > most / 2


def test_where_single_weights_are_dropped_there_is_no_bound() -> None:
    assert most_dropped_runs(patterns.BlockRowsColumns(4, 4), SHAPE) is None


def test_the_term_of_the_reweighted_penalty() -> None:
    penalty = penalties.ReweightedGroupPenalty(RAMP, eps=0.5)
    cells = dropped_cells(patterns.Groups(rows=2), np.zeros((4, 1, 1), bool))
    weights = np.array([3.0, 4.0, 0.0, 0.0]).reshape(4, 1, 1)
    coefficients = penalty.coefficients(cells.norms(weights))
    assert coefficients.tolist() == [1 / 5.5, 2.0]
    assert penalty.value(weights, cells, coefficients) == pytest.approx(5 / 5.5)
    # At the look itself every group that is well above eps counts as one.
    assert penalty.value(2 * weights, cells, coefficients) == pytest.approx(10 / 5.5)
