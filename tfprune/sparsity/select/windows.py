# SPDX-License-Identifier: Apache-2.0
"""What every choice of windows along lines needs."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.errors import PatternError
from tfprune.sparsity.scores import Integers, integer_roots

Mask = npt.NDArray[np.bool_]
AnyIntegers = npt.NDArray[np.integer[Any]]


def window_scores(cells: AnyIntegers, window: int, root: bool) -> Integers:
    """Scores of all windows.

    Args:
        cells: Non-negative integer scores ``[length, lines]``.
        window: Cells in a window, 1 .. length.
        root: Whether a window's score is the square root of its sum.

    Returns:
        Scores by first cell, ``[length - window + 1, lines]``.
    """
    positions = cells.shape[0] - window + 1
    scores = cells[:positions].astype(np.int64)
    for offset in range(1, window):
        scores += cells[offset : offset + positions]
    return integer_roots(scores) if root else scores


def expand_starts(starts: Mask, window: int) -> Mask:
    """Cells of windows.

    Args:
        starts: First cells ``[length - window + 1, lines]``.
        window: Cells in a window.

    Returns:
        Mask of cells ``[length, lines]``.
    """
    kept = np.zeros((starts.shape[0] + window - 1, *starts.shape[1:]), np.bool_)
    for offset in range(window):
        kept[offset : offset + starts.shape[0]] |= starts
    return kept


def capacity_error(count: int, window: int, shape: tuple[int, ...]) -> PatternError:
    """The error for more windows than a choice can place.

    Args:
        count: Windows asked for.
        window: Cells in a window.
        shape: ``(length, lines)``.

    Returns:
        The error, to be raised.
    """
    return PatternError(
        f"`count` windows must fit: lines of {shape[0]} cells hold {shape[0] // window} windows of {window} each, "
        f"{shape[0] // window * shape[1]} on {shape[1]} lines. Received: count={count}. Ask for fewer, or choose them "
        "with `unaligned.keep_windows`, which places as many as fit."
    )
