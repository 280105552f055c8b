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


def window_starts(lines: npt.NDArray[np.bool_], width: int) -> npt.NDArray[np.bool_]:
    """Where the windows of each line begin.

    Args:
        lines: bool ``[L, C]``.
        width: cells of a window, 1 .. 16.

    Returns:
        bool ``[L, C]``.
    """
    # The result keeps the order of `lines` in memory, which need not be that of lines.
    packed = np.ascontiguousarray(np.packbits(lines, axis=1, bitorder="little"))
    if packed.shape[1] % 2:
        packed = np.pad(packed, ((0, 0), (0, 1)))
    # One row of words for each step.
    words = np.ascontiguousarray(packed.view("<u2").T)
    starts = np.ascontiguousarray(_starts(words, width).T)
    return np.unpackbits(starts.view(np.uint8), axis=1, count=lines.shape[1], bitorder="little").view(bool)


def window_words_down(matrix: npt.NDArray[np.bool_], height: int) -> npt.NDArray[np.uint16]:
    """Where windows of ``height`` cells begin along the columns of a matrix, as bits of sixteen rows each.

    Args:
        matrix: bool ``[R, C]``.
        height: cells of a window, 1 .. 16.

    Returns:
        uint16 ``[ceil(R / 16), C]``, the first row as the lowest bit; :func:`unpack_rows` reads them.
    """
    rows, columns = matrix.shape
    words = np.zeros((-(-rows // _CELLS), columns), np.uint16)
    for cell in range(min(rows, _CELLS)):
        part = matrix[cell::_CELLS]
        words[: len(part)] |= np.left_shift(part.view(np.uint8), cell, dtype=np.uint16)
    return _starts(words, height)


def unpack_rows(words: npt.NDArray[np.uint16], first: int, end: int) -> npt.NDArray[np.bool_]:
    """Rows ``first`` .. ``end - 1`` of what :func:`window_words_down` gave, bool ``[end - first, C]``."""
    begin = first // _CELLS
    part = words[begin : -(-end // _CELLS)]
    found = np.empty((_CELLS * len(part), words.shape[1]), bool)
    for cell in range(_CELLS):
        np.not_equal(part & np.uint16(1 << cell), 0, out=found[cell::_CELLS])
    return found[first - _CELLS * begin : end - _CELLS * begin]


def _starts(words: npt.NDArray[np.uint16], width: int) -> npt.NDArray[np.uint16]:
    """The cells where windows begin, as bits like those of ``words``, which is ``[steps, lines]``."""
    _, begins = _tables(width)
    starts = np.empty_like(words)
    for step, place in enumerate(_places(words, width)):
        starts[step] = begins[place]
    return starts


def _places(words: npt.NDArray[np.uint16], width: int) -> Iterator[npt.NDArray[np.uint32]]:
    """Walks along the lines, ``words`` being ``[steps, lines]``; yields each line's place in the tables."""
    following, _ = _tables(width)
    state = np.zeros(words.shape[1], np.uint32)
    for word in words:
        # State and word together are the place; the states are multiples of 65,536.
        place = state | word
        yield place
        state = following[place]


@functools.cache
def _tables(width: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint16]]:
    """By state and word: the state after the word, and the cells of it where windows begin."""
    state = np.repeat(np.arange(width, dtype=np.uint8), _WORDS)
    word = np.tile(np.arange(_WORDS, dtype=np.uint16), width)
    begins = np.zeros(len(state), np.uint16)
    for cell in range(_CELLS):
        found = (state == 0) & (word >> np.uint16(cell) & 1 != 0)
        begins |= found.astype(np.uint16) << np.uint16(cell)
        state = np.where(found, np.uint8(width), state)
        state -= state > 0
    return state.astype(np.uint32) * np.uint32(_WORDS), begins
