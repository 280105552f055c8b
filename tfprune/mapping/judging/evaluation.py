# SPDX-License-Identifier: Apache-2.0
"""What is known of a mapping that was tried."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """A mapping that was tried.

    Attributes:
        accuracy: the metric on the validation data, after one-shot pruning and what follows it.
        latency: predicted, in the unit of the profile.
        stored_bytes: predicted bytes of the weights in the file.
        macs: multiply-adds of one run.
        seconds: what judging it took.
    """

    accuracy: float
    latency: float
    stored_bytes: int
    macs: float
    seconds: float


class StoppedEarlyError(Exception):
    """Raised by what is told of parts of an evaluation, to end it."""


def front_of(points: Iterable[tuple[float, float]]) -> list[int]:
    """The points that no other one beats in one thing and matches in the other.

    Args:
        points: how good (the more the better) and how costly (the less the better) each is.

    Returns:
        Places of the points, from the cheapest to the best; of equal points the first.

    Example:
        >>> front_of([(0.9, 5.0), (0.8, 3.0), (0.7, 4.0), (0.8, 3.0)])
        [1, 0]
    """
    listed = list(points)
    found: list[int] = []
    for place in sorted(range(len(listed)), key=lambda place: (listed[place][1], -listed[place][0], place)):
        if not found or listed[place][0] > listed[found[-1]][0]:
            found.append(place)
    return found
