# SPDX-License-Identifier: Apache-2.0
"""Sets of channels that move together: they are joined, and cut where only parts of them meet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

Axis: TypeAlias = tuple[int, ...]
"""An axis of a tensor or variable: the spaces it consists of, in order. A space may occur more than once."""


@dataclass
class _Space:
    """A set of channels.

    Args:
        size: Number of channels.
        pinned: Why its channels must keep their places and their number, or None.
        fixed_size: Why its channels must keep their number, or None.
        parts: What it became: another space, or two smaller ones. Empty as long as it stands for itself.
    """

    size: int
    pinned: str | None
    fixed_size: str | None = None
    parts: Axis = ()


class Spaces:
    """Union-find over sets of channels, which can also be cut in two.

    Example:
        >>> spaces = Spaces()
        >>> a, b, c = (spaces.new(2),), (spaces.new(3),), (spaces.new(5),)
        >>> spaces.unify(a + b, c)                    # an Add of a Concatenate of 2 and 3 channels, and of 5 channels
        >>> spaces.resolve(c) == spaces.resolve(a + b)
        True
        >>> [spaces.size((space,)) for space in spaces.resolve(c)]
        [2, 3]
    """

    def __init__(self) -> None:
        """Begins without spaces."""
        self._spaces: list[_Space] = []

    def new(self, size: int, pinned: str | None = None) -> int:
        """Makes a space.

        Args:
            size: Number of channels, at least 0.
            pinned: Why its channels must stay where they are, or None.

        Returns:
            Its number.
        """
        self._spaces.append(_Space(size, pinned))
        return len(self._spaces) - 1

    def size(self, axis: Axis) -> int:
        """Number of channels along an axis."""
        return sum(self._spaces[space].size for space in axis)

    def resolve(self, axis: Axis) -> Axis:
        """The axis in terms of spaces that stand for themselves."""
        found: list[int] = []
        waiting = list(reversed(axis))
        while waiting:
            space = waiting.pop()
            parts = self._spaces[space].parts
            if parts:
                waiting.extend(reversed(parts))
            else:
                found.append(space)
        return tuple(found)

    def unify(self, first: Axis, second: Axis) -> None:
        """Makes two axes of the same length the same: spaces are joined, and cut where their ends do not meet.

        Args:
            first: An axis.
            second: Another one.
        """
        assert self.size(first) == self.size(second)
        while True:
            pairs = zip(self.resolve(first), self.resolve(second), strict=False)
            different = next(((one, two) for one, two in pairs if one != two), None)
            if different is None:
                return
            one, two = different
            sizes = self._spaces[one].size, self._spaces[two].size
            if sizes[0] == sizes[1]:
                self._join(one, two)
            elif sizes[0] > sizes[1]:
                self._split(one, sizes[1])
            else:
                self._split(two, sizes[0])

    def part(self, axis: Axis, start: int, stop: int) -> Axis:
        """Channels `start` to `stop` of an axis; spaces that reach over an end are cut.

        Args:
            axis: An axis.
            start: First channel.
            stop: Channel after the last.

        Returns:
            The axis of these channels.
        """
        for place in (start, stop):
            self._cut(axis, place)
        found: list[int] = []
        offset = 0
        for space in self.resolve(axis):
            if start <= offset < stop:
                found.append(space)
            offset += self._spaces[space].size
        return tuple(found)

    def pin(self, axis: Axis, reason: str) -> None:
        """Fixes places and number of the channels of an axis; the first reason given for a space stays."""
        for space in self.resolve(axis):
            if self._spaces[space].pinned is None:
                self._spaces[space].pinned = reason

    def fix_size(self, axis: Axis, reason: str) -> None:
        """Fixes the number of the channels of an axis, not their places."""
        for space in self.resolve(axis):
            if self._spaces[space].fixed_size is None:
                self._spaces[space].fixed_size = reason

    def reasons(self, space: int) -> tuple[str | None, str | None]:
        """Why a space is pinned and why its size is fixed; None where it is not."""
        return self._spaces[space].pinned, self._spaces[space].fixed_size

    def _join(self, one: int, two: int) -> None:
        """Lets the later of two spaces of one size stand for the earlier one."""
        stays, goes = sorted((one, two))
        for name in ("pinned", "fixed_size"):
            if getattr(self._spaces[stays], name) is None:
                setattr(self._spaces[stays], name, getattr(self._spaces[goes], name))
        self._spaces[goes].parts = (stays,)

    def _split(self, space: int, size: int) -> None:
        """Cuts a space behind its first `size` channels."""
        whole = self._spaces[space]
        whole.parts = tuple(self._copy(whole, length) for length in (size, whole.size - size))

    def _copy(self, whole: _Space, size: int) -> int:
        self._spaces.append(_Space(size, whole.pinned, whole.fixed_size))
        return len(self._spaces) - 1

    def _cut(self, axis: Axis, place: int) -> None:
        offset = 0
        for space in self.resolve(axis):
            size = self._spaces[space].size
            if offset < place < offset + size:
                self._split(space, place - offset)
                # What was cut may occur before `place` as well, but cuts only ever add ends.
                return
            offset += size


def places(axis: Iterable[int], spaces: Spaces) -> dict[int, list[int]]:
    """Where each space of a resolved axis begins.

    Args:
        axis: A resolved axis.
        spaces: Its spaces.

    Returns:
        Offsets along the axis, for each space in order of first occurrence.
    """
    found: dict[int, list[int]] = {}
    offset = 0
    for space in axis:
        found.setdefault(space, []).append(offset)
        offset += spaces.size((space,))
    return found
