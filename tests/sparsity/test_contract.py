# SPDX-License-Identifier: Apache-2.0
"""What every pattern promises, on kernels of every layout."""

from __future__ import annotations

import dataclasses
import itertools
import json
from typing import Any

import numpy as np
import pytest

from tests.sparsity.cases import KERNELS, PATTERNS, applies, kernels_for, sparsities_for
from tests.sparsity.counting import count_cells, crosses_a_cut
from tests.sparsity.enumeration import integer_scores
from tfprune.errors import PatternError
from tfprune.formats import Encoding, count_groups
from tfprune.sparsity import patterns
from tfprune.sparsity.layouts import LAYOUTS, Layout, MatrixShape, matrix_shape, to_matrix
from tfprune.sparsity.measure import groups_a_row
from tfprune.sparsity.patterns import (
    BlockRowsColumns,
    Groups,
    KernelElements,
    KernelPatterns,
    NofM,
    Pattern,
    Unstructured,
)
from tfprune.sparsity.patterns.base import _REGISTRY
from tfprune.sparsity.select import select

each_pattern = pytest.mark.parametrize("pattern", PATTERNS, ids=str)


def weights_of(kernel: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng([*kernel, seed]).standard_normal(kernel)


def exact_choice(pattern: Pattern) -> bool:
    return not isinstance(pattern, BlockRowsColumns)


def test_every_registered_pattern_is_tested() -> None:
    assert {type(pattern) for pattern in PATTERNS} == set(_REGISTRY._classes.values())
    assert {layout.name for layout, _ in KERNELS} > {*LAYOUTS}
    for pattern in PATTERNS:
        assert list(kernels_for(pattern)), f"{pattern} applies to no kernel of the list"


@each_pattern
def test_is_a_value_with_a_config(pattern: Pattern) -> None:
    again = patterns.deserialize(json.loads(json.dumps(patterns.serialize(pattern))))
    assert again == pattern
    assert hash(again) == hash(pattern)
    assert type(pattern).from_config(pattern.get_config()) == pattern
    assert str(pattern)
    assert type(pattern).__name__ in repr(pattern)
    for field in dataclasses.fields(pattern):  # type: ignore[arg-type]
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(pattern, field.name, None)


def test_patterns_differ() -> None:
    assert len({*PATTERNS}) == len(PATTERNS)


@each_pattern
def test_kernels_it_cannot_apply_to(pattern: Pattern) -> None:
    for layout, kernel in KERNELS:
        if applies(pattern, layout, kernel):
            continue
        for refused in (
            lambda layout=layout, kernel=kernel: select(weights_of(kernel), pattern, 0.9, layout=layout),
            lambda layout=layout, kernel=kernel: pattern.min_sparsity(kernel, layout),
            lambda layout=layout, kernel=kernel: pattern.reaches(0.5, kernel, layout),
            lambda layout=layout, kernel=kernel: pattern.kept_cells(0.5, kernel, layout),
            lambda layout=layout, kernel=kernel: pattern.resolve_sparsity(None, kernel, layout),
        ):
            with pytest.raises(PatternError, match=r"needs .*Received: .*Choose another pattern"):
                refused()


@each_pattern
def test_pool_is_the_score_of_what_expand_keeps(pattern: Pattern) -> None:
    for layout, kernel in kernels_for(pattern):
        scores = integer_scores(to_matrix(weights_of(kernel), layout))
        shape = MatrixShape(*scores.shape)
        fitted = pattern.fitted(scores)
        pooled = fitted.pool(scores)
        assert pooled.dtype == scores.dtype
        for place in itertools.islice(np.ndindex(pooled.shape), 150):
            kept = np.zeros(pooled.shape, np.bool_)
            kept[place] = True
            if isinstance(fitted, BlockRowsColumns):
                # A row alone keeps nothing: all columns of its block cross it, and the other way round.
                rows, _ = fitted.clipped(shape)
                kept[(*place[:3], slice(rows, None) if place[3] < rows else slice(rows))] = True
            region = fitted.expand(kept, shape)
            assert region.shape == scores.shape
            assert region.dtype == np.bool_
            if pooled[place] < 0:
                # A place that is none: outside the weight, or across a cut between units.
                cut = isinstance(fitted, Groups) and crosses_a_cut(region, fitted.unit_size)
                assert cut or not region.any()
            else:
                assert scores[region].sum() == pooled[place], (layout, kernel, place)
                if isinstance(fitted, Groups) and fitted.balanced:
                    assert not crosses_a_cut(region, fitted.unit_size)
        nothing = fitted.expand(np.zeros(pooled.shape, np.bool_), shape)
        assert not nothing.any()


@each_pattern
@pytest.mark.parametrize("rule", ["squared", "l2", "plane_share", "array", "function"])
def test_counts_are_exact_with_every_score(pattern: Pattern, rule: str) -> None:
    for layout, kernel in itertools.islice(kernels_for(pattern), 4):
        weights = weights_of(kernel)
        scores: Any = {"array": weights**4, "function": lambda w: 1 / (1 + np.abs(w))}.get(rule, rule)
        sparsity = sparsities_for(pattern, layout, kernel)[-1]
        mask = to_matrix(select(weights, pattern, sparsity, layout=layout, scores=scores), layout)
        wanted = pattern.kept_cells(sparsity, kernel, layout)
        if isinstance(pattern, KernelPatterns):
            assert mask.any(axis=1).sum() == wanted
            assert np.isin(mask.sum(axis=1), (0, pattern.keep)).all()
        elif isinstance(pattern, BlockRowsColumns):
            assert wanted - max(pattern.clipped(MatrixShape(*mask.shape))) < mask.sum() <= wanted
        else:
            assert count_cells(pattern, mask, mask.astype(np.int64)) == wanted


@each_pattern
def test_counts_are_exact(pattern: Pattern) -> None:
    for layout, kernel in kernels_for(pattern):
        weights = weights_of(kernel)
        for sparsity in sparsities_for(pattern, layout, kernel):
            mask = select(weights, pattern, sparsity, layout=layout)
            assert mask.shape == kernel
            assert mask.dtype == np.bool_
            found = count_cells(pattern, to_matrix(mask, layout), integer_scores(to_matrix(weights, layout)))
            wanted = pattern.kept_cells(sparsity, kernel, layout)
            if isinstance(pattern, BlockRowsColumns):
                assert wanted - max(pattern.clipped(matrix_shape(kernel, layout))) < found <= wanted
            else:
                assert found == wanted, (layout, kernel, sparsity)


@each_pattern
def test_holds_its_own_masks_and_no_others(pattern: Pattern) -> None:
    """A mask with one weight more or less is no mask of the pattern, where the counts say so too."""
    random, others = np.random.default_rng(4), 0
    for layout, kernel in kernels_for(pattern):
        weights = weights_of(kernel)
        for sparsity in sparsities_for(pattern, layout, kernel):
            mask = to_matrix(select(weights, pattern, sparsity, layout=layout), layout)
            assert pattern.holds(mask), (layout, kernel, sparsity)
            for place in random.integers(0, mask.size, 3):
                changed = mask.copy()
                changed.reshape(-1)[place] ^= True
                assert pattern.holds(changed) == is_of(pattern, changed), (layout, kernel, sparsity, place)
                others += not pattern.holds(changed)
    single = pattern.cell_size(MatrixShape(64, 9, 64)) == 1 and pattern.kept_per_unit is None
    assert others or (single and not isinstance(pattern, BlockRowsColumns)) or pattern == BlockRowsColumns(1, 1)


def is_of(pattern: Pattern, mask: np.ndarray) -> bool:
    """Whether a mask's cells can be counted."""
    if isinstance(pattern, KernelPatterns) and isinstance(pattern.library, int):
        shapes = {
            tuple(kernel) for kernel in mask.transpose(0, 2, 1).reshape(-1, mask.shape[1]).tolist() if any(kernel)
        }
        return len(shapes) <= pattern.library and {sum(shape) for shape in shapes} <= {pattern.keep}
    try:
        count_cells(pattern, mask, mask.astype(np.int64))
    except AssertionError:
        return False
    return True


@each_pattern
def test_reaches_is_what_select_accepts(pattern: Pattern) -> None:
    for layout, kernel in kernels_for(pattern):
        weights = weights_of(kernel)
        least = pattern.min_sparsity(kernel, layout)
        own = pattern.own_sparsity(matrix_shape(kernel, layout))
        assert 0 <= least < 1
        assert own is None or own == least
        assert pattern.reaches(0.0, kernel, layout)
        assert select(weights, pattern, 0.0, layout=layout).all()
        if own is None:
            with pytest.raises(PatternError, match="`sparsity` is needed"):
                select(weights, pattern, layout=layout)
        else:
            mask = select(weights, pattern, layout=layout)
            assert mask.sum() == round((1 - own) * mask.size)
            assert np.array_equal(mask, select(weights, pattern, round(own, 6), layout=layout))
        for sparsity in {0.01, 0.2, 0.333, 0.5, 0.75, 0.93, least, least * 0.9, min(least + 1e-3, 0.999)}:
            fits = sparsity == 0 or (sparsity >= least if own is None else abs(sparsity - own) < 1e-6)
            assert pattern.reaches(sparsity, kernel, layout) == fits
            if fits:
                assert select(weights, pattern, sparsity, layout=layout).shape == kernel
            else:
                with pytest.raises(PatternError, match=r"Received: sparsity="):
                    select(weights, pattern, sparsity, layout=layout)


@each_pattern
def test_pruning_what_is_pruned_changes_nothing(pattern: Pattern) -> None:
    """So zeros never stay in the place of weights that are not zero, where the pattern allows it."""
    for layout, kernel in kernels_for(pattern):
        weights = weights_of(kernel, 1)
        for sparsity in sparsities_for(pattern, layout, kernel):
            mask = select(weights, pattern, sparsity, layout=layout)
            again = select(weights * mask, pattern, sparsity, layout=layout)
            if exact_choice(pattern):
                assert np.array_equal(again, mask), (layout, kernel, sparsity)
            else:
                assert again[mask].all(), (layout, kernel, sparsity)


@each_pattern
def test_memory_order_and_type_do_not_matter(pattern: Pattern) -> None:
    for layout, kernel in kernels_for(pattern):
        sparsity = sparsities_for(pattern, layout, kernel)[-1]
        # Whole numbers of few bits: every type holds them exactly, up to a power of two.
        whole = np.random.default_rng(3).integers(-30, 31, kernel)
        mask = select(whole, pattern, sparsity, layout=layout)
        before = whole.copy()
        for form in (
            whole.astype(np.int8),
            whole.astype(np.float16) / 8,
            whole.astype(np.float32) / 1024,
            whole.astype(np.float64),
            np.asfortranarray(whole.astype(np.float32)),
            np.repeat(whole, 2, axis=0)[::2],
            whole[::-1].copy()[::-1],
            np.ascontiguousarray(whole.T).T,
            -whole,
        ):
            assert np.array_equal(select(form, pattern, sparsity, layout=layout), mask)
        assert np.array_equal(whole, before)


@each_pattern
def test_equal_and_zero_weights(pattern: Pattern) -> None:
    for layout, kernel in kernels_for(pattern):
        sparsity = sparsities_for(pattern, layout, kernel)[0]
        same = select(np.ones(kernel), pattern, sparsity, layout=layout)
        wanted = pattern.kept_cells(sparsity, kernel, layout)
        for weights in (np.full(kernel, -7.25), np.full(kernel, 1e-30)):
            assert np.array_equal(select(weights, pattern, sparsity, layout=layout), same)
        zeros = select(np.zeros(kernel), pattern, sparsity, layout=layout)
        assert np.array_equal(select(np.full(kernel, -0.0), pattern, sparsity, layout=layout), zeros)
        for mask in (same, zeros):
            found = to_matrix(mask, layout)
            if isinstance(pattern, BlockRowsColumns):
                assert 0 <= wanted - found.sum() < max(pattern.clipped(matrix_shape(kernel, layout)))
            elif isinstance(pattern, KernelPatterns):
                assert found.any(axis=1).sum() == wanted
            else:
                assert count_cells(pattern, found, found.astype(np.int64)) == wanted


@each_pattern
def test_the_mask_is_the_matrix_mask_of_any_layout(pattern: Pattern) -> None:
    """A kernel with window and channels gives the mask of the same matrix written in another layout."""
    for layout, kernel in kernels_for(pattern):
        weights = weights_of(kernel, 2)
        matrix = to_matrix(weights, layout)
        plain = Layout("plain", "[rows, segments, cols]", (0,), (1,), (2,))
        sparsity = sparsities_for(pattern, layout, kernel)[-1]
        mask = select(weights, pattern, sparsity, layout=layout)
        assert np.array_equal(to_matrix(mask, layout), select(np.array(matrix), pattern, sparsity, layout=plain))


@each_pattern
def test_under_a_schedule_counts_only_fall(pattern: Pattern) -> None:
    for layout, kernel in kernels_for(pattern):
        own = pattern.own_sparsity(matrix_shape(kernel, layout))
        stages: dict[Pattern, int] = {}
        counts = []
        for sparsity in np.linspace(0, 0.99, 100).round(2).tolist():
            now = pattern.during(sparsity, kernel, layout)
            if own is None:
                assert now == (pattern if sparsity > 0 and pattern.reaches(sparsity, kernel, layout) else None)
                counts += [] if now is None else [pattern.kept_cells(sparsity, kernel, layout)]
            elif now is None:
                assert not stages, "what was removed comes back"
            elif now not in stages:
                stages[now] = int(select(weights_of(kernel), now, layout=layout).sum())
        assert counts == sorted(counts, reverse=True)
        if own is not None:
            assert isinstance(pattern, (KernelElements, NofM))
            shape = matrix_shape(kernel, layout)
            most = shape.segments if isinstance(pattern, KernelElements) else min(pattern.of, shape.cols)
            assert [now.kept_per_unit for now in stages] == [*range(most - 1, (pattern.keep or 0) - 1, -1)]
            assert [*stages.values()] == sorted(stages.values(), reverse=True)
            for sparsity in (own, min(own + 1e-7, 0.999), 0.999):
                assert pattern.during(sparsity, kernel, layout) == pattern


@each_pattern
def test_index_bits_are_a_count_of_the_mask(pattern: Pattern) -> None:
    for layout, kernel in kernels_for(pattern):
        sizes = []
        for sparsity in sparsities_for(pattern, layout, kernel):
            mask = to_matrix(select(weights_of(kernel), pattern, sparsity, layout=layout), layout)
            bits = pattern.index_bits(mask)
            assert isinstance(bits, int)
            assert bits >= 0
            assert bits == pattern.index_bits(np.asfortranarray(mask))
            sizes.append(bits)
        assert max(sizes) > 0 or matrix_shape(kernel, layout).size == 1 or pattern.kept_per_unit is not None
        assert sizes == sorted(sizes, reverse=True), "more sparsity never takes more index"


@pytest.mark.parametrize(
    "pattern",
    [
        Unstructured(),
        Groups(4),
        Groups(2, 2),
        Groups(3, 4),
        Groups(1, 4, along="input"),
        Groups(2, 2, along="input"),
        Groups(4, aligned=True),
        Groups(3, 2, aligned=True),
        Groups(2, balanced=True, unit_rows=4),
        Groups(2, 2, aligned=True, balanced=True, unit_rows=4),
    ],
    ids=str,
)
def test_index_bits_count_the_lines_and_groups_of_packed_weights(pattern: Groups | Unstructured) -> None:
    """A column each group and an end each line, where the group's columns divide the input channels."""
    for layout, kernel in KERNELS:
        shape = matrix_shape(kernel, layout)
        rows, cols = pattern.clipped(shape) if isinstance(pattern, Groups) else (1, 1)
        sliding = isinstance(pattern, Groups) and pattern.free_axes()[0]
        if shape.cols % cols or (isinstance(pattern, Groups) and pattern.balanced and shape.rows % pattern.unit_size):
            continue
        for sparsity in sparsities_for(pattern, layout, kernel):
            mask = to_matrix(select(weights_of(kernel), pattern, sparsity, layout=layout), layout)
            encoding = Encoding.SLIDING_ROW if sliding else Encoding.ROW_BAND
            flat = np.ascontiguousarray(mask.reshape(shape.rows, -1))
            stored = count_groups(flat, encoding, rows, cols)
            assert pattern.index_bits(mask) == 32 * stored.lines + 16 * stored.groups
            if isinstance(pattern, Groups):
                assert groups_a_row(mask, pattern).sum() == stored.groups


def test_ties_keep_what_comes_first() -> None:
    """Output channel, kernel position, input channel: in this order."""
    ones = np.ones((2, 3, 4))  # conv1d: two positions, three inputs, four outputs
    mask = to_matrix(select(ones, Unstructured(), 0.75))
    assert mask.reshape(-1).tolist() == [True] * 6 + [False] * 18
    assert to_matrix(select(ones, patterns.Filters(), 0.5))[:, 0, 0].tolist() == [True, True, False, False]
    assert to_matrix(select(ones, patterns.Channels(), 0.6))[0, 0].tolist() == [True, False, False]
    aligned = to_matrix(select(ones, Groups(2, aligned=True), 0.75))
    assert aligned[:2, :, :].sum() == 6
    assert aligned[0].reshape(-1).tolist() == [True, True, True, False, False, False]
    assert to_matrix(select(ones, KernelElements(1, "layer")))[0, :, 0].tolist() == [True, False]


BAD_WEIGHTS = [
    (np.full((4, 8), np.nan), "32 of 32 weights are NaN or infinite"),
    (np.where(np.eye(4, 8), np.inf, 1), "4 of 32 weights"),
    (np.where(np.eye(4, 8), -np.inf, 1), "4 of 32 weights"),
    (np.ones((0, 8)), "must not be empty.*Received: shape"),
    (np.ones((4, 0)), "must not be empty.*Received: shape"),
    (np.float64(3), "rank 0"),
    (np.ones(8), "rank 1"),
    (np.ones((4, 8), complex), "real numbers"),
    (np.ones((4, 8), bool), "real numbers"),
    (np.full((4, 8), "a"), "real numbers"),
    (np.full((4, 8), None), "real numbers"),
]


@pytest.mark.parametrize(("weights", "message"), BAD_WEIGHTS, ids=[message for _, message in BAD_WEIGHTS])
@pytest.mark.parametrize("pattern", [Unstructured(), Groups(2), patterns.BlockRowsColumns(), NofM()], ids=str)
def test_bad_weights(pattern: Pattern, weights: np.ndarray, message: str) -> None:
    with pytest.raises(PatternError, match=message):
        select(weights, pattern, None if isinstance(pattern, NofM) else 0.5)


@each_pattern
def test_bad_sparsity(pattern: Pattern) -> None:
    layout, kernel = next(kernels_for(pattern))
    for sparsity in (-0.1, 1.0, 1, 80, float("nan"), float("inf"), "0.5", True, [0.5]):
        with pytest.raises(PatternError, match=r"`sparsity` must be a number in \[0, 1\). Received: sparsity="):
            select(weights_of(kernel), pattern, sparsity, layout=layout)  # type: ignore[arg-type]
