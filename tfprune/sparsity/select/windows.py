# SPDX-License-Identifier: Apache-2.0
"""What every choice of windows along lines needs."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tfprune.errors import PatternError
from tfprune.sparsity.blocks import window_sums
from tfprune.sparsity.scores import Integers, integer_roots

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
    scores = window_sums(cells.astype(np.int64, copy=False), window, 0)
    return integer_roots(scores) if root else scores


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
