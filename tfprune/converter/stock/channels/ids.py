# SPDX-License-Identifier: Apache-2.0
"""Which channels of which tensors are one and the same: union-find, one element a channel."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tfprune.converter.capability import Refused

Ids = npt.NDArray[np.int64]
"""One number for each channel along an axis; equal after `Channels.find` where channels can only go together."""


class Channels:
    """Sets of channels that must stay or go together, and why some must stay."""

    def __init__(self) -> None:
        """Begins without channels."""
        self._parent = np.zeros(0, np.int64)
        self._pinned: dict[int, Refused] = {}

    @property
    def count(self) -> int:
        """Number of channels made so far."""
        return len(self._parent)

    def new(self, count: int) -> Ids:
        """Makes channels that have nothing to do with others."""
        first = len(self._parent)
        self._parent = np.concatenate((self._parent, np.arange(first, first + count)))
        return np.arange(first, first + count)

    def find(self, ids: Ids) -> Ids:
        """The number that stands for each channel's set."""
        roots = self._parent[ids]
        while True:
            above = self._parent[roots]
            if np.array_equal(above, roots):
                break
            roots = above
        self._parent[ids] = roots
        return np.asarray(roots)

    def join(self, first: Ids, second: Ids) -> None:
        """Makes channels of two axes of one length the same, one by one."""
        for one, two in zip(self.find(first).tolist(), self.find(second).tolist(), strict=True):
            low, high = sorted((self._root(one), self._root(two)))
            self._parent[high] = low

    def pin(self, ids: Ids, reason: Refused) -> None:
        """Says why channels must stay; the first reason for a channel counts."""
        for number in ids.tolist():
            self._pinned.setdefault(number, reason)

    def pinned(self) -> dict[int, Refused]:
        """By number of the set, why its channels must stay."""
        found: dict[int, Refused] = {}
        numbers = np.fromiter(self._pinned, np.int64, len(self._pinned))
        for root, reason in zip(self.find(numbers).tolist(), self._pinned.values(), strict=True):
            found.setdefault(root, reason)
        return found

    def _root(self, number: int) -> int:
        while (above := int(self._parent[number])) != number:
            number = above
        return number
