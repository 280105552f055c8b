# SPDX-License-Identifier: Apache-2.0
"""Greedy covers of lines by windows of one width, sixteen cells of every line at a time.

A line is covered from its start: each window begins at the first True that no window covers yet. How many cells the
last window still reaches into is all that the rest of the line depends on, so the walk is an automaton with ``width``
states; its steps over sixteen cells are looked up in tables, for all lines at once.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

_CELLS = 16
_WORDS = 1 << _CELLS
#: Wider windows would have tables of several MB.
MOST_WIDTH = 16


def count_windows(lines: npt.NDArray[np.bool_], width: int) -> npt.NDArray[np.int64]:
    """Windows of each line.

    Args:
        lines: bool ``[L, C]``.
        width: cells of a window, 1 .. 16.

    Returns:
        int64 ``[L]``.
    """
    # Sixteen columns to a word, then one row of words for each step.
    return _count(np.ascontiguousarray(_words(lines, axis=1).T), width)


def count_windows_down(matrix: npt.NDArray[np.bool_], height: int) -> npt.NDArray[np.int64]:
    """As :func:`count_windows` along the columns of a matrix: int64 ``[C]`` for bool ``[R, C]``."""
    return _count(_words(matrix, axis=0), height)


def window_starts(lines: npt.NDArray[np.bool_], width: int) -> npt.NDArray[np.bool_]:
    """Where the windows of each line begin: bool ``[L, C]``; arguments as for :func:`count_windows`."""
    words = np.ascontiguousarray(_words(lines, axis=1).T)
    _, begins, _ = _tables(width)
    starts = np.empty_like(words)
    for step, place in enumerate(_places(words, width)):
        starts[step] = begins[place]
    bits = np.unpackbits(np.ascontiguousarray(starts.T).view(np.uint8), axis=1, count=lines.shape[1], bitorder="little")
    return bits.view(bool)


def _words(cells: npt.NDArray[np.bool_], axis: int) -> npt.NDArray[np.uint16]:
    """Sixteen neighbours along ``axis`` as bits of a word, the first one lowest."""
    packed = np.packbits(cells, axis=axis, bitorder="little")
    if packed.shape[axis] % 2:
        packed = np.concatenate((packed, np.zeros_like(packed.take([0], axis))), axis)
    low, high = (packed[:, 0::2], packed[:, 1::2]) if axis else (packed[0::2], packed[1::2])
    words: npt.NDArray[np.uint16] = low | high.astype(np.uint16) << np.uint16(8)
    return words


def _count(words: npt.NDArray[np.uint16], width: int) -> npt.NDArray[np.int64]:
    counts = np.zeros(words.shape[1], np.int64)
    _, _, begun = _tables(width)
    for place in _places(words, width):
        counts += begun[place]
    return counts


def _places(words: npt.NDArray[np.uint16], width: int) -> Iterator[npt.NDArray[np.uint32]]:
    """Walks along the lines, ``words`` being ``[steps, lines]``; yields each line's place in the tables."""
    following, _, _ = _tables(width)
    state = np.zeros(words.shape[1], np.uint32)
    for word in words:
        # State and word together are the place; the states are multiples of 65,536.
        place = state | word
        yield place
        state = following[place]


@functools.cache
def _tables(width: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint16], npt.NDArray[np.uint8]]:
    """By state and word: the state after the word, the cells of it where windows begin, and their number."""
    state = np.repeat(np.arange(width, dtype=np.uint8), _WORDS)
    word = np.tile(np.arange(_WORDS, dtype=np.uint16), width)
    begins = np.zeros(len(state), np.uint16)
    begun = np.zeros(len(state), np.uint8)
    for cell in range(_CELLS):
        found = (state == 0) & (word >> np.uint16(cell) & 1 != 0)
        begins |= found.astype(np.uint16) << np.uint16(cell)
        begun += found
        state = np.where(found, np.uint8(width), state)
        state -= state > 0
    return state.astype(np.uint32) * np.uint32(_WORDS), begins, begun
