# SPDX-License-Identifier: Apache-2.0
"""Selection by textbook methods that are slow and plainly right."""

from __future__ import annotations

import functools
import itertools

import numpy as np


def best_total(scores: np.ndarray, window: int, count: int) -> int | None:
    """Best total score of `count` disjoint windows: the table over positions and counts, then over lines.

    Args:
        scores: Scores of windows by first cell, ``[positions, lines]``.
        window: Cells in a window.
        count: Windows on all lines.

    Returns:
        The score; None if they do not fit.
    """
    total: list[int | None] = [0] + [None] * count
    for line in scores.T:
        length = line.size + window - 1
        table: list[list[int | None]] = [[0] + [None] * count for _ in range(length + 1)]
        for end in range(1, length + 1):
            for used in range(1, count + 1):
                options = [table[end - 1][used]]
                if end >= window and table[end - window][used - 1] is not None:
                    options.append(table[end - window][used - 1] + int(line[end - window]))
                table[end][used] = max((value for value in options if value is not None), default=None)
        total = [
            max(
                (
                    total[used - here] + table[length][here]
                    for here in range(used + 1)
                    if total[used - here] is not None and table[length][here] is not None
                ),
                default=None,
            )
            for used in range(count + 1)
        ]
    return total[count]


@functools.cache
def all_choices(positions: int, lines: int, window: int) -> tuple[np.ndarray, np.ndarray]:
    """Every choice of disjoint windows, and how many windows each has.

    Args:
        positions: First cells a line.
        lines: Lines.
        window: Cells in a window.

    Returns:
        Bools ``[choices, positions * lines]`` in the order of ``scores.T.reshape(-1)``, and counts ``[choices]``.
    """
    line = [
        choice
        for choice in itertools.product((False, True), repeat=positions)
        if all(not any(choice[first + 1 : first + window]) for first in range(positions) if choice[first])
    ]
    choices = np.array([sum(each, ()) for each in itertools.product(line, repeat=lines)], bool)
    return choices, choices.sum(axis=1)


def best_totals(scores: np.ndarray, window: int) -> list[int]:
    """Best total score for every count from 0 to the most that fit, by trying every choice."""
    choices, counts = all_choices(*scores.shape, window)
    totals = choices @ scores.T.reshape(-1).astype(np.int64)
    return [int(totals[counts == count].max()) for count in range(int(counts.max()) + 1)]


def brute_force_total(scores: np.ndarray, window: int, count: int) -> int | None:
    """The same by trying every choice of windows."""
    places = list(np.ndindex(scores.shape))
    best = None
    for chosen in itertools.combinations(places, count):
        if all(
            first[1] != second[1] or abs(first[0] - second[0]) >= window
            for first, second in itertools.combinations(chosen, 2)
        ):
            value = sum(int(scores[place]) for place in chosen)
            best = value if best is None else max(best, value)
    return best


def split_into_windows(kept: np.ndarray, window: int) -> list[int] | None:
    """First cells of the windows that a line's kept cells consist of; None if they do not."""
    starts, position = [], 0
    while position < kept.size:
        if kept[position]:
            if position + window > kept.size or not kept[position : position + window].all():
                return None
            starts.append(position)
            position += window
        else:
            position += 1
    return starts
