# SPDX-License-Identifier: Apache-2.0
"""The best cells of a list: by rank, never by threshold, so the count is exact with equal scores too."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def top_cells(scores: npt.NDArray[Any], count: int) -> npt.NDArray[np.bool_]:
    """Marks the `count` largest scores; of equal ones those that come first in C order.

    Args:
        scores: Scores of any shape.
        count: 0 .. number of scores.

    Returns:
        Mask of the same shape with exactly `count` true values.
    """
    flat = scores.reshape(-1)
    if count == 0:
        return np.zeros(scores.shape, np.bool_)
    threshold = np.partition(flat, flat.size - count)[flat.size - count]
    kept: npt.NDArray[np.bool_] = flat > threshold
    missing = count - int(np.count_nonzero(kept))
    kept[np.flatnonzero(flat == threshold)[:missing]] = True
    mask: npt.NDArray[np.bool_] = kept.reshape(scores.shape)
    return mask


def top_of_each(scores: npt.NDArray[Any], count: int) -> npt.NDArray[np.bool_]:
    """Marks the `count` largest scores along the last axis; of equal ones those that come first.

    Args:
        scores: Scores ``[..., n]``.
        count: 0 .. n.

    Returns:
        Mask of the same shape with exactly `count` true values along the last axis.
    """
    best = np.argsort(-scores, axis=-1, kind="stable")[..., :count]
    kept = np.zeros(scores.shape, np.bool_)
    np.put_along_axis(kept, best, True, axis=-1)
    return kept
