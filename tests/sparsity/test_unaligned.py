# SPDX-License-Identifier: Apache-2.0
"""The exact choice of unaligned groups: optimal, exact in number, the same wherever and however it is computed."""

from __future__ import annotations

import hashlib
import itertools
import tracemalloc
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.sparsity.oracle import all_choices, best_total, best_totals, brute_force_total, split_into_windows
from tfprune.sparsity.patterns import Groups
from tfprune.sparsity.scores import integer_roots
from tfprune.sparsity.select import prices, recurrence, select, unaligned
from tfprune.sparsity.select.prices import Guess, PriceHint, find_price
from tfprune.sparsity.select.textbook import keep_windows_by_table
from tfprune.sparsity.select.unaligned import PricedLines, keep_windows

CASES = 20_000
# What cells may be: nothing, one value, few values, all scores there are.
LARGEST = (0, 1, 1, 2, 5, 100, 2**30)


def window_sums(cells: np.ndarray, window: int) -> np.ndarray:
    return np.lib.stride_tricks.sliding_window_view(cells, window, axis=0).sum(axis=-1)


def total_of(kept: np.ndarray, scores: np.ndarray, window: int) -> int:
    """Score of a mask whose kept runs are cut into windows from their first cell on."""
    total = 0
    for line in range(kept.shape[1]):
        starts = split_into_windows(kept[:, line], window)
        assert starts is not None, "kept cells do not form whole windows"
        total += sum(int(scores[start, line]) for start in starts)
    return total


def small_cells(random: np.random.Generator) -> tuple[np.ndarray, int]:
    """Cells and a window such that all choices can be tried."""
    lines = int(random.integers(1, 4))
    length = int(random.integers(1, (14, 8, 6)[lines - 1]))
    window = int(random.integers(1, min(5, length) + 1))
    cells = random.integers(0, random.choice(LARGEST) + 1, (length, lines))
    if random.random() < 0.3:
        cells[random.random(cells.shape) < 0.5] = 0
    return cells, window


