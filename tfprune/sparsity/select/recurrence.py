# SPDX-License-Identifier: Apache-2.0
"""The recurrence behind unaligned groups, for many lines and prices in step."""

from __future__ import annotations

import threading

import numpy as np

from tfprune.sparsity.blocks import Mask
from tfprune.sparsity.scores import Integers

#: Held during long rows of short calls. Numpy hands the interpreter's lock over in every call: threads that all make
#: short ones would spend their time on that, while one of them runs well beside others that make long ones.
SHORT_CALLS = threading.RLock()

#: Cells worked on at a time: they stay in a core's second-level cache.
CHUNK_CELLS = 32768


def best_keys(keys: Integers, charges: Integers, window: int, takes: Mask | None = None) -> Integers:
    """Best total of disjoint windows of every line, where a window costs a charge.

    ::

        best(i) = max(best(i - 1), best(i - window) + keys(i) - charge)

    Numpy's time a call is most of the time of narrow lines, so calls are saved: `window` rows of the recurrence share
    one addition, and many their subtraction. Results take the place of the priced keys they come from.

    Args:
        keys: Keys of windows by first cell, ``[positions, lines]``.
        charges: Charges of a window, all of which are tried, ``[charges]``.
        window: Cells in a window, at least 2.
        takes: Receives where ending with this window beats not doing so, ``[positions, lines]``; for a single charge.

    Returns:
        Totals of whole lines, ``[charges, lines]``.
    """
    positions, lines = keys.shape
    width = lines * charges.size
    chunk = window * max(1, min(CHUNK_CELLS // max(1, width * window), -(-positions // window)))
    scratch = np.zeros((2, chunk, width), np.int64)
    # The longer of the two axes is the inner one, which numpy runs fast.
    by_line = lines < charges.size
    table = (chunk, lines, charges.size) if by_line else (chunk, charges.size, lines)
    tables = [side.reshape(table) for side in scratch]
    keys, charges = (keys[:, :, np.newaxis], charges) if by_line else (keys[:, np.newaxis], charges[:, np.newaxis])
    with SHORT_CALLS:
        previous = _run(keys, charges, window, takes, scratch, tables)
    totals = previous.reshape(table[1:])
    return totals.T if by_line else totals


def _run(
    keys: Integers, charges: Integers, window: int, takes: Mask | None, scratch: Integers, tables: list[Integers]
) -> Integers:
    """The recurrence, in two alternating pieces of scratch memory that `tables` are views of."""
    positions, chunk = keys.shape[0], scratch.shape[1]
    blocks = [[side[first : first + window] for first in range(0, chunk, window)] for side in scratch]
    rows: list[list[Integers]] = [list(side) for side in scratch]
    # What comes before the first window: nothing, at no cost.
    before, previous = blocks[1][-1], rows[1][-1]
    for number, first in enumerate(range(0, positions, chunk)):
        own_blocks, own_rows = blocks[number % 2], rows[number % 2]
        part = keys[first : first + chunk]
        np.subtract(part, charges, out=tables[number % 2][: len(part)])
        for place in range(0, len(part), window):
            # Rows behind the last position hold old numbers, which nothing looks at.
            block = own_blocks[place // window]
            np.add(block, before, out=block)
            before = block
            last = min(place + window, len(part))
            if takes is None:
                for best in own_rows[place:last]:
                    np.maximum(best, previous, out=best)
                    previous = best
            else:
                for best, take in zip(own_rows[place:last], takes[first + place : first + last], strict=True):
                    np.greater(best, previous, out=take)
                    np.maximum(best, previous, out=best)
                    previous = best
    return previous
