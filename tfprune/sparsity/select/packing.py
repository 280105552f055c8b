# SPDX-License-Identifier: Apache-2.0
"""Groups that start anywhere on both axes: rectangles in a plane, without overlap.

Choosing the best ones is a packing problem that has no known fast exact answer. Several choices are made and the best
is kept:

- *what is there*: where the weights that are not zero form rectangles, as an earlier choice leaves them, the best of
  these. So choosing again from masked weights takes nothing else away.
- *greedy*: the best rectangle, then the best that overlaps none, and so on. A rectangle that beats all it overlaps is
  taken whatever happens elsewhere, so all such are taken at once, round by round.
- *along the output*, *along the input*: rectangles on a grid on one axis and anywhere on the other, the exact choice of
  `unaligned.keep_windows`.

`upper_bound` tells how far from the optimum that can be. A rectangle is `rows` windows of ``1 x cols``, one below the
other, so the exact choice of ``count * rows`` such windows scores at least as much as the best `count` rectangles; the
same with windows of ``rows x 1``. The smaller of the two is the bound.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.errors import PatternError
from tfprune.sparsity.blocks import Mask, cover_windows, tile, window_sums
from tfprune.sparsity.layouts import MatrixShape
from tfprune.sparsity.patterns import Groups
from tfprune.sparsity.scores import Integers, integer_roots
from tfprune.sparsity.select.lines import from_lines, to_lines
from tfprune.sparsity.select.rank import top_cells
from tfprune.sparsity.select.unaligned import PricedLines

_KEY_BITS = 62


def keep_rectangles(scores: Integers, rows: int, cols: int, count: int, *, root: bool = False) -> Mask:
    """Keeps `count` disjoint rectangles with a large total score: the best of four choices.

    Args:
        scores: Non-negative integer scores ``[rows, segments, cols]``.
        rows: Rows of a rectangle, 1 .. R.
        cols: Columns of a rectangle, 1 .. C; rectangles lie within one segment.
        count: Rectangles to keep, 0 .. ``(R // rows) * segments * (C // cols)``.
        root: Score of a rectangle: False, the sum of its cells; True, the square root of that sum.

    Returns:
        Mask ``[rows, segments, cols]`` with exactly ``count * rows * cols`` true values. Its score is at least that of
        the exact choice along the output and of that along the input, for groups of full size.

    Raises:
        PatternError: More rectangles than fit.
    """
    _check_count(scores, rows, cols, count)
    if count == 0:
        return np.zeros(scores.shape, np.bool_)
    best, most = np.zeros(scores.shape, np.bool_), -1
    for mask, score in _candidates(scores, rows, cols, count, root):
        if score > most:
            best, most = mask, score
    return best


def upper_bound(scores: Integers, rows: int, cols: int, count: int, *, root: bool = False) -> int:
    """A score that no choice of rectangles exceeds.

    Args:
        scores: As in `keep_rectangles`.
        rows: Rows of a rectangle.
        cols: Columns of a rectangle.
        count: Rectangles to keep.
        root: Whether a rectangle's score is the square root of its sum, as `integer_roots` rounds it.

    Returns:
        The bound, in the units of the scores.

    Raises:
        PatternError: More rectangles than fit.
    """
    _check_count(scores, rows, cols, count)
    if count == 0:
        return 0
    bounds = []
    for pattern, parts in ((Groups(1, cols, along="input"), rows), (Groups(rows, 1), cols)):
        lines, window = to_lines(scores, pattern)
        if window == 1:
            single = integer_roots(lines) if root else lines
            found = int(single[top_cells(single, count * parts)].sum())
        else:
            priced = PricedLines(lines, window, root)
            # Dropped bits, and roots that were rounded down by up to a half.
            found = (priced.score(count * parts) << priced.shift) + count * parts * ((1 << priced.shift) - 1)
        bounds.append(found + (count * (parts + 1) if root else 0))
    return min(bounds)


def _check_count(scores: Integers, rows: int, cols: int, count: int) -> None:
    """Refuses more rectangles than fit."""
    room = (scores.shape[0] // rows) * scores.shape[1] * (scores.shape[2] // cols)
    if count > room:
        raise PatternError(
            f"`count` rectangles must fit: a matrix of {scores.shape[0]} rows and {scores.shape[1]} segments of "
            f"{scores.shape[2]} columns has room for {room} of {rows} x {cols}. Received: count={count}. Ask for fewer."
        )


def _candidates(scores: Integers, rows: int, cols: int, count: int, root: bool) -> Iterator[tuple[Mask, int]]:
    """Masks and their scores."""
    places = window_sums(window_sums(scores, rows, 0), cols, 2)
    if root:
        places = integer_roots(places)
    tiles = tile(scores > 0, rows, cols)
    if tiles is not None and np.count_nonzero(tiles) >= count:
        corners = np.zeros(tiles.shape, np.bool_)
        corners[tiles] = top_cells(places[tiles], count)
        yield cover_windows(cover_windows(corners, rows, 0), cols, 2), int(places[corners].sum())
    starts = _greedy(places, rows, cols, count)
    if starts is not None:
        yield cover_windows(cover_windows(starts, rows, 0), cols, 2), int(places[starts].sum())
    del places
    height, width = scores.shape[0] // rows * rows, scores.shape[2] // cols * cols
    # On the grid only whole rectangles: what is left over stays out.
    for pattern, part in (
        (Groups(rows, cols), scores[:, :, :width]),
        (Groups(rows, cols, along="input"), scores[:height]),
    ):
        lines, window = to_lines(part, pattern)
        mask = np.zeros(scores.shape, np.bool_)
        if window == 1:
            kept = top_cells(lines, count)
            score = int((integer_roots(lines) if root else lines)[kept].sum())
        else:
            priced = PricedLines(lines, window, root)
            chosen = priced.choose(count)
            kept, score = cover_windows(chosen, window, 0), priced.score_of(chosen) << priced.shift
        mask[: part.shape[0], :, : part.shape[2]] = from_lines(kept, pattern, MatrixShape(*part.shape))
        yield mask, score


def _greedy(places: Integers, rows: int, cols: int, count: int) -> Mask | None:
    """First cells of `count` rectangles taken greedily; None if that many do not find a place.

    Args:
        places: Scores of rectangles by first cell, ``[*, segments, *]``.
        rows: Rows of a rectangle.
        cols: Columns of a rectangle.
        count: Rectangles to take.
    """
    bits = places.size.bit_length()
    shift = max(0, int(places.max()).bit_length() + bits - _KEY_BITS)
    # Of equal scores the first in order wins, so no two keys are equal.
    keys = ((places >> shift) << bits) + np.arange(places.size - 1, -1, -1).reshape(places.shape)
    left, taken = keys.copy(), np.zeros(places.shape, np.bool_)
    while True:
        nearby = _largest_within(_largest_within(left, rows - 1, 0), cols - 1, 2)
        wins = (left == nearby) & (left >= 0)
        taken |= wins
        gone = _largest_within(_largest_within(wins, rows - 1, 0), cols - 1, 2)
        left[gone] = -1
        best_left = int(left.max())
        # Nothing taken from now on comes before what beats all that is left.
        if int(np.count_nonzero(keys[taken] > best_left)) >= count:
            break
        if best_left < 0:
            return None
    starts = np.zeros(places.shape, np.bool_)
    starts[taken] = top_cells(keys[taken], count)
    return starts


def _largest_within(values: npt.NDArray[Any], reach: int, axis: int) -> npt.NDArray[Any]:
    """At each place the largest value at most `reach` places away along an axis."""
    if reach == 0:
        return values
    ahead = np.moveaxis(values, axis, 0).copy()
    span = 1  # ahead[i] is the largest of values[i : i + span]
    while span < reach + 1:
        step = min(span, reach + 1 - span)
        np.maximum(ahead[:-step], ahead[step:], out=ahead[:-step])
        span += step
    both = ahead.copy()
    np.maximum(both[reach:], ahead[:-reach], out=both[reach:])
    # Near the start less than `reach` places lie before: their largest is that of all places from the first on.
    for place in range(1, min(reach, both.shape[0])):
        np.maximum(both[place], ahead[0], out=both[place])
    return np.moveaxis(both, 0, axis)