@pytest.mark.parametrize("pieces", ["as they come", "small"])
def test_equals_brute_force_for_every_count(pieces: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once as it is, once with every limit so low that small cases take the ways of large ones."""
    if pieces == "small":
        for module, limit in ((recurrence, "CHUNK_CELLS"), (unaligned, "CHUNK_CELLS"), (unaligned, "_MIXED_LINES")):
            monkeypatch.setattr(module, limit, 1)
        monkeypatch.setattr(prices, "CHEAP_WIDTH", 2)
    random = np.random.default_rng(1)
    cases = 0
    while cases < (CASES if pieces == "as they come" else CASES // 4):
        cells, window = small_cells(random)
        scores = window_sums(cells, window)
        hint = PriceHint(float(random.choice([0.01, 0.9, 1.0, 30.0])))
        for count, best in enumerate(best_totals(scores, window)):
            kept = keep_windows(cells, window, count, hint=hint)
            assert kept.sum() == count * window
            assert total_of(kept, scores, window) == best, (cells, window, count)
            cases += 1


def test_roots_equal_brute_force_also_where_more_windows_score_less() -> None:
    random = np.random.default_rng(5)
    falling = 0
    for _ in range(1500):
        cells, window = small_cells(random)
        if window == 1:
            continue
        cells = random.choice([0, 0, 1, 2**28, 2**30], cells.shape)
        scores = integer_roots(window_sums(cells, window))
        best = best_totals(scores, window)
        falling += any(after < before for before, after in itertools.pairwise(best))
        priced = PricedLines(cells, window, root=True)
        for count, total in enumerate(best):
            assert priced.score(count) == total
            if count:
                starts = priced.choose(count)
                assert starts.sum() == count
                assert int(scores[starts].sum()) == total
    assert falling > 5, "the case this test is for did not occur"


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("window", [2, 4, 7])
@pytest.mark.parametrize("root", [False, True])
def test_equals_the_textbook_on_medium_sizes(seed: int, window: int, root: bool) -> None:
    random = np.random.default_rng(seed)
    cells = random.integers(0, (2**30, 3, 50, 2)[seed], (64, 64))
    scores = window_sums(cells, window)
    scores = integer_roots(scores) if root else scores
    for sparsity in (0.3, 0.5, 0.8, 0.95):
        count = min(round(cells.size * (1 - sparsity) / window), 64 * (64 // window))
        starts = PricedLines(cells, window, root).choose(count)
        assert starts.sum() == count
        table = keep_windows_by_table(cells, window, count, root=root)
        assert table.sum() == count * window
        if root:
            assert PricedLines(cells, window, root).score(count) == int(scores[starts].sum())
        else:
            assert int(scores[starts].sum()) == int(cells[table].sum())


@st.composite
def problems(draw: st.DrawFn) -> tuple[np.ndarray, int, int]:
    length, lines = draw(st.integers(2, 14)), draw(st.integers(1, 5))
    window = draw(st.integers(1, min(5, length)))
    largest = draw(st.sampled_from(LARGEST))
    cells = draw(hnp.arrays(np.int64, (length, lines), elements=st.integers(0, largest)))
    return cells, window, draw(st.integers(0, lines * (length // window)))


@settings(max_examples=500, deadline=None)
@given(problems(), st.floats(1e-3, 1e3))
def test_optimal_and_the_same_whatever_was_known_before(problem: tuple[np.ndarray, int, int], ratio: float) -> None:
    cells, window, count = problem
    cold = keep_windows(cells, window, count)
    scores = window_sums(cells, window)
    assert total_of(cold, scores, window) == best_total(scores, window, count)
    hint = PriceHint(ratio)
    assert (keep_windows(cells, window, count, hint=hint) == cold).all()
    assert (keep_windows(cells, window, count, hint=hint) == cold).all()
    assert (keep_windows(cells.astype(np.int32), window, count) == cold).all()


@pytest.mark.parametrize("ties", [False, True])
def test_large_layers_do_not_depend_on_the_guess(ties: bool) -> None:
    random = np.random.default_rng(2)
    cells = np.abs(np.rint(random.standard_normal((200, 700)) * (1 if ties else 2**27))).astype(np.int64)
    cold = keep_windows(cells, 4, 7000)
    assert cold.sum() == 28_000
    for ratio in (1e-6, 0.5, 0.99, 1.01, 2.0, 1e6):
        assert (keep_windows(cells, 4, 7000, hint=PriceHint(ratio)) == cold).all()


def test_a_hint_is_what_the_search_found() -> None:
    cells = np.random.default_rng(3).integers(0, 2**30, (64, 64))
    hint = PriceHint()
    keep_windows(cells, 4, 200, hint=hint)
    learnt = hint.ratio
    assert learnt != PriceHint().ratio
    keep_windows(cells, 4, 200, hint=hint)
    assert hint.ratio == pytest.approx(learnt, rel=1e-3)
    looks: list[int] = []
    priced = PricedLines(cells, 4)
    original = priced.totals
    priced.totals = lambda prices: looks.append(len(prices)) or original(prices)  # type: ignore[method-assign]
    priced.choose(200, hint)
    assert len(looks) == 1, "a price that is known already needs one look"


def test_counts_are_exact_for_every_count_and_masks_are_nested_in_score() -> None:
    cells = np.random.default_rng(4).integers(0, 4, (13, 6))
    totals = []
    for count in range(6 * (13 // 3) + 1):
        kept = keep_windows(cells, 3, count)
        assert kept.sum() == 3 * count
        totals.append(int(cells[kept].sum()))
    gains = np.diff(totals)
    assert (np.diff(gains) <= 0).all(), "the best score is concave in the count"


def test_equal_scores_fill_lines_in_order() -> None:
    kept = keep_windows(np.ones((7, 3), np.int64), 3, 4)
    assert kept.T.astype(int).tolist() == [[1, 1, 1, 1, 1, 1, 0], [1, 1, 1, 1, 1, 1, 0], [0, 0, 0, 0, 0, 0, 0]]


def test_more_tied_lines_than_are_mixed_at_a_time() -> None:
    kept = keep_windows(np.ones((7, 2000), np.int64), 3, 3001)
    expected = np.zeros(2000, int)
    expected[:1500] = 6
    expected[1500] = 3
    assert kept.sum(axis=0).tolist() == expected.tolist()


def test_literal_case() -> None:
    cells = np.array([[1, 5, 6, 0, 9, 9, 0, 2]], np.int64).T
    assert keep_windows(cells, 2, 2).T.astype(int).tolist() == [[0, 1, 1, 0, 1, 1, 0, 0]]
    assert keep_windows(cells, 2, 3).T.astype(int).tolist() == [[0, 1, 1, 0, 1, 1, 1, 1]]
    assert keep_windows(cells, 2, 4).all()


def test_negative_zero_is_zero() -> None:
    weights = np.random.default_rng(6).integers(-1, 2, (12, 16)).astype(np.float32)
    negative = np.where(weights == 0, np.float32(-0.0), weights)
    pattern = Groups(rows=4)
    assert (select(weights, pattern, 0.6) == select(negative, pattern, 0.6)).all()


@pytest.mark.parametrize("root", [False, True])
def test_long_lines_need_coarser_scores_and_stay_exact(root: bool) -> None:
    cells = np.full((10_000 if root else 95_000, 1), 2**30, np.int64)
    cells[::7] = 0
    priced = PricedLines(cells, 2, root)
    assert priced.shift > 0
    assert priced.choose(3_000).sum() == 3_000


def spread_numbers(shape: tuple[int, ...]) -> np.ndarray:
    """Weights that every version of numpy makes the same way."""
    index = np.arange(np.prod(shape), dtype=np.uint64)
    mixed = (index * np.uint64(2654435761) + np.uint64(12345)) % np.uint64(2**32)
    mixed = (mixed * mixed // np.uint64(65536)) % np.uint64(65521)
    return ((mixed.astype(np.float64) - 32760) / 1024).astype(np.float32).reshape(shape)


@pytest.mark.parametrize(
    ("pattern", "scores", "digest"),
    [
        (Groups(rows=4), "l1", "39f72c29f56f32c7"),
        (Groups(rows=4), "l2", "5c2bf563b5fb425f"),
        (Groups(rows=1, cols=4, along="input"), "l1", "90abb979d9355d70"),
        (Groups(rows=4, cols=4), "l1", "9db92f6a2548a0a9"),
    ],
)
def test_the_mask_is_the_same_on_every_machine(pattern: Groups, scores: str, digest: str) -> None:
    mask = select(spread_numbers((3, 3, 24, 40)), pattern, 0.8, scores=scores)
    assert hashlib.sha256(np.packbits(mask)).hexdigest()[:16] == digest


@pytest.mark.parametrize("scores", ["l1", "l2"])
@pytest.mark.parametrize("ties", [False, True])
def test_selection_takes_at_most_six_times_the_memory_of_the_weights(scores: str, ties: bool) -> None:
    weights = np.random.default_rng(0).standard_normal((1024, 1536)).astype(np.float32)
    weights = np.rint(weights) if ties else weights
    tracemalloc.start()
    try:
        select(weights, Groups(rows=4), 0.8, scores=scores)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= 6 * weights.nbytes


class Slopes:
    """Counts that fall at given prices; a `Priced`."""

    def __init__(self, slopes: Sequence[int], width: int) -> None:
        self.slopes, self.width, self.looks = np.sort(np.array(slopes, np.int64)), width, 0
        self.ends = [(0, 0), (0, 0)]

    def totals(self, prices: Sequence[int]) -> np.ndarray:
        self.looks += 1
        assert list(prices) == sorted(set(prices))
        assert len(prices) <= max(1, 512 // self.width)
        self.trial = [self.slopes[self.slopes > price] for price in prices]
        return np.array([each.size for each in self.trial])

    def narrow(self, low: int | None, high: int | None) -> None:
        for end, index in enumerate((low, high)):
            if index is not None:
                self.ends[end] = (int(self.trial[index].sum()), self.trial[index].size)

    def steps(self) -> tuple[np.ndarray, np.ndarray]:
        score, count = (low - high for low, high in zip(*self.ends, strict=True))
        return (np.array([score // count]), np.array([count])) if count else (np.zeros(0, int), np.zeros(0, int))


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 40), max_size=60),
    st.floats(-50, 90),
    st.floats(1e-9, 1e9),
    st.sampled_from([1, 200, 5000]),
)
def test_find_price_does_not_depend_on_the_guess(slopes: list[int], price: float, slope: float, width: int) -> None:
    half = len(slopes) // 2
    parts = [Slopes(slopes[:half], width), Slopes(slopes[half:], width)]

    def count_at(price: int) -> int:
        return sum(slope > price for slope in slopes)

    for target in range(1, len(slopes)):
        if target == count_at(-1):
            continue
        found, exact = find_price(parts, target, -1, max(slopes) + 1, Guess(price, slope))
        if exact:
            assert count_at(found) == target
        else:
            assert count_at(found) < target < count_at(found - 1)


@pytest.mark.parametrize("width", [1, 5000])
@pytest.mark.parametrize(
    "slopes",
    [
        [0] * 1000 + [2**33] * 1000,
        [2**20] * 2000,
        [5] * 900 + [2**31, 2**31 + 1] * 50 + [2**33] * 1000,
        [2**k for k in range(34) for _ in range(60)],
        np.random.default_rng(0).integers(0, 2**33, 2000).tolist(),
        (np.random.default_rng(0).pareto(0.3, 2000) * 1000).clip(0, 2**33).astype(int).tolist(),
    ],
    ids=["two steps", "one step", "hidden step", "powers", "even", "heavy tail"],
)
def test_the_search_is_short(slopes: list[int], width: int) -> None:
    for target in (1, 300, 950, 1001, 1500):
        for guess in (0.0, 2.0**20, 2.0**32):
            part = Slopes(slopes, width)
            find_price([part], target, -1, 2**33 + 1, Guess(guess, 1e-6))
            assert part.looks <= (60 if width > 1 else 30), (target, guess, part.looks)


def test_tie_path_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    original = unaligned.swap_chains
    monkeypatch.setattr(unaligned, "swap_chains", lambda *args: calls.append(1) or original(*args))
    keep_windows(np.ones((6, 2), np.int64), 2, 3)
    assert calls


def test_oracles_agree() -> None:
    random = np.random.default_rng(3)
    for _ in range(100):
        length, lines = random.integers(2, 7), random.integers(1, 3)
        window = int(random.integers(2, min(3, length) + 1))
        scores = random.integers(0, 4, (length - window + 1, lines))
        for count, best in enumerate(best_totals(scores, window)):
            assert best_total(scores, window, count) == brute_force_total(scores, window, count) == best
    assert all_choices(3, 1, 2)[0].astype(int).tolist() == [[0, 0, 0], [0, 0, 1], [0, 1, 0], [1, 0, 0], [1, 0, 1]]
