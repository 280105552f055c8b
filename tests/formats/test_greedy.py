# SPDX-License-Identifier: Apache-2.0
"""Greedy covers by tables against the walk that they stand for."""

from __future__ import annotations

import numpy as np
import pytest

from tfprune.formats.greedy import MOST_WIDTH, unpack_rows, window_starts, window_words_down


def walk(line: np.ndarray, width: int) -> list[int]:
    starts, covered = [], 0
    for place in np.flatnonzero(line):
        if place >= covered:
            starts.append(int(place))
            covered = place + width
    return starts


@pytest.mark.parametrize("width", [1, 2, 3, 4, 8, 15, MOST_WIDTH])
def test_windows_are_those_of_the_walk(width: int) -> None:
    random = np.random.default_rng(width)
    for shape in [(1, 1), (3, 7), (5, 8), (4, 15), (2, 16), (7, 17), (6, 32), (9, 100), (1, 1000)]:
        for density in (0, 0.02, 0.3, 0.9, 1):
            lines = random.random(shape) < density
            expected = [walk(line, width) for line in lines]
            starts = window_starts(lines, width)
            assert starts.shape == shape
            assert [np.flatnonzero(line).tolist() for line in starts] == expected
            down = window_words_down(np.ascontiguousarray(lines.T), width)
            for first in (0, shape[1] // 2):
                np.testing.assert_array_equal(unpack_rows(down, first, shape[1]).T, starts[:, first:])
            # Any order in memory.
            np.testing.assert_array_equal(window_starts(np.asfortranarray(lines), width), starts)
            np.testing.assert_array_equal(window_words_down(lines.T, width), down)
